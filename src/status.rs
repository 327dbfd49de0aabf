//! The state of a running host, as `/api/v1/status` gives it and `daymark status` and `explain` show it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use daymark_decision::{
    AnswerStatus, Basis, Grade, HostName, Moment, NodeName, Observation, Override, PoolName, QuorumState, Reason,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::complaint::PeerMismatch;
use crate::discovery::board::{DiscoveryStatus, Origin};

/// A provider that lags for more seconds is an alarm.
const LAG_TOLERANCE: u64 = 30;

/// The state of a running host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The version of Daymark.
    pub version: String,
    /// The start of the run, RFC 3339 in UTC.
    pub started: String,
    /// The time of this report, RFC 3339 in UTC.
    pub now: String,
    /// The pools, by name.
    pub pools: Vec<PoolStatus>,
    /// The providers, in the order of the configuration.
    pub providers: Vec<ProviderStatus>,
    /// This host among the others; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<HostsStatus>,
    /// The alarms, as sentences.
    pub alarms: Vec<String>,
}

/// This host among the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostsStatus {
    /// Its name.
    pub own: HostName,
    /// The number of configured hosts, this one included.
    pub members: usize,
    /// The state of the quorum as this host sees it.
    pub quorum_state: QuorumState,
    /// True if this host reaches no target, so that it abstains.
    pub isolated: bool,
    /// The elected writer, for providers that only one host may write to.
    pub writer: Option<HostName>,
    /// True if this host has a provider that only one host may write to.
    #[serde(default)]
    pub can_write: bool,
    /// True if this host holds the writer lease now.
    #[serde(default)]
    pub holds_writer_lease: bool,
    /// The mismatches with other hosts.
    #[serde(default)]
    pub mismatches: Vec<PeerMismatchStatus>,
    /// The others, by name.
    pub peers: Vec<PeerStatus>,
}

impl HostsStatus {
    /// True if another host would serve clients better: this one is isolated, and either some other host reaches targets or no
    /// other host is reachable.
    pub fn is_better_avoided(&self) -> bool {
        let mut reachable = self.peers.iter().filter(|peer| peer.reachable).peekable();
        self.isolated && (reachable.peek().is_none() || reachable.any(|peer| !peer.abstains))
    }

    /// The number of reachable hosts, this one included.
    pub fn reachable(&self) -> usize {
        1 + self.peers.iter().filter(|peer| peer.reachable).count()
    }

    /// The alarms, as sentences.
    pub fn alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        if self.quorum_state == QuorumState::NoQuorum {
            alarms.push(format!(
                "no quorum: {} of {} hosts are reachable, so this host decides by its own view",
                self.reachable(),
                self.members
            ));
        }
        if self.isolated {
            alarms.push("this host reaches no target, so it abstains".to_owned());
        }
        alarms.extend(self.peers.iter().filter_map(PeerStatus::unreachability));
        alarms.extend(self.mismatches.iter().map(|mismatch| mismatch.message.clone()));
        alarms
    }
}

/// A mismatch with another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerMismatchStatus {
    /// The host, which may be no member.
    pub host: HostName,
    /// The mismatch.
    #[serde(flatten)]
    pub mismatch: PeerMismatch,
    /// The same as a sentence, with the settings to compare.
    pub message: String,
}

/// Another host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// Its name.
    pub host: HostName,
    /// True if it is reachable.
    pub reachable: bool,
    /// Seconds since its last sign of life, direct or over a third host; `None` for never.
    pub last_contact: Option<f64>,
    /// Seconds since the last direct exchange with it; `None` for never.
    pub last_direct_contact: Option<f64>,
    /// The round-trip time to it in seconds.
    pub round_trip: Option<f64>,
    /// Seconds that its clock is ahead of this host's, as of its last message; below zero, it is behind.
    pub clock_ahead: Option<f64>,
    /// True if it is isolated, so that its votes do not count.
    pub abstains: bool,
    /// The hosts that it reaches, itself included.
    pub reachable_hosts: Vec<HostName>,
    /// The hash of its configuration of each pool, in hex.
    pub configuration: BTreeMap<PoolName, String>,
    /// The pools whose configuration differs from this host's, and those that only one of both hosts has.
    pub differs: Vec<PoolName>,
    /// Its grade of every target.
    pub targets: Vec<PeerTarget>,
}

impl PeerStatus {
    fn unreachability(&self) -> Option<String> {
        let host = &self.host;
        (!self.reachable).then(|| match self.last_contact {
            Some(seconds) => format!("host {host}: unreachable for {seconds:.0} s"),
            None => format!("host {host}: unreachable since this run began"),
        })
    }
}

/// A target as another host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerTarget {
    /// Its pool.
    pub pool: PoolName,
    /// Its node.
    pub node: NodeName,
    /// Its address.
    pub address: IpAddr,
    /// Its grade there.
    pub grade: Grade,
    /// True if that host has seen its orderly shutdown.
    pub shutting_down: bool,
}

/// One host's vote on a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostVote {
    /// The host.
    pub host: HostName,
    /// Its grade; `unknown` is no vote.
    pub grade: Grade,
    /// True if it has seen the target's orderly shutdown.
    pub shutting_down: bool,
    /// True if it abstains from every vote.
    pub abstains: bool,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// Its name.
    pub name: PoolName,
    /// The addresses of its answer, in the operator's order.
    pub addresses: Vec<IpAddr>,
    /// The basis of the answer.
    pub basis: Basis,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The generation of the answer.
    pub generation: u64,
    /// Its targets, in the operator's order.
    pub targets: Vec<TargetStatus>,
    /// The overrides on nodes that are not configured now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_overrides: Vec<PendingOverride>,
    /// The discovery of its nodes; `None` if it is not enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<DiscoveryStatus>,
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

impl fmt::Display for PendingOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, active_override } = self;
        let participle = active_override.kind.participle();
        write!(
            f,
            "{node} is not configured; it will be {participle} once it is: {active_override}; `daymark undrain {node}` clears this"
        )
    }
}

impl PoolStatus {
    /// The number of targets whose last probe failed because of a local error.
    pub fn local_error_count(&self) -> usize {
        self.local_errors().count()
    }

    /// The alarms, as sentences.
    pub fn alarms(&self) -> Vec<String> {
        let has_verdicts = self.targets.iter().all(|target| target.reason.has_verdict());
        let mut alarms: Vec<String> = none_usable(&self.name, self.basis, has_verdicts).into_iter().collect();
        if let Some((target, observed)) = self.local_errors().next() {
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
        alarms.extend(self.nothing_known());
        alarms.extend(self.discovery.iter().flat_map(|discovery| discovery.alarms(&self.name)));
        alarms
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
        let origin = |it: &TargetStatus| discovery.as_ref().map(|discovery| discovery.origin(&it.node, it.address));
        let targets = self.targets.into_iter().map(|it| TargetStatus { origin: origin(&it), ..it }).collect();
        Self { targets, discovery, ..self }
    }

    fn local_errors(&self) -> impl Iterator<Item = (&TargetStatus, &Observed)> {
        let observed = self.targets.iter().filter_map(|target| Some((target, target.observed.as_ref()?)));
        observed.filter(|(_, observed)| observed.observation.kind.grade().is_none())
    }
}

/// The alarm of an answer without a usable target. `has_verdicts` is true if every target has a verdict.
pub(crate) fn none_usable(pool: &PoolName, basis: Basis, has_verdicts: bool) -> Option<String> {
    let state = match basis {
        Basis::Minority => {
            "no target is usable by the votes of the hosts, so those that a minority can use are answered"
        }
        Basis::LastKnownGood => "no target is usable, so the last good answer stands",
        Basis::Bootstrap if has_verdicts => "no target has been usable yet, so all nodes are answered",
        _ => return None,
    };
    Some(format!("{pool}: {state}"))
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
    /// Its place: in the answer or out of it.
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

/// One provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// The generation to publish.
    pub desired: u64,
    /// The generation that is published; `None` before the first.
    pub published: Option<u64>,
    /// True if this host does not write: another one does, or none may.
    #[serde(default)]
    pub standby: bool,
    /// The error of the last attempt; `None` if it succeeded.
    pub error: Option<String>,
    /// The start of the attempt under way.
    pub attempt_since: Option<Timestamp>,
    /// The last success of publishing or of a drift check.
    pub last_success: Option<Timestamp>,
    /// The time since which the published generation is not the desired one.
    pub behind_since: Option<Timestamp>,
    /// The findings of the provider's checks, as sentences.
    pub findings: Vec<String>,
    /// The calls that the provider's API still allows in this window, as last reported.
    pub remaining: Option<u32>,
}

impl ProviderStatus {
    /// Whole seconds for which the published generation has not been the desired one.
    pub fn behind(&self, now: Timestamp) -> u64 {
        let behind = self.behind_since.map(|since| now.duration_since(since).as_secs());
        behind.and_then(|secs| u64::try_from(secs).ok()).unwrap_or_default()
    }

    /// The known reason for which the published generation may not be the desired one.
    pub fn lag_reason(&self) -> Option<String> {
        let under_way = self.attempt_since.map(|since| format!("an attempt is under way since {since}"));
        self.error.clone().or(under_way.filter(|_| self.behind_since.is_some()))
    }

    /// The alarms, as sentences.
    pub fn alarms(&self, now: Timestamp) -> Vec<String> {
        let behind = self.behind(now);
        let lag = (behind > LAG_TOLERANCE).then(|| {
            let reason = self.lag_reason().unwrap_or_else(|| "no attempt has ended yet".to_owned());
            let published =
                self.published.map_or("nothing".to_owned(), |generation| format!("generation {generation}"));
            format!("{published} is published, but {} has been desired for {behind} s: {reason}", self.desired)
        });
        let trouble = lag.or_else(|| self.error.clone());
        // A finding may be the reason for which publishing fails.
        let is_included = |finding: &String| trouble.as_ref().is_some_and(|message| message.contains(finding.as_str()));
        let more = self.findings.iter().filter(|finding| !is_included(finding));
        trouble.iter().chain(more).map(|message| format!("provider {}: {message}", self.name)).collect()
    }
}
