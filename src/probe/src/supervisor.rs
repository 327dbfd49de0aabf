//! Keeps one watch for each target: starts those that are new, stops those that are gone, leaves the others undisturbed.
//!
//! It does not know who takes the observations, nor who looks after the heartbeats.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{Observation, Pool, PoolName, Target};
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{ProbeSettings, Prober, offset, watch};

/// The time beyond its own deadlines after which a silent watch counts as stuck.
const HEARTBEAT_SLACK: Duration = Duration::from_secs(5);

/// A pool and the settings of its probes.
#[derive(Clone, Copy, Debug)]
pub struct ProbedPool<'a> {
    /// The pool, with every node that is known.
    pub pool: &'a Pool,
    /// The way its targets are probed.
    pub settings: &'a ProbeSettings,
}

/// The receivers of what the watches give off.
pub struct WatchOutputs {
    /// Takes each observation of a target.
    pub observe: Observe,
    /// Makes the heartbeat of a new watch, from a name for people and the longest silence that is allowed.
    pub heartbeat: MakeHeartbeat,
}

/// Takes one observation of a target.
type Observe = Arc<dyn Fn(&Target, Observation) + Send + Sync>;
/// Makes the heartbeat of a watch.
type MakeHeartbeat = Box<dyn Fn(&str, Duration) -> Heartbeat + Send>;
/// Called each time round by a watch.
type Heartbeat = Box<dyn Fn() + Send>;

/// The watches of every target of every pool.
pub struct Supervisor {
    outputs: WatchOutputs,
    /// The prober of each pool.
    probers: BTreeMap<PoolName, Arc<Prober>>,
    watches: BTreeMap<Target, Watch>,
    tasks: JoinSet<()>,
}

struct Watch {
    prober: Arc<Prober>,
    stop: CancellationToken,
    task: task::Id,
}

impl Supervisor {
    /// A supervisor without any watch.
    pub fn new(outputs: WatchOutputs) -> Self {
        Self { outputs, probers: BTreeMap::new(), watches: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Watches the targets of these pools and no others. A watch whose settings are the same goes on undisturbed.
    pub fn configure<'a>(&mut self, pools: impl IntoIterator<Item = ProbedPool<'a>>) {
        let mut former_probers = std::mem::take(&mut self.probers);
        let mut former = std::mem::take(&mut self.watches);
        for ProbedPool { pool, settings } in pools {
            let prober = match former_probers.remove(&pool.name) {
                Some(prober) if prober.settings() == settings => prober,
                _ => Arc::new(Prober::new(settings.clone())),
            };
            prober.forget_watches();
            let count = pool.targets().count();
            for (index, target) in pool.targets().enumerate() {
                let watch = match former.remove(&target) {
                    Some(watch) if Arc::ptr_eq(&watch.prober, &prober) => watch,
                    other => {
                        other.iter().for_each(Watch::stop);
                        let offset = offset(settings.interval, index, count);
                        self.start(target.clone(), offset, Arc::clone(&prober))
                    }
                };
                self.watches.insert(target, watch);
            }
            self.probers.insert(pool.name.clone(), prober);
        }
        former.values().for_each(Watch::stop);
        while let Some(ended) = self.tasks.try_join_next() {
            self.restart_crashed(ended);
        }
    }

    /// Waits for a watch to crash, and starts it again after its interval. Nothing is lost if this is dropped.
    pub async fn restart_next_crashed(&mut self) {
        match self.tasks.join_next().await {
            Some(ended) => self.restart_crashed(ended),
            None => std::future::pending().await,
        }
    }

    /// Starts a watch again that has crashed. One that was stopped is gone.
    fn restart_crashed(&mut self, ended: Result<(), JoinError>) {
        let Err(crash) = ended else { return };
        let Some((target, watch)) = self.watches.iter().find(|(_, watch)| watch.task == crash.id()) else { return };
        let target = target.clone();
        let prober = Arc::clone(&watch.prober);
        let pause = prober.settings().interval;
        let watch = self.start(target.clone(), pause, prober);
        self.watches.insert(target, watch);
    }

    /// The prober of each pool.
    pub fn probers(&self) -> &BTreeMap<PoolName, Arc<Prober>> {
        &self.probers
    }

    /// Stops every watch and waits for its end.
    pub async fn stop(mut self) {
        self.watches.values().for_each(Watch::stop);
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(&mut self, target: Target, offset: Duration, prober: Arc<Prober>) -> Watch {
        let stop = CancellationToken::new();
        let settings = prober.settings();
        let allowed = settings.interval.max(settings.timeout) + HEARTBEAT_SLACK;
        let heartbeat = (self.outputs.heartbeat)(&format!("probe of {} {target}", target.pool), allowed);
        let observe = Arc::clone(&self.outputs.observe);
        let address = target.address;
        let sink = move |observation| observe(&target, observation);
        let task = self.tasks.spawn(watch(address, offset, Arc::clone(&prober), sink, heartbeat, stop.clone())).id();
        Watch { prober, stop, task }
    }
}

impl Watch {
    fn stop(&self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("targets", &self.watches.keys()).finish_non_exhaustive()
    }
}
