//! The proofs that names and types do not exist: NSEC (RFC 4035, section 3.1.3) and NSEC3 (RFC 5155, section 7.2).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use data_encoding::BASE32_DNSSEC;
use hickory_proto::dnssec::Nsec3HashAlgorithm;
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC, NSEC3};
use hickory_proto::rr::{LowerName, Name, RData, RecordSet, RecordType, RrKey};

use super::settings::DenialOfExistence;
use crate::records::{Records, path, record_set};

/// The names of a zone that the zone is the authority for, in canonical order, with the types of their records.
pub(crate) type NameTypes = BTreeMap<LowerName, BTreeSet<RecordType>>;

/// The signed chain over all names of a zone.
pub(crate) struct DenialChain {
    links: Links,
}

enum Links {
    Nsec(BTreeMap<LowerName, Arc<RecordSet>>),
    /// By the hash of the name.
    Nsec3(BTreeMap<Vec<u8>, Arc<RecordSet>>),
}

/// A statement that a chain proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProvenAbsence {
    /// The name exists without records of the type.
    Type { name: LowerName },
    /// The name does not exist, and neither does the wildcard below its closest encloser.
    Name { name: LowerName, closest_encloser: LowerName },
    /// The name does not exist, and the wildcard that matches it has no records of the type.
    TypeOfWildcard { name: LowerName, closest_encloser: LowerName },
    /// The name does not exist, so the answer of the wildcard is right.
    NameForWildcard { name: LowerName, closest_encloser: LowerName },
}

impl DenialChain {
    /// Makes the chain of a zone. `ttl` is that of its records: the negative TTL (RFC 9077, section 3).
    pub(super) fn new(
        kind: DenialOfExistence,
        apex: &LowerName,
        names: &NameTypes,
        ttl: u32,
        mut sign: impl FnMut(RecordSet) -> Arc<RecordSet>,
    ) -> Self {
        let sets = match kind {
            DenialOfExistence::Nsec => nsec_sets(names, ttl),
            DenialOfExistence::Nsec3 => return Self { links: Links::Nsec3(nsec3_links(apex, names, ttl, sign)) },
        };
        Self { links: Links::Nsec(sets.map(|set| (set.name().into(), sign(set))).collect()) }
    }

    /// Adds the NSEC records to those of the zone. NSEC3 records are no records of the zone's names (RFC 5155, section 7.2.8).
    pub(super) fn add_to(&self, records: &mut Records) {
        if let Links::Nsec(links) = &self.links {
            for (name, set) in links {
                records.insert(RrKey::new(name.clone(), RecordType::NSEC), Arc::clone(set));
            }
        }
    }

    /// The signed sets that prove a statement.
    pub(crate) fn proof(&self, denied: &ProvenAbsence) -> Vec<&Arc<RecordSet>> {
        let is_nsec = matches!(self.links, Links::Nsec(_));
        let names = match denied {
            ProvenAbsence::Type { name } => vec![name.clone()],
            ProvenAbsence::Name { name, closest_encloser: encloser }
            | ProvenAbsence::TypeOfWildcard { name, closest_encloser: encloser } => {
                let wildcard = wildcard_of(encloser);
                if is_nsec {
                    vec![name.clone(), wildcard]
                } else {
                    vec![encloser.clone(), next_closer(encloser, name), wildcard]
                }
            }
            ProvenAbsence::NameForWildcard { name, .. } if is_nsec => vec![name.clone()],
            ProvenAbsence::NameForWildcard { name, closest_encloser: encloser } => vec![next_closer(encloser, name)],
        };
        let mut proof: Vec<&Arc<RecordSet>> = Vec::new();
        for set in names.iter().filter_map(|name| self.link(name)) {
            if !proof.iter().any(|known| Arc::ptr_eq(known, set)) {
                proof.push(set);
            }
        }
        proof
    }

    /// The link of a name, or the one that covers it.
    fn link(&self, name: &LowerName) -> Option<&Arc<RecordSet>> {
        match &self.links {
            // The apex is before every name of the zone.
            Links::Nsec(links) => links.range(..=name).next_back().map(|(_, set)| set),
            Links::Nsec3(links) => {
                let before = links.range(..=hash(name)?).next_back();
                before.or_else(|| links.last_key_value()).map(|(_, set)| set)
            }
        }
    }
}

/// The name below the closest encloser that leads to a name that does not exist (RFC 5155, section 1.3).
fn next_closer(closest_encloser: &LowerName, name: &LowerName) -> LowerName {
    path(closest_encloser, name).into_iter().next().unwrap_or_else(|| name.clone())
}

/// The wildcard directly below a name.
fn wildcard_of(name: &LowerName) -> LowerName {
    Name::from(name).prepend_label("*").map_or_else(|_| name.clone(), |name| LowerName::new(&name))
}

fn nsec_sets(names: &NameTypes, ttl: u32) -> impl Iterator<Item = RecordSet> {
    // The last name leads back to the first (RFC 4034, section 4.1.1).
    let next = names.keys().skip(1).chain(names.keys().take(1));
    names.iter().zip(next).map(move |((name, types), next)| {
        let nsec = NSEC::new_cover_self(next.into(), types.iter().copied());
        record_set(name, RecordType::NSEC, ttl, [RData::DNSSEC(DNSSECRData::NSEC(nsec))])
    })
}

fn nsec3_links(
    apex: &LowerName,
    names: &NameTypes,
    ttl: u32,
    mut sign: impl FnMut(RecordSet) -> Arc<RecordSet>,
) -> BTreeMap<Vec<u8>, Arc<RecordSet>> {
    let no_types = BTreeSet::new();
    let mut hashes = BTreeMap::new();
    for (name, types) in names {
        // The names between the apex and this one exist, even without records.
        let enclosing = path(apex, name).into_iter().filter(|between| !names.contains_key(between));
        for between in enclosing {
            hashes.extend(hash(&between).map(|hash| (hash, &no_types)));
        }
        hashes.extend(hash(name).map(|hash| (hash, types)));
    }
    let next = hashes.keys().skip(1).chain(hashes.keys().take(1));
    let links = hashes.iter().zip(next).filter_map(|((hash, types), next)| {
        let owner = Name::from(apex).prepend_label(BASE32_DNSSEC.encode(hash)).ok()?;
        // A zone cut without DS records has no signed records.
        let is_signed = types.iter().any(|rtype| *rtype != RecordType::NS) || types.contains(&RecordType::SOA);
        let types = types.iter().copied().chain(is_signed.then_some(RecordType::RRSIG));
        let nsec3 = NSEC3::new(Nsec3HashAlgorithm::SHA1, false, 0, Vec::new(), next.clone(), types);
        let data = [RData::DNSSEC(DNSSECRData::NSEC3(nsec3))];
        let set = record_set(&LowerName::new(&owner), RecordType::NSEC3, ttl, data);
        Some((hash.clone(), sign(set)))
    });
    links.collect()
}

/// The hash of a name, without iterations and salt (RFC 9276, section 3.1).
fn hash(name: &LowerName) -> Option<Vec<u8>> {
    let hash = Nsec3HashAlgorithm::SHA1.hash(&[], &name.into(), 0).ok()?;
    Some(hash.as_ref().to_vec())
}
