//! A bounded history of the changes, and the one place that logs them.

use std::collections::VecDeque;
use std::sync::Arc;

use daymark_api::{Event, EventKind};
use daymark_decision::{Change, Moment, QuorumState, Target};
use parking_lot::Mutex;
use tracing::{info, warn};

/// The most events that are kept; the oldest is dropped first.
const MAX_EVENTS: usize = 1_000;

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
    pub fn record(&self, at: Moment, kind: EventKind) {
        let message = kind.to_string();
        log(&kind, &message);
        let mut history = self.0.lock();
        if history.kept.len() == MAX_EVENTS {
            history.kept.pop_front();
        }
        let number = history.next;
        history.next += 1;
        history.kept.push_back(Event { number, at, kind, message });
    }

    /// The kept events, oldest first.
    pub fn all(&self) -> Vec<Event> {
        self.0.lock().kept.iter().cloned().collect()
    }
}

/// Logs an event in one line.
fn log(kind: &EventKind, message: &str) {
    match kind {
        EventKind::Answer(Change { pool, generation, old, new, basis, .. }) => {
            let old = spaced(old);
            let new = spaced(new);
            if basis.is_alarm() {
                warn!(event = "answer", %pool, old, new, basis = basis.as_str(), generation, "{message}");
            } else {
                info!(event = "answer", %pool, old, new, basis = basis.as_str(), generation, "{message}");
            }
        }
        EventKind::Grade { target: Target { pool, node, address }, from, to, .. } => {
            info!(event = "grade", %pool, %node, %address, %from, %to, "{message}");
        }
        EventKind::Override { pool, node, .. } => info!(event = "override", %pool, %node, "{message}"),
        EventKind::OverrideEnded { pool, node } => info!(event = "overrideEnded", %pool, %node, "{message}"),
        EventKind::OverrideReverted { pool, node, .. } => warn!(event = "overrideReverted", %pool, %node, "{message}"),
        EventKind::Peer { host, reachable: true } => info!(event = "peer", %host, reachable = true, "{message}"),
        EventKind::Peer { host, reachable: false } => warn!(event = "peer", %host, reachable = false, "{message}"),
        EventKind::QuorumState { quorum_state: state @ QuorumState::NoQuorum } => {
            warn!(event = "quorumState", quorumState = state.as_str(), "{message}");
        }
        EventKind::QuorumState { quorum_state } => {
            info!(event = "quorumState", quorumState = quorum_state.as_str(), "{message}");
        }
        EventKind::Isolation { isolated: true } => warn!(event = "isolation", isolated = true, "{message}"),
        EventKind::Isolation { isolated: false } => info!(event = "isolation", isolated = false, "{message}"),
        EventKind::Writer { host: Some(host) } => info!(event = "writer", %host, "{message}"),
        EventKind::Writer { host: None } => warn!(event = "writer", "{message}"),
        EventKind::Mismatch { host, mismatch, begins: true } => {
            warn!(event = "mismatch", %host, mismatch = mismatch.label(), begins = true, "{message}");
        }
        EventKind::Mismatch { host, mismatch, begins: false } => {
            info!(event = "mismatch", %host, mismatch = mismatch.label(), begins = false, "{message}");
        }
        EventKind::Discovery { pool, change } if change.is_warning() => {
            warn!(event = "discovery", %pool, change = change.label(), "{message}");
        }
        EventKind::Discovery { pool, change } => {
            info!(event = "discovery", %pool, change = change.label(), "{message}");
        }
        EventKind::Reload { target_count } => info!(event = "reload", targetCount = target_count, "{message}"),
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
        for target_count in 0..MAX_EVENTS + 10 {
            events.record(Moment::default(), EventKind::Reload { target_count });
        }
        let all = events.all();
        assert_eq!((all.len(), all[0].number, all[MAX_EVENTS - 1].number), (MAX_EVENTS, 10, MAX_EVENTS as u64 + 9));
    }
}
