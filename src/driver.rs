//! The one task that owns the engine: inputs in, decisions out.
//!
//! It alone turns time and inputs into calls of the core. What it tells others is either a decision, by `watch`, so that
//! only the newest counts, or an answer to a question, so that nothing is prepared that no one reads.
//!
//! Where there are other hosts, it also owns the gossip with them: what they say is an input like an observation.

mod complaints;
mod hosts;
mod told;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use daymark_api::{EventKind, HostsStatus, Observed, PeerMismatch, PendingOverride, PoolStatus, TargetStatus};
use daymark_decision::{
    Answer, Change, Command, Decision, Engine, Grade, Health, HostName, Kind, Moment, Observation, Pool, PoolName,
    Reason, Refusal, Target,
};
use daymark_gossip::{ConfigurationHash, Message};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::events::Events;
use crate::keeper::Kept;
use crate::metrics::Metrics;
use crate::os::clock::Clock;
use crate::watchdog::WatchdogHandle;

pub use self::hosts::{Hosts, OutboundMessage};

use self::told::Told;

/// How often the driver beats when nothing happens.
const BEAT: Duration = Duration::from_secs(1);
/// How long the driver may be silent before it counts as stuck.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How many inputs may wait, and are taken at once.
const QUEUE: usize = 1024;

/// Something for the driver.
#[derive(Debug)]
enum Input {
    Observation(Target, Observation),
    Command(Command, oneshot::Sender<Result<u64, Refusal>>),
    Reload(Vec<Pool>, BTreeMap<PoolName, ConfigurationHash>, oneshot::Sender<()>),
    Nodes(Vec<Pool>, oneshot::Sender<()>),
    Status(oneshot::Sender<Vec<PoolStatus>>),
    Message(Box<Message>, SocketAddr),
    Mismatch(HostName, PeerMismatch),
    Hosts(oneshot::Sender<Option<HostsStatus>>),
}

/// The way to the driver. When the last one is dropped, the driver ends.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Input>);

/// A reserved place in the queue of the driver, for a new configuration.
#[derive(Debug)]
pub struct ReloadPermit(mpsc::OwnedPermit<Input>);

impl ReloadPermit {
    /// Applies a new configuration, and waits until the driver has done so, for a bounded time. The other hosts get `digests`.
    pub async fn reload(self, pools: Vec<Pool>, digests: BTreeMap<PoolName, ConfigurationHash>) {
        let (reply, done) = oneshot::channel();
        self.0.send(Input::Reload(pools, digests, reply));
        if tokio::time::timeout(PATIENCE, done).await.is_err() {
            warn!("the driver is busy; it applies the new configuration as soon as it can");
        }
    }
}

/// The driver is gone, or too busy to take anything more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the driver does not answer")]
pub struct Gone;

impl Handle {
    /// Hands an observation over without waiting; where the driver is stuck it is dropped, and the watchdog tells.
    pub fn observe(&self, target: Target, observation: Observation) -> Result<(), Gone> {
        self.0.try_send(Input::Observation(target, observation)).map_err(|_| Gone)
    }

    /// Has an operator's word carried out, and tells by which revision of the engine, or refused.
    pub async fn command(&self, command: Command) -> Result<Result<u64, Refusal>, Gone> {
        self.ask(|reply| Input::Command(command, reply)).await
    }

    /// Hands over what another host says and where it came from, without waiting; where the driver is stuck it is dropped.
    pub fn handle_message(&self, message: Message, from: SocketAddr) -> Result<(), Gone> {
        self.0.try_send(Input::Message(Box::new(message), from)).map_err(|_| Gone)
    }

    /// Hands over what is wrong with another host, without waiting; where the driver is stuck it is dropped.
    pub fn report_mismatch(&self, host: HostName, mismatch: PeerMismatch) -> Result<(), Gone> {
        self.0.try_send(Input::Mismatch(host, mismatch)).map_err(|_| Gone)
    }

    /// Reserves a place in the queue for a new configuration, so that [`ReloadPermit::reload`] cannot fail.
    pub async fn reserve_reload(&self) -> Result<ReloadPermit, Gone> {
        let reserved = tokio::time::timeout(PATIENCE, self.0.clone().reserve_owned()).await;
        reserved.ok().and_then(Result::ok).map(ReloadPermit).ok_or(Gone)
    }

    /// Has the same configuration applied to other nodes, which were found.
    pub async fn change_nodes(&self, pools: Vec<Pool>) -> Result<(), Gone> {
        self.ask(|reply| Input::Nodes(pools, reply)).await
    }

    /// What is known of the other hosts; `None` where there are none.
    pub async fn hosts(&self) -> Result<Option<HostsStatus>, Gone> {
        self.ask(Input::Hosts).await
    }

    /// What is known of every pool now.
    pub async fn status(&self) -> Result<Vec<PoolStatus>, Gone> {
        self.ask(Input::Status).await
    }

    async fn ask<T>(&self, input: impl FnOnce(oneshot::Sender<T>) -> Input) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.0.send(input(reply)).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(PATIENCE, exchange).await.ok().flatten().ok_or(Gone)
    }
}

/// The task that owns the engine.
#[derive(Debug)]
pub struct Driver {
    engine: Engine,
    hosts: Option<Hosts>,
    clock: Clock,
    inputs: mpsc::Receiver<Input>,
    outputs: Outputs,
    /// What was told last, to see what changes.
    told: Told,
    observed: BTreeMap<Target, (Moment, Observation)>,
}

/// Whom the driver tells what.
#[derive(Debug)]
pub struct Outputs {
    /// Gets every decision, the first at once.
    pub newest: watch::Sender<Kept>,
    /// The history.
    pub events: Events,
    /// The metrics.
    pub metrics: Metrics,
    /// What shows that the driver is not stuck.
    pub watchdog_handle: WatchdogHandle,
}

impl Driver {
    /// A driver and the way to it. Without `hosts` it decides alone.
    pub fn new(engine: Engine, hosts: Option<Hosts>, clock: Clock, outputs: Outputs) -> (Self, Handle) {
        let (sender, inputs) = mpsc::channel(QUEUE);
        let told = Told::of(&engine, Decision::default());
        let mut driver = Self { engine, hosts, clock, inputs, outputs, told, observed: BTreeMap::new() };
        driver.exchange();
        driver.tell();
        (driver, Handle(sender))
    }

    /// Runs until every [`Handle`] is gone.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(QUEUE);
        loop {
            let engine = self.engine.poll_timeout().map(|deadline| deadline.at);
            let deadline = engine.into_iter().chain(self.hosts.as_ref().map(Hosts::poll_timeout)).min();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(self.clock.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                taken = self.inputs.recv_many(&mut batch, QUEUE) => if taken == 0 { return },
                () = timer => self.engine.handle_timeout(self.clock.now()),
                () = tokio::time::sleep(BEAT) => {}
            }
            self.outputs.watchdog_handle.heartbeat();
            for input in batch.drain(..) {
                self.handle(input);
            }
            self.exchange();
            if self.engine.revision() != self.told.revision {
                self.tell();
            }
        }
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        match input {
            // A probe may end after a reload has taken its target away.
            Input::Observation(target, _) if !self.engine.has(&target) => {}
            Input::Observation(target, observation) => {
                self.outputs.metrics.observe(&target, &observation);
                self.engine.handle_observation(&target, &observation, now);
                let former = self.observed.insert(target.clone(), (now, observation.clone()));
                log_local_error(&target, former.map(|(_, former)| former.kind).as_ref(), &observation.kind);
            }
            // Who no longer waits for a reply does not need it.
            Input::Command(command, reply) => {
                let done = self.engine.handle_command(command, now);
                let _ = reply.send(done.map(|()| self.engine.revision()));
            }
            Input::Reload(pools, digests, reply) => {
                self.change(pools, now);
                if let Some(hosts) = &mut self.hosts {
                    hosts.configure(digests);
                }
                self.outputs.events.record(now, EventKind::Reload { targets: self.engine.healths().count() });
                let _ = reply.send(());
            }
            Input::Nodes(pools, reply) => {
                self.change(pools, now);
                let _ = reply.send(());
            }
            Input::Status(reply) => {
                let _ = reply.send(self.status());
            }
            Input::Message(message, from) => {
                if let Some(hosts) = &mut self.hosts {
                    hosts.hear(*message, from, now);
                }
            }
            Input::Mismatch(host, mismatch) => {
                if let Some(hosts) = &mut self.hosts {
                    hosts.complain(host, mismatch, now);
                }
            }
            Input::Hosts(reply) => {
                let _ = reply.send(self.hosts.as_ref().map(|hosts| hosts.status(&self.engine, now)));
            }
        }
    }

    fn change(&mut self, pools: Vec<Pool>, now: Moment) {
        self.engine.handle_policy(pools, now);
        let before = self.observed.len();
        self.observed.retain(|target, _| self.engine.has(target));
        if self.observed.len() != before {
            self.outputs.metrics.forget_targets();
        }
    }

    /// Brings in what the other hosts have said, and has said to them what there is to say.
    fn exchange(&mut self) {
        if let Some(hosts) = &mut self.hosts {
            hosts.exchange(&mut self.engine, &self.clock);
            let now = self.clock.now();
            for what in hosts.look(&self.engine, now) {
                self.outputs.events.record(now, what);
            }
        }
    }

    /// Tells what has changed since the last time: to the history, and to whoever publishes.
    fn tell(&mut self) {
        let now = self.clock.now();
        let decision = self.engine.decide(now);
        let told = Told::of(&self.engine, decision.clone());
        let former = std::mem::replace(&mut self.told, told);
        let mut whats = former.until(&self.told);
        for (target, health) in self.engine.healths() {
            let from = former.grades.get(target).copied().unwrap_or_default();
            if from != health.grade() {
                let observed = match health.flapping() {
                    Some(_) => health.not_ready_reason().to_string(),
                    None => health.observed().map(ToString::to_string).unwrap_or_default(),
                };
                whats.push(EventKind::Grade { target: target.clone(), from, to: health.grade(), observed });
            }
        }
        whats.extend(Change::between(&former.decision, &decision).into_iter().map(EventKind::Answer));
        let can_write = self.engine.membership().is_some_and(|membership| membership.can_write);
        whats.retain(|what| can_write || !matches!(what, EventKind::Writer { .. }));
        for what in whats {
            self.outputs.events.record(now, what);
        }
        self.outputs.newest.send_replace(Kept {
            decision,
            memory: self.engine.memory(),
            revision: self.engine.revision(),
        });
    }

    fn status(&self) -> Vec<PoolStatus> {
        let healths: BTreeMap<&Target, &Health> = self.engine.healths().collect();
        let of_pool = |answer: &Answer| PoolStatus {
            name: answer.pool.clone(),
            addresses: answer.members.iter().map(|member| member.address).collect(),
            basis: answer.basis,
            ttl: answer.ttl,
            generation: answer.generation,
            targets: answer
                .reasons
                .iter()
                .map(|(target, reason)| self.target_status(target, reason, &healths))
                .collect(),
            pending_overrides: self.pending_overrides(&answer.pool),
            discovery: None,
        };
        self.told.decision.answers.iter().map(of_pool).collect()
    }

    fn pending_overrides(&self, pool: &PoolName) -> Vec<PendingOverride> {
        let of_pool = self.engine.pending_overrides().filter(|(of, ..)| *of == pool);
        of_pool
            .map(|(_, node, pending)| PendingOverride { node: node.clone(), active_override: pending.clone() })
            .collect()
    }

    fn target_status(&self, target: &Target, reason: &Reason, healths: &BTreeMap<&Target, &Health>) -> TargetStatus {
        let health = healths.get(target).copied();
        let grade = health.map(Health::grade).unwrap_or_default();
        let mut overrides = self.engine.overrides();
        let active = overrides.find(|(pool, node, _)| **pool == target.pool && **node == target.node);
        TargetStatus {
            node: target.node.clone(),
            address: target.address,
            grade,
            since: health.filter(|_| grade != Grade::Unknown).map(Health::since),
            answer_status: reason.answer_status(),
            message: reason.to_string(),
            reason: reason.clone(),
            observed: self.observed.get(target).map(|(at, observation)| Observed {
                at: *at,
                message: observation.kind.to_string(),
                observation: observation.clone(),
            }),
            active_override: active.map(|(.., active)| active.clone()),
            votes: hosts::votes(&self.engine, target, health.map(Health::vote).unwrap_or_default()),
            reverted: self.told.reverted(target),
            origin: None,
        }
    }
}

/// Logs once when a target cannot be probed any more, and once when it can be again.
fn log_local_error(target: &Target, former: Option<&Kind>, kind: &Kind) {
    let was_local = former.is_some_and(|former| former.grade().is_none());
    match (was_local, kind.grade()) {
        (false, None) => warn!("{}: {target} {kind}; its grade stays", target.pool),
        (true, Some(_)) => info!("{}: {target} can be probed again", target.pool),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
