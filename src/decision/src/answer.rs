//! The answers to publish.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::name::{NodeName, PoolName};
use crate::reason::TargetReason;
use crate::target::Family;

/// Everything to publish, as whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// One answer per pool, by name.
    pub answers: Vec<Answer>,
    /// The generation of the newest answer. It rises with every change and never falls, also over restarts.
    pub generation: u64,
}

impl Decision {
    /// The answer of one pool.
    pub fn answer(&self, pool: &PoolName) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.pool == *pool)
    }
}

/// The addresses of one pool, with the reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The pool.
    pub pool: PoolName,
    /// The members of the answer, in the operator's order. Never empty.
    pub members: Vec<Member>,
    /// The order of the members in each response.
    pub order: Order,
    /// The most addresses of one family in one response.
    pub max_answers: u16,
    /// The TTL of the records, in seconds.
    pub ttl: u32,
    /// The TTL of a negative answer in seconds, by the policy. It does not apply while the answer is
    /// [provisional](Self::is_provisional).
    pub negative_ttl: u32,
    /// Rises with every change of the fields above.
    pub generation: u64,
    /// The basis on which the members of each family were chosen. A family without members has none.
    pub bases: BTreeMap<Family, Basis>,
    /// The reason of each target of the pool, in the operator's order.
    pub reasons: Vec<TargetReason>,
}

impl Answer {
    /// The worst basis of its families.
    pub fn basis(&self) -> Basis {
        self.bases.values().max().copied().unwrap_or(Basis::Bootstrap)
    }

    /// True if the pool has targets of a family, and no earlier use of any is known: its members, if it has any, are a guess.
    pub fn is_guess(&self, family: Family) -> bool {
        let has_targets = self.reasons.iter().any(|known| known.target.family() == family);
        has_targets && matches!(self.bases.get(&family), None | Some(Basis::Bootstrap))
    }

    /// True if a family is a guess, so that a first use of its addresses may come at any moment.
    pub fn is_provisional(&self) -> bool {
        Family::ALL.into_iter().any(|family| self.is_guess(family))
    }

    /// True if every target has a verdict, so that the answer is no guess. Verdicts of an earlier run count.
    pub fn has_verdicts(&self) -> bool {
        self.reasons.iter().all(|known| known.reason.has_verdict())
    }
}

/// One address of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node.
    pub node: NodeName,
    /// Its address.
    pub address: IpAddr,
    /// Its share of first places under [`Order::Weighted`], relative to the others. At least 1.
    pub weight: u16,
}

/// The order of the members in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Each response starts at a member that is drawn at random, and goes round.
    Rotated,
    /// Each response draws the order by weight.
    Weighted,
}

/// The basis on which the members of one family were chosen; a worse one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Basis {
    /// The usable ones among them are ready.
    Ready,
    /// None is ready; the usable ones among them are live.
    Live,
    /// None has been ready or live yet, so every node is answered.
    Bootstrap,
    /// None is ready or live by the verdict of the hosts, but a minority of the hosts can use these. An alarm.
    Minority,
    /// None is usable, and an operator forces these. An alarm.
    Forced,
    /// None is ready or live, so the last known good answer stands. An alarm.
    LastKnownGood,
}

impl Basis {
    /// Every basis.
    pub const ALL: [Self; 6] =
        [Self::Ready, Self::Live, Self::Bootstrap, Self::Minority, Self::Forced, Self::LastKnownGood];

    /// True if no answered target is usable, or too few hosts find one so.
    pub const fn is_alarm(self) -> bool {
        matches!(self, Self::Minority | Self::Forced | Self::LastKnownGood)
    }

    /// The basis as a JSON value and metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Live => "live",
            Self::Minority => "minority",
            Self::Forced => "forced",
            Self::LastKnownGood => "lastKnownGood",
            Self::Bootstrap => "bootstrap",
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::LastKnownGood => "last known good",
            other => other.as_str(),
        })
    }
}
