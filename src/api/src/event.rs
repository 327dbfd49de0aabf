//! The events of `/api/v1/events`.

use std::fmt;

use daymark_decision::{
    Change, Grade, HostName, Moment, NodeName, Override, PoolName, QuorumState, RevertedDrain, Target,
};
use serde::{Deserialize, Serialize};

use crate::{DiscoveryEvent, PeerMismatch};

/// A change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its number since the start of the run, without gaps.
    pub number: u64,
    /// The time.
    pub at: Moment,
    /// The change.
    #[serde(flatten)]
    pub kind: EventKind,
    /// The same as a sentence.
    pub message: String,
}

/// The kind of a change, with its details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EventKind {
    /// The answer of a pool.
    Answer(Change),
    /// The grade of a target, as this host sees it.
    Grade {
        /// The target.
        target: Target,
        /// The grade before.
        from: Grade,
        /// The grade from now on.
        to: Grade,
        /// The last observation, as a sentence.
        observed: String,
    },
    /// An operator set an override.
    Override {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
        /// The override.
        #[serde(rename = "override")]
        active_override: Override,
    },
    /// An override was cleared or has expired.
    OverrideEnded {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
    },
    /// The hosts have reverted a drain.
    OverrideReverted {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
        /// The drain, and the reason for which it is reverted.
        reverted: RevertedDrain,
    },
    /// Another host has become reachable or unreachable.
    Peer {
        /// The host.
        host: HostName,
        /// True if it is reachable.
        reachable: bool,
    },
    /// The state of the quorum has changed.
    QuorumState {
        /// The new state.
        quorum_state: QuorumState,
    },
    /// This host has become isolated, or is no longer.
    Isolation {
        /// True if it is isolated.
        isolated: bool,
    },
    /// The hosts have elected another writer.
    Writer {
        /// The host; `None` for none.
        host: Option<HostName>,
    },
    /// A mismatch with another host has begun or ended.
    Mismatch {
        /// The host.
        host: HostName,
        /// The mismatch.
        #[serde(flatten)]
        mismatch: PeerMismatch,
        /// True if it has begun.
        begins: bool,
    },
    /// Discovery has changed the nodes of a pool, or its own state.
    Discovery {
        /// The pool.
        pool: PoolName,
        /// The change.
        #[serde(flatten)]
        change: DiscoveryEvent,
    },
    /// A new configuration was applied.
    Reload {
        /// The number of its targets.
        target_count: usize,
    },
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(change) => change.fmt(f),
            // The observation of a ready target says no more than the grade.
            Self::Grade { target, from, to, observed } if *observed == to.to_string() => {
                write!(f, "{}: {target} {from} -> {to}", target.pool)
            }
            Self::Grade { target, from, to, observed } => {
                write!(f, "{}: {target} {from} -> {to} ({observed})", target.pool)
            }
            Self::Override { pool, node, active_override } => {
                write!(f, "{pool}: {node} {} {active_override}", active_override.kind.participle())
            }
            Self::OverrideEnded { pool, node } => write!(f, "{pool}: {node} is no longer drained or forced"),
            Self::OverrideReverted { pool, node, reverted } => write!(f, "{pool}: {node} was {reverted}"),
            Self::Peer { host, reachable: true } => write!(f, "host {host}: reachable"),
            Self::Peer { host, reachable: false } => write!(f, "host {host}: unreachable"),
            Self::QuorumState { quorum_state: QuorumState::Quorum } => {
                f.write_str("quorum: a majority of the hosts is reachable, so their votes decide")
            }
            Self::QuorumState { quorum_state: QuorumState::NoQuorum } => {
                f.write_str("no quorum: no majority of the hosts is reachable, so this host decides by its own view")
            }
            Self::QuorumState { quorum_state: QuorumState::Starting } => {
                f.write_str("starting: this host waits for the others, and the verdicts of its last run stand")
            }
            Self::Isolation { isolated: true } => {
                f.write_str("isolated: this host reaches no target, so it abstains and the other hosts decide")
            }
            Self::Isolation { isolated: false } => {
                f.write_str("no longer isolated: this host reaches targets and votes")
            }
            Self::Writer { host: Some(host) } => write!(f, "writer: host {host} is elected"),
            Self::Writer { host: None } => {
                f.write_str("no writer: this host knows of no eligible host that a majority reaches")
            }
            Self::Mismatch { host, mismatch, begins: true } => f.write_str(&mismatch.message(host)),
            Self::Mismatch { host, mismatch, begins: false } => write!(f, "resolved: {}", mismatch.message(host)),
            Self::Discovery { pool, change } => write!(f, "{pool}: {change}"),
            Self::Reload { target_count: 1 } => f.write_str("configuration applied: 1 target"),
            Self::Reload { target_count } => write!(f, "configuration applied: {target_count} targets"),
        }
    }
}
