//! Publishes answers through Cloudflare: by enabling the origins of a Load Balancing pool, or by plain DNS records.
//!
//! ```text
//! observe (remote state) ─┐
//! answer (desired) ───────┼─ plan (pure) ─> edits ─> client ─> Cloudflare, and observe again until no edit is left
//! drift tracker ──────────┘
//! ```
//!
//! For each pool, one pass observes the remote state, plans, writes only what differs, and reads it back. Daymark writes only
//! what it manages: the switch of origins that belong to a target, and objects that bear its [mark](MARK). Between passes the
//! drift tracker remembers what was published, to tell a change of the answer from a change by someone else.
//!
//! [`Cloudflare`] implements [`RemoteProvider`](daymark_provider::RemoteProvider). It knows nothing of probes, peers or files,
//! except the file of its token.

mod api;
mod checks;
mod client;
mod drift;
mod fault;
mod finding;
mod idn;
mod mark;
mod observe;
mod plan;
mod provider;
mod public;
mod reconcile;
mod settings;
mod zones;

pub use client::{BuildError, CallError};
pub use provider::Cloudflare;
pub use public::is_public;
pub use settings::{
    API, BALANCER_TTL, CallSettings, CloudflareSettings, MAX_OWNER_CHARS, Manage, PublishMode, RECORD_TTL,
    RECORD_TTL_ENTERPRISE, Served, TokenSource, is_id, is_owner,
};

/// The prefix of the comment or description of every object that is Daymark's.
pub const MARK: &str = "managed by daymark";
