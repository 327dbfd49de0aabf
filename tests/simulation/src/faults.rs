//! The faults that happen during a simulation, drawn from the seed.

use std::fmt;

use daymark_decision::OverrideKind;
use fastrand::Rng;

/// A fault, or the end of one. Hosts and nodes are numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node dies, returns, or shuts down cleanly.
    Node(usize, NodeState),
    /// The path from a host to a node is cut or restored.
    HostToNode { host: usize, node: usize, is_cut: bool },
    /// The path from one host to another is cut or restored, in this direction.
    HostToHost { from: usize, to: usize, is_cut: bool },
    /// All paths between hosts: the percentages of lost and of duplicate messages, and the least and the most delay.
    Network { loss: u8, duplicates: u8, delay: (u64, u64) },
    /// A host is killed.
    Kill(usize),
    /// A host starts or restarts, with its state file or without. Its clock is `ahead` by some milliseconds.
    Start { host: usize, has_memory: bool, ahead: i64 },
    /// A host runs out of file descriptors, or has some again.
    Exhaust { host: usize, is_exhausted: bool },
    /// Two operators drain two nodes at the same time, on two hosts.
    DrainBoth { hosts: (usize, usize), nodes: (usize, usize) },
    /// For some milliseconds, an operator acts on some host every tenth of a second.
    Operators { millis: u64 },
    /// The hosts reload at different times, with one node more or less.
    Reload { node: usize },
    /// An operator acts on a host.
    Operator { host: usize, node: usize, action: OperatorAction },
}

/// An action of an operator on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorAction {
    /// Drains or forces the node, for a number of milliseconds or without an end.
    Set { kind: OverrideKind, length: Option<u64>, insist: bool },
    /// Clears the override.
    Clear,
}

/// The state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    Ready,
    /// The node answers, but is not ready.
    Live,
    /// The node shuts down, and says so.
    Stopping,
    Dead,
}

impl Fault {
    /// Draws a fault for a number of hosts and nodes.
    pub fn draw(rng: &mut Rng, hosts: usize, nodes: usize) -> Self {
        let (host, node) = (rng.usize(0..hosts), rng.usize(0..nodes));
        match rng.u8(0..100) {
            0..25 => {
                let state = [
                    NodeState::Ready,
                    NodeState::Ready,
                    NodeState::Live,
                    NodeState::Stopping,
                    NodeState::Dead,
                    NodeState::Dead,
                ];
                Self::Node(node, state[rng.usize(0..state.len())])
            }
            25..45 => Self::HostToNode { host, node, is_cut: rng.bool() },
            45..60 => Self::HostToHost { from: host, to: (host + rng.usize(1..hosts)) % hosts, is_cut: rng.bool() },
            60..68 => {
                let slowest = [1, 50, 400, 2_000][rng.usize(0..4)];
                Self::Network { loss: [0, 0, 10, 30][rng.usize(0..4)], duplicates: rng.u8(0..20), delay: (1, slowest) }
            }
            68..74 => Self::Kill(host),
            74..84 => Self::Start { host, has_memory: rng.u8(0..4) > 0, ahead: rng.i64(-300_000..300_000) },
            84..88 => Self::Exhaust { host, is_exhausted: rng.bool() },
            88..92 if nodes > 1 => {
                let other = |of: usize, rng: &mut Rng, all: usize| (of + rng.usize(1..all)) % all;
                Self::DrainBoth { hosts: (host, other(host, rng, hosts)), nodes: (node, other(node, rng, nodes)) }
            }
            92..94 => Self::Reload { node },
            94..95 => Self::Operators { millis: rng.u64(1_000..10_000) },
            _ => Self::Operator { host, node, action: OperatorAction::draw(rng) },
        }
    }
}

impl OperatorAction {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let kind = match rng.u8(0..10) {
            0..6 => OverrideKind::Drain,
            6..7 => OverrideKind::Force,
            _ => return Self::Clear,
        };
        Self::Set { kind, length: rng.bool().then(|| rng.u64(500..40_000)), insist: rng.u8(0..10) == 0 }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = |is_cut: &bool| if *is_cut { "is cut" } else { "is restored" };
        match self {
            Self::Node(node, state) => write!(f, "node {node} is {state:?}"),
            Self::HostToNode { host, node, is_cut } => {
                write!(f, "the path from host {host} to node {node} {}", change(is_cut))
            }
            Self::HostToHost { from, to, is_cut } => {
                write!(f, "the path from host {from} to host {to} {}", change(is_cut))
            }
            Self::Network { loss, duplicates, delay: (min, max) } => {
                write!(
                    f,
                    "{loss} % of the messages are lost, {duplicates} % come twice, and they take {min} to {max} ms"
                )
            }
            Self::Kill(host) => write!(f, "host {host} is killed"),
            Self::Start { host, has_memory, ahead } => {
                let memory = if *has_memory { "its state" } else { "no state" };
                write!(f, "host {host} starts with {memory} and a clock that is {ahead} ms ahead")
            }
            Self::Exhaust { host, is_exhausted: true } => write!(f, "host {host} has no descriptors left"),
            Self::Exhaust { host, is_exhausted: false } => write!(f, "host {host} has descriptors again"),
            Self::DrainBoth { hosts: (one, other), nodes: (first, second) } => {
                write!(f, "node {first} is drained on host {one}, and node {second} at the same time on host {other}")
            }
            Self::Operators { millis } => write!(f, "an operator acts every tenth of a second for {millis} ms"),
            Self::Reload { node } => {
                write!(f, "the hosts reload one by one, with node {node} if it was absent, without it if it was there")
            }
            Self::Operator { host, node, action } => {
                write!(f, "an operator acts on host {host} on node {node}: {action:?}")
            }
        }
    }
}
