//! An operator's word on a node.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::target::{NodeName, PoolName};

/// What an operator wants of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverrideKind {
    /// In no answer while another node of the pool is not drained.
    Drain,
    /// As good as ready, whatever the probes find.
    Force,
}

/// An operator's word on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// What is wanted.
    pub kind: OverrideKind,
    /// Why, in the operator's words; may be empty.
    pub reason: String,
    /// Who said it; may be empty.
    pub author: String,
    /// When it was said.
    pub since: Moment,
    /// When it ends by itself; `None` for when it is lifted.
    pub until: Option<Moment>,
}

impl fmt::Display for Override {
    /// The end of a sentence that begins with what was done: `by ada since …: disk change`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.author.is_empty() {
            write!(f, "by {} ", self.author)?;
        }
        write!(f, "since {}", self.since)?;
        if let Some(until) = self.until {
            write!(f, " until {until}")?;
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}

/// The overrides in force, at most one a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overrides(BTreeMap<(PoolName, NodeName), Override>);

impl Overrides {
    pub(crate) fn get(&self, pool: &PoolName, node: &NodeName) -> Option<&Override> {
        self.0.get(&(pool.clone(), node.clone()))
    }

    pub(crate) fn set(&mut self, pool: PoolName, node: NodeName, order: Override) {
        self.0.insert((pool, node), order);
    }

    /// Lifts the override of a node; tells whether there was one.
    pub(crate) fn lift(&mut self, pool: &PoolName, node: &NodeName) -> bool {
        self.0.remove(&(pool.clone(), node.clone())).is_some()
    }

    /// Forgets what has ended; tells whether anything had.
    pub(crate) fn expire(&mut self, now: Moment) -> bool {
        let before = self.0.len();
        self.0.retain(|_, order| order.until.is_none_or(|until| until > now));
        self.0.len() != before
    }

    /// Forgets the overrides of nodes that are not configured any more.
    pub(crate) fn keep(&mut self, known: impl Fn(&PoolName, &NodeName) -> bool) {
        self.0.retain(|(pool, node), _| known(pool, node));
    }

    /// When the first of a pool's overrides ends by itself.
    pub(crate) fn next_expiry(&self, pool: &PoolName) -> Option<Moment> {
        self.0.iter().filter(|((of, _), _)| of == pool).filter_map(|(_, order)| order.until).min()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PoolName, &NodeName, &Override)> {
        self.0.iter().map(|((pool, node), order)| (pool, node, order))
    }
}
