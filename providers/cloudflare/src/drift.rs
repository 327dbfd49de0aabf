//! The drift tracker: the entries that Daymark has published, and how often someone else has changed them. Pure.
//!
//! An entry is one property of the remote state that matches the answer or does not: an origin is enabled, a record exists, a
//! TTL is 60. If a property has more values than yes and no, its key contains the desired one, so another value is another
//! entry.
//!
//! If the remote state differs from the answer, there are two causes. Either the answer has changed, and Daymark publishes the
//! change. Or someone else has changed the remote state, which is drift, and Daymark repairs it. But two updaters of one pool
//! would undo each other without end. So after [`MAX_REPAIRS`] Daymark leaves the entry alone until the answer about it
//! changes, or until the remote state matches by itself for a while.
//!
//! Example: node-1 is in the answer and someone disables its origin. The next two drift checks enable it again. The third time,
//! the origin stays disabled and the provider reports a problem. When the answer excludes node-1 and includes it again, Daymark
//! enables the origin, since that is a change of the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daymark_decision::PoolName;
use serde::{Deserialize, Serialize};

/// The pause before the next drift check after a write with an unknown outcome, which Cloudflare may still apply.
pub(crate) const RECHECK_AFTER: Duration = Duration::from_secs(30);
/// The number of repairs of one entry.
const MAX_REPAIRS: u32 = 2;
/// The number of writes of one entry that is never read back as written. Reads may lag, or someone may be quicker than they.
const MAX_UNCONFIRMED_WRITES: u32 = 8;
/// The number of successive drift checks after which repairs are forgotten if the entry matched in each, and after which the
/// entry is forgotten if it belonged to no object in each.
const FORGET_AFTER: u32 = 12;
/// The longest pause between two writes of an essential entry, in passes.
const MAX_PAUSE: u32 = 8;

/// The published entries of all pools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DriftTracker {
    pools: BTreeMap<PoolName, BTreeMap<String, EntryHistory>>,
}

/// The published entries of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PublishedEntries {
    entries: BTreeMap<String, EntryHistory>,
    /// True if the remote state had time to drift since the last pass.
    is_drift_check: bool,
}

/// The history of one entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryHistory {
    /// The state that was published last.
    published: bool,
    /// The number of repairs since then.
    repairs: u32,
    /// The number of successive drift checks in which it matched.
    matches: u32,
    /// The number of writes since it was last read as written.
    #[serde(default)]
    unconfirmed_writes: u32,
    /// The number of passes that have left an essential entry as it is.
    #[serde(default)]
    skipped_passes: u32,
    /// The number of drift checks in which it belonged to no object.
    #[serde(default)]
    unused_checks: u32,
}

/// An entry with its key, to be remembered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamedEntry {
    pub(crate) key: String,
    pub(crate) entry: EntryHistory,
}

/// The state of one entry, observed and desired.
#[derive(Clone, Copy, Debug)]
pub(crate) struct States {
    pub(crate) observed: bool,
    pub(crate) desired: bool,
}

/// The comparison of the remote state with the answer, for one entry. Each variant has the entry to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// It matches. The entry is remembered at once.
    Matches(EntryHistory),
    /// It must be written: the answer has changed, or it does not read as it was written. The entry is remembered after that.
    Changed(EntryHistory),
    /// Someone else has changed it, and it must be repaired. The entry is remembered after that.
    Drifted(EntryHistory),
    /// Someone else changes it again and again. The entry is remembered at once.
    Contested(EntryHistory),
}

impl DriftTracker {
    /// The published entries of one pool, to compare them with its remote state.
    pub(crate) fn of(&self, pool: &PoolName, is_drift_check: bool) -> PublishedEntries {
        PublishedEntries { entries: self.pools.get(pool).cloned().unwrap_or_default(), is_drift_check }
    }

    /// Remembers one entry.
    pub(crate) fn remember(&mut self, pool: &PoolName, named: &NamedEntry) {
        self.pools.entry(pool.clone()).or_default().insert(named.key.clone(), named.entry);
    }

    /// Forgets the entries of one pool that have belonged to no object for a while. The entries with these `keys` belong to
    /// one now.
    pub(crate) fn prune(&mut self, pool: &PoolName, keys: &BTreeSet<&str>, is_drift_check: bool) {
        let Some(entries) = self.pools.get_mut(pool) else { return };
        entries.retain(|key, entry| {
            let is_used = keys.contains(key.as_str());
            entry.unused_checks = if is_used { 0 } else { entry.unused_checks + u32::from(is_drift_check) };
            entry.unused_checks < FORGET_AFTER
        });
    }

    /// Forgets every pool that is not served.
    pub(crate) fn keep_pools(&mut self, is_served: impl Fn(&PoolName) -> bool) {
        self.pools.retain(|pool, _| is_served(pool));
    }
}

impl EntryHistory {
    /// Decides about a contested entry that is essential: `Ok` to write it once more, `Err` to skip this pass. Each pause is
    /// twice as long as the one before.
    pub(crate) fn retry(self) -> Result<Self, Self> {
        let pause = 2_u32.saturating_pow(self.repairs.saturating_sub(MAX_REPAIRS)).min(MAX_PAUSE);
        if self.skipped_passes < pause {
            return Err(Self { skipped_passes: self.skipped_passes + 1, ..self });
        }
        Ok(Self { repairs: self.repairs.saturating_add(1), unconfirmed_writes: 1, skipped_passes: 0, ..self })
    }
}

impl PublishedEntries {
    /// Compares the observed with the desired state of one entry.
    pub(crate) fn compare(&self, key: &str, states: States) -> Comparison {
        let States { observed, desired } = states;
        let known = self.entries.get(key).copied().filter(|entry| entry.published == desired);
        let entry = known.unwrap_or(EntryHistory { published: desired, ..EntryHistory::default() });
        if observed == desired {
            return Comparison::Matches(self.matched(entry));
        }
        let written = EntryHistory { matches: 0, unconfirmed_writes: entry.unconfirmed_writes + 1, ..entry };
        match known {
            None | Some(EntryHistory { unconfirmed_writes: 1..MAX_UNCONFIRMED_WRITES, .. }) => {
                Comparison::Changed(written)
            }
            Some(EntryHistory { unconfirmed_writes: 0, repairs, .. }) if repairs < MAX_REPAIRS => {
                Comparison::Drifted(EntryHistory { repairs: repairs + 1, ..written })
            }
            Some(_) => Comparison::Contested(EntryHistory { matches: 0, ..entry }),
        }
    }

    /// The keys of the entries that were published as absent.
    pub(crate) fn absent_keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|(_, entry)| !entry.published).map(|(key, _)| key.as_str())
    }

    fn matched(&self, entry: EntryHistory) -> EntryHistory {
        let matches = (entry.matches + u32::from(self.is_drift_check)).min(FORGET_AFTER);
        let repairs = if matches == FORGET_AFTER { 0 } else { entry.repairs };
        EntryHistory { repairs, matches, unconfirmed_writes: 0, ..entry }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daymark_decision::fixtures::pool_name;

    const KEY: &str = "an entry";

    fn pool() -> PoolName {
        pool_name("lb.example.org")
    }

    fn compare(tracker: &DriftTracker, is_drift_check: bool, observed: bool, desired: bool) -> Comparison {
        tracker.of(&pool(), is_drift_check).compare(KEY, States { observed, desired })
    }

    fn remember(tracker: &mut DriftTracker, entry: EntryHistory) {
        tracker.remember(&pool(), &NamedEntry { key: KEY.to_owned(), entry });
    }

    /// Does what the comparison asks for. Returns true if that was a write.
    fn step(tracker: &mut DriftTracker, remote: &mut bool, desired: bool) -> bool {
        let (entry, is_write) = match compare(tracker, true, *remote, desired) {
            Comparison::Matches(entry) | Comparison::Contested(entry) => (entry, false),
            Comparison::Changed(entry) | Comparison::Drifted(entry) => (entry, true),
        };
        remember(tracker, entry);
        if is_write {
            *remote = desired;
            let Comparison::Matches(entry) = compare(tracker, false, *remote, desired) else {
                panic!("it reads as it was written")
            };
            remember(tracker, entry);
        }
        is_write
    }

    #[test]
    fn a_change_of_the_answer_is_written_once_however_often_it_changes() {
        let mut tracker = DriftTracker::default();
        let mut remote = true;
        for n in 0..100 {
            assert!(step(&mut tracker, &mut remote, n % 2 == 1), "the change {n} is written");
            assert!(!step(&mut tracker, &mut remote, n % 2 == 1), "and not again");
        }
    }

    #[test]
    fn an_entry_that_matches_at_first_is_not_written() {
        let mut tracker = DriftTracker::default();
        let mut remote = true;
        assert!(!step(&mut tracker, &mut remote, true));
    }

    #[test]
    fn drift_is_repaired_twice_and_then_left_alone_until_the_answer_changes() {
        let mut tracker = DriftTracker::default();
        let mut remote = true;
        step(&mut tracker, &mut remote, true);
        let repairs: Vec<bool> = (0..5)
            .map(|_| {
                remote = false;
                step(&mut tracker, &mut remote, true)
            })
            .collect();
        assert_eq!(repairs, [true, true, false, false, false]);
        assert!(!step(&mut tracker, &mut remote, false), "the answer becomes what the other wants");
        assert!(step(&mut tracker, &mut remote, true), "and back: this is a change of ours");
    }

    #[test]
    fn two_updaters_that_disagree_come_to_rest() {
        let mut one = DriftTracker::default();
        let mut two = DriftTracker::default();
        let mut remote = true;
        let mut writes = 0;
        for _ in 0..1_000 {
            writes += usize::from(step(&mut one, &mut remote, true));
            writes += usize::from(step(&mut two, &mut remote, false));
        }
        assert!(writes <= 2 * (1 + MAX_REPAIRS as usize), "{writes} writes");
    }

    #[test]
    fn repairs_are_forgotten_after_an_hour_of_matches() {
        let mut tracker = DriftTracker::default();
        let mut remote = true;
        let mut repairs_after = |checks: u32| {
            for _ in 0..checks {
                assert!(!step(&mut tracker, &mut remote, true));
            }
            remote = false;
            step(&mut tracker, &mut remote, true)
        };
        let repaired = [repairs_after(1), repairs_after(1), repairs_after(FORGET_AFTER), repairs_after(1)];
        assert_eq!(repaired, [true, true, true, true]);
    }

    #[test]
    fn matches_count_only_in_a_row_and_only_in_drift_checks() {
        let mut tracker = DriftTracker::default();
        let mut remote = true;
        for round in 0..10 {
            for _ in 0..FORGET_AFTER - 1 {
                step(&mut tracker, &mut remote, true);
            }
            let Comparison::Matches(entry) = compare(&tracker, false, remote, true) else { panic!("it matches") };
            remember(&mut tracker, entry);
            remote = false;
            assert_eq!(step(&mut tracker, &mut remote, true), round < 2, "round {round}");
            remote = true;
        }
    }

    #[test]
    fn what_does_not_read_as_it_was_written_is_written_again_and_is_nobodys_edit() {
        let mut tracker = DriftTracker::default();
        let mut write = || match compare(&tracker, false, false, true) {
            Comparison::Changed(entry) => {
                remember(&mut tracker, entry);
                true
            }
            Comparison::Contested(_) => false,
            other => panic!("{other:?}"),
        };
        assert_eq!((0..20).take_while(|_| write()).count(), MAX_UNCONFIRMED_WRITES as usize, "but not for ever");
    }
}
