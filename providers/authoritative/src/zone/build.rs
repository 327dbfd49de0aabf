//! Builds zones from their settings, and collects every error of the settings.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use daymark_decision::PoolName;
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::name::{NameKey, name_key};
use crate::rrset::RrSet;
use crate::settings::{Nameserver, ZoneSettings};
use crate::zone::error::display_name;
use crate::zone::{Zone, ZoneError, ZoneNode, master};

/// The TTL of generated NS records and of the addresses of nameservers, in seconds. They change rarely: with the machines.
const NAMESERVER_TTL: u32 = 3600;

// The timers of a generated SOA record, in seconds. No secondary uses them, because the zone is never transferred.
const SOA_REFRESH: i32 = 3600;
const SOA_RETRY: i32 = 600;
const SOA_EXPIRE: i32 = 604_800;

/// Builds every zone. Checks that no apex and no pool is listed twice.
pub(super) fn zones(settings: &[ZoneSettings]) -> Result<Vec<Zone>, Vec<ZoneError>> {
    let mut zones: Vec<Zone> = Vec::new();
    let mut errors = Vec::new();
    for zone_settings in settings {
        match zone(zone_settings) {
            Ok(zone) => zones.push(zone),
            Err(more) => errors.extend(more),
        }
    }
    let mut apexes = HashSet::new();
    let mut pools = HashSet::new();
    for zone in &zones {
        if !apexes.insert(&zone.key) {
            errors.push(ZoneError::DuplicateZone(display_name(&zone.apex)));
        }
        let duplicates = zone.pools.iter().filter(|pool| !pools.insert(*pool));
        errors.extend(duplicates.map(|pool| ZoneError::DuplicatePool(pool.clone())));
    }
    if errors.is_empty() { Ok(zones) } else { Err(errors) }
}

/// Builds one zone.
pub(super) fn zone(settings: &ZoneSettings) -> Result<Zone, Vec<ZoneError>> {
    let apex = host_name(&settings.apex).map_err(|error| vec![error])?;
    let mut builder = Builder { apex, nodes: HashMap::new(), pools: Vec::new(), errors: Vec::new() };
    let soa = builder.add_static_records(settings);
    builder.mark_cuts_and_wildcards();
    builder.add_pools(&settings.pools);
    let primary = builder.add_nameservers(&settings.nameservers);
    builder.link_nameservers();
    let Builder { apex, nodes, pools, errors } = builder;
    match primary {
        Some(primary) if errors.is_empty() => {
            let has_own_soa = soa.is_some();
            let soa = soa.unwrap_or_else(|| generated_soa(&apex, primary));
            let key = name_key(&apex);
            Ok(Zone { labels: apex.iter().count(), apex, key, soa, has_own_soa, nodes, pools })
        }
        _ => Err(errors),
    }
}

/// Parses the name of a zone, a pool or a nameserver.
fn host_name(text: &str) -> Result<Name, ZoneError> {
    let mut name = Name::from_ascii(text).map_err(|cause| ZoneError::InvalidName { name: text.to_owned(), cause })?;
    if name.is_root() || name.iter().any(|label| label == b"*") {
        return Err(ZoneError::UnsuitableName { name: text.to_owned() });
    }
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

/// The SOA record of a zone whose master file has none.
fn generated_soa(apex: &Name, primary: Name) -> SOA {
    // The additional label can make the name too long. Then the apex itself serves as the mailbox.
    let mailbox = apex.prepend_label("hostmaster").unwrap_or_else(|_| apex.clone());
    SOA::new(primary, mailbox, 0, SOA_REFRESH, SOA_RETRY, SOA_EXPIRE, 0)
}

/// A zone that is being built, with the errors so far.
struct Builder {
    apex: Name,
    nodes: HashMap<NameKey, ZoneNode>,
    pools: Vec<PoolName>,
    errors: Vec<ZoneError>,
}

impl Builder {
    /// The node of a name of the zone. Inserts it, and the nodes between it and the apex, if they do not exist yet.
    fn node(&mut self, name: &Name) -> &mut ZoneNode {
        let mut ancestor = name.clone();
        while ancestor.iter().count() > self.apex.iter().count() {
            ancestor = ancestor.base_name();
            self.nodes.entry(name_key(&ancestor)).or_insert_with(|| ZoneNode::new(&ancestor));
        }
        self.nodes.entry(name_key(name)).or_insert_with(|| ZoneNode::new(name))
    }

    /// Adds the records of the master file. Returns its SOA record, if it has one, with the file's negative TTL as MINIMUM.
    fn add_static_records(&mut self, settings: &ZoneSettings) -> Option<SOA> {
        let apex = self.apex.clone();
        self.node(&apex);
        let mut soa = None;
        let Some(file) = &settings.master_file else { return soa };
        for record in master::read(file, &apex, &mut self.errors) {
            match record.set.data.first() {
                Some(RData::SOA(data)) => {
                    let mut data = data.clone();
                    data.minimum = data.minimum.min(record.set.ttl);
                    soa = Some(data);
                }
                _ => self.node(&record.name).sets.push(record.set),
            }
        }
        for node in self.nodes.values().filter(|node| node.alias().is_some() && node.sets.len() > 1) {
            self.errors.push(ZoneError::UnsupportedRecord {
                path: file.path.clone(),
                name: display_name(&node.name),
                rtype: RecordType::CNAME,
                reason: "a name with a CNAME record has no other records (RFC 1034, section 3.6.2)",
            });
        }
        soa
    }

    /// Marks the zone cuts, and the nodes that have a wildcard as a child.
    fn mark_cuts_and_wildcards(&mut self) {
        let mut wildcard_parents = Vec::new();
        for node in self.nodes.values_mut() {
            node.is_zone_cut = node.name != self.apex && node.set(RecordType::NS).is_some();
            if node.name.iter().next() == Some(b"*") {
                wildcard_parents.push(name_key(&node.name.base_name()));
            }
        }
        for key in wildcard_parents {
            if let Some(node) = self.nodes.get_mut(&key) {
                node.has_wildcard = true;
            }
        }
    }

    /// Adds the pools, each at the node of its name.
    fn add_pools(&mut self, pools: &[PoolName]) {
        for pool in pools {
            match host_name(pool.as_str()) {
                Ok(name) if self.apex.zone_of(&name) => self.add_pool(pool, &name),
                Ok(_) => {
                    self.errors.push(ZoneError::PoolOutsideZone { zone: display_name(&self.apex), pool: pool.clone() });
                }
                Err(error) => self.errors.push(error),
            }
        }
    }

    fn add_pool(&mut self, pool: &PoolName, name: &Name) {
        let zone = display_name(&self.apex);
        if let Some(cut) = self.zone_cut_of(name) {
            return self.errors.push(ZoneError::PoolDelegated { zone, pool: pool.clone(), cut: display_name(&cut) });
        }
        let index = self.pools.len();
        let node = self.node(name);
        let conflicts = node.sets.iter().map(|set| set.rtype).filter(|rtype| rtype.is_ip_addr() || rtype.is_cname());
        let conflicts: Vec<RecordType> = conflicts.collect();
        let is_duplicate = node.pool.replace(index).is_some();
        self.pools.push(pool.clone());
        if is_duplicate {
            self.errors.push(ZoneError::DuplicatePool(pool.clone()));
        }
        for rtype in conflicts {
            self.errors.push(ZoneError::StaticRecordAtPool { zone: zone.clone(), pool: pool.clone(), rtype });
        }
    }

    /// The zone cut at a name or above it.
    fn zone_cut_of(&self, name: &Name) -> Option<Name> {
        let mut ancestor = name.clone();
        while ancestor.iter().count() > self.apex.iter().count() {
            if self.nodes.get(&name_key(&ancestor)).is_some_and(|node| node.is_zone_cut) {
                return Some(ancestor);
            }
            ancestor = ancestor.base_name();
        }
        None
    }

    /// Adds the NS records and the addresses of the nameservers. Returns the name of the primary.
    fn add_nameservers(&mut self, configured: &[Nameserver]) -> Option<Name> {
        let mut addresses = HashMap::new();
        let mut names = Vec::new();
        for nameserver in configured {
            match host_name(&nameserver.name) {
                Ok(name) => {
                    if addresses.insert(name_key(&name), nameserver.addresses.as_slice()).is_some() {
                        self.errors.push(ZoneError::DuplicateNameserver(display_name(&name)));
                    }
                    names.push(name);
                }
                Err(error) => self.errors.push(error),
            }
        }
        let apex = self.apex.clone();
        let node = self.node(&apex);
        match node.set(RecordType::NS) {
            Some(in_file) => names = nameserver_names(in_file),
            None if names.is_empty() => self.errors.push(ZoneError::NoNameserver(display_name(&apex))),
            None => {
                let data = names.iter().map(|name| RData::NS(NS(name.clone()))).collect();
                node.sets.push(RrSet { rtype: RecordType::NS, ttl: NAMESERVER_TTL, data });
            }
        }
        for name in &names {
            self.ensure_nameserver_address(name, addresses.get(&name_key(name)).copied().unwrap_or_default());
        }
        names.into_iter().next()
    }

    /// Ensures that a nameserver has an address if its name is in the zone. Addresses of the master file take precedence.
    fn ensure_nameserver_address(&mut self, name: &Name, configured: &[IpAddr]) {
        if !self.apex.zone_of(name) {
            return;
        }
        let zone = display_name(&self.apex);
        let nameserver = display_name(name);
        let node = self.node(name);
        if node.pool.is_some() {
            return self.errors.push(ZoneError::NameserverIsPool { zone, nameserver });
        }
        if node.addresses().next().is_some() {
            return;
        }
        if configured.is_empty() || node.alias().is_some() {
            return self.errors.push(ZoneError::NameserverWithoutAddress { zone, nameserver });
        }
        for rtype in [RecordType::A, RecordType::AAAA] {
            let data = configured.iter().map(|&ip| RData::from(ip));
            let data: Vec<RData> = data.filter(|data| data.record_type() == rtype).collect();
            if !data.is_empty() {
                node.sets.push(RrSet { rtype, ttl: NAMESERVER_TTL, data });
            }
        }
    }

    /// Links each node that has NS records to those of its nameservers that have addresses in this zone.
    fn link_nameservers(&mut self) {
        let has_address = |key: &NameKey| self.nodes.get(key).is_some_and(|node| node.addresses().next().is_some());
        let mut links: HashMap<NameKey, Vec<NameKey>> = HashMap::new();
        for (key, node) in &self.nodes {
            if let Some(set) = node.set(RecordType::NS) {
                let nameservers = nameserver_names(set);
                links.insert(key.clone(), nameservers.iter().map(name_key).filter(has_address).collect());
            }
        }
        for (key, nameservers) in links {
            if let Some(node) = self.nodes.get_mut(&key) {
                node.nameservers = nameservers;
            }
        }
    }
}

/// The names in the data of NS records.
pub(super) fn nameserver_names(set: &RrSet) -> Vec<Name> {
    let names = set.data.iter().filter_map(|data| match data {
        RData::NS(target) => Some(target.0.clone()),
        _ => None,
    });
    names.collect()
}

impl ZoneNode {
    fn new(name: &Name) -> Self {
        Self {
            name: name.clone(),
            sets: Vec::new(),
            pool: None,
            has_wildcard: false,
            is_zone_cut: false,
            nameservers: Vec::new(),
        }
    }
}
