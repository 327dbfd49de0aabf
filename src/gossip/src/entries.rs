//! The replicated state of one host: versioned entries, as in Scuttlebutt.
//!
//! A host owns its entries and raises its version with every change. Copies of them on other hosts follow version by version.
//! This module knows nothing of messages, of time and of other hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use data_encoding::HEXLOWER;
use daymark_decision::{HostName, Moment, NodeKey, OverrideEntry, PoolName, Target, Vote};
use serde::{Deserialize, Serialize};

/// The most entries that a copy holds, removed ones included. It is several times what the largest configuration has.
const MAX_ENTRIES: usize = 20_000;

/// The first bytes of a hash over the configuration of one pool. Shown in hex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationHash(pub [u8; 8]);

impl fmt::Display for ConfigurationHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// The key of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EntryKey {
    /// The part that the host takes in votes and in the election of the writer.
    Participation,
    /// The hosts that the host reaches.
    ReachableHosts,
    /// The hosts in the host's configuration.
    Members,
    /// The host's configuration of a pool.
    Configuration(PoolName),
    /// The host's vote on a target.
    Vote(Target),
    /// The newest override of a node that the host knows.
    Override(NodeKey),
    /// The newest override of the node is not on the disk of the host.
    UnsavedOverride(NodeKey),
}

/// The value of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryValue {
    /// See [`EntryKey::Participation`].
    Participation {
        /// The host is isolated, so its votes do not count.
        abstains: bool,
        /// The host can write to a remote provider and has a quorum.
        eligible_writer: bool,
    },
    /// See [`EntryKey::ReachableHosts`]. The host itself is included.
    ReachableHosts(BTreeSet<HostName>),
    /// See [`EntryKey::Members`]. The host itself is included.
    Members(BTreeSet<HostName>),
    /// See [`EntryKey::Configuration`].
    Configuration(ConfigurationHash),
    /// See [`EntryKey::Vote`].
    Vote(Vote),
    /// See [`EntryKey::Override`].
    Override(#[serde(with = "override_encoding")] OverrideEntry),
    /// See [`EntryKey::UnsavedOverride`]. The key says everything.
    UnsavedOverride,
}

impl EntryValue {
    /// Moves the moments in the value from the sender's clock to this host's.
    pub(crate) fn shifted(self, there: Moment, here: Moment) -> Self {
        match self {
            Self::Override(entry) => Self::Override(entry.shifted(there, here)),
            timeless => timeless,
        }
    }
}

/// The encoding of an override. Its causal context repeats the same few hosts, so it names each host once.
mod override_encoding {
    use super::{Deserialize, HostName, OverrideEntry, Serialize};
    use daymark_decision::HybridTimestamp;
    use serde::{Deserializer, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    struct Encoded {
        /// `None` stands for a host that had no others.
        hosts: Vec<Option<HostName>>,
        causal_context: Vec<IndexedTimestamp>,
        /// The entry without its causal context.
        rest: OverrideEntry,
    }

    #[derive(Serialize, Deserialize)]
    struct IndexedTimestamp {
        time: u64,
        /// The place of the host in `Encoded::hosts`.
        host: u8,
    }

    pub(super) fn serialize<S: Serializer>(entry: &OverrideEntry, serializer: S) -> Result<S::Ok, S::Error> {
        let mut hosts: Vec<Option<HostName>> =
            entry.causal_context.iter().map(|timestamp| timestamp.host.clone()).collect();
        hosts.sort();
        hosts.dedup();
        let indexed = |timestamp: &HybridTimestamp| {
            let index = hosts.binary_search(&timestamp.host).ok().and_then(|index| u8::try_from(index).ok());
            IndexedTimestamp { time: timestamp.time, host: index.unwrap_or(u8::MAX) }
        };
        let causal_context = entry.causal_context.iter().map(indexed).collect();
        let rest = OverrideEntry { causal_context: Vec::new(), ..entry.clone() };
        Encoded { hosts, causal_context, rest }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OverrideEntry, D::Error> {
        let Encoded { hosts, causal_context, rest } = Encoded::deserialize(deserializer)?;
        let timestamp = |indexed: IndexedTimestamp| {
            let host = hosts.get(usize::from(indexed.host)).cloned();
            host.map(|host| HybridTimestamp { time: indexed.time, host })
                .ok_or_else(|| D::Error::custom("a timestamp of the causal context names no host"))
        };
        let causal_context = causal_context.into_iter().map(timestamp).collect::<Result<_, _>>()?;
        Ok(OverrideEntry { causal_context, ..rest })
    }
}

/// A state of one host's entries: the run, and the version that it has reached. A later run is greater, whatever its version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunVersion {
    pub(crate) incarnation: u64,
    pub(crate) version: u64,
}

impl RunVersion {
    /// The version that is reached of a run; 0 if this is another run.
    pub(crate) fn version_of(self, incarnation: u64) -> u64 {
        if self.incarnation == incarnation { self.version } else { 0 }
    }
}

/// A change of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) version: u64,
    pub(crate) key: EntryKey,
    /// `None` if the entry was removed.
    pub(crate) value: Option<EntryValue>,
}

/// All entries of one host, or a copy of them that may have gaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostEntries {
    /// Every change up to this version is here.
    version: u64,
    by_key: BTreeMap<EntryKey, VersionedValue>,
    by_version: BTreeMap<u64, EntryKey>,
}

#[derive(Clone, Debug)]
struct VersionedValue {
    version: u64,
    /// `None` if the entry was removed.
    value: Option<EntryValue>,
}

impl HostEntries {
    /// The version up to which the entries are complete.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&EntryKey, &EntryValue)> {
        self.by_key.iter().filter_map(|(key, versioned)| Some((key, versioned.value.as_ref()?)))
    }

    pub(crate) fn get(&self, key: &EntryKey) -> Option<&EntryValue> {
        self.by_key.get(key)?.value.as_ref()
    }

    /// The number of removed entries.
    pub(crate) fn removed(&self) -> usize {
        self.by_key.values().filter(|versioned| versioned.value.is_none()).count()
    }

    /// Replaces all entries of this host by these. Each difference gets a version of its own.
    pub(crate) fn set(&mut self, entries: &BTreeMap<EntryKey, EntryValue>) {
        let removed: Vec<EntryKey> =
            self.iter().map(|(key, _)| key).filter(|key| !entries.contains_key(key)).cloned().collect();
        for key in removed {
            self.change(key, None);
        }
        for (key, value) in entries {
            if self.get(key) != Some(value) {
                self.change(key.clone(), Some(value.clone()));
            }
        }
    }

    /// Applies the changes of a delta to a copy, which must be in the range above `after`, up to `up_to`. Returns the keys of
    /// those that are newer than the copy's. A full copy takes no new key.
    ///
    /// If changes before `after` are missing, the new ones take effect all the same, and [`HostEntries::version`] keeps
    /// showing the gap.
    pub(crate) fn apply(&mut self, after: u64, up_to: u64, entries: Vec<Entry>) -> Vec<EntryKey> {
        let mut changed = Vec::new();
        for entry in entries {
            let is_newer = match self.by_key.get(&entry.key) {
                Some(known) => known.version < entry.version,
                None => self.by_key.len() < MAX_ENTRIES,
            };
            if is_newer {
                changed.push(entry.key.clone());
                self.put(entry);
            }
        }
        if after <= self.version {
            self.version = self.version.max(up_to);
        }
        changed
    }

    /// The changes after a version, in the order of their versions.
    pub(crate) fn changed_after(&self, version: u64) -> impl Iterator<Item = Entry> {
        self.by_version.range(version.saturating_add(1)..=self.version).map(|(version, key)| Entry {
            version: *version,
            key: key.clone(),
            value: self.get(key).cloned(),
        })
    }

    fn change(&mut self, key: EntryKey, value: Option<EntryValue>) {
        self.version = self.version.saturating_add(1);
        self.put(Entry { version: self.version, key, value });
    }

    fn put(&mut self, Entry { version, key, value }: Entry) {
        if let Some(former) = self.by_key.insert(key.clone(), VersionedValue { version, value }) {
            self.by_version.remove(&former.version);
        }
        self.by_version.insert(version, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daymark_decision::fixtures::pool_name;

    fn pool(n: u32) -> EntryKey {
        EntryKey::Configuration(pool_name(&format!("p{n}.example.org")))
    }

    fn hash(byte: u8) -> EntryValue {
        EntryValue::Configuration(ConfigurationHash([byte; 8]))
    }

    fn entries(of: &[(u32, u8)]) -> BTreeMap<EntryKey, EntryValue> {
        of.iter().map(|(n, byte)| (pool(*n), hash(*byte))).collect()
    }

    fn values(entries: &HostEntries) -> BTreeMap<EntryKey, EntryValue> {
        entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    #[test]
    fn entries_that_are_set_again_get_no_new_version() {
        let mut own = HostEntries::default();
        own.set(&entries(&[(1, 1), (2, 1)]));
        own.set(&entries(&[(1, 1), (2, 1)]));
        assert_eq!(own.version(), 2);
        own.set(&entries(&[(1, 1), (2, 2)]));
        let changed: Vec<Entry> = own.changed_after(2).collect();
        assert_eq!(changed, [Entry { version: 3, key: pool(2), value: Some(hash(2)) }]);
    }

    #[test]
    fn a_removed_entry_is_removed_from_copies_too() {
        let mut own = HostEntries::default();
        let mut copy = HostEntries::default();
        own.set(&entries(&[(1, 1), (2, 1)]));
        copy.apply(0, own.version(), own.changed_after(0).collect());
        own.set(&entries(&[(2, 1)]));
        let changed = copy.apply(copy.version(), own.version(), own.changed_after(copy.version()).collect());
        assert_eq!((values(&copy), changed), (entries(&[(2, 1)]), vec![pool(1)]));
    }

    #[test]
    fn entries_after_a_gap_take_effect_and_the_gap_stays_known() {
        let mut own = HostEntries::default();
        let mut copy = HostEntries::default();
        own.set(&entries(&[(1, 1), (2, 1), (3, 1)]));
        let changes: Vec<Entry> = own.changed_after(0).collect();
        copy.apply(2, 3, changes[2..].to_vec());
        assert_eq!((values(&copy), copy.version()), (entries(&[(3, 1)]), 0));
        copy.apply(0, 2, changes[..2].to_vec());
        assert_eq!((values(&copy), copy.version()), (entries(&[(1, 1), (2, 1), (3, 1)]), 2));
        copy.apply(2, 3, changes[2..].to_vec());
        assert_eq!(copy.version(), 3);
    }

    #[test]
    fn an_old_entry_does_not_replace_a_newer_one() {
        let mut own = HostEntries::default();
        let mut copy = HostEntries::default();
        own.set(&entries(&[(1, 1)]));
        let old: Vec<Entry> = own.changed_after(0).collect();
        own.set(&entries(&[(1, 2)]));
        copy.apply(0, 2, own.changed_after(0).collect());
        assert!(copy.apply(0, 1, old).is_empty());
        assert_eq!((values(&copy), copy.version()), (entries(&[(1, 2)]), 2));
    }
}
