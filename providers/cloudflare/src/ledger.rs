//! What was shown, entry by entry, and how often someone else has undone it. Pure.
//!
//! An entry is one thing that can stand right or wrong: whether an origin is enabled, whether a record is there. Where the
//! world differs from the answer, either the answer has changed, which is ours to publish, or someone has changed the
//! world, which is drift. Drift is repaired, but not for ever: two updaters of one pool, or one updater and a determined
//! operator, would undo each other without end. So after [`REPAIRS`] an entry is left alone until the answer about it
//! changes, or until the world agrees again of itself and stays so.

use std::collections::BTreeMap;

use daymark_decision::PoolName;
use serde::{Deserialize, Serialize};

/// How often what someone else has changed is repaired.
const REPAIRS: u32 = 2;
/// After so many looks in a row that found an entry right, what was undone before is forgotten.
const FORGETS_AFTER: u32 = 12;

/// What was shown, pool by pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pools: BTreeMap<PoolName, Shown>,
}

/// What was shown of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Shown(BTreeMap<String, Entry>);

/// What was shown of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// How it was shown last.
    shown: bool,
    /// How often a change by someone else was repaired since.
    repaired: u32,
    /// How many looks in a row have found it right.
    agreed: u32,
}

/// How the world stands to the answer on one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// As it should; this is what to remember of it.
    Agrees(Entry),
    /// It is to be changed, since the answer has changed; to be remembered once that is done.
    Changes(Entry),
    /// Someone has changed it, and it is to be repaired; to be remembered once that is done.
    Drifted(Entry),
    /// Someone changes it again and again; this is what is remembered of it.
    Contested(Entry),
}

impl Ledger {
    /// What was shown of one pool.
    pub(crate) fn of(&self, pool: &PoolName) -> Shown {
        self.pools.get(pool).cloned().unwrap_or_default()
    }

    /// Remembers one entry.
    pub(crate) fn remember(&mut self, pool: &PoolName, key: &str, entry: Entry) {
        self.pools.entry(pool.clone()).or_default().0.insert(key.to_owned(), entry);
    }
}

impl Shown {
    /// How an entry stands that is observed in one state and desired in another.
    pub(crate) fn stand(&self, key: &str, observed: bool, desired: bool) -> Stand {
        let known = self.0.get(key).copied();
        let ours = known.filter(|entry| entry.shown == desired);
        match ours {
            Some(entry) if observed == desired => {
                let agreed = entry.agreed.saturating_add(1).min(FORGETS_AFTER);
                let repaired = if agreed == FORGETS_AFTER { 0 } else { entry.repaired };
                Stand::Agrees(Entry { repaired, agreed, ..entry })
            }
            Some(entry) if entry.repaired < REPAIRS => {
                Stand::Drifted(Entry { repaired: entry.repaired + 1, agreed: 0, ..entry })
            }
            Some(entry) => Stand::Contested(entry),
            None => {
                let entry = Entry { shown: desired, repaired: 0, agreed: 0 };
                if observed == desired { Stand::Agrees(entry) } else { Stand::Changes(entry) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> PoolName {
        PoolName::new("lb.example.org")
    }

    /// Carries out what an entry asks for, and tells whether that was a write.
    fn step(ledger: &mut Ledger, world: &mut bool, desired: bool) -> bool {
        let (entry, writes) = match ledger.of(&pool()).stand("it", *world, desired) {
            Stand::Agrees(entry) => (entry, false),
            Stand::Changes(entry) | Stand::Drifted(entry) => (entry, true),
            Stand::Contested(_) => return false,
        };
        ledger.remember(&pool(), "it", entry);
        if writes {
            *world = desired;
        }
        writes
    }

    #[test]
    fn a_change_of_the_answer_is_written_once_however_often_it_changes() {
        let (mut ledger, mut world) = (Ledger::default(), true);
        for n in 0..100 {
            assert!(step(&mut ledger, &mut world, n % 2 == 1), "the change {n} is written");
            assert!(!step(&mut ledger, &mut world, n % 2 == 1), "and not again");
        }
    }

    #[test]
    fn what_stands_right_at_first_sight_is_not_written() {
        let (mut ledger, mut world) = (Ledger::default(), true);
        assert!(!step(&mut ledger, &mut world, true));
    }

    #[test]
    fn drift_is_repaired_twice_and_then_left_alone_until_the_answer_changes() {
        let (mut ledger, mut world) = (Ledger::default(), true);
        step(&mut ledger, &mut world, true);
        let repairs: Vec<bool> = (0..5)
            .map(|_| {
                world = false;
                step(&mut ledger, &mut world, true)
            })
            .collect();
        assert_eq!(repairs, [true, true, false, false, false]);
        assert!(!step(&mut ledger, &mut world, false), "the answer comes to what the other wants");
        assert!(step(&mut ledger, &mut world, true), "and back: this is a change of ours");
    }

    #[test]
    fn two_updaters_that_disagree_come_to_rest() {
        let (mut one, mut two) = (Ledger::default(), Ledger::default());
        let mut world = true;
        let mut writes = 0;
        for _ in 0..1_000 {
            writes += usize::from(step(&mut one, &mut world, true));
            writes += usize::from(step(&mut two, &mut world, false));
        }
        assert!(writes <= 2 * (1 + REPAIRS as usize), "{writes} writes");
    }

    #[test]
    fn an_old_quarrel_is_forgotten_after_an_hour_of_agreement() {
        let (mut ledger, mut world) = (Ledger::default(), true);
        let mut undone = |looks: u32| {
            for _ in 0..looks {
                assert!(!step(&mut ledger, &mut world, true));
            }
            world = false;
            step(&mut ledger, &mut world, true)
        };
        let repaired = [undone(1), undone(1), undone(FORGETS_AFTER), undone(1)];
        assert_eq!(repaired, [true, true, true, true]);
    }
}
