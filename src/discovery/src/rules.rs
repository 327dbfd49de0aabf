//! The rules of discovery for one pool: the nodes that are known, and those that may leave. Pure: it knows no API, clock or file.
//!
//! A new address joins at once. A missing one leaves only by complete lists, slowly, and never if less than a majority would be
//! left; `leaving` has these rules, and docs/discovery.md explains them. The rules apply to an address under a name. So a node
//! that changes its address gains one and loses one.

mod leaving;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use daymark_api::{DiscoveryEvent, Missing, StayReason};
use daymark_decision::{Moment, NodeName};
use serde::{Deserialize, Serialize};

/// The most addresses that are known of one pool; a list may have more. Pairs of a name and an address are bounded by twice as
/// many, because each address may be changing its name.
const MAX_ADDRESSES: usize = 100;

/// Nodes with the addresses of each.
pub(crate) type Nodes = BTreeMap<NodeName, BTreeSet<IpAddr>>;

/// The nodes in one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The nodes. A node without an address has not reported any; its known ones stay.
    pub(crate) nodes: Nodes,
    /// The reason for which the list may lack nodes that exist; `None` if it is complete.
    pub(crate) gap: Option<String>,
    /// A remark on the list for the operator.
    pub(crate) remark: Option<String>,
}

/// An address of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AddressOfNode {
    pub(crate) node: NodeName,
    pub(crate) address: IpAddr,
}

/// The effects of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The changes.
    pub(crate) events: Vec<DiscoveryEvent>,
    /// The reason for which no node may leave by this list, or a remark on it.
    pub(crate) doubt: Option<String>,
    /// The reason for which each missing address stays.
    pub(crate) stays: BTreeMap<AddressOfNode, StayReason>,
}

/// The state of the pool beside the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolView {
    /// The addresses of the pool that clients can use.
    pub(crate) usable: BTreeSet<IpAddr>,
    /// The nodes with an override.
    pub(crate) overridden: BTreeSet<NodeName>,
}

/// The known nodes of one pool, as the state file keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveredNodes {
    known: BTreeMap<NodeName, BTreeMap<IpAddr, Known>>,
    /// The number of addresses that were known when the pool and a list last agreed.
    agreed_count: usize,
    /// The number of usable addresses that have left since.
    #[serde(default)]
    usable_lost: usize,
    /// The time that counts since the last one left, in milliseconds; `None` if none has left.
    #[serde(default)]
    since_last_left_ms: Option<u64>,
    /// The time of the last complete list.
    last_complete: Option<Moment>,
    /// True if a single pass has reported a failure, and not yet its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failure_reported: bool,
}

/// One address of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// The time since which it is known.
    pub since: Moment,
    /// Its weight as evidence for a list that has it.
    #[serde(default)]
    pub(crate) confidence: Confidence,
    /// Its absence; `None` if the last complete list has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

/// The weight of an address as evidence for a list that has it, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Confidence {
    /// No weight: only lists without any other known address have had it.
    Unrelated,
    /// It was in one list with other known addresses.
    Joined,
    /// It was known when the pool and a list last agreed.
    #[default]
    Agreed,
}

/// A known address of a node.
#[derive(Clone, Copy, Debug)]
pub struct KnownOfNode<'a> {
    /// The node.
    pub node: &'a NodeName,
    /// The address.
    pub address: IpAddr,
    /// Its time, its confidence, and its absence from lists.
    pub known: Known,
}

/// A known address of a node that the lists lack.
#[derive(Clone, Copy, Debug)]
struct MissingOfNode<'a> {
    node: &'a NodeName,
    address: IpAddr,
    missing: Missing,
}

impl DiscoveredNodes {
    /// Applies a list. An address may leave after `pause` without it, and `pause` after the last one that left.
    pub(crate) fn apply(&mut self, listing: &Listing, view: &PoolView, pause: Duration, now: Moment) -> Outcome {
        self.correct_future(now);
        let is_unrelated = self.is_unrelated(&listing.nodes);
        let doubt = listing.gap.clone().or_else(|| implausible(&listing.nodes, is_unrelated));
        let mut outcome = Outcome::default();
        if doubt.is_none() {
            // Time without lists, or of a wrong clock at a start, does not count. At most half of the pause counts for each list.
            let passed = self.last_complete.map(|last| now.since(last)).unwrap_or_default().min(pause / 2);
            self.last_complete = Some(now);
            self.count_missing(&listing.nodes, millis(passed), now, &mut outcome.events);
        }
        let confidence = if is_unrelated { Confidence::Unrelated } else { Confidence::Joined };
        let left_out = self.add(&listing.nodes, confidence, now, &mut outcome.events);
        self.mark_returned(&listing.nodes, &mut outcome.events);
        if doubt.is_none() {
            outcome.events.extend(self.remove_one(view, pause, now));
        }
        if self.agreed_count == 0 || doubt.is_none() && self.missing().next().is_none() {
            self.agree();
        }
        outcome.stays = self.stays(view, pause, now);
        let too_many =
            (left_out > 0).then(|| format!("{left_out} addresses are left out: at most {MAX_ADDRESSES} are taken"));
        outcome.doubt = doubt.or(too_many).or_else(|| listing.remark.clone());
        outcome
    }

    /// Every known address, by its node.
    pub fn known(&self) -> impl Iterator<Item = KnownOfNode<'_>> {
        let of_node = |(node, addresses)| {
            BTreeMap::iter(addresses).map(move |(&address, &known)| KnownOfNode { node, address, known })
        };
        self.known.iter().flat_map(of_node)
    }

    /// The known nodes with their addresses.
    pub(crate) fn nodes(&self) -> Nodes {
        let addresses = |addresses: &BTreeMap<IpAddr, Known>| addresses.keys().copied().collect();
        self.known.iter().map(|(node, known)| (node.clone(), addresses(known))).collect()
    }

    /// The time of the last complete list.
    pub(crate) fn last_complete(&self) -> Option<Moment> {
        self.last_complete
    }

    /// Removes every address that no machine can have; gives what it removed. Only an edited file holds such.
    pub(crate) fn drop_invalid(&mut self) -> Vec<String> {
        let mut dropped = Vec::new();
        for (node, addresses) in &mut self.known {
            addresses.retain(|address, _| {
                let is_good = is_machine(*address);
                dropped.extend((!is_good).then(|| format!("{node} {address}")));
                is_good
            });
        }
        self.known.retain(|_, addresses| !addresses.is_empty());
        dropped
    }

    /// Makes times after `now` a little earlier than `now`: they come from a clock that was wrong.
    fn correct_future(&mut self, now: Moment) {
        let latest = now.before(Duration::from_millis(1));
        for known in self.known.values_mut().flat_map(BTreeMap::values_mut) {
            let missing = known.missing.iter_mut().map(|missing| &mut missing.since);
            missing.chain([&mut known.since]).filter(|at| **at > now).for_each(|at| *at = latest);
        }
    }

    /// True if a list has none of the known addresses; those from unrelated lists do not count.
    fn is_unrelated(&self, listed: &Nodes) -> bool {
        let of_list = |KnownOfNode { node, address, .. }: KnownOfNode<'_>| {
            listed.contains_key(node) || listed.values().any(|addresses| addresses.contains(&address))
        };
        let mut known = self.known().filter(|entry| entry.known.confidence > Confidence::Unrelated).peekable();
        known.peek().is_some() && !known.any(of_list)
    }

    /// Adds new addresses, and raises known ones to this confidence; gives the number of addresses for which there is no room.
    fn add(&mut self, listed: &Nodes, confidence: Confidence, now: Moment, events: &mut Vec<DiscoveryEvent>) -> usize {
        let mut left_out = 0;
        for (node, addresses) in listed {
            let mut added = Vec::new();
            for address in addresses {
                // The confidence belongs to the address under every name.
                let former = self.confidence(*address);
                let confidence = former.max(Some(confidence)).unwrap_or_default();
                if let Some(known) = self.known.get_mut(node).and_then(|known| known.get_mut(address)) {
                    known.confidence = confidence;
                } else if former.is_none() && self.addresses().len() >= MAX_ADDRESSES
                    || self.known().count() >= 2 * MAX_ADDRESSES
                {
                    left_out += 1;
                } else {
                    let known = Known { since: now, confidence, missing: None };
                    self.known.entry(node.clone()).or_default().insert(*address, known);
                    added.push(*address);
                }
            }
            if !added.is_empty() {
                events.push(DiscoveryEvent::Discovered { node: node.clone(), addresses: added });
            }
        }
        left_out
    }

    fn confidence(&self, address: IpAddr) -> Option<Confidence> {
        self.known().filter(|entry| entry.address == address).map(|entry| entry.known.confidence).max()
    }

    /// Takes note that the pool and a list agree.
    fn agree(&mut self) {
        self.agreed_count = self.addresses().len();
        self.usable_lost = 0;
        let known = self.known.values_mut().flat_map(BTreeMap::values_mut);
        known.for_each(|known| known.confidence = Confidence::Agreed);
    }

    /// Counts the addresses that a complete list lacks. `passed` is the time that counts since the list before, in milliseconds.
    fn count_missing(&mut self, listed: &Nodes, passed: u64, now: Moment, events: &mut Vec<DiscoveryEvent>) {
        self.since_last_left_ms = self.since_last_left_ms.map(|since| since.saturating_add(passed));
        for (node, addresses) in &mut self.known {
            let mut newly_missing = Vec::new();
            for (address, known) in addresses.iter_mut().filter(|(address, _)| !is_listed(listed, node, **address)) {
                if let Some(missing) = &mut known.missing {
                    missing.lists = missing.lists.saturating_add(1);
                    missing.counted_ms = missing.counted_ms.saturating_add(passed);
                } else {
                    known.missing = Some(Missing { since: now, lists: 1, counted_ms: 0 });
                    newly_missing.push(*address);
                }
            }
            if !newly_missing.is_empty() {
                events.push(DiscoveryEvent::Missing { node: node.clone(), addresses: newly_missing });
            }
        }
    }

    /// Takes note of missing addresses that are listed again. The list may be incomplete.
    fn mark_returned(&mut self, listed: &Nodes, events: &mut Vec<DiscoveryEvent>) {
        for (node, addresses) in &mut self.known {
            let mut back = Vec::new();
            for (address, known) in addresses.iter_mut().filter(|(address, _)| is_listed(listed, node, **address)) {
                back.extend(known.missing.take().map(|_| *address));
            }
            if !back.is_empty() {
                events.push(DiscoveryEvent::Back { node: node.clone(), addresses: back });
            }
        }
    }

    fn missing(&self) -> impl Iterator<Item = MissingOfNode<'_>> {
        self.known().filter_map(|KnownOfNode { node, address, known }| {
            Some(MissingOfNode { node, address, missing: known.missing? })
        })
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        self.known().map(|entry| entry.address).collect()
    }
}

/// The reason for which no node may leave by a complete list.
fn implausible(listed: &Nodes, is_unrelated: bool) -> Option<String> {
    if listed.is_empty() {
        return Some("the list is empty, so no node leaves by it".to_owned());
    }
    is_unrelated.then(|| "the list has none of the known nodes, so no node leaves by it".to_owned())
}

fn millis(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}

/// True if a list has this address of a node, or has the node without any address.
fn is_listed(listed: &Nodes, node: &NodeName, address: IpAddr) -> bool {
    listed.get(node).is_some_and(|addresses| addresses.is_empty() || addresses.contains(&address))
}

/// True if this can be the address of one machine.
pub(crate) fn is_machine(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !is_broadcast
}

#[cfg(test)]
mod tests;
