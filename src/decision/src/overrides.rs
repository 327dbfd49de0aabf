//! An operator's word on a node.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::policy::Pool;
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

impl Override {
    /// The override as a run takes it over that begins now. Where it was set by a clock ahead, it lasts as long as it was
    /// meant to, from now on.
    pub(crate) fn as_of(&self, now: Moment) -> Self {
        let since = self.since.min(now);
        let until = self.until.map(|until| if self.since > now { now.after(until.since(self.since)) } else { until });
        Self { since, until, ..self.clone() }
    }
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

/// Why an operator's word was not carried out. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
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
            Self::UnknownPool { pool, known } => write!(f, "there is no pool {pool}; there are {}", list(known)),
            Self::UnknownNode { pool, node, known } => {
                write!(f, "pool {pool} has no node {node}; it has {}", list(known))
            }
            Self::NoOverride { pool, node } => write!(f, "node {node} of pool {pool} is neither drained nor forced"),
            Self::Ended { until } => write!(f, "{until} is past; an override must end later than now"),
            Self::LastUndrained { pool, node } => {
                write!(f, "{node} is the last node of pool {pool} that is not drained")
            }
            Self::LastUsable { pool, node } => {
                write!(f, "no other undrained node of pool {pool} is ready or live, so {node} must stay")
            }
        }
    }
}

fn list(names: &[impl fmt::Display]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The overrides in force, at most one a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overrides(BTreeMap<(PoolName, NodeName), Override>);

impl Overrides {
    pub(crate) fn get(&self, pool: &PoolName, node: &NodeName) -> Option<&Override> {
        self.0.get(&(pool.clone(), node.clone()))
    }

    /// Refuses an override that makes no sense, and a drain that leaves no node to be used, unless the operator insists.
    ///
    /// `usable` tells whether a node has a target that clients can use. Where none has, a drain cannot make it worse.
    pub(crate) fn admit(
        &self,
        pool: &Pool,
        node: &NodeName,
        order: &Override,
        insist: bool,
        usable: impl Fn(&NodeName) -> bool,
        now: Moment,
    ) -> Result<(), Refusal> {
        if let Some(until) = order.until.filter(|until| *until <= now) {
            return Err(Refusal::Ended { until });
        }
        if insist || order.kind == OverrideKind::Force {
            return Ok(());
        }
        let is_drained = |of: &NodeName| self.get(&pool.name, of).is_some_and(|it| it.kind == OverrideKind::Drain);
        let is_forced = |of: &NodeName| self.get(&pool.name, of).is_some_and(|it| it.kind == OverrideKind::Force);
        let others = pool.nodes.iter().map(|other| &other.name).filter(|&other| other != node && !is_drained(other));
        let (pool, node) = (pool.name.clone(), node.clone());
        let mut others = others.peekable();
        if others.peek().is_none() {
            return Err(Refusal::LastUndrained { pool, node });
        }
        if usable(&node) && !others.any(|other| usable(other) || is_forced(other)) {
            return Err(Refusal::LastUsable { pool, node });
        }
        Ok(())
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
