//! The rules that hold after every event of a run.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daymark_decision::OverrideKind;

use crate::cluster::Cluster;

mod answers;
mod basis;
pub(crate) mod drains;
mod expiry;
mod generations;
mod membership;
mod writers;

pub use answers::MAX_WRONG_ANSWER_TIME;

use answers::AnswerInvariant;
use basis::BasisInvariant;
use drains::DrainInvariant;
use expiry::ExpiryInvariant;
use generations::GenerationInvariant;
use membership::MembershipInvariant;

/// Milliseconds between two checks while no host has anything new.
const CHECK_INTERVAL: u64 = 50;

/// All rules, with what each remembers of the run.
pub(crate) struct Invariants {
    answers: AnswerInvariant,
    basis: BasisInvariant,
    generations: GenerationInvariant,
    membership: MembershipInvariant,
    pub(crate) drains: DrainInvariant,
    expiry: ExpiryInvariant,
    checked: Checked,
}

/// The state of the hosts at the last check.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Checked {
    at: u64,
    /// The sum of the numbers of all runs.
    runs: u64,
    /// The sum of the revisions of all engines.
    revisions: u64,
}

impl Invariants {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self {
            answers: AnswerInvariant::new(cluster),
            basis: BasisInvariant::new(cluster),
            generations: GenerationInvariant::new(cluster),
            membership: MembershipInvariant::new(cluster),
            drains: DrainInvariant::new(cluster),
            expiry: ExpiryInvariant::new(cluster),
            checked: Checked::default(),
        }
    }

    pub(crate) fn check(&mut self, cluster: &mut Cluster) -> Result<(), String> {
        writers::check(cluster)?;
        // While no engine has anything new, only time passes. The bounds of the rules are much longer than this pause.
        let former = std::mem::replace(&mut self.checked, Checked::of(cluster));
        if self.checked.is_same_state(former) && cluster.now - former.at < CHECK_INTERVAL {
            self.checked = former;
            return Ok(());
        }
        let now = cluster.now;
        for host in &mut cluster.hosts {
            host.answers(now);
        }
        let cluster = &*cluster;
        self.drains.check(cluster)?;
        self.expiry.check(cluster)?;
        self.answers.check(cluster)?;
        self.basis.check(cluster)?;
        self.membership.check(cluster)?;
        self.generations.check(cluster)
    }
}

impl Checked {
    fn of(cluster: &Cluster) -> Self {
        let mut checked = Self { at: cluster.now, ..Self::default() };
        for running in cluster.hosts.iter().filter_map(|host| host.running.as_ref()) {
            checked.runs += running.number;
            checked.revisions += running.engine.revision();
        }
        checked
    }

    fn is_same_state(self, former: Self) -> bool {
        self.runs == former.runs && self.revisions == former.revisions
    }
}

/// The addresses of the nodes with an active override of this kind on a host.
pub(crate) fn overridden(cluster: &Cluster, host: usize, kind: OverrideKind) -> BTreeSet<IpAddr> {
    let Some(running) = &cluster.hosts[host].running else { return BTreeSet::new() };
    let mut addresses = BTreeSet::new();
    for (key, _) in running.engine.overrides().filter(|(_, active)| active.kind == kind) {
        let of_node = running.targets.iter().filter(|target| target.pool == key.pool && target.node == key.node);
        addresses.extend(of_node.map(|target| target.address));
    }
    addresses
}

/// Tells if a host runs and has this address in its configuration.
pub(crate) fn has_target(cluster: &Cluster, host: usize, address: IpAddr) -> bool {
    let Some(running) = &cluster.hosts[host].running else { return false };
    running.targets.iter().any(|target| target.address == address && running.engine.has(target))
}
