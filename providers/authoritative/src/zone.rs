//! A zone: its static records, its pools, and the search for a name (RFC 1034, section 4.3.2).
//!
//! A zone is a pure value that is built from its settings. It does not know the answers of its pools: those are in
//! [`catalog`](crate::catalog).

mod build;
mod error;
mod include;
mod master;

use std::collections::HashMap;

use daymark_decision::PoolName;
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, RecordType};

use crate::name::{NameKey, WireName, name_key};
use crate::rrset::RrSet;
use crate::settings::{Nameserver, ZoneSettings};

use error::display_name;
pub use error::{ZoneError, ZoneErrors};
pub use include::{IncludeError, MAX_INCLUDES, MAX_ZONE_BYTES, included_files};

/// One zone, validated and ready to be served.
#[derive(Debug)]
pub struct Zone {
    apex: Name,
    key: NameKey,
    /// The number of labels of the apex.
    labels: usize,
    /// The SOA record. A response replaces its serial and its minimum by those of the decision.
    soa: SOA,
    /// `true` if the SOA record is that of the master file. Its MINIMUM is then the lesser of the record's TTL and MINIMUM.
    has_own_soa: bool,
    nodes: HashMap<NameKey, ZoneNode>,
    pools: Vec<PoolName>,
}

/// One node of a zone (RFC 1034, section 3.1).
#[derive(Debug)]
pub(crate) struct ZoneNode {
    pub(crate) name: Name,
    /// The static records. A node without records is an empty non-terminal, or has only a pool.
    pub(crate) sets: Vec<RrSet>,
    /// The index of the node's pool in the pools of the zone.
    pub(crate) pool: Option<usize>,
    /// `true` if the node has a wildcard as a child.
    has_wildcard: bool,
    /// `true` if the zone delegates this name, and the names below it, to other nameservers.
    is_zone_cut: bool,
    /// The nameservers of the node's NS records that have addresses in this zone.
    nameservers: Vec<NameKey>,
}

/// The outcome of a search for a name.
pub(crate) enum Lookup<'a> {
    /// The node of the name, or the wildcard that matches it (RFC 4592).
    Node(&'a ZoneNode),
    /// The zone cut at the name or above it.
    ZoneCut(&'a ZoneNode),
    /// The name does not exist.
    NoSuchName,
}

/// The CNAME record of a node.
pub(crate) struct Alias<'a> {
    pub(crate) cname: &'a RrSet,
    /// The name that the record points to.
    pub(crate) target: &'a Name,
}

impl Zone {
    /// Builds a zone. Returns every error of the settings, not only the first.
    pub fn build(settings: &ZoneSettings) -> Result<Self, ZoneErrors> {
        build::zone(settings).map_err(ZoneErrors)
    }

    /// Builds zones that are served together. Returns every error of every zone, and names that are in two zones.
    pub fn build_all(settings: &[ZoneSettings]) -> Result<Vec<Self>, ZoneErrors> {
        build::zones(settings).map_err(ZoneErrors)
    }

    /// The name of the zone's apex.
    pub(crate) fn apex(&self) -> &Name {
        &self.apex
    }

    pub(crate) fn key(&self) -> &NameKey {
        &self.key
    }

    pub(crate) fn labels(&self) -> usize {
        self.labels
    }

    pub(crate) fn soa(&self) -> &SOA {
        &self.soa
    }

    /// The SOA record of the master file, if it has one. Its MINIMUM is the file's negative TTL (RFC 2308, section 5).
    pub(crate) fn own_soa(&self) -> Option<&SOA> {
        self.has_own_soa.then_some(&self.soa)
    }

    pub(crate) fn pools(&self) -> &[PoolName] {
        &self.pools
    }

    /// The nameservers by the NS records of the apex. Only those in the zone have their addresses.
    pub(crate) fn nameservers(&self) -> Vec<Nameserver> {
        let set = self.node(&self.key).and_then(|apex| apex.set(RecordType::NS));
        let names = set.map(build::nameserver_names).unwrap_or_default();
        let addresses = |name: &Name| {
            let node = self.nodes.get(&name_key(name));
            let sets = node.into_iter().flat_map(ZoneNode::addresses);
            sets.flat_map(|set| &set.data).filter_map(RData::ip_addr).collect()
        };
        names.iter().map(|name| Nameserver { name: display_name(name), addresses: addresses(name) }).collect()
    }

    /// Searches the zone for a name.
    ///
    /// The search stops at a zone cut. The only records on this side of a cut are its DS records (RFC 4035, section 3.1.4.1).
    pub(crate) fn lookup(&self, name: &WireName, rtype: RecordType) -> Lookup<'_> {
        let mut closest_encloser: Option<&ZoneNode> = None;
        for labels in self.labels..=name.labels() {
            let Some(node) = self.nodes.get(name.suffix(labels)) else {
                let has_wildcard = closest_encloser.is_some_and(|encloser| encloser.has_wildcard);
                let wildcard = if has_wildcard { self.wildcard_below(name.suffix(labels - 1)) } else { None };
                return wildcard.map_or(Lookup::NoSuchName, Lookup::Node);
            };
            if node.is_zone_cut && !(rtype == RecordType::DS && labels == name.labels()) {
                return Lookup::ZoneCut(node);
            }
            closest_encloser = Some(node);
        }
        closest_encloser.map_or(Lookup::NoSuchName, Lookup::Node)
    }

    /// The node of a key.
    pub(crate) fn node(&self, key: &[u8]) -> Option<&ZoneNode> {
        self.nodes.get(key)
    }

    /// The wildcard that is a child of the name with this key.
    fn wildcard_below(&self, parent: &[u8]) -> Option<&ZoneNode> {
        const LABEL: &[u8] = b"\x01*";
        let mut key = [0; LABEL.len() + 255];
        let key = key.get_mut(..LABEL.len() + parent.len())?;
        key[..LABEL.len()].copy_from_slice(LABEL);
        key[LABEL.len()..].copy_from_slice(parent);
        self.nodes.get(&*key)
    }
}

impl ZoneNode {
    /// The static records of a type.
    pub(crate) fn set(&self, rtype: RecordType) -> Option<&RrSet> {
        self.sets.iter().find(|set| set.rtype == rtype)
    }

    /// The CNAME record of the node, if it has one.
    pub(crate) fn alias(&self) -> Option<Alias<'_>> {
        let cname = self.set(RecordType::CNAME)?;
        match cname.data.first() {
            Some(RData::CNAME(target)) => Some(Alias { cname, target: &target.0 }),
            _ => None,
        }
    }

    /// The nameservers of the node's NS records that have addresses in this zone.
    pub(crate) fn nameservers(&self) -> &[NameKey] {
        &self.nameservers
    }

    /// The static A and AAAA records.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &RrSet> {
        self.sets.iter().filter(|set| set.rtype.is_ip_addr())
    }
}

#[cfg(test)]
mod tests;
