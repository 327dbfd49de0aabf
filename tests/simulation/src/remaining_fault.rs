//! The fault that remains at the end of a run, and the agreement of the hosts that must hold all the same.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use daymark_decision::{Family, HostName, OverrideKind, OverrideState, QuorumState};
use fastrand::Rng;

use crate::cluster::Cluster;
use crate::invariants::{has_target, overridden};
use crate::network::NodePath;

/// The one fault that remains after all others have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemainingFault {
    /// There is none.
    None,
    /// Two hosts do not reach each other. A third host, if there is one, reaches both.
    PathCut { one: usize, other: usize },
    /// The first `size` hosts and the rest do not reach each other.
    Split { size: usize },
    /// These hosts reach no node.
    Isolated(BTreeSet<usize>),
    /// Each host reaches only some nodes, and no two hosts the same.
    DisjointNodes,
}

impl RemainingFault {
    pub fn draw(rng: &mut Rng, hosts: usize) -> Self {
        let one = rng.usize(0..hosts);
        match rng.u8(0..5) {
            0 => Self::PathCut { one, other: (one + rng.usize(1..hosts)) % hosts },
            1 => Self::Split { size: rng.usize(1..hosts) },
            2 => Self::Isolated((0..hosts).filter(|_| rng.bool()).filter(|host| *host != one).collect()),
            3 => Self::DisjointNodes,
            _ => Self::None,
        }
    }

    pub(crate) fn inject(&self, cluster: &mut Cluster) {
        let hosts = cluster.hosts.len();
        let nodes = cluster.nodes.len();
        match self {
            Self::None => {}
            Self::PathCut { one, other } => cluster.network.cut_between(*one, *other),
            Self::Split { size } => {
                for one in 0..*size {
                    (*size..hosts).for_each(|other| cluster.network.cut_between(one, other));
                }
            }
            Self::DisjointNodes => {
                let paths = (0..hosts).flat_map(|host| (0..nodes).map(move |node| NodePath { host, node }));
                cluster.network.cut_node_paths.extend(paths.filter(|path| path.node % hosts != path.host));
            }
            Self::Isolated(isolated) => {
                let paths = isolated.iter().flat_map(|host| (0..nodes).map(|node| NodePath { host: *host, node }));
                cluster.network.cut_node_paths.extend(paths);
            }
        }
    }

    /// The groups of hosts that reach each other, directly or over others.
    fn groups(&self, hosts: usize) -> Vec<Vec<usize>> {
        match self {
            Self::Split { size } => vec![(0..*size).collect(), (*size..hosts).collect()],
            Self::PathCut { .. } if hosts == 2 => vec![vec![0], vec![1]],
            Self::None | Self::PathCut { .. } | Self::Isolated(_) | Self::DisjointNodes => vec![(0..hosts).collect()],
        }
    }

    /// Checks that the hosts of a majority agree, and that every host gives a right answer.
    pub(crate) fn check(&self, cluster: &mut Cluster) -> Result<(), String> {
        let hosts = cluster.hosts.len();
        for group in self.groups(hosts) {
            let is_majority = group.len() * 2 > hosts;
            let mut states = BTreeSet::new();
            for &host in &group {
                check_quorum(cluster, host, is_majority)?;
                for pool in 0..cluster.setup.pools {
                    check_not_all_drained(cluster, host, pool)?;
                    for family in Family::ALL {
                        check_answer(cluster, host, pool, family, &group)?;
                    }
                }
                let state = describe(cluster, host).ok_or("a host does not run")?;
                // A host without a quorum decides for itself.
                if is_majority {
                    states.insert(state);
                }
            }
            if states.len() > 1 {
                let states: Vec<String> = states.into_iter().collect();
                return Err(format!("the hosts do not agree:\n  {}", states.join("\n  ")));
            }
        }
        Ok(())
    }
}

fn check_quorum(cluster: &Cluster, host: usize, is_majority: bool) -> Result<(), String> {
    let name = cluster.hosts[host].name();
    let Some(running) = &cluster.hosts[host].running else { return Err(format!("{name} does not run")) };
    let expected = if is_majority { QuorumState::Quorum } else { QuorumState::NoQuorum };
    let state = running.engine.quorum_state();
    if state != expected {
        return Err(format!("{name} has the quorum state {state}, and should have {expected}"));
    }
    let writer = running.engine.writer();
    if writer.is_some() != is_majority {
        return Err(format!("{name} takes {writer:?} for the writer"));
    }
    Ok(())
}

/// Checks that not every node of a pool is drained, unless an operator insisted.
fn check_not_all_drained(cluster: &Cluster, host: usize, pool: usize) -> Result<(), String> {
    let of_pool = |node: &&usize| cluster.nodes[**node].pool == pool;
    let drained = overridden(cluster, host, OverrideKind::Drain);
    let is_drained = |node: &usize| drained.contains(&cluster.nodes[*node].target.address);
    // A reload may remove the last other node, which is not a drain.
    if cluster.has_removed || !cluster.configured.iter().filter(of_pool).all(is_drained) {
        return Ok(());
    }
    let host = &cluster.hosts[host];
    let is_drain = |kind: Option<OverrideKind>| kind == Some(OverrideKind::Drain);
    let mut drains = host.override_entries().filter(|entry| is_drain(entry.active().map(|active| active.kind)));
    if drains.all(|drain| !drain.insist) {
        let entries: Vec<String> = host.override_entries().map(|entry| format!("{entry:?}")).collect();
        return Err(format!("{} has every node drained, though nobody insisted: {}", host.name(), entries.join("; ")));
    }
    Ok(())
}

/// Checks that no dead address of a family is answered while a host of the group reaches a better one.
fn check_answer(
    cluster: &mut Cluster,
    host: usize,
    pool: usize,
    family: Family,
    group: &[usize],
) -> Result<(), String> {
    let now = cluster.now;
    let answer = cluster.hosts[host].answers(now).get(pool).cloned().ok_or("a host does not run")?;
    let cluster = &*cluster;
    let is_majority = group.len() * 2 > cluster.hosts.len();
    let deciding = if is_majority { group } else { &[host] };
    let drained = overridden(cluster, host, OverrideKind::Drain);
    let forced = overridden(cluster, host, OverrideKind::Force);
    let has_better = cluster.targets.iter().any(|target| {
        target.family() == family
            && cluster.nodes[target.node].pool == pool
            && !cluster.is_dead(target.address)
            && deciding.iter().any(|host| cluster.is_reached(*host, target))
            && !drained.contains(&target.address)
            && has_target(cluster, host, target.address)
    });
    if !has_better {
        return Ok(());
    }
    let of_family = answer.members.iter().map(|member| member.address).filter(|of| Family::of(*of) == family);
    match of_family.into_iter().find(|address| cluster.is_dead(*address) && !forced.contains(address)) {
        Some(address) => {
            let name = cluster.hosts[host].name();
            Err(format!("{name} answers with {address}, which is dead, though there is a better one"))
        }
        None => Ok(()),
    }
}

/// Describes the answer, the writer and the overrides of a host.
fn describe(cluster: &mut Cluster, host: usize) -> Option<String> {
    let now = cluster.now;
    let answers = cluster.hosts[host].answers(now).to_vec();
    let engine = &cluster.hosts[host].running.as_ref()?.engine;
    let overrides = engine.override_entries().map(|(key, entry)| {
        let state = match &entry.state {
            OverrideState::Active(active) => format!("{:?} {}", active.kind, active.until.is_some()),
            OverrideState::Cleared => "cleared".to_owned(),
            OverrideState::Reverted(reverted) => {
                format!("reverted for {} on {}", reverted.node, reverted.host.as_ref().map_or("", HostName::as_str))
            }
        };
        format!("{} {:?} {state}", key.node, entry.timestamp)
    });
    let overrides: Vec<String> = overrides.collect();
    let answers = answers.iter().map(|answer| {
        let addresses: Vec<IpAddr> = answer.members.iter().map(|member| member.address).collect();
        format!("{:?} {addresses:?}", answer.bases)
    });
    let answers: Vec<String> = answers.collect();
    let writer = engine.writer().map(ToString::to_string).unwrap_or_default();
    Some(format!("{answers:?}, writer {writer}, overrides {overrides:?}"))
}

impl fmt::Display for RemainingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all faults of the network and of the hosts end")?;
        match self {
            Self::None => Ok(()),
            Self::PathCut { one, other } => {
                write!(f, ", except that hosts {one} and {other} do not reach each other")
            }
            Self::Split { size } => write!(f, ", except that the first {size} hosts and the rest are split"),
            Self::DisjointNodes => {
                f.write_str(", except that each host reaches only some nodes, and no two hosts the same")
            }
            Self::Isolated(hosts) => write!(f, ", except that hosts {hosts:?} reach no node"),
        }
    }
}
