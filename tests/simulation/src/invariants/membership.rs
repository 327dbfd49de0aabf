//! The rules against flicker: no address leaves an answer while its node is ready, and none comes back while its node has not
//! become better.
//!
//! They are judged while nothing but nodes and their paths changes. Each family of each pool is judged alone. A host that has
//! just lost the last node that it reaches abstains, and a tie of the others may bring a dead node back for some milliseconds,
//! until they find it down too. So returns are not judged while a host is isolated.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use daymark_decision::{Basis, Family, Mode, OverrideKind};

use crate::cluster::{Cluster, SimulatedNode, SimulatedTarget};
use crate::fault::NodeState;
use crate::invariants::overridden;
use crate::probing::{DETECTION, PROBE_INTERVAL};

/// Milliseconds in which every host learns of a change of a node, in the worst case of all probes.
const LEARNING_TIME: u64 = 2 * DETECTION + PROBE_INTERVAL;

/// The rules, with the last answers of each host.
pub(crate) struct MembershipInvariant(Vec<History>);

#[derive(Clone, Default)]
struct History {
    run: u64,
    revision: u64,
    /// The addresses that are answered.
    members: BTreeSet<IpAddr>,
    left: BTreeMap<IpAddr, Left>,
}

/// An address that has left an answer.
#[derive(Clone, Copy)]
struct Left {
    at: u64,
    /// Its node was ready, so it left because of an override or of the steering, and may return with these.
    was_ready: bool,
}

impl MembershipInvariant {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self(vec![History::default(); cluster.hosts.len()])
    }

    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        let is_any_isolated = |cluster: &Cluster| {
            cluster.hosts.iter().filter_map(|host| host.running.as_ref()).any(|running| running.engine.is_isolated())
        };
        for (host, history) in self.0.iter_mut().enumerate() {
            let Some(running) = &cluster.hosts[host].running else { continue };
            let revision = running.engine.revision();
            let is_new_run = history.run != running.number;
            if !is_new_run && history.revision == revision {
                continue;
            }
            if is_new_run {
                *history = History { run: running.number, ..History::default() };
            }
            history.revision = revision;
            let answers = cluster.hosts[host].last_answers();
            let members: BTreeSet<IpAddr> =
                answers.iter().flat_map(|answer| answer.members.iter().map(|member| member.address)).collect();
            let ready: BTreeSet<IpAddr> = answers
                .iter()
                .flat_map(|answer| answer.members.iter().map(move |member| (member.address, answer)))
                .filter(|(address, answer)| answer.bases.get(&Family::of(*address)) == Some(&Basis::Ready))
                .map(|(address, _)| address)
                .collect();
            let former = std::mem::replace(&mut history.members, members);
            let name = cluster.hosts[host].name();
            for address in former.difference(&history.members) {
                let node = cluster.node_at(*address);
                let was_ready = node.is_some_and(|node| node.state == NodeState::Ready);
                history.left.insert(*address, Left { at: cluster.now, was_ready });
                if cluster.is_calm() && !may_leave(cluster, host, *address, &history.members) {
                    return Err(format!("{address} leaves the answer of {name} though it is ready"));
                }
            }
            for address in history.members.difference(&former).filter(|_| !is_new_run) {
                let left = history.left.get(address).copied();
                let is_compared = cluster.is_calm() && ready.contains(address) && !is_any_isolated(cluster);
                if is_compared && !may_enter(cluster, host, *address, left) {
                    return Err(format!("{address} enters the answer of {name} though it has not become better"));
                }
            }
        }
        Ok(())
    }
}

/// Tells if an address may leave: it is not ready for long, or drained, or one of a better priority is answered.
fn may_leave(cluster: &Cluster, host: usize, address: IpAddr, members: &BTreeSet<IpAddr>) -> bool {
    let since = cluster.now.saturating_sub(LEARNING_TIME);
    let Some(Known { target, node }) = known(cluster, address) else { return true };
    let is_better = |other: &IpAddr| {
        let Some(other) = cluster.target_at(*other) else { return false };
        other.family() == target.family()
            && cluster.nodes[other.node].pool == node.pool
            && cluster.setup.priority(other.node) < cluster.setup.priority(target.node)
    };
    !node.is_ready_since(since)
        || target.path_changed_at > since
        || !cluster.is_reached_by_all(target)
        || overridden(cluster, host, OverrideKind::Drain).contains(&address)
        || (cluster.setup.mode == Mode::Failover && members.iter().any(is_better))
}

/// Tells if an address may enter an answer of ready nodes: its node is ready, or was when the last probes of some host began,
/// and has become better since it left. Forced ones always may.
fn may_enter(cluster: &Cluster, host: usize, address: IpAddr, left: Option<Left>) -> bool {
    let Some(Known { target, node }) = known(cluster, address) else {
        return overridden(cluster, host, OverrideKind::Force).contains(&address);
    };
    let since = cluster.now.saturating_sub(LEARNING_TIME);
    let has_changed = |left: Left| {
        let since = left.at.saturating_sub(LEARNING_TIME);
        left.was_ready || node.improved_at > since || target.path_changed_at > since
    };
    let may_be_ready = node.was_ready_since(since) && left.is_none_or(has_changed);
    node.state == NodeState::Ready || may_be_ready || overridden(cluster, host, OverrideKind::Force).contains(&address)
}

struct Known<'a> {
    target: &'a SimulatedTarget,
    node: &'a SimulatedNode,
}

fn known(cluster: &Cluster, address: IpAddr) -> Option<Known<'_>> {
    let target = cluster.target_at(address)?;
    Some(Known { target, node: cluster.node_at(address)? })
}
