//! Converts the bytes of a query into the bytes of its response.
//!
//! The module writes the header and EDNS (RFC 6891), and truncates responses to the size limit of the transport. It never
//! blocks.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_proto::ProtoError;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use crate::catalog::Catalog;
use crate::counters::{DnsTransport, ResponseCounters};
use crate::name::WireName;
use crate::query::{Edns, HEADER_BYTES, ParsedMessage, Query, QueryHeader, parse};
use crate::response::{Response, answer};
use crate::rrset::{Owner, ResponseRrSet};

/// The length of the longest datagram that is sent, in bytes. No path fragments such a datagram (RFC 9715, section 3.1).
const MAX_DATAGRAM_BYTES: u16 = 1232;
/// The length of a datagram that every client accepts, in bytes (RFC 1035, section 4.2.1).
const MIN_PAYLOAD_BYTES: u16 = 512;
/// The length of an OPT record without options, in bytes.
const OPT_RECORD_BYTES: u16 = 11;
/// A compression pointer to the name of the question (RFC 1035, section 4.1.4).
const POINTER_TO_QUESTION: u16 = 0xc00c;

const CLASS_IN: u16 = 1;

/// Answers queries from the current catalog.
pub(crate) struct Responder {
    pub(crate) catalog: ArcSwap<Catalog>,
    pub(crate) counters: ResponseCounters,
}

impl Responder {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self { catalog: ArcSwap::new(Arc::new(catalog)), counters: ResponseCounters::default() }
    }

    /// Writes the response to a message into `out`. Returns `false` if the message gets no response.
    pub(crate) fn respond(&self, message: &[u8], transport: DnsTransport, out: &mut Vec<u8>) -> bool {
        out.clear();
        let code = match parse(message) {
            ParsedMessage::Ignored => return false,
            ParsedMessage::Rejected { header, code } => {
                out.resize(HEADER_BYTES, 0);
                let flags = ResponseFlags { authoritative: false, truncated: false, code };
                write_header(out, header, flags, [0; 4]);
                code
            }
            ParsedMessage::Query(query) => {
                let catalog = self.catalog.load();
                let response = response_to(&query, &catalog);
                write(&query, &response, transport, out);
                response.code
            }
        };
        self.counters.count(transport, code);
        true
    }
}

fn response_to<'a>(query: &Query<'_>, catalog: &'a Catalog) -> Response<'a> {
    let code = match query {
        Query { edns: Some(Edns { version: 1.., .. }), .. } => ResponseCode::BADVERS,
        Query { class, .. } if *class != CLASS_IN => ResponseCode::Refused,
        Query { rtype, .. } => match rtype {
            // IXFR and AXFR.
            251 | 252 => ResponseCode::Refused,
            // MAILB and MAILA, which are obsolete.
            253 | 254 => ResponseCode::NotImp,
            // OPT, and the other types that must not be in a question (RFC 6895, section 3.1).
            41 | 128..=250 => ResponseCode::FormErr,
            rtype => return answer(catalog, &query.name, RecordType::from(*rtype)),
        },
    };
    Response::without_records(code)
}

/// The fields of a response's header that do not come from the query.
#[derive(Clone, Copy)]
struct ResponseFlags {
    authoritative: bool,
    truncated: bool,
    code: ResponseCode,
}

fn write(query: &Query<'_>, response: &Response<'_>, transport: DnsTransport, out: &mut Vec<u8>) {
    let limit = match (transport, query.edns) {
        (DnsTransport::Tcp, _) => u16::MAX,
        (DnsTransport::Udp, Some(edns)) => edns.max_payload_bytes.clamp(MIN_PAYLOAD_BYTES, MAX_DATAGRAM_BYTES),
        (DnsTransport::Udp, None) => MIN_PAYLOAD_BYTES,
    };
    let limit_before_opt = query.edns.map_or(limit, |_| limit - OPT_RECORD_BYTES);
    out.resize(HEADER_BYTES, 0);
    out.extend_from_slice(query.question);
    let written = write_sections(query, response, limit_before_opt, out);
    let [answers, authorities, mut additionals] = written.record_counts;
    if let Some(edns) = query.edns {
        write_opt(out, edns, response.code);
        additionals += 1;
    }
    let Response { authoritative, code, .. } = *response;
    let flags = ResponseFlags { authoritative, truncated: written.truncated, code };
    write_header(out, query.header, flags, [1, answers, authorities, additionals]);
}

fn write_header(out: &mut [u8], header: QueryHeader, flags: ResponseFlags, section_counts: [u16; 4]) {
    let mut third = 0x80 | header.opcode;
    third |= if flags.authoritative { 0x04 } else { 0 };
    third |= if flags.truncated { 0x02 } else { 0 };
    third |= u8::from(header.recursion_desired);
    // RA, AD and CD stay clear: this server neither recurses nor validates (RFC 4035, section 3.1.6).
    let [id_high, id_low] = header.id;
    out[..4].copy_from_slice(&[id_high, id_low, third, flags.code.low()]);
    for (field, count) in out[4..HEADER_BYTES].chunks_exact_mut(2).zip(section_counts) {
        field.copy_from_slice(&count.to_be_bytes());
    }
}

fn write_opt(out: &mut Vec<u8>, edns: Edns, code: ResponseCode) {
    let [payload_high, payload_low] = MAX_DATAGRAM_BYTES.to_be_bytes();
    // The response repeats the DO flag of the query (RFC 3225, section 3).
    let flags = if edns.dnssec_ok { 0x80 } else { 0 };
    out.extend_from_slice(&[0, 0, 41, payload_high, payload_low, code.high(), 0, flags, 0, 0, 0]);
}

/// The outcome of writing the sections of a response.
#[derive(Default)]
struct WrittenSections {
    /// The number of records in the answer, the authority and the additional section.
    record_counts: [u16; 3],
    /// The TC flag: a necessary record is missing.
    truncated: bool,
}

/// One section of a response.
struct Section<'a> {
    sets: &'a [ResponseRrSet<'a>],
    /// `true` if the response is truncated (TC) when a set of the section does not fit.
    is_required: bool,
}

/// Writes the sections after the question, until the message has `limit` bytes. Each `RRset` is written whole or not at all
/// (RFC 2181, section 9).
fn write_sections(query: &Query<'_>, response: &Response<'_>, limit: u16, out: &mut Vec<u8>) -> WrittenSections {
    let mut written = WrittenSections::default();
    let start = u32::try_from(out.len()).unwrap_or(u32::MAX);
    let mut encoder = BinEncoder::with_offset(out, start);
    encoder.set_max_size(limit);
    if can_compress_names(response) {
        store_question_labels(&mut encoder, &query.name);
    }
    let sections = [
        Section { sets: &response.answers, is_required: true },
        Section { sets: &response.authorities, is_required: true },
        Section { sets: &response.additionals, is_required: response.needs_additionals },
    ];
    for (section, count) in sections.iter().zip(&mut written.record_counts) {
        for set in section.sets {
            match write_set(&mut encoder, set) {
                Some(records) => *count += records,
                None if section.is_required => {
                    written.truncated = true;
                    return written;
                }
                None => {}
            }
        }
    }
    written
}

/// Returns `true` if the response has names that may end like the name of the question.
fn can_compress_names(response: &Response<'_>) -> bool {
    let has_only_addresses = |set: &ResponseRrSet<'_>| matches!(set.owner, Owner::Question) && set.rtype.is_ip_addr();
    !response.authorities.is_empty() || !response.answers.iter().all(has_only_addresses)
}

/// Makes the encoder compress later names by pointers to the labels of the question.
fn store_question_labels(encoder: &mut BinEncoder<'_>, name: &WireName) {
    let end = HEADER_BYTES + name.len() - 1;
    for labels in 1..=name.labels() {
        encoder.store_label_pointer(HEADER_BYTES + name.start(labels), end);
    }
}

/// Writes an `RRset` and returns its number of records. If it does not fit, writes nothing and returns `None`.
fn write_set(encoder: &mut BinEncoder<'_>, set: &ResponseRrSet<'_>) -> Option<u16> {
    let start = encoder.offset();
    let mut count = 0;
    for data in set.data.iter() {
        if write_record(encoder, set, data).is_err() {
            encoder.set_offset(start);
            encoder.trim();
            return None;
        }
        count += 1;
    }
    Some(count)
}

fn write_record(
    encoder: &mut BinEncoder<'_>,
    set: &ResponseRrSet<'_>,
    data: &impl BinEncodable,
) -> Result<(), ProtoError> {
    match set.owner {
        Owner::Question => encoder.emit_u16(POINTER_TO_QUESTION)?,
        Owner::Name(name) => name.emit(encoder)?,
    }
    encoder.emit_u16(set.rtype.into())?;
    encoder.emit_u16(CLASS_IN)?;
    encoder.emit_u32(set.ttl)?;
    let length = encoder.place::<u16>()?;
    data.emit(encoder)?;
    let data_bytes = u16::try_from(encoder.len_since_place(&length)).unwrap_or(u16::MAX);
    encoder.emit_at(length, data_bytes)
}
