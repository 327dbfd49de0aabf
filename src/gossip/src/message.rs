//! One message from one host to another, and its form on the wire.

use daymark_decision::{HostName, Moment};
use serde::{Deserialize, Serialize};

use crate::facts::Entry;

/// No message is longer, so that sealed it fits in one datagram on any path (RFC 8200, section 5: 1280 bytes, less 48 for
/// IPv6 and UDP, less what the seal adds).
pub const MOST_BYTES: usize = 1_150;

/// What one host tells another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The sender.
    pub from: HostName,
    /// Which run of the sender this is from; a later run has a greater one.
    pub incarnation: u64,
    /// Rises with every message of the run to this addressee.
    pub number: u64,
    /// The sender's clock, by which the moments in the facts are told.
    pub clock: Moment,
    pub(crate) echo: Option<Echo>,
    pub(crate) heads: Vec<Head>,
    pub(crate) news: Vec<News>,
}

/// Which message of the addressee came last, to measure the round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Echo {
    pub(crate) incarnation: u64,
    pub(crate) number: u64,
    /// Milliseconds from then until this message was sent.
    pub(crate) held: u64,
}

/// How far the sender knows a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) host: HostName,
    pub(crate) incarnation: u64,
    /// A sign of life that the host raises all the time.
    pub(crate) beat: u64,
    /// Milliseconds since the sender saw it raised.
    pub(crate) age: u64,
    /// Up to which version the sender has the facts of the host.
    pub(crate) version: u64,
}

/// Facts of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct News {
    pub(crate) host: HostName,
    pub(crate) incarnation: u64,
    /// All that changed after this version …
    pub(crate) after: u64,
    /// … and up to this one.
    pub(crate) upto: u64,
    pub(crate) entries: Vec<Entry>,
}

/// Bytes that are no message of this version of Daymark.
#[derive(Debug, thiserror::Error)]
#[error("it is no message of this version of Daymark")]
pub struct NoMessage(#[from] postcard::Error);

impl Message {
    /// The message as bytes.
    pub fn encode(&self) -> Result<Vec<u8>, NoMessage> {
        Ok(postcard::to_stdvec(self)?)
    }

    /// The message that these bytes are; all of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, NoMessage> {
        match postcard::take_from_bytes(bytes)? {
            (message, []) => Ok(message),
            _ => Err(NoMessage(postcard::Error::DeserializeBadEncoding)),
        }
    }

    pub(crate) fn head(&self, of: &HostName) -> Option<&Head> {
        self.heads.iter().find(|head| head.host == *of)
    }
}

/// How many bytes something takes on the wire.
pub(crate) fn length(of: &impl Serialize) -> usize {
    // What cannot be written takes no room, and encoding the message tells.
    postcard::experimental::serialized_size(of).unwrap_or_default()
}
