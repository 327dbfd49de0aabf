//! The records of a zone, as hickory's `InMemoryZoneHandler` keeps them: by name in canonical order (RFC 4034, section 6.1),
//! then by type.

use std::collections::BTreeMap;
use std::sync::Arc;

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::{LowerName, Name, RData, RecordSet, RecordType, RrKey};

/// Every `RRset` of a zone.
pub(crate) type Records = BTreeMap<RrKey, Arc<RecordSet>>;

/// An `RRset` of class IN. `ttl` is in seconds.
pub(crate) fn record_set(
    name: &LowerName,
    rtype: RecordType,
    ttl: u32,
    data: impl IntoIterator<Item = RData>,
) -> RecordSet {
    let mut set = RecordSet::with_ttl(Name::from(name), rtype, ttl);
    for data in data {
        set.add_rdata(data);
    }
    set
}

/// Adds an `RRset` in the place of an earlier one of its name and type.
pub(crate) fn insert(records: &mut Records, set: RecordSet) {
    records.insert(RrKey::new(set.name().into(), set.record_type()), Arc::new(set));
}

/// The `RRset` of a name and a type.
pub(crate) fn set<'a>(records: &'a Records, name: &LowerName, rtype: RecordType) -> Option<&'a Arc<RecordSet>> {
    records.get(&RrKey::new(name.clone(), rtype))
}

/// Every `RRset` of a name.
pub(crate) fn sets_at<'a>(
    records: &'a Records,
    name: &LowerName,
) -> impl Iterator<Item = &'a Arc<RecordSet>> + use<'a> {
    let first = RrKey::new(name.clone(), RecordType::Unknown(u16::MIN));
    let last = RrKey::new(name.clone(), RecordType::Unknown(u16::MAX));
    records.range(first..=last).map(|(_, set)| set)
}

/// The A and AAAA records of a name.
pub(crate) fn addresses<'a>(
    records: &'a Records,
    name: &LowerName,
) -> impl Iterator<Item = &'a Arc<RecordSet>> + use<'a> {
    sets_at(records, name).filter(|set| set.record_type().is_ip_addr())
}

/// True if the name has records, or a name below it has some. In the second case it is an empty non-terminal (RFC 9499,
/// section 7).
pub(crate) fn exists(records: &Records, name: &LowerName) -> bool {
    let first = RrKey::new(name.clone(), RecordType::Unknown(u16::MIN));
    records.range(first..).next().is_some_and(|(key, _)| name.zone_of(&key.name))
}

/// The targets of NS records.
pub(crate) fn nameserver_names(set: &RecordSet) -> impl Iterator<Item = &Name> {
    set.records_without_rrsigs().filter_map(|record| match &record.data {
        RData::NS(target) => Some(&target.0),
        _ => None,
    })
}

/// The names from just below the apex to a name of the zone, in this order. It is empty for the apex.
pub(crate) fn path(apex: &LowerName, name: &LowerName) -> Vec<LowerName> {
    let mut path = Vec::new();
    let mut next = name.clone();
    while next != *apex && !next.is_root() {
        path.push(next.clone());
        next = next.base_name();
    }
    path.reverse();
    path
}

/// Decodes a response. hickory decodes a record without data only in an update (RFC 2136, section 2.4), so the message is marked
/// as one for that moment.
pub(crate) fn decode(mut bytes: Vec<u8>) -> Option<Message> {
    const OPCODE: u8 = 0x78;
    let flags = bytes.get_mut(2)?;
    *flags = *flags & !OPCODE | u8::from(OpCode::Update) << 3;
    let mut message = Message::from_vec(&bytes).ok()?;
    message.metadata.op_code = OpCode::Query;
    Some(message)
}
