//! Discovery in the API: its events, the nodes that it knows, and the reasons for which missing nodes stay.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use daymark_decision::{Moment, NodeName, PoolName};
use serde::{Deserialize, Serialize};

/// A change in the nodes of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum DiscoveryEvent {
    /// A new node, or new addresses of one.
    Discovered {
        /// The node.
        node: NodeName,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// Addresses that the last list lacks. They stay for now.
    Missing {
        /// The node.
        node: NodeName,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// Addresses that were missing and are listed again.
    Back {
        /// The node.
        node: NodeName,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// Addresses that have left the pool.
    Gone {
        /// The node.
        node: NodeName,
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// The time of the first list without them.
        since: Moment,
    },
    /// An address that lists have under another name now.
    Renamed {
        /// Its former node.
        node: NodeName,
        /// The address.
        address: IpAddr,
        /// Its present node.
        to: NodeName,
    },
    /// Addresses that have left the pool because discovery was turned off.
    TurnedOff {
        /// The node.
        node: NodeName,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// There is no list, or no complete one. The known nodes stay.
    Failing {
        /// The cause.
        error: String,
    },
    /// There are complete lists again.
    Recovered,
}

impl DiscoveryEvent {
    /// Its name in JSON and in logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Discovered { .. } => "discovered",
            Self::Missing { .. } => "missing",
            Self::Back { .. } => "back",
            Self::Gone { .. } => "gone",
            Self::Renamed { .. } => "renamed",
            Self::TurnedOff { .. } => "turnedOff",
            Self::Failing { .. } => "failing",
            Self::Recovered => "recovered",
        }
    }

    /// True if an operator should look at it.
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Gone { .. } | Self::Failing { .. })
    }

    /// True if the pool has other nodes from now on.
    pub fn changes_nodes(&self) -> bool {
        matches!(self, Self::Discovered { .. } | Self::Gone { .. } | Self::Renamed { .. })
    }
}

impl fmt::Display for DiscoveryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovered { node, addresses } => write!(f, "{node} {} is new", spaced(addresses)),
            Self::Missing { node, addresses } => {
                write!(f, "{node} {} is missing from the list and stays for now", spaced(addresses))
            }
            Self::Back { node, addresses } => write!(f, "{node} {} is in the list again", spaced(addresses)),
            Self::Gone { node, addresses, since } => {
                write!(f, "{node} {} leaves, because no list has had it since {since}", spaced(addresses))
            }
            Self::Renamed { node, address, to } => write!(f, "{node} {address} is now {to}"),
            Self::TurnedOff { node, addresses } => {
                write!(f, "{node} {} leaves, because discovery is turned off", spaced(addresses))
            }
            Self::Failing { error } => write!(f, "discovery is failing, and the known nodes stay: {error}"),
            Self::Recovered => f.write_str("discovery works again"),
        }
    }
}

/// The reason for which a missing address stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum StayReason {
    /// One more list without it is needed.
    NextList,
    /// It has not been missing for long enough, or another one has just left.
    Pause {
        /// The earliest time at which it may leave.
        until: Moment,
    },
    /// Less than a majority of the known addresses would be left.
    Majority {
        /// The addresses that would be left: usable ones, and those that were known when pool and list last agreed.
        left: usize,
        /// The addresses that were known when pool and list last agreed.
        of: usize,
    },
    /// It is usable, and less than a majority of the usable addresses would be left.
    UsableMajority {
        /// The usable addresses that would be left.
        left: usize,
        /// The usable addresses that there are, and those that left since pool and list last agreed.
        of: usize,
    },
    /// No other address of the pool is usable.
    LastUsable,
    /// It is listed under another name, to which the override on its node would not apply.
    Override,
}

impl StayReason {
    /// True if time alone does not end it.
    pub fn is_stuck(self) -> bool {
        !matches!(self, Self::NextList | Self::Pause { .. })
    }
}

impl fmt::Display for StayReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NextList => f.write_str("until one more list is without it"),
            Self::Pause { until } => write!(f, "until {until}, because only one address leaves at a time"),
            Self::Majority { left, of } => {
                write!(f, "because only {left} of {of} known addresses would be left, which is not a majority")
            }
            Self::UsableMajority { left, of } => {
                write!(f, "because only {left} of {of} usable addresses would be left, which is not a majority")
            }
            Self::Override => {
                f.write_str("because it is listed under another name; clear the override on this one first")
            }
            Self::LastUsable => f.write_str("because no other address of the pool is usable"),
        }
    }
}

/// The state of discovery for one pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveryStatus {
    /// The objects of Kubernetes that are listed, in words.
    pub source: String,
    /// The apiserver that gave the last list of this run.
    pub apiserver: Option<IpAddr>,
    /// The time of the last complete list, maybe in an earlier run.
    pub last_complete: Option<Moment>,
    /// The addresses of the seeds.
    pub seeds: BTreeSet<IpAddr>,
    /// The cause, if there is no complete list now.
    pub failure: Option<String>,
    /// Every known address.
    pub known: Vec<KnownAddress>,
}

/// One address that discovery knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownAddress {
    /// Its node, by its name in Kubernetes.
    pub node: NodeName,
    /// The address.
    pub address: IpAddr,
    /// The time since which it is known.
    pub since: Moment,
    /// Its absence from lists; `None` if it is listed.
    pub missing: Option<MissingStatus>,
}

/// An address that is missing and stays.
#[derive(Clone, Copy, Debug)]
pub struct MissingAddress<'a> {
    /// The address.
    pub known: &'a KnownAddress,
    /// Its absence.
    pub missing: &'a MissingStatus,
}

/// The absence of an address, and the reason for which it stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingStatus {
    /// Its duration.
    #[serde(flatten)]
    pub missing: Missing,
    /// The reason for which it stays; `None` before the first list of this run.
    pub stays: Option<StayReason>,
    /// The same for people.
    pub message: String,
}

/// The origin of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "camelCase")]
pub enum Origin {
    /// The configuration, as a seed.
    Seed,
    /// Discovery.
    Discovered(KnownAddress),
}

impl MissingStatus {
    /// Puts both together, with the message.
    pub fn new(missing: Missing, stays: Option<StayReason>) -> Self {
        let Missing { since, lists, .. } = missing;
        let reason = stays.map_or("until a complete list comes".to_owned(), |reason| reason.to_string());
        let noun = if lists == 1 { "list" } else { "lists" };
        let message = format!("missing since {since} from {lists} {noun}, and stays {reason}");
        Self { missing, stays, message }
    }
}

impl DiscoveryStatus {
    /// The origin of an address of the pool.
    pub fn origin(&self, node: &NodeName, address: IpAddr) -> Origin {
        let mut known = self.known.iter().filter(|_| !self.seeds.contains(&address));
        let known = known.find(|known| known.node == *node && known.address == address);
        known.map_or(Origin::Seed, |known| Origin::Discovered(known.clone()))
    }

    /// True if nothing is known, not from an earlier run either.
    pub fn is_blank(&self) -> bool {
        self.known.is_empty() && self.last_complete.is_none()
    }

    /// The number of known nodes.
    pub fn nodes(&self) -> usize {
        self.known.iter().map(|known| &known.node).collect::<BTreeSet<_>>().len()
    }

    /// The addresses that are missing and stay.
    pub fn missing(&self) -> impl Iterator<Item = MissingAddress<'_>> {
        self.known.iter().filter_map(|known| Some(MissingAddress { known, missing: known.missing.as_ref()? }))
    }

    /// The messages that need an operator: a failure, and each address that time alone does not remove.
    pub fn alarms(&self, pool: &PoolName) -> Vec<String> {
        let failing = self.failure.clone().map(|error| format!("{pool}: {}", DiscoveryEvent::Failing { error }));
        let stuck = self.missing().filter(|address| address.missing.stays.is_some_and(StayReason::is_stuck));
        let stuck = stuck.map(|MissingAddress { known, missing }| {
            format!("{pool}: {} {} is {}", known.node, known.address, missing.message)
        });
        failing.into_iter().chain(stuck).collect()
    }
}

/// The absence of an address from the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// The time of the first list without it.
    pub since: Moment,
    /// The number of complete lists in a row without it.
    pub lists: u32,
    /// The part of the time since then that counts, in milliseconds.
    #[serde(default)]
    pub counted_ms: u64,
}

/// Addresses, separated by spaces.
fn spaced(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
