//! Drains that leave no usable node: one must be refused, and concurrent ones must be reverted.
//!
//! A drain is checked when it is set. Two drains that were set without knowledge of each other are checked when one host knows
//! both. A node that dies later reverts no drain.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{Grade, HybridTimestamp, OverrideEntry, OverrideKind, QuorumState};

use crate::checks::MAX_STALE;
use crate::faults::{self, Fault, NodeState};
use crate::simulation::Simulation;

/// The drains that each host knows.
pub(crate) struct Drains(Vec<Known>);

/// A drain that must be refused, and the override that the node had before.
pub(crate) struct ForbiddenDrain {
    host: usize,
    node: usize,
    before: Option<HybridTimestamp>,
}

#[derive(Default)]
struct Known {
    /// The number of the host's run.
    run: u64,
    nodes: BTreeSet<usize>,
    timestamps: BTreeSet<HybridTimestamp>,
    /// The time at which the last drain became active here, unless the nodes have changed since.
    changed: Option<u64>,
    /// The nodes that every reachable host knows to be dead, each with the time since when.
    dead_since: BTreeMap<usize, u64>,
}

impl Drains {
    pub(crate) fn new(simulation: &Simulation) -> Self {
        Self(simulation.hosts.iter().map(|_| Known::default()).collect())
    }

    /// Fails if concurrent drains stay active though all other nodes are known to be dead.
    pub(crate) fn check(&mut self, simulation: &Simulation) -> Result<(), String> {
        for (host, known) in self.0.iter_mut().enumerate() {
            known.update(simulation, host);
            let Some(changed) = known.changed.filter(|changed| simulation.now - changed > MAX_STALE) else { continue };
            let was_dead = |node: usize| known.dead_since.get(&node).is_some_and(|since| *since <= changed);
            let drained = drained(simulation, host);
            let is_rest_dead = left(simulation, host, known).all(was_dead);
            let has_usable_drained = drained.keys().any(|node| is_usable(simulation, host, *node));
            let nobody_insists = drained.values().all(|entry| !entry.insist);
            if is_rest_dead && has_usable_drained && nobody_insists && are_concurrent(&drained) {
                let name = simulation.hosts[host].name();
                return Err(format!("{name} keeps concurrent drains that leave no node: {drained:?}"));
            }
        }
        Ok(())
    }

    /// The drains of a fault that must be refused.
    pub(crate) fn forbidden(&self, simulation: &Simulation, fault: &Fault) -> Vec<ForbiddenDrain> {
        let drains = match *fault {
            Fault::DrainBoth { hosts, nodes } => vec![(hosts.0, nodes.0), (hosts.1, nodes.1)],
            Fault::Operator {
                host,
                node,
                action: faults::OperatorAction::Set { kind: OverrideKind::Drain, insist: false, .. },
            } => {
                vec![(host, node)]
            }
            _ => Vec::new(),
        };
        let is_forbidden = |(host, node): &(usize, usize)| {
            let known = &self.0[*host];
            let is_dead =
                |node: usize| known.dead_since.get(&node).is_some_and(|since| simulation.now - since > MAX_STALE);
            let has_others = left(simulation, *host, known).any(|other| other != *node);
            known.nodes.contains(node)
                && has_others
                && is_usable(simulation, *host, *node)
                && left(simulation, *host, known).filter(|other| other != node).all(is_dead)
        };
        let forbid = |(host, node)| {
            let before = entry_of(simulation, host, node).map(|entry| entry.timestamp.clone());
            ForbiddenDrain { host, node, before }
        };
        drains.into_iter().filter(is_forbidden).map(forbid).collect()
    }
}

/// Fails if one of these drains was carried out.
pub(crate) fn check_refused(simulation: &Simulation, forbidden: &[ForbiddenDrain]) -> Result<(), String> {
    for ForbiddenDrain { host, node, before } in forbidden {
        if entry_of(simulation, *host, *node).map(|entry| &entry.timestamp) != before.as_ref() {
            return Err(format!("host {host} has drained node {node}, though all others are known to be dead"));
        }
    }
    Ok(())
}

impl Known {
    fn update(&mut self, simulation: &Simulation, host: usize) {
        let Some(running) = simulation.hosts[host]
            .running
            .as_ref()
            .filter(|running| running.engine.quorum_state() == QuorumState::Quorum)
        else {
            *self = Self::default();
            return;
        };
        let nodes: BTreeSet<usize> =
            (0..simulation.nodes.len()).filter(|node| running.engine.has(&simulation.nodes[*node].0)).collect();
        let timestamps: BTreeSet<HybridTimestamp> =
            drained(simulation, host).values().map(|entry| entry.timestamp.clone()).collect();
        let is_new = self.run != running.number;
        if is_new {
            *self = Self { run: running.number, ..Self::default() };
        }
        if !is_new && self.nodes != nodes {
            self.changed = None;
        } else if self.timestamps != timestamps {
            self.changed = Some(simulation.now);
        }
        (self.nodes, self.timestamps) = (nodes, timestamps);
        for node in 0..simulation.nodes.len() {
            if is_known_dead(simulation, host, node) {
                self.dead_since.entry(node).or_insert(simulation.now);
            } else {
                self.dead_since.remove(&node);
            }
        }
    }
}

/// The nodes that are not drained on a host.
fn left(simulation: &Simulation, host: usize, known: &Known) -> impl Iterator<Item = usize> {
    let drained = drained(simulation, host);
    known.nodes.iter().copied().filter(move |node| !drained.contains_key(node))
}

/// The active drains of the nodes that are configured on a host.
fn drained(simulation: &Simulation, host: usize) -> BTreeMap<usize, &OverrideEntry> {
    let Some(running) = &simulation.hosts[host].running else { return BTreeMap::new() };
    let is_drain = |entry: &&OverrideEntry| entry.active().is_some_and(|active| active.kind == OverrideKind::Drain);
    let nodes = (0..simulation.nodes.len()).filter(|node| running.engine.has(&simulation.nodes[*node].0));
    nodes.filter_map(|node| Some((node, entry_of(simulation, host, node).filter(is_drain)?))).collect()
}

fn entry_of(simulation: &Simulation, host: usize, node: usize) -> Option<&OverrideEntry> {
    let engine = &simulation.hosts[host].running.as_ref()?.engine;
    engine.override_entries().find(|(_, of, _)| **of == simulation.nodes[node].0.node).map(|(.., entry)| entry)
}

/// True if one of the drains was set without knowledge of an earlier one.
fn are_concurrent(drained: &BTreeMap<usize, &OverrideEntry>) -> bool {
    let is_unknown = |entry: &OverrideEntry, other: &OverrideEntry| {
        other.timestamp < entry.timestamp && !entry.causal_context.contains(&other.timestamp)
    };
    drained.values().any(|entry| drained.values().any(|other| is_unknown(entry, other)))
}

/// True if a node is dead and not forced, and the host and all that it reaches know that.
fn is_known_dead(simulation: &Simulation, host: usize, node: usize) -> bool {
    let Some(running) = &simulation.hosts[host].running else { return false };
    let (target, state) = &simulation.nodes[node];
    let is_forced = entry_of(simulation, host, node)
        .and_then(OverrideEntry::active)
        .is_some_and(|active| active.kind == OverrideKind::Force);
    let sees = running.engine.healths().any(|(of, health)| of == target && health.grade() == Grade::Down);
    let others = running.engine.views().filter(|view| !view.abstains);
    let mut votes = others.filter_map(|view| view.votes.get(target));
    *state == NodeState::Dead && !is_forced && sees && votes.all(|vote| vote.grade < Grade::Live)
}

/// True if a node is ready, and the host and all that it reaches know that.
fn is_usable(simulation: &Simulation, host: usize, node: usize) -> bool {
    let Some(running) = &simulation.hosts[host].running else { return false };
    let (target, state) = &simulation.nodes[node];
    let sees = running.engine.healths().any(|(of, health)| of == target && health.grade() == Grade::Ready);
    let others = running.engine.views().filter(|view| !view.abstains);
    let mut votes = others.filter_map(|view| view.votes.get(target));
    *state == NodeState::Ready && sees && votes.all(|vote| vote.grade == Grade::Ready)
}
