//! Why a target is in an answer, or out of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::observation::Kind;
use crate::overrides::Override;

/// Whether a target is in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the answer.
    In,
    /// Out of the answer.
    Out,
}

/// Why a target is in the answer or out of it. The log, the API, the metrics and `daymark explain` all show this value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// In: it is ready.
    Ready {
        /// Since when.
        since: Moment,
    },
    /// In: the majority of the hosts finds it ready, and this one does not.
    Agreed {
        /// What it lacks as this host sees it.
        lacks: Lack,
    },
    /// In: an operator forces it.
    Forced {
        /// The operator's word.
        order: Override,
    },
    /// In: no target is ready, and this one is live.
    BestOfLive {
        /// What it lacks.
        lacks: Lack,
    },
    /// In: no target is ready or live as most hosts find, but one host at least finds this one so.
    Found {
        /// What it lacks as this host sees it.
        lacks: Lack,
    },
    /// In: no target is ready or live, and this one was in the last good answer.
    Held {
        /// What it lacks.
        lacks: Lack,
    },
    /// In: there never was a good answer.
    Bootstrap {
        /// What it lacks.
        lacks: Lack,
    },
    /// In, though drained: no node of the pool is left undrained.
    NoneUndrained {
        /// The operator's word.
        order: Override,
    },
    /// Out: it is not ready, and others are better.
    Unfit {
        /// What it lacks.
        lacks: Lack,
    },
    /// Out: an operator drained the node.
    Drained {
        /// The operator's word.
        order: Override,
    },
    /// Out: a better priority has a healthy target.
    LowerPriority {
        /// Its own priority.
        own: u16,
        /// The priority that is answered.
        answered: u16,
    },
}

/// What keeps a target from being ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "lack", rename_all = "kebab-case")]
pub enum Lack {
    /// There is no verdict on it yet.
    Unjudged {
        /// What was seen last.
        seen: Option<Kind>,
    },
    /// It has a valid TLS session and an HTTP answer, but is not ready.
    NotReady {
        /// Since when.
        since: Moment,
        /// What was seen last.
        seen: Option<Kind>,
    },
    /// It is down.
    Down {
        /// Since when.
        since: Moment,
        /// What was seen last.
        seen: Option<Kind>,
    },
    /// It answers that it is ready, but has changed too often to be believed at once.
    Flapping {
        /// It is believed from then on.
        until: Moment,
    },
    /// This host finds it ready and the others do not: a majority of them, or one that has seen its orderly shutdown.
    Outvoted {
        /// Since when this host finds it ready.
        since: Moment,
    },
}

impl Reason {
    /// Whether there is a verdict on the target, or none is needed for its place.
    pub fn is_judged(&self) -> bool {
        match self {
            Self::BestOfLive { lacks } | Self::Held { lacks } | Self::Bootstrap { lacks } | Self::Unfit { lacks } => {
                !matches!(lacks, Lack::Unjudged { .. })
            }
            // This host, other hosts, or an operator has judged.
            Self::Ready { .. }
            | Self::Agreed { .. }
            | Self::Forced { .. }
            | Self::Found { .. }
            | Self::NoneUndrained { .. }
            | Self::Drained { .. }
            | Self::LowerPriority { .. } => true,
        }
    }

    /// Whether the target is in the answer.
    pub fn place(&self) -> Place {
        match self {
            Self::Ready { .. }
            | Self::Agreed { .. }
            | Self::Forced { .. }
            | Self::BestOfLive { .. }
            | Self::Found { .. }
            | Self::Held { .. }
            | Self::Bootstrap { .. }
            | Self::NoneUndrained { .. } => Place::In,
            Self::Unfit { .. } | Self::Drained { .. } | Self::LowerPriority { .. } => Place::Out,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { since } => write!(f, "in: ready since {since}"),
            Self::Agreed { lacks } => write!(f, "in: the hosts find it ready, but as this one sees it: {lacks}"),
            Self::Forced { order } => write!(f, "in: forced {order}"),
            Self::BestOfLive { lacks } => write!(f, "in, for no target is ready: {lacks}"),
            Self::Found { lacks } => {
                write!(
                    f,
                    "in, for no target can be used as most hosts find and one finds that this can; as this one sees it: {lacks}"
                )
            }
            Self::Held { lacks } => {
                write!(f, "in, for no target can be used and the last good answer is held: {lacks}")
            }
            Self::Bootstrap { lacks } => {
                write!(f, "in, for no target was ever ready or live and every node is answered until one is: {lacks}")
            }
            Self::NoneUndrained { order } => write!(f, "in, for every node of the pool is drained: drained {order}"),
            Self::Unfit { lacks } => write!(f, "out: {lacks}"),
            Self::Drained { order } => write!(f, "out: drained {order}"),
            Self::LowerPriority { own, answered } => {
                write!(f, "out: its priority is {own}, and priority {answered} has a healthy target")
            }
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unjudged { seen } => write!(f, "no verdict yet{}", Seen(seen)),
            Self::NotReady { since, seen } => write!(f, "not ready since {since}{}", Seen(seen)),
            Self::Down { since, seen } => write!(f, "down since {since}{}", Seen(seen)),
            Self::Flapping { until } => {
                write!(f, "ready again, but it changed often and is not believed until {until}")
            }
            Self::Outvoted { since } => {
                write!(f, "ready since {since} as this host sees it, but not as the other hosts do")
            }
        }
    }
}

/// What was seen last, as the end of a sentence.
struct Seen<'a>(&'a Option<Kind>);

impl fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Against what was just said of it: the thresholds are not reached.
            Some(Kind::Ready) => f.write_str("; it answers ready now, which is to be confirmed"),
            Some(kind) => write!(f, ": {kind}"),
            None => Ok(()),
        }
    }
}
