//! Why an operator's word is not carried out.

use std::fmt;

use crate::moment::Moment;
use crate::target::{NodeName, PoolName};

/// Why an operator's word was not carried out. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The host began a moment ago and has not heard the others: it does not know the newest words yet.
    Listening {
        /// Until when it waits for them at the longest.
        until: Moment,
    },
    /// There is no such pool.
    UnknownPool {
        /// The pool that was named.
        pool: PoolName,
        /// The pools there are.
        known: Vec<PoolName>,
    },
    /// There is no such node in the pool.
    UnknownNode {
        /// The pool.
        pool: PoolName,
        /// The node that was named.
        node: NodeName,
        /// The nodes of the pool.
        known: Vec<NodeName>,
    },
    /// The node has no override to lift.
    NoOverride {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
    },
    /// The override would end before it begins.
    Ended {
        /// Its end.
        until: Moment,
    },
    /// Every node of the pool would be drained.
    LastUndrained {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
    },
    /// The node can be used, and no other undrained node of the pool can.
    LastUsable {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
    },
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening { until } => {
                write!(
                    f,
                    "this host began a moment ago and waits until {until} to hear what was said on the others; say it again then"
                )
            }
            Self::UnknownPool { pool, known } => write!(f, "there is no pool {pool}; there are {}", list(known)),
            Self::UnknownNode { pool, node, known } => {
                write!(f, "pool {pool} has no node {node}; it has {}", list(known))
            }
            Self::NoOverride { pool, node } => write!(f, "node {node} of pool {pool} is neither drained nor forced"),
            Self::Ended { until } => write!(f, "{until} is past; an override must end later than now"),
            Self::LastUndrained { pool, node } => {
                write!(f, "{node} is the last node of pool {pool} that is not drained, and stays unless you insist")
            }
            Self::LastUsable { pool, node } => {
                write!(
                    f,
                    "no other undrained node of pool {pool} is ready or live, so {node} must stay unless you insist"
                )
            }
        }
    }
}

fn list(names: &[impl fmt::Display]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
