//! What a running host holds, as `/api/v1/status` gives it and `daymark status` and `explain` show it.

use std::net::IpAddr;

use daymark_decision::{Basis, Grade, Moment, NodeName, Observation, Override, Place, PoolName, Reason};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A provider that has been behind for more seconds says so in its alarm.
const PATIENCE: u64 = 30;

/// What a running host holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What an operator should look at, as sentences.
    pub alarms: Vec<String>,
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
        alarms
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
        Basis::Held => "the last good answer is held",
        Basis::Bootstrap if is_judged => "every node is answered until one is",
        _ => return None,
    };
    Some(format!("{pool}: no target is ready or live, and {fate}"))
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
