//! Collects the records of a master file in `RRset`s: duplicates, different TTLs, and records that exclude each other.

use std::collections::{HashMap, HashSet};

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};

use crate::records::decode;
use crate::rrset::RrSet;

/// The most bytes of one `RRset` with its owner in each record. A response over TCP has 65,535, also for the other records in it.
const MAX_SET_BYTES: usize = 60_000;

/// An `RRset` of a master file.
pub(super) struct FileRrSet {
    pub(super) name: Name,
    pub(super) set: RrSet,
}

/// The `RRset`s so far.
#[derive(Default)]
pub(super) struct RecordSets {
    pub(super) sets: Vec<FileRrSet>,
    /// The index of each set, and the run of its last record.
    indexes: HashMap<SetKey, SetIndex>,
    /// The type of the first set of each name.
    first_types: HashMap<LowerName, RecordType>,
    records: HashSet<SetRecord>,
}

#[derive(PartialEq, Eq, Hash)]
struct SetKey {
    owner: LowerName,
    rtype: RecordType,
}

/// A record of the set with this index.
#[derive(PartialEq, Eq, Hash)]
struct SetRecord {
    index: usize,
    data: RData,
}

struct SetIndex {
    index: usize,
    run: usize,
    /// The length of responses with one of its records each.
    bytes: usize,
}

/// The outcome of adding a record.
pub(super) enum Added {
    /// The record is part of its set, or was before. The TTL is that of the set.
    Ttl(u32),
    /// The record cannot be beside the others.
    Conflict { rtype: RecordType, reason: &'static str },
}

impl RecordSets {
    /// Adds a record. Records of one owner without another between them have the same `run`.
    pub(super) fn add(&mut self, name: &Name, rtype: RecordType, ttl: u32, data: RData, run: usize) -> Added {
        let owner = LowerName::new(name);
        let first = *self.first_types.entry(owner.clone()).or_insert(rtype);
        if first != rtype && (first == RecordType::CNAME || rtype == RecordType::CNAME) {
            let reason = "a name with a CNAME record has no other records (RFC 1034, section 3.6.2)";
            return Added::Conflict { rtype: RecordType::CNAME, reason };
        }
        let known = self.indexes.entry(SetKey { owner, rtype }).or_insert_with(|| {
            self.sets.push(FileRrSet { name: name.clone(), set: RrSet { rtype, ttl, data: Vec::new() } });
            SetIndex { index: self.sets.len() - 1, run, bytes: 0 }
        });
        let index = known.index;
        let set = &mut self.sets[index].set;
        // BIND has it so: the first TTL of a run counts, and the last run.
        if known.run != run {
            set.ttl = ttl;
            known.run = run;
        }
        let Some(bytes) = served_bytes(Record::from_rdata(name.clone(), ttl, data.clone())) else {
            return Added::Conflict { rtype, reason: "data of this form cannot be served; leave the record out" };
        };
        if self.records.insert(SetRecord { index, data: data.clone() }) {
            if matches!(rtype, RecordType::SOA | RecordType::CNAME) && !set.data.is_empty() {
                return Added::Conflict { rtype, reason: "a name has one such record; remove all others" };
            }
            let had_room = known.bytes <= MAX_SET_BYTES;
            known.bytes += bytes;
            if known.bytes > MAX_SET_BYTES {
                if !had_room {
                    return Added::Ttl(set.ttl);
                }
                return Added::Conflict {
                    rtype,
                    reason: "all of them together have at most 60000 bytes, so that they are in one response",
                };
            }
            set.data.push(data);
        }
        Added::Ttl(set.ttl)
    }
}

/// The length of a response with this record. `None` if it is another one once it has been decoded, as each response is.
fn served_bytes(record: Record) -> Option<usize> {
    let mut response = Message::response(0, OpCode::Query);
    response.add_answer(record);
    let bytes = response.to_vec().ok()?;
    (decode(bytes.clone())?.to_vec().ok()? == bytes).then_some(bytes.len())
}
