//! A zone: its static records, the places of its pools, and the search for a name in it (RFC 1034, section 4.3.2).
//!
//! It is a pure value of its settings. It knows no answer: what its pools resolve to is in [`content`](crate::content).

mod build;
mod error;
mod master;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use daymark_decision::PoolName;
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, RecordType};

use crate::name::{Key, WireName};
use crate::records::RrSet;
use crate::settings::ZoneSettings;

pub use error::{ZoneError, ZoneErrors};

/// One zone, checked and ready to be served.
#[derive(Debug)]
pub struct Zone {
    apex: Name,
    key: Key,
    labels: usize,
    /// The serial and the minimum are of the time of [`Zone::build`]; a response has those of the decision.
    soa: SOA,
    nodes: HashMap<Key, Node>,
    pools: Vec<PoolPlace>,
}

/// Where a pool is answered, and whose turn it is there.
#[derive(Debug)]
pub(crate) struct PoolPlace {
    pub(crate) name: PoolName,
    /// How many responses were rotated, for IPv4 and for IPv6. They are counted apart: a client asks for both, and by one
    /// count it would get every other turn of each.
    turns: [AtomicUsize; 2],
}

/// One name of a zone.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: Name,
    /// Its static records; none where it exists only since there are names below it (an empty non-terminal).
    pub(crate) sets: Vec<RrSet>,
    /// The pool of this name, by its place among the pools of the zone.
    pub(crate) pool: Option<usize>,
    /// Whether there is a wildcard right below it.
    wildcard: bool,
    /// Whether the zone ends here, and other servers go on (a zone cut).
    cut: bool,
    /// Where its NS records have names in this zone: those names.
    glue: Vec<Key>,
}

/// Where the search for a name ends.
pub(crate) enum Place<'a> {
    /// At the name itself, or at the wildcard that stands for it (RFC 4592).
    Node(&'a Node),
    /// At a zone cut above it, or at it.
    Cut(&'a Node),
    /// Nowhere: the name does not exist.
    Absent,
}

impl Zone {
    /// Builds a zone, or says everything that is wrong with it.
    pub fn build(settings: &ZoneSettings) -> Result<Self, ZoneErrors> {
        build::zone(settings).map_err(ZoneErrors)
    }

    /// Builds zones that are served together, or says everything that is wrong with any of them.
    pub fn build_all(settings: &[ZoneSettings]) -> Result<Vec<Self>, ZoneErrors> {
        build::zones(settings).map_err(ZoneErrors)
    }

    /// The name of the zone.
    pub(crate) fn apex(&self) -> &Name {
        &self.apex
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn labels(&self) -> usize {
        self.labels
    }

    pub(crate) fn soa(&self) -> &SOA {
        &self.soa
    }

    pub(crate) fn pools(&self) -> &[PoolPlace] {
        &self.pools
    }

    /// Searches for a name of this zone.
    ///
    /// A zone cut ends the search at any name below it. At the cut itself, the DS records are on this side of it
    /// (RFC 4035, section 3.1.4.1).
    pub(crate) fn place(&self, name: &WireName, rtype: RecordType) -> Place<'_> {
        let mut encloser: Option<&Node> = None;
        for labels in self.labels..=name.labels() {
            let Some(node) = self.nodes.get(name.suffix(labels)) else {
                let wildcard =
                    encloser.filter(|above| above.wildcard).and_then(|_| self.wildcard(name.suffix(labels - 1)));
                return wildcard.map_or(Place::Absent, Place::Node);
            };
            if node.cut && !(rtype == RecordType::DS && labels == name.labels()) {
                return Place::Cut(node);
            }
            encloser = Some(node);
        }
        encloser.map_or(Place::Absent, Place::Node)
    }

    /// The node of a key.
    pub(crate) fn node(&self, key: &[u8]) -> Option<&Node> {
        self.nodes.get(key)
    }

    /// The wildcard right below the name of a key.
    fn wildcard(&self, below: &[u8]) -> Option<&Node> {
        const LABEL: &[u8] = b"\x01*";
        let mut key = [0; LABEL.len() + 255];
        let key = key.get_mut(..LABEL.len() + below.len())?;
        key[..LABEL.len()].copy_from_slice(LABEL);
        key[LABEL.len()..].copy_from_slice(below);
        self.nodes.get(&*key)
    }
}

impl PoolPlace {
    /// Whose turn it is to come first of `members`, which must not be none; `family` is 0 or 1.
    pub(crate) fn turn(&self, family: usize, members: usize) -> usize {
        self.turns[family].fetch_add(1, Ordering::Relaxed) % members
    }
}

impl Node {
    /// Its static records of a type.
    pub(crate) fn set(&self, rtype: RecordType) -> Option<&RrSet> {
        self.sets.iter().find(|set| set.rtype == rtype)
    }

    /// The name it is an alias of, with the CNAME record that says so.
    pub(crate) fn alias(&self) -> Option<(&RrSet, &Name)> {
        let set = self.set(RecordType::CNAME)?;
        match set.data.first() {
            Some(RData::CNAME(target)) => Some((set, &target.0)),
            _ => None,
        }
    }

    /// The names of this zone that its NS records point to.
    pub(crate) fn glue(&self) -> &[Key] {
        &self.glue
    }

    /// Its static addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &RrSet> {
        self.sets.iter().filter(|set| set.rtype.is_ip_addr())
    }
}

#[cfg(test)]
mod tests;
