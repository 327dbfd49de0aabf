//! The finished responses of the pools: the fast path.
//!
//! With each change, the engine encodes the responses to A, AAAA and HTTPS queries for the name of each pool, without EDNS, with it,
//! and with the DO flag. The table answers such a query by copying: the query's ID, its RD flag and the case of its letters,
//! and the addresses in the order that this response has. Any other query is declined, and the engine answers it.
//!
//! An address record is a block of bytes of one length, whose owner is a pointer to the question. So the records of a response can
//! be put in any order without encoding them again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use hickory_proto::rr::{LowerName, RecordType};
use hickory_proto::serialize::binary::BinEncodable;

use crate::counters::DnsTransport;
use crate::members::{AddressSelection, Draw, FamilyAnswer};
use crate::name::WireName;
use crate::query::{Edns, HEADER_BYTES, OPT_WITH_DO, query_message, simple_query};
use crate::response::size_limit;
use crate::served::ZoneContent;

/// The types that the table has responses for.
const TYPES: [RecordType; 3] = [RecordType::A, RecordType::AAAA, RecordType::HTTPS];
/// The most addresses of a family whose order the table draws.
const MAX_ADDRESSES: usize = 256;
/// The bytes of an address record before its data: pointer, type, class, TTL and length.
const RECORD_FIXED_BYTES: usize = 12;

/// The finished responses of every pool that has an answer. It never changes.
#[derive(Default)]
pub(crate) struct ResponseTable {
    /// By the name of the pool, in wire format and lower case.
    pools: HashMap<Box<[u8]>, PoolResponses>,
}

/// The responses for one name, by type and EDNS. `None` if the engine has to answer.
type PoolResponses = [[Option<FinishedResponse>; EdnsForm::ALL.len()]; TYPES.len()];

/// The form of EDNS in a query.
#[derive(Clone, Copy)]
enum EdnsForm {
    Absent,
    Present,
    DnssecOk,
}

/// A response without the choice of its addresses.
struct FinishedResponse {
    /// The header and the question.
    head: Box<[u8]>,
    /// The bytes after the question, if each choice of addresses has a signature of its own. Each is as likely as the others.
    signed_selections: Vec<Box<[u8]>>,
    /// The address records, each of the same length. Empty for a response without addresses.
    blocks: Vec<Box<[u8]>>,
    selection: Option<AddressSelection>,
    /// The bytes after the address records.
    tail: Box<[u8]>,
    /// The length of the whole response, in bytes.
    length: usize,
}

impl EdnsForm {
    const ALL: [Self; 3] = [Self::Absent, Self::Present, Self::DnssecOk];

    fn of(edns: Option<Edns>) -> Self {
        match edns {
            None => Self::Absent,
            Some(Edns { dnssec_ok: false, .. }) => Self::Present,
            Some(_) => Self::DnssecOk,
        }
    }

    /// The OPT record of a query. Empty for a query without EDNS.
    fn opt_record(self) -> &'static [u8] {
        match self {
            Self::Absent => &[],
            Self::Present => &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0],
            Self::DnssecOk => OPT_WITH_DO,
        }
    }
}

impl ResponseTable {
    /// Has the engine encode every response. `respond` is the engine's response to a query, with the addresses from the one
    /// with this index on.
    pub(crate) fn new(zones: &[Arc<ZoneContent>], respond: impl Fn(Draw, &[u8]) -> Vec<u8>) -> Self {
        let pools = zones.iter().flat_map(|zone| zone.pools());
        let answered = pools.filter_map(|(owner, answer)| Some((owner, answer.as_ref()?)));
        let pools = answered.filter_map(|(owner, answer)| {
            let name = wire_name(owner)?;
            let responses = TYPES.map(|rtype| {
                let family = answer.family(rtype);
                EdnsForm::ALL.map(|form| {
                    FinishedResponse::new(family, form, |draw| {
                        respond(draw, &query_message(&name, rtype.into(), form.opt_record()))
                    })
                })
            });
            Some((name, responses))
        });
        Self { pools: pools.collect() }
    }

    /// Writes the response to a query into `out`. Returns `false` if the engine has to answer it.
    pub(crate) fn respond(&self, message: &[u8], transport: DnsTransport, out: &mut Vec<u8>) -> bool {
        let Some(query) = simple_query(message) else { return false };
        let Some(responses) = self.pools.get(query.name.as_bytes()) else { return false };
        let Some(index) = TYPES.iter().position(|rtype| u16::from(*rtype) == query.rtype) else { return false };
        let Some(response) = &responses[index][EdnsForm::of(query.edns) as usize] else { return false };
        if response.length > usize::from(size_limit(transport, query.edns)) {
            return false;
        }
        out.clear();
        out.extend_from_slice(&response.head);
        out[..2].copy_from_slice(&query.header.id);
        out[2] |= u8::from(query.header.recursion_desired);
        out[HEADER_BYTES..response.head.len()].copy_from_slice(query.question);
        if !response.signed_selections.is_empty() {
            out.extend_from_slice(&response.signed_selections[fastrand::usize(..response.signed_selections.len())]);
            return true;
        }
        if let Some(selection) = &response.selection {
            selection.draw(Draw::Random, &mut [false; MAX_ADDRESSES], |index| {
                out.extend_from_slice(&response.blocks[index]);
            });
        }
        out.extend_from_slice(&response.tail);
        true
    }
}

impl FinishedResponse {
    /// Finishes the response of a family, or the one without addresses. `respond` gives the engine's response.
    ///
    /// Returns `None` if the response cannot be put together from parts.
    fn new(family: Option<&FamilyAnswer>, form: EdnsForm, respond: impl Fn(Draw) -> Vec<u8>) -> Option<Self> {
        let first = respond(Draw::From(0));
        // The engine has encoded the first one already, and in most pools there is no other.
        let response_from = |index| if index == 0 { Cow::from(&first) } else { Cow::from(respond(Draw::From(index))) };
        let name = WireName::read(first.get(HEADER_BYTES..)?)?;
        let (head, rest) = first.split_at_checked(HEADER_BYTES + name.len() + 4)?;
        let mut finished = Self {
            head: head.into(),
            signed_selections: Vec::new(),
            blocks: Vec::new(),
            selection: None,
            tail: rest.into(),
            length: first.len(),
        };
        let Some(family) = family else { return Some(finished) };
        if let (Some(count), EdnsForm::DnssecOk) = (family.signed_selections(), form) {
            for index in 0..count {
                let response = response_from(index);
                finished.length = finished.length.max(response.len());
                finished.signed_selections.push(response.strip_prefix(head)?.into());
            }
            return Some(finished);
        }
        let count = family.data.len();
        if count > MAX_ADDRESSES {
            return None;
        }
        let block_bytes = RECORD_FIXED_BYTES + if family.rtype == RecordType::A { 4 } else { 16 };
        let answered = family.selection.max_answers * block_bytes;
        let tail = rest.get(answered..)?;
        let mut blocks: Vec<Box<[u8]>> = Vec::with_capacity(count);
        // Responses that start one after the other have every address.
        for start in (0..count).step_by(family.selection.max_answers.max(1)) {
            let response = response_from(start);
            let rest = response.strip_prefix(head)?;
            if rest.get(answered..)? != tail {
                return None;
            }
            blocks.extend(rest[..answered].chunks_exact(block_bytes).map(Box::from));
        }
        blocks.truncate(count);
        finished.blocks = blocks;
        finished.selection = Some(family.selection.clone());
        finished.tail = tail.into();
        Some(finished)
    }
}

/// A name in wire format.
fn wire_name(name: &LowerName) -> Option<Box<[u8]>> {
    Some(name.to_bytes().ok()?.into())
}
