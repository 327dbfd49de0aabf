use std::collections::VecDeque;
use std::io;

use daymark_decision::PoolName;
use daymark_provider::{InMemory, contract};

use super::*;

/// Fails as often as it is told, then passes on to the in-memory provider.
#[derive(Debug, Default)]
struct Faulty {
    faults: Mutex<VecDeque<PublishError>>,
    tries: Mutex<Vec<(u64, tokio::time::Instant)>>,
    beneath: InMemory,
}

impl Provider for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    async fn publish(&self, decision: &Decision) -> Result<(), PublishError> {
        self.tries.lock().push((decision.generation, tokio::time::Instant::now()));
        let fault = self.faults.lock().pop_front();
        match fault {
            Some(fault) => Err(fault),
            None => self.beneath.publish(decision).await,
        }
    }
}

fn decision(generation: u64) -> Decision {
    contract::decision(&PoolName::new("lb.example.org"), generation, &["192.0.2.1"])
}

fn unavailable() -> PublishError {
    PublishError::Unavailable { source: Box::new(io::Error::other("the line is cut")), pause: None }
}

async fn until_published(progress: &Progress, generation: u64) {
    while progress.status().published != Some(generation) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_with_pauses_that_grow_to_a_limit() {
    let provider = Arc::new(Faulty::default());
    provider.faults.lock().extend(std::iter::repeat_with(unavailable).take(12));
    let (_sender, decisions) = watch::channel(decision(1));
    let (progress, shutdown) = (Progress::of("faulty"), CancellationToken::new());
    let task = tokio::spawn(publish(provider.clone(), decisions, progress.clone(), shutdown.clone()));
    until_published(&progress, 1).await;
    shutdown.cancel();
    task.await.unwrap();

    let at: Vec<_> = provider.tries.lock().iter().map(|(_, at)| *at).collect();
    let pauses: Vec<u128> = at.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(pauses.len(), 12);
    assert!(pauses.windows(2).all(|pair| pair[1] >= pair[0]), "{pauses:?}");
    assert!(pauses[0] >= 200 && pauses[11] <= 30_100, "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_newer_decision_replaces_the_one_that_fails_and_is_tried_at_once() {
    let provider = Arc::new(Faulty::default());
    provider.faults.lock().extend(std::iter::repeat_with(unavailable).take(3));
    let (sender, decisions) = watch::channel(decision(1));
    let (progress, shutdown) = (Progress::of("faulty"), CancellationToken::new());
    let task = tokio::spawn(publish(provider.clone(), decisions, progress.clone(), shutdown.clone()));
    while progress.status().fault.is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(progress.status().fault.unwrap(), "not published, to be tried again: the line is cut");
    sender.send(decision(2)).unwrap();
    until_published(&progress, 2).await;
    assert_eq!((progress.status().desired, progress.status().fault), (2, None));
    shutdown.cancel();
    task.await.unwrap();
    assert_eq!(provider.beneath.published().generation, 2);
    let generations: Vec<u64> = provider.tries.lock().iter().map(|(generation, _)| *generation).collect();
    assert!(generations.is_sorted(), "{generations:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stale_decision_is_not_tried_again() {
    let provider = Arc::new(Faulty::default());
    let (sender, decisions) = watch::channel(decision(5));
    let (progress, shutdown) = (Progress::of("faulty"), CancellationToken::new());
    let task = tokio::spawn(publish(provider.clone(), decisions, progress.clone(), shutdown));
    until_published(&progress, 5).await;
    sender.send(decision(4)).unwrap();
    while progress.status().fault.is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_mins(5)).await;
    drop(sender);
    task.await.unwrap();
    assert_eq!(provider.tries.lock().len(), 2);
}
