//! What is left of the faults at the end, and what must hold then.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use daymark_decision::{OverrideKind, OverrideState, QuorumState};
use fastrand::Rng;

use crate::faults::State;
use crate::judge::{has, overridden, state};
use crate::world::World;

/// What is left of the faults. Everything else is as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing.
    Whole,
    /// Two hosts do not reach each other; where there is a third, it reaches both.
    Apart(usize, usize),
    /// The first so many hosts and the rest do not reach each other.
    Split(usize),
    /// These hosts reach no node.
    Blind(BTreeSet<usize>),
    /// Each host reaches only some of the nodes, and no two hosts the same.
    Scattered,
}

impl Ending {
    pub fn draw(rng: &mut Rng, hosts: usize) -> Self {
        let one = rng.usize(0..hosts);
        match rng.u8(0..5) {
            0 => Self::Apart(one, (one + rng.usize(1..hosts)) % hosts),
            1 => Self::Split(rng.usize(1..hosts)),
            3 => Self::Scattered,
            2 => Self::Blind((0..hosts).filter(|_| rng.bool()).filter(|host| *host != one).collect()),
            _ => Self::Whole,
        }
    }

    pub(crate) fn set(&self, world: &mut World) {
        let (hosts, nodes) = (world.hosts.len(), world.nodes.len());
        match self {
            Self::Whole => {}
            Self::Apart(one, other) => world.network.cut.extend([(*one, *other), (*other, *one)]),
            Self::Split(first) => {
                let across =
                    (0..*first).flat_map(|one| (*first..hosts).flat_map(move |other| [(one, other), (other, one)]));
                world.network.cut.extend(across);
            }
            Self::Scattered => {
                let ways = (0..hosts).flat_map(|host| (0..nodes).map(move |node| (host, node)));
                world.network.cut_off.extend(ways.filter(|(host, node)| node % hosts != *host));
            }
            Self::Blind(blind) => {
                world.network.cut_off.extend(blind.iter().flat_map(|host| (0..nodes).map(move |node| (*host, node))));
            }
        }
    }

    /// The hosts that reach each other, over one or more ways.
    fn groups(&self, hosts: usize) -> Vec<Vec<usize>> {
        match self {
            Self::Split(first) => vec![(0..*first).collect(), (*first..hosts).collect()],
            Self::Apart(..) if hosts == 2 => vec![vec![0], vec![1]],
            Self::Whole | Self::Apart(..) | Self::Blind(_) | Self::Scattered => vec![(0..hosts).collect()],
        }
    }

    /// Whether all who reach each other say the same, and what is right.
    pub(crate) fn check(&self, world: &mut World) -> Result<(), String> {
        let hosts = world.hosts.len();
        for group in self.groups(hosts) {
            let is_majority = group.len() * 2 > hosts;
            let mut said = BTreeSet::new();
            for &host in &group {
                stands(world, host, is_majority)?;
                answers_well(world, host, &group)?;
                let sentence = says(world, host).ok_or("a host does not run")?;
                // Who is alone has a view of its own.
                if is_majority {
                    said.insert(sentence);
                }
            }
            if said.len() > 1 {
                let said: Vec<String> = said.into_iter().collect();
                return Err(format!("the hosts do not agree:\n  {}", said.join("\n  ")));
            }
        }
        Ok(())
    }
}

fn stands(world: &World, host: usize, is_majority: bool) -> Result<(), String> {
    let name = world.hosts[host].name();
    let Some(running) = &world.hosts[host].running else { return Err(format!("{name} does not run")) };
    let expected = if is_majority { QuorumState::Quorum } else { QuorumState::NoQuorum };
    let (standing, writer) = (running.engine.quorum_state(), running.engine.writer());
    if standing != expected {
        return Err(format!("{name} is {standing}, and should be {expected}"));
    }
    if writer.is_some() != is_majority {
        return Err(format!("{name} takes {writer:?} for the one that writes"));
    }
    let mut words = running
        .engine
        .override_entries()
        .filter(|(.., word)| word.active().is_some_and(|it| it.kind == OverrideKind::Drain));
    let drained = overridden(world, host, OverrideKind::Drain).len();
    // A reload that takes the last other one away is nobody's drain.
    if drained == world.configured.len() && !world.has_removed && words.all(|(.., word)| !word.insist) {
        let words: Vec<String> =
            running.engine.override_entries().map(|(_, node, word)| format!("{node} {word:?}")).collect();
        return Err(format!("{name} has every node drained, though nobody insisted: {}", words.join("; ")));
    }
    Ok(())
}

/// No dead node is answered while a host of the group reaches a better one.
fn answers_well(world: &mut World, host: usize, group: &[usize]) -> Result<(), String> {
    let (now, name) = (world.now, world.hosts[host].name().clone());
    let answer = world.hosts[host].answer(now).ok_or("a host does not run")?;
    let is_majority = group.len() * 2 > world.hosts.len();
    let who = if is_majority { group.to_vec() } else { vec![host] };
    let (drained, forced) =
        (overridden(world, host, OverrideKind::Drain), overridden(world, host, OverrideKind::Force));
    let is_reached = |node: usize| who.iter().any(|host| !world.network.cut_off.contains(&(*host, node)));
    let is_better = |(node, (target, state)): (usize, &(_, State))| {
        let target: &daymark_decision::Target = target;
        matches!(state, State::Ready | State::Live)
            && is_reached(node)
            && !drained.contains(&target.address)
            && has(world, host, target.address)
    };
    if !world.nodes.iter().enumerate().any(is_better) {
        return Ok(());
    }
    let is_wrong = |address: &IpAddr| state(world, *address) == Some(State::Dead) && !forced.contains(address);
    match answer.members.iter().map(|member| member.address).find(is_wrong) {
        Some(address) => Err(format!("{name} answers with {address}, which is dead, though there is a better one")),
        None => Ok(()),
    }
}

fn says(world: &mut World, host: usize) -> Option<String> {
    let now = world.now;
    let answer = world.hosts[host].answer(now)?;
    let engine = &world.hosts[host].running.as_ref()?.engine;
    let words = engine.override_entries().map(|(_, node, word)| {
        let state = match &word.state {
            OverrideState::Active(order) => format!("{:?} {}", order.kind, order.until.is_some()),
            OverrideState::Cleared => "over".to_owned(),
            OverrideState::Reverted(undone) => format!(
                "undone for {} on {}",
                undone.node,
                undone.host.as_ref().map_or("no host", daymark_decision::HostName::as_str)
            ),
        };
        format!("{node} {:?} {state}", word.timestamp)
    });
    let words: Vec<String> = words.collect();
    let addresses: Vec<IpAddr> = answer.members.iter().map(|member| member.address).collect();
    let writer = engine.writer().map(ToString::to_string).unwrap_or_default();
    Some(format!("{} {addresses:?}, writer {writer}, words {words:?}", answer.basis))
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("every fault of the network and of the hosts ends"),
            Self::Apart(one, other) => {
                write!(f, "every fault ends but that hosts {one} and {other} do not reach each other")
            }
            Self::Split(first) => write!(f, "every fault ends but a split before host {first}"),
            Self::Scattered => {
                f.write_str("every fault ends but that each host reaches only some nodes, and no two the same")
            }
            Self::Blind(hosts) => write!(f, "every fault ends but that hosts {hosts:?} reach no node"),
        }
    }
}
