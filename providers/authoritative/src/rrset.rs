//! `RRset`s: as a zone owns them, and as a response borrows them.

use std::{ptr, slice};

use hickory_proto::rr::{Name, RData, RecordType};

/// The records of one name and one type (RFC 9499, section 5). The zone's node has the name.
#[derive(Clone, Debug)]
pub(crate) struct RrSet {
    pub(crate) rtype: RecordType,
    /// The TTL in seconds.
    pub(crate) ttl: u32,
    /// The data of each record. Never empty.
    pub(crate) data: Vec<RData>,
}

impl RrSet {
    /// The whole set, as a response borrows it.
    pub(crate) fn for_owner<'a>(&'a self, owner: Owner<'a>) -> ResponseRrSet<'a> {
        ResponseRrSet { owner, rtype: self.rtype, ttl: self.ttl, data: RecordData::Rotated([&self.data, &[]]) }
    }
}

/// The owner name of records in a response.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    /// The name of the question, in the letter case of the question.
    Question,
    /// Another name.
    Name(&'a Name),
}

/// An `RRset` in a response.
#[derive(Debug)]
pub(crate) struct ResponseRrSet<'a> {
    pub(crate) owner: Owner<'a>,
    pub(crate) rtype: RecordType,
    pub(crate) ttl: u32,
    pub(crate) data: RecordData<'a>,
}

impl ResponseRrSet<'_> {
    /// Returns `true` if this borrows the whole of `set`.
    pub(crate) fn borrows(&self, set: &RrSet) -> bool {
        matches!(self.data, RecordData::Rotated([whole, []]) if ptr::eq(whole, set.data.as_slice()))
    }
}

/// The data of an `RRset`, in the order of the response.
#[derive(Debug)]
pub(crate) enum RecordData<'a> {
    /// The first slice, then the second. A rotation of a slice needs no allocation in this form.
    Rotated([&'a [RData]; 2]),
    /// Records in an order of their own.
    Listed(Vec<&'a RData>),
}

impl<'a> RecordData<'a> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a RData> {
        let (rotated, listed): ([&'a [RData]; 2], slice::Iter<'_, &'a RData>) = match self {
            Self::Rotated(slices) => (*slices, [].iter()),
            Self::Listed(listed) => ([&[], &[]], listed.iter()),
        };
        rotated.into_iter().flatten().chain(listed.copied())
    }
}
