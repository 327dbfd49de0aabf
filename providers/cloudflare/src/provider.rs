//! The provider: one pass over all pools, and the state between passes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use daymark_decision::{Answer, Basis, Decision, PoolName};
use daymark_provider::{ApplyError, CheckReport, Edit, Pass, RemoteProvider, RemoteReadings, validate};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use crate::client::{BuildError, Client};
use crate::drift::{DriftTracker, RECHECK_AFTER};
use crate::fault::{PoolFault, PoolFaults};
use crate::observe::Observer;
use crate::plan::{DesiredTarget, PlannedEdit, desired_targets, problem};
use crate::settings::CloudflareSettings;

/// The number of early drift checks after a write with an unknown outcome.
const RECHECKS: u8 = 2;

/// The Cloudflare provider.
pub struct Cloudflare {
    pub(crate) observer: Observer,
    passes: tokio::sync::Mutex<PassState>,
    pub(crate) tracker: Mutex<DriftTracker>,
    /// The newest decision, also while an older one is being applied.
    newest: Mutex<Decision>,
    /// The end of the writer lease. `None` if this host may always write.
    lease: Mutex<Option<Instant>>,
    /// The number of early drift checks that are left. Written only within a pass.
    rechecks: AtomicU8,
}

/// The state that one pass leaves to the next. Locked for a whole pass, so that there is one at a time.
#[derive(Default)]
struct PassState {
    /// The generation that was published last.
    published: u64,
    /// The newest generation that was tried. A part of it may be published, so no older one is written over it.
    tried: u64,
    /// The answers that were published and read back.
    pools: BTreeMap<PoolName, PublishedAnswer>,
    /// The pools that this run has observed.
    observed: BTreeSet<PoolName>,
    /// Edits without a response. Cloudflare may have made them.
    unconfirmed: Vec<PlannedEdit>,
}

/// The published answer of one pool.
struct PublishedAnswer {
    targets: Vec<PublishedTarget>,
    /// The time of the next drift check.
    check_at: Instant,
}

/// The part of an answer that Cloudflare shows of one target.
#[derive(PartialEq, Eq)]
struct PublishedTarget {
    address: IpAddr,
    is_in: bool,
    is_guess: bool,
}

/// The memory for the next run.
#[derive(Default, Serialize, Deserialize)]
struct CloudflareMemory {
    #[serde(flatten)]
    tracker: DriftTracker,
    /// The time until which Cloudflare refuses every call. A run that ignored it would be refused for longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blocked_until: Option<Timestamp>,
}

/// The faults of one pass, and the drift checks that it left out.
#[derive(Default)]
struct PassFaults {
    faults: PoolFaults,
    unchecked: PoolFaults,
}

impl Cloudflare {
    /// Sets up a provider with the memory of an earlier run. A memory that cannot be read is ignored. No call is made yet.
    pub fn new(settings: CloudflareSettings, memory: Option<Value>) -> Result<Self, BuildError> {
        let client = Client::new(&settings.calls)?;
        let memory = memory.map(serde_json::from_value).transpose().unwrap_or_else(|error| {
            warn!("provider {}: the memory of an earlier run cannot be read, so it is ignored: {error}", settings.name);
            None
        });
        let CloudflareMemory { mut tracker, blocked_until } = memory.unwrap_or_default();
        tracker.keep_pools(|pool| settings.pools.iter().any(|served| served.pool == *pool));
        if let Some(until) = blocked_until {
            client.block_until(until);
        }
        Ok(Self {
            observer: Observer::new(client, settings),
            passes: tokio::sync::Mutex::default(),
            tracker: Mutex::new(tracker),
            newest: Mutex::default(),
            lease: Mutex::default(),
            rechecks: AtomicU8::new(0),
        })
    }

    /// The answers of the pools that this provider publishes.
    fn answers<'a>(&'a self, decision: &'a Decision) -> impl Iterator<Item = &'a Answer> {
        self.observer.settings.pools.iter().filter_map(|served| decision.answer(&served.pool))
    }

    /// Publishes one answer, unless it is published and needs no drift check yet.
    async fn apply_answer(
        &self,
        answer: &Answer,
        is_same_decision: bool,
        state: &mut PassState,
        edits: &mut Vec<Edit>,
        pass: &mut PassFaults,
    ) -> Result<(), ApplyError> {
        let targets = published_targets(answer);
        let published = state.pools.get(&answer.pool).filter(|published| published.targets == targets);
        let is_published = published.is_some();
        // Applying the same decision again checks everything. Otherwise each pool has its own time.
        if published.is_some_and(|published| !is_same_decision && Instant::now() < published.check_at) {
            return Ok(());
        }
        let client = &self.observer.client;
        if is_published && client.blocked_until().is_none() && !client.has_spare() {
            pass.unchecked.add(&answer.pool, PoolFault::DriftUnchecked);
            return Ok(());
        }
        state.pools.remove(&answer.pool);
        // The first pass of a run checks for drift during the time when no run was there.
        let is_drift_check = state.observed.insert(answer.pool.clone()) || is_published;
        match self.reconcile(answer, is_drift_check, edits, &mut state.unconfirmed).await {
            Ok(()) => {
                let check_at = Instant::now() + self.observer.settings.drift_interval;
                state.pools.insert(answer.pool.clone(), PublishedAnswer { targets, check_at });
            }
            Err(PoolFault::Superseded) => return Err(ApplyError::Superseded),
            Err(fault) => pass.faults.add(&answer.pool, fault),
        }
        Ok(())
    }

    async fn apply_all(&self, decision: &Decision, edits: &mut Vec<Edit>) -> Result<(), ApplyError> {
        let mut state = self.passes.lock().await;
        validate(decision, state.tried)?;
        state.tried = decision.generation;
        self.supersede(decision);
        let is_same_decision = decision.generation == state.published;
        let mut pass = PassFaults::default();
        for answer in self.answers(decision) {
            self.apply_answer(answer, is_same_decision, &mut state, edits, &mut pass).await?;
        }
        let PassFaults { mut faults, unchecked } = pass;
        if faults.is_empty() {
            state.published = decision.generation;
            let left = self.rechecks.load(Ordering::Relaxed);
            let left = if unchecked.is_empty() { left.saturating_sub(1) } else { left.max(1) };
            self.rechecks.store(left, Ordering::Relaxed);
        }
        // A new decision is published although a drift check was left out; that check follows soon.
        if is_same_decision {
            faults.extend(unchecked);
        }
        faults.into_result()
    }

    async fn plan_all(&self, decision: &Decision, edits: &mut Vec<Edit>) -> Result<(), ApplyError> {
        self.supersede(decision);
        let mut faults = PoolFaults::default();
        for answer in self.answers(decision) {
            if is_without_verdict(answer) {
                faults.add(&answer.pool, PoolFault::NoVerdict);
                continue;
            }
            match self.observer.observe(answer).await {
                Ok(remote) => {
                    let published = self.tracker.lock().of(&answer.pool, true);
                    let mut plan = remote.plan(answer, &published);
                    // The second edits include changes that the first will have made by then.
                    for planned in &mut plan.then {
                        planned.edit.changes.retain(|change| !plan.first.iter().any(|first| first.makes(change)));
                    }
                    edits.extend(plan.first.into_iter().chain(plan.then).map(|planned| planned.edit));
                    if let Some(fault) = problem(&plan.problems) {
                        faults.add(&answer.pool, fault);
                    }
                }
                Err(fault) => faults.add(&answer.pool, fault),
            }
        }
        faults.into_result()
    }

    /// Fails if the newest decision contradicts this answer, or if the writer lease is over.
    pub(crate) fn ensure_current(&self, answer: &Answer) -> Result<(), PoolFault> {
        if self.lease.lock().is_some_and(|until| until <= Instant::now()) {
            return Err(PoolFault::Superseded);
        }
        let newest = self.newest.lock();
        let is_old =
            newest.answer(&answer.pool).is_some_and(|newer| published_targets(newer) != published_targets(answer));
        if is_old { Err(PoolFault::Superseded) } else { Ok(()) }
    }

    /// Checks for drift early, because Cloudflare may still apply a write of this or another host.
    pub(crate) fn recheck_soon(&self) {
        self.rechecks.store(RECHECKS, Ordering::Relaxed);
    }
}

#[async_trait]
impl RemoteProvider for Cloudflare {
    fn name(&self) -> &str {
        &self.observer.settings.name
    }

    fn system(&self) -> &'static str {
        "Cloudflare"
    }

    async fn plan(&self, decision: &Decision) -> Pass {
        let mut edits = Vec::new();
        let outcome = self.plan_all(decision, &mut edits).await;
        Pass { edits, outcome }
    }

    async fn apply(&self, decision: &Decision) -> Pass {
        let mut edits = Vec::new();
        let outcome = self.apply_all(decision, &mut edits).await;
        Pass { edits, outcome }
    }

    fn supersede(&self, decision: &Decision) {
        let mut newest = self.newest.lock();
        if newest.generation <= decision.generation {
            newest.clone_from(decision);
        }
    }

    fn set_lease(&self, until: Instant) {
        *self.lease.lock() = Some(until);
    }

    async fn take_over(&self) {
        let mut state = self.passes.lock().await;
        state.pools.clear();
        state.unconfirmed.clear();
        *self.tracker.lock() = DriftTracker::default();
        // Cloudflare may apply the last call of the other host after ours.
        self.recheck_soon();
    }

    fn drift_interval(&self) -> Duration {
        let interval = self.observer.settings.drift_interval;
        if self.rechecks.load(Ordering::Relaxed) > 0 { interval.min(RECHECK_AFTER) } else { interval }
    }

    async fn check(&self) -> CheckReport {
        let newest = self.newest.lock().clone();
        self.observer.findings(&newest).await
    }

    fn memory(&self) -> Option<Value> {
        let tracker = self.tracker.lock().clone();
        serde_json::to_value(CloudflareMemory { tracker, blocked_until: self.observer.client.blocked_until() }).ok()
    }

    fn readings(&self) -> RemoteReadings {
        RemoteReadings { ttls: self.observer.ttls.lock().clone(), ..self.observer.client.usage() }
    }
}

/// Returns true for an answer that was chosen before any verdict. The published answer is better than that.
pub(crate) fn is_without_verdict(answer: &Answer) -> bool {
    answer.basis() == Basis::Bootstrap && !answer.has_verdicts()
}

fn published_targets(answer: &Answer) -> Vec<PublishedTarget> {
    let published = |desired: DesiredTarget| PublishedTarget {
        address: desired.target.address,
        is_in: desired.is_in,
        is_guess: answer.is_guess(desired.target.family()),
    };
    desired_targets(answer).into_iter().map(published).collect()
}
