//! One pass, for timers: the probes until every verdict is clear, and the publication to one provider that writes elsewhere.
//!
//! It knows no files, no signals and no output: who calls has the memory, keeps it, and tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use daymark_cloudflare::{Cloudflare, Edit, Pass};
use daymark_config::PoolConfig;
use daymark_decision::{Answer, Decision, Engine, Health, Kind, Memory, Observation, PoolName, Target};
use daymark_provider::{Provider, PublishError};
use serde::Serialize;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::os::clock::Clock;
use crate::publish::Backoff;
use daymark_files::error_chain;
use daymark_probe::Prober;

/// What the probes have shown when they end.
#[derive(Debug)]
pub struct Verdicts {
    /// What is to be published: the answers of the pools of which something could be judged.
    pub decision: Decision,
    /// What the next run must know.
    pub memory: Memory,
    /// The targets without a clear verdict, each as a sentence.
    pub unclear: Vec<String>,
    /// The pools of which nothing at all could be judged, each as a sentence. Unknown is not empty.
    pub unjudged: Vec<String>,
    /// What else an operator should look at, as the alarms of a running host.
    pub alarms: Vec<String>,
}

/// Probes every target of the engine's pools until every verdict is clear, or until the deadline. When it returns or is
/// dropped, every probe is called off.
pub async fn judge(pools: &[PoolConfig], mut engine: Engine, clock: Clock, deadline: Instant) -> Verdicts {
    let (to_engine, mut observations) = mpsc::unbounded_channel();
    let _watches = watch(pools, &to_engine);
    let mut seen = BTreeMap::new();
    let clear = async {
        while !engine.is_settled() {
            // `to_engine` lives as long as this.
            let Some((target, observation)) = observations.recv().await else { return };
            engine.handle_observation(&target, &observation, clock.now());
            seen.insert(target, observation.kind);
        }
    };
    // What is not clear by then is told of.
    let _ = timeout_at(deadline, clear).await;
    verdicts(&mut engine, &seen, clock)
}

fn watch(pools: &[PoolConfig], to_engine: &UnboundedSender<(Target, Observation)>) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    for PoolConfig { pool, probe, .. } in pools {
        let prober = Arc::new(Prober::new(probe.clone()));
        let count = pool.targets().count();
        for (index, (target, _)) in pool.targets().enumerate() {
            let (offset, to_engine) = (daymark_probe::offset(probe.interval, index, count), to_engine.clone());
            let address = target.address;
            // Once no one takes it, no one needs it.
            let sink = move |observation| _ = to_engine.send((target.clone(), observation));
            watches.spawn(daymark_probe::watch(address, offset, prober.clone(), sink, || {}, CancellationToken::new()));
        }
    }
    watches
}

fn verdicts(engine: &mut Engine, seen: &BTreeMap<Target, Kind>, clock: Clock) -> Verdicts {
    let mut decision = engine.decide(clock.now());
    let is_judged =
        |pool: &PoolName| engine.healths().any(|(target, health)| target.pool == *pool && health.is_current());
    let (judged, unjudged): (Vec<_>, Vec<_>) = decision.answers.into_iter().partition(|answer| is_judged(&answer.pool));
    decision.answers = judged;
    let unclear = engine.healths().filter(|(_, health)| !health.is_settled());
    let unjudged = unjudged.iter().map(|answer| {
        format!("{} is not published: none of its targets could be judged, and unknown is not empty", answer.pool)
    });
    let alarm = |answer: &Answer| daymark_api::none_usable(&answer.pool, answer.basis, answer.has_verdicts());
    Verdicts {
        alarms: decision.answers.iter().filter_map(alarm).collect(),
        decision,
        unclear: unclear.map(|(target, health)| why_unclear(target, health, seen.get(target))).collect(),
        unjudged: unjudged.collect(),
        memory: engine.memory(),
    }
}

fn why_unclear(target: &Target, health: &Health, seen: Option<&Kind>) -> String {
    let seen = seen.map_or("no probe of it has ended".to_owned(), |kind| format!("the last probe: {kind}"));
    format!("{}: {target} was not clear in time and counts as {}; {seen}", target.pool, health.grade())
}

/// What was done at one provider, or would be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// The name of the provider.
    pub provider: String,
    /// The edits that were made, also where a later one failed; or those that would be.
    pub edits: Vec<Edit>,
    /// Why not every answer stands there.
    pub fault: Option<String>,
    /// What an operator should look at there, as sentences.
    pub findings: Vec<String>,
    /// Whether the fault is likely to pass by itself.
    #[serde(skip)]
    pub is_passing: bool,
}

impl Done {
    /// The edits that would be made now. Only reads.
    pub async fn planned(cloudflare: &Cloudflare, decision: &Decision) -> Self {
        let Pass { edits, outcome } = cloudflare.plan(decision).await;
        Self::of(cloudflare, edits, outcome.err().as_ref())
    }

    /// Publishes, and where the world is at fault tries again until the deadline or until `stop`. One pass is made in any
    /// case, and one under way is never cut off.
    pub async fn published(
        cloudflare: &Cloudflare,
        decision: &Decision,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Self {
        let (mut all, mut backoff) = (Vec::new(), Backoff::default());
        let fault = loop {
            let Pass { edits, outcome } = cloudflare.pass(decision).await;
            all.extend(edits);
            let Err(fault) = outcome else { break None };
            let pause = backoff.after(&fault).same;
            if !is_passing(&fault) || Instant::now() + pause >= deadline {
                break Some(fault);
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => break Some(fault),
            }
        };
        Self::of(cloudflare, all, fault.as_ref())
    }

    /// Takes note of what an operator should look at, besides what the fault says already.
    pub fn found(&mut self, mut findings: Vec<String>) {
        findings.retain(|it| !self.fault.as_ref().is_some_and(|told| told.contains(it.as_str())));
        self.findings = findings;
    }

    fn of(cloudflare: &Cloudflare, edits: Vec<Edit>, fault: Option<&PublishError>) -> Self {
        let is_passing = fault.is_some_and(is_passing);
        let (provider, fault) = (cloudflare.name().to_owned(), fault.map(|fault| error_chain(fault)));
        Self { provider, edits, fault, findings: Vec::new(), is_passing }
    }
}

/// Whether to try again may help without the operator.
fn is_passing(fault: &PublishError) -> bool {
    matches!(fault, PublishError::Unavailable { .. })
}
