//! The rules of bases: what an answer says of the health of its nodes is true, and a family that was good is never emptied.
//!
//! Each family of each pool is judged alone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daymark_decision::{Answer, Basis, Family, Mode, OverrideKind};

use crate::cluster::{Cluster, SimulatedTarget};
use crate::invariants::answers::addresses;
use crate::invariants::{has_target, overridden};
use crate::probing::{DETECTION, PROBE_INTERVAL};

/// Milliseconds in which every host learns of a change of a node, in the worst case of all probes.
const LEARNING_TIME: u64 = 2 * DETECTION + PROBE_INTERVAL;

/// The rules, with the addresses that each run of each host has found good.
pub(crate) struct BasisInvariant(Vec<FoundGood>);

#[derive(Clone, Default)]
struct FoundGood {
    run: u64,
    addresses: BTreeSet<IpAddr>,
}

/// The basis of one family of an answer.
struct OfFamily<'a> {
    cluster: &'a Cluster,
    host: usize,
    pool: usize,
    family: Family,
    /// `None` if the family has no members.
    basis: Option<Basis>,
    members: Vec<IpAddr>,
}

impl BasisInvariant {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self(vec![FoundGood::default(); cluster.hosts.len()])
    }

    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        for host in 0..cluster.hosts.len() {
            let Some(running) = &cluster.hosts[host].running else { continue };
            let found = &mut self.0[host];
            if found.run != running.number || running.is_set_back {
                *found = FoundGood { run: running.number, ..FoundGood::default() };
            }
            let answers = cluster.hosts[host].last_answers();
            found.addresses.retain(|address| has_target(cluster, host, *address));
            for (pool, answer) in answers.iter().enumerate() {
                for family in Family::ALL {
                    let of_family = OfFamily::new(cluster, host, pool, family, answer);
                    of_family.check(&found.addresses).map_err(|message| {
                        let name = cluster.hosts[host].name();
                        format!(
                            "{name}, pool {pool}, {family}, {:?} {:?}: {message}",
                            of_family.basis, of_family.members
                        )
                    })?;
                    found.addresses.extend(of_family.good());
                }
            }
        }
        Ok(())
    }
}

impl<'a> OfFamily<'a> {
    fn new(cluster: &'a Cluster, host: usize, pool: usize, family: Family, answer: &Answer) -> Self {
        let members = addresses(answer, family);
        Self { cluster, host, pool, family, basis: answer.bases.get(&family).copied(), members }
    }

    fn check(&self, found_good: &BTreeSet<IpAddr>) -> Result<(), String> {
        let since = self.cluster.now.saturating_sub(LEARNING_TIME);
        let is_calm = self.cluster.is_calm();
        let any = |is: &dyn Fn(&crate::cluster::SimulatedNode) -> bool| {
            self.members.iter().filter_map(|address| self.cluster.node_at(*address)).any(is)
        };
        let was_found_good = self.configured().any(|target| found_good.contains(&target.address));
        let is_basis_true = match self.basis {
            Some(Basis::Ready) => !is_calm || any(&|node| node.was_ready_since(since)),
            Some(Basis::Live | Basis::Minority) => !is_calm || any(&|node| node.was_usable_since(since)),
            Some(Basis::Forced) => self.has_forced_member(),
            Some(Basis::LastKnownGood) => self.was_ever_usable(),
            Some(Basis::Bootstrap) | None => !was_found_good,
        };
        if !is_basis_true {
            return Err("the basis does not fit".to_owned());
        }
        // Under `failover`, a forced node of a better priority is answered alone.
        let is_operators = self.basis == Some(Basis::Forced) && self.cluster.setup.mode == Mode::Failover;
        let is_bad = self.basis.is_some_and(|basis| basis > Basis::Live) && !is_operators;
        match self.known_ready(since).filter(|_| is_bad && is_calm) {
            Some(address) => Err(format!("{address} has been ready for long")),
            None => Ok(()),
        }
    }

    fn configured(&self) -> impl Iterator<Item = &SimulatedTarget> {
        let targets = self.cluster.targets.iter().filter(|target| target.family() == self.family);
        let of_pool = targets.filter(|target| self.cluster.nodes[target.node].pool == self.pool);
        of_pool.filter(|target| has_target(self.cluster, self.host, target.address))
    }

    fn was_ever_usable(&self) -> bool {
        let nodes = self.configured().filter_map(|target| self.cluster.node_at(target.address));
        nodes.into_iter().any(|node| node.was_usable_since(0))
    }

    fn has_forced_member(&self) -> bool {
        let forced = overridden(self.cluster, self.host, OverrideKind::Force);
        self.members.iter().any(|address| forced.contains(address))
    }

    /// An address that has been ready and in reach of all hosts since then. A forced node, and one that a minority can use, comes
    /// before a drained one.
    fn known_ready(&self, since: u64) -> Option<IpAddr> {
        let drained = overridden(self.cluster, self.host, OverrideKind::Drain);
        let mut ready = self.configured().filter(|target| {
            let node = self.cluster.node_at(target.address);
            node.is_some_and(|node| node.is_ready_since(since))
                && target.path_changed_at <= since
                && self.cluster.is_reached_by_all(target)
                && (!matches!(self.basis, Some(Basis::Minority | Basis::Forced)) || !drained.contains(&target.address))
        });
        ready.next().map(|target| target.address)
    }

    /// The members that the host has found good: the basis says so, and so does the truth.
    fn good(&self) -> Vec<IpAddr> {
        let forced = overridden(self.cluster, self.host, OverrideKind::Force);
        let is_good = |address: &IpAddr| {
            self.basis == Some(Basis::Ready)
                && !forced.contains(address)
                && self.cluster.node_at(*address).is_some_and(|node| node.state == crate::fault::NodeState::Ready)
        };
        self.members.iter().copied().filter(is_good).collect()
    }
}
