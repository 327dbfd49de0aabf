//! The faults of a run, drawn from its seed.

use std::fmt;

use daymark_decision::OverrideKind;
use fastrand::Rng;

use crate::network::{Disturbance, NodePath, PeerPath};

/// A fault, or its end. Hosts and nodes are numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node changes its state.
    Node { node: usize, state: NodeState },
    /// A host loses its path to a node, or gets it back.
    NodePath { path: NodePath, is_cut: bool },
    /// Messages from one host to another are lost, or arrive again.
    PeerPath { path: PeerPath, is_cut: bool },
    /// All paths between hosts lose, delay and duplicate messages.
    Disturb(Disturbance),
    /// A host is killed.
    Kill(usize),
    /// A host starts, or restarts.
    Start { host: usize, keeps_state: bool, clock_offset_ms: i64 },
    /// A host runs out of file descriptors, or has some again.
    ExhaustDescriptors { host: usize, is_exhausted: bool },
    /// Two operators drain two nodes at the same time, each on another host.
    DrainBoth(NodeOnHost, NodeOnHost),
    /// Operators send a command to some host every tenth of a second, for this long.
    CommandStorm { millis: u64 },
    /// The configuration loses this node, or gets it if it had lost it. Each host reloads at another time.
    Reload { node: usize },
    /// An operator sends a command to a host.
    Command { at: NodeOnHost, command: OperatorCommand },
}

/// A node, and the host on which an operator changes its override.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeOnHost {
    pub host: usize,
    pub node: usize,
}

/// A command for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorCommand {
    Set { kind: OverrideKind, duration_ms: Option<u64>, insist: bool },
    Clear,
}

/// The state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    Ready,
    /// It answers, but is not ready.
    Live,
    /// It has begun to shut down, and its answers tell so.
    ShuttingDown,
    Dead,
}

impl OperatorCommand {
    pub const DRAIN: Self = Self::Set { kind: OverrideKind::Drain, duration_ms: None, insist: false };

    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let kind = match rng.u8(0..10) {
            0..6 => OverrideKind::Drain,
            6..7 => OverrideKind::Force,
            _ => return Self::Clear,
        };
        Self::Set { kind, duration_ms: rng.bool().then(|| rng.u64(500..40_000)), insist: rng.u8(0..10) == 0 }
    }
}

impl Fault {
    /// Draws a fault for a cluster of this size.
    pub fn draw(rng: &mut Rng, hosts: usize, nodes: usize) -> Self {
        let host = rng.usize(0..hosts);
        let node = rng.usize(0..nodes);
        match rng.u8(0..100) {
            0..25 => Self::Node { node, state: draw_state(rng) },
            25..45 => Self::NodePath { path: NodePath { host, node }, is_cut: rng.bool() },
            45..60 => {
                let path = PeerPath { from: host, to: another(host, hosts, rng) };
                Self::PeerPath { path, is_cut: rng.bool() }
            }
            60..68 => Self::Disturb(draw_disturbance(rng)),
            68..74 => Self::Kill(host),
            74..84 => Self::Start { host, keeps_state: rng.u8(0..4) > 0, clock_offset_ms: rng.i64(-300_000..300_000) },
            84..88 => Self::ExhaustDescriptors { host, is_exhausted: rng.bool() },
            88..92 if nodes > 1 => {
                let other_host = another(host, hosts, rng);
                let other_node = another(node, nodes, rng);
                Self::DrainBoth(NodeOnHost { host, node }, NodeOnHost { host: other_host, node: other_node })
            }
            92..94 => Self::Reload { node },
            94..95 => Self::CommandStorm { millis: rng.u64(1_000..10_000) },
            _ => Self::Command { at: NodeOnHost { host, node }, command: OperatorCommand::draw(rng) },
        }
    }
}

fn draw_state(rng: &mut Rng) -> NodeState {
    use NodeState::{Dead, Live, Ready, ShuttingDown};
    let states = [Ready, Ready, Live, ShuttingDown, Dead, Dead];
    states[rng.usize(0..states.len())]
}

fn draw_disturbance(rng: &mut Rng) -> Disturbance {
    let max_delay_ms = [1, 50, 400, 2_000][rng.usize(0..4)];
    let loss_percent = [0, 0, 10, 30][rng.usize(0..4)];
    Disturbance { loss_percent, duplicate_percent: rng.u8(0..20), min_delay_ms: 1, max_delay_ms }
}

fn another(than: usize, count: usize, rng: &mut Rng) -> usize {
    (than + rng.usize(1..count)) % count
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path_state = |is_cut: &bool| if *is_cut { "cut" } else { "restored" };
        match self {
            Self::Node { node, state } => write!(f, "node {node}: {state}"),
            Self::NodePath { path: NodePath { host, node }, is_cut } => {
                write!(f, "path from host {host} to node {node}: {}", path_state(is_cut))
            }
            Self::PeerPath { path: PeerPath { from, to }, is_cut } => {
                write!(f, "path from host {from} to host {to}: {}", path_state(is_cut))
            }
            Self::Disturb(Disturbance { loss_percent, duplicate_percent, min_delay_ms, max_delay_ms }) => write!(
                f,
                "paths between hosts: {loss_percent} % loss, {duplicate_percent} % duplicates, {min_delay_ms} to {max_delay_ms} ms \
                 delay"
            ),
            Self::Kill(host) => write!(f, "host {host}: killed"),
            Self::Start { host, keeps_state, clock_offset_ms } => {
                let state = if *keeps_state { "with its state file" } else { "without a state file" };
                write!(f, "host {host}: starts {state}, clock offset {clock_offset_ms} ms")
            }
            Self::ExhaustDescriptors { host, is_exhausted: true } => write!(f, "host {host}: out of file descriptors"),
            Self::ExhaustDescriptors { host, is_exhausted: false } => {
                write!(f, "host {host}: has file descriptors again")
            }
            Self::DrainBoth(one, other) => write!(
                f,
                "host {}: an operator drains node {}; host {}, at the same time: an operator drains node {}",
                one.host, one.node, other.host, other.node
            ),
            Self::CommandStorm { millis } => {
                write!(f, "operators send a command every tenth of a second for {millis} ms")
            }
            Self::Reload { node } => {
                write!(f, "the hosts reload one after the other: node {node} is removed, or added if it was removed")
            }
            Self::Command { at: NodeOnHost { host, node }, command } => {
                write!(f, "host {host}: an operator {command} node {node}")
            }
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Live => "live",
            Self::ShuttingDown => "shutting down",
            Self::Dead => "dead",
        })
    }
}

impl fmt::Display for OperatorCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Set { kind, duration_ms, insist } = self else { return f.write_str("clears the override of") };
        if *insist {
            f.write_str("insists and ")?;
        }
        f.write_str(match kind {
            OverrideKind::Drain => "drains",
            OverrideKind::Force => "forces",
        })?;
        match duration_ms {
            Some(millis) => write!(f, " for {millis} ms"),
            None => Ok(()),
        }
    }
}
