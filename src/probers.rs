//! Keeps one watch a target: those of targets that come are started, those that go are stopped, the others are let be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::Target;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::PoolConfig;
use crate::driver::Handle;
use crate::probe::{self, Prober, Settings};
use crate::watchdog::Watchdog;

/// How much longer than its own deadlines a watch may be silent before it counts as stuck.
const SLACK: Duration = Duration::from_secs(5);

/// The watches of every target of every pool.
#[derive(Debug)]
pub struct Probers {
    driver: Handle,
    watchdog: Watchdog,
    running: BTreeMap<Target, Running>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Running {
    settings: Settings,
    stop: CancellationToken,
}

impl Probers {
    /// No watch yet.
    pub fn new(driver: Handle, watchdog: Watchdog) -> Self {
        Self { driver, watchdog, running: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Watches the targets of these pools and no others. A watch whose settings are the same goes on undisturbed.
    pub fn configure(&mut self, pools: &[PoolConfig]) {
        let mut former = std::mem::take(&mut self.running);
        for PoolConfig { pool, probe, .. } in pools {
            let prober = Arc::new(Prober::new(probe.clone()));
            let count = pool.targets().count();
            for (index, (target, _)) in pool.targets().enumerate() {
                let running = match former.remove(&target) {
                    Some(running) if running.settings == *probe => running,
                    other => {
                        other.iter().for_each(Running::stop);
                        let offset = probe::offset(probe.interval, index, count);
                        Running { settings: probe.clone(), stop: self.start(target.clone(), offset, prober.clone()) }
                    }
                };
                self.running.insert(target, running);
            }
        }
        former.values().for_each(Running::stop);
        // Those that have ended are joined; they cannot fail but by a panic, which has told its story.
        while self.tasks.try_join_next().is_some() {}
    }

    /// Stops every watch and waits for its end.
    pub async fn stop(mut self) {
        self.running.values().for_each(Running::stop);
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(&mut self, target: Target, offset: Duration, prober: Arc<Prober>) -> CancellationToken {
        let stop = CancellationToken::new();
        let settings = prober.settings();
        let allowed = settings.interval.max(settings.timeout) + SLACK;
        let heart = self.watchdog.watch(&format!("probe of {} {target}", target.pool), allowed);
        let (driver, address, until) = (self.driver.clone(), target.address, stop.clone());
        let sink = move |observation| {
            if driver.observe(target.clone(), observation).is_err() {
                warn!("the driver takes no observation of {target}");
            }
        };
        self.tasks.spawn(probe::watch(address, offset, prober, sink, move || heart.beat(), until));
        stop
    }
}

impl Running {
    fn stop(&self) {
        self.stop.cancel();
    }
}
