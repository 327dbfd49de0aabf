//! Builds a zone of its settings, and finds everything that is wrong with them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;

use daymark_decision::PoolName;
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::name::{Key, key};
use crate::records::RrSet;
use crate::settings::{Nameserver, ZoneSettings};
use crate::zone::error::shown;
use crate::zone::{Node, PoolPlace, Zone, ZoneError, master};

/// Seconds that generated NS records and the addresses of nameservers may be kept. They change with the machines.
const NAMESERVER_TTL: u32 = 3600;

/// The timers of a generated SOA record, in seconds. No secondary reads them, since the zone is never transferred.
const REFRESH: i32 = 3600;
const RETRY: i32 = 600;
const EXPIRE: i32 = 604_800;

/// Every zone, and that none stands twice.
pub(super) fn zones(settings: &[ZoneSettings]) -> Result<Vec<Zone>, Vec<ZoneError>> {
    let (mut zones, mut errors): (Vec<Zone>, _) = (Vec::new(), Vec::new());
    for one in settings {
        match zone(one) {
            Ok(zone) => zones.push(zone),
            Err(more) => errors.extend(more),
        }
    }
    let (mut apexes, mut pools) = (HashSet::new(), HashSet::new());
    for zone in &zones {
        if !apexes.insert(&zone.key) {
            errors.push(ZoneError::ZoneTwice(shown(&zone.apex)));
        }
        let twice = zone.pools.iter().filter(|pool| !pools.insert(&pool.name));
        errors.extend(twice.map(|pool| ZoneError::PoolTwice(pool.name.clone())));
    }
    if errors.is_empty() { Ok(zones) } else { Err(errors) }
}

/// One zone.
pub(super) fn zone(settings: &ZoneSettings) -> Result<Zone, Vec<ZoneError>> {
    let apex = host_name(&settings.apex).map_err(|error| vec![error])?;
    let mut builder = Builder { apex, nodes: HashMap::new(), pools: Vec::new(), errors: Vec::new() };
    let soa = builder.statics(settings);
    builder.mark();
    builder.pools(&settings.pools);
    let primary = builder.nameservers(&settings.nameservers);
    builder.find_glue();
    let Builder { apex, nodes, pools, errors } = builder;
    match primary {
        Some(primary) if errors.is_empty() => {
            let soa = soa.unwrap_or_else(|| generated(&apex, primary));
            let key = key(&apex);
            Ok(Zone { labels: apex.iter().count(), apex, key, soa, nodes, pools })
        }
        _ => Err(errors),
    }
}

/// A name for a zone, a pool or a nameserver.
fn host_name(text: &str) -> Result<Name, ZoneError> {
    let mut name = Name::from_ascii(text).map_err(|cause| ZoneError::Name { name: text.to_owned(), cause })?;
    if name.is_root() || name.iter().any(|label| label == b"*") {
        return Err(ZoneError::NameUnfit { name: text.to_owned() });
    }
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

/// The SOA record of a zone without one of its own.
fn generated(apex: &Name, primary: Name) -> SOA {
    // A label more can make the name too long; the zone's own name is then as good a mailbox as any.
    let mailbox = apex.prepend_label("hostmaster").unwrap_or_else(|_| apex.clone());
    SOA::new(primary, mailbox, 0, REFRESH, RETRY, EXPIRE, 0)
}

struct Builder {
    apex: Name,
    nodes: HashMap<Key, Node>,
    pools: Vec<PoolPlace>,
    errors: Vec<ZoneError>,
}

impl Builder {
    /// The node of a name of the zone, made where it is not there yet, with every node above it.
    fn node(&mut self, name: &Name) -> &mut Node {
        let mut above = name.clone();
        while above.iter().count() > self.apex.iter().count() {
            above = above.base_name();
            self.nodes.entry(key(&above)).or_insert_with(|| Node::at(&above));
        }
        self.nodes.entry(key(name)).or_insert_with(|| Node::at(name))
    }

    /// Takes in the static records; gives the SOA record of the file.
    fn statics(&mut self, settings: &ZoneSettings) -> Option<SOA> {
        let apex = self.apex.clone();
        self.node(&apex);
        let mut soa = None;
        let Some(file) = &settings.master_file else { return soa };
        for (name, set) in master::read(file, &apex, &mut self.errors) {
            match set.data.first() {
                Some(RData::SOA(of_file)) => soa = Some(of_file.clone()),
                _ => self.node(&name).sets.push(set),
            }
        }
        for node in self.nodes.values().filter(|node| node.alias().is_some() && node.sets.len() > 1) {
            self.errors.push(ZoneError::RecordUnfit {
                path: file.path.clone(),
                name: shown(&node.name),
                rtype: RecordType::CNAME,
                why: "an alias has no other records (RFC 1034, section 3.6.2)",
            });
        }
        soa
    }

    /// Marks the zone cuts, and the names with a wildcard right below them.
    fn mark(&mut self) {
        let mut wild = Vec::new();
        for node in self.nodes.values_mut() {
            node.cut = node.name != self.apex && node.set(RecordType::NS).is_some();
            if node.name.iter().next() == Some(b"*") {
                wild.push(key(&node.name.base_name()));
            }
        }
        for key in wild {
            if let Some(node) = self.nodes.get_mut(&key) {
                node.wildcard = true;
            }
        }
    }

    /// Sets the pools in their places.
    fn pools(&mut self, pools: &[PoolName]) {
        for pool in pools {
            match host_name(pool.as_str()) {
                Ok(name) if self.apex.zone_of(&name) => self.pool(pool, &name),
                Ok(_) => self.errors.push(ZoneError::PoolOutside { zone: shown(&self.apex), pool: pool.clone() }),
                Err(error) => self.errors.push(error),
            }
        }
    }

    fn pool(&mut self, pool: &PoolName, name: &Name) {
        let (zone, pool) = (shown(&self.apex), pool.clone());
        if let Some(cut) = self.cut_above(name) {
            return self.errors.push(ZoneError::PoolDelegated { zone, pool, cut: shown(&cut) });
        }
        let place = self.pools.len();
        let node = self.node(name);
        let taken = node.sets.iter().map(|set| set.rtype).filter(|rtype| rtype.is_ip_addr() || rtype.is_cname());
        let taken: Vec<RecordType> = taken.collect();
        let twice = node.pool.replace(place).is_some();
        self.pools.push(PoolPlace { name: pool.clone(), turns: [AtomicUsize::new(0), AtomicUsize::new(0)] });
        if twice {
            self.errors.push(ZoneError::PoolTwice(pool.clone()));
        }
        let error = |rtype| ZoneError::PoolTaken { zone: zone.clone(), pool: pool.clone(), rtype };
        self.errors.extend(taken.into_iter().map(error));
    }

    /// The zone cut at a name or above it.
    fn cut_above(&self, name: &Name) -> Option<Name> {
        let mut above = name.clone();
        while above.iter().count() > self.apex.iter().count() {
            if self.nodes.get(&key(&above)).is_some_and(|node| node.cut) {
                return Some(above);
            }
            above = above.base_name();
        }
        None
    }

    /// Sets the NS records and the addresses of the nameservers; gives the name of the primary.
    fn nameservers(&mut self, given: &[Nameserver]) -> Option<Name> {
        let mut addresses = HashMap::new();
        let mut names = Vec::new();
        for nameserver in given {
            match host_name(&nameserver.name) {
                Ok(name) => {
                    if addresses.insert(key(&name), nameserver.addresses.as_slice()).is_some() {
                        self.errors.push(ZoneError::NameserverTwice(shown(&name)));
                    }
                    names.push(name);
                }
                Err(error) => self.errors.push(error),
            }
        }
        let apex = self.apex.clone();
        let node = self.node(&apex);
        match node.set(RecordType::NS) {
            Some(of_file) => names = targets(of_file),
            None if names.is_empty() => self.errors.push(ZoneError::NoNameserver(shown(&apex))),
            None => {
                let data = names.iter().map(|name| RData::NS(NS(name.clone()))).collect();
                node.sets.push(RrSet { rtype: RecordType::NS, ttl: NAMESERVER_TTL, data });
            }
        }
        for name in &names {
            self.nameserver(name, addresses.get(&key(name)).copied().unwrap_or_default());
        }
        names.into_iter().next()
    }

    /// Sees to it that a nameserver in the zone has an address. Those of the master file win over those given.
    fn nameserver(&mut self, name: &Name, given: &[IpAddr]) {
        if !self.apex.zone_of(name) {
            return;
        }
        let (zone, nameserver) = (shown(&self.apex), shown(name));
        let node = self.node(name);
        if node.pool.is_some() {
            return self.errors.push(ZoneError::NameserverIsPool { zone, nameserver });
        }
        if node.addresses().next().is_some() {
            return;
        }
        if given.is_empty() || node.alias().is_some() {
            return self.errors.push(ZoneError::NameserverWithoutAddress { zone, nameserver });
        }
        for rtype in [RecordType::A, RecordType::AAAA] {
            let data: Vec<RData> =
                given.iter().map(|&ip| RData::from(ip)).filter(|of| of.record_type() == rtype).collect();
            if !data.is_empty() {
                node.sets.push(RrSet { rtype, ttl: NAMESERVER_TTL, data });
            }
        }
    }

    /// Notes, at each name with NS records, which of their names this zone has addresses for.
    fn find_glue(&mut self) {
        let has_address = |key: &Key| self.nodes.get(key).is_some_and(|node| node.addresses().next().is_some());
        let glue = self.nodes.iter().filter_map(|(at, node)| {
            let names = targets(node.set(RecordType::NS)?);
            Some((at.clone(), names.iter().map(key).filter(has_address).collect()))
        });
        let glue: Vec<(Key, Vec<Key>)> = glue.collect();
        for (at, names) in glue {
            if let Some(node) = self.nodes.get_mut(&at) {
                node.glue = names;
            }
        }
    }
}

/// The names that NS records point to.
fn targets(set: &RrSet) -> Vec<Name> {
    let names = set.data.iter().filter_map(|data| match data {
        RData::NS(target) => Some(target.0.clone()),
        _ => None,
    });
    names.collect()
}

impl Node {
    fn at(name: &Name) -> Self {
        Self { name: name.clone(), sets: Vec::new(), pool: None, wildcard: false, cut: false, glue: Vec::new() }
    }
}
