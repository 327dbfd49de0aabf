//! Signs the records of one zone.

use std::collections::hash_map::RandomState;
use std::fmt::{self, Debug, Formatter};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_proto::ProtoError;
use hickory_proto::dnssec::rdata::sig::SigInput;
use hickory_proto::dnssec::rdata::{CDNSKEY, CDS, DNSSECRData, NSEC3PARAM, RRSIG};
use hickory_proto::dnssec::{Algorithm, Nsec3HashAlgorithm, PublicKey};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordSet, RecordType, SerialNumber};
use hickory_proto::serialize::binary::BinEncodable;

use super::canonical::{canonical, canonical_records};
use super::memory::{FixedPart, SignatureMemory, Signatures, SignedSet};
use super::role::KeyRole;
use super::settings::{DenialOfExistence, SigningSettings, ZoneKey};
use super::times::SignatureTimes;
use crate::records::record_set;

/// The longest TTL of a signed record, in seconds: a day. So no resolver keeps a signature beyond its end.
pub(crate) const MAX_SIGNED_TTL: u32 = 86_400;
/// The TTL of the records about the keys, in seconds.
pub(crate) const KEY_TTL: u32 = 3600;

/// The signer of one zone.
pub(crate) struct ZoneSigner {
    keys: Vec<ZoneKey>,
    denial: DenialOfExistence,
    apex: LowerName,
    /// The records about the keys, at the apex.
    key_sets: Vec<Arc<RecordSet>>,
    jitter: RandomState,
    memory: Mutex<SignatureMemory>,
}

/// A pass over a zone, at one moment. It has the lock of the memory.
pub(crate) struct SigningPass<'a> {
    signer: &'a ZoneSigner,
    memory: MutexGuard<'a, SignatureMemory>,
    now: u64,
    times: SignatureTimes,
}

impl ZoneSigner {
    pub(crate) fn new(apex: &LowerName, settings: &SigningSettings) -> Self {
        let key_sets = key_sets(apex, settings);
        Self {
            keys: settings.keys.clone(),
            denial: settings.denial,
            apex: apex.clone(),
            key_sets,
            jitter: RandomState::new(),
            memory: Mutex::default(),
        }
    }

    pub(crate) fn apex(&self) -> &LowerName {
        &self.apex
    }

    pub(crate) fn keys(&self) -> &[ZoneKey] {
        &self.keys
    }

    /// Takes over the signatures of the zone before a reload, if its keys are the same.
    pub(crate) fn inherit(&self, former: &Self) {
        if self.keys == former.keys {
            let inherited = former.memory.lock().unwrap_or_else(PoisonError::into_inner).for_other_records();
            *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = inherited;
        }
    }

    /// A line for each key, with its role and the kind of the proofs. Hosts with the same lines sign alike.
    pub(crate) fn signing_lines(&self) -> impl Iterator<Item = String> {
        let denial = match self.denial {
            DenialOfExistence::Nsec => "nsec",
            DenialOfExistence::Nsec3 => "nsec3",
        };
        self.keys.iter().map(move |key| {
            let state = if key.is_active { "active" } else { "published" };
            format!("{denial} {} {state} {}", key.role, key.key.dnskey(key.role))
        })
    }

    /// The DS records of the zone, for its parent.
    pub(crate) fn ds_set(&self) -> RecordSet {
        let name = Name::from(&self.apex);
        let entries = self.keys.iter().filter(|key| key.role.signs_keys());
        let data = entries.filter_map(|key| key.key.ds(&name, key.role).ok());
        record_set(&self.apex, RecordType::DS, KEY_TTL, data.map(|ds| RData::DNSSEC(DNSSECRData::DS(ds))))
    }

    /// Starts a pass. `now` is in seconds since the Unix epoch.
    pub(crate) fn pass(&self, now: u64) -> SigningPass<'_> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.begin_pass();
        SigningPass { signer: self, memory, now, times: SignatureTimes::NONE }
    }

    /// Signs a set with every key that signs its type.
    fn sign(&self, set: &RecordSet, content: &[u8], now: u64) -> Result<Signatures, ProtoError> {
        let times = SignatureTimes::new(now, self.jitter.hash_one(content));
        let is_about_keys = is_about_keys(set.record_type());
        let signs = |role: KeyRole| if is_about_keys { role.signs_keys() } else { role.signs_records() };
        let mut records = Vec::new();
        for key in self.keys.iter().filter(|key| key.is_active && signs(key.role)) {
            let input = SigInput {
                type_covered: set.record_type(),
                algorithm: Algorithm::ECDSAP256SHA256,
                num_labels: set.name().num_labels(),
                original_ttl: set.ttl(),
                sig_expiration: serial_number(times.first_end),
                sig_inception: serial_number(times.valid_from()),
                key_tag: key.key.tag(key.role),
                signer_name: Name::from(&self.apex),
            };
            let signed = [canonical(|encoder| input.emit(encoder))?.as_slice(), content].concat();
            let rrsig = RRSIG::from_sig(input, key.key.sign(&signed)?);
            let data = RData::DNSSEC(DNSSECRData::RRSIG(rrsig));
            records.push(Record::from_rdata(set.name().clone(), set.ttl(), data));
        }
        Ok(Signatures { records, times })
    }

    /// Signs a set, or logs that it could not. Encoding fails only for records that could not be served either.
    fn sign_or_report(&self, set: &RecordSet, content: &[u8], now: u64) -> Option<Signatures> {
        let signed = self.sign(set, content, now);
        let report = |error: &ProtoError| {
            tracing::error!(name = %set.name(), rtype = %set.record_type(), %error, "a record set could not be signed");
        };
        signed.inspect_err(report).ok()
    }
}

impl Debug for ZoneSigner {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneSigner").field("apex", &self.apex).field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl SigningPass<'_> {
    pub(super) fn key_sets(&self) -> &[Arc<RecordSet>] {
        &self.signer.key_sets
    }

    pub(super) fn denial(&self) -> DenialOfExistence {
        self.signer.denial
    }

    /// The signed form of a set that stays.
    pub(super) fn fixed(&mut self, set: &Arc<RecordSet>) -> Arc<RecordSet> {
        let Self { signer, memory, now, .. } = self;
        let SignedSet { set, times } = memory
            .fixed(set, *now, |set| signer.sign_or_report(set, &canonical_records(set).unwrap_or_default(), *now));
        self.times.add(times);
        set
    }

    /// The part of the zone that stays, as an earlier pass has signed it, if it is right and none of its signatures is due.
    pub(super) fn known_part(&mut self, is_right: impl FnOnce(&FixedPart) -> bool) -> Option<Arc<FixedPart>> {
        let part = self.memory.part().filter(|part| part.times.is_fresh(self.now) && is_right(part))?;
        self.times.add(part.times);
        Some(Arc::clone(part))
    }

    /// Begins a new part.
    pub(super) fn begin_part(&mut self) {
        self.memory.begin_part();
    }

    /// Ends a new part, and remembers it for later passes.
    pub(super) fn end_part(&mut self, part: &Arc<FixedPart>) {
        self.memory.end_part(part);
    }

    /// The signatures of a set that changes with the answers.
    pub(super) fn changing(&mut self, set: &RecordSet) -> Vec<Record> {
        let content = canonical_records(set).unwrap_or_default();
        let Self { signer, memory, now, .. } = self;
        let signatures = memory.changing(content.clone(), *now, || signer.sign_or_report(set, &content, *now));
        self.times.add(signatures.times);
        signatures.records
    }

    /// The times of all signatures of the pass.
    pub(super) fn times(&self) -> SignatureTimes {
        self.times
    }
}

/// True for the types of the records about the keys. A resolver trusts them by the DS records of the parent.
fn is_about_keys(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::DNSKEY | RecordType::CDS | RecordType::CDNSKEY)
}

/// A time as a signature has it. It wraps around (RFC 4034, section 3.1.5).
#[expect(clippy::cast_possible_truncation, reason = "the times of signatures wrap around")]
fn serial_number(seconds: u64) -> SerialNumber {
    SerialNumber::new(seconds as u32)
}

/// The records about the keys: DNSKEY, and for the parent CDS and CDNSKEY (RFC 7344).
fn key_sets(apex: &LowerName, settings: &SigningSettings) -> Vec<Arc<RecordSet>> {
    let name = Name::from(apex);
    let keys = settings.keys.iter();
    let dnskeys = keys.clone().map(|key| DNSSECRData::DNSKEY(key.key.dnskey(key.role)));
    let entries = keys.filter(|key| key.role.signs_keys());
    let cds = entries.clone().filter_map(|key| {
        let ds = key.key.ds(&name, key.role).ok()?;
        Some(DNSSECRData::CDS(CDS::new(ds.key_tag(), Some(ds.algorithm()), ds.digest_type(), ds.digest().to_vec())))
    });
    let cdnskeys = entries.map(|key| {
        let public = key.key.public();
        let public_bytes = public.public_bytes().to_vec();
        DNSSECRData::CDNSKEY(CDNSKEY::new(true, true, false, Some(public.algorithm()), public_bytes))
    });
    let mut sets = vec![
        key_set(apex, RecordType::DNSKEY, dnskeys),
        key_set(apex, RecordType::CDS, cds),
        key_set(apex, RecordType::CDNSKEY, cdnskeys),
    ];
    if settings.denial == DenialOfExistence::Nsec3 {
        let parameters = NSEC3PARAM::new(Nsec3HashAlgorithm::SHA1, false, 0, Vec::new());
        sets.push(key_set(apex, RecordType::NSEC3PARAM, [DNSSECRData::NSEC3PARAM(parameters)]));
    }
    sets
}

fn key_set(apex: &LowerName, rtype: RecordType, data: impl IntoIterator<Item = DNSSECRData>) -> Arc<RecordSet> {
    Arc::new(record_set(apex, rtype, KEY_TTL, data.into_iter().map(RData::DNSSEC)))
}
