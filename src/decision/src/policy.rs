//! The operator's policy: pools, their nodes, and the rules to judge and answer with them.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::name::{NodeName, PoolName};
use crate::target::{Family, NodeKey, Target};

/// One name, its nodes, and the rules for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// The nodes behind it, in the operator's order. Never empty; no node and no address twice.
    pub nodes: Vec<Node>,
    /// The observations in a row that change a grade.
    pub thresholds: Thresholds,
    /// The timing of the probes.
    pub timing: ProbeTiming,
    /// The choice and order of the healthy addresses in an answer.
    pub steering: Steering,
    /// The bounds of the TTL.
    pub ttl: TtlRange,
    /// The TTL of negative answers in seconds. At least 1.
    pub negative_ttl: u32,
}

impl Pool {
    /// Every address of every node, in the operator's order.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.nodes.iter().flat_map(|node| self.targets_of(node))
    }

    /// Every address of a node of this pool.
    pub(crate) fn targets_of(&self, node: &Node) -> impl Iterator<Item = Target> {
        node.addresses.iter().map(|&address| Target { pool: self.name.clone(), node: node.name.clone(), address })
    }

    /// The key of a node of this pool.
    pub(crate) fn node_key(&self, node: &NodeName) -> NodeKey {
        NodeKey { pool: self.name.clone(), node: node.clone() }
    }

    /// True if it has addresses of both families.
    pub fn is_dual_stack(&self) -> bool {
        Family::ALL.into_iter().all(|family| self.nodes.iter().any(|node| node.has(family)))
    }
}

impl Node {
    /// True if it has an address of the family.
    pub fn has(&self, family: Family) -> bool {
        self.addresses.iter().any(|address| Family::of(*address) == family)
    }
}

/// One machine of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name, unique in the pool.
    pub name: NodeName,
    /// Its addresses, IPv4, IPv6 or both. Never empty.
    pub addresses: Vec<IpAddr>,
    /// The rank in [`Mode::Failover`]; the lowest is preferred.
    pub priority: u16,
    /// Its share of first places in [`Mode::Weighted`], relative to the others. At least 1.
    pub weight: u16,
}

/// The observations in a row that change a grade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Observations in a row to a better grade.
    pub rise: NonZeroU32,
    /// Observations in a row to a worse grade.
    pub fall: NonZeroU32,
}

/// The timing of the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeTiming {
    /// The time from one probe of a target to the next.
    pub interval: Duration,
    /// The same after a first failure.
    pub confirm_interval: Duration,
    /// The longest time from a node's silence to the last of the observations that prove it.
    pub detection: Duration,
}

/// The choice and order of the healthy addresses in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steering {
    /// The mode.
    pub mode: Mode,
    /// The most addresses of one family in one response. At least 1.
    pub max_answers: u16,
}

/// The mode of choice and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every healthy address, each response from a random one of them.
    All,
    /// Only the best priority that has a healthy address.
    Failover,
    /// Every healthy address, the order of each response drawn by weight.
    Weighted,
}

/// The bounds of the TTL in seconds; `min` is at least 1 and not above `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlRange {
    /// The floor, used while a change is under way.
    pub min: u32,
    /// The ceiling, used at rest.
    pub max: u32,
}
