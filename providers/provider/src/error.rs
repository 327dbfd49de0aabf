//! The reasons why a decision is not published, each with what the publisher does next.

use std::error::Error;
use std::time::Duration;

use daymark_decision::{Decision, PoolName};

/// A decision that no provider publishes. The former decision stands. Trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// A newer decision is published already. The publisher drops this one.
    #[error("generation {generation} is older than the published {published}")]
    Stale {
        /// The generation of the decision.
        generation: u64,
        /// The generation that is published.
        published: u64,
    },
    /// An answer has no member, which is a defect: unknown is not empty. The publisher raises an alarm.
    #[error("the answer of {0} is empty; a pool always has at least one address")]
    Empty(PoolName),
}

/// A remote provider has not published a decision, or not looked for drift.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The decision cannot be published. The publisher waits for the next one.
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// A newer decision came during the call, or the writer lease ended. The publisher goes on with the newest at once.
    #[error("superseded by a newer decision, or this host no longer has the writer lease")]
    Superseded,
    /// A cause outside that is likely to pass. The publisher tries again, with back-off.
    #[error("not published, will be tried again")]
    Unavailable {
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
        /// The pause that the remote system asks for. The publisher's own back-off may be longer.
        pause: Option<Duration>,
    },
    /// The decision is published, but the drift check was not made. The publisher tries again, with back-off.
    #[error("published, but not checked for drift")]
    DriftUnchecked {
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
        /// The pause that the remote system asks for. The publisher's own back-off may be longer.
        pause: Option<Duration>,
    },
    /// Only an operator can fix the cause; a part of the decision may be published. The publisher raises an alarm and tries
    /// again slowly.
    #[error("not published, an operator must act")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}

/// Refuses what every provider refuses: a generation older than `published`, and an empty answer.
pub fn validate(decision: &Decision, published: u64) -> Result<(), DecisionError> {
    if decision.generation < published {
        return Err(DecisionError::Stale { generation: decision.generation, published });
    }
    match decision.answers.iter().find(|answer| answer.members.is_empty()) {
        Some(empty) => Err(DecisionError::Empty(empty.pool.clone())),
        None => Ok(()),
    }
}
