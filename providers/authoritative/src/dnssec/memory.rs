//! The signatures that a zone has, so that a change signs only what it changes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use hickory_proto::rr::{Record, RecordSet, RrKey};

use super::denial::{DenialChain, NameTypes};
use super::times::SignatureTimes;
use crate::records::Records;

/// The number of signatures of sets that change with the answers at which those that are not used any more are forgotten.
const MAX_CHANGING: usize = 2048;

/// The signatures of one set.
#[derive(Clone, Debug)]
pub(super) struct Signatures {
    pub(super) records: Vec<Record>,
    pub(super) times: SignatureTimes,
}

/// A set whose content is known by its address.
#[derive(Clone)]
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

/// The signed part of a zone that stays when the addresses of a pool change: everything but the SOA record and these addresses.
pub(crate) struct FixedPart {
    /// The names and types of what changes, and the TTL of the proofs. The part is right as long as both are the same.
    pub(super) changing: NameTypes,
    pub(super) negative_ttl: u32,
    pub(crate) records: Records,
    /// The proofs that names and types do not exist.
    pub(crate) denial: DenialChain,
    pub(super) times: SignatureTimes,
}

/// Values of two generations. One of the former that is used goes on into the present one, and the others are forgotten with it.
#[derive(Clone)]
struct Remembered<K, V> {
    present: HashMap<K, V>,
    former: HashMap<K, V>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { present: HashMap::new(), former: HashMap::new() }
    }
}

impl<K: Eq + Hash, V> Remembered<K, V> {
    /// Begins a new generation.
    fn begin(&mut self) {
        self.former = std::mem::take(&mut self.present);
    }

    fn get(&mut self, key: &K) -> Option<&V> {
        if let Some((key, value)) = self.former.remove_entry(key) {
            self.present.insert(key, value);
        }
        self.present.get(key)
    }
}

/// The signatures that are remembered.
#[derive(Default)]
pub(super) struct SignatureMemory {
    /// The sets that stay, by their name and type. Each new part forgets those that it does not use.
    fixed: Remembered<RrKey, KnownSet>,
    /// The sets that change with the answers, by their canonical form.
    changing: Remembered<Vec<u8>, Signatures>,
    /// The part of the zone that stays, as a whole.
    part: Option<Arc<FixedPart>>,
}

impl SignatureMemory {
    /// Begins a pass over the zone.
    pub(super) fn begin_pass(&mut self) {
        if self.changing.present.len() >= MAX_CHANGING {
            self.changing.begin();
        }
    }

    /// The signatures for a zone with the same keys, whose records may be others.
    pub(super) fn for_other_records(&self) -> Self {
        Self { fixed: self.fixed.clone(), changing: self.changing.clone(), ..Self::default() }
    }

    /// The part of the zone that stays, as the latest pass that had to make one has signed it.
    pub(super) fn part(&self) -> Option<&Arc<FixedPart>> {
        self.part.as_ref()
    }

    /// Begins a new part.
    pub(super) fn begin_part(&mut self) {
        self.fixed.begin();
    }

    /// Ends a new part, which is remembered.
    pub(super) fn end_part(&mut self, part: &Arc<FixedPart>) {
        self.fixed.former.clear();
        self.part = Some(Arc::clone(part));
    }

    /// The signed form of a set that stays. `sign` signs it if there is none. If it fails, the former signatures stay, or the set
    /// has none: both are tried again at the next pass.
    pub(super) fn fixed(
        &mut self,
        set: &Arc<RecordSet>,
        now: u64,
        sign: impl FnOnce(&RecordSet) -> Option<Signatures>,
    ) -> SignedSet {
        let key = RrKey::new(set.name().into(), set.record_type());
        let known = self.fixed.get(&key).filter(|known| known.is_of(set));
        if let Some(known) = known.filter(|known| known.times.is_fresh(now)) {
            return known.to_signed();
        }
        let Some(signatures) = sign(set) else {
            let unsigned = || SignedSet { set: Arc::clone(set), times: SignatureTimes::failed(now) };
            return known.map_or_else(unsigned, KnownSet::to_signed);
        };
        let times = signatures.times;
        let mut signed = set.as_ref().clone();
        signed.set_rrsigs(signatures.records);
        let signed = Arc::new(signed);
        self.fixed.present.insert(key, KnownSet { unsigned: Arc::clone(set), signed: Arc::clone(&signed), times });
        SignedSet { set: signed, times }
    }

    /// The signatures of a set that changes. `sign` signs it if there are none, and may fail as that of [`fixed`](Self::fixed).
    pub(super) fn changing(
        &mut self,
        content: Vec<u8>,
        now: u64,
        sign: impl FnOnce() -> Option<Signatures>,
    ) -> Signatures {
        let known = self.changing.get(&content);
        if let Some(known) = known.filter(|known| known.times.is_fresh(now)) {
            return known.clone();
        }
        let Some(signatures) = sign() else {
            let none = || Signatures { records: Vec::new(), times: SignatureTimes::failed(now) };
            return known.cloned().unwrap_or_else(none);
        };
        self.changing.present.insert(content, signatures.clone());
        signatures
    }
}

impl KnownSet {
    fn is_of(&self, set: &Arc<RecordSet>) -> bool {
        Arc::ptr_eq(&self.unsigned, set) || self.unsigned == *set
    }

    fn to_signed(&self) -> SignedSet {
        SignedSet { set: Arc::clone(&self.signed), times: self.times }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::{Name, RData, RecordType};

    use super::*;

    const DAY: u64 = 86_400;
    const START: u64 = 1_000 * DAY;

    /// The signatures of a pass. The "signature" is the set itself.
    fn sign(set: &RecordSet, now: u64) -> Signatures {
        Signatures { records: set.records_without_rrsigs().cloned().collect(), times: SignatureTimes::new(now, 0) }
    }

    fn set() -> Arc<RecordSet> {
        let mut set = RecordSet::with_ttl(Name::from_ascii("a.kube-cp.com.").unwrap(), RecordType::A, 5);
        set.add_rdata(RData::from(std::net::IpAddr::from([192, 0, 2, 1])));
        Arc::new(set)
    }

    #[test]
    fn a_renewal_that_fails_leaves_the_former_signatures_and_is_tried_again_at_once() {
        let set = set();
        let mut memory = SignatureMemory::default();
        let first = memory.fixed(&set, START, |set| Some(sign(set, START)));
        let first_changing = memory.changing(vec![1], START, || Some(sign(&set, START)));
        let due = START + 6 * DAY;
        assert!(!first.times.is_fresh(due));
        let failed = memory.fixed(&set, due, |_| None);
        assert_eq!((failed.set.records(true).count(), failed.times), (2, first.times));
        let failed = memory.changing(vec![1], due, || None);
        assert_eq!((failed.records, failed.times), (first_changing.records, first.times));
        let renewed = memory.fixed(&set, due, |set| Some(sign(set, due)));
        assert!(renewed.times.is_fresh(due) && renewed.times.first_end > first.times.first_end);
    }

    #[test]
    fn more_sets_than_the_limit_are_signed_once_and_those_that_are_gone_are_forgotten() {
        let set = set();
        let mut memory = SignatureMemory::default();
        let mut signed_in_pass = |range: std::ops::Range<usize>| {
            let mut count = 0;
            memory.begin_pass();
            for content in range {
                memory.changing(content.to_be_bytes().to_vec(), START, || {
                    count += 1;
                    Some(sign(&set, START))
                });
            }
            (count, memory.changing.present.len() + memory.changing.former.len())
        };
        let most = 2 * MAX_CHANGING;
        assert_eq!(signed_in_pass(0..most), (most, most));
        assert_eq!(signed_in_pass(0..most), (0, most));
        for pass in 1..20 {
            let (count, remembered) = signed_in_pass(pass * most..(pass + 1) * most);
            assert_eq!((count, remembered), (most, 2 * most));
        }
    }

    #[test]
    fn a_set_that_could_not_be_signed_is_due_at_once() {
        let set = set();
        let mut memory = SignatureMemory::default();
        let unsigned = memory.fixed(&set, START, |_| None);
        assert_eq!((unsigned.set.records(true).count(), unsigned.times.first_end), (1, START));
        assert!(!unsigned.times.is_fresh(START));
        assert!(!memory.changing(vec![1], START, || None).times.is_fresh(START));
        assert!(memory.fixed(&set, START, |set| Some(sign(set, START))).times.is_fresh(START));
    }
}
