//! The shape of a simulated cluster: its hosts, pools, nodes, addresses and names, and the kind of faults that it meets.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::{Family, Mode, Node, Pool, ProbeTiming, Steering, Target, fixtures};
use fastrand::Rng;

use crate::cluster::{ClusterSize, SimulatedTarget};
use crate::probing::{CONFIRM_INTERVAL, DETECTION, PROBE_INTERVAL};

/// The shape of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    pub hosts: usize,
    pub pools: usize,
    /// The configured nodes of each pool. Each pool has one more that can be added.
    pub nodes: usize,
    pub addresses: Addresses,
    pub mode: Mode,
    /// The hosts have different names for the nodes, and change them. Overrides go by names, so there are none then.
    pub has_aliases: bool,
    /// Some nodes have never run.
    pub has_unborn: bool,
    pub faults: FaultMix,
}

/// The addresses of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    Ipv4,
    Ipv6,
    Both,
    /// Both, but nothing listens on the IPv6 ones.
    DeafIpv6,
    /// One node after the other has IPv4, IPv6 and both.
    Mixed,
}

/// The faults that a run draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultMix {
    /// All of them.
    All,
    /// Those of the nodes and of the paths to them, and overrides.
    Nodes,
    /// Those of the nodes, and restarts of the hosts.
    Restarts,
}

/// The names that a host has for the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// `cp-0` and so on.
    #[default]
    Plain,
    /// Other names.
    Other,
    /// The same names, each for the node after it.
    Shifted,
}

impl Naming {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        [Self::Plain, Self::Other, Self::Shifted][rng.usize(0..3)]
    }

    fn name(self, node: usize) -> String {
        match self {
            Self::Plain => format!("cp-{node}"),
            Self::Other => format!("kube-{node}"),
            Self::Shifted => format!("cp-{}", node + 1),
        }
    }
}

impl Setup {
    /// One pool of nodes with an IPv4 address each.
    pub fn plain(size: ClusterSize) -> Self {
        Self {
            hosts: size.hosts,
            pools: 1,
            nodes: size.nodes,
            addresses: Addresses::Ipv4,
            mode: Mode::All,
            has_aliases: false,
            has_unborn: false,
            faults: FaultMix::All,
        }
    }

    /// The setup of a seed: mostly three hosts, sometimes two or five, and one to three pools.
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5e7);
        let pools = [1, 1, 1, 1, 2, 2, 2, 3][rng.usize(0..8)];
        let addresses = [Addresses::Ipv4, Addresses::Ipv4, Addresses::Ipv6, Addresses::Both, Addresses::DeafIpv6];
        Self {
            hosts: [3, 3, 3, 2, 5][rng.usize(0..5)],
            pools,
            nodes: if pools == 1 { rng.usize(1..=4) } else { rng.usize(1..=3) },
            addresses: addresses.get(rng.usize(0..6)).copied().unwrap_or(Addresses::Mixed),
            mode: [Mode::All, Mode::All, Mode::Failover, Mode::Weighted][rng.usize(0..4)],
            has_aliases: rng.u8(0..4) == 0,
            has_unborn: rng.u8(0..4) == 0,
            faults: [FaultMix::All, FaultMix::All, FaultMix::Nodes, FaultMix::Restarts][rng.usize(0..4)],
        }
    }

    /// The number of all nodes, configured or not.
    pub(crate) fn node_count(&self) -> usize {
        self.pools * (self.nodes + 1)
    }

    pub(crate) fn pool_of(&self, node: usize) -> usize {
        node / (self.nodes + 1)
    }

    /// True if the node is the one of its pool that is not configured at first.
    pub(crate) fn is_spare(&self, node: usize) -> bool {
        node % (self.nodes + 1) == self.nodes
    }

    pub(crate) fn targets_of(&self, node: usize) -> Vec<SimulatedTarget> {
        let of_family = |family| SimulatedTarget {
            node,
            address: address(node, family),
            is_deaf: family == Family::Ipv6 && self.addresses == Addresses::DeafIpv6,
            path_changed_at: 0,
        };
        let families: &[Family] = match self.addresses {
            Addresses::Ipv4 => &[Family::Ipv4],
            Addresses::Ipv6 => &[Family::Ipv6],
            Addresses::Both | Addresses::DeafIpv6 => &Family::ALL,
            Addresses::Mixed => [&[Family::Ipv4] as &[_], &[Family::Ipv6], &Family::ALL][node % 3],
        };
        families.iter().copied().map(of_family).collect()
    }

    /// The pools of a configuration, with these names of the nodes.
    pub(crate) fn configuration(&self, nodes: &BTreeSet<usize>, naming: Naming) -> Vec<Pool> {
        let of_pool = |pool| nodes.iter().copied().filter(|node| self.pool_of(*node) == pool).collect::<Vec<_>>();
        (0..self.pools).map(|pool| self.pool(pool, &of_pool(pool), naming)).collect()
    }

    pub(crate) fn priority(&self, node: usize) -> u16 {
        u16::from(self.mode == Mode::Failover && node % 2 == 1)
    }

    /// Every target of every node by a host's names, in the order of the nodes.
    pub(crate) fn named_targets(&self, naming: Naming) -> Vec<Target> {
        let all = self.configuration(&(0..self.node_count()).collect(), naming);
        all.iter().flat_map(|pool| pool.targets().collect::<Vec<_>>()).collect()
    }

    fn pool(&self, pool: usize, nodes: &[usize], naming: Naming) -> Pool {
        let node = |n: usize| Node {
            addresses: self.targets_of(n).iter().map(|target| target.address).collect(),
            priority: self.priority(n),
            ..fixtures::node(&naming.name(n), &[])
        };
        // The names are in the order of the pools.
        let name = if pool == 0 { "lb.kube-cp.com".to_owned() } else { format!("lb{pool}.kube-cp.com") };
        Pool {
            timing: ProbeTiming {
                interval: Duration::from_millis(PROBE_INTERVAL),
                confirm_interval: Duration::from_millis(CONFIRM_INTERVAL),
                detection: Duration::from_millis(DETECTION),
            },
            steering: Steering { mode: self.mode, max_answers: 8 },
            ..fixtures::pool(&name, nodes.iter().copied().map(node).collect())
        }
    }
}

fn address(node: usize, family: Family) -> IpAddr {
    let [.., high, low] = node.to_be_bytes();
    match family {
        Family::Ipv4 => [10, 10, high, low].into(),
        Family::Ipv6 => [0xfd00, 0, 0, 0, 0, 0, 0, u16::from_be_bytes([high, low])].into(),
    }
}
