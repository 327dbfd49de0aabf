//! The rules of answers: none is empty, no family has dead nodes alone for long while a better one is known, and none has a dead
//! node beside good ones for longer than it takes to find out and to spread that.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daymark_decision::{Answer, Basis, Family, Grade, OverrideKind};

use crate::cluster::Cluster;
use crate::fault::NodeState;
use crate::invariants::{has_target, overridden};
use crate::probing::{CONFIRM_INTERVAL, DETECTION, PROBE_INTERVAL};

/// Milliseconds for which an answer may have dead targets alone while a host with a quorum knows a better one. It takes that
/// long to notice that a host has become unreachable, and to spread that.
pub const MAX_WRONG_ANSWER_TIME: u64 = 8_000;

/// Milliseconds in which a verdict reaches all hosts while no message is lost.
const GOSSIP_TIME: u64 = 300;

/// The rule, with the time since which each answer has been wrong: of each host, of each pool, of each family.
pub(crate) struct AnswerInvariant {
    wrong_since: Vec<Vec<[Option<u64>; 2]>>,
}

impl AnswerInvariant {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self { wrong_since: vec![vec![[None; 2]; cluster.setup.pools]; cluster.hosts.len()] }
    }

    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        let known_ready = known_ready(cluster);
        for host in 0..cluster.hosts.len() {
            let answers = cluster.hosts[host].last_answers();
            for (pool, answer) in answers.iter().enumerate() {
                let name = cluster.hosts[host].name();
                if answer.members.is_empty() {
                    return Err(format!("{name} has an empty answer"));
                }
                check_dead_beside_good(cluster, host, answer)?;
                for (family, since) in Family::ALL.into_iter().zip(&mut self.wrong_since[host][pool]) {
                    let addresses = addresses(answer, family);
                    if addresses.is_empty() || !is_wrong(cluster, host, pool, &addresses, &known_ready) {
                        *since = None;
                        continue;
                    }
                    let wrong_for = cluster.now - *since.get_or_insert(cluster.now);
                    if wrong_for > MAX_WRONG_ANSWER_TIME {
                        return Err(format!("{name} has answered with dead {family} nodes alone for {wrong_for} ms"));
                    }
                }
            }
            if answers.is_empty() {
                self.wrong_since[host].fill([None; 2]);
            }
        }
        Ok(())
    }
}

pub(super) fn addresses(answer: &Answer, family: Family) -> Vec<IpAddr> {
    answer.members.iter().map(|member| member.address).filter(|address| Family::of(*address) == family).collect()
}

/// Checks that no answer with a usable node has one that has been dead for long. While hosts or their paths are disturbed, it
/// may take longer, so that is left to the other rule.
fn check_dead_beside_good(cluster: &Cluster, host: usize, answer: &Answer) -> Result<(), String> {
    if !cluster.is_calm() {
        return Ok(());
    }
    for member in &answer.members {
        let (Some(target), Some(node)) = (cluster.target_at(member.address), cluster.node_at(member.address)) else {
            continue;
        };
        let basis = answer.bases.get(&Family::of(member.address));
        if !node.state.is_dead() || basis.is_none_or(|basis| *basis > Basis::Live) {
            continue;
        }
        let dead_for = cluster.now - node.changed_at;
        // A host that does not reach the node is not told that its process ends.
        let is_noticed = node.state == NodeState::Dead && cluster.is_reached_by_all(target);
        let at_once = if is_noticed { PROBE_INTERVAL + CONFIRM_INTERVAL } else { DETECTION };
        // The probes of a node that had just changed may prove less than that it is dead, so it takes a second proof.
        let max = if node.was_steady { at_once } else { at_once + DETECTION } + GOSSIP_TIME;
        if dead_for > max && !overridden(cluster, host, OverrideKind::Force).contains(&member.address) {
            let name = cluster.hosts[host].name();
            return Err(format!("{name} answers {}, dead for {dead_for} ms, beside good ones", member.address));
        }
    }
    Ok(())
}

/// Tells if an answer has dead nodes alone, though the host could know a better one and no operator forced it.
fn is_wrong(cluster: &Cluster, host: usize, pool: usize, answer: &[IpAddr], known_ready: &BTreeSet<IpAddr>) -> bool {
    if !answer.iter().all(|address| cluster.is_dead(*address)) {
        return false;
    }
    let forced = overridden(cluster, host, OverrideKind::Force);
    let drained = overridden(cluster, host, OverrideKind::Drain);
    let family = answer.first().map(|address| Family::of(*address));
    let is_better = |address: &IpAddr| {
        Some(Family::of(*address)) == family
            && cluster.node_at(*address).is_some_and(|node| node.pool == pool)
            && !drained.contains(address)
            && has_target(cluster, host, *address)
    };
    cluster.hosts[host].running_with_quorum().is_some()
        && known_ready.iter().any(is_better)
        && !answer.iter().any(|address| forced.contains(address))
}

/// The addresses of ready nodes that a host with a quorum finds ready itself.
fn known_ready(cluster: &Cluster) -> BTreeSet<IpAddr> {
    let mut known = BTreeSet::new();
    for running in cluster.hosts.iter().filter_map(|host| host.running_with_quorum()) {
        if !running.engine.is_isolated() {
            let ready = running.engine.healths().filter(|(_, health)| health.grade() == Grade::Ready);
            known.extend(ready.map(|(target, _)| target.address));
        }
    }
    known.retain(|address| cluster.node_at(*address).is_some_and(|node| node.state == NodeState::Ready));
    known
}
