//! Drains that leave no node to be used: what is to be refused, and what is to be undone.
//!
//! A drain is judged when it is said, and one that was said without knowledge of another when both are known in one place. A
//! node that dies later undoes none.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{Grade, HybridTimestamp, OverrideEntry, OverrideKind, QuorumState};

use crate::faults::{self, Fault, State};
use crate::judge::BOUND;
use crate::world::World;

/// What each host knows of drains, and since when.
pub(crate) struct Drains(Vec<Known>);

#[derive(Default)]
struct Known {
    /// The run of the host that knows it.
    run: u64,
    nodes: BTreeSet<usize>,
    stamps: BTreeSet<HybridTimestamp>,
    /// When the last of them came into force here, as far as all the others of its nodes are the same since.
    came: Option<u64>,
    /// The nodes that are dead, which every host that is heard has found out, and since when.
    dead_since: BTreeMap<usize, u64>,
}

impl Drains {
    pub(crate) fn new(world: &World) -> Self {
        Self(world.hosts.iter().map(|_| Known::default()).collect())
    }

    /// Whether what is left is known to be dead, while drains that did not know of each other stay in force.
    pub(crate) fn look(&mut self, world: &World) -> Result<(), String> {
        for (host, known) in self.0.iter_mut().enumerate() {
            known.update(world, host);
            let Some(came) = known.came.filter(|came| world.now - came > BOUND) else { continue };
            let was_dead = |node: usize| known.dead_since.get(&node).is_some_and(|since| *since <= came);
            let drained = drained(world, host);
            let is_left_dead = left(world, host, known).all(was_dead);
            let helps = drained.keys().any(|node| is_usable(world, host, *node));
            let nobody_insists = drained.values().all(|word| !word.insist);
            if is_left_dead && helps && nobody_insists && are_strangers(&drained) {
                let name = world.hosts[host].name();
                return Err(format!(
                    "{name} keeps drains that did not know of each other and leave no node: {drained:?}"
                ));
            }
        }
        Ok(())
    }

    /// Which drains of a fault are to be refused: the host and the node, and what was said there before.
    pub(crate) fn hopeless(&self, world: &World, fault: &Fault) -> Vec<(usize, usize, Option<HybridTimestamp>)> {
        let said = match *fault {
            Fault::DrainBoth { hosts, nodes } => vec![(hosts.0, nodes.0), (hosts.1, nodes.1)],
            Fault::Say {
                host,
                node,
                word: faults::OverrideEntry::Set { kind: OverrideKind::Drain, insist: false, .. },
            } => {
                vec![(host, node)]
            }
            _ => Vec::new(),
        };
        let is_hopeless = |(host, node): &(usize, usize)| {
            let known = &self.0[*host];
            let is_dead = |node: usize| known.dead_since.get(&node).is_some_and(|since| world.now - since > BOUND);
            let has_others = left(world, *host, known).any(|other| other != *node);
            known.nodes.contains(node)
                && has_others
                && is_usable(world, *host, *node)
                && left(world, *host, known).filter(|other| other != node).all(is_dead)
        };
        let before = |(host, node)| (host, node, word(world, host, node).map(|word| word.timestamp.clone()));
        said.into_iter().filter(is_hopeless).map(before).collect()
    }
}

/// Whether any of these was carried out all the same.
pub(crate) fn refused(world: &World, hopeless: &[(usize, usize, Option<HybridTimestamp>)]) -> Result<(), String> {
    for (host, node, before) in hopeless {
        if word(world, *host, *node).map(|word| &word.timestamp) != before.as_ref() {
            return Err(format!("host {host} has drained node {node}, though every other one is known to be dead"));
        }
    }
    Ok(())
}

impl Known {
    fn update(&mut self, world: &World, host: usize) {
        let Some(running) =
            world.hosts[host].running.as_ref().filter(|it| it.engine.quorum_state() == QuorumState::Quorum)
        else {
            *self = Self::default();
            return;
        };
        let nodes: BTreeSet<usize> =
            (0..world.nodes.len()).filter(|node| running.engine.has(&world.nodes[*node].0)).collect();
        let stamps: BTreeSet<HybridTimestamp> =
            drained(world, host).values().map(|word| word.timestamp.clone()).collect();
        let is_new = self.run != running.number;
        if is_new {
            *self = Self { run: running.number, ..Self::default() };
        }
        if !is_new && self.nodes != nodes {
            self.came = None;
        } else if self.stamps != stamps {
            self.came = Some(world.now);
        }
        (self.nodes, self.stamps) = (nodes, stamps);
        for node in 0..world.nodes.len() {
            if is_known_dead(world, host, node) {
                self.dead_since.entry(node).or_insert(world.now);
            } else {
                self.dead_since.remove(&node);
            }
        }
    }
}

/// The nodes of a host that are not drained there.
fn left(world: &World, host: usize, known: &Known) -> impl Iterator<Item = usize> {
    let drained = drained(world, host);
    known.nodes.iter().copied().filter(move |node| !drained.contains_key(node))
}

/// The drains in force on a host, of what is configured there.
fn drained(world: &World, host: usize) -> BTreeMap<usize, &OverrideEntry> {
    let Some(running) = &world.hosts[host].running else { return BTreeMap::new() };
    let is_drain = |word: &&OverrideEntry| word.active().is_some_and(|order| order.kind == OverrideKind::Drain);
    let nodes = (0..world.nodes.len()).filter(|node| running.engine.has(&world.nodes[*node].0));
    nodes.filter_map(|node| Some((node, word(world, host, node).filter(is_drain)?))).collect()
}

fn word(world: &World, host: usize, node: usize) -> Option<&OverrideEntry> {
    let engine = &world.hosts[host].running.as_ref()?.engine;
    engine.override_entries().find(|(_, of, _)| **of == world.nodes[node].0.node).map(|(.., word)| word)
}

/// Whether one of them was said without knowledge of an earlier one.
fn are_strangers(drained: &BTreeMap<usize, &OverrideEntry>) -> bool {
    let is_unknown = |word: &OverrideEntry, other: &OverrideEntry| {
        other.timestamp < word.timestamp && !word.causal_context.contains(&other.timestamp)
    };
    drained.values().any(|word| drained.values().any(|other| is_unknown(word, other)))
}

/// Whether a node is dead and not forced, and the host and every one that it hears have found that out.
fn is_known_dead(world: &World, host: usize, node: usize) -> bool {
    let Some(running) = &world.hosts[host].running else { return false };
    let (target, state) = &world.nodes[node];
    let is_forced =
        word(world, host, node).and_then(OverrideEntry::active).is_some_and(|it| it.kind == OverrideKind::Force);
    let sees = running.engine.healths().any(|(of, health)| of == target && health.grade() == Grade::Down);
    let others = running.engine.views().filter(|view| !view.abstains);
    let mut votes = others.filter_map(|view| view.votes.get(target));
    *state == State::Dead && !is_forced && sees && votes.all(|vote| vote.grade < Grade::Live)
}

/// Whether a node is ready, and the host and every one that it hears have found that out.
fn is_usable(world: &World, host: usize, node: usize) -> bool {
    let Some(running) = &world.hosts[host].running else { return false };
    let (target, state) = &world.nodes[node];
    let sees = running.engine.healths().any(|(of, health)| of == target && health.grade() == Grade::Ready);
    let others = running.engine.views().filter(|view| !view.abstains);
    let mut votes = others.filter_map(|view| view.votes.get(target));
    *state == State::Ready && sees && votes.all(|vote| vote.grade == Grade::Ready)
}
