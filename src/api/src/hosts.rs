//! The hosts in the status: this host among the others.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::{Grade, HostName, NodeName, PoolName, QuorumState, optional_milliseconds};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::PeerMismatch;

/// This host among the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostsStatus {
    /// Its name.
    pub own: HostName,
    /// The number of configured hosts, this one included.
    pub members: usize,
    /// The state of the quorum as this host sees it.
    pub quorum_state: QuorumState,
    /// True if this host reaches no target, so that it abstains.
    pub isolated: bool,
    /// The elected writer, for providers that only one host may write to.
    pub writer: Option<HostName>,
    /// True if this host has a provider that only one host may write to.
    #[serde(default)]
    pub can_write: bool,
    /// True if this host holds the writer lease now.
    #[serde(default)]
    pub holds_writer_lease: bool,
    /// The mismatches with other hosts.
    #[serde(default)]
    pub mismatches: Vec<PeerMismatchStatus>,
    /// The others, by name.
    pub peers: Vec<PeerStatus>,
}

impl HostsStatus {
    /// True if another host would serve clients better: this one is isolated, and either some other host reaches targets or no
    /// other host is reachable.
    pub fn is_better_avoided(&self) -> bool {
        let mut reachable = self.peers.iter().filter(|peer| peer.reachable).peekable();
        self.isolated && (reachable.peek().is_none() || reachable.any(|peer| !peer.abstains))
    }

    /// The number of reachable hosts, this one included.
    pub fn reachable(&self) -> usize {
        1 + self.peers.iter().filter(|peer| peer.reachable).count()
    }

    /// The alarms, as sentences.
    pub fn alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        if self.quorum_state == QuorumState::NoQuorum {
            alarms.push(format!(
                "no quorum: {} of {} hosts are reachable, so this host decides by its own view",
                self.reachable(),
                self.members
            ));
        }
        if self.isolated {
            alarms.push("this host reaches no target, so it abstains".to_owned());
        }
        alarms.extend(self.peers.iter().filter_map(PeerStatus::unreachability));
        alarms.extend(self.peers.iter().filter_map(PeerStatus::unsaved_alarm));
        alarms.extend(self.mismatches.iter().map(|mismatch| mismatch.message.clone()));
        alarms
    }
}

/// A mismatch with another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerMismatchStatus {
    /// The host, which may be no member.
    pub host: HostName,
    /// The mismatch.
    #[serde(flatten)]
    pub mismatch: PeerMismatch,
    /// The same as a sentence, with the settings to compare.
    pub message: String,
}

/// Another host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// Its name.
    pub host: HostName,
    /// True if it is reachable.
    pub reachable: bool,
    /// The time since its last sign of life, direct or over a third host; `None` for never.
    #[serde(rename = "lastContactMs", with = "optional_milliseconds")]
    pub last_contact: Option<Duration>,
    /// The time since the last direct exchange with it; `None` for never.
    #[serde(rename = "lastDirectContactMs", with = "optional_milliseconds")]
    pub last_direct_contact: Option<Duration>,
    /// The round-trip time to it.
    #[serde(rename = "roundTripMs", with = "optional_milliseconds")]
    pub round_trip: Option<Duration>,
    /// The time that its clock is ahead of this host's, as of its last message; below zero, it is behind.
    #[serde(rename = "clockAheadMs", with = "optional_signed_milliseconds")]
    pub clock_ahead: Option<SignedDuration>,
    /// True if it is isolated, so that its votes do not count.
    pub abstains: bool,
    /// The hosts that it reaches, itself included.
    pub reachable_hosts: Vec<HostName>,
    /// The hash of its configuration of each pool, in hex.
    pub configuration: BTreeMap<PoolName, String>,
    /// The pools whose configuration differs from this host's, and those that only one of both hosts has.
    pub differs: Vec<PoolName>,
    /// The overrides that it could not save: its restart would lose them, unless another host has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsaved_overrides: Vec<UnsavedOverride>,
    /// Its grade of every target.
    pub targets: Vec<PeerTarget>,
}

/// An override that was set or cleared, and that is not on the disk of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnsavedOverride {
    /// The pool of its node.
    pub pool: PoolName,
    /// Its node.
    pub node: NodeName,
}

impl PeerStatus {
    /// The alarm that overrides are active and not on the disk of this peer.
    fn unsaved_alarm(&self) -> Option<String> {
        let nodes: Vec<String> =
            self.unsaved_overrides.iter().map(|unsaved| format!("{} ({})", unsaved.node, unsaved.pool)).collect();
        (!nodes.is_empty()).then(|| {
            format!("host {}: the overrides of {} are active, but not saved there", self.host, nodes.join(", "))
        })
    }

    fn unreachability(&self) -> Option<String> {
        let host = &self.host;
        (!self.reachable).then(|| match self.last_contact {
            Some(age) => format!("host {host}: unreachable for {:.0} s", age.as_secs_f64()),
            None => format!("host {host}: unreachable since this run began"),
        })
    }
}

/// The form of an optional duration in JSON that may be below zero: whole milliseconds.
mod optional_signed_milliseconds {
    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(of: &Option<SignedDuration>, serializer: S) -> Result<S::Ok, S::Error> {
        let millis =
            of.map(|of| i64::try_from(of.as_millis()).unwrap_or(if of.is_negative() { i64::MIN } else { i64::MAX }));
        millis.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SignedDuration>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(SignedDuration::from_millis))
    }
}

/// A target as another host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerTarget {
    /// Its pool.
    pub pool: PoolName,
    /// Its node.
    pub node: NodeName,
    /// Its address.
    pub address: IpAddr,
    /// Its grade there.
    pub grade: Grade,
    /// True if that host has seen its orderly shutdown.
    pub shutting_down: bool,
    /// True if the grade is of that host's earlier run, and not confirmed yet.
    pub restored: bool,
}

/// One host's vote on a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostVote {
    /// The host.
    pub host: HostName,
    /// Its grade; `unknown` is no vote.
    pub grade: Grade,
    /// True if it has seen the target's orderly shutdown.
    pub shutting_down: bool,
    /// True if the grade is of its earlier run, and not confirmed yet. It then only breaks a tie.
    pub restored: bool,
    /// True if it abstains from every vote.
    pub abstains: bool,
}
