use std::fs;

use daymark_decision::{HybridTimestamp, OverrideEntry, OverrideState};

use super::*;

fn decided(generation: u64) -> DecidedState {
    DecidedState {
        decision: Decision { answers: Vec::new(), generation },
        memory: Memory { generation, pools: Vec::new() },
        revision: generation,
    }
}

fn node_key() -> NodeKey {
    NodeKey { pool: PoolName::new("lb.example.org").unwrap(), node: NodeName::new("cp-1").unwrap() }
}

/// A running writer with both ends of its channels.
struct Running {
    health: StateHealth,
    newest: watch::Sender<DecidedState>,
    decisions: watch::Receiver<Decision>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts with the decided state of this generation.
    fn start(file: Option<StateFile<Memory>>, generation: u64) -> Self {
        let health = StateHealth::default();
        let (newest, from_driver) = watch::channel(decided(generation));
        let (to_providers, decisions) = watch::channel(Decision::default());
        let writer = persist_decisions(file, Memory::default(), from_driver, to_providers, health.clone());
        Self { health, newest, decisions, task: tokio::spawn(writer) }
    }

    fn decide(&self, state: DecidedState) {
        self.newest.send(state).unwrap();
    }

    async fn published(&mut self, generation: u64) {
        self.decisions.wait_for(|decision| decision.generation == generation).await.unwrap();
    }

    async fn finish(self) -> StateHealth {
        drop(self.newest);
        self.task.await.unwrap();
        self.health
    }
}

/// A writer of a state file whose save of `memory` is under way until the sender answers.
struct SlowSave {
    writer: StateWriter<Memory>,
    answer: tokio::sync::oneshot::Sender<()>,
}

fn slow_save(file: StateFile<Memory>, health: StateHealth, memory: Memory, is_late: bool) -> SlowSave {
    let (answer, disk) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async { disk.await.map_err(io::Error::other) });
    let running = Some(RunningWriter { memory, task, begun: Instant::now(), is_late });
    let writer = StateWriter {
        file,
        health,
        saved: None,
        running,
        tried_at: None,
        locks: 0,
        thread: BlockingThread::start("test"),
    };
    SlowSave { writer, answer }
}

fn generation_in(file: &StateFile<Memory>) -> u64 {
    file.load(daymark_decision::Moment::default()).memory.unwrap().generation
}

/// Makes a file where the state directory should be.
fn blocked(dir: &Path) -> PathBuf {
    let blocked = dir.join("state");
    fs::write(&blocked, "").unwrap();
    blocked
}

/// Makes a pipe that nobody reads: opening it blocks, like a dead network file system.
#[cfg(target_os = "linux")]
fn pipe_of(dir: &Path) -> PathBuf {
    let pipe = dir.join("state.json.new");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

/// Persists these decisions one after the other, and waits until each is published.
async fn run(file: Option<StateFile<Memory>>, generations: &[u64]) -> StateHealth {
    let mut running = Running::start(file, 0);
    for &generation in generations {
        running.decide(decided(generation));
        running.published(generation).await;
    }
    running.finish().await
}

#[tokio::test]
async fn a_state_is_on_the_disk_before_its_decision_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::new(dir.path());
    let health = run(Some(file.clone()), &[1, 2, 3]).await;
    assert_eq!(generation_in(&file), 3);
    assert_eq!((health.failures(), health.errors()), (0, Vec::new()));
}

#[tokio::test]
async fn without_a_state_file_decisions_are_published_at_once() {
    let health = run(None, &[1, 2]).await;
    assert_eq!(health.failures(), 0);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_an_alarm_and_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let health = run(Some(StateFile::new(&dir.path().join("file/below"))), &[1, 2]).await;
    assert!(health.failures() >= 2);
    assert!(health.errors()[0].contains("cannot be written"));
}

#[tokio::test]
async fn a_disk_that_can_be_written_again_ends_the_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = blocked(dir.path());
    let file = StateFile::new(&blocked);
    let mut running = Running::start(Some(file.clone()), 1);
    running.published(1).await;
    assert_eq!(running.health.errors().len(), 1);

    fs::remove_file(&blocked).unwrap();
    running.decide(decided(2));
    running.published(2).await;
    assert_eq!(running.health.errors(), Vec::<String>::new());
    assert_eq!(generation_in(&file), 2);
    running.finish().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_does_not_answer_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = pipe_of(dir.path());
    let health = run(Some(StateFile::new(dir.path())), &[1, 2]).await;
    assert!(health.errors()[0].contains("the disk does not answer"));
    // This frees the blocked thread, so that the runtime can end.
    let _reader = fs::File::open(&pipe).unwrap();
}

#[tokio::test]
async fn a_state_that_came_while_the_disk_was_slow_is_saved_when_the_disk_answers() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::new(dir.path());
    let former = decided(1).memory;
    let newest = decided(2).memory;
    let SlowSave { mut writer, answer } = slow_save(file.clone(), StateHealth::default(), former.clone(), true);

    writer.save(&newest).await;
    assert!(writer.running.is_some(), "one save at a time");
    answer.send(()).unwrap();
    writer.needs_attention(&newest).await;
    assert_eq!(writer.saved, Some(former), "the end of the slow save asks for attention");
    writer.save(&newest).await;
    assert_eq!(writer.saved.as_ref(), Some(&newest));
    assert_eq!(file.load(daymark_decision::Moment::default()).memory, Some(newest));
}

#[tokio::test(start_paused = true)]
async fn a_save_that_takes_too_long_is_an_alarm_that_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let health = StateHealth::default();
    let memory = decided(1).memory;
    let file = StateFile::new(dir.path());
    let SlowSave { mut writer, answer } = slow_save(file, health.clone(), memory.clone(), false);

    assert!(health.errors().is_empty());
    writer.needs_attention(&memory).await;
    assert!(health.errors()[0].contains("the disk does not answer"));
    answer.send(()).unwrap();
    writer.needs_attention(&memory).await;
    assert_eq!((health.errors(), writer.saved), (Vec::new(), Some(memory)));
}

#[test]
fn each_file_that_cannot_be_written_is_an_alarm_until_it_can_be() {
    let health = StateHealth::default();
    let [one, other] = ["/state/one", "/state/other"].map(PathBuf::from);
    health.record_failure(one.clone(), "full");
    health.record_failure(other, "full");
    health.record_success(&one);
    assert_eq!(health.errors(), ["the state file /state/other cannot be written: full"]);
    assert_eq!(health.failures(), 2);
}

#[tokio::test]
async fn a_revision_that_was_waited_for_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::new(dir.path());
    let running = Running::start(Some(file.clone()), 1);
    for revision in 2..20 {
        running.decide(decided(revision));
        running.health.persisted(revision, &node_key()).await.unwrap();
        assert_eq!(generation_in(&file), revision);
    }
    running.finish().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_revision_that_waits_for_a_slow_save_does_not_count_as_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = pipe_of(dir.path());
    let file = StateFile::new(dir.path());
    let mut running = Running::start(Some(file.clone()), 1);
    running.published(1).await;
    running.decide(decided(2));
    running.published(2).await;
    let persisted = &running.health.0.persisted;
    assert_eq!(*persisted.borrow(), 0, "the disk has taken neither");

    let reader = fs::File::open(&pipe).unwrap();
    fs::remove_file(&pipe).unwrap();
    drop(reader);
    persisted.subscribe().wait_for(|persisted| *persisted == 2).await.unwrap();
    assert_eq!(generation_in(&file), 2);
    running.finish().await;
}

#[tokio::test]
async fn an_override_that_the_disk_did_not_take_is_named_until_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = blocked(dir.path());
    let NodeKey { pool, node } = node_key();
    let entry = OverrideEntry {
        timestamp: HybridTimestamp { time: 1, host: None },
        causal_context: Vec::new(),
        context_revision: 0,
        insist: false,
        state: OverrideState::Cleared,
        expiry_uncertain: false,
    };
    let of_pool = serde_json::json!({"pool": pool, "lastKnownGood": [], "targets": [], "overrides": {"cp-1": entry}});
    let of_pool = serde_json::from_value(of_pool).unwrap();
    let drained = DecidedState { memory: Memory { generation: 2, pools: vec![of_pool] }, ..decided(2) };
    let running = Running::start(Some(StateFile::new(&blocked)), 1);
    running.decide(drained.clone());
    let error = running.health.persisted(2, &node_key()).await.unwrap_err();
    assert!(error.to_string().contains("cannot be written"), "{error}");
    assert_eq!(running.health.unsaved_overrides(&pool), [node]);

    fs::remove_file(&blocked).unwrap();
    running.decide(DecidedState { revision: 3, ..drained });
    running.health.persisted(3, &node_key()).await.unwrap();
    assert_eq!(running.health.unsaved_overrides(&pool), []);
    running.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_save_is_tried_again_though_its_waiter_looks_away_every_second() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").unwrap();
    let memory = decided(1).memory;
    let mut writer = StateWriter::new(StateFile::new(&blocked), StateHealth::default(), None);
    writer.save(&memory).await;
    let mut looks = 0;
    while timeout(Duration::from_secs(1), writer.needs_attention(&memory)).await.is_err() {
        looks += 1;
        assert!(looks < 11, "it asks for no attention");
    }
}
