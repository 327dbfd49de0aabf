//! What the operator asked for: pools, their nodes, and how to judge and answer with them.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::target::{NodeName, PoolName, Target};

/// One name, its nodes, and the rules for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The name that is answered.
    pub name: PoolName,
    /// The nodes behind it, in the operator's order. Never empty; no node and no address twice.
    pub nodes: Vec<Node>,
    /// How many observations in a row turn a grade.
    pub thresholds: Thresholds,
    /// How quickly observations follow each other.
    pub pace: Pace,
    /// Which healthy addresses an answer holds, and in which order.
    pub steering: Steering,
    /// The bounds of the TTL.
    pub ttl: TtlRange,
}

impl Pool {
    /// Every address of every node, in the operator's order, with its node.
    pub fn targets(&self) -> impl Iterator<Item = (Target, &Node)> {
        self.nodes.iter().flat_map(move |node| {
            node.addresses
                .iter()
                .map(move |&address| (Target { pool: self.name.clone(), node: node.name.clone(), address }, node))
        })
    }
}

/// One machine of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name, unique in the pool.
    pub name: NodeName,
    /// Its addresses, IPv4, IPv6 or both. Never empty.
    pub addresses: Vec<IpAddr>,
    /// For [`Mode::Failover`]: lower is preferred.
    pub priority: u16,
    /// For [`Mode::Weighted`]: how often it comes first, relative to the others. At least 1.
    pub weight: u16,
}

/// How many observations in a row turn a grade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Observations in a row to a better grade.
    pub rise: NonZeroU32,
    /// Observations in a row to a worse grade.
    pub fall: NonZeroU32,
}

/// How quickly observations follow each other, and how long a failure takes to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one observation of a target to the next.
    pub interval: Duration,
    /// The same after a first failure.
    pub confirm_interval: Duration,
    /// From a node's silence to the last of the observations that prove it, at the longest.
    pub detection: Duration,
}

/// Which healthy addresses an answer holds, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steering {
    /// How the order and the cut are made.
    pub mode: Mode,
    /// How many addresses of one family one response holds at the most. At least 1.
    pub max_answers: u16,
}

/// How the addresses of an answer are ordered and cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every healthy address, rotated from response to response.
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
