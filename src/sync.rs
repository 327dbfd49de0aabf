//! One pass of `daymark sync`: probes until every verdict is settled, then publishes to each remote provider.
//!
//! It knows no files, signals or output. The caller keeps the memory and reports the result.

use std::collections::BTreeMap;
use std::sync::Arc;

use daymark_config::PoolConfig;
use daymark_decision::{Answer, Decision, Engine, Health, Kind, Memory, Observation, PoolName, Target};
use daymark_files::error_chain;
use daymark_probe::Prober;
use daymark_provider::{ApplyError, CheckReport, Edit, Pass, RemoteProvider};
use serde::Serialize;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::os::clock::Clock;
use crate::publish::Backoff;

/// The result of probing.
#[derive(Debug)]
pub struct Verdicts {
    /// The decision to publish: the answers of the pools with at least one verdict.
    pub decision: Decision,
    /// The memory for the next run.
    pub memory: Memory,
    /// The targets without a settled verdict, each as a sentence.
    pub unsettled: Vec<String>,
    /// The pools without any verdict, each as a sentence. They are not published: unknown is not empty.
    pub unpublished: Vec<String>,
    /// The alarms of the pools, as in a running host.
    pub alarms: Vec<String>,
}

/// Probes every target of the engine's pools until every verdict is settled, or until the deadline. All probes have ended when
/// it returns or is dropped.
pub async fn judge(pools: &[PoolConfig], mut engine: Engine, clock: Clock, deadline: Instant) -> Verdicts {
    let (to_engine, mut observations) = mpsc::unbounded_channel();
    let _watches = watch(pools, &to_engine);
    let mut observed = BTreeMap::new();
    let until_settled = async {
        while !engine.is_settled() {
            // `to_engine` lives as long as this.
            let Some(TargetObservation { target, observation }) = observations.recv().await else { return };
            engine.handle_observation(&target, &observation, clock.now());
            observed.insert(target, observation.kind);
        }
    };
    // After the deadline, `Verdicts` names the targets that are not settled.
    let _ = timeout_at(deadline, until_settled).await;
    verdicts(&mut engine, &observed, clock)
}

/// The observation of one target.
struct TargetObservation {
    target: Target,
    observation: Observation,
}

fn watch(pools: &[PoolConfig], to_engine: &UnboundedSender<TargetObservation>) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    for PoolConfig { pool, probe, .. } in pools {
        let prober = Arc::new(Prober::new(probe.clone()));
        let count = pool.targets().count();
        for (index, target) in pool.targets().enumerate() {
            let offset = daymark_probe::offset(probe.interval, index, count);
            let to_engine = to_engine.clone();
            let address = target.address;
            // After the deadline nobody receives the observation, or needs it.
            let sink = move |observation| _ = to_engine.send(TargetObservation { target: target.clone(), observation });
            watches.spawn(daymark_probe::watch(address, offset, prober.clone(), sink, || {}, CancellationToken::new()));
        }
    }
    watches
}

fn verdicts(engine: &mut Engine, observed: &BTreeMap<Target, Kind>, clock: Clock) -> Verdicts {
    engine.await_no_more_verdicts(clock.now());
    let mut decision = engine.decide(clock.now());
    let has_verdict =
        |pool: &PoolName| engine.healths().any(|(target, health)| target.pool == *pool && health.is_current());
    let (published, unpublished): (Vec<_>, Vec<_>) =
        decision.answers.into_iter().partition(|answer| has_verdict(&answer.pool));
    decision.answers = published;
    let unsettled = engine.healths().filter(|(_, health)| !health.is_settled());
    let unpublished = unpublished.iter().map(|answer| {
        format!(
            "{} is not published, because none of its targets has a verdict; check that this host reaches them, or \
             raise `--deadline`",
            answer.pool
        )
    });
    let alarms = |answer: &Answer| {
        let families = answer.reasons.iter().map(|known| known.target.family());
        daymark_api::basis_alarms(&answer.pool, &answer.bases, families, answer.has_verdicts())
    };
    Verdicts {
        alarms: decision.answers.iter().flat_map(alarms).collect(),
        decision,
        unsettled: unsettled.map(|(target, health)| unsettled_message(target, health, observed.get(target))).collect(),
        unpublished: unpublished.collect(),
        memory: engine.memory(),
    }
}

fn unsettled_message(target: &Target, health: &Health, observed: Option<&Kind>) -> String {
    let probe = observed.map_or("no probe has ended".to_owned(), |kind| format!("last probe: {kind}"));
    format!(
        "{}: {target} counts as {}, because its verdict was not settled before the deadline; {probe}",
        target.pool,
        health.grade()
    )
}

/// The edits made at one provider, or planned in a dry run, and their outcome.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderReport {
    /// The name of the provider.
    pub provider: String,
    /// The edits. If one failed, those that were made before it.
    pub edits: Vec<Edit>,
    /// The reason why some answer is not published.
    pub error: Option<String>,
    /// The findings that an operator should look at, as sentences.
    pub findings: Vec<String>,
    /// The states that are no fault but may surprise, as sentences.
    pub notes: Vec<String>,
    /// True if the error is likely to pass without an operator.
    #[serde(skip)]
    pub is_temporary: bool,
}

impl ProviderReport {
    /// Plans the edits that would be made now. It writes nothing.
    pub async fn plan(provider: &dyn RemoteProvider, decision: &Decision) -> Self {
        let Pass { edits, outcome } = provider.plan(decision).await;
        Self::new(provider, edits, outcome.err().as_ref())
    }

    /// Publishes. After a temporary error it tries again until the deadline or until `stop`. It makes at least one attempt,
    /// and never cuts one off.
    pub async fn publish(
        provider: &dyn RemoteProvider,
        decision: &Decision,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Self {
        let mut all_edits = Vec::new();
        let mut backoff = Backoff::default();
        let error = loop {
            let Pass { edits, outcome } = provider.apply(decision).await;
            all_edits.extend(edits);
            let Err(error) = outcome else { break None };
            let pause = backoff.after(&error).same;
            if !is_temporary(&error) || Instant::now() + pause >= deadline {
                break Some(error);
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => break Some(error),
            }
        };
        Self::new(provider, all_edits, error.as_ref())
    }

    /// Adds the findings, except those that the error already contains, and the notes.
    pub fn add_report(&mut self, CheckReport { mut findings, notes, .. }: CheckReport) {
        findings.retain(|finding| !self.error.as_ref().is_some_and(|error| error.contains(finding.as_str())));
        self.findings = findings;
        self.notes = notes;
    }

    fn new(provider: &dyn RemoteProvider, edits: Vec<Edit>, error: Option<&ApplyError>) -> Self {
        Self {
            provider: provider.name().to_owned(),
            edits,
            error: error.map(|error| error_chain(error)),
            findings: Vec::new(),
            notes: Vec::new(),
            is_temporary: error.is_some_and(is_temporary),
        }
    }
}

/// Returns true if another attempt may help without an operator.
fn is_temporary(error: &ApplyError) -> bool {
    matches!(error, ApplyError::Unavailable { .. })
}
