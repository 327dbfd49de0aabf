//! The paths between hosts and from hosts to nodes. It does not know what travels on them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use fastrand::Rng;

/// A path from one host to another. The path back is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerPath {
    pub from: usize,
    pub to: usize,
}

/// A path from a host to a node and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodePath {
    pub host: usize,
    pub node: usize,
}

/// A path from a host to one address and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressPath {
    pub host: usize,
    pub address: IpAddr,
}

/// The disturbance of all paths between hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disturbance {
    /// The percentage of messages that are lost.
    pub loss_percent: u8,
    /// The percentage of messages that arrive twice.
    pub duplicate_percent: u8,
    pub min_delay_ms: u64,
    pub max_delay_ms: u64,
}

/// All paths, and the faults on them.
#[derive(Clone, Debug)]
pub struct Network {
    pub cut_peer_paths: BTreeSet<PeerPath>,
    pub cut_node_paths: BTreeSet<NodePath>,
    pub cut_address_paths: BTreeSet<AddressPath>,
    pub disturbance: Disturbance,
}

impl Network {
    /// A network on which everything arrives after a millisecond.
    pub fn healthy() -> Self {
        Self {
            cut_peer_paths: BTreeSet::new(),
            cut_node_paths: BTreeSet::new(),
            cut_address_paths: BTreeSet::new(),
            disturbance: Disturbance { loss_percent: 0, duplicate_percent: 0, min_delay_ms: 1, max_delay_ms: 1 },
        }
    }

    /// Cuts two hosts off from each other.
    pub fn cut_between(&mut self, one: usize, other: usize) {
        self.cut_peer_paths.insert(PeerPath { from: one, to: other });
        self.cut_peer_paths.insert(PeerPath { from: other, to: one });
    }

    /// True if every message between hosts arrives soon.
    pub fn has_healthy_peer_paths(&self) -> bool {
        self.cut_peer_paths.is_empty() && self.disturbance.loss_percent == 0 && self.disturbance.max_delay_ms <= 50
    }

    /// Draws the delay in milliseconds of each copy of a message. There is none if the message is lost.
    pub fn draw_delays(&self, path: PeerPath, rng: &mut Rng) -> Vec<u64> {
        let Disturbance { loss_percent, duplicate_percent, min_delay_ms, max_delay_ms } = self.disturbance;
        if self.cut_peer_paths.contains(&path) || rng.u8(0..100) < loss_percent {
            return Vec::new();
        }
        let copies = 1 + usize::from(rng.u8(0..100) < duplicate_percent);
        (0..copies).map(|_| rng.u64(min_delay_ms..=max_delay_ms)).collect()
    }
}
