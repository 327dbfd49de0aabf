//! The override register: for each node, the newest request of an operator, on one host or on several.
//!
//! The hosts replicate the register. A [`HybridTimestamp`] orders its entries: it is later than every timestamp that its host
//! knew, so a later request always wins, whatever the clocks say. An ended entry stays in the register, so that a host that
//! was away cannot bring back an override that was cleared meanwhile.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::moment::Moment;
use crate::name::{HostName, NodeName, PoolName};
use crate::operator_override::{Override, OverrideKind};
use crate::override_entry::{HybridTimestamp, OverrideEntry, OverrideState, RevertedDrain};
use crate::peers::REACHABLE_FOR;
use crate::policy::{Node, Pool};
use crate::refusal::Refusal;
use crate::target::{Family, NodeKey};

/// The usability of a node for clients in one address family; a better one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Usability {
    /// No host can use it.
    Unusable,
    /// A minority of the hosts can use it.
    Minority,
    /// It is usable by the verdict of the hosts.
    Usable,
}

/// Tells if any host can use a node in an address family.
pub(crate) type IsUsable<'a> = &'a dyn Fn(&NodeName, Family) -> bool;

/// The override register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    entries: BTreeMap<NodeKey, OverrideEntry>,
    /// The configured nodes. Entries on other nodes are pending.
    configured: BTreeSet<NodeKey>,
    /// No entry of uncertain expiry expires before.
    uncertain_until: Moment,
}

/// The most pending entries that are kept.
const MAX_PENDING: usize = 100;

impl Overrides {
    /// The active override of a node.
    pub(crate) fn get(&self, key: &NodeKey) -> Option<&Override> {
        self.entries.get(key).and_then(OverrideEntry::active)
    }

    /// Refuses an override that has already expired. Refuses a drain that leaves, in any address family, no node as usable as the
    /// drained one, unless the operator insists.
    pub(crate) fn check(
        &self,
        pool: &Pool,
        node: &NodeName,
        requested: &Override,
        insist: bool,
        usability: impl Fn(&NodeName, Family) -> Usability,
        now: Moment,
    ) -> Result<(), Refusal> {
        if let Some(until) = requested.until.filter(|until| *until <= now) {
            return Err(Refusal::Expired { until });
        }
        if insist || requested.kind == OverrideKind::Force {
            return Ok(());
        }
        if !self.undrained(pool).any(|other| other.name != *node) {
            return Err(Refusal::LastUndrained { pool: pool.name.clone(), node: node.clone() });
        }
        for family in Family::ALL {
            let usability = |node: &Node| usability(&node.name, family);
            let others = self.undrained(pool).filter(|other| other.name != *node).map(usability).max();
            let drained = pool.nodes.iter().find(|known| known.name == *node).map(usability);
            if others < drained && drained > Some(Usability::Unusable) {
                let family = pool.is_dual_stack().then_some(family);
                return Err(Refusal::LastUsable { pool: pool.name.clone(), node: node.clone(), family });
            }
        }
        Ok(())
    }

    /// Sets an override on this host.
    pub(crate) fn set(&mut self, key: NodeKey, requested: Override, insist: bool, own: Option<&HostName>, now: Moment) {
        self.record(key, OverrideState::Active(requested), insist, own, now);
    }

    /// Clears the override of a node, or acknowledges that it was reverted. Returns false if there is nothing to clear.
    pub(crate) fn clear(&mut self, key: &NodeKey, own: Option<&HostName>, now: Moment) -> bool {
        let known = self.entries.get(key);
        let has_one = known.is_some_and(|entry| entry.state != OverrideState::Cleared);
        if has_one {
            self.record(key.clone(), OverrideState::Cleared, false, own, now);
        }
        has_one
    }

    /// Records a request of an operator on this host, with a timestamp later than any known one.
    fn record(&mut self, key: NodeKey, state: OverrideState, insist: bool, own: Option<&HostName>, now: Moment) {
        let newest = self.entries.values().map(|entry| entry.timestamp.time).max().unwrap_or_default();
        let time = now.as_millis().max(newest.saturating_add(1));
        let other_drains = self.drains(&key.pool).filter(|(other, _)| **other != key.node);
        let causal_context = OverrideEntry::latest(other_drains.map(|(_, entry)| entry.timestamp.clone()).collect());
        let timestamp = HybridTimestamp { time, host: own.cloned() };
        let entry =
            OverrideEntry { timestamp, causal_context, context_revision: 0, insist, state, expiry_uncertain: false };
        self.entries.insert(key, entry);
    }

    /// Merges an entry of another host or of an earlier run. Returns true if it is newer or adds something. An entry with an
    /// implausible timestamp changes nothing.
    pub(crate) fn merge(&mut self, key: NodeKey, entry: OverrideEntry, now: Moment) -> bool {
        // It would win over every command.
        if entry.timestamp.time > now.latest_plausible().as_millis() {
            return false;
        }
        // It stays uncertain for as long as if this host had just started.
        let uncertain_until = if entry.expiry_uncertain { now.after(REACHABLE_FOR) } else { self.uncertain_until };
        let known = match self.entries.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                self.uncertain_until = uncertain_until;
                vacant.insert(entry);
                return true;
            }
        };
        let has_later_context = known.adopt_context(&entry);
        let has_better_expiry = known.adopt_expiry(&entry);
        let replaces = entry.replaces(known);
        if replaces {
            self.uncertain_until = uncertain_until;
            *known = entry;
        }
        has_later_context || has_better_expiry || replaces
    }

    /// Marks the expiry of every timed entry as uncertain until then: another host may know of a later end, or of none.
    pub(crate) fn mark_expiry_uncertain(&mut self, until: Moment) {
        let is_timed = |entry: &&mut OverrideEntry| entry.active().is_some_and(|active| active.until.is_some());
        self.entries.values_mut().filter(is_timed).for_each(|entry| entry.expiry_uncertain = true);
        self.uncertain_until = until;
    }

    /// Reverts the later of two drains that did not know of each other, if together they leave no usable node. Drains that
    /// together leave one know of each other from then on, so a later failure does not revert them. Returns true if it reverted
    /// one.
    ///
    /// `is_usable` is `None` without a quorum. Then only the number of undrained nodes counts.
    pub(crate) fn reconcile(&mut self, pool: &Pool, is_usable: Option<IsUsable<'_>>) -> bool {
        let mut has_reverted = false;
        while let Some(conflict) = self.latest_conflict(pool) {
            if !self.leaves_none(pool, is_usable) {
                if is_usable.is_some_and(|is_usable| self.leaves_usable(pool, is_usable)) {
                    self.extend_contexts(pool);
                }
                break;
            }
            if let Some(entry) = self.entries.get_mut(&pool.node_key(&conflict.node)) {
                entry.state = OverrideState::Reverted(conflict.reverted);
                has_reverted = true;
            }
        }
        has_reverted
    }

    /// Puts into the causal context of every drain of a pool those before it.
    fn extend_contexts(&mut self, pool: &Pool) {
        let known: BTreeSet<HybridTimestamp> =
            self.drains(&pool.name).map(|(_, entry)| entry.timestamp.clone()).collect();
        let configured = &self.configured;
        let is_drain = |key: &NodeKey, entry: &OverrideEntry| {
            key.pool == pool.name && configured.contains(key) && entry.is_drain()
        };
        let drains = self.entries.iter_mut().filter(|(key, entry)| is_drain(key, entry));
        drains.for_each(|(_, entry)| entry.extend_context(&known));
    }

    /// Clears the entries that have expired.
    pub(crate) fn expire(&mut self, now: Moment) {
        if self.uncertain_until <= now {
            self.entries.values_mut().for_each(|entry| entry.expiry_uncertain = false);
        }
        let has_expired = |entry: &OverrideEntry| {
            let until = entry.active().and_then(|active| active.until);
            until.is_some_and(|until| until <= now) && !entry.expiry_uncertain
        };
        let expired = self.entries.values_mut().filter(|entry| has_expired(entry));
        expired.for_each(|entry| entry.state = OverrideState::Cleared);
    }

    /// Takes a new configuration. Forgets the entries of pools that are gone, and the oldest surplus of pending entries. The other
    /// pending entries stay, so that a host that was away cannot bring back what was cleared.
    pub(crate) fn configure<'a>(&mut self, pools: impl Iterator<Item = &'a Pool>) {
        let mut names = BTreeSet::new();
        let mut configured = BTreeSet::new();
        for pool in pools {
            names.insert(pool.name.clone());
            configured.extend(pool.nodes.iter().map(|node| pool.node_key(&node.name)));
        }
        self.configured = configured;
        self.entries.retain(|key, _| names.contains(&key.pool));
        self.trim_pending();
    }

    /// Forgets the oldest pending entries if there are too many.
    pub(crate) fn trim_pending(&mut self) {
        let pending = self.entries.iter().filter(|(key, _)| !self.configured.contains(key));
        let mut pending: Vec<_> = pending.map(|(key, entry)| (entry.timestamp.clone(), key.clone())).collect();
        pending.sort();
        for (_, key) in pending.iter().rev().skip(MAX_PENDING) {
            self.entries.remove(key);
        }
    }

    /// The time at which the next of a pool's active overrides expires, or may expire.
    pub(crate) fn next_expiry_in(&self, pool: &PoolName) -> Option<Moment> {
        self.on_configured().filter(|(key, _)| key.pool == *pool).filter_map(|(_, entry)| self.expiry(entry)).min()
    }

    /// The time at which the next entry expires, or may expire, pending ones included.
    pub(crate) fn next_expiry(&self) -> Option<Moment> {
        self.entries.values().filter_map(|entry| self.expiry(entry)).min()
    }

    fn expiry(&self, entry: &OverrideEntry) -> Option<Moment> {
        let until = entry.active()?.until?;
        Some(if entry.expiry_uncertain { until.max(self.uncertain_until) } else { until })
    }

    /// The time at which no expiry is uncertain any more; `None` if none is.
    pub(crate) fn uncertain_until(&self) -> Option<Moment> {
        self.entries.values().any(|entry| entry.expiry_uncertain).then_some(self.uncertain_until)
    }

    /// The active overrides of configured nodes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&NodeKey, &Override)> {
        self.on_configured().filter_map(|(key, entry)| Some((key, entry.active()?)))
    }

    /// The active overrides of nodes that are not configured.
    pub(crate) fn pending(&self) -> impl Iterator<Item = (&NodeKey, &Override)> {
        let entries = self.entries.iter().filter(|(key, _)| !self.configured.contains(key));
        entries.filter_map(|(key, entry)| Some((key, entry.active()?)))
    }

    /// Every entry, also ended and pending ones.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&NodeKey, &OverrideEntry)> {
        self.entries.iter()
    }

    fn undrained<'a>(&'a self, pool: &'a Pool) -> impl Iterator<Item = &'a Node> {
        pool.nodes.iter().filter(move |node| !self.has(pool, &node.name, OverrideKind::Drain))
    }

    fn has(&self, pool: &Pool, node: &NodeName, kind: OverrideKind) -> bool {
        self.get(&pool.node_key(node)).is_some_and(|active| active.kind == kind)
    }

    fn drains<'a>(&'a self, pool: &'a PoolName) -> impl Iterator<Item = (&'a NodeName, &'a OverrideEntry)> {
        let drains = self.on_configured().filter(move |(key, entry)| key.pool == *pool && entry.is_drain());
        drains.map(|(key, entry)| (&key.node, entry))
    }

    fn on_configured(&self) -> impl Iterator<Item = (&NodeKey, &OverrideEntry)> {
        self.entries.iter().filter(|(key, _)| self.configured.contains(key))
    }

    /// True if the drains leave a usable node, and one in each family that has any.
    fn leaves_usable(&self, pool: &Pool, is_usable: IsUsable<'_>) -> bool {
        let leaves = |family| self.undrained(pool).any(|node| is_usable(&node.name, family));
        Family::ALL.into_iter().any(leaves) && !self.empties_one(pool, is_usable)
    }

    /// True if the drains leave no usable node in a family that has one.
    fn empties_one(&self, pool: &Pool, is_usable: IsUsable<'_>) -> bool {
        Family::ALL.into_iter().any(|family| {
            pool.nodes.iter().any(|node| is_usable(&node.name, family))
                && !self.undrained(pool).any(|node| is_usable(&node.name, family))
        })
    }

    fn leaves_none(&self, pool: &Pool, is_usable: Option<IsUsable<'_>>) -> bool {
        self.undrained(pool).next().is_none() || is_usable.is_some_and(|is_usable| self.empties_one(pool, is_usable))
    }

    /// The newest drain of a pool that nobody insisted on and that was set without knowing of an earlier one.
    fn latest_conflict(&self, pool: &Pool) -> Option<Conflict> {
        let conflicts = self.drains(&pool.name).filter(|(_, entry)| !entry.insist).filter_map(|(node, entry)| {
            let earlier = self.unknown_earlier_drain(&pool.name, entry)?;
            let drain = entry.active()?.clone();
            let reverted =
                RevertedDrain { drain, node: earlier.node.clone(), host: earlier.entry.timestamp.host.clone() };
            Some((&entry.timestamp, Conflict { node: node.clone(), reverted }))
        });
        conflicts.max_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, conflict)| conflict)
    }

    /// An earlier drain that `entry` did not know of, and that no later drain knew together with it.
    fn unknown_earlier_drain<'a>(&'a self, pool: &'a PoolName, entry: &OverrideEntry) -> Option<Drained<'a>> {
        // Whoever knew of both when a later drain was set has accepted them.
        let were_known = |other: &HybridTimestamp| {
            self.drains(pool).any(|(_, later)| {
                let context = &later.causal_context;
                context.contains(other) && (later.timestamp == entry.timestamp || context.contains(&entry.timestamp))
            })
        };
        let is_unknown = |other: &OverrideEntry| other.timestamp < entry.timestamp && !were_known(&other.timestamp);
        let mut drains = self.drains(pool).map(|(node, entry)| Drained { node, entry });
        drains.find(|drained| is_unknown(drained.entry))
    }
}

/// A drain to revert.
struct Conflict {
    node: NodeName,
    reverted: RevertedDrain,
}

/// An active drain with its node.
struct Drained<'a> {
    node: &'a NodeName,
    entry: &'a OverrideEntry,
}
