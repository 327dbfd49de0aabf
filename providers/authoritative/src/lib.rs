//! An authoritative DNS server, over UDP and TCP, whose answers are the decisions of Daymark.
//!
//! A zone has either one pool, whose name is the apex, or several pools beside the static records of a master file.
//! [`Authoritative`] owns the sockets and the zones. As a [`Provider`](daymark_provider::Provider) it receives decisions and
//! serves them. It knows nothing of probes or grades.
//!
//! ```text
//! ZoneSettings ─> Zone ─┐
//!                       ├─> Catalog ─> response::answer ─> Response ─> Responder ─> bytes
//! Decision ─────────────┘  (replaced as a whole)         (borrows)   (EDNS, limits, TC)
//! ```
//!
//! A query takes no lock. It borrows the `Catalog` of its moment, so all records of a response are of one decision.
//!
//! hickory-proto provides names, records, compression and master files. The loops over the sockets are part of this crate:
//! `docs/decisions/0003-dns-loops-of-our-own.md` gives the reasons, and says when to use hickory-server instead.
//!
//! The server supports neither recursion, zone transfers, dynamic updates, DNSSEC nor TSIG. It answers a signed query unsigned.

mod bind;
mod catalog;
mod counters;
mod inputs;
mod name;
mod negative;
mod query;
mod responder;
mod response;
mod rrset;
mod serial;
mod server;
mod settings;
mod tcp;
mod udp;
mod zone;

pub use bind::{BindError, InheritedSockets, ListenAddress, SocketError, allow_missing_address};
pub use counters::{DnsTransport, ResponseCount};
pub use server::{Authoritative, PreparedZones, ServeError};
pub use settings::{MasterFile, Nameserver, ServerSettings, ZoneSettings};
pub use zone::{IncludeError, MAX_INCLUDES, MAX_ZONE_BYTES, Zone, ZoneError, ZoneErrors, included_files};
