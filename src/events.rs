//! A bounded history of the changes, and the one place that logs them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use daymark_decision::{
    Basis, Change, Grade, HostName, Moment, NodeName, Override, PoolName, QuorumState, RevertedDrain, Target,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::complaint::PeerMismatch;
use crate::discovery::news::News;

/// The most events that are kept; the oldest is dropped first.
const MAX_EVENTS: usize = 1_000;

/// A change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its number since the start of the run, without gaps.
    pub number: u64,
    /// The time.
    pub at: Moment,
    /// The same as RFC 3339 in UTC.
    pub time: String,
    /// The change.
    pub what: EventKind,
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
    /// Discovery has news of the nodes of a pool.
    Discovery {
        /// The pool.
        pool: PoolName,
        /// The news.
        #[serde(flatten)]
        news: News,
    },
    /// A new configuration was applied.
    Reload {
        /// The number of its targets.
        targets: usize,
    },
}

/// The history of one run. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<History>>);

#[derive(Debug, Default)]
struct History {
    kept: VecDeque<Event>,
    next: u64,
}

impl Events {
    /// Logs a change in one line, and keeps it.
    pub fn record(&self, at: Moment, what: EventKind) {
        let message = what.to_string();
        what.log(&message);
        let mut history = self.0.lock();
        if history.kept.len() == MAX_EVENTS {
            history.kept.pop_front();
        }
        let number = history.next;
        history.next += 1;
        history.kept.push_back(Event { number, at, time: at.to_string(), what, message });
    }

    /// The kept events, oldest first.
    pub fn all(&self) -> Vec<Event> {
        self.0.lock().kept.iter().cloned().collect()
    }
}

impl EventKind {
    fn log(&self, message: &str) {
        match self {
            Self::Answer(Change { pool, generation, old, new, basis, .. }) => {
                let (old, new) = (spaced(old), spaced(new));
                if matches!(basis, Basis::LastKnownGood | Basis::Minority) {
                    warn!(event = "answer", %pool, old, new, basis = basis.as_str(), generation, "{message}");
                } else {
                    info!(event = "answer", %pool, old, new, basis = basis.as_str(), generation, "{message}");
                }
            }
            Self::Grade { target: Target { pool, node, address }, from, to, .. } => {
                info!(event = "grade", %pool, %node, %address, %from, %to, "{message}");
            }
            Self::Override { pool, node, .. } => info!(event = "override", %pool, %node, "{message}"),
            Self::OverrideEnded { pool, node } => info!(event = "overrideEnded", %pool, %node, "{message}"),
            Self::OverrideReverted { pool, node, .. } => warn!(event = "overrideReverted", %pool, %node, "{message}"),
            Self::Peer { host, reachable: true } => info!(event = "peer", %host, reachable = true, "{message}"),
            Self::Peer { host, reachable: false } => warn!(event = "peer", %host, reachable = false, "{message}"),
            Self::QuorumState { quorum_state: state @ QuorumState::NoQuorum } => {
                warn!(event = "quorumState", quorumState = state.as_str(), "{message}");
            }
            Self::QuorumState { quorum_state } => {
                info!(event = "quorumState", quorumState = quorum_state.as_str(), "{message}");
            }
            Self::Isolation { isolated: true } => warn!(event = "isolation", isolated = true, "{message}"),
            Self::Isolation { isolated: false } => info!(event = "isolation", isolated = false, "{message}"),
            Self::Writer { host: Some(host) } => info!(event = "writer", %host, "{message}"),
            Self::Writer { host: None } => warn!(event = "writer", "{message}"),
            Self::Mismatch { host, mismatch, begins: true } => {
                warn!(event = "mismatch", %host, mismatch = mismatch.label(), begins = true, "{message}");
            }
            Self::Mismatch { host, mismatch, begins: false } => {
                info!(event = "mismatch", %host, mismatch = mismatch.label(), begins = false, "{message}");
            }
            Self::Discovery { pool, news } if news.is_warning() => {
                warn!(event = "discovery", %pool, news = news.label(), "{message}");
            }
            Self::Discovery { pool, news } => info!(event = "discovery", %pool, news = news.label(), "{message}"),
            Self::Reload { targets } => info!(event = "reload", targets, "{message}"),
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(change) => change.fmt(f),
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
            Self::Discovery { pool, news } => write!(f, "{pool}: {news}"),
            Self::Reload { targets } => write!(f, "configuration applied: {targets} targets"),
        }
    }
}

fn spaced(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_bounded_and_its_numbers_go_on() {
        let events = Events::default();
        for targets in 0..MAX_EVENTS + 10 {
            events.record(Moment::default(), EventKind::Reload { targets });
        }
        let all = events.all();
        assert_eq!((all.len(), all[0].number, all[MAX_EVENTS - 1].number), (MAX_EVENTS, 10, MAX_EVENTS as u64 + 9));
    }
}
