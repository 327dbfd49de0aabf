//! The rules that hold after every event of a run.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daymark_decision::OverrideKind;

use crate::cluster::Cluster;

mod answers;
pub(crate) mod drains;
mod expiry;
mod writers;

pub use answers::MAX_WRONG_ANSWER_TIME;

use answers::AnswerInvariant;
use drains::DrainInvariant;
use expiry::ExpiryInvariant;

/// All rules, with what each remembers of the run.
pub(crate) struct Invariants {
    answers: AnswerInvariant,
    pub(crate) drains: DrainInvariant,
    expiry: ExpiryInvariant,
}

impl Invariants {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self {
            answers: AnswerInvariant::new(cluster),
            drains: DrainInvariant::new(cluster),
            expiry: ExpiryInvariant::new(cluster),
        }
    }

    pub(crate) fn check(&mut self, cluster: &mut Cluster) -> Result<(), String> {
        writers::check(cluster)?;
        self.drains.check(cluster)?;
        self.expiry.check(cluster)?;
        self.answers.check(cluster)
    }
}

/// The addresses of the nodes with an active override of this kind on a host.
pub(crate) fn overridden(cluster: &Cluster, host: usize, kind: OverrideKind) -> BTreeSet<IpAddr> {
    let Some(running) = &cluster.hosts[host].running else { return BTreeSet::new() };
    let mut addresses = BTreeSet::new();
    for node in &cluster.nodes {
        let mut overrides = running.engine.overrides();
        if overrides.any(|(key, active)| key.node == node.target.node && active.kind == kind) {
            addresses.insert(node.target.address);
        }
    }
    addresses
}

/// Tells if a host runs and has the node with this address in its configuration.
pub(crate) fn has_target(cluster: &Cluster, host: usize, address: IpAddr) -> bool {
    let Some(running) = &cluster.hosts[host].running else { return false };
    running.engine.healths().any(|(target, _)| target.address == address)
}
