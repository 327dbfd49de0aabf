use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daymark_decision::fixtures::pool_name;
use daymark_decision::{Basis, Family, NotReadyReason, Reason, Target, TargetReason};
use daymark_provider::{
    ApplyError, CallCount, CheckReport, DecisionError, InMemory, InMemoryRemote, Pass, Provider, RemoteProvider,
    RemoteReadings, contract,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::os::clock::Clock;
use crate::state::StateFile;
use crate::state::{StateHealth, StateWriter};

/// An interval between drift checks that is longer than any test.
const NO_DRIFT_CHECK: Duration = Duration::from_hours(1_000);

/// One step of an attempt of the scripted provider.
enum Step {
    Fail(ApplyError),
    Panic,
    Hang,
    /// Takes this time, and then does the next step.
    Take(Duration),
}

/// Follows its script step by step, and then passes calls on to the in-memory provider.
struct Scripted {
    steps: Mutex<VecDeque<Step>>,
    attempts: Mutex<Vec<Attempt>>,
    drift_interval: Duration,
    findings: Mutex<Vec<String>>,
    checks: Mutex<usize>,
    is_unreachable: Mutex<bool>,
    takeovers: Mutex<u32>,
    /// The generations that were reported to it.
    announced: Mutex<Vec<u64>>,
    inner: InMemoryRemote,
}

/// One attempt of the publisher.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    generation: u64,
    at: Instant,
}

#[async_trait]
impl RemoteProvider for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn system(&self) -> &'static str {
        "a script"
    }

    async fn plan(&self, decision: &Decision) -> Pass {
        self.inner.plan(decision).await
    }

    async fn apply(&self, decision: &Decision) -> Pass {
        self.attempts.lock().push(Attempt { generation: decision.generation, at: Instant::now() });
        loop {
            let step = self.steps.lock().pop_front();
            return match step {
                Some(Step::Fail(fault)) => Pass { edits: Vec::new(), outcome: Err(fault) },
                Some(Step::Panic) => panic!("the script says so"),
                Some(Step::Hang) => std::future::pending().await,
                Some(Step::Take(time)) => {
                    sleep(time).await;
                    continue;
                }
                None => self.inner.apply(decision).await,
            };
        }
    }

    fn supersede(&self, decision: &Decision) {
        self.announced.lock().push(decision.generation);
    }

    fn set_lease(&self, until: Instant) {
        self.inner.set_lease(until);
    }

    async fn take_over(&self) {
        *self.takeovers.lock() += 1;
    }

    fn drift_interval(&self) -> Duration {
        self.drift_interval
    }

    async fn check(&self) -> CheckReport {
        *self.checks.lock() += 1;
        if *self.is_unreachable.lock() {
            return CheckReport { is_incomplete: true, ..CheckReport::default() };
        }
        let findings = self.findings.lock().clone();
        CheckReport { findings, notes: vec!["a note".to_owned()], is_incomplete: false }
    }

    fn memory(&self) -> Option<Value> {
        self.inner.memory()
    }

    fn readings(&self) -> RemoteReadings {
        RemoteReadings::default()
    }
}

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A publisher of a scripted provider.
struct Bench {
    provider: Arc<Scripted>,
    decisions: watch::Sender<Decision>,
    lease: watch::Sender<WriterLease>,
    progress: Progress,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Bench {
    fn start(provider: Scripted, first: Decision) -> Self {
        Self::with_memory(provider, first, None)
    }

    fn with_memory(provider: Scripted, first: Decision, memory: Option<StateWriter<Value>>) -> Self {
        Self::with(provider, first, memory, WriterLease::NotNeeded)
    }

    fn with(provider: Scripted, first: Decision, memory: Option<StateWriter<Value>>, lease: WriterLease) -> Self {
        let provider = Arc::new(provider);
        let (decisions, newest) = watch::channel(first);
        let (lease, of_publisher) = watch::channel(lease);
        let progress = Progress::local("scripted", Clock::start());
        let shutdown = CancellationToken::new();
        let inputs = remote::Inputs { decisions: newest, lease: of_publisher, memory, shutdown: shutdown.clone() };
        let task = remote::publish(provider.clone(), inputs, progress.clone());
        Self { provider, decisions, lease, progress, shutdown, task: tokio::spawn(task) }
    }

    /// Lets time pass until this holds.
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if holds(self) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} did not happen: {:?}", self.progress.status());
    }

    async fn until_published(&self, generation: u64) {
        self.until("publishing", |bench| bench.progress.status().published == Some(generation)).await;
    }

    fn generations(&self) -> Vec<u64> {
        self.provider.attempts.lock().iter().map(|attempt| attempt.generation).collect()
    }

    /// The pauses between the attempts.
    fn pauses(&self) -> Vec<Duration> {
        self.provider.attempts.lock().windows(2).map(|pair| pair[1].at - pair[0].at).collect()
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn scripted(steps: impl IntoIterator<Item = Step>) -> Scripted {
    Scripted {
        steps: Mutex::new(steps.into_iter().collect()),
        attempts: Mutex::default(),
        drift_interval: NO_DRIFT_CHECK,
        findings: Mutex::default(),
        checks: Mutex::default(),
        is_unreachable: Mutex::default(),
        takeovers: Mutex::default(),
        announced: Mutex::default(),
        inner: InMemoryRemote::default(),
    }
}

fn decision(generation: u64) -> Decision {
    contract::decision(&pool_name("lb.example.org"), generation, &["192.0.2.1"])
}

/// The same before the first verdict.
fn without_verdict(generation: u64) -> Decision {
    let mut decision = decision(generation);
    let answer = &mut decision.answers[0];
    let member = &answer.members[0];
    let target = Target { pool: answer.pool.clone(), node: member.node.clone(), address: member.address };
    answer.bases = [(Family::Ipv4, Basis::Bootstrap)].into();
    let reason = Reason::Bootstrap { cause: NotReadyReason::NoVerdict { observed: None } };
    answer.reasons = vec![TargetReason { target, reason }];
    decision
}

fn unavailable() -> Step {
    asking(None)
}

fn asking(pause: Option<Duration>) -> Step {
    Step::Fail(ApplyError::Unavailable { source: Box::new(io::Error::other("the line is cut")), pause })
}

fn refused() -> Step {
    Step::Fail(ApplyError::Refused("the zone is not there".into()))
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_with_pauses_that_grow_to_a_limit() {
    let bench = Bench::start(scripted(std::iter::repeat_with(unavailable).take(12)), decision(1));
    bench.until_published(1).await;
    let pauses = bench.pauses();
    assert_eq!(pauses.len(), 12);
    for (n, pause) in pauses.iter().enumerate() {
        let whole = Duration::from_millis(200 << n).min(Duration::from_secs(30));
        // A timer counts whole milliseconds.
        assert!(*pause >= whole / 2 && *pause <= whole + Duration::from_millis(2), "{n}: {pauses:?}");
    }
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_success_the_pauses_begin_anew() {
    let bench = Bench::start(scripted((0..8).map(|_| unavailable())), decision(1));
    bench.until_published(1).await;
    bench.provider.steps.lock().push_back(unavailable());
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    let attempts = bench.provider.attempts.lock().clone();
    let [.., failed, succeeded] = attempts[..] else { panic!("{attempts:?}") };
    assert!(succeeded.at - failed.at <= Duration::from_millis(250), "{attempts:?}");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_decision_is_announced_to_a_provider_that_publishes_an_older_one() {
    let bench = Bench::start(scripted([Step::Hang]), decision(1));
    bench.until("an attempt", |bench| bench.generations() == [1]).await;
    bench.decisions.send(decision(2)).unwrap();
    bench.until("the announcement", |bench| bench.provider.announced.lock().contains(&2)).await;
    assert_eq!(bench.generations(), [1]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_decision_replaces_the_one_that_fails_and_waits_for_the_back_off() {
    let bench = Bench::start(scripted(std::iter::repeat_with(unavailable).take(6)), decision(1));
    bench.until("a sixth failure", |bench| bench.generations().len() == 6).await;
    assert_eq!(bench.progress.status().error.unwrap(), "not published, will be tried again: the line is cut");
    for generation in 2..=9 {
        bench.decisions.send(decision(generation)).unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    bench.until_published(9).await;
    assert_eq!(bench.generations(), [1, 1, 1, 1, 1, 1, 9], "only the newest is sent");
    assert!(*bench.pauses().last().unwrap() >= Duration::from_millis(3_200), "{:?}", bench.pauses());
    let status = bench.progress.status();
    assert_eq!((status.desired, status.error), (9, None));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_decision_goes_out_at_once_where_nothing_fails() {
    let bench = Bench::start(scripted([]), decision(1));
    bench.until_published(1).await;
    sleep(Duration::from_secs(5)).await;
    let before = Instant::now();
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    assert!(bench.provider.attempts.lock()[1].at - before < Duration::from_millis(10));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_pause_that_the_remote_system_asks_for_is_respected() {
    let pause = Duration::from_mins(5);
    let bench = Bench::start(scripted([asking(Some(pause))]), decision(1));
    bench.until("a failure", |bench| bench.progress.status().error.is_some()).await;
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    assert!(bench.pauses()[0] >= pause);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_tried_slowly_and_a_changed_decision_soon() {
    let bench = Bench::start(scripted([refused(), refused(), refused()]), decision(1));
    bench.until("a second refusal", |bench| bench.generations().len() == 2).await;
    assert!(bench.pauses()[0] >= Duration::from_secs(10), "{:?}", bench.pauses());
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    assert!(bench.pauses()[1] <= Duration::from_secs(1), "{:?}", bench.pauses());
    assert!(bench.pauses()[2] >= Duration::from_secs(10), "{:?}", bench.pauses());
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_decision_is_not_tried_again() {
    let bench = Bench::start(scripted([]), decision(5));
    bench.until_published(5).await;
    bench.decisions.send(decision(4)).unwrap();
    bench.until("a fault", |bench| bench.progress.status().error.is_some()).await;
    sleep(Duration::from_mins(5)).await;
    assert_eq!(bench.generations(), [5, 4]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_decision_with_the_same_answers_is_no_reason_to_publish() {
    let bench = Bench::start(scripted([]), without_verdict(1));
    bench.until_published(1).await;
    let mut other = without_verdict(1);
    other.answers[0].reasons.clear();
    // The targets have a verdict now.
    bench.decisions.send(other.clone()).unwrap();
    bench.until("a second attempt", |bench| bench.generations().len() == 2).await;
    other.answers[0].max_answers = 1;
    bench.decisions.send(other).unwrap();
    sleep(Duration::from_mins(5)).await;
    assert_eq!(bench.generations(), [1, 1]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_published_decision_is_checked_for_drift_again_and_again() {
    let provider = Scripted { drift_interval: Duration::from_mins(5), ..scripted([]) };
    let bench = Bench::start(provider, decision(1));
    sleep(Duration::from_mins(61)).await;
    assert_eq!(bench.generations(), [1; 13]);
    let status = bench.progress.status();
    assert!(status.last_success.is_some() && status.behind_since.is_none(), "{status:?}");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_decision_waits_for_the_verdicts_where_something_stands_already() {
    let provider = || Scripted { drift_interval: Duration::from_mins(5), ..scripted([]) };
    let bench = Bench::start(provider(), without_verdict(1));
    sleep(Duration::from_secs(20)).await;
    assert_eq!((bench.generations(), bench.progress.status().desired), (vec![], 1));
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    assert_eq!(bench.generations(), [2], "the first decision was never sent");
    bench.end().await;

    let bench = Bench::start(provider(), without_verdict(1));
    let begun = Instant::now();
    bench.until_published(1).await;
    assert!(bench.provider.attempts.lock()[0].at - begun >= Duration::from_secs(30), "but not for ever");
    bench.end().await;
}

/// A publisher of a provider that answers in this process.
struct LocalBench<P> {
    provider: Arc<P>,
    decisions: watch::Sender<Decision>,
    progress: Progress,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl<P: Provider> LocalBench<P> {
    fn start(provider: P, first: Decision) -> Self {
        let provider = Arc::new(provider);
        let (decisions, newest) = watch::channel(first);
        let progress = Progress::local(provider.name(), Clock::start());
        let shutdown = CancellationToken::new();
        let task = local::publish(provider.clone(), newest, progress.clone(), shutdown.clone());
        Self { provider, decisions, progress, shutdown, task: tokio::spawn(task) }
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..10_000 {
            if holds(self) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} did not happen: {:?}", self.progress.status());
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

/// Panics once, and then passes calls on to the in-memory provider.
#[derive(Default)]
struct PanicsOnce {
    has_panicked: Mutex<bool>,
    inner: InMemory,
}

impl Provider for PanicsOnce {
    fn name(&self) -> &'static str {
        "panics-once"
    }

    fn publish(&self, decision: &Decision) -> Result<(), DecisionError> {
        assert!(std::mem::replace(&mut *self.has_panicked.lock(), true), "the first attempt panics");
        self.inner.publish(decision)
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_answers_by_itself_gets_the_first_decision_at_once() {
    let begun = Instant::now();
    let bench = LocalBench::start(InMemory::default(), without_verdict(1));
    bench.until("publishing", |bench| bench.progress.status().published == Some(1)).await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    bench.decisions.send(decision(2)).unwrap();
    bench.until("a newer one", |bench| bench.provider.published().generation == 2).await;
    assert_eq!(bench.progress.status().desired, 2);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_local_provider_that_refuses_a_decision_waits_for_the_next_one() {
    let bench = LocalBench::start(InMemory::default(), decision(5));
    bench.until("publishing", |bench| bench.progress.status().published == Some(5)).await;
    bench.decisions.send(decision(4)).unwrap();
    bench.until("a fault", |bench| bench.progress.status().error.is_some()).await;
    bench.decisions.send(decision(6)).unwrap();
    bench.until("the next one", |bench| bench.progress.status().published == Some(6)).await;
    assert_eq!(bench.progress.status().error, None);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_local_provider_that_panics_is_tried_again() {
    let bench = LocalBench::start(PanicsOnce::default(), decision(1));
    bench.until("a fault", |bench| bench.progress.status().error.is_some()).await;
    let fault = bench.progress.status().error.unwrap();
    assert_eq!(fault, "not published, will be tried again: it has crashed: the first attempt panics");
    bench.until("another attempt", |bench| bench.progress.status().published == Some(1)).await;
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_fault_of_the_provider_and_is_tried_again() {
    let bench = Bench::start(scripted([Step::Panic, unavailable()]), decision(1));
    bench.until("a fault", |bench| bench.progress.status().error.is_some()).await;
    assert_eq!(
        bench.progress.status().error.unwrap(),
        "not published, will be tried again: it has crashed: the script says so"
    );
    bench.until_published(1).await;
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_check_runs_at_the_start_and_when_refusals_begin_or_end() {
    let provider = scripted([]);
    provider.findings.lock().push("the token ends soon".to_owned());
    let bench = Bench::start(provider, decision(1));
    bench.until("a finding", |bench| bench.progress.status().findings == ["the token ends soon"]).await;
    assert_eq!(bench.progress.status().notes, ["a note"]);
    bench.provider.steps.lock().extend([unavailable(), unavailable()]);
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    sleep(Duration::from_mins(5)).await;
    assert_eq!(*bench.provider.checks.lock(), 1, "what passes by itself needs none");

    bench.provider.findings.lock().clear();
    bench.provider.steps.lock().extend([refused(), unavailable(), refused()]);
    bench.decisions.send(decision(3)).unwrap();
    bench.until_published(3).await;
    bench.until("a third check", |bench| *bench.provider.checks.lock() == 3).await;
    assert_eq!(bench.progress.status().findings, [""; 0]);
    sleep(Duration::from_mins(5)).await;
    assert_eq!(*bench.provider.checks.lock(), 3, "once for the refusals, and once for their end");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn findings_are_checked_again_with_every_drift_check_until_they_are_gone() {
    let provider = Scripted { drift_interval: Duration::from_mins(5), ..scripted([]) };
    provider.findings.lock().push("the pool has a monitor".to_owned());
    let bench = Bench::start(provider, decision(1));
    // Each change of the answer is a success too, and none is a reason for more checks than the drift checks.
    for generation in 2..=61 {
        sleep(Duration::from_mins(1)).await;
        bench.decisions.send(decision(generation)).unwrap();
    }
    sleep(Duration::from_secs(2)).await;
    assert_eq!(*bench.provider.checks.lock(), 13, "one at the start and twelve in the hour");
    assert_eq!(bench.progress.status().findings, ["the pool has a monitor"]);

    bench.provider.findings.lock().clear();
    bench.until("its end", |bench| bench.progress.status().findings.is_empty()).await;
    let checks = *bench.provider.checks.lock();
    sleep(Duration::from_mins(50)).await;
    assert_eq!(*bench.provider.checks.lock(), checks, "without findings there are no checks for a while");
    sleep(Duration::from_mins(20)).await;
    assert_eq!(*bench.provider.checks.lock(), checks + 1, "but one after an hour");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn findings_beside_a_refusal_are_checked_again_too() {
    let provider = Scripted { drift_interval: Duration::from_mins(5), ..scripted((0..1000).map(|_| refused())) };
    provider.findings.lock().push("the pool has a monitor".to_owned());
    let bench = Bench::start(provider, decision(1));
    bench.until("a finding", |bench| !bench.progress.status().findings.is_empty()).await;
    bench.provider.findings.lock().clear();
    bench.until("its end", |bench| bench.progress.status().findings.is_empty()).await;
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn other_targets_are_checked_at_once() {
    let provider = Scripted { drift_interval: Duration::from_mins(5), ..scripted([]) };
    let bench = Bench::start(provider, decision(1));
    bench.until("a check", |bench| *bench.provider.checks.lock() == 1).await;
    bench.provider.findings.lock().push("no origin belongs to the new node".to_owned());
    let others = contract::decision(&pool_name("lb.example.org"), 2, &["192.0.2.1", "192.0.2.9"]);
    bench.decisions.send(others).unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.progress.status().findings, ["no origin belongs to the new node"]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_cannot_be_made_is_made_later() {
    let provider = scripted([]);
    *provider.is_unreachable.lock() = true;
    provider.findings.lock().push("the token ends soon".to_owned());
    let bench = Bench::start(provider, decision(1));
    bench.until_published(1).await;
    bench.until("three tries", |bench| *bench.provider.checks.lock() == 3).await;
    assert_eq!(bench.progress.status().findings, [""; 0]);
    *bench.provider.is_unreachable.lock() = false;
    bench.until("a finding", |bench| bench.progress.status().findings == ["the token ends soon"]).await;
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_status_has_the_time_since_which_a_provider_is_behind_and_the_reason() {
    let pause = Duration::from_mins(10);
    let bench = Bench::start(scripted([asking(Some(pause))]), decision(1));
    bench.until("a fault", |bench| bench.progress.status().error.is_some()).await;
    let since = bench.progress.status().behind_since.unwrap();
    sleep(Duration::from_mins(2)).await;
    bench.decisions.send(decision(2)).unwrap();
    bench.until("the desired generation", |bench| bench.progress.status().desired == 2).await;
    let status = bench.progress.status();
    assert_eq!(status.behind_since, Some(since), "a newer decision is no new beginning");
    let at = |secs| since.after(Duration::from_secs(secs));
    assert_eq!(status.alarms(at(30)), ["provider scripted: not published, will be tried again: the line is cut"]);
    assert_eq!(
        status.alarms(at(31)),
        [
            "provider scripted: nothing published, generation 2 desired, behind for 31 s: not published, will be tried again: the line is cut"
        ]
    );
    bench.until_published(2).await;
    let status = bench.progress.status();
    assert_eq!((status.behind_since, status.attempt_since, status.alarms(at(4000))), (None, None, vec![]));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_behind_and_ends_with_the_shutdown() {
    let bench = Bench::start(scripted([Step::Hang]), decision(1));
    sleep(Duration::from_mins(1)).await;
    bench.decisions.send(decision(2)).unwrap();
    bench.until("the desired generation", |bench| bench.progress.status().desired == 2).await;
    let status = bench.progress.status();
    let later = status.behind_since.unwrap().after(Duration::from_mins(1));
    assert_eq!(
        status.alarms(later),
        [format!(
            "provider scripted: nothing published, generation 2 desired, behind for 60 s: the current attempt began at {}",
            status.attempt_since.unwrap()
        )]
    );
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_check_finds_is_no_second_alarm_where_publishing_says_it_already() {
    let provider = scripted([refused()]);
    provider.findings.lock().extend(["the zone is not there".to_owned(), "the token ends soon".to_owned()]);
    let bench = Bench::start(provider, decision(1));
    bench.until("the findings", |bench| bench.progress.status().findings.len() == 2).await;
    let status = bench.progress.status();
    assert_eq!(
        status.alarms(status.behind_since.unwrap()),
        [
            "provider scripted: not published, an operator must act: the zone is not there",
            "provider scripted: the token ends soon"
        ]
    );
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_answers_goes_on_while_others_fail_hang_and_panic() {
    let good = Bench::start(scripted([]), decision(1));
    let others = [
        Bench::start(scripted(std::iter::repeat_with(unavailable).take(1000)), decision(1)),
        Bench::start(scripted([Step::Hang]), decision(1)),
        Bench::start(scripted(std::iter::repeat_with(|| Step::Panic).take(1000)), decision(1)),
    ];
    for generation in 2..20 {
        for bench in others.iter().chain([&good]) {
            bench.decisions.send(decision(generation)).unwrap();
        }
        good.until_published(generation).await;
        assert_eq!(good.provider.inner.published().generation, generation);
        sleep(Duration::from_secs(10)).await;
    }
    for bench in others {
        assert_eq!(bench.progress.status().published, None);
        bench.end().await;
    }
    good.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_under_way_at_the_shutdown_may_end_but_not_take_for_ever() {
    for (takes, ends_after, published) in [(3, 3, Some(1)), (7, 5, None)] {
        let bench = Bench::start(scripted([Step::Take(Duration::from_secs(takes))]), decision(1));
        bench.until("an attempt", |bench| !bench.generations().is_empty()).await;
        let progress = bench.progress.clone();
        let begun = bench.provider.attempts.lock()[0].at;
        bench.end().await;
        assert_eq!((progress.status().published, begun.elapsed().as_secs()), (published, ends_after));
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_at_the_shutdown_is_reported_and_no_other_one_is_promised() {
    let (log, _guard) = Log::capture();
    let bench = Bench::start(scripted([Step::Take(Duration::from_secs(1)), unavailable()]), decision(1));
    bench.until("an attempt", |bench| !bench.generations().is_empty()).await;
    bench.end().await;
    let log = log.text();
    assert!(log.ends_with("provider scripted: not published, will be tried again: the line is cut\n"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn what_an_attempt_that_the_shutdown_cuts_off_has_changed_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let file = || StateFile::of_provider(dir.path(), "scripted");
    let writer = StateWriter::new(file(), StateHealth::default(), None);
    let bench = Bench::with_memory(scripted([]), decision(1), Some(writer));
    bench.until_published(1).await;
    bench.provider.steps.lock().push_back(Step::Hang);
    bench.decisions.send(decision(2)).unwrap();
    bench.until("a second attempt", |bench| bench.generations().len() == 2).await;
    // It did its work, and waits for the answer.
    bench.provider.inner.apply(&decision(2)).await.outcome.unwrap();
    bench.end().await;
    assert_eq!(file().load(daymark_decision::Moment::default()).memory, Some(2.into()));
}

#[tokio::test]
async fn what_a_provider_remembers_is_kept_for_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let file = || StateFile::of_provider(dir.path(), "scripted");
    let writer = StateWriter::new(file(), StateHealth::default(), None);
    let bench = Bench::with_memory(scripted([]), decision(1), Some(writer));
    let remembered = || file().load(daymark_decision::Moment::default()).memory;
    bench.until("a memory", |_| remembered() == Some(1.into())).await;
    bench.decisions.send(decision(2)).unwrap();
    bench.until("the newer memory", |_| remembered() == Some(2.into())).await;
    bench.end().await;
}

#[tokio::test]
async fn a_memory_that_cannot_be_written_is_an_alarm_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let health = StateHealth::default();
    let writer = StateWriter::new(StateFile::of_provider(&dir.path().join("file"), "scripted"), health.clone(), None);
    let bench = Bench::with_memory(scripted([]), decision(1), Some(writer));
    bench.until("an alarm", |_| !health.errors().is_empty()).await;
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    assert!(health.errors()[0].contains("provider-scripted.json cannot be written"), "{:?}", health.errors());
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_could_not_be_written_is_written_once_the_disk_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("state");
    std::fs::write(&place, "").unwrap();
    let health = StateHealth::default();
    let writer = StateWriter::new(StateFile::of_provider(&place, "scripted"), health.clone(), None);
    let bench = Bench::with_memory(scripted([]), decision(1), Some(writer));
    bench.until("an alarm", |_| !health.errors().is_empty()).await;
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    bench.until("its end", |_| health.errors().is_empty()).await;
    let file: StateFile<Value> = StateFile::of_provider(&place, "scripted");
    assert_eq!(file.load(daymark_decision::Moment::default()).memory, Some(1.into()));
    assert_eq!(bench.generations(), [1], "without another attempt");
    bench.end().await;
}

#[test]
fn calls_are_counted_where_they_are_made() {
    let count = CallCount { call: "readPool", outcome: "ok", count: 3 };
    let calls = vec![count.clone()];
    let usage = move || RemoteReadings { calls: calls.clone(), remaining: Some(7), ..RemoteReadings::default() };
    let progress = Progress::remote("cloudflare", Clock::start(), usage);
    assert!(progress.is_remote());
    assert_eq!((progress.status().remaining, progress.calls()), (Some(7), vec![count]));
    let progress = Progress::local("authoritative", Clock::start());
    assert!(!progress.is_remote());
    assert_eq!((progress.status().remaining, progress.calls()), (None, vec![]));
}

/// A lease that does not end during the test.
fn held() -> WriterLease {
    WriterLease::Held { until: Instant::now() + Duration::from_hours(1) }
}

#[tokio::test(start_paused = true)]
async fn a_host_without_the_lease_calls_nobody_and_is_not_behind() {
    let bench = Bench::with(scripted([]), decision(1), None, held());
    bench.until_published(1).await;
    bench.lease.send_replace(WriterLease::HeldElsewhere);
    bench.until("standby", |bench| bench.progress.status().standby).await;
    bench.decisions.send_replace(decision(2));
    sleep(Duration::from_mins(10)).await;
    assert_eq!((bench.generations(), *bench.provider.takeovers.lock()), (vec![1], 1));
    let status = bench.progress.status();
    assert_eq!((status.behind_since, status.published), (None, None));
    bench.lease.send_replace(held());
    bench.until_published(2).await;
    assert_eq!((bench.progress.status().standby, *bench.provider.takeovers.lock()), (false, 2));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_among_others_takes_over_before_its_first_attempt_and_a_sole_host_does_not() {
    for (first, takeovers) in
        [(WriterLease::NotNeeded, 0), (WriterLease::Unclear, 1), (WriterLease::HeldElsewhere, 1), (held(), 1)]
    {
        let bench = Bench::with(scripted([]), decision(1), None, first);
        if first != WriterLease::NotNeeded {
            bench.lease.send_replace(held());
        }
        bench.until_published(1).await;
        assert_eq!(*bench.provider.takeovers.lock(), takeovers, "{first:?} at first");
        bench.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_extended_ends_also_in_the_middle_of_an_attempt() {
    let until = Instant::now() + Duration::from_secs(2);
    let bench =
        Bench::with(scripted([Step::Take(Duration::from_secs(3))]), decision(1), None, WriterLease::Held { until });
    bench.until("standby", |bench| bench.progress.status().standby).await;
    assert_eq!(
        bench.provider.inner.lease(),
        Some(until),
        "the lease was passed on, and the provider could end it itself"
    );
    bench.decisions.send_replace(decision(2));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(bench.generations(), [1]);
    bench.lease.send_replace(held());
    bench.until_published(2).await;
    bench.lease.send_replace(WriterLease::Unclear);
    bench
        .until("the end of the lease", |bench| {
            bench.provider.inner.lease().is_some_and(|until| until <= Instant::now())
        })
        .await;
    bench.end().await;
}
