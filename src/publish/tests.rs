use std::collections::VecDeque;
use std::io;

use daymark_cloudflare::Usage;
use daymark_decision::{Basis, NotReadyReason, PoolName, Reason, Target};
use daymark_provider::{InMemory, contract};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::keeper::StateHealth;
use crate::os::clock::Clock;
use crate::state::StateFile;

/// What one attempt of the scripted provider does.
enum Step {
    Fail(PublishError),
    Panic,
    Hang,
    /// Takes so long, and then the next step.
    Take(Duration),
}

/// Does as it is told, step by step, and then passes on to the in-memory provider.
#[derive(Default)]
struct Scripted {
    steps: Mutex<VecDeque<Step>>,
    tries: Mutex<Vec<(u64, Instant)>>,
    look_again: Option<Duration>,
    findings: Mutex<Vec<String>>,
    checks: Mutex<usize>,
    is_out_of_reach: Mutex<bool>,
    taken_over: Mutex<u32>,
    may_write_until: Mutex<Option<Instant>>,
    /// The generations that it was told of.
    told: Mutex<Vec<u64>>,
    beneath: InMemory,
}

impl Provider for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn supersede(&self, decision: &Decision) {
        self.told.lock().push(decision.generation);
    }

    async fn publish(&self, decision: &Decision) -> Result<(), PublishError> {
        self.tries.lock().push((decision.generation, Instant::now()));
        loop {
            let step = self.steps.lock().pop_front();
            return match step {
                Some(Step::Fail(fault)) => Err(fault),
                Some(Step::Panic) => panic!("the script says so"),
                Some(Step::Hang) => std::future::pending().await,
                Some(Step::Take(time)) => {
                    sleep(time).await;
                    continue;
                }
                None => self.beneath.publish(decision).await,
            };
        }
    }

    fn may_write(&self, until: Instant) {
        *self.may_write_until.lock() = Some(until);
    }

    async fn take_over(&self) {
        *self.taken_over.lock() += 1;
    }

    fn look_again(&self) -> Option<Duration> {
        self.look_again
    }

    async fn check(&self) -> Option<Vec<String>> {
        *self.checks.lock() += 1;
        (!*self.is_out_of_reach.lock()).then(|| self.findings.lock().clone())
    }

    fn memory(&self) -> Option<Value> {
        Some(self.beneath.published().generation.into())
    }
}

/// What is logged on this thread.
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

/// A publisher at work on a scripted provider.
struct Bench {
    provider: Arc<Scripted>,
    decisions: watch::Sender<Decision>,
    role: watch::Sender<Role>,
    progress: Progress,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Bench {
    fn start(provider: Scripted, first: Decision) -> Self {
        Self::with_memory(provider, first, None)
    }

    fn with_memory(provider: Scripted, first: Decision, memory: Option<Saver<Value>>) -> Self {
        Self::with(provider, first, memory, Role::Sole)
    }

    fn with(provider: Scripted, first: Decision, memory: Option<Saver<Value>>, role: Role) -> Self {
        let provider = Arc::new(provider);
        let (decisions, receiver) = watch::channel(first);
        let (progress, shutdown) = (Progress::of("scripted", Clock::start()), CancellationToken::new());
        let (role, told) = watch::channel(role);
        let task = publish(provider.clone(), receiver, progress.clone(), memory, told, shutdown.clone());
        Self { provider, decisions, role, progress, shutdown, task: tokio::spawn(task) }
    }

    /// Lets time pass until this holds.
    async fn until(&self, what: &str, is_it: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if is_it(self) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} did not happen: {:?}", self.progress.status());
    }

    async fn until_published(&self, generation: u64) {
        self.until("publishing", |it| it.progress.status().published == Some(generation)).await;
    }

    fn generations(&self) -> Vec<u64> {
        self.provider.tries.lock().iter().map(|(generation, _)| *generation).collect()
    }

    /// Between the attempts.
    fn pauses(&self) -> Vec<Duration> {
        self.provider.tries.lock().windows(2).map(|pair| pair[1].1 - pair[0].1).collect()
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn scripted(steps: impl IntoIterator<Item = Step>) -> Scripted {
    Scripted { steps: Mutex::new(steps.into_iter().collect()), ..Scripted::default() }
}

fn decision(generation: u64) -> Decision {
    contract::decision(&PoolName::new("lb.example.org"), generation, &["192.0.2.1"])
}

/// The same before the first verdict.
fn guess(generation: u64) -> Decision {
    let mut decision = decision(generation);
    let answer = &mut decision.answers[0];
    let member = &answer.members[0];
    let target = Target { pool: answer.pool.clone(), node: member.node.clone(), address: member.address };
    answer.basis = Basis::Bootstrap;
    answer.reasons = vec![(target, Reason::Bootstrap { cause: NotReadyReason::NoVerdict { observed: None } })];
    decision
}

fn unavailable() -> Step {
    asking(None)
}

fn asking(pause: Option<Duration>) -> Step {
    Step::Fail(PublishError::Unavailable { source: Box::new(io::Error::other("the line is cut")), pause })
}

fn refused() -> Step {
    Step::Fail(PublishError::Refused("the zone is not there".into()))
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
    let tries = bench.provider.tries.lock().clone();
    let [.., (_, failed), (_, done)] = tries[..] else { panic!("{tries:?}") };
    assert!(done - failed <= Duration::from_millis(250), "{tries:?}");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_told_of_a_newer_decision_while_it_publishes_an_older_one() {
    let bench = Bench::start(scripted([Step::Hang]), decision(1));
    bench.until("an attempt", |it| it.generations() == [1]).await;
    bench.decisions.send(decision(2)).unwrap();
    bench.until("the word of it", |it| it.provider.told.lock().contains(&2)).await;
    assert_eq!(bench.generations(), [1]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_decision_replaces_the_one_that_fails_and_waits_for_the_back_off() {
    let bench = Bench::start(scripted(std::iter::repeat_with(unavailable).take(6)), decision(1));
    bench.until("a sixth failure", |it| it.generations().len() == 6).await;
    assert_eq!(bench.progress.status().error.unwrap(), "not published, to be tried again: the line is cut");
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
    assert!(bench.provider.tries.lock()[1].1 - before < Duration::from_millis(10));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_pause_that_the_world_asks_for_is_kept() {
    let pause = Duration::from_mins(5);
    let bench = Bench::start(scripted([asking(Some(pause))]), decision(1));
    bench.until("a failure", |it| it.progress.status().error.is_some()).await;
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    assert!(bench.pauses()[0] >= pause);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_tried_slowly_and_a_changed_decision_soon() {
    let bench = Bench::start(scripted([refused(), refused(), refused()]), decision(1));
    bench.until("a second refusal", |it| it.generations().len() == 2).await;
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
    bench.until("a fault", |it| it.progress.status().error.is_some()).await;
    sleep(Duration::from_mins(5)).await;
    assert_eq!(bench.generations(), [5, 4]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_decision_with_the_same_answers_is_no_reason_to_publish() {
    let bench = Bench::start(scripted([]), guess(1));
    bench.until_published(1).await;
    let mut other = guess(1);
    other.answers[0].reasons.clear();
    // What was a guess is none any more.
    bench.decisions.send(other.clone()).unwrap();
    bench.until("a second attempt", |it| it.generations().len() == 2).await;
    other.answers[0].max_answers = 1;
    bench.decisions.send(other).unwrap();
    sleep(Duration::from_mins(5)).await;
    assert_eq!(bench.generations(), [1, 1]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_others_can_change_is_looked_at_again_and_again() {
    let provider = Scripted { look_again: Some(Duration::from_mins(5)), ..scripted([]) };
    let bench = Bench::start(provider, decision(1));
    sleep(Duration::from_mins(61)).await;
    assert_eq!(bench.generations(), [1; 13]);
    let status = bench.progress.status();
    assert!(status.last_success.is_some() && status.behind_since.is_none(), "{status:?}");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_decision_waits_for_the_verdicts_where_something_stands_already() {
    let provider = || Scripted { look_again: Some(Duration::from_mins(5)), ..scripted([]) };
    let bench = Bench::start(provider(), guess(1));
    sleep(Duration::from_secs(20)).await;
    assert_eq!((bench.generations(), bench.progress.status().desired), (vec![], 1));
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    assert_eq!(bench.generations(), [2], "the guess was never sent");
    bench.end().await;

    let bench = Bench::start(provider(), guess(1));
    let begun = Instant::now();
    bench.until_published(1).await;
    assert!(bench.provider.tries.lock()[0].1 - begun >= Duration::from_secs(30), "but not for ever");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_answers_by_itself_gets_the_first_guess_at_once() {
    let bench = Bench::start(scripted([]), guess(1));
    let begun = Instant::now();
    bench.until_published(1).await;
    assert!(bench.provider.tries.lock()[0].1 - begun < Duration::from_secs(1));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_fault_of_the_provider_and_is_tried_again() {
    let bench = Bench::start(scripted([Step::Panic, unavailable()]), decision(1));
    bench.until("a fault", |it| it.progress.status().error.is_some()).await;
    assert_eq!(
        bench.progress.status().error.unwrap(),
        "not published, to be tried again: it has crashed: the script says so"
    );
    bench.until_published(1).await;
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_check_runs_at_the_start_and_when_refusals_begin_or_end() {
    let provider = scripted([]);
    provider.findings.lock().push("the token ends soon".to_owned());
    let bench = Bench::start(provider, decision(1));
    bench.until("a finding", |it| it.progress.status().findings == ["the token ends soon"]).await;
    bench.provider.steps.lock().extend([unavailable(), unavailable()]);
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    sleep(Duration::from_mins(5)).await;
    assert_eq!(*bench.provider.checks.lock(), 1, "what passes by itself needs none");

    bench.provider.findings.lock().clear();
    bench.provider.steps.lock().extend([refused(), unavailable(), refused()]);
    bench.decisions.send(decision(3)).unwrap();
    bench.until_published(3).await;
    bench.until("a third check", |it| *it.provider.checks.lock() == 3).await;
    assert_eq!(bench.progress.status().findings, [""; 0]);
    sleep(Duration::from_mins(5)).await;
    assert_eq!(*bench.provider.checks.lock(), 3, "once for the refusals, and once for their end");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_found_is_looked_for_again_with_every_look_until_it_is_gone() {
    let provider = Scripted { look_again: Some(Duration::from_mins(5)), ..scripted([]) };
    provider.findings.lock().push("the pool has a monitor".to_owned());
    let bench = Bench::start(provider, decision(1));
    // Each change of the answer is a success too, and none is a reason to ask more often than the looks.
    for generation in 2..=61 {
        sleep(Duration::from_mins(1)).await;
        bench.decisions.send(decision(generation)).unwrap();
    }
    sleep(Duration::from_secs(2)).await;
    assert_eq!(*bench.provider.checks.lock(), 13, "one at the start and twelve in the hour");
    assert_eq!(bench.progress.status().findings, ["the pool has a monitor"]);

    bench.provider.findings.lock().clear();
    bench.until("its end", |it| it.progress.status().findings.is_empty()).await;
    let checks = *bench.provider.checks.lock();
    sleep(Duration::from_hours(1)).await;
    assert_eq!(*bench.provider.checks.lock(), checks, "where nothing is found nothing is looked for");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_finding_beside_a_refusal_is_looked_for_again_too() {
    let provider = Scripted { look_again: Some(Duration::from_mins(5)), ..scripted((0..1000).map(|_| refused())) };
    provider.findings.lock().push("the pool has a monitor".to_owned());
    let bench = Bench::start(provider, decision(1));
    bench.until("a finding", |it| !it.progress.status().findings.is_empty()).await;
    bench.provider.findings.lock().clear();
    bench.until("its end", |it| it.progress.status().findings.is_empty()).await;
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn other_targets_are_checked_at_once() {
    let provider = Scripted { look_again: Some(Duration::from_mins(5)), ..scripted([]) };
    let bench = Bench::start(provider, decision(1));
    bench.until("a check", |it| *it.provider.checks.lock() == 1).await;
    bench.provider.findings.lock().push("no origin belongs to the new node".to_owned());
    let others = contract::decision(&PoolName::new("lb.example.org"), 2, &["192.0.2.1", "192.0.2.9"]);
    bench.decisions.send(others).unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.progress.status().findings, ["no origin belongs to the new node"]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_cannot_be_made_is_made_later() {
    let provider = scripted([]);
    *provider.is_out_of_reach.lock() = true;
    provider.findings.lock().push("the token ends soon".to_owned());
    let bench = Bench::start(provider, decision(1));
    bench.until_published(1).await;
    bench.until("three tries", |it| *it.provider.checks.lock() == 3).await;
    assert_eq!(bench.progress.status().findings, [""; 0]);
    *bench.provider.is_out_of_reach.lock() = false;
    bench.until("a finding", |it| it.progress.status().findings == ["the token ends soon"]).await;
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_status_tells_since_when_a_provider_is_behind_and_why() {
    let pause = Duration::from_mins(10);
    let bench = Bench::start(scripted([asking(Some(pause))]), decision(1));
    bench.until("a fault", |it| it.progress.status().error.is_some()).await;
    let since = bench.progress.status().behind_since.unwrap();
    sleep(Duration::from_mins(2)).await;
    bench.decisions.send(decision(2)).unwrap();
    bench.until("the wish", |it| it.progress.status().desired == 2).await;
    let status = bench.progress.status();
    assert_eq!(status.behind_since, Some(since), "a newer wish is no new beginning");
    let at = |secs: i64| jiff::Timestamp::from_second(since.as_second() + secs).unwrap();
    assert_eq!(status.alarms(at(30)), ["provider scripted: not published, to be tried again: the line is cut"]);
    assert_eq!(
        status.alarms(at(31)),
        [
            "provider scripted: nothing is published and 2 wanted for 31 s: not published, to be tried again: the line is cut"
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
    bench.until("the wish", |it| it.progress.status().desired == 2).await;
    let status = bench.progress.status();
    let later = jiff::Timestamp::from_second(status.behind_since.unwrap().as_second() + 60).unwrap();
    assert_eq!(
        status.alarms(later),
        [format!(
            "provider scripted: nothing is published and 2 wanted for 60 s: an attempt is under way since {}",
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
    bench.until("the findings", |it| it.progress.status().findings.len() == 2).await;
    let status = bench.progress.status();
    assert_eq!(
        status.alarms(status.behind_since.unwrap()),
        [
            "provider scripted: not as it should be, and only the operator can mend it: the zone is not there",
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
        assert_eq!(good.provider.beneath.published().generation, generation);
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
        bench.until("an attempt", |it| !it.generations().is_empty()).await;
        let (progress, begun) = (bench.progress.clone(), bench.provider.tries.lock()[0].1);
        bench.end().await;
        assert_eq!((progress.status().published, begun.elapsed().as_secs()), (published, ends_after));
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_at_the_shutdown_is_told_and_no_other_one_is_promised() {
    let (log, _guard) = Log::capture();
    let bench = Bench::start(scripted([Step::Take(Duration::from_secs(1)), unavailable()]), decision(1));
    bench.until("an attempt", |it| !it.generations().is_empty()).await;
    bench.end().await;
    let log = log.text();
    assert!(log.ends_with("provider scripted: not published, to be tried again: the line is cut\n"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn what_an_attempt_that_the_shutdown_cuts_off_has_changed_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let file = || StateFile::of_provider(dir.path(), "scripted");
    let saver = Saver::new(file(), StateHealth::default(), None);
    let bench = Bench::with_memory(scripted([]), decision(1), Some(saver));
    bench.until_published(1).await;
    bench.provider.steps.lock().push_back(Step::Hang);
    bench.decisions.send(decision(2)).unwrap();
    bench.until("a second attempt", |it| it.generations().len() == 2).await;
    // It did its work, and waits for the answer.
    bench.provider.beneath.publish(&decision(2)).await.unwrap();
    bench.end().await;
    assert_eq!(file().load(daymark_decision::Moment::default()).memory, Some(2.into()));
}

#[tokio::test]
async fn what_a_provider_remembers_is_kept_for_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let file = || StateFile::of_provider(dir.path(), "scripted");
    let saver = Saver::new(file(), StateHealth::default(), None);
    let bench = Bench::with_memory(scripted([]), decision(1), Some(saver));
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
    let saver = Saver::new(StateFile::of_provider(&dir.path().join("file"), "scripted"), health.clone(), None);
    let bench = Bench::with_memory(scripted([]), decision(1), Some(saver));
    bench.until("an alarm", |_| !health.faults().is_empty()).await;
    bench.decisions.send(decision(2)).unwrap();
    bench.until_published(2).await;
    assert!(health.faults()[0].contains("provider-scripted.json cannot be written"), "{:?}", health.faults());
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_could_not_be_written_is_written_once_the_disk_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("state");
    std::fs::write(&place, "").unwrap();
    let health = StateHealth::default();
    let saver = Saver::new(StateFile::of_provider(&place, "scripted"), health.clone(), None);
    let bench = Bench::with_memory(scripted([]), decision(1), Some(saver));
    bench.until("an alarm", |_| !health.faults().is_empty()).await;
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    bench.until("its end", |_| health.faults().is_empty()).await;
    let file: StateFile<Value> = StateFile::of_provider(&place, "scripted");
    assert_eq!(file.load(daymark_decision::Moment::default()).memory, Some(1.into()));
    assert_eq!(bench.generations(), [1], "without another attempt");
    bench.end().await;
}

#[test]
fn calls_are_counted_where_they_are_made() {
    let usage = || Usage { calls: vec![("read-pool", "ok", 3)], remaining: Some(7) };
    let progress = Progress::elsewhere("cloudflare", Clock::start(), usage);
    assert!(progress.is_elsewhere());
    assert_eq!((progress.status().remaining, progress.calls()), (Some(7), vec![("read-pool", "ok", 3)]));
    let progress = Progress::of("authoritative", Clock::start());
    assert!(!progress.is_elsewhere());
    assert_eq!((progress.status().remaining, progress.calls()), (None, vec![]));
}

/// The role of a host that goes on writing.
fn writer() -> Role {
    Role::Writer { until: Instant::now() + Duration::from_hours(1) }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_write_calls_nobody_and_is_not_behind() {
    let bench = Bench::with(Scripted::default(), decision(1), None, writer());
    bench.until_published(1).await;
    bench.role.send_replace(Role::Reader);
    bench.until("standing by", |it| it.progress.status().standby).await;
    bench.decisions.send_replace(decision(2));
    sleep(Duration::from_mins(10)).await;
    assert_eq!((bench.generations(), *bench.provider.taken_over.lock()), (vec![1], 1));
    let status = bench.progress.status();
    assert_eq!((status.behind_since, status.published), (None, None));
    bench.role.send_replace(writer());
    bench.until_published(2).await;
    assert_eq!((bench.progress.status().standby, *bench.provider.taken_over.lock()), (false, 2));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn only_where_there_is_no_other_host_does_what_is_remembered_hold() {
    for (first, taken_over) in [(Role::Sole, 0), (Role::Unclear, 1), (Role::Reader, 1), (writer(), 1)] {
        let bench = Bench::with(Scripted::default(), decision(1), None, first);
        if first != Role::Sole {
            bench.role.send_replace(writer());
        }
        bench.until_published(1).await;
        assert_eq!(*bench.provider.taken_over.lock(), taken_over, "{first:?} at first");
        bench.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_not_confirmed_lapses_also_in_the_middle_of_an_attempt() {
    let until = Instant::now() + Duration::from_secs(2);
    let bench = Bench::with(scripted([Step::Take(Duration::from_secs(3))]), decision(1), None, Role::Writer { until });
    bench.until("standing by", |it| it.progress.status().standby).await;
    assert_eq!(*bench.provider.may_write_until.lock(), Some(until), "it was told, and could end it itself");
    bench.decisions.send_replace(decision(2));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(bench.generations(), [1]);
    bench.role.send_replace(writer());
    bench.until_published(2).await;
    bench.role.send_replace(Role::Unclear);
    bench
        .until("the end of the leave", |it| it.provider.may_write_until.lock().is_some_and(|it| it <= Instant::now()))
        .await;
    bench.end().await;
}
