//! What a running host holds, as `/api/v1/status` gives it and `daymark status` and `explain` show it.

use std::net::IpAddr;

use daymark_decision::{Basis, Grade, Moment, NodeName, Observation, Override, Place, PoolName, Reason};
use serde::{Deserialize, Serialize};

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
        let mut alarms = Vec::new();
        if self.basis == Basis::Held {
            alarms.push(format!("{}: no target is ready or live, and the last good answer is held", self.name));
        }
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// The generation that is to be published.
    pub desired: u64,
    /// The generation that is published; `None` before the first.
    pub published: Option<u64>,
    /// Why the two differ, where that is a fault.
    pub fault: Option<String>,
}
