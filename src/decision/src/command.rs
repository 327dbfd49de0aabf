//! The commands that an operator gives an engine.

use crate::name::{NodeName, PoolName};
use crate::operator_override::Override;

/// An operator's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sets the override of a node, in place of any it has.
    SetOverride {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
        /// The override to set.
        requested: Override,
        /// Drains the node even if no usable node is left.
        insist: bool,
    },
    /// Clears the override of a node.
    ClearOverride {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeName,
    },
}
