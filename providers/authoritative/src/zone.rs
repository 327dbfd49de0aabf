//! A zone: its static records and its pools.
//!
//! A zone is a pure value that is built from its settings. It does not know the answers of its pools: those are in
//! [`served`](crate::served).

mod build;
mod error;
mod generate;
mod glue;
mod include;
mod lexer;
mod location;
mod master;
mod mnemonics;
mod presentation;
mod rdata;
mod record_sets;
mod scanner;
mod svcb;
mod syntax;

use std::net::IpAddr;

use daymark_decision::PoolName;
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{LowerName, Name, RData, RecordType};

use crate::dnssec::ZoneSigner;
use crate::records::{Records, addresses, nameserver_names, set};
use crate::settings::{Nameserver, ZoneSettings};

use error::display_name;
pub use error::{ZoneError, ZoneErrors};
pub use glue::MissingGlue;
pub use include::{IncludeError, MAX_INCLUDES, MAX_ZONE_BYTES, included_files};
pub use syntax::SyntaxError;

/// One zone, validated and ready to be served.
#[derive(Debug)]
pub struct Zone {
    apex: LowerName,
    /// The SOA record. A response replaces its serial and its minimum by those of the decision.
    soa: SOA,
    /// `true` if the SOA record is that of the master file. Its MINIMUM is then the lesser of the record's TTL and MINIMUM.
    has_own_soa: bool,
    /// The static records, without the SOA record.
    records: Records,
    pools: Vec<ZonePool>,
    /// `None` if the zone is not signed.
    signer: Option<ZoneSigner>,
}

/// A pool of a zone.
#[derive(Debug)]
pub(crate) struct ZonePool {
    pub(crate) pool: PoolName,
    /// The name of its records.
    pub(crate) owner: LowerName,
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
    pub(crate) fn apex(&self) -> &LowerName {
        &self.apex
    }

    pub(crate) fn soa(&self) -> &SOA {
        &self.soa
    }

    /// The SOA record of the master file, if it has one. Its MINIMUM is the file's negative TTL (RFC 2308, section 5).
    pub(crate) fn own_soa(&self) -> Option<&SOA> {
        self.has_own_soa.then_some(&self.soa)
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    /// The signer of the zone, if it is signed.
    pub(crate) fn signer(&self) -> Option<&ZoneSigner> {
        self.signer.as_ref()
    }

    pub(crate) fn pools(&self) -> &[ZonePool] {
        &self.pools
    }

    /// The nameservers by the NS records of the apex. Only those in the zone have their addresses.
    pub(crate) fn nameservers(&self) -> Vec<Nameserver> {
        let names = set(&self.records, &self.apex, RecordType::NS).into_iter().flat_map(|set| nameserver_names(set));
        let nameservers = names.map(|name| Nameserver { name: display_name(name), addresses: self.addresses(name) });
        nameservers.collect()
    }

    /// Every delegation to a nameserver in the zone that has no address in it.
    pub(crate) fn missing_glue(&self) -> Vec<MissingGlue> {
        glue::missing(self)
    }

    /// The static addresses of a name.
    fn addresses(&self, name: &Name) -> Vec<IpAddr> {
        let sets = addresses(&self.records, &name.into());
        sets.flat_map(|set| set.records_without_rrsigs()).filter_map(|record| RData::ip_addr(&record.data)).collect()
    }
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
