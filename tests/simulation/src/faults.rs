//! What happens to the world, drawn from the seed.

use std::fmt;

use daymark_decision::OverrideKind;
use fastrand::Rng;

/// One thing that happens. Hosts and nodes are numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node dies, or comes back, or shuts down in order.
    Node(usize, State),
    /// A host loses its way to a node, or finds it again.
    Way { host: usize, node: usize, is_cut: bool },
    /// Messages from one host to another are lost, or are not any more.
    Line { from: usize, to: usize, is_cut: bool },
    /// The whole network of the hosts: how many of a hundred messages are lost and come twice, and how long they take.
    Weather { loss: u8, twice: u8, delay: (u64, u64) },
    /// A host is killed.
    Kill(usize),
    /// A host starts, or starts anew where it runs, with its state file or without, and with a clock that is so many milliseconds ahead.
    Start { host: usize, has_memory: bool, ahead: i64 },
    /// A host runs out of descriptors, or has some again.
    Exhaust { host: usize, is_exhausted: bool },
    /// Two operators drain two nodes at the same time, each on a host of its own.
    DrainBoth { hosts: (usize, usize), nodes: (usize, usize) },
    /// Operators say something on some host every tenth of a second, for so many milliseconds.
    Storm { millis: u64 },
    /// The hosts get another configuration and reload, each in its own time: with a node more, or with one less.
    Reload { node: usize },
    /// An operator's word on a host.
    Say { host: usize, node: usize, word: OverrideEntry },
}

/// What an operator says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideEntry {
    /// Drain or force, for so many milliseconds.
    Set { kind: OverrideKind, length: Option<u64>, insist: bool },
    /// Neither.
    Lift,
}

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ready,
    /// It answers, but is not ready.
    Live,
    /// It has begun to stop, and says so.
    Stopping,
    Dead,
}

impl Fault {
    /// Something that may happen to so many hosts and nodes.
    pub fn draw(rng: &mut Rng, hosts: usize, nodes: usize) -> Self {
        let (host, node) = (rng.usize(0..hosts), rng.usize(0..nodes));
        match rng.u8(0..100) {
            0..25 => {
                let state = [State::Ready, State::Ready, State::Live, State::Stopping, State::Dead, State::Dead];
                Self::Node(node, state[rng.usize(0..state.len())])
            }
            25..45 => Self::Way { host, node, is_cut: rng.bool() },
            45..60 => Self::Line { from: host, to: (host + rng.usize(1..hosts)) % hosts, is_cut: rng.bool() },
            60..68 => {
                let slowest = [1, 50, 400, 2_000][rng.usize(0..4)];
                Self::Weather { loss: [0, 0, 10, 30][rng.usize(0..4)], twice: rng.u8(0..20), delay: (1, slowest) }
            }
            68..74 => Self::Kill(host),
            74..84 => Self::Start { host, has_memory: rng.u8(0..4) > 0, ahead: rng.i64(-300_000..300_000) },
            84..88 => Self::Exhaust { host, is_exhausted: rng.bool() },
            88..92 if nodes > 1 => {
                let other = |of: usize, rng: &mut Rng, all: usize| (of + rng.usize(1..all)) % all;
                Self::DrainBoth { hosts: (host, other(host, rng, hosts)), nodes: (node, other(node, rng, nodes)) }
            }
            92..94 => Self::Reload { node },
            94..95 => Self::Storm { millis: rng.u64(1_000..10_000) },
            _ => Self::Say { host, node, word: OverrideEntry::draw(rng) },
        }
    }
}

impl OverrideEntry {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let kind = match rng.u8(0..10) {
            0..6 => OverrideKind::Drain,
            6..7 => OverrideKind::Force,
            _ => return Self::Lift,
        };
        Self::Set { kind, length: rng.bool().then(|| rng.u64(500..40_000)), insist: rng.u8(0..10) == 0 }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = |is_cut: &bool| if *is_cut { "is cut" } else { "is whole again" };
        match self {
            Self::Node(node, state) => write!(f, "node {node} is {state:?}"),
            Self::Way { host, node, is_cut } => write!(f, "the way from host {host} to node {node} {}", is(is_cut)),
            Self::Line { from, to, is_cut } => write!(f, "the way from host {from} to host {to} {}", is(is_cut)),
            Self::Weather { loss, twice, delay: (least, most) } => {
                write!(f, "{loss} % of the messages are lost, {twice} % come twice, and they take {least} to {most} ms")
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
            Self::Storm { millis } => write!(f, "operators say something every tenth of a second for {millis} ms"),
            Self::Reload { node } => {
                write!(f, "the hosts reload one by one, with node {node} where it was not there, and else without it")
            }
            Self::Say { host, node, word } => write!(f, "on host {host} an operator says of node {node}: {word:?}"),
        }
    }
}
