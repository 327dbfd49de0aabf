//! What a running host holds, as `/api/v1/status` gives it and `daymark status` and `explain` show it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use daymark_decision::{
    Basis, Grade, HostName, Moment, NodeName, Observation, Override, OverrideKind, Place, PoolName, Reason, Standing,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::complaint::Complaint;
use crate::discovery::board::{DiscoveryStatus, Origin};

/// A provider that has been behind for more seconds says so in its alarm.
const PATIENCE: u64 = 30;

/// What a running host holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The version of Daymark.
    pub version: String,
    /// When the run started, RFC 3339 in UTC.
    pub started: String,
    /// When this was told.
    pub now: String,
    /// The pools, by name.
    pub pools: Vec<PoolStatus>,
    /// The providers, in the order of the configuration.
    pub providers: Vec<ProviderStatus>,
    /// This host among the others; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<HostsStatus>,
    /// What an operator should look at, as sentences.
    pub alarms: Vec<String>,
}

/// This host among the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostsStatus {
    /// Its name.
    pub own: HostName,
    /// How many hosts are configured, this one included.
    pub members: usize,
    /// Who decides on the verdicts here.
    pub standing: Standing,
    /// Whether this host reaches no target at all, so that it abstains.
    pub blind: bool,
    /// The host that writes where only one may.
    pub writer: Option<HostName>,
    /// Whether this host has a provider that only one host may write to.
    #[serde(default)]
    pub is_writing: bool,
    /// Whether this host may write there now.
    #[serde(default)]
    pub may_write: bool,
    /// What is wrong with other hosts.
    #[serde(default)]
    pub complaints: Vec<ComplaintStatus>,
    /// The others, by name.
    pub peers: Vec<PeerStatus>,
}

impl HostsStatus {
    /// Whether another host would serve clients better than this one: it is blind, and the nodes are not known to be gone, for
    /// some host sees them or no other is heard.
    pub fn is_better_avoided(&self) -> bool {
        let mut heard = self.peers.iter().filter(|peer| peer.heard).peekable();
        self.blind && (heard.peek().is_none() || heard.any(|peer| !peer.abstains))
    }

    /// What an operator should look at, as sentences.
    pub fn alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        if self.standing == Standing::Alone {
            let heard = 1 + self.peers.iter().filter(|peer| peer.heard).count();
            alarms.push(format!(
                "this host is alone: it hears {heard} of {} hosts, itself included, and decides by its own view",
                self.members
            ));
        }
        if self.blind {
            alarms.push("this host finds no target that can be used, so it abstains".to_owned());
        }
        alarms.extend(self.peers.iter().filter_map(PeerStatus::silence));
        alarms.extend(self.complaints.iter().map(|complaint| complaint.sentence.clone()));
        alarms
    }
}

/// What is wrong with another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComplaintStatus {
    /// The host, which may be no member.
    pub host: HostName,
    /// What is wrong.
    #[serde(flatten)]
    pub complaint: Complaint,
    /// The same as a sentence, with what to compare.
    pub sentence: String,
}

/// Another host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// Its name.
    pub host: HostName,
    /// Whether it counts as heard.
    pub heard: bool,
    /// Seconds since it said anything, over whatever way; `None` for never.
    pub age: Option<f64>,
    /// Seconds since this host and it heard each other without a third; `None` for never.
    pub direct_age: Option<f64>,
    /// Seconds to it and back.
    pub round_trip: Option<f64>,
    /// Seconds that its clock is ahead of this host's, as of its last message; below zero, it is behind.
    pub clock_ahead: Option<f64>,
    /// Whether it takes itself for blind, so that its votes do not count.
    pub abstains: bool,
    /// Whom it hears, itself included.
    pub hears: Vec<HostName>,
    /// The digest of its configuration of each pool.
    pub configuration: BTreeMap<PoolName, String>,
    /// The pools that it has with another configuration than this host, or that only one of both has.
    pub differs: Vec<PoolName>,
    /// Its grade of every target.
    pub targets: Vec<PeerTarget>,
}

impl PeerStatus {
    fn silence(&self) -> Option<String> {
        let host = &self.host;
        (!self.heard).then(|| match self.age {
            Some(age) => format!("host {host} has not been heard for {age:.0} s"),
            None => format!("host {host} was not heard in this run"),
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
    /// Whether that host has seen its orderly shutdown.
    pub shutting_down: bool,
}

/// What one host votes on a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostVote {
    /// The host.
    pub host: HostName,
    /// Its grade; `unknown` is no vote.
    pub grade: Grade,
    /// Whether it has seen the target's orderly shutdown.
    pub shutting_down: bool,
    /// Whether it abstains from every vote.
    pub abstains: bool,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// Its name.
    pub name: PoolName,
    /// What it is answered with, in the operator's order.
    pub addresses: Vec<IpAddr>,
    /// On what ground these were chosen.
    pub basis: Basis,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The generation of the answer.
    pub generation: u64,
    /// Its targets, in the operator's order.
    pub targets: Vec<TargetStatus>,
    /// What operators have said of nodes that are not configured now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// How its nodes are found; `None`: they are not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<DiscoveryStatus>,
}

/// An override that has no effect until its node is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The node.
    pub node: NodeName,
    /// The override.
    pub order: Override,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, order } = self;
        let done = match order.kind {
            OverrideKind::Drain => "drained",
            OverrideKind::Force => "forced",
        };
        write!(f, "{node} is not configured, and {done} once it is, {order}; `daymark undrain {node}` lifts that")
    }
}

impl PoolStatus {
    /// How many targets this host could not probe the last time, by a fault of its own.
    pub fn unjudged(&self) -> usize {
        self.own_faults().count()
    }

    /// What an operator should look at, as sentences.
    pub fn alarms(&self) -> Vec<String> {
        let is_judged = self.targets.iter().all(|target| target.reason.is_judged());
        let mut alarms: Vec<String> = none_usable(&self.name, self.basis, is_judged).into_iter().collect();
        if let Some(example) = self.own_faults().next() {
            let (unjudged, all) = (self.unjudged(), self.targets.len());
            alarms.push(format!(
                "{}: {unjudged} of {all} targets cannot be judged, and their grades stay as they were; {} {}: {}",
                self.name, example.0.node, example.0.address, example.1.sentence
            ));
        }
        alarms.extend(self.nothing_known());
        alarms.extend(self.discovery.iter().flat_map(|discovery| discovery.alarms(&self.name)));
        alarms
    }

    /// Why this host may lack every node that can be used, as a sentence: its nodes are looked for, it remembers none and has
    /// found none, and no seed can be used.
    pub fn nothing_known(&self) -> Option<String> {
        let is_blank = self.discovery.as_ref().is_some_and(DiscoveryStatus::is_blank);
        let is_lost = is_blank && !self.targets.iter().any(|target| target.grade >= Grade::Live);
        is_lost.then(|| format!("{}: no seed can be used, and no list of its nodes is known", self.name))
    }

    /// Tells of each target where it comes from.
    #[must_use]
    pub fn with_discovery(self, discovery: Option<DiscoveryStatus>) -> Self {
        let origin = |it: &TargetStatus| discovery.as_ref().map(|discovery| discovery.origin(&it.node, it.address));
        let targets = self.targets.into_iter().map(|it| TargetStatus { origin: origin(&it), ..it }).collect();
        Self { targets, discovery, ..self }
    }

    fn own_faults(&self) -> impl Iterator<Item = (&TargetStatus, &Observed)> {
        let observed = self.targets.iter().filter_map(|target| Some((target, target.observed.as_ref()?)));
        observed.filter(|(_, observed)| observed.observation.kind.grade().is_none())
    }
}

/// What an operator should know of an answer for which no target speaks, as a sentence. `is_judged`: whether every target
/// has its verdict.
pub(crate) fn none_usable(pool: &PoolName, basis: Basis, is_judged: bool) -> Option<String> {
    let fate = match basis {
        Basis::Found => "what one host at least finds so is answered",
        Basis::Held => "the last good answer is held",
        Basis::Bootstrap if is_judged => "every node is answered until one is",
        _ => return None,
    };
    let by = if basis == Basis::Found { " as most hosts find" } else { "" };
    Some(format!("{pool}: no target is ready or live{by}, and {fate}"))
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
    /// When the grade turned last; `None` before the first verdict.
    pub since: Option<Moment>,
    /// Whether it is in the answer.
    pub place: Place,
    /// Why.
    pub reason: Reason,
    /// The same as a sentence.
    pub why: String,
    /// The last observation of this run.
    pub observed: Option<Observed>,
    /// The operator's word on the node.
    #[serde(rename = "override")]
    pub order: Option<Override>,
    /// What each heard host votes, this one first; empty where there are no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<HostVote>,
    /// Where it comes from; `None`: the nodes of the pool are not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Why the last drain of the node was undone by the hosts, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<String>,
}

/// One observation with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// When.
    pub at: Moment,
    /// What was found, as a sentence.
    pub sentence: String,
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
    /// The generation that is to be published.
    pub desired: u64,
    /// The generation that is published; `None` before the first.
    pub published: Option<u64>,
    /// Whether another host writes there, or none does.
    #[serde(default)]
    pub stands_by: bool,
    /// Why the last attempt failed; `None` where it did not.
    pub fault: Option<String>,
    /// Since when an attempt has been under way, where one is.
    pub attempt_since: Option<Timestamp>,
    /// When publishing, or looking whether it still stands, succeeded last.
    pub last_success: Option<Timestamp>,
    /// Since when the published generation is not the desired one.
    pub behind_since: Option<Timestamp>,
    /// What an operator should look at where the answers are published.
    pub findings: Vec<String>,
    /// How many calls the world still allows in this window, as it last said.
    pub remaining: Option<u32>,
}

impl ProviderStatus {
    /// Whole seconds for which the published generation has not been the desired one.
    pub fn behind(&self, now: Timestamp) -> u64 {
        let behind = self.behind_since.map(|since| now.duration_since(since).as_secs());
        behind.and_then(|secs| u64::try_from(secs).ok()).unwrap_or_default()
    }

    /// Why the published generation may not be the desired one, as far as that is known.
    pub fn why(&self) -> Option<String> {
        let under_way = self.attempt_since.map(|since| format!("an attempt is under way since {since}"));
        self.fault.clone().or(under_way.filter(|_| self.behind_since.is_some()))
    }

    /// What an operator should look at, as sentences.
    pub fn alarms(&self, now: Timestamp) -> Vec<String> {
        let behind = self.behind(now);
        let lag = (behind > PATIENCE).then(|| {
            let why = self.why().unwrap_or_else(|| "no attempt has ended yet".to_owned());
            let published =
                self.published.map_or("nothing".to_owned(), |generation| format!("generation {generation}"));
            format!("{published} is published and {} wanted for {behind} s: {why}", self.desired)
        });
        let trouble = lag.or_else(|| self.fault.clone());
        // What the check has found may be why publishing fails.
        let more = self.findings.iter().filter(|it| !trouble.as_ref().is_some_and(|told| told.contains(it.as_str())));
        trouble.iter().chain(more).map(|sentence| format!("provider {}: {sentence}", self.name)).collect()
    }
}
