//! The faults that remain at the end, and the checks for each.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use daymark_decision::{OverrideKind, OverrideState, QuorumState};
use fastrand::Rng;

use crate::checks::{has, overridden, state};
use crate::faults::NodeState;
use crate::simulation::Simulation;

/// The faults that remain at the end. Everything else is healed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// No fault remains.
    Healed,
    /// Two hosts do not reach each other. A third one reaches both.
    Separated(usize, usize),
    /// The first hosts, as many as given, and the other hosts do not reach each other.
    Split(usize),
    /// These hosts reach no node.
    Isolated(BTreeSet<usize>),
    /// Each host reaches only some of the nodes, and no two hosts reach the same.
    Scattered,
}

impl Ending {
    pub fn draw(rng: &mut Rng, hosts: usize) -> Self {
        let one = rng.usize(0..hosts);
        match rng.u8(0..5) {
            0 => Self::Separated(one, (one + rng.usize(1..hosts)) % hosts),
            1 => Self::Split(rng.usize(1..hosts)),
            3 => Self::Scattered,
            2 => Self::Isolated((0..hosts).filter(|_| rng.bool()).filter(|host| *host != one).collect()),
            _ => Self::Healed,
        }
    }

    pub(crate) fn set(&self, simulation: &mut Simulation) {
        let (hosts, nodes) = (simulation.hosts.len(), simulation.nodes.len());
        match self {
            Self::Healed => {}
            Self::Separated(one, other) => simulation.network.cut.extend([(*one, *other), (*other, *one)]),
            Self::Split(first) => {
                let across =
                    (0..*first).flat_map(|one| (*first..hosts).flat_map(move |other| [(one, other), (other, one)]));
                simulation.network.cut.extend(across);
            }
            Self::Scattered => {
                let paths = (0..hosts).flat_map(|host| (0..nodes).map(move |node| (host, node)));
                simulation.network.cut_off.extend(paths.filter(|(host, node)| node % hosts != *host));
            }
            Self::Isolated(isolated) => {
                simulation
                    .network
                    .cut_off
                    .extend(isolated.iter().flat_map(|host| (0..nodes).map(move |node| (*host, node))));
            }
        }
    }

    /// The groups of hosts that reach each other, directly or through others.
    fn groups(&self, hosts: usize) -> Vec<Vec<usize>> {
        match self {
            Self::Split(first) => vec![(0..*first).collect(), (*first..hosts).collect()],
            Self::Separated(..) if hosts == 2 => vec![vec![0], vec![1]],
            Self::Healed | Self::Separated(..) | Self::Isolated(_) | Self::Scattered => vec![(0..hosts).collect()],
        }
    }

    /// Fails if hosts that reach each other disagree, or if one is wrong.
    pub(crate) fn check(&self, simulation: &mut Simulation) -> Result<(), String> {
        let hosts = simulation.hosts.len();
        for group in self.groups(hosts) {
            let is_majority = group.len() * 2 > hosts;
            let mut summaries = BTreeSet::new();
            for &host in &group {
                check_quorum(simulation, host, is_majority)?;
                check_answer(simulation, host, &group)?;
                let summary = summary(simulation, host).ok_or("a host does not run")?;
                // A host without a quorum may have a different answer.
                if is_majority {
                    summaries.insert(summary);
                }
            }
            if summaries.len() > 1 {
                let summaries: Vec<String> = summaries.into_iter().collect();
                return Err(format!("the hosts do not agree:\n  {}", summaries.join("\n  ")));
            }
        }
        Ok(())
    }
}

fn check_quorum(simulation: &Simulation, host: usize, is_majority: bool) -> Result<(), String> {
    let name = simulation.hosts[host].name();
    let Some(running) = &simulation.hosts[host].running else { return Err(format!("{name} does not run")) };
    let expected = if is_majority { QuorumState::Quorum } else { QuorumState::NoQuorum };
    let (quorum_state, writer) = (running.engine.quorum_state(), running.engine.writer());
    if quorum_state != expected {
        return Err(format!("{name} is {quorum_state}, and should be {expected}"));
    }
    if writer.is_some() != is_majority {
        return Err(format!("{name} takes {writer:?} for the writer"));
    }
    let mut entries = running
        .engine
        .override_entries()
        .filter(|(.., entry)| entry.active().is_some_and(|active| active.kind == OverrideKind::Drain));
    let drained = overridden(simulation, host, OverrideKind::Drain).len();
    // If a reload removes the last other node, no drain is at fault.
    if drained == simulation.configured.len() && !simulation.has_removed && entries.all(|(.., entry)| !entry.insist) {
        let entries: Vec<String> =
            running.engine.override_entries().map(|(_, node, entry)| format!("{node} {entry:?}")).collect();
        return Err(format!("{name} has every node drained, though nobody insisted: {}", entries.join("; ")));
    }
    Ok(())
}

/// Fails if a host answers with a dead node while a host of the group reaches a better one.
fn check_answer(simulation: &mut Simulation, host: usize, group: &[usize]) -> Result<(), String> {
    let (now, name) = (simulation.now, simulation.hosts[host].name().clone());
    let answer = simulation.hosts[host].answer(now).ok_or("a host does not run")?;
    let is_majority = group.len() * 2 > simulation.hosts.len();
    let deciding = if is_majority { group.to_vec() } else { vec![host] };
    let (drained, forced) =
        (overridden(simulation, host, OverrideKind::Drain), overridden(simulation, host, OverrideKind::Force));
    let is_reached = |node: usize| deciding.iter().any(|host| !simulation.network.cut_off.contains(&(*host, node)));
    let is_better = |(node, (target, state)): (usize, &(_, NodeState))| {
        let target: &daymark_decision::Target = target;
        matches!(state, NodeState::Ready | NodeState::Live)
            && is_reached(node)
            && !drained.contains(&target.address)
            && has(simulation, host, target.address)
    };
    if !simulation.nodes.iter().enumerate().any(is_better) {
        return Ok(());
    }
    let is_wrong = |address: &IpAddr| state(simulation, *address) == Some(NodeState::Dead) && !forced.contains(address);
    match answer.members.iter().map(|member| member.address).find(is_wrong) {
        Some(address) => Err(format!("{name} answers with {address}, which is dead, though there is a better one")),
        None => Ok(()),
    }
}

fn summary(simulation: &mut Simulation, host: usize) -> Option<String> {
    let now = simulation.now;
    let answer = simulation.hosts[host].answer(now)?;
    let engine = &simulation.hosts[host].running.as_ref()?.engine;
    let entries = engine.override_entries().map(|(_, node, entry)| {
        let state = match &entry.state {
            OverrideState::Active(active) => format!("{:?} {}", active.kind, active.until.is_some()),
            OverrideState::Cleared => "cleared".to_owned(),
            OverrideState::Reverted(reverted) => format!(
                "reverted for {} on {}",
                reverted.node,
                reverted.host.as_ref().map_or("no host", daymark_decision::HostName::as_str)
            ),
        };
        format!("{node} {:?} {state}", entry.timestamp)
    });
    let entries: Vec<String> = entries.collect();
    let addresses: Vec<IpAddr> = answer.members.iter().map(|member| member.address).collect();
    let writer = engine.writer().map(ToString::to_string).unwrap_or_default();
    Some(format!("{} {addresses:?}, writer {writer}, entries {entries:?}", answer.basis))
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healed => f.write_str("all faults of the network and of the hosts end"),
            Self::Separated(one, other) => {
                write!(f, "all faults end, except that hosts {one} and {other} do not reach each other")
            }
            Self::Split(first) => write!(f, "all faults end, except a split before host {first}"),
            Self::Scattered => {
                f.write_str("all faults end, except that each host reaches only some nodes, and no two reach the same")
            }
            Self::Isolated(hosts) => write!(f, "all faults end, except that hosts {hosts:?} reach no node"),
        }
    }
}
