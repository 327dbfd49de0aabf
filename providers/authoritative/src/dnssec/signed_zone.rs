//! Signs a whole zone with the answers of one decision.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use hickory_proto::rr::{LowerName, RecordType, RrKey};

use super::denial::{DenialChain, NameTypes};
use super::memory::FixedPart;
use super::signer::{SigningPass, ZoneSigner};
use super::times::SignatureTimes;
use crate::members::{FamilyAnswer, FamilySignatures, PoolAnswer};
use crate::records::{Records, record_set};

/// The outcome of signing a zone, beside its records.
pub(crate) struct SignedZone {
    /// The part that stays, with its records and proofs.
    pub(crate) fixed: Arc<FixedPart>,
    pub(crate) times: SignatureTimes,
}

/// The answer of each pool of a zone, by the name of its records.
type PoolAnswers = BTreeMap<LowerName, Option<PoolAnswer>>;

/// The relation of a name to the zone cuts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NamePlace {
    /// The zone is the authority for the name.
    Authoritative,
    /// The zone delegates the name, and is the authority for its DS records only.
    AtCut,
    /// The name has glue.
    BelowCut,
}

/// The zone cuts, for a walk over names in canonical order.
struct ZoneCuts {
    pending: Peekable<IntoIter<LowerName>>,
    current: Option<LowerName>,
}

impl ZoneSigner {
    /// Signs the records of the zone and the answers of its pools. `fixed` are the records that stay, and `changing` those of this
    /// decision. `negative_ttl` is in seconds, `now` in seconds since the Unix epoch.
    pub(crate) fn sign_zone(
        &self,
        fixed: &Records,
        changing: &mut Records,
        pools: &mut PoolAnswers,
        negative_ttl: u32,
        now: u64,
    ) -> SignedZone {
        let mut pass = self.pass(now);
        let fixed = self.fixed_part(&mut pass, fixed, name_types_of(changing, pools), negative_ttl);
        // The signatures of addresses are with the answers of the pools.
        for (_, set) in changing.iter_mut().filter(|(key, _)| !key.record_type.is_ip_addr()) {
            *set = pass.fixed(set);
        }
        for (owner, answer) in pools {
            if let Some(PoolAnswer { families, ttl, .. }) = answer {
                for family in families {
                    family.signatures = Some(family_signatures(&mut pass, owner, family, *ttl));
                }
            }
        }
        SignedZone { fixed, times: pass.times() }
    }

    /// The part that stays: the one of an earlier pass, or a new one.
    fn fixed_part(
        &self,
        pass: &mut SigningPass<'_>,
        fixed: &Records,
        changing: NameTypes,
        negative_ttl: u32,
    ) -> Arc<FixedPart> {
        let is_right = |part: &FixedPart| part.negative_ttl == negative_ttl && part.changing == changing;
        if let Some(part) = pass.known_part(is_right) {
            return part;
        }
        pass.begin_part();
        let mut records = fixed.clone();
        for set in pass.key_sets() {
            records.insert(RrKey::new(set.name().into(), set.record_type()), Arc::clone(set));
        }
        let names = name_types(self.apex(), &records, &changing);
        let kind = pass.denial();
        let denial = DenialChain::new(kind, self.apex(), &names, negative_ttl, |set| pass.fixed(&Arc::new(set)));
        let mut cuts = ZoneCuts::new(self.apex(), &records);
        for (key, set) in &mut records {
            if cuts.place(&key.name).signs(key.record_type) {
                *set = pass.fixed(set);
            }
        }
        denial.add_to(&mut records);
        let part = Arc::new(FixedPart { changing, negative_ttl, records, denial, times: pass.times() });
        pass.end_part(&part);
        part
    }
}

/// The names and types of the records that change, and of the pools.
fn name_types_of(changing: &Records, pools: &PoolAnswers) -> NameTypes {
    let mut names = NameTypes::new();
    for key in changing.keys() {
        names.entry(key.name.clone()).or_default().insert(key.record_type);
    }
    // Before its first answer a pool may have either family. So nobody concludes that it has none.
    for owner in pools.iter().filter(|(_, answer)| answer.is_none()).map(|(owner, _)| owner) {
        names.entry(owner.clone()).or_default().extend([RecordType::A, RecordType::AAAA]);
    }
    names
}

/// The names that the zone is the authority for, with their types. `changing` are those beside the fixed records.
fn name_types(apex: &LowerName, fixed: &Records, changing: &NameTypes) -> NameTypes {
    let mut names = changing.clone();
    let mut cuts = ZoneCuts::new(apex, fixed);
    for key in fixed.keys() {
        let is_listed = match cuts.place(&key.name) {
            NamePlace::Authoritative => true,
            NamePlace::AtCut => matches!(key.record_type, RecordType::NS | RecordType::DS),
            NamePlace::BelowCut => false,
        };
        if is_listed {
            names.entry(key.name.clone()).or_default().insert(key.record_type);
        }
    }
    names
}

/// Signs every response that a family has.
fn family_signatures(
    pass: &mut SigningPass<'_>,
    owner: &LowerName,
    family: &FamilyAnswer,
    ttl: u32,
) -> FamilySignatures {
    let mut sign = |picked: &[usize]| {
        let data = picked.iter().map(|&index| family.data[index].clone());
        pass.changing(&record_set(owner, family.rtype, ttl, data))
    };
    let every: Vec<usize> = (0..family.data.len()).collect();
    if every.is_empty() {
        return FamilySignatures::Whole(Vec::new());
    }
    match family.selection.to_sign() {
        None => FamilySignatures::Whole(sign(&every)),
        Some(selections) => FamilySignatures::Selections(
            selections
                .into_iter()
                .map(|picked| {
                    let rrsigs = sign(&picked);
                    crate::members::SignedSelection { picked, rrsigs }
                })
                .collect(),
        ),
    }
}

impl NamePlace {
    /// True if the zone signs a set of such a name (RFC 4035, section 2.2).
    fn signs(self, rtype: RecordType) -> bool {
        match self {
            Self::Authoritative => true,
            Self::AtCut => rtype == RecordType::DS,
            Self::BelowCut => false,
        }
    }
}

impl ZoneCuts {
    fn new(apex: &LowerName, records: &Records) -> Self {
        let cuts = records.keys().filter(|key| key.record_type == RecordType::NS && key.name != *apex);
        let cuts: Vec<LowerName> = cuts.map(|key| key.name.clone()).collect();
        Self { pending: cuts.into_iter().peekable(), current: None }
    }

    /// The place of the next name.
    fn place(&mut self, name: &LowerName) -> NamePlace {
        while let Some(next) = self.pending.next_if(|next| next <= name) {
            // A cut below another one is glue.
            if self.current.as_ref().is_none_or(|current| !current.zone_of(&next)) {
                self.current = Some(next);
            }
        }
        match &self.current {
            Some(cut) if cut == name => NamePlace::AtCut,
            Some(cut) if cut.zone_of(name) => NamePlace::BelowCut,
            _ => NamePlace::Authoritative,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use daymark_decision::fixtures::pool_name;
    use daymark_provider::contract;
    use hickory_proto::rr::RData;

    use super::*;
    use crate::dnssec::{DenialOfExistence, ProvenAbsence};
    use crate::records::insert;
    use crate::responder::tests::signing;
    use crate::settings::{Nameserver, ZoneSettings};
    use crate::zone::Zone;

    const NOW: u64 = 1_795_910_400;

    /// Signs a zone whose pool has these addresses.
    fn sign(zone: &Zone, addresses: &[&str], negative_ttl: u32, now: u64) -> SignedZone {
        let owner = zone.apex();
        let decision = contract::decision(&zone.pools()[0].pool, 7, addresses);
        let mut changing = Records::new();
        for address in addresses {
            let address: IpAddr = address.parse().unwrap();
            let rtype = if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
            insert(&mut changing, record_set(owner, rtype, 5, [RData::from(address)]));
        }
        let mut pools = PoolAnswers::from([(owner.clone(), Some(PoolAnswer::new(&decision.answers[0])))]);
        zone.signer().unwrap().sign_zone(zone.records(), &mut changing, &mut pools, negative_ttl, now)
    }

    fn types(signed: &SignedZone, zone: &Zone) -> String {
        let link = signed.fixed.denial.proof(&ProvenAbsence::Type { name: zone.apex().clone() });
        link[0].records_without_rrsigs().next().unwrap().data.to_string()
    }

    #[test]
    fn the_part_that_stays_is_made_anew_only_for_other_types_another_ttl_or_a_due_signature() {
        let nameservers = [Nameserver { name: "ns.example.net".to_owned(), addresses: Vec::new() }];
        let signing = Some(signing(DenialOfExistence::Nsec));
        let pool = pool_name("lb.example.org");
        let zone = Zone::build(&ZoneSettings { signing, ..ZoneSettings::for_pool(&pool, &nameservers) }).unwrap();
        let first = sign(&zone, &["192.0.2.1"], 30, NOW);
        let is_same = |signed: &SignedZone| Arc::ptr_eq(&signed.fixed, &first.fixed);
        assert!(types(&first, &zone).ends_with(" A NS RRSIG NSEC DNSKEY CDS CDNSKEY"), "{}", types(&first, &zone));
        let changed = sign(&zone, &["192.0.2.2"], 30, NOW + 86_400);
        assert!(is_same(&changed));
        assert!(changed.times.first_end <= NOW + 7 * 86_400, "the end of the part that stays counts");
        let more = sign(&zone, &["192.0.2.2", "2001:db8::1"], 30, NOW);
        assert!(!is_same(&more));
        assert!(types(&more, &zone).contains(" A NS AAAA "), "{}", types(&more, &zone));
        for other in [sign(&zone, &["192.0.2.1"], 1, NOW), sign(&zone, &["192.0.2.1"], 30, NOW + 6 * 86_400)] {
            assert!(!is_same(&other));
        }
    }
}
