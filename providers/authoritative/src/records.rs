//! Sets of records: as a zone keeps them, and as a response borrows them.

use std::{ptr, slice};

use hickory_proto::rr::{Name, RData, RecordType};

/// The records of one name and one type (RFC 9499: an `RRset`). The name is its node's.
#[derive(Clone, Debug)]
pub(crate) struct RrSet {
    /// The type.
    pub(crate) rtype: RecordType,
    /// Seconds for which a resolver may keep it.
    pub(crate) ttl: u32,
    /// What each record holds. Never empty.
    pub(crate) data: Vec<RData>,
}

impl RrSet {
    /// The set as a response gives it.
    pub(crate) fn found<'a>(&'a self, owner: Owner<'a>) -> Found<'a> {
        Found { owner, rtype: self.rtype, ttl: self.ttl, data: Data::InTurn([&self.data, &[]]) }
    }
}

/// Whose records they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    /// The name that was asked for, in the letter case that it was asked in.
    Question,
    /// Another.
    Name(&'a Name),
}

/// A set of records in a response.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) owner: Owner<'a>,
    pub(crate) rtype: RecordType,
    pub(crate) ttl: u32,
    pub(crate) data: Data<'a>,
}

impl Found<'_> {
    /// Whether these are the records of a set, all of them.
    pub(crate) fn are(&self, set: &RrSet) -> bool {
        matches!(self.data, Data::InTurn([whole, []]) if ptr::eq(whole, set.data.as_slice()))
    }
}

/// What the records hold, in the order of the response.
#[derive(Debug)]
pub(crate) enum Data<'a> {
    /// The one slice, then the other: an order that costs no allocation.
    InTurn([&'a [RData]; 2]),
    /// One by one.
    Drawn(Vec<&'a RData>),
}

impl<'a> Data<'a> {
    /// Each record.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a RData> {
        let (turned, drawn): ([&'a [RData]; 2], slice::Iter<'_, &'a RData>) = match self {
            Self::InTurn(slices) => (*slices, [].iter()),
            Self::Drawn(drawn) => ([&[], &[]], drawn.iter()),
        };
        turned.into_iter().flatten().chain(drawn.copied())
    }
}
