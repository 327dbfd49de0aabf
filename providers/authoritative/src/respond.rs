//! Turns the bytes of a query into the bytes of its response.
//!
//! Here are the header, EDNS (RFC 6891), the limits of a datagram and truncation. It is the same for both transports but
//! for the limit, and it does nothing that waits.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_proto::ProtoError;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use crate::content::Content;
use crate::counts::{Counts, Transport};
use crate::dice::Dice;
use crate::lookup::{Response, lookup};
use crate::name::WireName;
use crate::query::{Edns, HEADER, Header, Query, Received, read};
use crate::records::{Found, Owner};

/// Bytes of the longest datagram sent: one that no path fragments (RFC 9715, section 3.1).
const LONGEST_DATAGRAM: u16 = 1232;
/// Bytes of a datagram that every client takes (RFC 1035, section 4.2.1).
const SHORTEST_LIMIT: u16 = 512;
/// Bytes of an OPT record without options.
const OPT_LENGTH: u16 = 11;
/// A pointer to the name of the question (RFC 1035, section 4.1.4).
const TO_QUESTION: u16 = 0xc00c;

const CLASS_IN: u16 = 1;

/// Answers queries from the content that stands.
pub(crate) struct Responder {
    pub(crate) content: ArcSwap<Content>,
    pub(crate) counts: Counts,
    dice: Dice,
}

impl Responder {
    pub(crate) fn new(content: Content) -> Self {
        Self { content: ArcSwap::new(Arc::new(content)), counts: Counts::default(), dice: Dice::new() }
    }

    /// Writes the response to a message into `out`; says whether there is one.
    pub(crate) fn respond(&self, message: &[u8], transport: Transport, out: &mut Vec<u8>) -> bool {
        out.clear();
        let code = match read(message) {
            Received::Nothing => return false,
            Received::Unreadable(header, code) => {
                out.resize(HEADER, 0);
                let flags = Flags { authoritative: false, truncated: false, code };
                write_header(out, header, flags, [0; 4]);
                code
            }
            Received::Query(query) => {
                let content = self.content.load();
                let response = self.answer(&content, &query);
                write(&query, &response, transport, out);
                response.code
            }
        };
        self.counts.count(transport, code);
        true
    }

    fn answer<'a>(&self, content: &'a Content, query: &Query<'_>) -> Response<'a> {
        let refusal = match query {
            Query { edns: Some(Edns { version: 1.., .. }), .. } => ResponseCode::BADVERS,
            Query { class, .. } if *class != CLASS_IN => ResponseCode::Refused,
            Query { rtype, .. } => match rtype {
                // IXFR and AXFR.
                251 | 252 => ResponseCode::Refused,
                // MAILB and MAILA, which nobody has.
                253 | 254 => ResponseCode::NotImp,
                // OPT, and the other types that no question has (RFC 6895, section 3.1).
                41 | 128..=250 => ResponseCode::FormErr,
                rtype => return lookup(content, &query.name, RecordType::from(*rtype), &self.dice),
            },
        };
        Response::bare(refusal)
    }
}

/// What a response says of itself.
#[derive(Clone, Copy)]
struct Flags {
    authoritative: bool,
    truncated: bool,
    code: ResponseCode,
}

fn write(query: &Query<'_>, response: &Response<'_>, transport: Transport, out: &mut Vec<u8>) {
    let limit = match (transport, query.edns) {
        (Transport::Tcp, _) => u16::MAX,
        (Transport::Udp, Some(edns)) => edns.payload.clamp(SHORTEST_LIMIT, LONGEST_DATAGRAM),
        (Transport::Udp, None) => SHORTEST_LIMIT,
    };
    let room = query.edns.map_or(limit, |_| limit - OPT_LENGTH);
    out.resize(HEADER, 0);
    out.extend_from_slice(query.question);
    let body = Body::write(query, response, room, out);
    let [answers, authorities, mut additionals] = body.counts;
    if let Some(edns) = query.edns {
        write_opt(out, edns, response.code);
        additionals += 1;
    }
    let Response { authoritative, code, .. } = *response;
    let flags = Flags { authoritative, truncated: body.truncated, code };
    write_header(out, query.header, flags, [1, answers, authorities, additionals]);
}

fn write_header(out: &mut [u8], header: Header, flags: Flags, counts: [u16; 4]) {
    let mut third = 0x80 | header.opcode;
    third |= if flags.authoritative { 0x04 } else { 0 };
    third |= if flags.truncated { 0x02 } else { 0 };
    third |= u8::from(header.recursion_desired);
    // RA, AD and CD stay clear: there is no recursion here, and nothing is validated (RFC 4035, section 3.1.6).
    let [high, low] = header.id;
    out[..4].copy_from_slice(&[high, low, third, flags.code.low()]);
    for (place, count) in out[4..HEADER].chunks_exact_mut(2).zip(counts) {
        place.copy_from_slice(&count.to_be_bytes());
    }
}

fn write_opt(out: &mut Vec<u8>, edns: Edns, code: ResponseCode) {
    let [payload_high, payload_low] = LONGEST_DATAGRAM.to_be_bytes();
    // DO comes back as it came (RFC 3225, section 3).
    let flags = if edns.dnssec_ok { 0x80 } else { 0 };
    out.extend_from_slice(&[0, 0, 41, payload_high, payload_low, code.high(), 0, flags, 0, 0, 0]);
}

/// What of the sections was written.
#[derive(Default)]
struct Body {
    /// Records of the answer, authority and additional section.
    counts: [u16; 3],
    /// Whether something that belongs to the response is missing (TC).
    truncated: bool,
}

impl Body {
    /// Writes the sections after the question, each set whole or not at all (RFC 2181, section 9).
    fn write(query: &Query<'_>, response: &Response<'_>, room: u16, out: &mut Vec<u8>) -> Self {
        let mut body = Self::default();
        let start = u32::try_from(out.len()).unwrap_or(u32::MAX);
        let mut encoder = BinEncoder::with_offset(out, start);
        encoder.set_max_size(room);
        if has_names(response) {
            store_question(&mut encoder, &query.name);
        }
        let sections = [(&response.answers, true), (&response.authorities, true)];
        let sections = sections.into_iter().chain([(&response.additionals, response.needs_additionals)]);
        for ((sets, needed), count) in sections.zip(&mut body.counts) {
            for set in sets {
                match write_set(&mut encoder, set) {
                    Some(records) => *count += records,
                    None if needed => {
                        body.truncated = true;
                        return body;
                    }
                    None => {}
                }
            }
        }
        body
    }
}

/// Whether a response has names that could point to the question's.
fn has_names(response: &Response<'_>) -> bool {
    let only_addresses = |set: &Found<'_>| matches!(set.owner, Owner::Question) && set.rtype.is_ip_addr();
    !response.authorities.is_empty() || !response.answers.iter().all(only_addresses)
}

/// Tells the encoder of the question's name, for the names after it to point to.
fn store_question(encoder: &mut BinEncoder<'_>, name: &WireName) {
    let end = HEADER + name.len() - 1;
    for labels in 1..=name.labels() {
        encoder.store_label_pointer(HEADER + name.start(labels), end);
    }
}

/// Writes a set of records and says how many; `None` where it has no room, and then nothing of it is written.
fn write_set(encoder: &mut BinEncoder<'_>, set: &Found<'_>) -> Option<u16> {
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

fn write_record(encoder: &mut BinEncoder<'_>, set: &Found<'_>, data: &impl BinEncodable) -> Result<(), ProtoError> {
    match set.owner {
        Owner::Question => encoder.emit_u16(TO_QUESTION)?,
        Owner::Name(name) => name.emit(encoder)?,
    }
    encoder.emit_u16(set.rtype.into())?;
    encoder.emit_u16(CLASS_IN)?;
    encoder.emit_u32(set.ttl)?;
    let length = encoder.place::<u16>()?;
    data.emit(encoder)?;
    let written = u16::try_from(encoder.len_since_place(&length)).unwrap_or(u16::MAX);
    encoder.emit_at(length, written)
}
