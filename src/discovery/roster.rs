//! Which nodes of one pool are known by discovery, and which of them may leave. Pure: it knows no API, no clock and no file.
//!
//! What is new comes at once. What is missing leaves only by lists that are complete, slowly, and never so that less than a
//! majority is left; docs/discovery.md has the rules in words. An address under a name is what comes and leaves, so a node
//! that changes its address gains one and loses one by the same rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::{Moment, NodeName};
use serde::{Deserialize, Serialize};

use super::news::{Held, News};

/// The most addresses that are known of one pool; the other ones of a list are left out.
pub const MOST: usize = 100;
/// In so many lists in a row an address must be missing before it leaves.
const LISTS: u32 = 2;

/// Nodes with the addresses of each.
pub type Nodes = BTreeMap<NodeName, BTreeSet<IpAddr>>;

/// What one ask has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The nodes. One without an address has not told any, which says nothing against those that are known of it.
    pub nodes: Nodes,
    /// Why what is not in it may be there all the same, as a sentence; `None`: it is complete.
    pub gap: Option<String>,
    /// What else an operator should know of it, as a sentence.
    pub remark: Option<String>,
}

/// What has come of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What has changed.
    pub news: Vec<News>,
    /// Why the list says nothing on who may leave, or what else is odd, as a sentence.
    pub doubt: Option<String>,
    /// Why each address that is missing stays.
    pub held: BTreeMap<(NodeName, IpAddr), Held>,
}

/// Which nodes are known, as the state keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Roster {
    known: BTreeMap<NodeName, BTreeMap<IpAddr, Known>>,
    /// The most addresses that were known since the pool and a list last agreed.
    most: usize,
    /// When the last one left.
    left: Option<Moment>,
    /// When the last complete list came.
    complete: Option<Moment>,
    /// Whether a pass that does not stay has told of trouble with the lists, and not yet that it is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trouble_told: bool,
}

/// One address of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// Since when it is known.
    pub since: Moment,
    /// Since when it is missing; `None`: it is in the last list that tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

/// For how long an address is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// When the first list without it came.
    pub since: Moment,
    /// How many complete lists in a row were without it.
    pub lists: u32,
}

impl Roster {
    /// Takes a list in. `usable` are the addresses of the pool that clients can use; `pause` is for how long an address must be
    /// missing, and how long after the last one it may leave.
    pub fn take(&mut self, listing: &Listing, usable: &BTreeSet<IpAddr>, pause: Duration, now: Moment) -> Outcome {
        let doubt = listing.gap.clone().or_else(|| self.stranger(&listing.nodes));
        let mut outcome = Outcome::default();
        if doubt.is_none() {
            self.complete = Some(now);
            self.miss(&listing.nodes, now, &mut outcome.news);
        }
        let left_out = self.add(&listing.nodes, now, &mut outcome.news);
        self.see_again(&listing.nodes, &mut outcome.news);
        self.most = self.most.max(self.addresses().len());
        if doubt.is_none() {
            outcome.news.extend(self.let_one_go(usable, pause, now));
            if self.missing().next().is_none() {
                self.most = self.addresses().len();
            }
        }
        outcome.held = self.held(usable, pause, now);
        let too_many = || {
            let sentence = || format!("{left_out} addresses are left out, for {MOST} are the most that are taken");
            (left_out > 0).then(sentence)
        };
        outcome.doubt = doubt.or_else(too_many).or_else(|| listing.remark.clone());
        outcome
    }

    /// Why each address that is missing stays.
    pub fn held(&self, usable: &BTreeSet<IpAddr>, pause: Duration, now: Moment) -> BTreeMap<(NodeName, IpAddr), Held> {
        let why = |(node, address, missing): (&NodeName, IpAddr, Missing)| {
            // One that could leave waits for the next list, which is at the most one away.
            let why = self.hold(node, address, missing, usable, pause, now).unwrap_or(Held::NextList);
            ((node.clone(), address), why)
        };
        self.missing().map(why).collect()
    }

    /// Every address that is known, by its node.
    pub fn known(&self) -> impl Iterator<Item = (&NodeName, IpAddr, Known)> {
        let of_node = |(node, addresses)| BTreeMap::iter(addresses).map(move |(address, it)| (node, *address, *it));
        self.known.iter().flat_map(of_node)
    }

    /// The same as nodes.
    pub fn nodes(&self) -> Nodes {
        let addresses = |addresses: &BTreeMap<IpAddr, Known>| addresses.keys().copied().collect();
        self.known.iter().map(|(node, known)| (node.clone(), addresses(known))).collect()
    }

    /// When the last complete list came.
    pub fn complete(&self) -> Option<Moment> {
        self.complete
    }

    /// Drops what is no name of a node or no address of one machine, as only a file that someone has edited holds it; tells
    /// what.
    pub fn drop_nonsense(&mut self) -> Vec<String> {
        let mut dropped = Vec::new();
        for (node, addresses) in &mut self.known {
            let is_name = is_name(node.as_str());
            addresses.retain(|address, _| {
                let is_good = is_name && is_machine(*address);
                dropped.extend((!is_good).then(|| format!("{:?} {address}", node.as_str())));
                is_good
            });
        }
        self.known.retain(|_, addresses| !addresses.is_empty());
        dropped
    }

    /// Why a complete list says nothing on who may leave.
    fn stranger(&self, listed: &Nodes) -> Option<String> {
        if listed.is_empty() {
            return Some("the list is empty, so it is not believed".to_owned());
        }
        let knows = |(node, addresses): (&NodeName, &BTreeSet<IpAddr>)| {
            self.known.contains_key(node) || self.addresses().iter().any(|address| addresses.contains(address))
        };
        let is_strange = !self.known.is_empty() && !listed.iter().any(knows);
        is_strange.then(|| "the list has none of the nodes that are known, so no node leaves by it".to_owned())
    }

    /// Adds what is new; gives how many addresses found no room.
    fn add(&mut self, listed: &Nodes, now: Moment, news: &mut Vec<News>) -> usize {
        let mut left_out = 0;
        for (node, addresses) in listed {
            let mut added = Vec::new();
            for address in addresses {
                if self.known.get(node).is_some_and(|known| known.contains_key(address)) {
                    continue;
                }
                if self.known().count() == MOST {
                    left_out += 1;
                    continue;
                }
                let known = Known { since: now, missing: None };
                self.known.entry(node.clone()).or_default().insert(*address, known);
                added.push(*address);
            }
            if !added.is_empty() {
                news.push(News::Found { node: node.clone(), addresses: added });
            }
        }
        left_out
    }

    /// Counts what a complete list lacks.
    fn miss(&mut self, listed: &Nodes, now: Moment, news: &mut Vec<News>) {
        for (node, addresses) in &mut self.known {
            let mut begun = Vec::new();
            for (address, known) in addresses.iter_mut().filter(|(address, _)| !is_listed(listed, node, **address)) {
                if known.missing.is_none() {
                    begun.push(*address);
                }
                let missing = known.missing.get_or_insert(Missing { since: now, lists: 0 });
                missing.lists = missing.lists.saturating_add(1);
            }
            if !begun.is_empty() {
                news.push(News::Missing { node: node.clone(), addresses: begun });
            }
        }
    }

    /// Takes note of what was missing and is listed again; a list need not be complete for that.
    fn see_again(&mut self, listed: &Nodes, news: &mut Vec<News>) {
        for (node, addresses) in &mut self.known {
            let mut back = Vec::new();
            for (address, known) in addresses.iter_mut().filter(|(address, _)| is_listed(listed, node, **address)) {
                back.extend(known.missing.take().map(|_| *address));
            }
            if !back.is_empty() {
                news.push(News::Back { node: node.clone(), addresses: back });
            }
        }
    }

    /// Lets the one go that is missing for longest, of those that may: a whole node, or one address of a node that stays.
    fn let_one_go(&mut self, usable: &BTreeSet<IpAddr>, pause: Duration, now: Moment) -> Option<News> {
        let may_go = |(node, address, missing): &(&NodeName, IpAddr, Missing)| {
            self.hold(node, *address, *missing, usable, pause, now).is_none()
        };
        let (node, address, missing) = self.missing().filter(may_go).min_by_key(|(.., missing)| missing.since)?;
        let node = node.clone();
        let going = self.going(&node, address);
        let known = self.known.get_mut(&node)?;
        known.retain(|address, _| !going.contains(address));
        if known.is_empty() {
            self.known.remove(&node);
        }
        self.left = Some(now);
        Some(News::Gone { node, addresses: going.into_iter().collect(), since: missing.since })
    }

    /// Why an address that is missing stays; `None`: it may leave.
    fn hold(
        &self,
        node: &NodeName,
        address: IpAddr,
        missing: Missing,
        usable: &BTreeSet<IpAddr>,
        pause: Duration,
        now: Moment,
    ) -> Option<Held> {
        let going = self.going(node, address);
        let left = self.known().filter(|(name, address, _)| *name != node || !going.contains(address));
        let left = left.map(|(_, address, _)| address).collect::<BTreeSet<_>>().len();
        let due = self.left.map_or(missing.since, |left| left.max(missing.since)).after(pause);
        match () {
            () if left < self.most / 2 + 1 => Some(Held::Majority { left, most: self.most }),
            () if usable.is_subset(&going) => Some(Held::LastUsable),
            () if now < due => Some(Held::Pause { until: due }),
            () if missing.lists < LISTS => Some(Held::NextList),
            () => None,
        }
    }

    /// What leaves together: a node as a whole where all of it is missing, or else the one address.
    fn going(&self, node: &NodeName, address: IpAddr) -> BTreeSet<IpAddr> {
        match self.known.get(node) {
            Some(known) if known.values().all(|it| it.missing.is_some()) => known.keys().copied().collect(),
            _ => [address].into(),
        }
    }

    fn missing(&self) -> impl Iterator<Item = (&NodeName, IpAddr, Missing)> {
        self.known().filter_map(|(node, address, known)| Some((node, address, known.missing?)))
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        self.known().map(|(_, address, _)| address).collect()
    }
}

/// Whether a list has an address of a node, or the node without telling its addresses.
fn is_listed(listed: &Nodes, node: &NodeName, address: IpAddr) -> bool {
    listed.get(node).is_some_and(|addresses| addresses.is_empty() || addresses.contains(&address))
}

/// Whether a text may be the name of a node, as in the configuration.
pub fn is_name(text: &str) -> bool {
    let odd = text.chars().any(|c| c.is_whitespace() || c.is_control());
    !text.is_empty() && text.len() <= 253 && !odd
}

/// Whether this can be the address of one machine.
pub fn is_machine(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !is_broadcast
}

#[cfg(test)]
mod tests;
