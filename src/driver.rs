//! The task that owns the engine: it takes inputs in, and gives decisions out.
//!
//! The driver alone calls the decision core, with the time and the inputs. It publishes each decision over a `watch` channel,
//! which keeps the newest. It makes a status only when it is asked for one.
//!
//! If there are other hosts, it also owns the gossip with them. Their messages are inputs like observations.
//!
//! It does not know where an answer is published, and how messages travel.

mod hosts;
mod reported;

use std::collections::BTreeMap;
use std::time::Duration;

use daymark_api::{EventKind, HostsStatus, Observed, PendingOverride, PoolStatus, TargetStatus};
use daymark_decision::{
    Answer, Change, Command, Decision, Engine, Grade, Health, Kind, Moment, Observation, Pool, PoolName, Reason,
    Refusal, Target,
};
use daymark_gossip::ConfigurationHash;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::events::Events;
use crate::metrics::Metrics;
use crate::os::clock::Clock;
use crate::peers::PeerInput;
use crate::state::DecidedState;
use crate::watchdog::WatchdogHandle;

pub use self::hosts::Hosts;

use self::reported::Reported;

/// The time between two heartbeats of the driver when nothing happens.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// The time without a heartbeat after which the driver counts as stuck, and the time for which a question waits for its answer.
pub const DRIVER_TIMEOUT: Duration = Duration::from_secs(10);
/// The most inputs that wait, and that are taken at once.
const MAX_INPUTS: usize = 1024;

/// An input from this host.
#[derive(Debug)]
enum Input {
    Observation { target: Target, observation: Observation },
    Command { command: Command, reply: oneshot::Sender<Result<u64, Refusal>> },
    Reload { pools: Vec<Pool>, configuration: BTreeMap<PoolName, ConfigurationHash>, reply: oneshot::Sender<()> },
    Nodes { pools: Vec<Pool>, reply: oneshot::Sender<()> },
    Status { reply: oneshot::Sender<Vec<PoolStatus>> },
    Hosts { reply: oneshot::Sender<Option<HostsStatus>> },
}

/// The interface to the driver. The driver ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Input>);

/// A reserved place in the queue of the driver, for a new configuration.
#[derive(Debug)]
pub struct ReloadPermit(mpsc::OwnedPermit<Input>);

impl ReloadPermit {
    /// Applies a new configuration, and waits until the driver has done so, for a bounded time. The other hosts get its hashes.
    pub async fn reload(self, pools: Vec<Pool>, configuration: BTreeMap<PoolName, ConfigurationHash>) {
        let (reply, done) = oneshot::channel();
        self.0.send(Input::Reload { pools, configuration, reply });
        if tokio::time::timeout(DRIVER_TIMEOUT, done).await.is_err() {
            warn!("the driver is busy; it applies the new configuration as soon as it can");
        }
    }
}

/// The error if the driver has ended, or is too busy to take an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the driver does not answer")]
pub struct Gone;

impl Handle {
    /// A handle to a driver that never answers. The driver is alive for as long as the second value is.
    #[cfg(test)]
    pub(crate) fn stuck() -> (Self, impl Sized) {
        let (sender, inputs) = mpsc::channel(MAX_INPUTS);
        (Self(sender), inputs)
    }

    /// Passes an observation on without waiting. If the driver is stuck, it is lost, and the watchdog reports the driver.
    pub fn observe(&self, target: Target, observation: Observation) -> Result<(), Gone> {
        self.0.try_send(Input::Observation { target, observation }).map_err(|_| Gone)
    }

    /// Carries out an operator's command. Returns the revision of the engine that has it, or the refusal.
    pub async fn command(&self, command: Command) -> Result<Result<u64, Refusal>, Gone> {
        self.ask(|reply| Input::Command { command, reply }).await
    }

    /// Reserves a place in the queue for a new configuration, so that [`ReloadPermit::reload`] cannot fail.
    pub async fn reserve_reload(&self) -> Result<ReloadPermit, Gone> {
        let reserved = tokio::time::timeout(DRIVER_TIMEOUT, self.0.clone().reserve_owned()).await;
        reserved.ok().and_then(Result::ok).map(ReloadPermit).ok_or(Gone)
    }

    /// Applies the same configuration with the nodes that discovery has found.
    pub async fn change_nodes(&self, pools: Vec<Pool>) -> Result<(), Gone> {
        self.ask(|reply| Input::Nodes { pools, reply }).await
    }

    /// The status of this host and the others; `None` if there are no others.
    pub async fn hosts(&self) -> Result<Option<HostsStatus>, Gone> {
        self.ask(|reply| Input::Hosts { reply }).await
    }

    /// The status of every pool.
    pub async fn status(&self) -> Result<Vec<PoolStatus>, Gone> {
        self.ask(|reply| Input::Status { reply }).await
    }

    async fn ask<T>(&self, input: impl FnOnce(oneshot::Sender<T>) -> Input) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.0.send(input(reply)).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(DRIVER_TIMEOUT, exchange).await.ok().flatten().ok_or(Gone)
    }
}

/// The task that owns the engine.
#[derive(Debug)]
pub struct Driver {
    engine: Engine,
    /// `None` if this host has no others.
    hosts: Option<Hosts>,
    clock: Clock,
    inputs: mpsc::Receiver<Input>,
    outputs: Outputs,
    reported: Reported,
    last_observations: BTreeMap<Target, LastObservation>,
}

#[derive(Debug)]
struct LastObservation {
    at: Moment,
    observation: Observation,
}

/// The receivers of the driver's outputs.
#[derive(Debug)]
pub struct Outputs {
    /// Gets every decision, the first one at once.
    pub decisions: watch::Sender<DecidedState>,
    /// Gets every event.
    pub events: Events,
    /// Counts observations and rejected datagrams.
    pub metrics: Metrics,
    /// Gets a heartbeat at least once a second.
    pub watchdog_handle: WatchdogHandle,
}

/// A driver that does not run yet, and the handle to it.
#[derive(Debug)]
pub struct DriverWithHandle {
    /// The driver, to be run.
    pub driver: Driver,
    /// The handle, for everyone who asks or commands it.
    pub handle: Handle,
}

impl Driver {
    /// Makes a driver and the handle to it. The first decision is made at once.
    pub fn with_handle(engine: Engine, hosts: Option<Hosts>, clock: Clock, outputs: Outputs) -> DriverWithHandle {
        let (sender, inputs) = mpsc::channel(MAX_INPUTS);
        let reported = Reported::new(&engine, Decision::default());
        let last_observations = BTreeMap::new();
        let mut driver = Self { engine, hosts, clock, inputs, outputs, reported, last_observations };
        driver.exchange();
        driver.report();
        DriverWithHandle { driver, handle: Handle(sender) }
    }

    /// Runs until every [`Handle`] is dropped.
    pub async fn run(mut self) {
        let mut inputs = Vec::with_capacity(MAX_INPUTS);
        let mut peer_inputs = Vec::new();
        loop {
            let engine = self.engine.poll_timeout();
            let deadline = engine.into_iter().chain(self.hosts.as_ref().map(Hosts::poll_timeout)).min();
            tokio::select! {
                count = self.inputs.recv_many(&mut inputs, MAX_INPUTS) => if count == 0 { return },
                () = receive(&mut self.hosts, &mut peer_inputs) => {}
                () = sleep_until(deadline, &self.clock) => self.engine.handle_timeout(self.clock.now()),
                () = tokio::time::sleep(HEARTBEAT_INTERVAL) => {}
            }
            self.outputs.watchdog_handle.heartbeat();
            for input in inputs.drain(..) {
                self.handle(input);
            }
            for input in peer_inputs.drain(..) {
                self.handle_peer(input);
            }
            self.exchange();
            if self.engine.revision() != self.reported.revision {
                self.report();
            }
        }
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        match input {
            Input::Observation { target, observation } => self.observe(&target, observation, now),
            // Nobody may wait for a reply any more, so the error of sending one is ignored.
            Input::Command { command, reply } => {
                let done = self.engine.handle_command(command, now);
                let _ = reply.send(done.map(|()| self.engine.revision()));
            }
            Input::Reload { pools, configuration, reply } => {
                self.change_pools(pools, now);
                if let Some(hosts) = &mut self.hosts {
                    hosts.set_configuration(configuration);
                }
                self.outputs.events.record(now, EventKind::Reload { target_count: self.engine.healths().count() });
                let _ = reply.send(());
            }
            Input::Nodes { pools, reply } => {
                self.change_pools(pools, now);
                let _ = reply.send(());
            }
            Input::Status { reply } => {
                let _ = reply.send(self.status());
            }
            Input::Hosts { reply } => {
                let _ = reply.send(self.hosts.as_ref().map(|hosts| hosts.status(&self.engine, now)));
            }
        }
    }

    fn handle_peer(&mut self, input: PeerInput) {
        let now = self.clock.now();
        if let Some(hosts) = &mut self.hosts {
            hosts.handle(input, now);
        }
    }

    fn observe(&mut self, target: &Target, observation: Observation, now: Moment) {
        // A probe may end after a reload has removed its target.
        if !self.engine.has(target) {
            return;
        }
        self.outputs.metrics.observe(target, &observation);
        self.engine.handle_observation(target, &observation, now);
        let kind = observation.kind.clone();
        let former = self.last_observations.insert(target.clone(), LastObservation { at: now, observation });
        log_local_error(target, former.map(|former| former.observation.kind).as_ref(), &kind);
    }

    fn change_pools(&mut self, pools: Vec<Pool>, now: Moment) {
        self.engine.handle_policy(pools, now);
        let before = self.last_observations.len();
        self.last_observations.retain(|target, _| self.engine.has(target));
        if self.last_observations.len() != before {
            self.outputs.metrics.forget_targets();
        }
    }

    /// Exchanges everything new between the engine and the gossip, and reports the mismatches of hosts.
    fn exchange(&mut self) {
        if let Some(hosts) = &mut self.hosts {
            hosts.exchange(&mut self.engine, &self.clock);
            let now = self.clock.now();
            for event in hosts.check_mismatches(&self.engine, now) {
                self.outputs.events.record(now, event);
            }
        }
    }

    /// Reports the changes since the last report as events, and publishes the decision.
    fn report(&mut self) {
        let now = self.clock.now();
        let decision = self.engine.decide(now);
        let former = std::mem::replace(&mut self.reported, Reported::new(&self.engine, decision.clone()));
        let mut events = former.events_until(&self.reported);
        events.extend(self.grade_events(&former));
        events.extend(Change::between(&former.decision, &decision).into_iter().map(EventKind::Answer));
        let can_write = self.engine.membership().is_some_and(|membership| membership.can_write);
        for event in events {
            if can_write || !matches!(event, EventKind::Writer { .. }) {
                self.outputs.events.record(now, event);
            }
        }
        self.outputs.decisions.send_replace(DecidedState {
            decision,
            memory: self.engine.memory(),
            revision: self.engine.revision(),
        });
    }

    fn grade_events(&self, former: &Reported) -> Vec<EventKind> {
        let mut events = Vec::new();
        for (target, health) in self.engine.healths() {
            let from = former.grades.get(target).copied().unwrap_or_default();
            let to = health.grade();
            if from != to {
                let observed = match health.flapping() {
                    Some(_) => health.not_ready_reason().to_string(),
                    None => health.observed().map(ToString::to_string).unwrap_or_default(),
                };
                events.push(EventKind::Grade { target: target.clone(), from, to, observed });
            }
        }
        events
    }

    fn status(&self) -> Vec<PoolStatus> {
        let healths: BTreeMap<&Target, &Health> = self.engine.healths().collect();
        let pool_status = |answer: &Answer| PoolStatus {
            name: answer.pool.clone(),
            addresses: answer.members.iter().map(|member| member.address).collect(),
            basis: answer.basis(),
            bases: answer.bases.clone(),
            ttl_seconds: answer.ttl,
            generation: answer.generation,
            targets: answer
                .reasons
                .iter()
                .map(|known| self.target_status(&known.target, &known.reason, healths.get(&known.target).copied()))
                .collect(),
            pending_overrides: self.pending_overrides(&answer.pool),
            unsaved_overrides: Vec::new(),
            authorities: Vec::new(),
            credentials: None,
            probe_file_error: None,
            discovery: None,
        };
        self.reported.decision.answers.iter().map(pool_status).collect()
    }

    fn pending_overrides(&self, pool: &PoolName) -> Vec<PendingOverride> {
        let of_pool = self.engine.pending_overrides().filter(|(key, _)| key.pool == *pool);
        of_pool
            .map(|(key, pending)| PendingOverride { node: key.node.clone(), active_override: pending.clone() })
            .collect()
    }

    fn target_status(&self, target: &Target, reason: &Reason, health: Option<&Health>) -> TargetStatus {
        let grade = health.map(Health::grade).unwrap_or_default();
        let mut overrides = self.engine.overrides();
        let active = overrides.find(|(key, _)| key.pool == target.pool && key.node == target.node);
        TargetStatus {
            node: target.node.clone(),
            address: target.address,
            grade,
            since: health.filter(|_| grade != Grade::Unknown).map(Health::since),
            answer_status: reason.answer_status(),
            message: reason.to_string(),
            reason: reason.clone(),
            observed: self.last_observations.get(target).map(|last| Observed {
                at: last.at,
                message: last.observation.kind.to_string(),
                observation: last.observation.clone(),
            }),
            active_override: active.map(|(_, active)| active.clone()),
            votes: hosts::votes(&self.engine, target, health.map(Health::vote).unwrap_or_default()),
            reverted: self.reported.reverted(target),
            origin: None,
        }
    }
}

/// Waits for inputs from other hosts; forever if there are none.
async fn receive(hosts: &mut Option<Hosts>, inputs: &mut Vec<PeerInput>) {
    match hosts {
        Some(hosts) => hosts.receive(inputs, MAX_INPUTS).await,
        None => std::future::pending().await,
    }
}

/// Sleeps until a deadline; forever if there is none.
async fn sleep_until(deadline: Option<Moment>, clock: &Clock) {
    match deadline {
        Some(at) => tokio::time::sleep_until(clock.instant(at)).await,
        None => std::future::pending().await,
    }
}

/// Logs once when a target cannot be probed any more, and once when it can be again.
fn log_local_error(target: &Target, former: Option<&Kind>, kind: &Kind) {
    let was_local_error = former.is_some_and(|former| former.grade().is_none());
    match (was_local_error, kind.grade()) {
        (false, None) => warn!("{}: {target} {kind}; its grade stays", target.pool),
        (true, Some(_)) => info!("{}: {target} can be probed again", target.pool),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
