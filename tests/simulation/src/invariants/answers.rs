//! The rules of answers: none is empty, and none has dead nodes alone for long while a better one is known.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daymark_decision::{Grade, OverrideKind};

use crate::cluster::Cluster;
use crate::fault::NodeState;
use crate::invariants::{has_target, overridden};

/// Milliseconds for which an answer may have dead targets alone while a host with a quorum knows a better one. It takes that
/// long to notice that a host has become unreachable, and to spread that.
pub const MAX_WRONG_ANSWER_TIME: u64 = 8_000;

/// The rule, with the time since which each host's answer has been wrong.
pub(crate) struct AnswerInvariant {
    wrong_since: Vec<Option<u64>>,
}

impl AnswerInvariant {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self { wrong_since: vec![None; cluster.hosts.len()] }
    }

    pub(crate) fn check(&mut self, cluster: &mut Cluster) -> Result<(), String> {
        let known_ready = known_ready(cluster);
        let now = cluster.now;
        for host in 0..cluster.hosts.len() {
            let Some(answer) = cluster.hosts[host].answer(now) else {
                self.wrong_since[host] = None;
                continue;
            };
            let name = cluster.hosts[host].name();
            let addresses: Vec<IpAddr> = answer.members.iter().map(|member| member.address).collect();
            if addresses.is_empty() {
                return Err(format!("{name} has an empty answer"));
            }
            if !is_wrong(cluster, host, &addresses, &known_ready) {
                self.wrong_since[host] = None;
                continue;
            }
            let since = *self.wrong_since[host].get_or_insert(now);
            if now - since > MAX_WRONG_ANSWER_TIME {
                return Err(format!("{name} has answered with dead nodes alone for {} ms", now - since));
            }
        }
        Ok(())
    }
}

/// Tells if an answer has dead nodes alone, though the host could know a better one and no operator forced it.
fn is_wrong(cluster: &Cluster, host: usize, answer: &[IpAddr], known_ready: &BTreeSet<IpAddr>) -> bool {
    let is_dead = |address| cluster.node_at(address).is_some_and(|node| node.state == NodeState::Dead);
    let forced = overridden(cluster, host, OverrideKind::Force);
    let drained = overridden(cluster, host, OverrideKind::Drain);
    let is_better = |address: &IpAddr| !drained.contains(address) && has_target(cluster, host, *address);
    answer.iter().all(|address| is_dead(*address))
        && cluster.hosts[host].running_with_quorum().is_some()
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
