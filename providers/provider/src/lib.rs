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
use std::time::Duration;

use daymark_decision::{Decision, PoolName};
use tokio::time::Instant;

pub use memory::InMemory;

/// When clients notice a silent node by themselves: client-go pings after 30 s without reads and gives up 15 s later. At
/// 50 s (`node-monitor-grace-period`) nodes turn `NotReady`.
pub const CLIENTS_NOTICE: Duration = Duration::from_secs(45);

/// Publishes answers.
pub trait Provider: Send + Sync + 'static {
    /// What logs, metrics and `daymark status` call it, such as `authoritative`. No two of one run have the same.
    fn name(&self) -> &str;

    /// Makes the world show this decision, whole: where it returns `Ok`, every answer stands.
    ///
    /// A decision whose generation equals the published one changes nothing, unless the world has drifted away from it; then
    /// it is mended. An older one is [`PublishError::Stale`]. On an error every pool shows addresses of its former answer or
    /// of this one, and never none.
    fn publish(&self, decision: &Decision) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// Says that there is a newer decision, while an older one may be on its way. What is not yet sent of the older one need
    /// not be, and then its [`Provider::publish`] is [`PublishError::Superseded`].
    fn supersede(&self, _decision: &Decision) {}

    /// Says until when this host may write, where only one of several may; what is said last counts. A publication that is
    /// under way asks before each call that writes, and is [`PublishError::Superseded`] once the time is over. Where it is
    /// never said, the host may always write.
    fn may_write(&self, _until: Instant) {}

    /// Says that from now on this host publishes, where another one may have done so until now: what this one knows of what
    /// stands may be old, and a difference is nobody's fault. Called before a [`Provider::publish`], never during one.
    fn take_over(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// How long what is published may stand before [`Provider::publish`] is called again with it, to look for drift. `None`:
    /// no one else can change it.
    fn look_again(&self) -> Option<Duration> {
        None
    }

    /// What an operator should look at where the answers are published, as sentences; `None` where the world cannot be asked
    /// now. Called after the first attempt that is not [`PublishError::Unavailable`], when refusals begin or end, when the
    /// targets change, and about as often as [`Provider::look_again`] says while something is found.
    fn check(&self) -> impl Future<Output = Option<Vec<String>>> + Send {
        std::future::ready(Some(Vec::new()))
    }

    /// What the next run of this provider must know, to be kept with the state.
    fn memory(&self) -> Option<serde_json::Value> {
        None
    }
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
    /// A newer decision came while this one was on its way, or another host writes by now. The caller goes on with that at
    /// once.
    #[error("a newer decision is there, or this host may not write any more")]
    Superseded,
    /// A defect of the decision. The caller raises an alarm; the former answer stands.
    #[error("the answer of {0} is empty, and unknown is not empty")]
    Empty(PoolName),
    /// The world's fault, and likely to pass. The caller tries again, with back-off.
    #[error("not published, to be tried again")]
    Unavailable {
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// The pause that the world asks for; the caller's own back-off may be longer.
        pause: Option<Duration>,
    },
    /// What was published stands as far as is known, but whether someone else has changed it since was not looked at. The
    /// caller tries again, with back-off.
    #[error("published, but not looked at again")]
    Unlooked {
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// The pause that the world asks for; the caller's own back-off may be longer.
        pause: Option<Duration>,
    },
    /// The operator's fault; some of it may stand. Trying again does not help; the caller raises an alarm and tries again
    /// slowly.
    #[error("not as it should be, and only the operator can mend it")]
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
