//! Which nodes of one pool are known by discovery, and which of them may leave. Pure: it knows no API, no clock and no file.
//!
//! What is new comes at once. What is missing leaves only by lists that are complete, slowly, and never so that less than a
//! majority is left, as `leaving` says; docs/discovery.md has the rules in words. An address under a name is what comes and
//! leaves, so a node that changes its address gains one and loses one by the same rules.

mod leaving;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::{Moment, NodeName};
use serde::{Deserialize, Serialize};

use super::news::{Held, News};

/// The most addresses that are known of one pool; the other ones of a list are left out. Under how many names they are known
/// is bounded by twice as much: each may be getting another one.
pub const MOST: usize = 100;

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

/// What is known of the nodes beside the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The addresses of the pool that clients can use.
    pub usable: BTreeSet<IpAddr>,
    /// The nodes on which an operator's word is.
    pub ordered: BTreeSet<NodeName>,
}

/// Which nodes are known, as the state keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Roster {
    known: BTreeMap<NodeName, BTreeMap<IpAddr, Known>>,
    /// How many addresses were known when the pool and a list last agreed.
    most: usize,
    /// How many that clients could use have left since.
    #[serde(default)]
    lost: usize,
    /// How much time has counted since the last one left, in milliseconds; `None`: none has.
    #[serde(default)]
    rested: Option<u64>,
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
    /// How much it says for a list that has it.
    #[serde(default)]
    pub standing: Standing,
    /// Since when it is missing; `None`: it is in the last list that tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

/// How much an address says for a list that has it, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// Nothing: only lists that had none of the others have had it.
    Stranger,
    /// It was in one list with others that were known.
    Joined,
    /// It was known when the pool and a list last agreed.
    #[default]
    Agreed,
}

/// For how long an address is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// When the first list without it came.
    pub since: Moment,
    /// How many complete lists in a row were without it.
    pub lists: u32,
    /// How much of the time since counts, in milliseconds.
    #[serde(default)]
    pub counted: u64,
}

impl Roster {
    /// Takes a list in. `pause` is for how long an address must be missing, and how long after the last one it may leave.
    pub fn take(&mut self, listing: &Listing, sight: &Sight, pause: Duration, now: Moment) -> Outcome {
        self.doubt_future(now);
        let is_strange = self.is_strange(&listing.nodes);
        let doubt = listing.gap.clone().or_else(|| unbelievable(&listing.nodes, is_strange));
        let mut outcome = Outcome::default();
        if doubt.is_none() {
            // A silence, or a clock that was wrong at a start, is no time in which lists have told. By halves it takes three.
            let passed = self.complete.map(|last| now.since(last)).unwrap_or_default().min(pause / 2);
            self.complete = Some(now);
            self.miss(&listing.nodes, millis(passed), now, &mut outcome.news);
        }
        let standing = if is_strange { Standing::Stranger } else { Standing::Joined };
        let left_out = self.add(&listing.nodes, standing, now, &mut outcome.news);
        self.see_again(&listing.nodes, &mut outcome.news);
        if doubt.is_none() {
            outcome.news.extend(self.let_one_go(sight, pause, now));
        }
        if self.most == 0 || doubt.is_none() && self.missing().next().is_none() {
            self.agree();
        }
        outcome.held = self.held(sight, pause, now);
        let too_many = || {
            let sentence = || format!("{left_out} addresses are left out, for {MOST} are the most that are taken");
            (left_out > 0).then(sentence)
        };
        outcome.doubt = doubt.or_else(too_many).or_else(|| listing.remark.clone());
        outcome
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

    /// Moments after now are of a clock that was wrong: they become earlier than all that is new, and nothing else.
    fn doubt_future(&mut self, now: Moment) {
        let latest = now.before(Duration::from_millis(1));
        for known in self.known.values_mut().flat_map(BTreeMap::values_mut) {
            let missing = known.missing.iter_mut().map(|missing| &mut missing.since);
            missing.chain([&mut known.since]).filter(|at| **at > now).for_each(|at| *at = latest);
        }
    }

    /// Whether a list has none of what is known. What strangers' lists gave speaks for no list.
    fn is_strange(&self, listed: &Nodes) -> bool {
        let of_list = |(node, address, _): (&NodeName, IpAddr, Known)| {
            listed.contains_key(node) || listed.values().any(|addresses| addresses.contains(&address))
        };
        let mut known = self.known().filter(|(.., known)| known.standing > Standing::Stranger).peekable();
        known.peek().is_some() && !known.any(of_list)
    }

    /// Adds what is new, and raises what is known to this standing; gives how many addresses found no room.
    fn add(&mut self, listed: &Nodes, standing: Standing, now: Moment, news: &mut Vec<News>) -> usize {
        let mut left_out = 0;
        for (node, addresses) in listed {
            let mut added = Vec::new();
            for address in addresses {
                // An address has its standing under every name.
                let former = self.standing(*address);
                let standing = former.max(Some(standing)).unwrap_or_default();
                if let Some(known) = self.known.get_mut(node).and_then(|known| known.get_mut(address)) {
                    known.standing = standing;
                } else if former.is_none() && self.addresses().len() >= MOST || self.known().count() >= 2 * MOST {
                    left_out += 1;
                } else {
                    let known = Known { since: now, standing, missing: None };
                    self.known.entry(node.clone()).or_default().insert(*address, known);
                    added.push(*address);
                }
            }
            if !added.is_empty() {
                news.push(News::Found { node: node.clone(), addresses: added });
            }
        }
        left_out
    }

    fn standing(&self, address: IpAddr) -> Option<Standing> {
        self.known().filter(|(_, it, _)| *it == address).map(|(.., known)| known.standing).max()
    }

    /// The pool and a list agree.
    fn agree(&mut self) {
        (self.most, self.lost) = (self.addresses().len(), 0);
        let known = self.known.values_mut().flat_map(BTreeMap::values_mut);
        known.for_each(|known| known.standing = Standing::Agreed);
    }

    /// Counts what a complete list lacks, and the time that counts since the one before, in milliseconds.
    fn miss(&mut self, listed: &Nodes, passed: u64, now: Moment, news: &mut Vec<News>) {
        self.rested = self.rested.map(|rested| rested.saturating_add(passed));
        for (node, addresses) in &mut self.known {
            let mut begun = Vec::new();
            for (address, known) in addresses.iter_mut().filter(|(address, _)| !is_listed(listed, node, **address)) {
                if let Some(missing) = &mut known.missing {
                    missing.lists = missing.lists.saturating_add(1);
                    missing.counted = missing.counted.saturating_add(passed);
                } else {
                    known.missing = Some(Missing { since: now, lists: 1, counted: 0 });
                    begun.push(*address);
                }
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

    fn missing(&self) -> impl Iterator<Item = (&NodeName, IpAddr, Missing)> {
        self.known().filter_map(|(node, address, known)| Some((node, address, known.missing?)))
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        self.known().map(|(_, address, _)| address).collect()
    }
}

/// Why a complete list says nothing on who may leave.
fn unbelievable(listed: &Nodes, is_strange: bool) -> Option<String> {
    if listed.is_empty() {
        return Some("the list is empty, so it is not believed".to_owned());
    }
    is_strange.then(|| "the list has none of the nodes that are known, so no node leaves by it".to_owned())
}

fn millis(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
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
