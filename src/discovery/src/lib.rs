//! Finds the nodes of pools through Kubernetes, and forgets them slowly.
//!
//! - `rules` is pure: it applies lists to the known nodes of one pool.
//! - `listing` knows the API of Kubernetes, and `query` reaches it.
//! - [`Discovery`] runs one finder for each pool and applies its lists; [`discover_once`] does one query for each pool.
//!
//! It is fed the grades that it needs. It does not know how pools are probed and answered, nor where its state is kept: its owner
//! applies the nodes that it knows.

mod finder;
mod listing;
mod pass;
mod pools;
mod query;
mod rules;
mod settings;
mod statuses;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use daymark_api::{DiscoveryEvent, DiscoveryStatus, KnownAddress, MissingStatus, StayReason};
use daymark_decision::{Moment, Pool, PoolName};
use daymark_probe::Prober;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError, JoinSet};

pub use self::finder::{TargetView, ViewTargets};
pub use self::pass::{PassReport, discover_once};
pub use self::pools::DiscoveredPools;
use self::rules::AddressOfNode;
pub use self::rules::{DiscoveredNodes, KnownOfNode};
pub use self::settings::{AddressType, DiscoverySettings, DiscoverySource};
pub use self::statuses::DiscoveryStatuses;

use self::finder::{Finder, FinderReport};

/// The most reports that may wait.
const MAX_REPORTS: usize = 16;

/// A pool with discovery.
#[derive(Clone, Copy, Debug)]
pub struct DiscoveryPool<'a> {
    /// The pool, with the nodes of the configuration alone.
    pub pool: &'a Pool,
    /// The way its apiservers are reached.
    pub probe: &'a daymark_probe::ProbeSettings,
    /// The way its nodes are found.
    pub settings: &'a DiscoverySettings,
}

/// Takes a change in the nodes of a pool.
type Record = Box<dyn Fn(&PoolName, DiscoveryEvent) + Send>;

/// The surroundings of [`Discovery`].
pub struct Surroundings {
    /// The present time.
    pub now: Box<dyn Fn() -> Moment + Send>,
    /// The present targets of a pool.
    pub targets: ViewTargets,
    /// Takes each change in the nodes of a pool.
    pub record: Record,
    /// The statuses, for those that show them.
    pub statuses: DiscoveryStatuses,
}

/// Finds the nodes of every pool with discovery.
pub struct Discovery {
    discovered: DiscoveredPools,
    finders: BTreeMap<PoolName, RunningFinder>,
    next_number: u64,
    tasks: JoinSet<()>,
    sender: mpsc::Sender<FinderReport>,
    reports: mpsc::Receiver<FinderReport>,
    surroundings: Surroundings,
}

/// The running finder of one pool, and the last results of it.
struct RunningFinder {
    number: u64,
    settings: DiscoverySettings,
    probe: daymark_probe::ProbeSettings,
    task: AbortHandle,
    seeds: BTreeSet<IpAddr>,
    apiserver: Option<IpAddr>,
    failure: Option<String>,
    stays: BTreeMap<AddressOfNode, StayReason>,
}

impl Discovery {
    /// Knows these nodes, and queries for nothing yet.
    pub fn new(discovered: DiscoveredPools, surroundings: Surroundings) -> Self {
        let (sender, reports) = mpsc::channel(MAX_REPORTS);
        Self {
            discovered,
            finders: BTreeMap::new(),
            next_number: 0,
            tasks: JoinSet::new(),
            sender,
            reports,
            surroundings,
        }
    }

    /// Finds the nodes of these pools and no others. A finder whose settings are the same goes on undisturbed. The discovered
    /// nodes of a pool that is no longer among them leave.
    pub fn configure<'a>(&mut self, pools: impl IntoIterator<Item = DiscoveryPool<'a>>) {
        let mut former = std::mem::take(&mut self.finders);
        for DiscoveryPool { pool, probe, settings } in pools {
            let mut finder = match former.remove(&pool.name) {
                Some(finder) if finder.settings == *settings && finder.probe == *probe => finder,
                former => self.start(&pool.name, settings, probe, former),
            };
            finder.seeds = pool.targets().map(|target| target.address).collect();
            self.finders.insert(pool.name.clone(), finder);
        }
        for finder in former.values() {
            finder.task.abort();
        }
        while let Some(ended) = self.tasks.try_join_next() {
            self.restart_crashed(ended);
        }
        let disabled = self.discovered.0.keys().filter(|pool| !self.finders.contains_key(pool));
        for pool in disabled.cloned().collect::<Vec<_>>() {
            let nodes = self.discovered.0.remove(&pool).unwrap_or_default().nodes();
            for (node, addresses) in nodes {
                let addresses = addresses.into_iter().collect();
                (self.surroundings.record)(&pool, DiscoveryEvent::TurnedOff { node, addresses });
            }
        }
        self.update_statuses();
    }

    /// The discovered nodes, to be kept over a restart.
    pub fn discovered(&self) -> &DiscoveredPools {
        &self.discovered
    }

    /// Waits for the next list and applies it. True if the nodes of a pool have changed. Nothing is lost if this is dropped.
    pub async fn next_change(&mut self) -> bool {
        tokio::select! {
            // This holds a sender, so there is always another report to wait for.
            Some(report) = self.reports.recv() => self.apply(report),
            Some(ended) = self.tasks.join_next() => {
                self.restart_crashed(ended);
                false
            }
            else => std::future::pending().await,
        }
    }

    /// Starts a finder again that has crashed. One that was aborted is gone.
    fn restart_crashed(&mut self, ended: Result<(), JoinError>) {
        let Err(crash) = ended else { return };
        let crashed = self.finders.iter().find(|(_, finder)| finder.task.id() == crash.id());
        let Some(pool) = crashed.map(|(pool, _)| pool.clone()).filter(|_| crash.is_panic()) else { return };
        if let Some(former) = self.finders.remove(&pool) {
            let seeds = former.seeds.clone();
            let settings = former.settings.clone();
            let probe = former.probe.clone();
            let finder = RunningFinder { seeds, ..self.start(&pool, &settings, &probe, Some(former)) };
            self.finders.insert(pool, finder);
        }
    }

    /// Ends every finder; gives the discovered nodes.
    pub async fn stop(mut self) -> DiscoveredPools {
        self.tasks.shutdown().await;
        self.discovered
    }

    fn start(
        &mut self,
        pool: &PoolName,
        settings: &DiscoverySettings,
        probe: &daymark_probe::ProbeSettings,
        former: Option<RunningFinder>,
    ) -> RunningFinder {
        if let Some(former) = &former {
            former.task.abort();
        }
        let number = self.next_number;
        self.next_number += 1;
        let finder = Finder {
            pool: pool.clone(),
            number,
            settings: settings.clone(),
            prober: Prober::new(probe.clone()),
            targets: self.surroundings.targets.clone(),
            reports: self.sender.clone(),
        };
        RunningFinder {
            number,
            settings: settings.clone(),
            probe: probe.clone(),
            task: self.tasks.spawn(finder.run()),
            seeds: BTreeSet::new(),
            apiserver: None,
            // A failure does not end by new settings alone.
            failure: former.and_then(|former| former.failure),
            stays: BTreeMap::new(),
        }
    }

    /// Applies a report. True if the nodes of the pool have changed.
    fn apply(&mut self, report: FinderReport) -> bool {
        let FinderReport { pool, finder: number, answer, view } = report;
        // A report of a finder that has ended since has no effect.
        let Some(finder) = self.finders.get_mut(&pool).filter(|finder| finder.number == number) else { return false };
        let mut events = Vec::new();
        let failure = match answer {
            Err(error) => Some(error.to_string()),
            Ok(answer) => {
                let nodes = self.discovered.0.entry(pool.clone()).or_default();
                let now = (self.surroundings.now)();
                let outcome = nodes.apply(&answer.listing, &view, finder.settings.shrink_pause, now);
                finder.apiserver = Some(answer.apiserver);
                finder.stays = outcome.stays;
                events = outcome.events;
                outcome.doubt
            }
        };
        // One event when a failure begins, and one when it ends.
        match (&finder.failure, &failure) {
            (None, Some(error)) => events.push(DiscoveryEvent::Failing { error: error.clone() }),
            (Some(_), None) => events.push(DiscoveryEvent::Recovered),
            _ => {}
        }
        finder.failure = failure;
        let has_changed = events.iter().any(DiscoveryEvent::changes_nodes);
        for event in events {
            (self.surroundings.record)(&pool, event);
        }
        self.update_statuses();
        has_changed
    }

    fn update_statuses(&self) {
        let statuses =
            self.finders.iter().map(|(pool, finder)| (pool.clone(), finder.status(self.discovered.0.get(pool))));
        self.surroundings.statuses.set(statuses.collect());
    }
}

impl RunningFinder {
    fn status(&self, nodes: Option<&DiscoveredNodes>) -> DiscoveryStatus {
        let known = nodes.into_iter().flat_map(DiscoveredNodes::known).map(|KnownOfNode { node, address, known }| {
            let stays = self.stays.get(&AddressOfNode { node: node.clone(), address }).copied();
            let missing = known.missing.map(|missing| MissingStatus::new(missing, stays));
            KnownAddress { node: node.clone(), address, since: known.since, missing }
        });
        DiscoveryStatus {
            source: self.settings.source.to_string(),
            apiserver: self.apiserver,
            seeds: self.seeds.clone(),
            last_complete: nodes.and_then(DiscoveredNodes::last_complete),
            failure: self.failure.clone(),
            known: known.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
