//! What is to be published.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::reason::Reason;
use crate::target::{NodeName, PoolName, Target};

/// Everything that is to be published, as whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// One answer a pool, by name.
    pub answers: Vec<Answer>,
    /// The generation of the newest answer. It rises with every change and never goes back, also over restarts.
    pub generation: u64,
}

impl Decision {
    /// The answer of one pool.
    pub fn answer(&self, pool: &PoolName) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.pool == *pool)
    }
}

/// The addresses of one pool, and why these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The name that is answered.
    pub pool: PoolName,
    /// What the name resolves to, in the operator's order. Never empty.
    pub members: Vec<Member>,
    /// How each response orders the members.
    pub order: Order,
    /// How many addresses of one family one response holds at the most.
    pub max_answers: u16,
    /// Seconds for which a resolver may keep the answer.
    pub ttl: u32,
    /// Seconds for which a resolver may keep the absence of a record: the floor of the TTL.
    pub negative_ttl: u32,
    /// Rises with every change of the fields above.
    pub generation: u64,
    /// On what ground the members were chosen.
    pub basis: Basis,
    /// Why each target of the pool is in or out, in the operator's order.
    pub reasons: Vec<(Target, Reason)>,
}

impl Answer {
    /// Whether every target has its verdict, so that the answer is no guess for want of time. Verdicts of an earlier run
    /// count.
    pub fn is_judged(&self) -> bool {
        self.reasons.iter().all(|(_, reason)| reason.is_judged())
    }
}

/// One address of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node.
    pub node: NodeName,
    /// Its address.
    pub address: IpAddr,
    /// How often it comes first under [`Order::Weighted`], relative to the others. At least 1.
    pub weight: u16,
}

/// How each response orders the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Each response begins one member later than the one before.
    Rotated,
    /// Each response draws the order, by weight.
    Weighted,
}

/// On what ground the members of an answer were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// They are ready, or forced.
    Ready,
    /// None is ready; they are live.
    Live,
    /// None is ready or live as most hosts find, but at least one finds these so; and this is an alarm.
    Found,
    /// None is ready or live; the last good answer stands, and this is an alarm.
    Held,
    /// None was ever ready or live; every node is answered until one is.
    Bootstrap,
}

impl Basis {
    /// The word for the basis, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Live => "live",
            Self::Found => "found",
            Self::Held => "held",
            Self::Bootstrap => "bootstrap",
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
