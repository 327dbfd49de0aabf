//! What the driver has told last, to see what changes.

use std::collections::{BTreeMap, BTreeSet};

use daymark_api::EventKind;
use daymark_decision::{
    Decision, Engine, Grade, HostName, NodeName, OverrideEntry, OverrideState, PoolName, QuorumState, Target,
};

/// What was told last.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) revision: u64,
    pub(super) decision: Decision,
    pub(super) grades: BTreeMap<Target, Grade>,
    words: BTreeMap<(PoolName, NodeName), OverrideEntry>,
    /// What there is to tell of other hosts, where there are any.
    together: Option<Together>,
}

#[derive(Debug)]
struct Together {
    heard: BTreeSet<HostName>,
    quorum_state: QuorumState,
    isolated: bool,
    writer: Option<HostName>,
}

impl Told {
    /// What there is to tell now, with the decision.
    pub(super) fn of(engine: &Engine, decision: Decision) -> Self {
        let words = engine.override_entries().map(|(pool, node, word)| ((pool.clone(), node.clone()), word.clone()));
        let together = engine.membership().map(|_| Together {
            heard: engine.reachable_hosts(),
            quorum_state: engine.quorum_state(),
            isolated: engine.is_isolated(),
            writer: engine.writer().cloned(),
        });
        Self {
            revision: engine.revision(),
            decision,
            grades: engine.healths().map(|(target, health)| (target.clone(), health.grade())).collect(),
            words: words.collect(),
            together,
        }
    }

    /// What has changed since then, but for grades and answers.
    pub(super) fn until(&self, now: &Self) -> Vec<EventKind> {
        let words = now.words.iter().filter_map(|((pool, node), word)| {
            let former = self.words.get(&(pool.clone(), node.clone()));
            of_word(pool, node, former, word)
        });
        let gone = self.words.iter().filter(|(of, word)| word.active().is_some() && !now.words.contains_key(of));
        let gone = gone.map(|((pool, node), _)| EventKind::OverrideEnded { pool: pool.clone(), node: node.clone() });
        let together = self.together.iter().zip(&now.together).flat_map(|(then, now)| then.until(now));
        words.chain(gone).chain(together).collect()
    }

    /// Why the last word on the node of a target was undone, where that is what became of it.
    pub(super) fn reverted(&self, target: &Target) -> Option<String> {
        match &self.words.get(&(target.pool.clone(), target.node.clone()))?.state {
            OverrideState::Reverted(undone) => Some(undone.to_string()),
            OverrideState::Active(_) | OverrideState::Cleared => None,
        }
    }
}

impl Together {
    fn until(&self, now: &Self) -> Vec<EventKind> {
        let heard = |host: &HostName, heard| EventKind::Peer { host: host.clone(), reachable: heard };
        let mut whats: Vec<EventKind> = now.heard.difference(&self.heard).map(|host| heard(host, true)).collect();
        whats.extend(self.heard.difference(&now.heard).map(|host| heard(host, false)));
        whats.extend(
            (self.quorum_state != now.quorum_state)
                .then_some(EventKind::QuorumState { quorum_state: now.quorum_state }),
        );
        whats.extend((self.isolated != now.isolated).then_some(EventKind::Isolation { isolated: now.isolated }));
        whats.extend((self.writer != now.writer).then(|| EventKind::Writer { host: now.writer.clone() }));
        whats
    }
}

fn of_word(
    pool: &PoolName,
    node: &NodeName,
    former: Option<&OverrideEntry>,
    word: &OverrideEntry,
) -> Option<EventKind> {
    let (pool, node) = (pool.clone(), node.clone());
    match &word.state {
        OverrideState::Active(order) if former.is_none_or(|former| former.timestamp != word.timestamp) => {
            Some(EventKind::Override { pool, node, active_override: order.clone() })
        }
        OverrideState::Cleared if former.is_some_and(|former| former.active().is_some()) => {
            Some(EventKind::OverrideEnded { pool, node })
        }
        // Two hosts may have undone it for different others, but that is one event.
        OverrideState::Reverted(undone)
            if !former.is_some_and(|former| {
                matches!(former.state, OverrideState::Reverted(_)) && former.timestamp == word.timestamp
            }) =>
        {
            Some(EventKind::OverrideReverted { pool, node, reverted: undone.clone() })
        }
        _ => None,
    }
}
