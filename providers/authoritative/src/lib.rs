//! An authoritative DNS server, over UDP and TCP, whose answers are the decisions of Daymark.
//!
//! A zone has either one pool, whose name is the apex, or several pools beside the static records of a master file.
//! [`Authoritative`] owns the sockets and the zones. As a [`Provider`](daymark_provider::Provider) it receives decisions and
//! serves them. It knows nothing of probes or grades.
//!
//! ```text
//! ZoneSettings ─> Zone ─┐
//!                       ├─> ZoneContent ─> DnsEngine ─> EngineResponder ─> bytes
//! Decision ─────────────┘  (replaced as a whole)          │ fills
//!                                                   ResponseTable ─> the same bytes, copied
//! ```
//!
//! A query takes no lock. It borrows what is served at its moment, so all records of a response are of one decision.
//!
//! The catalog of hickory-server answers, over handlers that are part of this crate. What it says of the names of the pools is kept
//! in a table, and copied. The loops over the sockets are part of this crate too:
//! `docs/decisions/0003-dns-engine-and-loops.md` gives the reasons.
//!
//! The server supports neither recursion, zone transfers, dynamic updates nor TSIG.

mod bind;
mod counters;
mod dnssec;
mod engine;
mod engine_responder;
#[cfg(test)]
mod fuzz;
mod inputs;
mod members;
mod name;
mod negative;
mod query;
mod rate_limit;
mod records;
mod responder;
mod response;
mod rrset;
mod serial;
mod served;
mod server;
mod settings;
mod table;
mod tcp;
mod udp;
mod zone;

pub use bind::{BindError, InheritedSockets, ListenAddress, SocketError, allow_missing_address};
pub use counters::{DnsTransport, ResponseCount};
pub use dnssec::{DenialOfExistence, DnssecKey, DnssecKeyError, KeyRole, SigningSettings, ZoneKey};
pub use rate_limit::{LOOPBACK, RateLimitCounts, RateLimitMode, RateLimitSettings};
pub use server::{Authoritative, PreparedSockets, PreparedZones, ServeError, ZoneKeyStatus, ZoneSignatures};
pub use settings::{MasterFile, Nameserver, ServerIdentity, ServerSettings, ZoneSettings};
pub use zone::{
    IncludeError, MAX_INCLUDES, MAX_ZONE_BYTES, MissingGlue, SyntaxError, Zone, ZoneError, ZoneErrors, included_files,
};
