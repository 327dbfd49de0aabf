//! Gossip between the hosts of Daymark: replication of each host's state to all others, and the encryption of its messages.
//!
//! # Reconciliation
//!
//! Each host owns a map of *entries*: its vote on each target, the overrides it knows, the hosts it reaches, and a hash of its
//! configuration. Every change of an entry raises the host's *version*. All entries of all hosts reach all hosts, over a third
//! host if two do not reach each other. This is Scuttlebutt reconciliation (van Renesse, Dumitriu, Gough and Thomas, "Efficient
//! Reconciliation and Flow Control for Anti-Entropy Protocols", 2008, section 3.2):
//!
//! - The *digest* in a message names each host that the sender knows, with the version up to which it has that host's entries.
//! - A *delta* in a message has the entries of one host that changed in a range of versions.
//! - A sender puts into a message the entries that the addressee lacks, by the addressee's own digests. It begins with the oldest, and
//!   leaves out none in between. So a lost message shows as a gap, and the entries are sent again.
//!
//! Three rules differ from the paper, since the hosts are few and all of them are configured:
//!
//! - Every host talks to every other, not to a random one.
//! - A digest and deltas travel in one message. There is no three-way exchange.
//! - A host sends its own changes at once. Other hosts' entries go only to hosts that lack them. At rest, a host sends a
//!   heartbeat twice a second: a message with a digest and no delta.
//!
//! ```text
//!              exchange                      PeerLink for each peer
//! Engine ── own entries ──────> Gossip ────────────────────────────> Message
//! Engine <─ views, overrides ── Gossip <──────────────────────────── Message
//! ```
//!
//! # Example
//!
//! `dns-1` changes its vote on a target, which raises its version from 41 to 42. It sends `dns-2` and `dns-3` a message with the
//! changes after 41 up to 42. The message to `dns-3` is lost. The digests of `dns-3` still have version 41 of `dns-1`, so `dns-1`
//! sends the delta again after 200 ms. A digest of `dns-3` may reach `dns-2` before that. Then `dns-2` sends the delta.
//!
//! # Encryption
//!
//! Each message is [sealed](seal()) with a key of the [`KeyRing`] that all hosts share.
//!
//! # Purity
//!
//! Everything here is synchronous and deterministic, like the decision core. It has no socket, file, clock or randomness: the
//! caller passes in the time and the random bytes.

// Numbers come from state files and other hosts. Arithmetic on them stops at the ends, and neither panics nor wraps.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod entries;
mod exchange;
mod gossip;
mod keyring;
mod message;
mod message_size;
mod peer_link;
mod peer_state;
mod peer_summary;
mod replay_window;
mod seal;

pub use entries::{ConfigurationHash, EntryKey, EntryValue};
pub use exchange::exchange;
pub use gossip::{Freshness, Gossip, ReceivedView, Rejection, Transmit};
pub use keyring::{GossipKey, KeyId, KeyRing, KeyRingError, MAX_KEYS, SECRET_LENGTH};
pub use message::{DecodeError, MAX_MESSAGE_BYTES, Message};
pub use message_size::{MAX_AUTHOR_BYTES, MAX_REASON_BYTES, host_names_overflow, override_overflow};
pub use peer_summary::{ClockReading, PeerSummary};
pub use seal::{OVERHEAD, OpenError, RANDOM_LENGTH, open, seal};
