//! The rules for missing addresses: one may leave, or it stays for a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use daymark_api::{DiscoveryEvent, Missing, StayReason};
use daymark_decision::{Moment, NodeName, is_majority};

use super::{AddressOfNode, Confidence, DiscoveredNodes, MissingOfNode, PoolView, millis};

/// The effect on a pool if an address, or a whole node, leaves.
struct Loss {
    /// The addresses that leave under this name.
    going: BTreeSet<IpAddr>,
    /// Those of them that no other node has.
    gone: BTreeSet<IpAddr>,
    /// The addresses that stay.
    left: BTreeSet<IpAddr>,
    /// The number of usable addresses among those in `gone`.
    usable_gone: usize,
    /// The number of usable addresses among those that stay.
    usable_left: usize,
}

impl DiscoveredNodes {
    /// The reason for which each missing address stays.
    pub(super) fn stays(&self, view: &PoolView, pause: Duration, now: Moment) -> BTreeMap<AddressOfNode, StayReason> {
        let missing = self.missing().map(|MissingOfNode { node, address, missing }| {
            // An address that may leave does so by the next list.
            let reason = self.stay_reason(node, address, missing, view, pause, now).unwrap_or(StayReason::NextList);
            (AddressOfNode { node: node.clone(), address }, reason)
        });
        missing.collect()
    }

    /// Removes the address that has been missing for longest, of those that may leave: with its whole node, or alone.
    pub(super) fn remove_one(&mut self, view: &PoolView, pause: Duration, now: Moment) -> Vec<DiscoveryEvent> {
        let may_leave = |&MissingOfNode { node, address, missing }: &MissingOfNode<'_>| {
            self.stay_reason(node, address, missing, view, pause, now).is_none()
        };
        let first = self.missing().filter(may_leave).min_by_key(|entry| entry.missing.since);
        let Some(MissingOfNode { node, address, missing }) = first else { return Vec::new() };
        let node = node.clone();
        let loss = self.loss(&node, address, view);
        if let Some(known) = self.known.get_mut(&node) {
            known.retain(|address, _| !loss.going.contains(address));
        }
        self.known.retain(|_, addresses| !addresses.is_empty());
        self.since_last_left_ms = Some(0);
        self.usable_lost += loss.usable_gone;
        let renamed = loss.going.difference(&loss.gone).filter_map(|address| {
            let to = self.owner(*address)?.clone();
            Some(DiscoveryEvent::Renamed { node: node.clone(), address: *address, to })
        });
        let mut events: Vec<DiscoveryEvent> = renamed.collect();
        if !loss.gone.is_empty() {
            events.push(DiscoveryEvent::Gone {
                node,
                addresses: loss.gone.into_iter().collect(),
                since: missing.since,
            });
        }
        events
    }

    /// The owner of an address: of the nodes that have it, the one that has had it for longest.
    pub(crate) fn owner(&self, address: IpAddr) -> Option<&NodeName> {
        let with_it = self.known().filter(|entry| entry.address == address);
        with_it.min_by_key(|entry| (entry.known.since, entry.node)).map(|entry| entry.node)
    }

    /// The reason for which a missing address stays; `None` if it may leave.
    fn stay_reason(
        &self,
        node: &NodeName,
        address: IpAddr,
        missing: Missing,
        view: &PoolView,
        pause: Duration,
        now: Moment,
    ) -> Option<StayReason> {
        let loss = self.loss(node, address, view);
        let counted = self.since_last_left_ms.map_or(missing.counted_ms, |since| since.min(missing.counted_ms));
        let wait = millis(pause).saturating_sub(counted);
        if loss.going != loss.gone && view.overridden.contains(node) {
            return Some(StayReason::Override);
        }
        let pause = || StayReason::Pause { until: now.after(Duration::from_millis(wait)) };
        self.majority_guard(&loss, view).or_else(|| (wait > 0).then(pause))
    }

    /// The reason for which the pool cannot lose these addresses. A new name alone loses nothing.
    fn majority_guard(&self, loss: &Loss, view: &PoolView) -> Option<StayReason> {
        let is_firm =
            |address: &IpAddr| view.usable.contains(address) || self.confidence(*address) == Some(Confidence::Agreed);
        let left = loss.left.iter().filter(|address| is_firm(address)).count();
        let usable = loss.usable_left + loss.usable_gone + self.usable_lost;
        // An unusable address is no loss, unless the rest is a few usable addresses among many unusable ones.
        let is_dead = loss.usable_gone == 0 && is_majority(loss.usable_left, loss.left.len());
        match () {
            () if loss.gone.is_empty() => None,
            () if !is_majority(left, self.agreed_count) && !is_dead => {
                Some(StayReason::Majority { left, of: self.agreed_count })
            }
            () if view.usable.is_subset(&loss.gone) => Some(StayReason::LastUsable),
            () if loss.usable_gone > 0 && !is_majority(loss.usable_left, usable) => {
                Some(StayReason::UsableMajority { left: loss.usable_left, of: usable })
            }
            () => None,
        }
    }

    /// The loss if an address leaves: with its whole node if all of that is missing, else alone.
    fn loss(&self, node: &NodeName, address: IpAddr, view: &PoolView) -> Loss {
        let going: BTreeSet<IpAddr> = match self.known.get(node) {
            Some(known) if known.values().all(|known| known.missing.is_some()) => known.keys().copied().collect(),
            _ => [address].into(),
        };
        let left = self.known().filter(|entry| entry.node != node || !going.contains(&entry.address));
        let left: BTreeSet<IpAddr> = left.map(|entry| entry.address).collect();
        let gone: BTreeSet<IpAddr> = going.difference(&left).copied().collect();
        let usable = |of: &BTreeSet<IpAddr>| of.intersection(&view.usable).count();
        Loss { usable_gone: usable(&gone), usable_left: usable(&left), going, gone, left }
    }
}
