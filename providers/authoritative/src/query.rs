//! Reads a query, as far as an authoritative server needs to.
//!
//! It decodes the header, the question and the OPT record, and skips over the rest. It copies nothing but the name.

use hickory_proto::op::ResponseCode;

use crate::name::WireName;

/// Bytes of a header (RFC 1035, section 4.1.1).
pub(crate) const HEADER: usize = 12;

const OPT: u16 = 41;

/// What came in.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and a box would be an allocation a query")]
pub(crate) enum Received<'a> {
    /// Nothing to answer: a fragment, or somebody's response. An answer to a response could go round for ever.
    Nothing,
    /// Something that cannot be read past its header.
    Unreadable(Header, ResponseCode),
    /// One question.
    Query(Query<'a>),
}

/// What a response repeats from a query's header.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) id: [u8; 2],
    /// As its bits stand in the header's third byte.
    pub(crate) opcode: u8,
    pub(crate) recursion_desired: bool,
}

/// One question.
pub(crate) struct Query<'a> {
    pub(crate) header: Header,
    /// The question as it came, in its letter case.
    pub(crate) question: &'a [u8],
    pub(crate) name: WireName,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) edns: Option<Edns>,
}

/// What a client says by an OPT record (RFC 6891, section 6.1).
#[derive(Clone, Copy)]
pub(crate) struct Edns {
    /// The longest datagram that it takes, in bytes.
    pub(crate) payload: u16,
    pub(crate) version: u8,
    pub(crate) dnssec_ok: bool,
}

/// Reads a message.
pub(crate) fn read(message: &[u8]) -> Received<'_> {
    let Some((&[id_high, id_low, flags, _, questions @ ..], _)) = message.split_first_chunk::<HEADER>() else {
        return Received::Nothing;
    };
    if flags & 0x80 != 0 {
        return Received::Nothing;
    }
    let header = Header { id: [id_high, id_low], opcode: flags & 0x78, recursion_desired: flags & 0x01 != 0 };
    if header.opcode != 0 {
        return Received::Unreadable(header, ResponseCode::NotImp);
    }
    // One question, no more and no less (RFC 9619, section 4).
    match questions {
        [0, 1, ..] => {
            body(message, header).map_or(Received::Unreadable(header, ResponseCode::FormErr), Received::Query)
        }
        _ => Received::Unreadable(header, ResponseCode::FormErr),
    }
}

fn body(message: &[u8], header: Header) -> Option<Query<'_>> {
    let name = WireName::read(&message[HEADER..])?;
    let end = HEADER + name.len();
    let mut cursor = Cursor { message, at: end };
    let (rtype, class) = (cursor.u16()?, cursor.u16()?);
    let question = &message[HEADER..cursor.at];
    let (answers, authorities, additionals) = (count(message, 6), count(message, 8), count(message, 10));
    for _ in 0..answers + authorities {
        cursor.record()?;
    }
    let mut edns = None;
    for _ in 0..additionals {
        let record = cursor.record()?;
        if record.rtype == OPT {
            let read = Edns::read(&record)?;
            // A second one is an error (RFC 6891, section 6.1.1).
            if edns.replace(read).is_some() {
                return None;
            }
        }
    }
    Some(Query { header, question, name, rtype, class, edns })
}

/// A counter of the header.
fn count(message: &[u8], at: usize) -> u32 {
    u32::from(u16::from_be_bytes([message[at], message[at + 1]]))
}

/// A record, undecoded.
struct Record<'a> {
    /// Whether its name is the root.
    at_root: bool,
    rtype: u16,
    class: u16,
    ttl: [u8; 4],
    data: &'a [u8],
}

/// A place in a message.
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

    fn record(&mut self) -> Option<Record<'a>> {
        let start = self.at;
        self.skip_name()?;
        let at_root = self.at == start + 1;
        let (rtype, class) = (self.u16()?, self.u16()?);
        let ttl = self.take(4)?.try_into().ok()?;
        let length = self.u16()?;
        Some(Record { at_root, rtype, class, ttl, data: self.take(length.into())? })
    }

    /// Skips a name, to its root label or to the pointer that ends it (RFC 1035, section 4.1.4).
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
    /// Reads an OPT record; `None` where it is malformed. What its options say is ignored, as one may with options that one
    /// does not know (RFC 6891, section 6.1.2).
    fn read(record: &Record<'_>) -> Option<Self> {
        let mut options = Cursor { message: record.data, at: 0 };
        while options.at < record.data.len() {
            let _code = options.u16()?;
            let length = options.u16()?;
            options.take(length.into())?;
        }
        let [_, version, flags, _] = record.ttl;
        record.at_root.then_some(Self { payload: record.class, version, dnssec_ok: flags & 0x80 != 0 })
    }
}
