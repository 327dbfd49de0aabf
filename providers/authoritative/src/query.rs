//! Parses the parts of a query that an authoritative server needs.
//!
//! The parser decodes the header, the question and the OPT record, and skips other records. It copies only the name.

use hickory_proto::op::ResponseCode;

use crate::name::WireName;

/// The length of a header in bytes (RFC 1035, section 4.1.1).
pub(crate) const HEADER_BYTES: usize = 12;

/// The type of an OPT record.
const OPT: u16 = 41;

/// A message, parsed.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and a box would be an allocation a query")]
pub(crate) enum ParsedMessage<'a> {
    /// A message that gets no response: it has no whole header, or it is a response. Two servers that answer responses would
    /// send messages back and forth for ever.
    Ignored,
    /// A message that gets an error response. Only its header was parsed.
    Rejected { header: QueryHeader, code: ResponseCode },
    /// A query with one question.
    Query(Query<'a>),
}

/// The fields of a query's header that the response repeats.
#[derive(Clone, Copy)]
pub(crate) struct QueryHeader {
    pub(crate) id: [u8; 2],
    /// The bits of the opcode, at their position in the header's third byte.
    pub(crate) opcode: u8,
    pub(crate) recursion_desired: bool,
}

/// A query with one question.
pub(crate) struct Query<'a> {
    pub(crate) header: QueryHeader,
    /// The bytes of the question, in their letter case.
    pub(crate) question: &'a [u8],
    pub(crate) name: WireName,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) edns: Option<Edns>,
}

/// The fields of a client's OPT record (RFC 6891, section 6.1).
#[derive(Clone, Copy)]
pub(crate) struct Edns {
    /// The longest datagram that the client accepts, in bytes.
    pub(crate) max_payload_bytes: u16,
    pub(crate) version: u8,
    pub(crate) dnssec_ok: bool,
}

/// Parses a message.
pub(crate) fn parse(message: &[u8]) -> ParsedMessage<'_> {
    let Some((&[id_high, id_low, flags, _, questions @ ..], _)) = message.split_first_chunk::<HEADER_BYTES>() else {
        return ParsedMessage::Ignored;
    };
    if flags & 0x80 != 0 {
        return ParsedMessage::Ignored;
    }
    let header = QueryHeader { id: [id_high, id_low], opcode: flags & 0x78, recursion_desired: flags & 0x01 != 0 };
    if header.opcode != 0 {
        return ParsedMessage::Rejected { header, code: ResponseCode::NotImp };
    }
    // A query has exactly one question (RFC 9619, section 4).
    let query = if questions.starts_with(&[0, 1]) { parse_body(message, header) } else { None };
    query.map_or(ParsedMessage::Rejected { header, code: ResponseCode::FormErr }, ParsedMessage::Query)
}

fn parse_body(message: &[u8], header: QueryHeader) -> Option<Query<'_>> {
    let name = WireName::read(&message[HEADER_BYTES..])?;
    let end = HEADER_BYTES + name.len();
    let mut cursor = Cursor { message, at: end };
    let rtype = cursor.u16()?;
    let class = cursor.u16()?;
    let question = &message[HEADER_BYTES..cursor.at];
    let answers = section_count(message, 6);
    let authorities = section_count(message, 8);
    let additionals = section_count(message, 10);
    for _ in 0..answers + authorities {
        cursor.record()?;
    }
    let mut edns = None;
    for _ in 0..additionals {
        let record = cursor.record()?;
        if record.rtype == OPT {
            // A second OPT record is an error (RFC 6891, section 6.1.1).
            if edns.replace(Edns::parse(&record)?).is_some() {
                return None;
            }
        }
    }
    Some(Query { header, question, name, rtype, class, edns })
}

/// The number of records of a section, at an offset of the header.
fn section_count(message: &[u8], at: usize) -> u32 {
    u32::from(u16::from_be_bytes([message[at], message[at + 1]]))
}

/// A record whose data is not decoded.
struct RawRecord<'a> {
    /// `true` if the record's owner is the root.
    is_at_root: bool,
    rtype: u16,
    class: u16,
    ttl: [u8; 4],
    data: &'a [u8],
}

/// A position in a message.
struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn record(&mut self) -> Option<RawRecord<'a>> {
        let start = self.at;
        self.skip_name()?;
        let is_at_root = self.at == start + 1;
        let rtype = self.u16()?;
        let class = self.u16()?;
        let ttl = self.take(4)?.try_into().ok()?;
        let length = self.u16()?;
        Some(RawRecord { is_at_root, rtype, class, ttl, data: self.take(length.into())? })
    }

    /// Skips a name. It ends with the root label or with a pointer (RFC 1035, section 4.1.4).
    fn skip_name(&mut self) -> Option<()> {
        loop {
            let length = self.take(1)?[0];
            match length {
                0 => return Some(()),
                1..=63 => self.take(length.into())?,
                0xc0.. => return self.take(1).map(|_| ()),
                _ => return None,
            };
        }
    }
}

impl Edns {
    /// Parses an OPT record. Returns `None` if it is malformed.
    ///
    /// The contents of its options are ignored, as a server must ignore options that it does not know (RFC 6891, section 6.1.2).
    fn parse(record: &RawRecord<'_>) -> Option<Self> {
        let mut options = Cursor { message: record.data, at: 0 };
        while options.at < record.data.len() {
            let _code = options.u16()?;
            let length = options.u16()?;
            options.take(length.into())?;
        }
        let [_, version, flags, _] = record.ttl;
        record.is_at_root.then_some(Self { max_payload_bytes: record.class, version, dnssec_ok: flags & 0x80 != 0 })
    }
}
