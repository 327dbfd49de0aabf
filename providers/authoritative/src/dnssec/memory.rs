//! The signatures that a zone has, so that a change signs only what it changes.

use std::collections::HashMap;
use std::sync::Arc;

use hickory_proto::rr::{Record, RecordSet, RrKey};

use super::times::SignatureTimes;

/// The most remembered signatures of sets that change with the answers.
const MAX_CHANGING: usize = 2048;

/// The signatures of one set.
#[derive(Clone, Debug)]
pub(super) struct Signatures {
    pub(super) records: Vec<Record>,
    pub(super) times: SignatureTimes,
}

/// A set whose content is known by its address.
struct KnownSet {
    unsigned: Arc<RecordSet>,
    signed: Arc<RecordSet>,
    times: SignatureTimes,
}

/// A set with its signatures.
pub(super) struct SignedSet {
    pub(super) set: Arc<RecordSet>,
    pub(super) times: SignatureTimes,
}

/// The signatures that are remembered.
#[derive(Default)]
pub(super) struct SignatureMemory {
    /// The sets that stay, by their name and type.
    fixed: HashMap<RrKey, KnownSet>,
    /// The sets that change with the answers, by their canonical form.
    changing: HashMap<Vec<u8>, Signatures>,
}

impl SignatureMemory {
    /// The signed form of a set that stays. `sign` signs it if there is none.
    pub(super) fn fixed(
        &mut self,
        set: &Arc<RecordSet>,
        now: u64,
        sign: impl FnOnce(&RecordSet) -> Signatures,
    ) -> SignedSet {
        let key = RrKey::new(set.name().into(), set.record_type());
        if let Some(known) = self.fixed.get(&key).filter(|known| known.is_of(set) && known.times.is_fresh(now)) {
            return SignedSet { set: Arc::clone(&known.signed), times: known.times };
        }
        let signatures = sign(set);
        let times = signatures.times;
        let mut signed = set.as_ref().clone();
        signed.set_rrsigs(signatures.records);
        let signed = Arc::new(signed);
        self.fixed.insert(key, KnownSet { unsigned: Arc::clone(set), signed: Arc::clone(&signed), times });
        SignedSet { set: signed, times }
    }

    /// The signatures of a set that changes. `sign` signs it if there are none.
    pub(super) fn changing(&mut self, content: Vec<u8>, now: u64, sign: impl FnOnce() -> Signatures) -> Signatures {
        if let Some(known) = self.changing.get(&content).filter(|known| known.times.is_fresh(now)) {
            return known.clone();
        }
        let signatures = sign();
        if self.changing.len() >= MAX_CHANGING {
            self.changing.clear();
        }
        self.changing.insert(content, signatures.clone());
        signatures
    }
}

impl KnownSet {
    fn is_of(&self, set: &Arc<RecordSet>) -> bool {
        Arc::ptr_eq(&self.unsigned, set) || self.unsigned == *set
    }
}
