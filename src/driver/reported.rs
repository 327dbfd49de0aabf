//! The state that the driver has reported last. Compared with the present state, it gives the events of a change.

use std::collections::{BTreeMap, BTreeSet};

use daymark_api::EventKind;
use daymark_decision::{Decision, Engine, Grade, HostName, NodeKey, OverrideEntry, OverrideState, QuorumState, Target};

/// A state of the engine, with its decision.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) revision: u64,
    pub(super) decision: Decision,
    pub(super) grades: BTreeMap<Target, Grade>,
    override_entries: BTreeMap<NodeKey, OverrideEntry>,
    /// `None` if this host has no others.
    hosts: Option<HostsState>,
}

#[derive(Debug)]
struct HostsState {
    reachable: BTreeSet<HostName>,
    quorum_state: QuorumState,
    isolated: bool,
    writer: Option<HostName>,
}

impl Reported {
    /// The present state of the engine.
    pub(super) fn new(engine: &Engine, decision: Decision) -> Self {
        let override_entries = engine.override_entries().map(|(key, entry)| (key.clone(), entry.clone()));
        let hosts = engine.membership().map(|_| HostsState {
            reachable: engine.reachable_hosts(),
            quorum_state: engine.quorum_state(),
            isolated: engine.is_isolated(),
            writer: engine.writer().cloned(),
        });
        Self {
            revision: engine.revision(),
            decision,
            grades: engine.healths().map(|(target, health)| (target.clone(), health.grade())).collect(),
            override_entries: override_entries.collect(),
            hosts,
        }
    }

    /// The events from this state to a later one, except for those of grades and answers.
    pub(super) fn events_until(&self, now: &Self) -> Vec<EventKind> {
        let changed = now.override_entries.iter().filter_map(|(key, entry)| {
            let former = self.override_entries.get(key);
            override_event(key, former, entry)
        });
        let removed = self
            .override_entries
            .iter()
            .filter(|(key, entry)| entry.active().is_some() && !now.override_entries.contains_key(key));
        let ended = removed.map(|(key, _)| EventKind::OverrideEnded { pool: key.pool.clone(), node: key.node.clone() });
        let hosts = self.hosts.iter().zip(&now.hosts).flat_map(|(former, now)| former.events_until(now));
        changed.chain(ended).chain(hosts).collect()
    }

    /// The reason for which the drain of a target's node was reverted, if it was.
    pub(super) fn reverted(&self, target: &Target) -> Option<String> {
        match &self.override_entries.get(&target.node_key())?.state {
            OverrideState::Reverted(reverted) => Some(reverted.to_string()),
            OverrideState::Active(_) | OverrideState::Cleared => None,
        }
    }
}

impl HostsState {
    fn events_until(&self, now: &Self) -> Vec<EventKind> {
        let mut events = Vec::new();
        for host in now.reachable.difference(&self.reachable) {
            events.push(EventKind::Peer { host: host.clone(), reachable: true });
        }
        for host in self.reachable.difference(&now.reachable) {
            events.push(EventKind::Peer { host: host.clone(), reachable: false });
        }
        if self.quorum_state != now.quorum_state {
            events.push(EventKind::QuorumState { quorum_state: now.quorum_state });
        }
        if self.isolated != now.isolated {
            events.push(EventKind::Isolation { isolated: now.isolated });
        }
        if self.writer != now.writer {
            events.push(EventKind::Writer { host: now.writer.clone() });
        }
        events
    }
}

/// The event of a change of a node's override, if it has changed.
fn override_event(key: &NodeKey, former: Option<&OverrideEntry>, entry: &OverrideEntry) -> Option<EventKind> {
    let pool = key.pool.clone();
    let node = key.node.clone();
    match &entry.state {
        OverrideState::Active(active) if former.is_none_or(|former| former.timestamp != entry.timestamp) => {
            Some(EventKind::Override { pool, node, active_override: active.clone() })
        }
        OverrideState::Cleared if former.is_some_and(|former| former.active().is_some()) => {
            Some(EventKind::OverrideEnded { pool, node })
        }
        // Two hosts may revert a drain for the sake of different others. That is one event.
        OverrideState::Reverted(reverted) if !former.is_some_and(|former| is_same_reverted(former, entry)) => {
            Some(EventKind::OverrideReverted { pool, node, reverted: reverted.clone() })
        }
        _ => None,
    }
}

fn is_same_reverted(former: &OverrideEntry, entry: &OverrideEntry) -> bool {
    matches!(former.state, OverrideState::Reverted(_)) && former.timestamp == entry.timestamp
}
