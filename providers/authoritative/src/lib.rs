//! Serves the answers of Daymark as authoritative DNS, over UDP and TCP.
//!
//! A zone is either a pool's own, its apex being the pool's name, or a parent zone with several pools and the static
//! records of a master file. [`Authoritative`] owns the sockets and the zones, and is told answers as a
//! [`Provider`](daymark_provider::Provider). It knows nothing of probes or grades, and decides no answer.
//!
//! ```text
//! ZoneSettings ─> Zone ─┐
//!                       ├─> Content ─> lookup ─> Response ─> respond ─> bytes
//! Decision ─────────────┘  (swapped whole)      (borrows)   (EDNS, limits, TC)
//! ```
//!
//! A query takes no lock. It borrows the `Content` that stands when it comes, so it sees one decision
//! from its first record to its last.
//!
//! Names, records, compression and master files are hickory-proto's. The loops over the sockets are ours:
//! `docs/decisions/0003-dns-loops-of-our-own.md` says why, and when to take hickory-server's instead.
//!
//! Not here, on purpose: recursion, zone transfers, dynamic update, DNSSEC, TSIG. A signed query is answered unsigned.

mod bind;
mod content;
mod counts;
mod dice;
mod lookup;
mod name;
mod query;
mod records;
mod respond;
mod server;
mod settings;
mod tcp;
mod udp;
mod zone;

pub use bind::{BindError, Given, SocketError};
pub use counts::Transport;
pub use server::{Authoritative, ServeError};
pub use settings::{MasterFile, Nameserver, Settings, ZoneSettings};
pub use zone::{Zone, ZoneError, ZoneErrors};
