//! Reads the parts of a query that decide who answers it: the header, the question, the OPT record, and whether a TSIG record
//! signs it.
//!
//! Other records are skipped. Nothing but the name is copied.

use hickory_proto::op::ResponseCode;

use crate::name::WireName;

/// The length of a header in bytes (RFC 1035, section 4.1.1).
pub(crate) const HEADER_BYTES: usize = 12;

/// The class of the Internet.
pub(crate) const CLASS_IN: u16 = 1;
/// The class of a TSIG record.
const CLASS_ANY: u16 = 255;
/// The type of an OPT record.
const OPT: u16 = 41;
/// The type of a TSIG record.
const TSIG: u16 = 250;
/// The OPT record of a client that wants DNSSEC records (the DO flag).
pub(crate) const OPT_WITH_DO: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0];
/// The code of the option that asks for the identifier of the server (RFC 5001).
pub(crate) const NSID: u16 = 3;
/// The code of the option that asks for the time that an idle connection stays open (RFC 7828).
pub(crate) const TCP_KEEPALIVE: u16 = 11;

/// A message, parsed.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and a box would be an allocation a query")]
pub(crate) enum ParsedMessage<'a> {
    /// A message that gets no response: it has no whole header, or it is a response. Two servers that answer responses would
    /// send messages back and forth for ever.
    Ignored,
    /// A message that gets an error response without a question.
    Rejected(RejectedMessage),
    /// A query with one question.
    Query(Query<'a>),
}

/// A message that is no query with one question.
pub(crate) struct RejectedMessage {
    pub(crate) header: QueryHeader,
    pub(crate) code: ResponseCode,
    /// Set if the message has an OPT record, however broken (RFC 6891, sections 6.1.1 and 7).
    pub(crate) edns: Option<Edns>,
    /// A TSIG record ends the message, which is well-formed. It is looked at before the operation (RFC 8945, section 5.2).
    pub(crate) is_signed: bool,
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
    /// A TSIG record ends the message (RFC 8945).
    pub(crate) is_signed: bool,
}

/// The fields of a client's OPT record (RFC 6891, section 6.1).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Edns {
    /// The longest datagram that the client accepts, in bytes.
    pub(crate) max_payload_bytes: u16,
    pub(crate) version: u8,
    pub(crate) dnssec_ok: bool,
    /// The client asks for the identifier of the server.
    pub(crate) wants_nsid: bool,
    /// The client asks how long an idle connection stays open.
    pub(crate) wants_keepalive: bool,
}

/// Parses a message.
pub(crate) fn parse(message: &[u8]) -> ParsedMessage<'_> {
    let Some((&[id_high, id_low, flags, _, counts @ ..], _)) = message.split_first_chunk::<HEADER_BYTES>() else {
        return ParsedMessage::Ignored;
    };
    if flags & 0x80 != 0 {
        return ParsedMessage::Ignored;
    }
    let header = QueryHeader { id: [id_high, id_low], opcode: flags & 0x78, recursion_desired: flags & 0x01 != 0 };
    let [questions, answers, authorities, additionals] =
        [0, 2, 4, 6].map(|at| u16::from_be_bytes([counts[at], counts[at + 1]]));
    let cursor = Cursor { message, at: HEADER_BYTES };
    let mut body = Body { cursor, edns: None, opt_count: 0, tsig_count: 0 };
    let question = body.questions(questions);
    let records =
        question.as_ref().and_then(|_| body.records(u32::from(answers) + u32::from(authorities), additionals));
    let is_signed = records.is_some() && body.tsig_count > 0;
    let code = match (question, records) {
        _ if header.opcode != 0 => ResponseCode::NotImp,
        // A query has exactly one question (RFC 9619, section 4).
        (Some(question), Some(())) if questions == 1 => {
            return ParsedMessage::Query(Query {
                header,
                question: &message[HEADER_BYTES..HEADER_BYTES + question.name.len() + 4],
                name: question.name,
                rtype: question.rtype,
                class: question.class,
                edns: body.edns,
                is_signed,
            });
        }
        _ => ResponseCode::FormErr,
    };
    ParsedMessage::Rejected(RejectedMessage { header, code, edns: body.edns, is_signed })
}

/// Parses a query of class IN that has nothing beside its question but an OPT record, with no option that the response depends on.
///
/// Returns `None` for any other message, however valid it is. [`parse`] reads those.
pub(crate) fn simple_query(message: &[u8]) -> Option<Query<'_>> {
    let (&[id_high, id_low, flags, _, 0, 1, 0, 0, 0, 0, 0, additionals @ (0 | 1)], body) =
        message.split_first_chunk()?
    else {
        return None;
    };
    if flags & 0xf8 != 0 {
        return None;
    }
    let name = WireName::read(body)?;
    let mut cursor = Cursor { message: body, at: name.len() };
    let rtype = cursor.u16()?;
    let class = cursor.u16()?;
    let question = &body[..cursor.at];
    let edns = if additionals == 0 { None } else { Some(cursor.record().filter(|record| record.rtype == OPT)?) };
    let edns = match edns {
        None => None,
        Some(record) => Some(Edns::parse(&record).filter(|edns| edns.is_plain())?),
    };
    let header = QueryHeader { id: [id_high, id_low], opcode: 0, recursion_desired: flags & 0x01 != 0 };
    (class == CLASS_IN).then_some(Query { header, question, name, rtype, class, edns, is_signed: false })
}

/// The bytes of a query of class IN. `name` is in wire form, `opt` is the OPT record or empty.
pub(crate) fn query_message(name: &[u8], rtype: u16, opt: &[u8]) -> Vec<u8> {
    let header = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!opt.is_empty())];
    [&header, name, &rtype.to_be_bytes(), &CLASS_IN.to_be_bytes(), opt].concat()
}

/// A question.
struct RawQuestion {
    name: WireName,
    rtype: u16,
    class: u16,
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

/// The part of a message after its header, and the position of the reader in it.
struct Body<'a> {
    cursor: Cursor<'a>,
    edns: Option<Edns>,
    opt_count: usize,
    tsig_count: usize,
}

impl Body<'_> {
    /// Reads every question, and returns the first. If there is none, it returns the question for the root.
    fn questions(&mut self, count: u16) -> Option<RawQuestion> {
        let mut first = None;
        for _ in 0..count {
            let name = WireName::read(&self.cursor.message[self.cursor.at..])?;
            self.cursor.at += name.len();
            let question = RawQuestion { name, rtype: self.cursor.u16()?, class: self.cursor.u16()? };
            first.get_or_insert(question);
        }
        first.or_else(|| Some(RawQuestion { name: WireName::read(&[0])?, rtype: 0, class: 0 }))
    }

    /// Reads every record. Returns `None` if one cannot be read, or is where it must not be: OPT is in the additional section, once
    /// (RFC 6891, section 6.1.1), and TSIG is the last record of it (RFC 8945, section 5.1), of class ANY and with a TTL of 0 (section
    /// 4.2).
    fn records(&mut self, before_additionals: u32, additionals: u16) -> Option<()> {
        let mut is_valid = true;
        for index in 0..before_additionals + u32::from(additionals) {
            let record = self.cursor.record()?;
            is_valid &= self.tsig_count == 0;
            match record.rtype {
                OPT => {
                    self.opt_count += 1;
                    let edns = Edns::parse(&record);
                    is_valid &= self.opt_count == 1 && index >= before_additionals && edns.is_some();
                    self.edns = edns.or(self.edns).or(Some(Edns::default()));
                }
                TSIG => {
                    self.tsig_count += 1;
                    is_valid &= index >= before_additionals && record.class == CLASS_ANY && record.ttl == [0; 4];
                }
                _ => {}
            }
        }
        is_valid.then_some(())
    }
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
    /// True if the response depends on nothing but the size and the DO flag.
    fn is_plain(self) -> bool {
        self.version == 0 && !self.wants_nsid && !self.wants_keepalive
    }

    /// Parses an OPT record. Returns `None` if it is malformed.
    ///
    /// Other options are ignored, as a server must ignore those that it does not know (RFC 6891, section 6.1.2).
    fn parse(record: &RawRecord<'_>) -> Option<Self> {
        let [_, version, flags, _] = record.ttl;
        let mut edns =
            Self { max_payload_bytes: record.class, version, dnssec_ok: flags & 0x80 != 0, ..Self::default() };
        let mut options = Cursor { message: record.data, at: 0 };
        while options.at < record.data.len() {
            let code = options.u16()?;
            let length = options.u16()?;
            options.take(length.into())?;
            edns.wants_nsid |= code == NSID;
            edns.wants_keepalive |= code == TCP_KEEPALIVE;
        }
        record.is_at_root.then_some(edns)
    }
}
