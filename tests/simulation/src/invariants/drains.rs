//! The rules of drains that leave no usable node: some are refused, and some are reverted.
//!
//! A host refuses a drain if it knows that all other nodes are dead. Two drains that were made without knowledge of each other
//! may leave no node together. Then one of them is reverted when both are known on one host. A node that dies or recovers later
//! reverts no drain.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{Grade, HybridTimestamp, OverrideEntry, OverrideKind};

use crate::cluster::Cluster;
use crate::fault::{Fault, NodeOnHost, NodeState, OperatorCommand};
use crate::invariants::MAX_WRONG_ANSWER_TIME;

/// The rule, with what each host knows of each pool.
pub(crate) struct DrainInvariant(Vec<Vec<Knowledge>>);

/// The state of drains and nodes of one pool on a host with a quorum.
#[derive(Default)]
struct Knowledge {
    /// The run of the host.
    run: u64,
    /// The configured nodes.
    nodes: BTreeSet<usize>,
    drains: BTreeSet<HybridTimestamp>,
    /// The time of the last change of the drains. It is unknown after a change of the nodes.
    drains_changed: Option<u64>,
    /// The dead nodes that all reachable hosts know to be dead, and the time since which they do.
    dead_since: BTreeMap<usize, u64>,
    /// The same for the ready ones.
    usable_since: BTreeMap<usize, u64>,
}

/// A drain that a host has to refuse.
pub(crate) struct ImpossibleDrain {
    at: NodeOnHost,
    /// The override that the host had before.
    before: Option<HybridTimestamp>,
}

impl DrainInvariant {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let of_host = || (0..cluster.setup.pools).map(|_| Knowledge::default()).collect();
        Self(cluster.hosts.iter().map(|_| of_host()).collect())
    }

    /// Checks that no host keeps drains which did not know of each other and leave dead nodes alone.
    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        for (host, of_pools) in self.0.iter_mut().enumerate() {
            for (pool, knowledge) in of_pools.iter_mut().enumerate() {
                knowledge.update(cluster, host, pool);
                knowledge.check(cluster, host, pool)?;
            }
        }
        Ok(())
    }

    /// The drains of a fault that have to be refused.
    pub(crate) fn impossible(&self, cluster: &Cluster, fault: &Fault) -> Vec<ImpossibleDrain> {
        let drains = match *fault {
            Fault::DrainBoth(one, other) => vec![one, other],
            Fault::Command { at, command: OperatorCommand::Set { kind: OverrideKind::Drain, insist: false, .. } } => {
                vec![at]
            }
            _ => Vec::new(),
        };
        let impossible =
            drains.into_iter().filter(|at| self.0[at.host][cluster.nodes[at.node].pool].forbids(cluster, *at));
        impossible
            .map(|at| ImpossibleDrain { at, before: entry(cluster, at).map(|entry| entry.timestamp.clone()) })
            .collect()
    }
}

/// Keeps the time since which something holds for a node.
fn note(since: &mut BTreeMap<usize, u64>, node: usize, holds: bool, now: u64) {
    if holds {
        since.entry(node).or_insert(now);
    } else {
        since.remove(&node);
    }
}

/// Checks that none of these drains was carried out.
pub(crate) fn check_refused(cluster: &Cluster, impossible: &[ImpossibleDrain]) -> Result<(), String> {
    for drain in impossible {
        if entry(cluster, drain.at).map(|entry| &entry.timestamp) != drain.before.as_ref() {
            let NodeOnHost { host, node } = drain.at;
            return Err(format!("host {host} has drained node {node}, though every other node is known to be dead"));
        }
    }
    Ok(())
}

impl Knowledge {
    fn check(&self, cluster: &Cluster, host: usize, pool: usize) -> Result<(), String> {
        let is_settled = |changed: &u64| cluster.now - changed > MAX_WRONG_ANSWER_TIME;
        let Some(changed) = self.drains_changed.filter(is_settled) else { return Ok(()) };
        let was_dead = |node: usize| self.dead_since.get(&node).is_some_and(|since| *since <= changed);
        let drained = drained(cluster, host, pool);
        let leaves_dead_nodes = self.undrained(&drained).all(was_dead);
        let was_usable = |node: &usize| self.usable_since.get(node).is_some_and(|since| *since <= changed);
        let reverting_helps = drained.keys().any(was_usable);
        let nobody_insists = drained.values().all(|entry| !entry.insist);
        if leaves_dead_nodes && reverting_helps && nobody_insists && are_concurrent(&drained) {
            let name = cluster.hosts[host].name();
            return Err(format!("{name} keeps drains that did not know of each other and leave no node: {drained:?}"));
        }
        Ok(())
    }

    fn update(&mut self, cluster: &Cluster, host: usize, pool: usize) {
        let Some(running) = cluster.hosts[host].running_with_quorum() else {
            *self = Self::default();
            return;
        };
        let all = (0..cluster.nodes.len()).filter(|node| cluster.nodes[*node].pool == pool);
        let nodes: BTreeSet<usize> = all.clone().filter(|n| running.engine.has(&cluster.nodes[*n].target)).collect();
        let drains: BTreeSet<HybridTimestamp> =
            drained(cluster, host, pool).values().map(|entry| entry.timestamp.clone()).collect();
        let is_new_run = self.run != running.number;
        if is_new_run {
            *self = Self { run: running.number, ..Self::default() };
        }
        if !is_new_run && self.nodes != nodes {
            self.drains_changed = None;
        } else if self.drains != drains {
            self.drains_changed = Some(cluster.now);
        }
        self.nodes = nodes;
        self.drains = drains;
        for node in all {
            note(&mut self.dead_since, node, is_known_dead(cluster, host, node), cluster.now);
            note(&mut self.usable_since, node, is_known_usable(cluster, host, node), cluster.now);
        }
    }

    /// Tells if a host has to refuse a drain: the node is usable, and all others that are left are known to be dead.
    fn forbids(&self, cluster: &Cluster, NodeOnHost { host, node }: NodeOnHost) -> bool {
        let is_dead =
            |node: usize| self.dead_since.get(&node).is_some_and(|since| cluster.now - since > MAX_WRONG_ANSWER_TIME);
        let drained = drained(cluster, host, cluster.nodes[node].pool);
        let others: Vec<usize> = self.undrained(&drained).filter(|other| *other != node).collect();
        self.nodes.contains(&node)
            && !others.is_empty()
            && is_known_usable(cluster, host, node)
            && others.into_iter().all(is_dead)
    }

    /// The configured nodes that are not among the drained ones.
    fn undrained<T>(&self, drained: &BTreeMap<usize, T>) -> impl Iterator<Item = usize> {
        self.nodes.iter().copied().filter(|node| !drained.contains_key(node))
    }
}

/// The active drains of a host's configured nodes of a pool.
fn drained(cluster: &Cluster, host: usize, pool: usize) -> BTreeMap<usize, &OverrideEntry> {
    let Some(running) = &cluster.hosts[host].running else { return BTreeMap::new() };
    let is_drain = |entry: &&OverrideEntry| entry.active().is_some_and(|active| active.kind == OverrideKind::Drain);
    let nodes = (0..cluster.nodes.len()).filter(|node| cluster.nodes[*node].pool == pool);
    let nodes = nodes.filter(|node| running.engine.has(&cluster.nodes[*node].target));
    nodes.filter_map(|node| Some((node, entry(cluster, NodeOnHost { host, node }).filter(is_drain)?))).collect()
}

fn entry(cluster: &Cluster, NodeOnHost { host, node }: NodeOnHost) -> Option<&OverrideEntry> {
    let engine = &cluster.hosts[host].running.as_ref()?.engine;
    let name = &cluster.nodes[node].target.node;
    engine.override_entries().find(|(key, _)| key.node == *name).map(|(_, entry)| entry)
}

/// Tells if one of these drains was made without knowledge of an earlier one.
fn are_concurrent(drained: &BTreeMap<usize, &OverrideEntry>) -> bool {
    let ignores = |later: &OverrideEntry, earlier: &OverrideEntry| {
        earlier.timestamp < later.timestamp && !later.causal_context.contains(&earlier.timestamp)
    };
    drained.values().any(|later| drained.values().any(|earlier| ignores(later, earlier)))
}

/// Tells if a node is dead and not forced, and the host and all that it reaches have found that.
fn is_known_dead(cluster: &Cluster, host: usize, node: usize) -> bool {
    let active = entry(cluster, NodeOnHost { host, node }).and_then(OverrideEntry::active);
    let is_found = |target| all_find(cluster, host, target, |own| own == Grade::Down, |vote| vote < Grade::Live);
    cluster.nodes[node].state.is_dead()
        && active.is_none_or(|active| active.kind != OverrideKind::Force)
        && targets_of(cluster, node).all(is_found)
}

/// Tells if a node is ready, and the host and all that it reaches have found that.
fn is_known_usable(cluster: &Cluster, host: usize, node: usize) -> bool {
    let is_ready = |grade| grade == Grade::Ready;
    cluster.nodes[node].state == NodeState::Ready
        && targets_of(cluster, node).any(|target| all_find(cluster, host, target, is_ready, is_ready))
}

fn targets_of(cluster: &Cluster, node: usize) -> impl Iterator<Item = usize> {
    (0..cluster.targets.len()).filter(move |target| cluster.targets[*target].node == node)
}

/// Tells if the host's own grade of a target and the votes of all reachable hosts on it are as given.
fn all_find(
    cluster: &Cluster,
    host: usize,
    target: usize,
    own: impl Fn(Grade) -> bool,
    vote: impl Fn(Grade) -> bool,
) -> bool {
    let Some(running) = &cluster.hosts[host].running else { return false };
    let target = &running.targets[target];
    let finds_itself = running.engine.healths().any(|(of, health)| of == target && own(health.grade()));
    let voting = running.engine.views().filter(|view| !view.abstains);
    let mut votes = voting.filter_map(|view| view.votes.get(target));
    finds_itself && votes.all(|of_target| vote(of_target.grade))
}
