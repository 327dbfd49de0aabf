//! The pools in the status, each with its answer and its targets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;

use daymark_decision::{
    AnswerStatus, Basis, Family, Grade, Kind, Moment, NodeName, Observation, Override, PoolName, Reason,
};
use serde::{Deserialize, Serialize};

use crate::{DiscoveryStatus, HostVote, Origin};

/// One pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// Its name.
    pub name: PoolName,
    /// The addresses of its answer, in the operator's order.
    pub addresses: Vec<IpAddr>,
    /// The worst basis of the answer.
    pub basis: Basis,
    /// The basis of each address family of the answer.
    pub bases: BTreeMap<Family, Basis>,
    /// The TTL in seconds.
    pub ttl_seconds: u32,
    /// The generation of the answer.
    pub generation: u64,
    /// Its targets, in the operator's order.
    pub targets: Vec<TargetStatus>,
    /// The overrides on nodes that are not configured now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_overrides: Vec<PendingOverride>,
    /// The nodes whose override was set or cleared, and that this host could not save: its restart would lose the change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsaved_overrides: Vec<NodeName>,
    /// The CAs of its file `ca`, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<ExpiryStatus>,
    /// The client certificate or the token of its probes; `None` without one, and for a token without a known end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<ExpiryStatus>,
    /// The error of the files of `ca` and `auth`, if they cannot be used any more. The probes go on with their last good version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_file_error: Option<String>,
    /// The discovery of its nodes; `None` if it is not enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<DiscoveryStatus>,
}

/// A certificate or a token with its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpiryStatus {
    /// The subject of the certificate, or the file of the token.
    pub name: String,
    /// Its end (`notAfter` or `exp`).
    pub not_after: Moment,
    /// The warning that it has expired or will soon, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// An override that has no effect until its node is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingOverride {
    /// The node.
    pub node: NodeName,
    /// The override.
    #[serde(rename = "override")]
    pub active_override: Override,
}

impl PendingOverride {
    /// The override as a sentence, with the command that clears it. `pool` is its pool, one of `pools`.
    pub fn message(&self, pool: &PoolStatus, pools: &[PoolStatus]) -> String {
        let Self { node, active_override } = self;
        let participle = active_override.kind.participle();
        let is_ambiguous = pools.iter().any(|other| other.name != pool.name && other.has_node(node.as_str()));
        let option = if is_ambiguous { format!(" --pool {}", pool.name) } else { String::new() };
        format!(
            "{node}: override pending until the node is configured; {participle} {active_override}; \
             `daymark undrain {node}{option}` clears it"
        )
    }
}

impl PoolStatus {
    /// True if the pool has the node, or a pending override of it.
    pub fn has_node(&self, node: &str) -> bool {
        let pending = self.pending_overrides.iter().map(|pending| &pending.node);
        self.targets.iter().map(|target| &target.node).chain(pending).any(|known| known.as_str() == node)
    }

    /// The number of targets whose last probe failed because of a local error.
    pub fn local_error_count(&self) -> usize {
        self.local_errors().count()
    }

    /// The number of targets that refused the credentials of the last probe.
    pub fn refused_credentials_count(&self) -> usize {
        self.refused_credentials().count()
    }

    /// The alarm that targets refuse the credentials of the probes.
    fn refused_credentials_alarm(&self) -> Option<String> {
        let ObservedTarget { target, observed } = self.refused_credentials().next()?;
        let count = self.refused_credentials_count();
        let answering = self.observed().filter(|known| is_answer(&known.observed.observation.kind)).count();
        let by = match (count, answering) {
            (1, 1) => "the only target that answers".to_owned(),
            (count, answering) if count == answering => format!("all {count} targets that answer"),
            (count, answering) => format!("{count} of {answering} targets that answer"),
        };
        Some(format!(
            "{}: the credentials of the probes are refused by {by}, so their readiness and their shutdown are not seen; {} {}: {}",
            self.name, target.node, target.address, observed.message
        ))
    }

    fn refused_credentials(&self) -> impl Iterator<Item = ObservedTarget<'_>> {
        self.observed().filter(|known| known.observed.observation.kind.refuses_credentials())
    }

    /// The alarms, as sentences.
    pub fn alarms(&self) -> Vec<String> {
        let has_verdicts = self.targets.iter().all(|target| target.reason.has_verdict());
        let families = self.targets.iter().map(|target| Family::of(target.address));
        let mut alarms = basis_alarms(&self.name, &self.bases, families, has_verdicts);
        if let Some(ObservedTarget { target, observed }) = self.local_errors().next() {
            alarms.push(format!(
                "{}: {} of {} targets cannot be probed because of an error on this host, so their grades stay; {} {}: {}",
                self.name,
                self.local_error_count(),
                self.targets.len(),
                target.node,
                target.address,
                observed.message
            ));
        }
        alarms.extend(self.refused_credentials_alarm());
        let warnings = self.authorities.iter().chain(&self.credentials).filter_map(|of| of.warning.as_ref());
        alarms.extend(warnings.map(|warning| format!("{}: {warning}", self.name)));
        alarms.extend(
            self.probe_file_error
                .iter()
                .map(|error| unusable_file_alarm(&format!("{}: a file of `probe`", self.name), error)),
        );
        alarms.extend(self.unsaved_alarm());
        alarms.extend(self.nothing_known());
        alarms.extend(self.discovery.iter().flat_map(|discovery| discovery.alarms(&self.name)));
        alarms
    }

    /// The alarm that overrides are active and on no disk of this host.
    fn unsaved_alarm(&self) -> Option<String> {
        let nodes: Vec<&str> = self.unsaved_overrides.iter().map(NodeName::as_str).collect();
        (!nodes.is_empty()).then(|| {
            format!(
                "{}: the overrides of {} are active, but not saved on this host; a restart of this host loses them, unless \
                 another host has them",
                self.name,
                nodes.join(", ")
            )
        })
    }

    /// The alarm that this host may know no usable node: discovery is enabled, no list of nodes is known, and no seed is usable.
    pub fn nothing_known(&self) -> Option<String> {
        let is_blank = self.discovery.as_ref().is_some_and(DiscoveryStatus::is_blank);
        let is_lost = is_blank && !self.targets.iter().any(|target| target.grade >= Grade::Live);
        is_lost.then(|| format!("{}: no seed is usable and no list of its nodes is known", self.name))
    }

    /// Adds the discovery, and its origin to each target.
    #[must_use]
    pub fn with_discovery(self, discovery: Option<DiscoveryStatus>) -> Self {
        let mut targets = self.targets;
        for target in &mut targets {
            target.origin = discovery.as_ref().map(|discovery| discovery.origin(&target.node, target.address));
        }
        Self { targets, discovery, ..self }
    }

    fn local_errors(&self) -> impl Iterator<Item = ObservedTarget<'_>> {
        self.observed().filter(|known| known.observed.observation.kind.grade().is_none())
    }

    fn observed(&self) -> impl Iterator<Item = ObservedTarget<'_>> {
        self.targets.iter().filter_map(|target| Some(ObservedTarget { target, observed: target.observed.as_ref()? }))
    }
}

/// A target with the observation of its last probe.
struct ObservedTarget<'a> {
    target: &'a TargetStatus,
    observed: &'a Observed,
}

/// True if the target answered the probe, be it with a refusal of its credentials.
fn is_answer(kind: &Kind) -> bool {
    kind.refuses_credentials() || kind.grade() >= Some(Grade::Live)
}

/// The alarm of a watched file that cannot be used any more. Its last good version stays in use.
pub fn unusable_file_alarm(file: &str, error: impl Display) -> String {
    format!("{file} cannot be used any more: {error}; its last good version stays in use until a restart of Daymark")
}

/// The alarms of an answer in which a family of the pool has no usable target. `families` are those of its targets, and
/// `has_verdicts` is true if every target has a verdict.
pub fn basis_alarms(
    pool: &PoolName,
    bases: &BTreeMap<Family, Basis>,
    families: impl Iterator<Item = Family>,
    has_verdicts: bool,
) -> Vec<String> {
    let families: BTreeSet<Family> = families.collect();
    let states: Vec<_> =
        families.iter().map(|family| (family, basis_alarm(bases.get(family).copied(), has_verdicts))).collect();
    let is_one = states.iter().all(|(_, state)| *state == states[0].1);
    let alarm = |(family, state): &(&Family, Option<&str>)| {
        let state = (*state)?;
        Some(if is_one { format!("{pool}: {state}") } else { format!("{pool}, {family}: {state}") })
    };
    let mut alarms: Vec<String> = states.iter().filter_map(alarm).collect();
    alarms.dedup();
    alarms
}

/// The alarm of one family; `None` if a target of it is usable. A family without a basis is not answered.
fn basis_alarm(basis: Option<Basis>, has_verdicts: bool) -> Option<&'static str> {
    Some(match basis {
        Some(Basis::Minority) => {
            "no target is usable by the votes of the hosts, so those that a minority can use are answered"
        }
        Some(Basis::Forced) => "no target is usable, so the forced ones are answered",
        Some(Basis::LastKnownGood) => "no target is usable, so the last good answer stands",
        Some(Basis::Bootstrap) if has_verdicts => "no target has been usable yet, so all nodes are answered",
        None if has_verdicts => "no target has been usable yet, so none is answered",
        None | Some(Basis::Bootstrap | Basis::Ready | Basis::Live) => return None,
    })
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Its node.
    pub node: NodeName,
    /// Its address.
    pub address: IpAddr,
    /// Its grade after thresholds, as this host sees it.
    pub grade: Grade,
    /// The time of the last transition; `None` before the first grade.
    pub since: Option<Moment>,
    /// Its answer status: in the answer or out of it.
    pub answer_status: AnswerStatus,
    /// The reason.
    pub reason: Reason,
    /// The same as a sentence.
    pub message: String,
    /// The last observation of this run.
    pub observed: Option<Observed>,
    /// The override of the node.
    #[serde(rename = "override")]
    pub active_override: Option<Override>,
    /// The vote of each reachable host, this one first; empty for a host without peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<HostVote>,
    /// Its origin; `None` if discovery is not enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The reason for which the hosts reverted the last drain of the node, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverted: Option<String>,
}

/// One observation with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The time.
    pub at: Moment,
    /// The finding, as a sentence.
    pub message: String,
    /// The observation.
    #[serde(flatten)]
    pub observation: Observation,
}
