//! The canonical form of an `RRset` (RFC 4034, section 6), which signatures cover.

use hickory_proto::ProtoError;
use hickory_proto::rr::{RData, RecordSet};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

/// The records of a set in canonical form and order (RFC 4034, section 3.1.8.1).
pub(super) fn canonical_records(set: &RecordSet) -> Result<Vec<u8>, ProtoError> {
    let mut fixed = canonical(|encoder| {
        let mut encoder = encoder.with_name_encoding(NameEncoding::UncompressedLowercase);
        set.name().emit(&mut encoder)
    })?;
    fixed.extend_from_slice(&u16::from(set.record_type()).to_be_bytes());
    fixed.extend_from_slice(&u16::from(set.dns_class()).to_be_bytes());
    fixed.extend_from_slice(&set.ttl().to_be_bytes());
    let mut data: Vec<Vec<u8>> = Vec::with_capacity(set.records_count());
    for record in set.records_without_rrsigs() {
        data.push(canonical_data(&record.data)?);
    }
    data.sort_unstable();
    data.dedup();
    let mut bytes = Vec::with_capacity(data.iter().map(|data| fixed.len() + 2 + data.len()).sum());
    for data in data {
        let length = u16::try_from(data.len()).map_err(|_| ProtoError::from("a record has more than 65,535 bytes"))?;
        bytes.extend_from_slice(&fixed);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn canonical_data(data: &RData) -> Result<Vec<u8>, ProtoError> {
    canonical(|encoder| data.emit(encoder))
}

/// The bytes that `write` encodes, with every name in full (RFC 4034, section 6.2).
pub(super) fn canonical(
    write: impl FnOnce(&mut BinEncoder<'_>) -> Result<(), ProtoError>,
) -> Result<Vec<u8>, ProtoError> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_canonical_form(true);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    write(&mut encoder)?;
    Ok(bytes)
}
