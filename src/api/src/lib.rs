//! The types of the admin API, as JSON, and the messages that follow from them alone.
//!
//! It knows the types of the core. It does not know how the values come about, nor how they are served.
//!
//! Every time is an RFC 3339 string in UTC with milliseconds. Every duration is an integer of milliseconds, rounded down, with a
//! key that ends in `Ms`; only the TTL is in seconds (`ttlSeconds`). Every other number is a count, a number in a sequence, a
//! priority or the status of HTTP. No key holds an object that has the key again. `docs/api.md` says the same to users.

mod discovery;
mod event;
mod hosts;
mod mismatch;
mod pools;
mod request;
mod status;

pub use self::discovery::{
    DiscoveryEvent, DiscoveryStatus, KnownAddress, Missing, MissingAddress, MissingStatus, Origin, StayReason,
};
pub use self::event::{Event, EventKind};
pub use self::hosts::{HostVote, HostsStatus, PeerMismatchStatus, PeerStatus, PeerTarget, UnsavedOverride};
pub use self::mismatch::PeerMismatch;
pub use self::pools::{
    ExpiryStatus, Observed, PendingOverride, PoolStatus, TargetStatus, basis_alarms, unusable_file_alarm,
};
pub use self::request::{OverrideReply, OverrideRequest, Problem};
pub use self::status::{ProviderStatus, ProviderTtl, Status};
