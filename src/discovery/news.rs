//! What discovery tells: what has changed, and why what is missing stays. Each is a value with one sentence.

use std::fmt;
use std::net::IpAddr;

use daymark_decision::{Moment, NodeName};
use serde::{Deserialize, Serialize};

/// Something that has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "camelCase")]
pub enum News {
    /// A node, or more addresses of one, that was not known.
    Found {
        /// The node.
        node: NodeName,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// A list without them has come, and they stay for now.
    Missing {
        /// The node.
        node: NodeName,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// What was missing is listed again.
    Back {
        /// The node.
        node: NodeName,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// They have left the pool.
    Gone {
        /// The node.
        node: NodeName,
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// Since when they were missing.
        since: Moment,
    },
    /// An address is in no list under this name any more, and has another from now on.
    Renamed {
        /// Its name so far.
        node: NodeName,
        /// The address.
        address: IpAddr,
        /// Its name from now on.
        to: NodeName,
    },
    /// They have left the pool with the discovery that had found them.
    TurnedOff {
        /// The node.
        node: NodeName,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// There is no list, or one that says too little; what is known stays.
    Trouble {
        /// What is wrong, as a sentence.
        why: String,
    },
    /// That is over.
    TroubleOver,
}

impl News {
    /// Its name in logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Found { .. } => "found",
            Self::Missing { .. } => "missing",
            Self::Back { .. } => "back",
            Self::Gone { .. } => "gone",
            Self::Renamed { .. } => "renamed",
            Self::TurnedOff { .. } => "turned-off",
            Self::Trouble { .. } => "trouble",
            Self::TroubleOver => "trouble-over",
        }
    }

    /// Whether an operator should look at it.
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Gone { .. } | Self::Trouble { .. })
    }

    /// Whether the pool has other nodes from now on.
    pub fn changes_nodes(&self) -> bool {
        matches!(self, Self::Found { .. } | Self::Gone { .. } | Self::Renamed { .. })
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { node, addresses } => write!(f, "{node} {} is found", spaced(addresses)),
            Self::Missing { node, addresses } => {
                write!(f, "{node} {} is missing from the list, and stays for now", spaced(addresses))
            }
            Self::Back { node, addresses } => write!(f, "{node} {} is in the list again", spaced(addresses)),
            Self::Gone { node, addresses, since } => {
                write!(f, "{node} {} leaves, for it was in no list since {since}", spaced(addresses))
            }
            Self::Renamed { node, address, to } => write!(f, "{node} {address} is {to} from now on"),
            Self::TurnedOff { node, addresses } => {
                write!(f, "{node} {} leaves, for it is not looked for any more", spaced(addresses))
            }
            Self::Trouble { why } => {
                write!(f, "the nodes cannot be told for sure, and those that are known stay: {why}")
            }
            Self::TroubleOver => f.write_str("the nodes can be told again"),
        }
    }
}

/// Why an address that is missing stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "held", rename_all = "camelCase")]
pub enum Held {
    /// One list more has to be without it.
    NextList,
    /// It is not missing for long enough, or another one has just left.
    Pause {
        /// Until when it stays at least.
        until: Moment,
    },
    /// Less than a majority of what was known would be left.
    Majority {
        /// How many addresses would be left of those that were known when pool and list last agreed, or can be used.
        left: usize,
        /// How many were known when pool and list last agreed.
        most: usize,
    },
    /// It can be used, and less than a majority of those that can would be left.
    UsableMajority {
        /// How many addresses would be left that can be used.
        left: usize,
        /// How many there are, and were when they left since pool and list last agreed.
        most: usize,
    },
    /// No other address of the pool can be used.
    LastUsable,
    /// It is listed under another name, on which the operator's word would not be.
    Word,
}

impl Held {
    /// Whether no time will mend it.
    pub fn is_stuck(self) -> bool {
        !matches!(self, Self::NextList | Self::Pause { .. })
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NextList => f.write_str("until one list more is without it"),
            Self::Pause { until } => write!(f, "until {until}, for one leaves at a time, and slowly"),
            Self::Majority { left, most } => {
                write!(f, "for {left} of {most} known addresses would be left, which is no majority")
            }
            Self::UsableMajority { left, most } => {
                write!(f, "for {left} of {most} usable addresses would be left, which is no majority")
            }
            Self::Word => f.write_str(
                "for it is listed under another name, and the override on this one has to be lifted before it changes",
            ),
            Self::LastUsable => f.write_str("for no other address of the pool can be used"),
        }
    }
}

/// Addresses in a sentence.
fn spaced(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
