use std::fs;

use super::*;

fn kept(generation: u64) -> Kept {
    Kept {
        decision: Decision { answers: Vec::new(), generation },
        memory: Memory { generation, pools: Vec::new() },
        revision: generation,
    }
}

/// Runs the keeper over these, waiting for each to be passed on.
async fn run(file: Option<StateFile<Memory>>, generations: &[u64]) -> StateHealth {
    let health = StateHealth::default();
    let (newest, from_driver) = watch::channel(kept(0));
    let (to_providers, mut decisions) = watch::channel(Decision::default());
    let keeper = tokio::spawn(keep(file, from_driver, to_providers, health.clone()));
    for &generation in generations {
        newest.send(kept(generation)).unwrap();
        decisions.wait_for(|decision| decision.generation == generation).await.unwrap();
    }
    drop(newest);
    keeper.await.unwrap();
    health
}

#[tokio::test]
async fn a_decision_is_remembered_before_it_is_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::new(dir.path());
    let health = run(Some(file.clone()), &[1, 2, 3]).await;
    assert_eq!(file.load(daymark_decision::Moment::default()).memory.unwrap().generation, 3);
    assert_eq!((health.failures(), health.faults()), (0, Vec::new()));
}

#[tokio::test]
async fn without_a_state_file_decisions_pass_through() {
    let health = run(None, &[1, 2]).await;
    assert_eq!(health.failures(), 0);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_an_alarm_and_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let health = run(Some(StateFile::new(&dir.path().join("file/below"))), &[1, 2]).await;
    assert!(health.failures() >= 2);
    assert!(health.faults()[0].contains("cannot be written"));
}

#[tokio::test]
async fn a_disk_that_can_be_written_again_ends_the_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("state");
    fs::write(&blocked, "").unwrap();
    let file = StateFile::new(&blocked);
    let health = StateHealth::default();
    let (newest, from_driver) = watch::channel(kept(1));
    let (to_providers, mut decisions) = watch::channel(Decision::default());
    let keeper = tokio::spawn(keep(Some(file.clone()), from_driver, to_providers, health.clone()));
    decisions.wait_for(|decision| decision.generation == 1).await.unwrap();
    assert_eq!(health.faults().len(), 1);

    fs::remove_file(&blocked).unwrap();
    newest.send(kept(2)).unwrap();
    decisions.wait_for(|decision| decision.generation == 2).await.unwrap();
    assert_eq!(health.faults(), Vec::<String>::new());
    assert_eq!(file.load(daymark_decision::Moment::default()).memory.unwrap().generation, 2);
    drop(newest);
    keeper.await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_does_not_answer_holds_nothing_up() {
    // Opening a pipe that no one reads blocks, as a dead network file system does.
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("state.json.new");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let health = run(Some(StateFile::new(dir.path())), &[1, 2]).await;
    assert!(health.faults()[0].contains("the disk does not answer"));
    // Lets the blocked thread go, so that the runtime can end.
    let _reader = fs::File::open(&pipe).unwrap();
}
#[tokio::test]
async fn what_came_while_the_disk_was_slow_is_saved_as_soon_as_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::new(dir.path());
    let (former, newest) = (kept(1).memory, kept(2).memory);
    let (answer, disk) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async { disk.await.map_err(io::Error::other) });
    let running = Some(Running { memory: former.clone(), task, begun: Instant::now(), is_late: true });
    let mut saver = Saver { file: file.clone(), health: StateHealth::default(), saved: None, running };

    saver.save(&newest).await;
    assert!(saver.running.is_some(), "one save at a time");
    answer.send(()).unwrap();
    saver.needs_attention(&newest).await;
    assert_eq!(saver.saved, Some(former), "the end of the slow save asks for attention");
    saver.save(&newest).await;
    assert_eq!(saver.saved.as_ref(), Some(&newest));
    assert_eq!(file.load(daymark_decision::Moment::default()).memory, Some(newest));
}

#[tokio::test(start_paused = true)]
async fn a_save_that_takes_too_long_is_an_alarm_that_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let health = StateHealth::default();
    let (answer, disk) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async { disk.await.map_err(io::Error::other) });
    let memory = kept(1).memory;
    let running = Some(Running { memory: memory.clone(), task, begun: Instant::now(), is_late: false });
    let file = StateFile::new(dir.path());
    let mut saver = Saver { file, health: health.clone(), saved: None, running };

    assert!(health.faults().is_empty());
    saver.needs_attention(&memory).await;
    assert!(health.faults()[0].contains("the disk does not answer"));
    answer.send(()).unwrap();
    saver.needs_attention(&memory).await;
    assert_eq!((health.faults(), saver.saved), (Vec::new(), Some(memory)));
}

#[test]
fn each_file_that_cannot_be_written_is_an_alarm_until_it_can_be() {
    let health = StateHealth::default();
    let [one, other] = ["/state/one", "/state/other"].map(PathBuf::from);
    health.failed(one.clone(), "full");
    health.failed(other, "full");
    health.done(&one);
    assert_eq!(health.faults(), ["the state file /state/other cannot be written: full"]);
    assert_eq!(health.failures(), 2);
}

#[tokio::test]
async fn who_waits_for_a_revision_finds_it_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let file = StateFile::new(dir.path());
    let health = StateHealth::default();
    let (newest, from_driver) = watch::channel(kept(1));
    let (to_providers, _decisions) = watch::channel(Decision::default());
    let keeper = tokio::spawn(keep(Some(file.clone()), from_driver, to_providers, health.clone()));
    for revision in 2..20 {
        newest.send(kept(revision)).unwrap();
        health.kept(revision).await;
        let saved = file.load(daymark_decision::Moment::default()).memory.unwrap().generation;
        assert_eq!(saved, revision);
    }
    drop(newest);
    keeper.await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_revision_that_waits_for_a_slow_save_does_not_count_as_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("state.json.new");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (file, health) = (StateFile::new(dir.path()), StateHealth::default());
    let (newest, from_driver) = watch::channel(kept(1));
    let (to_providers, mut decisions) = watch::channel(Decision::default());
    let keeper = tokio::spawn(keep(Some(file.clone()), from_driver, to_providers, health.clone()));
    decisions.wait_for(|decision| decision.generation == 1).await.unwrap();
    newest.send(kept(2)).unwrap();
    decisions.wait_for(|decision| decision.generation == 2).await.unwrap();
    assert_eq!(*health.0.kept.borrow(), 0, "the disk has taken neither");

    let reader = fs::File::open(&pipe).unwrap();
    fs::remove_file(&pipe).unwrap();
    drop(reader);
    health.0.kept.subscribe().wait_for(|kept| *kept == 2).await.unwrap();
    assert_eq!(file.load(daymark_decision::Moment::default()).memory.unwrap().generation, 2);
    drop(newest);
    keeper.await.unwrap();
}
