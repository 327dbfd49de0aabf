//! What was shown, entry by entry, and how often someone else has undone it. Pure.
//!
//! An entry is one thing that can stand right or wrong: whether an origin is enabled, whether a record is there, whether a
//! TTL is 60. Its key holds the value that is wanted, if it is more than yes or no: another value is another entry. Where the
//! world differs from the answer, either the answer has changed, which is ours to publish, or someone has changed the world,
//! which is drift. Drift is repaired, but not for ever: two updaters of one pool, or one updater and a determined operator,
//! would undo each other without end. So after [`REPAIRS`] an entry is left alone until the answer about it changes, or until
//! the world agrees again of itself and stays so.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::PoolName;
use serde::{Deserialize, Serialize};

/// How often what someone else has changed is repaired.
const REPAIRS: u32 = 2;
/// How often something is written that was never read back as written: reads may lag, or someone is quicker than they are.
const WRITES: u32 = 8;
/// After so many looks in a row that found an entry right, what was undone before is forgotten; and after so many for which
/// it belonged to nothing, the entry itself.
const FORGETS_AFTER: u32 = 12;
/// The longest pause before what the name cannot do without is made once more, in passes.
const LONGEST_PAUSE: u32 = 8;

/// What was shown, pool by pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pools: BTreeMap<PoolName, BTreeMap<String, Entry>>,
}

/// What was shown of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    entries: BTreeMap<String, Entry>,
    /// Whether this is a look at what stood undisturbed for a while.
    is_look: bool,
}

/// What was shown of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// How it was shown last.
    shown: bool,
    /// How often a change by someone else was repaired since.
    repaired: u32,
    /// How many looks in a row have found it right.
    agreed: u32,
    /// How often it was written since it was last read as it should be.
    #[serde(default)]
    unread: u32,
    /// For how many passes it was left as it is, where the name cannot do without it.
    #[serde(default)]
    left: u32,
    /// For how many looks it has belonged to nothing.
    #[serde(default)]
    idle: u32,
}

/// How the world stands to the answer on one entry. Each has what to remember: at once, or once it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// As it should.
    Agrees(Entry),
    /// It is to be changed, since the answer has changed, or since it does not yet read as it was written.
    Changes(Entry),
    /// Someone has changed it, and it is to be repaired.
    Drifted(Entry),
    /// Someone changes it again and again.
    Contested(Entry),
}

impl Ledger {
    /// What was shown of one pool. `is_look`: to look at what stood undisturbed for a while.
    pub(crate) fn of(&self, pool: &PoolName, is_look: bool) -> Shown {
        Shown { entries: self.pools.get(pool).cloned().unwrap_or_default(), is_look }
    }

    /// Remembers one entry.
    pub(crate) fn remember(&mut self, pool: &PoolName, key: &str, entry: Entry) {
        self.pools.entry(pool.clone()).or_default().insert(key.to_owned(), entry);
    }

    /// Forgets the entries of one pool that have belonged to nothing for some looks. Only those of these `keys` belong to
    /// something now.
    pub(crate) fn prune(&mut self, pool: &PoolName, keys: &BTreeSet<&str>, is_look: bool) {
        let Some(entries) = self.pools.get_mut(pool) else { return };
        entries.retain(|key, entry| {
            entry.idle = if keys.contains(key.as_str()) { 0 } else { entry.idle + u32::from(is_look) };
            entry.idle < FORGETS_AFTER
        });
    }

    /// Forgets every pool but these.
    pub(crate) fn keep_pools(&mut self, is_served: impl Fn(&PoolName) -> bool) {
        self.pools.retain(|pool, _| is_served(pool));
    }
}

impl Entry {
    /// A contested entry that is to be made once more, or else is left for this pass. Each pause is twice as long.
    pub(crate) fn once_more(self) -> Result<Self, Self> {
        let pause = 2_u32.saturating_pow(self.repaired.saturating_sub(REPAIRS)).min(LONGEST_PAUSE);
        if self.left < pause {
            return Err(Self { left: self.left + 1, ..self });
        }
        Ok(Self { repaired: self.repaired.saturating_add(1), unread: 1, left: 0, ..self })
    }
}

impl Shown {
    /// How an entry stands that is observed in one state and desired in another.
    pub(crate) fn stand(&self, key: &str, observed: bool, desired: bool) -> Stand {
        let known = self.entries.get(key).copied().filter(|entry| entry.shown == desired);
        let entry = known.unwrap_or(Entry { shown: desired, ..Entry::default() });
        if observed == desired {
            return Stand::Agrees(self.agreed(entry));
        }
        let written = Entry { agreed: 0, unread: entry.unread + 1, ..entry };
        match known {
            None | Some(Entry { unread: 1..WRITES, .. }) => Stand::Changes(written),
            Some(Entry { unread: 0, repaired, .. }) if repaired < REPAIRS => {
                Stand::Drifted(Entry { repaired: repaired + 1, ..written })
            }
            Some(_) => Stand::Contested(Entry { agreed: 0, ..entry }),
        }
    }

    /// The keys of what was shown as not being there.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|(_, entry)| !entry.shown).map(|(key, _)| key.as_str())
    }

    fn agreed(&self, entry: Entry) -> Entry {
        let agreed = (entry.agreed + u32::from(self.is_look)).min(FORGETS_AFTER);
        let repaired = if agreed == FORGETS_AFTER { 0 } else { entry.repaired };
        Entry { repaired, agreed, unread: 0, ..entry }
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
        let (entry, writes) = match ledger.of(&pool(), true).stand("it", *world, desired) {
            Stand::Agrees(entry) | Stand::Contested(entry) => (entry, false),
            Stand::Changes(entry) | Stand::Drifted(entry) => (entry, true),
        };
        ledger.remember(&pool(), "it", entry);
        if writes {
            *world = desired;
            let Stand::Agrees(entry) = ledger.of(&pool(), false).stand("it", *world, desired) else {
                panic!("it reads as it was written")
            };
            ledger.remember(&pool(), "it", entry);
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

    #[test]
    fn looks_count_only_in_a_row_and_only_where_they_are_looks() {
        let (mut ledger, mut world) = (Ledger::default(), true);
        for round in 0..10 {
            for _ in 0..FORGETS_AFTER - 1 {
                step(&mut ledger, &mut world, true);
            }
            let Stand::Agrees(entry) = ledger.of(&pool(), false).stand("it", world, true) else {
                panic!("it is right")
            };
            ledger.remember(&pool(), "it", entry);
            world = false;
            assert_eq!(step(&mut ledger, &mut world, true), round < 2, "round {round}");
            world = true;
        }
    }

    #[test]
    fn what_does_not_read_as_it_was_written_is_written_again_and_is_nobodys_edit() {
        let mut ledger = Ledger::default();
        let mut write = || match ledger.of(&pool(), false).stand("it", false, true) {
            Stand::Changes(entry) => {
                ledger.remember(&pool(), "it", entry);
                true
            }
            Stand::Contested(_) => false,
            other => panic!("{other:?}"),
        };
        assert_eq!((0..20).take_while(|_| write()).count(), WRITES as usize, "but not for ever");
    }
}
