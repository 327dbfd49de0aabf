//! The faults of a run, drawn from its seed.

use std::fmt;

use daymark_decision::OverrideKind;
use fastrand::Rng;

use crate::network::{AddressPath, Disturbance, NodePath, PeerPath};
use crate::setup::{FaultMix, Naming, Setup};

/// A fault, or its end. Hosts and nodes are numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node changes its state.
    Node { node: usize, state: NodeState },
    /// A node shuts down in an orderly way and then dies. It may start again.
    RestartNode { node: usize, shutdown_ms: u64, dead_ms: Option<u64> },
    /// A host loses its path to a node, or gets it back.
    NodePath { path: NodePath, is_cut: bool },
    /// A host loses its path to one address of a node, or gets it back.
    AddressPath { path: AddressPath, is_cut: bool },
    /// Messages from one host to another are lost, or arrive again.
    PeerPath { path: PeerPath, is_cut: bool },
    /// All paths between hosts lose, delay and duplicate messages.
    Disturb(Disturbance),
    /// A host is killed.
    Kill(usize),
    /// A host starts, or restarts. Without an offset, its clock stays as it is.
    Start { host: usize, state_file: StateFile, clock_offset_ms: Option<i64> },
    /// In this long, the memory of a host is set back to its present state, as when a virtual machine is reverted to a snapshot.
    /// Its clock goes on.
    SetBack { host: usize, millis: u64 },
    /// A host runs out of file descriptors, or has some again.
    ExhaustDescriptors { host: usize, is_exhausted: bool },
    /// Two operators drain two nodes at the same time, each on another host.
    DrainBoth(NodeOnHost, NodeOnHost),
    /// Operators send a command to some host every tenth of a second, for this long.
    CommandStorm { millis: u64 },
    /// The configuration loses this node, or gets it if it had lost it. Each host reloads at another time.
    Reload { node: usize },
    /// The configuration of a pool changes to the nodes that it had not.
    Replace { pool: usize },
    /// A host reloads with other names of the nodes.
    Rename { host: usize, naming: Naming },
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

/// The state file with which a host starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateFile {
    /// The file of its last run.
    Current,
    /// None.
    Lost,
    /// A copy from before.
    Old,
}

/// The state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeState {
    Ready,
    /// It answers, but is not ready.
    Live,
    /// It has begun to shut down, and its answers tell so.
    ShuttingDown,
    /// Its process has ended: it refuses connections.
    Dead,
    /// It is off, and nothing answers.
    Silent,
}

impl NodeState {
    pub fn is_dead(self) -> bool {
        matches!(self, Self::Dead | Self::Silent)
    }

    pub fn is_usable(self) -> bool {
        !self.is_dead()
    }

    /// A better state has a greater one.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::Ready => 2,
            Self::Live | Self::ShuttingDown => 1,
            Self::Dead | Self::Silent => 0,
        }
    }
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
    /// Draws a fault for a cluster of this shape.
    pub fn draw(rng: &mut Rng, setup: &Setup) -> Self {
        match setup.faults {
            FaultMix::All => Self::draw_any(rng, setup),
            FaultMix::Nodes if rng.u8(0..10) == 0 && !setup.has_aliases => Self::draw_command(rng, setup),
            FaultMix::Restarts if rng.u8(0..4) == 0 => Self::draw_start(rng, setup),
            FaultMix::Nodes | FaultMix::Restarts => Self::draw_of_nodes(rng, setup),
        }
    }

    fn draw_any(rng: &mut Rng, setup: &Setup) -> Self {
        let hosts = setup.hosts;
        let host = rng.usize(0..hosts);
        let nodes = setup.node_count();
        let node = rng.usize(0..nodes);
        match rng.u8(0..100) {
            0..45 => Self::draw_of_nodes(rng, setup),
            45..58 => {
                let path = PeerPath { from: host, to: another(host, hosts, rng) };
                Self::PeerPath { path, is_cut: rng.bool() }
            }
            58..66 => Self::Disturb(draw_disturbance(rng)),
            66..72 => Self::Kill(host),
            72..80 => Self::draw_start(rng, setup),
            80..82 => Self::SetBack { host, millis: rng.u64(500..30_000) },
            82..85 => Self::ExhaustDescriptors { host, is_exhausted: rng.bool() },
            85..87 => Self::Reload { node },
            87..89 => Self::Replace { pool: rng.usize(0..setup.pools) },
            _ if setup.has_aliases => Self::Rename { host, naming: Naming::draw(rng) },
            89..93 if nodes > 1 => {
                let other_host = another(host, hosts, rng);
                let other_node = another(node, nodes, rng);
                Self::DrainBoth(NodeOnHost { host, node }, NodeOnHost { host: other_host, node: other_node })
            }
            93..94 => Self::CommandStorm { millis: rng.u64(1_000..10_000) },
            _ => Self::draw_command(rng, setup),
        }
    }

    fn draw_of_nodes(rng: &mut Rng, setup: &Setup) -> Self {
        let host = rng.usize(0..setup.hosts);
        let node = rng.usize(0..setup.node_count());
        match rng.u8(0..10) {
            0..4 => Self::Node { node, state: draw_state(rng) },
            4..6 => Self::RestartNode {
                node,
                shutdown_ms: rng.u64(20..1_500),
                dead_ms: rng.bool().then(|| rng.u64(50..5_000)),
            },
            6..9 => Self::NodePath { path: NodePath { host, node }, is_cut: rng.bool() },
            _ => {
                let targets = setup.targets_of(node);
                let address = targets[rng.usize(0..targets.len())].address;
                Self::AddressPath { path: AddressPath { host, address }, is_cut: rng.bool() }
            }
        }
    }

    fn draw_start(rng: &mut Rng, setup: &Setup) -> Self {
        use StateFile::{Current, Lost, Old};
        Self::Start {
            host: rng.usize(0..setup.hosts),
            state_file: [Current, Current, Lost, Old][rng.usize(0..4)],
            clock_offset_ms: rng.bool().then(|| rng.i64(-300_000..300_000)),
        }
    }

    fn draw_command(rng: &mut Rng, setup: &Setup) -> Self {
        let at = NodeOnHost { host: rng.usize(0..setup.hosts), node: rng.usize(0..setup.node_count()) };
        Self::Command { at, command: OperatorCommand::draw(rng) }
    }

    /// True if the fault changes nothing but nodes and the paths to them.
    pub(crate) fn is_of_nodes(&self) -> bool {
        matches!(
            self,
            Self::Node { .. }
                | Self::RestartNode { .. }
                | Self::NodePath { .. }
                | Self::AddressPath { .. }
                | Self::Command { .. }
        )
    }
}

fn draw_state(rng: &mut Rng) -> NodeState {
    use NodeState::{Dead, Live, Ready, ShuttingDown, Silent};
    let states = [Ready, Ready, Live, ShuttingDown, Dead, Silent];
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
            Self::RestartNode { node, shutdown_ms, dead_ms } => {
                write!(f, "node {node}: shuts down, and dies {shutdown_ms} ms later")?;
                dead_ms.map_or(Ok(()), |dead_ms| write!(f, "; {dead_ms} ms after that it is ready"))
            }
            Self::AddressPath { path: AddressPath { host, address }, is_cut } => {
                write!(f, "path from host {host} to {address}: {}", path_state(is_cut))
            }
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
            Self::Start { host, state_file, clock_offset_ms } => {
                let state = match state_file {
                    StateFile::Current => "with its state file",
                    StateFile::Lost => "without a state file",
                    StateFile::Old => "with an old state file",
                };
                write!(f, "host {host}: starts {state}")?;
                clock_offset_ms.map_or(Ok(()), |offset| write!(f, ", clock offset {offset} ms"))
            }
            Self::SetBack { host, millis } => {
                write!(f, "host {host}: its memory will be set back to now in {millis} ms")
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
            Self::Replace { pool } => {
                write!(f, "the hosts reload one after the other: the nodes of pool {pool} are replaced")
            }
            Self::Rename { host, naming } => write!(f, "host {host}: reloads with {naming:?} names"),
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
            Self::Silent => "silent",
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
