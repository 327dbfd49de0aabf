//! What discovery holds, as `daymark status`, `explain`, the alarms and the metrics show it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use daymark_decision::{Moment, NodeName, PoolName};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::news::{Held, News};
use super::roster::Missing;

/// What is shown of every pool whose nodes are looked for. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<PoolName, DiscoveryStatus>>>);

impl Board {
    /// What is shown of a pool; `None`: its nodes are not looked for.
    pub fn of(&self, pool: &PoolName) -> Option<DiscoveryStatus> {
        self.0.lock().get(pool).cloned()
    }

    pub(super) fn show(&self, all: BTreeMap<PoolName, DiscoveryStatus>) {
        *self.0.lock() = all;
    }
}

/// What is known of the nodes of one pool by discovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveryStatus {
    /// Where they are looked for, in words.
    pub source: String,
    /// Which apiserver gave the last list of this run.
    pub asked: Option<IpAddr>,
    /// When the last complete list came, maybe in an earlier run.
    pub complete: Option<Moment>,
    /// The addresses of the seeds.
    pub seeds: BTreeSet<IpAddr>,
    /// Why the nodes cannot be told for sure now, as a sentence.
    pub trouble: Option<String>,
    /// Every address that is known.
    pub known: Vec<KnownStatus>,
}

/// One address that is known by discovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownStatus {
    /// Its node, as Kubernetes calls it.
    pub node: NodeName,
    /// The address.
    pub address: IpAddr,
    /// Since when it is known.
    pub since: Moment,
    /// Why it is still there though it is missing; `None`: it is not missing.
    pub missing: Option<MissingStatus>,
}

/// Why an address that is missing is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingStatus {
    /// For how long.
    #[serde(flatten)]
    pub missing: Missing,
    /// Why it stays; `None`: no list of this run has told yet.
    pub why: Option<Held>,
    /// The same as a sentence.
    pub sentence: String,
}

/// Where a target comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "camelCase")]
pub enum Origin {
    /// It is a seed of the configuration.
    Seed,
    /// It was found.
    Found(KnownStatus),
}

impl MissingStatus {
    pub(super) fn new(missing: Missing, why: Option<Held>) -> Self {
        let Missing { since, lists, .. } = missing;
        let stays = why.map_or("until a complete list comes".to_owned(), |why| why.to_string());
        let noun = if lists == 1 { "list" } else { "lists" };
        let sentence = format!("missing since {since} from {lists} {noun}, and stays {stays}");
        Self { missing, why, sentence }
    }
}

impl DiscoveryStatus {
    /// Where an address of the pool comes from.
    pub fn origin(&self, node: &NodeName, address: IpAddr) -> Origin {
        let is_it = |it: &&KnownStatus| it.node == *node && it.address == address;
        let found = self.known.iter().find(is_it).filter(|_| !self.seeds.contains(&address));
        found.map_or(Origin::Seed, |found| Origin::Found(found.clone()))
    }

    /// Whether nothing is known, not from an earlier run either.
    pub fn is_blank(&self) -> bool {
        self.known.is_empty() && self.complete.is_none()
    }

    /// How many nodes are known.
    pub fn nodes(&self) -> usize {
        self.known.iter().map(|it| &it.node).collect::<BTreeSet<_>>().len()
    }

    /// The addresses that are missing and stay.
    pub fn missing(&self) -> impl Iterator<Item = (&KnownStatus, &MissingStatus)> {
        self.known.iter().filter_map(|it| Some((it, it.missing.as_ref()?)))
    }

    /// What an operator should look at, as sentences: also what no time will mend.
    pub fn alarms(&self, pool: &PoolName) -> Vec<String> {
        let trouble = self.trouble.clone().map(|why| format!("{pool}: {}", News::Trouble { why }));
        let stuck = self.missing().filter(|(_, missing)| missing.why.is_some_and(Held::is_stuck));
        let stuck = stuck.map(|(it, why)| format!("{pool}: {} {} is {}", it.node, it.address, why.sentence));
        trouble.into_iter().chain(stuck).collect()
    }
}
