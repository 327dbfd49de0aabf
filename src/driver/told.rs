//! What the driver has told last, to see what changes.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{
    Decision, Engine, Grade, HostName, NodeName, OverrideEntry, OverrideState, PoolName, Standing, Target,
};

use crate::events::What;

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
    standing: Standing,
    is_blind: bool,
    writer: Option<HostName>,
}

impl Told {
    /// What there is to tell now, with the decision.
    pub(super) fn of(engine: &Engine, decision: Decision) -> Self {
        let words = engine.override_entries().map(|(pool, node, word)| ((pool.clone(), node.clone()), word.clone()));
        let together = engine.membership().has_others().then(|| Together {
            heard: engine.hears(),
            standing: engine.standing(),
            is_blind: engine.is_blind(),
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
    pub(super) fn until(&self, now: &Self) -> Vec<What> {
        let words = now.words.iter().filter_map(|((pool, node), word)| {
            let former = self.words.get(&(pool.clone(), node.clone()));
            of_word(pool, node, former, word)
        });
        let gone = self.words.iter().filter(|(of, word)| word.order().is_some() && !now.words.contains_key(of));
        let gone = gone.map(|((pool, node), _)| What::OverrideEnded { pool: pool.clone(), node: node.clone() });
        let together = self.together.iter().zip(&now.together).flat_map(|(then, now)| then.until(now));
        words.chain(gone).chain(together).collect()
    }

    /// Why the last word on the node of a target was undone, where that is what became of it.
    pub(super) fn undone(&self, target: &Target) -> Option<String> {
        match &self.words.get(&(target.pool.clone(), target.node.clone()))?.fate {
            OverrideState::Reverted(undone) => Some(undone.to_string()),
            OverrideState::Active(_) | OverrideState::Cleared => None,
        }
    }
}

impl Together {
    fn until(&self, now: &Self) -> Vec<What> {
        let heard = |host: &HostName, heard| What::Heard { host: host.clone(), heard };
        let mut whats: Vec<What> = now.heard.difference(&self.heard).map(|host| heard(host, true)).collect();
        whats.extend(self.heard.difference(&now.heard).map(|host| heard(host, false)));
        whats.extend((self.standing != now.standing).then_some(What::Standing { standing: now.standing }));
        whats.extend((self.is_blind != now.is_blind).then_some(What::Sight { blind: now.is_blind }));
        whats.extend((self.writer != now.writer).then(|| What::Writer { host: now.writer.clone() }));
        whats
    }
}

fn of_word(pool: &PoolName, node: &NodeName, former: Option<&OverrideEntry>, word: &OverrideEntry) -> Option<What> {
    let (pool, node) = (pool.clone(), node.clone());
    match &word.fate {
        OverrideState::Active(order) if former.is_none_or(|former| former.stamp != word.stamp) => {
            Some(What::Override { pool, node, order: order.clone() })
        }
        OverrideState::Cleared if former.is_some_and(|former| former.order().is_some()) => {
            Some(What::OverrideEnded { pool, node })
        }
        // Two hosts may have undone it for different others, but that is one event.
        OverrideState::Reverted(undone)
            if !former.is_some_and(|former| {
                matches!(former.fate, OverrideState::Reverted(_)) && former.stamp == word.stamp
            }) =>
        {
            Some(What::OverrideReverted { pool, node, undone: undone.clone() })
        }
        _ => None,
    }
}
