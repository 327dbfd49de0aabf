//! The one kind of gossip message, and its encoding with postcard.
//!
//! This module knows the form of a message. It does not know when to send one, or what to put into it.

use daymark_decision::{HostName, Moment};
use serde::{Deserialize, Serialize};

use crate::entries::{Entry, RunVersion};

/// The most bytes of an encoded message. Sealed, such a message is at most 1,195 bytes long. Every IPv6 path carries 1,232
/// bytes in one UDP datagram (RFC 8200, section 5: 1,280 bytes, less 48 of headers).
pub const MAX_MESSAGE_BYTES: usize = 1_150;

/// A message from one host to another: a digest of all that the sender has, and the entries that the addressee lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The sender.
    pub from: HostName,
    /// The run of the sender that sent this. A later run has a greater incarnation.
    pub incarnation: u64,
    /// The number of this message among those of the run to this addressee. It rises by one with each.
    pub sequence_number: u64,
    /// The time of sending by the sender's clock, on which all moments in the entries are.
    pub sent_at: Moment,
    pub(crate) echo: Option<Echo>,
    pub(crate) digest: Vec<DigestEntry>,
    pub(crate) deltas: Vec<Delta>,
}

/// The message that the sender last received from the addressee. It lets the addressee measure the round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Echo {
    pub(crate) incarnation: u64,
    pub(crate) sequence_number: u64,
    /// Milliseconds between the receipt of that message and the sending of this one.
    pub(crate) held_ms: u64,
}

/// The newest state of one host that the sender has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DigestEntry {
    pub(crate) host: HostName,
    pub(crate) incarnation: u64,
    /// The last heartbeat of the host. The host raises it twice a second.
    pub(crate) heartbeat: u64,
    /// Milliseconds since the sender saw that heartbeat.
    pub(crate) heartbeat_age_ms: u64,
    /// The version up to which the sender has all entries of the host.
    pub(crate) version: u64,
}

/// Entries of one host: all that changed in the version range above `after`, up to and with `up_to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delta {
    pub(crate) host: HostName,
    pub(crate) incarnation: u64,
    pub(crate) after: u64,
    pub(crate) up_to: u64,
    /// In the order of their versions.
    pub(crate) entries: Vec<Entry>,
}

/// The error for bytes that are not one message of this version of Daymark.
#[derive(Debug, thiserror::Error)]
#[error("not a gossip message of this version of Daymark")]
pub struct DecodeError(#[from] postcard::Error);

impl DigestEntry {
    pub(crate) fn run_version(&self) -> RunVersion {
        RunVersion { incarnation: self.incarnation, version: self.version }
    }
}

impl Message {
    /// Encodes the message.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        Ok(postcard::to_stdvec(self)?)
    }

    /// Decodes a message. All bytes must belong to it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match postcard::take_from_bytes(bytes)? {
            (message, []) => Ok(message),
            _ => Err(DecodeError(postcard::Error::DeserializeBadEncoding)),
        }
    }

    pub(crate) fn digest_of(&self, host: &HostName) -> Option<&DigestEntry> {
        self.digest.iter().find(|entry| entry.host == *host)
    }
}

/// The number of bytes that a part of a message takes when it is encoded.
pub(crate) fn encoded_len(part: &impl Serialize) -> usize {
    // A part that cannot be encoded counts as empty here. Encoding the message reports the error.
    postcard::experimental::serialized_size(part).unwrap_or_default()
}
