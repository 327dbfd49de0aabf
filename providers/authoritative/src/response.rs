//! Writes a response: the header, the question as the client wrote it, the sections, and EDNS (RFC 6891).
//!
//! The encoder of hickory-proto writes the records. The module keeps the size limit of the transport: an `RRset` is whole or
//! absent (RFC 2181, section 9), and only a necessary one that is absent truncates the response.

use std::iter;

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use crate::counters::DnsTransport;
use crate::engine::is_referral;
use crate::query::{Edns, HEADER_BYTES, QueryHeader};

/// The length of the longest datagram that is sent, in bytes. No path fragments such a datagram (RFC 9715, section 3.1).
pub(crate) const MAX_DATAGRAM_BYTES: u16 = 1232;
/// The length of a datagram that every client accepts, in bytes (RFC 1035, section 4.2.1).
pub(crate) const MIN_PAYLOAD_BYTES: u16 = 512;
/// A compression pointer to the name of the question (RFC 1035, section 4.1.4).
const POINTER_TO_QUESTION: u16 = 0xc00c;
/// The labels of a question, counted from its end, that other names may share. The encoder compares each of them.
const MAX_COMPRESSED_LABELS: usize = 16;

/// The fields of a response that come from its query and from the server, and not from a zone.
pub(crate) struct ResponseFrame<'a> {
    pub(crate) header: QueryHeader,
    /// The bytes of the question, in the letter case of the client. Empty for a response without a question.
    pub(crate) question: &'a [u8],
    /// Set if the query has an OPT record.
    pub(crate) edns: Option<Edns>,
    /// The options of the response's OPT record, encoded.
    pub(crate) options: Vec<u8>,
    /// The record that the response ends with, encoded. Empty if there is none.
    pub(crate) tsig: Vec<u8>,
}

/// The longest response that a client accepts, in bytes.
pub(crate) fn size_limit(transport: DnsTransport, edns: Option<Edns>) -> u16 {
    match (transport, edns) {
        (DnsTransport::Tcp, _) => u16::MAX,
        (DnsTransport::Udp, Some(edns)) => edns.max_payload_bytes.clamp(MIN_PAYLOAD_BYTES, MAX_DATAGRAM_BYTES),
        (DnsTransport::Udp, None) => MIN_PAYLOAD_BYTES,
    }
}

/// Writes a response of at most `limit` bytes.
pub(crate) fn write(response: &Message, frame: &ResponseFrame<'_>, limit: u16, out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEADER_BYTES, 0);
    // In lower case, as the names of the zone are. Compression compares letter by letter.
    out.extend(frame.question.iter().map(u8::to_ascii_lowercase));
    let opt = frame.edns.map(|edns| opt_record(edns, response.metadata.response_code, &frame.options));
    let opt = opt.unwrap_or_default();
    let reserved = u16::try_from(opt.len() + frame.tsig.len()).unwrap_or(u16::MAX);
    let written = write_sections(response, frame, limit.saturating_sub(reserved), out);
    out.extend_from_slice(&opt);
    out.extend_from_slice(&frame.tsig);
    out[HEADER_BYTES..][..frame.question.len()].copy_from_slice(frame.question);
    let extra = u16::from(!opt.is_empty()) + u16::from(!frame.tsig.is_empty());
    let [answers, authorities, additionals] = written.record_counts;
    let counts = [u16::from(!frame.question.is_empty()), answers, authorities, additionals + extra];
    let is_truncated = written.is_truncated || response.metadata.truncation;
    write_header(out, frame.header, response, is_truncated, counts);
}

fn write_header(out: &mut [u8], header: QueryHeader, response: &Message, is_truncated: bool, counts: [u16; 4]) {
    let mut flags = 0x80 | header.opcode;
    flags |= if response.metadata.authoritative { 0x04 } else { 0 };
    flags |= if is_truncated { 0x02 } else { 0 };
    flags |= u8::from(header.recursion_desired);
    // RA, AD and CD stay clear: this server neither recurses nor validates (RFC 4035, section 3.1.6).
    let [id_high, id_low] = header.id;
    out[..4].copy_from_slice(&[id_high, id_low, flags, response.metadata.response_code.low()]);
    for (field, count) in out[4..HEADER_BYTES].chunks_exact_mut(2).zip(counts) {
        field.copy_from_slice(&count.to_be_bytes());
    }
}

/// The OPT record of a response.
fn opt_record(edns: Edns, code: ResponseCode, options: &[u8]) -> Vec<u8> {
    let [payload_high, payload_low] = MAX_DATAGRAM_BYTES.to_be_bytes();
    // The response repeats the DO flag of the query (RFC 3225, section 3).
    let flags = if edns.dnssec_ok { 0x80 } else { 0 };
    let [length_high, length_low] = u16::try_from(options.len()).unwrap_or(u16::MAX).to_be_bytes();
    let fixed = [0, 0, 41, payload_high, payload_low, code.high(), 0, flags, 0, length_high, length_low];
    [&fixed, options].concat()
}

/// The outcome of writing the sections of a response.
#[derive(Default)]
struct WrittenSections {
    /// The number of records in the answer, the authority and the additional section.
    record_counts: [u16; 3],
    /// The TC flag: a necessary record is missing.
    is_truncated: bool,
}

/// One section of a response.
struct Section<'a> {
    records: &'a [Record],
    /// `true` if the response is truncated (TC) when a set of the section does not fit.
    is_required: bool,
}

/// Writes the sections after the question, until the message has `limit` bytes.
fn write_sections(response: &Message, frame: &ResponseFrame<'_>, limit: u16, out: &mut Vec<u8>) -> WrittenSections {
    let mut written = WrittenSections::default();
    let question_name = response.queries.first().map(|query| query.name().to_lowercase());
    let mut encoder = BinEncoder::with_offset(out, u32::try_from(out.len()).unwrap_or(u32::MAX));
    encoder.set_max_size(limit);
    store_question_labels(&mut encoder, frame.question);
    let sections = [
        Section { records: &response.answers, is_required: true },
        Section { records: &response.authorities, is_required: true },
        // A referral is useless without its glue (RFC 9471, section 3).
        Section { records: &response.additionals, is_required: is_referral(response) },
    ];
    for (section, count) in sections.iter().zip(&mut written.record_counts) {
        for set in section.records.chunk_by(is_same_set) {
            match write_set(&mut encoder, set, question_name.as_ref()) {
                Some(records) => *count += records,
                None if section.is_required => {
                    written.is_truncated = true;
                    return written;
                }
                None => {}
            }
        }
    }
    written
}

/// True if two records that follow each other are of one `RRset`, to which its signatures belong.
fn is_same_set(first: &Record, second: &Record) -> bool {
    let is_signature = second.record_type() == RecordType::RRSIG;
    first.name == second.name && (is_signature || first.record_type() == second.record_type())
}

/// Makes the encoder compress later names by pointers to the labels of the question, the last ones of a long name.
fn store_question_labels(encoder: &mut BinEncoder<'_>, question: &[u8]) {
    // The name without the root label, the type and the class.
    let Some(name) = question.len().checked_sub(5).and_then(|length| question.get(..length)) else { return };
    let starts = iter::successors(Some(0), |&at| Some(at + 1 + usize::from(*name.get(at)?)));
    let starts: Vec<usize> = starts.take_while(|&at| at < name.len()).collect();
    for at in starts.iter().rev().take(MAX_COMPRESSED_LABELS) {
        encoder.store_label_pointer(HEADER_BYTES + at, HEADER_BYTES + name.len());
    }
}

/// Writes an `RRset` and returns its number of records. If it does not fit, writes nothing and returns `None`.
fn write_set(encoder: &mut BinEncoder<'_>, set: &[Record], question: Option<&Name>) -> Option<u16> {
    let start = encoder.offset();
    let mut count = 0;
    for record in set {
        if write_record(encoder, record, question).is_err() {
            encoder.set_offset(start);
            encoder.trim();
            return None;
        }
        count += 1;
    }
    Some(count)
}

fn write_record(encoder: &mut BinEncoder<'_>, record: &Record, question: Option<&Name>) -> Result<(), ProtoError> {
    if question == Some(&record.name) {
        encoder.emit_u16(POINTER_TO_QUESTION)?;
    } else {
        record.name.emit(encoder)?;
    }
    encoder.emit_u16(record.record_type().into())?;
    encoder.emit_u16(record.dns_class.into())?;
    encoder.emit_u32(record.ttl)?;
    let length = encoder.place::<u16>()?;
    record.data.emit(encoder)?;
    let data_bytes = u16::try_from(encoder.len_since_place(&length)).unwrap_or(u16::MAX);
    encoder.emit_at(length, data_bytes)
}
