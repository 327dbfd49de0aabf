//! The reason for which a target is in an answer, or out of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::observation::Kind;
use crate::operator_override::Override;
use crate::target::{Family, Target};

/// The answer status of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AnswerStatus {
    /// The answer has the target.
    In,
    /// The answer lacks the target.
    Out,
}

/// A target, and the reason for which it is in the answer or out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReason {
    /// The target.
    pub target: Target,
    /// The reason.
    pub reason: Reason,
}

/// The reason for which a target is in the answer or out of it. The log, the API and `daymark explain` show this value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Reason {
    /// In: it is ready.
    Ready {
        /// The time of its last transition.
        since: Moment,
    },
    /// In: the hosts agree that it is ready, though this host does not find it so.
    Agreed {
        /// This host's own finding.
        cause: NotReadyReason,
    },
    /// In: it was answered before, answers that it is ready, and only a penalty keeps it from `ready`.
    Flapping {
        /// The end of its wait on this host.
        until: Moment,
    },
    /// In: an operator forces it.
    Forced {
        /// The override.
        by: Override,
    },
    /// In: no target is ready, and this one is live.
    Live {
        /// The address family of which this is said; `None` if it holds for the whole pool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        family: Option<Family>,
        /// The reason for which it is not ready.
        cause: NotReadyReason,
    },
    /// In: the hosts agree on no usable target, but a minority of them can use this one.
    Minority {
        /// This host's own finding.
        cause: NotReadyReason,
    },
    /// In: no target is usable, and this one is in the last known good answer.
    LastKnownGood {
        /// The address family of which this is said; `None` if it holds for the whole pool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        family: Option<Family>,
        /// The reason for which it is not ready.
        cause: NotReadyReason,
    },
    /// In: no target has been usable yet.
    Bootstrap {
        /// The reason for which it is not ready.
        cause: NotReadyReason,
    },
    /// In, though drained: no undrained target is usable, or there is none.
    NoUndrainedUsable {
        /// The address family of which this is said; `None` if it holds for the whole pool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        family: Option<Family>,
        /// The override.
        by: Override,
    },
    /// Out: it is not ready, and other targets are better.
    NotReady {
        /// The reason for which it is not ready.
        cause: NotReadyReason,
    },
    /// Out: an operator drained the node.
    Drained {
        /// The override.
        by: Override,
    },
    /// Out: a better priority has a usable target.
    LowerPriority {
        /// Its own priority.
        own_priority: u16,
        /// The priority of the answer.
        answered_priority: u16,
    },
}

/// The text of a reason without its state: `drained since …`.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a>(&'a Reason);

/// The reason for which a target is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum NotReadyReason {
    /// It has no verdict yet.
    NoVerdict {
        /// The last observation.
        observed: Option<Kind>,
    },
    /// It has a valid TLS session and answers HTTP, but does not say that it is ready.
    Live {
        /// The time of its last transition.
        since: Moment,
        /// The last observation.
        observed: Option<Kind>,
    },
    /// It is down.
    Down {
        /// The time of its last transition.
        since: Moment,
        /// The last observation.
        observed: Option<Kind>,
    },
    /// It says that it is ready, but it has changed too often to be believed at once.
    Flapping {
        /// The end of its wait.
        until: Moment,
    },
    /// It is ready, and the first verdicts of other targets are awaited.
    Awaited {
        /// The time of its last transition.
        since: Moment,
    },
    /// This host finds it ready. A majority of the hosts does not, or one host has seen its orderly shutdown.
    Outvoted {
        /// The time of its last transition on this host.
        since: Moment,
    },
}

impl Reason {
    /// True if the target has a verdict, or needs none for its answer status.
    pub fn has_verdict(&self) -> bool {
        match self {
            Self::Live { cause, .. }
            | Self::LastKnownGood { cause, .. }
            | Self::Bootstrap { cause }
            | Self::NotReady { cause } => !matches!(cause, NotReadyReason::NoVerdict { .. }),
            // This host, the other hosts, or an operator gave one.
            Self::Ready { .. }
            | Self::Agreed { .. }
            | Self::Flapping { .. }
            | Self::Forced { .. }
            | Self::Minority { .. }
            | Self::NoUndrainedUsable { .. }
            | Self::Drained { .. }
            | Self::LowerPriority { .. } => true,
        }
    }

    /// The answer status of the target.
    pub fn answer_status(&self) -> AnswerStatus {
        match self {
            Self::Ready { .. }
            | Self::Agreed { .. }
            | Self::Flapping { .. }
            | Self::Forced { .. }
            | Self::Live { .. }
            | Self::Minority { .. }
            | Self::LastKnownGood { .. }
            | Self::Bootstrap { .. }
            | Self::NoUndrainedUsable { .. } => AnswerStatus::In,
            Self::NotReady { .. } | Self::Drained { .. } | Self::LowerPriority { .. } => AnswerStatus::Out,
        }
    }

    /// The answer status of the target, with the kind of reason if it is not the usual one: `in (last known good)`.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Ready { .. } | Self::Agreed { .. } | Self::Forced { .. } => "in",
            Self::Flapping { .. } => "in (flapping)",
            Self::Live { .. } => "in (live)",
            Self::Minority { .. } => "in (minority)",
            Self::LastKnownGood { .. } => "in (last known good)",
            Self::Bootstrap { .. } => "in (bootstrap)",
            Self::NoUndrainedUsable { .. } => "in (drained)",
            Self::NotReady { .. } | Self::Drained { .. } | Self::LowerPriority { .. } => "out",
        }
    }

    /// The sentence after the state.
    pub fn cause(&self) -> Cause<'_> {
        Cause(self)
    }
}

impl fmt::Display for Reason {
    /// The state and the cause: `out: drained since …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.state(), self.cause())
    }
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Reason::Ready { since } => write!(f, "ready since {since}"),
            Reason::Agreed { cause } => write!(f, "ready by the votes of the hosts; on this host, {cause}"),
            Reason::Flapping { until } => write!(f, "ready again, but not trusted before {until}"),
            Reason::Forced { by } => write!(f, "forced {by}"),
            Reason::Live { family, cause } => write!(f, "no {}target is ready; {cause}", Adjective(*family)),
            Reason::Minority { cause } => write!(f, "only a minority of the hosts can use it; {cause}"),
            Reason::LastKnownGood { family, cause } => {
                write!(f, "no {}target is usable, so the last good answer stands; {cause}", Adjective(*family))
            }
            Reason::Bootstrap { cause } => write!(f, "no node has been ready yet, so all are answered; {cause}"),
            Reason::NoUndrainedUsable { family, by } => {
                write!(f, "no undrained {}node is usable; drained {by}", Adjective(*family))
            }
            Reason::NotReady { cause } => write!(f, "{cause}"),
            Reason::Drained { by } => write!(f, "drained {by}"),
            Reason::LowerPriority { own_priority, answered_priority } => {
                write!(f, "its priority is {own_priority}, and priority {answered_priority} has a usable target")
            }
        }
    }
}

impl fmt::Display for NotReadyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVerdict { observed } => write!(f, "no verdict yet{}", LastObserved(observed)),
            Self::Live { since, observed } => write!(f, "not ready since {since}{}", LastObserved(observed)),
            Self::Down { since, observed } => write!(f, "down since {since}{}", LastObserved(observed)),
            Self::Flapping { until } => write!(f, "flapping: ready again, but not trusted before {until}"),
            Self::Awaited { since } => write!(f, "ready since {since}, but other nodes have no verdict yet"),
            Self::Outvoted { since } => {
                write!(f, "ready since {since} on this host, but not by the votes of the hosts")
            }
        }
    }
}

/// A family before a noun, with the space between them.
struct Adjective(Option<Family>);

impl fmt::Display for Adjective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |family| write!(f, "{family} "))
    }
}

/// The last observation as the end of a sentence.
struct LastObserved<'a>(&'a Option<Kind>);

impl fmt::Display for LastObserved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // It contradicts the grade, because the threshold is not reached yet.
            Some(Kind::Ready) => f.write_str("; the last probe found it ready, but `rise` is not reached yet"),
            Some(kind) => write!(f, ": {kind}"),
            None => Ok(()),
        }
    }
}
