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

/// Persists these decisions one after the other, and waits until each is published.
async fn run(file: Option<StateFile<Memory>>, generations: &[u64]) -> StateHealth {
    let health = StateHealth::default();
    let (newest, from_driver) = watch::channel(decided(0));
    let (to_providers, mut decisions) = watch::channel(Decision::default());
    let task = tokio::spawn(persist_decisions(file, Memory::default(), from_driver, to_providers, health.clone()));
    for &generation in generations {
        newest.send(decided(generation)).unwrap();
        decisions.wait_for(|decision| decision.generation == generation).await.unwrap();
    }
    drop(newest);
    task.await.unwrap();
    health
}

#[tokio::test]
async fn a_state_is_on_the_disk_before_its_decision_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::new(dir.path());
    let health = run(Some(file.clone()), &[1, 2, 3]).await;
    assert_eq!(file.load(daymark_decision::Moment::default()).memory.unwrap().generation, 3);
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
    let blocked = dir.path().join("state");
    fs::write(&blocked, "").unwrap();
    let file = StateFile::new(&blocked);
    let health = StateHealth::default();
    let (newest, from_driver) = watch::channel(decided(1));
    let (to_providers, mut decisions) = watch::channel(Decision::default());
    let task = tokio::spawn(persist_decisions(
        Some(file.clone()),
        Memory::default(),
        from_driver,
        to_providers,
        health.clone(),
    ));
    decisions.wait_for(|decision| decision.generation == 1).await.unwrap();
    assert_eq!(health.errors().len(), 1);

    fs::remove_file(&blocked).unwrap();
    newest.send(decided(2)).unwrap();
    decisions.wait_for(|decision| decision.generation == 2).await.unwrap();
    assert_eq!(health.errors(), Vec::<String>::new());
    assert_eq!(file.load(daymark_decision::Moment::default()).memory.unwrap().generation, 2);
    drop(newest);
    task.await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_does_not_answer_holds_nothing_up() {
    // Opening a pipe that nobody reads blocks, like a dead network file system.
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("state.json.new");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
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
    let (answer, disk) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async { disk.await.map_err(io::Error::other) });
    let running = Some(RunningWriter { memory: former.clone(), task, begun: Instant::now(), is_late: true });
    let mut writer = StateWriter {
        file: file.clone(),
        health: StateHealth::default(),
        saved: None,
        running,
        thread: BlockingThread::start("test"),
    };

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
    let (answer, disk) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async { disk.await.map_err(io::Error::other) });
    let memory = decided(1).memory;
    let running = Some(RunningWriter { memory: memory.clone(), task, begun: Instant::now(), is_late: false });
    let file = StateFile::new(dir.path());
    let mut writer =
        StateWriter { file, health: health.clone(), saved: None, running, thread: BlockingThread::start("test") };

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
    let health = StateHealth::default();
    let (newest, from_driver) = watch::channel(decided(1));
    let (to_providers, _decisions) = watch::channel(Decision::default());
    let task = tokio::spawn(persist_decisions(
        Some(file.clone()),
        Memory::default(),
        from_driver,
        to_providers,
        health.clone(),
    ));
    for revision in 2..20 {
        newest.send(decided(revision)).unwrap();
        health.persisted(revision, &node_key()).await.unwrap();
        let saved = file.load(daymark_decision::Moment::default()).memory.unwrap().generation;
        assert_eq!(saved, revision);
    }
    drop(newest);
    task.await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_revision_that_waits_for_a_slow_save_does_not_count_as_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("state.json.new");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let file = StateFile::new(dir.path());
    let health = StateHealth::default();
    let (newest, from_driver) = watch::channel(decided(1));
    let (to_providers, mut decisions) = watch::channel(Decision::default());
    let task = tokio::spawn(persist_decisions(
        Some(file.clone()),
        Memory::default(),
        from_driver,
        to_providers,
        health.clone(),
    ));
    decisions.wait_for(|decision| decision.generation == 1).await.unwrap();
    newest.send(decided(2)).unwrap();
    decisions.wait_for(|decision| decision.generation == 2).await.unwrap();
    assert_eq!(*health.0.persisted.borrow(), 0, "the disk has taken neither");

    let reader = fs::File::open(&pipe).unwrap();
    fs::remove_file(&pipe).unwrap();
    drop(reader);
    health.0.persisted.subscribe().wait_for(|persisted| *persisted == 2).await.unwrap();
    assert_eq!(file.load(daymark_decision::Moment::default()).memory.unwrap().generation, 2);
    drop(newest);
    task.await.unwrap();
}

#[tokio::test]
async fn an_override_that_the_disk_did_not_take_is_named_until_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("state");
    fs::write(&blocked, "").unwrap();
    let health = StateHealth::default();
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
    let (newest, from_driver) = watch::channel(decided(1));
    let (to_providers, _decisions) = watch::channel(Decision::default());
    let file = StateFile::new(&blocked);
    let task =
        tokio::spawn(persist_decisions(Some(file), Memory::default(), from_driver, to_providers, health.clone()));
    newest.send(drained.clone()).unwrap();
    let refusal = health.persisted(2, &node_key()).await.unwrap_err();
    assert!(refusal.contains("cannot be written"), "{refusal}");
    assert_eq!(health.unsaved_overrides(&pool), [node]);

    fs::remove_file(&blocked).unwrap();
    newest.send(DecidedState { revision: 3, ..drained }).unwrap();
    health.persisted(3, &node_key()).await.unwrap();
    assert_eq!(health.unsaved_overrides(&pool), []);
    drop(newest);
    task.await.unwrap();
}
