//! Builds zones from their settings, and collects every error of the settings.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use daymark_decision::PoolName;
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{LowerName, Name, RData, RecordSet, RecordType};

use crate::dnssec::{MAX_SIGNED_TTL, ZoneSigner};
use crate::records::{Records, addresses, insert, nameserver_names, path, record_set, set, sets_at};
use crate::settings::{Nameserver, ZoneSettings};
use crate::zone::error::display_name;
use crate::zone::{Zone, ZoneError, ZonePool, master};

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
        if !apexes.insert(&zone.apex) {
            errors.push(ZoneError::DuplicateZone(display_name(&zone.apex)));
        }
        let duplicates = zone.pools.iter().map(|pool| &pool.pool).filter(|pool| !pools.insert(*pool));
        errors.extend(duplicates.map(|pool| ZoneError::DuplicatePool(pool.clone())));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    delegate_nested_zones(&mut zones);
    Ok(zones)
}

/// The records of a zone that its outer zone has.
struct InnerZone {
    apex: LowerName,
    nameservers: Arc<RecordSet>,
    ds: Option<RecordSet>,
}

/// Makes each zone that is within another one a delegation of it, if the file of the outer zone does not have it.
///
/// The outer zone answers for the DS records of the inner one (RFC 4035, section 3.1.4.1), so it has to know that the name exists.
fn delegate_nested_zones(zones: &mut [Zone]) {
    let inner = zones.iter().filter_map(|zone| {
        let nameservers = set(&zone.records, &zone.apex, RecordType::NS)?.clone();
        let ds = zone.signer.as_ref().map(ZoneSigner::ds_set);
        Some(InnerZone { apex: zone.apex.clone(), nameservers, ds })
    });
    let inner: Vec<InnerZone> = inner.collect();
    for InnerZone { apex, nameservers, ds } in inner {
        let outer = zones.iter_mut().filter(|zone| zone.apex != apex && zone.apex.zone_of(&apex));
        let Some(outer) = outer.max_by_key(|zone| zone.apex.len()) else { continue };
        if sets_at(&outer.records, &apex).next().is_none() {
            insert(&mut outer.records, nameservers.as_ref().clone());
            if let Some(ds) = ds {
                insert(&mut outer.records, ds);
            }
        }
    }
}

/// Builds one zone.
pub(super) fn zone(settings: &ZoneSettings) -> Result<Zone, Vec<ZoneError>> {
    let apex = host_name(&settings.apex).map_err(|error| vec![error])?;
    let mut builder = Builder { apex, records: Records::new(), pools: Vec::new(), errors: Vec::new() };
    let soa = builder.add_static_records(settings);
    builder.add_pools(&settings.pools);
    let primary = builder.add_nameservers(&settings.nameservers);
    let Builder { apex, records, pools, errors } = builder;
    match primary {
        Some(primary) if errors.is_empty() => {
            let has_own_soa = soa.is_some();
            let soa = soa.unwrap_or_else(|| generated_soa(&apex, primary));
            let signer = settings.signing.as_ref().map(|signing| ZoneSigner::new(&apex, signing));
            let records = if signer.is_some() { with_short_ttls(records) } else { records };
            Ok(Zone { apex, soa, has_own_soa, records, pools, signer })
        }
        _ => Err(errors),
    }
}

/// Parses the name of a zone, a pool or a nameserver.
fn host_name(text: &str) -> Result<LowerName, ZoneError> {
    let mut name = Name::from_ascii(text).map_err(|cause| ZoneError::InvalidName { name: text.to_owned(), cause })?;
    if name.is_root() || name.iter().any(|label| label == b"*") {
        return Err(ZoneError::UnsuitableName { name: text.to_owned() });
    }
    name.set_fqdn(true);
    Ok(LowerName::new(&name))
}

/// The SOA record of a zone whose master file has none.
fn generated_soa(apex: &LowerName, primary: Name) -> SOA {
    // The additional label can make the name too long. Then the apex itself serves as the mailbox.
    let mailbox = apex.prepend_label("hostmaster").unwrap_or_else(|_| apex.into());
    SOA::new(primary, mailbox, 0, SOA_REFRESH, SOA_RETRY, SOA_EXPIRE, 0)
}

/// The records of a signed zone. No TTL is so long that a resolver would keep a signature beyond its end.
fn with_short_ttls(mut records: Records) -> Records {
    for set in records.values_mut().filter(|set| set.ttl() > MAX_SIGNED_TTL) {
        Arc::make_mut(set).set_ttl(MAX_SIGNED_TTL);
    }
    records
}

/// A zone that is being built, with the errors so far.
struct Builder {
    apex: LowerName,
    records: Records,
    pools: Vec<ZonePool>,
    errors: Vec<ZoneError>,
}

impl Builder {
    /// Adds the records of the master file. Returns its SOA record, if it has one, with the file's negative TTL as MINIMUM.
    fn add_static_records(&mut self, settings: &ZoneSettings) -> Option<SOA> {
        let mut soa = None;
        let file = settings.master_file.as_ref()?;
        for record in master::read(file, &self.apex, &mut self.errors) {
            if let Some(RData::SOA(data)) = record.set.data.first() {
                let mut data = data.clone();
                data.minimum = data.minimum.min(record.set.ttl);
                soa = Some(data);
            } else {
                let name = LowerName::new(&record.name);
                insert(&mut self.records, record_set(&name, record.set.rtype, record.set.ttl, record.set.data));
            }
        }
        soa
    }

    /// Adds the pools, each at its name.
    fn add_pools(&mut self, pools: &[PoolName]) {
        for pool in pools {
            match host_name(pool.as_str()) {
                Ok(name) if self.apex.zone_of(&name) => self.add_pool(pool, name),
                Ok(_) => {
                    self.errors.push(ZoneError::PoolOutsideZone { zone: display_name(&self.apex), pool: pool.clone() });
                }
                Err(error) => self.errors.push(error),
            }
        }
    }

    fn add_pool(&mut self, pool: &PoolName, owner: LowerName) {
        let zone = display_name(&self.apex);
        let cut = path(&self.apex, &owner).into_iter().find(|name| set(&self.records, name, RecordType::NS).is_some());
        if let Some(cut) = cut {
            return self.errors.push(ZoneError::PoolDelegated { zone, pool: pool.clone(), cut: display_name(&cut) });
        }
        if self.pools.iter().any(|known| known.owner == owner) {
            self.errors.push(ZoneError::DuplicatePool(pool.clone()));
        }
        let conflicts = sets_at(&self.records, &owner).map(|set| set.record_type());
        for rtype in conflicts.filter(|rtype| rtype.is_ip_addr() || rtype.is_cname()) {
            self.errors.push(ZoneError::StaticRecordAtPool { zone: zone.clone(), pool: pool.clone(), rtype });
        }
        self.pools.push(ZonePool { pool: pool.clone(), owner });
    }

    /// Adds the NS records and the addresses of the nameservers. Returns the name of the primary.
    fn add_nameservers(&mut self, configured: &[Nameserver]) -> Option<Name> {
        let mut addresses = HashMap::new();
        let mut names = Vec::new();
        for nameserver in configured {
            match host_name(&nameserver.name) {
                Ok(name) => {
                    if addresses.insert(name.clone(), nameserver.addresses.as_slice()).is_some() {
                        self.errors.push(ZoneError::DuplicateNameserver(display_name(&name)));
                    }
                    names.push(Name::from(&name));
                }
                Err(error) => self.errors.push(error),
            }
        }
        match set(&self.records, &self.apex, RecordType::NS) {
            Some(in_file) => names = nameserver_names(in_file).cloned().collect(),
            None if names.is_empty() => self.errors.push(ZoneError::NoNameserver(display_name(&self.apex))),
            None => {
                let data = names.iter().map(|name| RData::NS(NS(name.clone())));
                insert(&mut self.records, record_set(&self.apex, RecordType::NS, NAMESERVER_TTL, data));
            }
        }
        for name in names.iter().map(LowerName::from) {
            self.ensure_nameserver_address(&name, addresses.get(&name).copied().unwrap_or_default());
        }
        names.into_iter().next()
    }

    /// Ensures that a nameserver has an address if its name is in the zone. Addresses of the master file take precedence.
    fn ensure_nameserver_address(&mut self, name: &LowerName, configured: &[IpAddr]) {
        if !self.apex.zone_of(name) {
            return;
        }
        let zone = display_name(&self.apex);
        let nameserver = display_name(name);
        if self.pools.iter().any(|pool| pool.owner == *name) {
            return self.errors.push(ZoneError::NameserverIsPool { zone, nameserver });
        }
        if addresses(&self.records, name).next().is_some() {
            return;
        }
        if configured.is_empty() || set(&self.records, name, RecordType::CNAME).is_some() {
            return self.errors.push(ZoneError::NameserverWithoutAddress { zone, nameserver });
        }
        for rtype in [RecordType::A, RecordType::AAAA] {
            let data = configured.iter().map(|&ip| RData::from(ip)).filter(|data| data.record_type() == rtype);
            let set = record_set(name, rtype, NAMESERVER_TTL, data);
            if !set.is_empty() {
                insert(&mut self.records, set);
            }
        }
    }
}
