//! The one task that owns the engine: inputs in, decisions out.
//!
//! It alone turns time and inputs into calls of the core. What it tells others is either a decision, by `watch`, so that
//! only the newest counts, or an answer to a question, so that nothing is prepared that no one reads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daymark_decision::{
    Answer, Change, Command, Decision, Engine, Grade, Health, Kind, Moment, NodeName, Observation, Pool, PoolName,
    Reason, Refusal, Target,
};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::events::{Events, What};
use crate::keeper::Kept;
use crate::metrics::Metrics;
use crate::status::{Observed, PoolStatus, TargetStatus};
use crate::watchdog::Heart;

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
    Command(Command, oneshot::Sender<Result<(), Refusal>>),
    Reload(Vec<Pool>, oneshot::Sender<()>),
    Status(oneshot::Sender<Vec<PoolStatus>>),
}

/// The way to the driver. When the last one is dropped, the driver ends.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Input>);

/// The driver is gone, or too busy to take anything more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the driver does not answer")]
pub struct Gone;

impl Handle {
    /// Hands an observation over without waiting; where the driver is stuck it is dropped, and the watchdog tells.
    pub fn observe(&self, target: Target, observation: Observation) -> Result<(), Gone> {
        self.0.try_send(Input::Observation(target, observation)).map_err(|_| Gone)
    }

    /// Has an operator's word carried out or refused.
    pub async fn command(&self, command: Command) -> Result<Result<(), Refusal>, Gone> {
        self.ask(|reply| Input::Command(command, reply)).await
    }

    /// Has a new configuration applied.
    pub async fn reload(&self, pools: Vec<Pool>) -> Result<(), Gone> {
        self.ask(|reply| Input::Reload(pools, reply)).await
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
    clock: Clock,
    inputs: mpsc::Receiver<Input>,
    newest: watch::Sender<Kept>,
    events: Events,
    metrics: Metrics,
    heart: Heart,
    /// What was told last, to see what changes.
    told: Told,
    observed: BTreeMap<Target, (Moment, Observation)>,
}

#[derive(Debug, Default)]
struct Told {
    revision: u64,
    decision: Decision,
    grades: BTreeMap<Target, Grade>,
    overridden: BTreeSet<(PoolName, NodeName)>,
}

impl Driver {
    /// A driver and the way to it. `newest` gets the first decision at once.
    pub fn new(
        engine: Engine,
        clock: Clock,
        newest: watch::Sender<Kept>,
        events: Events,
        metrics: Metrics,
        heart: Heart,
    ) -> (Self, Handle) {
        let (sender, inputs) = mpsc::channel(QUEUE);
        let told = Told { grades: grades(&engine), overridden: overridden(&engine), ..Told::default() };
        let observed = BTreeMap::new();
        let mut driver = Self { engine, clock, inputs, newest, events, metrics, heart, told, observed };
        driver.tell();
        (driver, Handle(sender))
    }

    /// Runs until every [`Handle`] is gone.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(QUEUE);
        loop {
            let deadline = self.engine.poll_timeout().map(|(at, _)| self.clock.instant(at));
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                taken = self.inputs.recv_many(&mut batch, QUEUE) => if taken == 0 { return },
                () = timer => self.engine.handle_timeout(self.clock.now()),
                () = tokio::time::sleep(BEAT) => {}
            }
            self.heart.beat();
            for input in batch.drain(..) {
                self.handle(input);
            }
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
                self.metrics.observe(&target, &observation);
                self.engine.handle_observation(&target, &observation, now);
                let former = self.observed.insert(target.clone(), (now, observation.clone()));
                log_own_fault(&target, former.map(|(_, former)| former.kind).as_ref(), &observation.kind);
            }
            Input::Command(command, reply) => {
                let outcome = self.engine.handle_command(command.clone(), now);
                if let (Ok(()), Command::Set { pool, node, order, .. }) = (&outcome, command) {
                    self.events.record(now, What::Override { pool, node, order });
                }
                // Who no longer waits for the reply does not need it.
                let _ = reply.send(outcome);
            }
            Input::Reload(pools, reply) => {
                self.engine.handle_policy(pools, now);
                let known: BTreeSet<Target> = self.engine.healths().map(|(target, _)| target.clone()).collect();
                let before = self.observed.len();
                self.observed.retain(|target, _| known.contains(target));
                if self.observed.len() != before {
                    self.metrics.forget_targets();
                }
                self.events.record(now, What::Reload { targets: known.len() });
                let _ = reply.send(());
            }
            Input::Status(reply) => {
                let _ = reply.send(self.status());
            }
        }
    }

    /// Tells what has changed since the last time: to the history, and to whoever publishes.
    fn tell(&mut self) {
        let now = self.clock.now();
        let decision = self.engine.decide(now);
        let told = Told {
            revision: self.engine.revision(),
            decision: decision.clone(),
            grades: grades(&self.engine),
            overridden: overridden(&self.engine),
        };
        let former = std::mem::replace(&mut self.told, told);
        for (pool, node) in former.overridden.difference(&self.told.overridden).cloned() {
            self.events.record(now, What::OverrideEnded { pool, node });
        }
        for (target, health) in self.engine.healths() {
            let from = former.grades.get(target).copied().unwrap_or_default();
            if from != health.grade() {
                let seen = match health.flapping() {
                    Some(_) => health.lack().to_string(),
                    None => health.seen().map(ToString::to_string).unwrap_or_default(),
                };
                self.events.record(now, What::Grade { target: target.clone(), from, to: health.grade(), seen });
            }
        }
        for change in Change::between(&former.decision, &decision) {
            self.events.record(now, What::Answer(change));
        }
        self.newest.send_replace(Kept { decision, memory: self.engine.memory() });
    }

    fn status(&self) -> Vec<PoolStatus> {
        let healths: BTreeMap<&Target, &Health> = self.engine.healths().collect();
        let of_pool = |answer: &Answer| PoolStatus {
            name: answer.pool.clone(),
            addresses: answer.members.iter().map(|member| member.address).collect(),
            basis: answer.basis,
            ttl: answer.ttl,
            generation: answer.generation,
            targets: answer.reasons.iter().map(|(target, why)| self.target_status(target, why, &healths)).collect(),
        };
        self.told.decision.answers.iter().map(of_pool).collect()
    }

    fn target_status(&self, target: &Target, why: &Reason, healths: &BTreeMap<&Target, &Health>) -> TargetStatus {
        let health = healths.get(target).copied();
        let grade = health.map(Health::grade).unwrap_or_default();
        let mut overrides = self.engine.overrides();
        let order = overrides.find(|(pool, node, _)| **pool == target.pool && **node == target.node);
        TargetStatus {
            node: target.node.clone(),
            address: target.address,
            grade,
            since: health.filter(|_| grade != Grade::Unknown).map(Health::since),
            place: why.place(),
            why: why.to_string(),
            reason: why.clone(),
            observed: self.observed.get(target).map(|(at, observation)| Observed {
                at: *at,
                sentence: observation.kind.to_string(),
                observation: observation.clone(),
            }),
            order: order.map(|(.., order)| order.clone()),
        }
    }
}

/// Says once when a target cannot be probed any more, and once when it can be again.
fn log_own_fault(target: &Target, former: Option<&Kind>, kind: &Kind) {
    let was_own = former.is_some_and(|former| former.grade().is_none());
    match (was_own, kind.grade()) {
        (false, None) => warn!("{}: {target} {kind}; its grade stays as it was", target.pool),
        (true, Some(_)) => info!("{}: {target} can be probed again", target.pool),
        _ => {}
    }
}

fn grades(engine: &Engine) -> BTreeMap<Target, Grade> {
    engine.healths().map(|(target, health)| (target.clone(), health.grade())).collect()
}

fn overridden(engine: &Engine) -> BTreeSet<(PoolName, NodeName)> {
    engine.overrides().map(|(pool, node, _)| (pool.clone(), node.clone())).collect()
}

#[cfg(test)]
mod tests;
