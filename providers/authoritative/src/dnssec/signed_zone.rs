//! Signs a whole zone with the answers of one decision.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use hickory_proto::rr::{LowerName, RecordType, RrKey};

use super::denial::{DenialChain, NameTypes};
use super::signer::{SigningPass, ZoneSigner};
use super::times::SignatureTimes;
use crate::members::{FamilyAnswer, FamilySignatures, PoolAnswer};
use crate::records::{Records, record_set};

/// The outcome of signing a zone, beside its records.
pub(crate) struct SignedZone {
    /// The proofs that names and types do not exist.
    pub(crate) denial: DenialChain,
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
    /// Signs the records of the zone and the answers of its pools. `negative_ttl` is in seconds, `now` in seconds since the Unix
    /// epoch.
    pub(crate) fn sign_zone(
        &self,
        records: &mut Records,
        pools: &mut PoolAnswers,
        negative_ttl: u32,
        now: u64,
    ) -> SignedZone {
        let mut pass = self.pass(now);
        for set in pass.key_sets() {
            records.insert(RrKey::new(set.name().into(), set.record_type()), Arc::clone(set));
        }
        let names = name_types(self.apex(), records, pools);
        let kind = pass.denial();
        let denial = DenialChain::new(kind, self.apex(), &names, negative_ttl, |set| pass.fixed(&Arc::new(set)));
        let mut cuts = ZoneCuts::new(self.apex(), records);
        for (key, set) in records.iter_mut() {
            let place = cuts.place(&key.name);
            let is_answer = key.record_type.is_ip_addr() && pools.contains_key(&key.name);
            if place.signs(key.record_type) && !is_answer {
                *set = pass.fixed(set);
            }
        }
        denial.add_to(records);
        for (owner, answer) in pools {
            if let Some(PoolAnswer { families, ttl, .. }) = answer {
                for family in families {
                    family.signatures = Some(family_signatures(&mut pass, owner, family, *ttl));
                }
            }
        }
        SignedZone { denial, times: pass.times() }
    }
}

/// The names that the zone is the authority for, with their types.
fn name_types(apex: &LowerName, records: &Records, pools: &PoolAnswers) -> NameTypes {
    let mut names = NameTypes::new();
    let mut cuts = ZoneCuts::new(apex, records);
    for key in records.keys() {
        let is_listed = match cuts.place(&key.name) {
            NamePlace::Authoritative => true,
            NamePlace::AtCut => matches!(key.record_type, RecordType::NS | RecordType::DS),
            NamePlace::BelowCut => false,
        };
        if is_listed {
            names.entry(key.name.clone()).or_default().insert(key.record_type);
        }
    }
    // Before its first answer a pool may have either family. So nobody concludes that it has none.
    for owner in pools.iter().filter(|(_, answer)| answer.is_none()).map(|(owner, _)| owner) {
        names.entry(owner.clone()).or_default().extend([RecordType::A, RecordType::AAAA]);
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
