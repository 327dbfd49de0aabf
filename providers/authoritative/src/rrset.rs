//! An `RRset` of a master file.

use hickory_proto::rr::{RData, RecordType};

/// The records of one name and one type (RFC 9499, section 5).
#[derive(Clone, Debug)]
pub(crate) struct RrSet {
    pub(crate) rtype: RecordType,
    /// The TTL in seconds.
    pub(crate) ttl: u32,
    /// The data of each record. Never empty.
    pub(crate) data: Vec<RData>,
}
