//! Finds delegations to nameservers in the zone that have no address in it.

use std::fmt;

use hickory_proto::rr::{LowerName, Name, RecordType};

use crate::records::{addresses, exists, nameserver_names, path, set};
use crate::zone::Zone;
use crate::zone::error::display_name;

/// A delegation to a nameserver in the zone that has no address in it. BIND warns of it and serves the zone.
#[derive(Debug, PartialEq, Eq)]
pub struct MissingGlue {
    zone: String,
    cut: String,
    nameserver: String,
}

impl fmt::Display for MissingGlue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { zone, cut, nameserver } = self;
        write!(
            f,
            "{cut} is delegated to {nameserver}, which has no address in the zone {zone}, so resolvers may not reach it; add an A \
             or AAAA record of {nameserver}"
        )
    }
}

/// Every delegation of the zone without an address that it needs.
pub(super) fn missing(zone: &Zone) -> Vec<MissingGlue> {
    let sets = zone.records.values().filter(|set| set.record_type() == RecordType::NS);
    let cuts = sets.filter(|set| zone_cut(zone, &set.name().into()).is_some_and(|cut| cut == set.name().into()));
    let delegations = cuts.flat_map(|set| nameserver_names(set).map(|nameserver| (set.name(), nameserver)));
    let missing = delegations.filter(|(_, nameserver)| needs_address(zone, nameserver));
    let missing = missing.map(|(cut, nameserver)| MissingGlue {
        zone: display_name(&zone.apex),
        cut: display_name(cut),
        nameserver: display_name(nameserver),
    });
    missing.collect()
}

/// Returns `true` if a name is in the zone and has no address, of its own or of a wildcard.
fn needs_address(zone: &Zone, name: &Name) -> bool {
    let name = LowerName::from(name);
    let is_pool = zone.pools.iter().any(|pool| pool.owner == name);
    if !zone.apex.zone_of(&name) || is_pool || addresses(&zone.records, &name).next().is_some() {
        return false;
    }
    let is_outside_cuts = zone_cut(zone, &name).is_none();
    let encloser = path(&zone.apex, &name).into_iter().take_while(|name| exists(&zone.records, name)).last();
    let wildcard = encloser.as_ref().unwrap_or(&zone.apex).prepend_label("*");
    let has_wildcard = wildcard.is_ok_and(|wildcard| addresses(&zone.records, &wildcard.into()).next().is_some());
    !(is_outside_cuts && !exists(&zone.records, &name) && has_wildcard)
}

/// The highest zone cut at the name or above it.
fn zone_cut(zone: &Zone, name: &LowerName) -> Option<LowerName> {
    path(&zone.apex, name).into_iter().find(|name| set(&zone.records, name, RecordType::NS).is_some())
}
