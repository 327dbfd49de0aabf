//! The refusal of an operator's command.

use std::fmt;

use crate::moment::Moment;
use crate::name::{NodeName, PoolName};
use crate::target::Family;

/// The reason for which a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The host has just started and does not know the newest overrides of the other hosts yet.
    Starting {
        /// The latest end of the wait for them.
        until: Moment,
    },
    /// The answers have changed so often that their generation has outrun the clock.
    TooManyChanges,
    /// The configuration has no such pool.
    UnknownPool {
        /// The pool in the command, which may have a name that no pool can have.
        pool: String,
        /// The configured pools.
        known: Vec<PoolName>,
    },
    /// The pool has no such node.
    UnknownNode {
        /// The pool.
        pool: PoolName,
        /// The node in the command.
        node: String,
        /// The nodes of the pool.
        known: Vec<NodeName>,
    },
    /// The node has no override to clear.
    NoOverride {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
    },
    /// The override would expire before it begins.
    Expired {
        /// Its end.
        until: Moment,
    },
    /// The drain would leave no undrained node in the pool.
    LastUndrained {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
    },
    /// The drain would leave no undrained node that is as usable as this one.
    LastUsable {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
        /// The address family that would have none, if the pool has both.
        family: Option<Family>,
    },
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting { until } => write!(
                f,
                "this host has just started and waits until {until} for the overrides of the other hosts; try again then"
            ),
            Self::TooManyChanges => {
                f.write_str("the answers have changed more than 64 times a second; try again in a second")
            }
            Self::UnknownPool { pool, known } => write!(f, "there is no pool {pool}; the pools are {}", list(known)),
            Self::UnknownNode { pool, node, known } => {
                write!(f, "pool {pool} has no node {node}; its nodes are {}", list(known))
            }
            Self::NoOverride { pool, node } => write!(f, "node {node} of pool {pool} is neither drained nor forced"),
            Self::Expired { until } => write!(f, "{until} is in the past; an override must end later than now"),
            Self::LastUndrained { pool, node } => {
                write!(f, "{node} is the last undrained node of pool {pool}; drain it with --insist if you must")
            }
            Self::LastUsable { pool, node, family } => {
                let over = family.map(|family| format!(" over {family}")).unwrap_or_default();
                write!(
                    f,
                    "no other undrained node of pool {pool} is ready or live{over}; drain {node} with --insist if you must"
                )
            }
        }
    }
}

fn list(names: &[impl fmt::Display]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
