//! What the hosts of Daymark tell each other.
//!
//! Every host says facts: its vote on each target, the words of operators that it knows, whom it hears, with which
//! configuration it works. All facts of all hosts reach all hosts, also by way of a third where two do not reach each other.
//!
//! ```text
//! Engine ── exchange ──> own Facts ─┐                      ┌─> Link to each peer ─> Message
//! Engine <── exchange ── Facts of each other host <── Gossip <── Message
//! ```
//!
//! A [`Message`] has the sender's *heads*, which tell how far it knows each host, and the facts that the addressee lacks as
//! far as its own heads have told. Facts have versions and go in their order, so what is lost is seen and sent again.
//!
//! - What is new of its own, a host sends to every other at once, and again until they have it.
//! - What it knows of others, it sends to whoever shows that it lacks it.
//! - At rest there are only heads, twice a second.
//!
//! On its way each message is [sealed](seal()) with a key of the [`KeyRing`] that the hosts share.
//!
//! Everything here is synchronous and deterministic, like the core: it has no socket, no file and no clock, and draws no
//! random bytes.

mod bounds;
mod exchange;
mod facts;
mod gossip;
mod keyring;
mod known;
mod link;
mod message;
mod peer;
mod seal;
mod window;

pub use bounds::{LONGEST_AUTHOR, LONGEST_HOST, LONGEST_REASON, excess};
pub use exchange::exchange;
pub use facts::{Digest, Fact, Topic};
pub use gossip::{Gossip, Heard, Transmit, Unheard};
pub use keyring::{Key, KeyId, KeyRing, KeyRingError, MOST_KEYS, SECRET_LENGTH};
pub use message::{MOST_BYTES, Message, NoMessage};
pub use peer::Peer;
pub use seal::{OVERHEAD, RANDOM_LENGTH, Unsealed, open, seal};
