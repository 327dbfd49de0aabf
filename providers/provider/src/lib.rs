//! What every provider of Daymark does: publish whole answers.
//!
//! A [`Provider`] is told the newest [`Decision`] and makes the world show it. It is never told "nothing": unknown is not
//! empty, and a decision without a member for a pool is a fault that it refuses. It knows nothing of probes, thresholds or
//! peers; who calls it, when, and how often after a failure is the publisher's matter.
//!
//! [`InMemory`] is the twin for tests, and [`contract`] the suite that every provider passes.

pub mod contract;
mod memory;

use std::future::Future;

use daymark_decision::{Decision, PoolName};

pub use memory::InMemory;

/// Publishes answers.
pub trait Provider: Send + Sync + 'static {
    /// What logs and metrics call it, such as `authoritative`.
    fn name(&self) -> &'static str;

    /// Makes the world show this decision, whole: where it returns `Ok`, every answer stands.
    ///
    /// A decision whose generation equals the published one changes nothing, and an older one is [`PublishError::Stale`].
    /// On an error the world shows the former answers or these, pool by pool, and never a part of one.
    fn publish(&self, decision: &Decision) -> impl Future<Output = Result<(), PublishError>> + Send;
}

/// Why a decision was not published. Each says whose fault it is, and so what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Our own order of calls: a newer one stands. The caller drops the decision.
    #[error("generation {given} is older than the published {published}")]
    Stale {
        /// The generation of the decision.
        given: u64,
        /// The generation that stands.
        published: u64,
    },
    /// A defect of the decision. The caller raises an alarm; the former answer stands.
    #[error("the answer of {0} is empty, and unknown is not empty")]
    Empty(PoolName),
    /// The world's fault, and likely to pass. The caller tries again, with back-off.
    #[error("not published, to be tried again")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operator's fault. Trying again does not help; the caller raises an alarm and tries again slowly.
    #[error("not published, and only the operator can mend it")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What every provider refuses, in one place: an older generation than `published`, and an empty answer.
pub fn admit(decision: &Decision, published: u64) -> Result<(), PublishError> {
    if decision.generation < published {
        return Err(PublishError::Stale { given: decision.generation, published });
    }
    match decision.answers.iter().find(|answer| answer.members.is_empty()) {
        Some(empty) => Err(PublishError::Empty(empty.pool.clone())),
        None => Ok(()),
    }
}
