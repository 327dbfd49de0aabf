//! A bounded history of what changed, and the one place that logs it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use daymark_decision::{
    Basis, Change, Grade, HostName, Moment, NodeName, Override, OverrideKind, PoolName, RevertedDrain, Standing, Target,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::complaint::Complaint;
use crate::discovery::news::News;

/// How many events are kept; the oldest goes first.
const KEPT: usize = 1_000;

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its number since the start of the run, without gaps.
    pub number: u64,
    /// When.
    pub at: Moment,
    /// The same as RFC 3339 in UTC.
    pub time: String,
    /// What changed.
    pub what: What,
    /// The same as a sentence.
    pub sentence: String,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum What {
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
        /// What was observed last, as a sentence.
        seen: String,
    },
    /// An operator set an override.
    Override {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
        /// The override.
        order: Override,
    },
    /// An override was lifted or has ended.
    OverrideEnded {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
    },
    /// The hosts have undone a drain.
    OverrideReverted {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
        /// The drain, and why it is undone.
        undone: RevertedDrain,
    },
    /// Another host is heard again, or no longer.
    Heard {
        /// The host.
        host: HostName,
        /// Whether it is heard.
        heard: bool,
    },
    /// Who decides on the verdicts.
    Standing {
        /// Who.
        standing: Standing,
    },
    /// This host has lost sight of every target, or sees again.
    Sight {
        /// Whether it is blind.
        blind: bool,
    },
    /// Which host writes where only one may.
    Writer {
        /// The host; `None` for none.
        host: Option<HostName>,
    },
    /// Something is wrong with another host, or no longer.
    Complaint {
        /// The host.
        host: HostName,
        /// What is wrong.
        #[serde(flatten)]
        complaint: Complaint,
        /// Whether it begins.
        begins: bool,
    },
    /// Discovery has learned something of the nodes of a pool.
    Discovery {
        /// The pool.
        pool: PoolName,
        /// What.
        #[serde(flatten)]
        news: News,
    },
    /// A new configuration was applied.
    Reload {
        /// How many targets it has.
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
    /// Logs what changed, in one line, and keeps it.
    pub fn record(&self, at: Moment, what: What) {
        let sentence = what.to_string();
        what.log(&sentence);
        let mut history = self.0.lock();
        if history.kept.len() == KEPT {
            history.kept.pop_front();
        }
        let number = history.next;
        history.next += 1;
        history.kept.push_back(Event { number, at, time: at.to_string(), what, sentence });
    }

    /// What is kept, oldest first.
    pub fn all(&self) -> Vec<Event> {
        self.0.lock().kept.iter().cloned().collect()
    }
}

impl What {
    fn log(&self, sentence: &str) {
        match self {
            Self::Answer(Change { pool, generation, old, new, basis, .. }) => {
                let (old, new) = (spaced(old), spaced(new));
                if matches!(basis, Basis::Held | Basis::Found) {
                    warn!(event = "answer", %pool, old, new, %basis, generation, "{sentence}");
                } else {
                    info!(event = "answer", %pool, old, new, %basis, generation, "{sentence}");
                }
            }
            Self::Grade { target: Target { pool, node, address }, from, to, .. } => {
                info!(event = "grade", %pool, %node, %address, %from, %to, "{sentence}");
            }
            Self::Override { pool, node, .. } => info!(event = "override", %pool, %node, "{sentence}"),
            Self::OverrideEnded { pool, node } => info!(event = "override-ended", %pool, %node, "{sentence}"),
            Self::OverrideReverted { pool, node, .. } => warn!(event = "override-undone", %pool, %node, "{sentence}"),
            Self::Heard { host, heard: true } => info!(event = "heard", %host, heard = true, "{sentence}"),
            Self::Heard { host, heard: false } => warn!(event = "heard", %host, heard = false, "{sentence}"),
            Self::Standing { standing: Standing::Alone } => warn!(event = "standing", standing = "alone", "{sentence}"),
            Self::Standing { standing } => info!(event = "standing", %standing, "{sentence}"),
            Self::Sight { blind: true } => warn!(event = "sight", blind = true, "{sentence}"),
            Self::Sight { blind: false } => info!(event = "sight", blind = false, "{sentence}"),
            Self::Writer { host: Some(host) } => info!(event = "writer", %host, "{sentence}"),
            Self::Writer { host: None } => warn!(event = "writer", "{sentence}"),
            Self::Complaint { host, complaint, begins: true } => {
                warn!(event = "complaint", %host, complaint = complaint.label(), begins = true, "{sentence}");
            }
            Self::Complaint { host, complaint, begins: false } => {
                info!(event = "complaint", %host, complaint = complaint.label(), begins = false, "{sentence}");
            }
            Self::Discovery { pool, news } if news.is_warning() => {
                warn!(event = "discovery", %pool, news = news.label(), "{sentence}");
            }
            Self::Discovery { pool, news } => info!(event = "discovery", %pool, news = news.label(), "{sentence}"),
            Self::Reload { targets } => info!(event = "reload", targets, "{sentence}"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(change) => change.fmt(f),
            Self::Grade { target, from, to, seen } => write!(f, "{}: {target} {from} -> {to} ({seen})", target.pool),
            Self::Override { pool, node, order } => {
                let done = match order.kind {
                    OverrideKind::Drain => "drained",
                    OverrideKind::Force => "forced",
                };
                write!(f, "{pool}: {node} {done} {order}")
            }
            Self::OverrideEnded { pool, node } => write!(f, "{pool}: {node} is no longer drained or forced"),
            Self::OverrideReverted { pool, node, undone } => write!(f, "{pool}: {node} was {undone}"),
            Self::Heard { host, heard: true } => write!(f, "host {host} is heard"),
            Self::Heard { host, heard: false } => write!(f, "host {host} is no longer heard"),
            Self::Standing { standing: Standing::Quorum } => {
                f.write_str("a majority of the hosts is heard, and their votes decide")
            }
            Self::Standing { standing: Standing::Alone } => {
                f.write_str("no majority of the hosts is heard; this host is alone and decides by its own view")
            }
            Self::Standing { standing: Standing::Listening } => {
                f.write_str("this host listens for the others; what was agreed on before stands")
            }
            Self::Sight { blind: true } => {
                f.write_str("this host finds no target that can be used; it abstains, and the others decide")
            }
            Self::Sight { blind: false } => f.write_str("this host finds targets that can be used again, and votes"),
            Self::Writer { host: Some(host) } => write!(f, "host {host} writes where only one host may"),
            Self::Writer { host: None } => {
                f.write_str("no host is known to write, for this host knows of none that a majority hears")
            }
            Self::Complaint { host, complaint, begins: true } => f.write_str(&complaint.sentence(host)),
            Self::Complaint { host, complaint, begins: false } => {
                write!(f, "no longer so: {}", complaint.sentence(host))
            }
            Self::Discovery { pool, news } => write!(f, "{pool}: {news}"),
            Self::Reload { targets } => write!(f, "a new configuration with {targets} targets is applied"),
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
        for targets in 0..KEPT + 10 {
            events.record(Moment::default(), What::Reload { targets });
        }
        let all = events.all();
        assert_eq!((all.len(), all[0].number, all[KEPT - 1].number), (KEPT, 10, KEPT as u64 + 9));
    }
}
