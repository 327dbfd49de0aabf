//! The copy of another host's entries, and the check of its age.
//!
//! A peer's entries become a view for the decision only when they are complete. If the peer lives but its newer entries do not
//! arrive for [`UNREACHABLE_AFTER`], the copy is stale and stops being a view. This module does not know over which hosts the
//! entries came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daymark_decision::{HostName, Moment, NodeKey, NodeOverride, PoolName, Target, Vote};

use crate::entries::{ConfigurationHash, EntryKey, EntryValue, HostEntries};
use crate::message::DigestEntry;
use crate::peer_link::UNREACHABLE_AFTER;

/// The state of one peer as this host knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerState {
    pub(crate) incarnation: u64,
    pub(crate) heartbeat: u64,
    /// The latest time at which the peer is known to have been alive.
    pub(crate) last_seen: Moment,
    pub(crate) entries: HostEntries,
    /// The newest version of the peer's entries that exists. `entries` may lag behind it.
    pub(crate) newest_version: u64,
    /// The entries were complete once, and those that changed since are not late. Only then are they a view.
    pub(crate) is_complete: bool,
    pub(crate) awaited: Option<AwaitedVersion>,
    pub(crate) votes: Arc<BTreeMap<Target, Vote>>,
    /// The number of views that were taken of the peer.
    pub(crate) views: u64,
    /// Something changed since the last view was taken.
    pub(crate) is_changed: bool,
}

/// A version whose entries have not arrived yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AwaitedVersion {
    version: u64,
    since: Moment,
}

impl PeerState {
    /// The state of a run of which nothing else is known yet.
    pub(crate) fn of_run(incarnation: u64) -> Self {
        Self { incarnation, ..Self::default() }
    }

    /// Takes in a digest entry about this peer, which may be its own. One of a later run replaces all that is known.
    pub(crate) fn apply_digest(&mut self, digest: &DigestEntry, seen: Moment, is_its_own: bool) {
        if digest.incarnation > self.incarnation {
            *self = Self::of_run(digest.incarnation);
        }
        if digest.incarnation < self.incarnation {
            return;
        }
        // The peer itself knows best. Another host may have reported a version that does not exist.
        let is_newest = is_its_own && digest.heartbeat >= self.heartbeat;
        self.newest_version = if is_newest { digest.version } else { self.newest_version.max(digest.version) };
        // The same heartbeat over a slower path is no later sign of life.
        if digest.heartbeat > self.heartbeat {
            self.heartbeat = digest.heartbeat;
            self.note_alive(seen);
        }
        self.note_changes(&[]);
    }

    /// Records a sign of life.
    pub(crate) fn note_alive(&mut self, seen: Moment) {
        let was_unreachable = seen.since(self.last_seen) >= UNREACHABLE_AFTER;
        self.last_seen = self.last_seen.max(seen);
        self.is_changed = true;
        let version = self.entries.version();
        let still_awaited = self.awaited.filter(|awaited| version < awaited.version);
        let newly_awaited = AwaitedVersion { version: self.newest_version, since: self.last_seen };
        self.awaited = (version < self.newest_version).then(|| still_awaited.unwrap_or(newly_awaited));
        // The peer is alive, but entries of its silence, or entries that are late, are missing. So the copy is stale.
        let is_late = |awaited: AwaitedVersion| self.last_seen.since(awaited.since) >= UNREACHABLE_AFTER;
        if self.awaited.is_some_and(|awaited| was_unreachable || is_late(awaited)) {
            self.is_complete = false;
        }
    }

    /// Updates what is derived from the entries after these keys have changed.
    pub(crate) fn note_changes(&mut self, keys: &[EntryKey]) {
        let was_complete = self.is_complete;
        self.is_complete |= self.newest_version > 0 && self.entries.version() >= self.newest_version;
        self.is_changed |= !keys.is_empty() || self.is_complete != was_complete;
        if keys.iter().any(|key| matches!(key, EntryKey::Vote(_))) {
            let votes = self.entries.iter().filter_map(|(key, value)| match (key, value) {
                (EntryKey::Vote(target), EntryValue::Vote(vote)) => Some((target.clone(), *vote)),
                _ => None,
            });
            self.votes = Arc::new(votes.collect());
        }
    }

    pub(crate) fn override_entry(&self, key: &EntryKey) -> Option<NodeOverride> {
        match (key, self.entries.get(key)?) {
            (EntryKey::Override(key), EntryValue::Override(entry)) => {
                Some(NodeOverride { key: key.clone(), entry: entry.clone() })
            }
            _ => None,
        }
    }

    pub(crate) fn abstains(&self) -> bool {
        let value = self.entries.get(&EntryKey::Participation);
        matches!(value, Some(EntryValue::Participation { abstains: true, .. }))
    }

    pub(crate) fn is_eligible_writer(&self) -> bool {
        let value = self.entries.get(&EntryKey::Participation);
        matches!(value, Some(EntryValue::Participation { eligible_writer: true, .. }))
    }

    pub(crate) fn reachable_hosts(&self) -> BTreeSet<HostName> {
        match self.entries.get(&EntryKey::ReachableHosts) {
            Some(EntryValue::ReachableHosts(hosts)) => hosts.clone(),
            _ => BTreeSet::new(),
        }
    }

    pub(crate) fn members(&self) -> Option<BTreeSet<HostName>> {
        match self.entries.get(&EntryKey::Members) {
            Some(EntryValue::Members(hosts)) => Some(hosts.clone()),
            _ => None,
        }
    }

    pub(crate) fn unsaved_overrides(&self) -> BTreeSet<NodeKey> {
        let keys = self.entries.iter().filter_map(|(key, _)| match key {
            EntryKey::UnsavedOverride(key) => Some(key.clone()),
            _ => None,
        });
        keys.collect()
    }

    pub(crate) fn configuration(&self) -> BTreeMap<PoolName, ConfigurationHash> {
        let hashes = self.entries.iter().filter_map(|(key, value)| match (key, value) {
            (EntryKey::Configuration(pool), EntryValue::Configuration(hash)) => Some((pool.clone(), *hash)),
            _ => None,
        });
        hashes.collect()
    }
}
