//! What an operator has an engine do.

use crate::overrides::Override;
use crate::target::{NodeName, PoolName};

/// An operator's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sets the override of a node, in the place of any it has.
    Set {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
        /// The override.
        order: Override,
        /// Whether to drain even where no usable node is left.
        insist: bool,
    },
    /// Lifts the override of a node.
    Lift {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
    },
}
