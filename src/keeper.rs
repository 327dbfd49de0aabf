//! Remembers before it publishes: each decision goes through here, and its memory to the disk, before a provider sees it.
//!
//! So after a crash the first answer is the one of before. A disk that is slow, full or gone holds nothing up: after a
//! short while the decision goes on without it, and that is an alarm and a metric.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daymark_decision::{Decision, Memory};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::{error, info};

use crate::state::StateFile;

/// How long a decision waits for the disk.
const PATIENCE: Duration = Duration::from_millis(250);
/// A save that takes longer is an alarm.
const LATE: Duration = Duration::from_secs(2);
/// After a failure the disk is tried again so much later, also without a change.
const RETRY: Duration = Duration::from_secs(10);

/// A decision and what must be remembered for it.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The decision.
    pub decision: Decision,
    /// What must be remembered.
    pub memory: Memory,
    /// Up to which revision of the engine this tells. See [`daymark_decision::Engine::revision`].
    pub revision: u64,
}

/// How well remembering goes. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct StateHealth(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    failures: AtomicU64,
    /// Why the last save of a file failed, for each that did.
    faults: Mutex<BTreeMap<PathBuf, String>>,
    /// Up to which revision the decisions are on the disk, or cannot get there.
    kept: watch::Sender<u64>,
}

impl StateHealth {
    /// How often saving has failed in this run.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Why the last save failed, a sentence for each file whose did.
    pub fn faults(&self) -> Vec<String> {
        self.0.faults.lock().values().cloned().collect()
    }

    /// Waits until what was decided up to a revision is on the disk, or no longer waits for it.
    pub async fn kept(&self, revision: u64) {
        // Where the keeper is stuck, the watchdog tells.
        let _ = timeout(LATE, self.0.kept.subscribe().wait_for(|kept| *kept >= revision)).await;
    }

    fn failed(&self, path: PathBuf, why: impl Display) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        let fault = format!("the state file {} cannot be written: {why}", path.display());
        // One line when it begins, not one a try.
        let former = self.0.faults.lock().insert(path, fault.clone());
        if former.as_ref() != Some(&fault) {
            error!("{fault}; Daymark goes on and tries again, but a restart now would forget what happened since");
        }
    }

    fn done(&self, path: &Path) {
        if self.0.faults.lock().remove(path).is_some() {
            info!("the state file {} can be written again", path.display());
        }
    }
}

/// Saves each newest memory and then passes its decision on, until no more can come.
pub async fn keep(
    file: Option<StateFile<Memory>>,
    mut newest: watch::Receiver<Kept>,
    decisions: watch::Sender<Decision>,
    health: StateHealth,
) {
    let mut saver = file.map(|file| Saver::new(file, health.clone(), None));
    loop {
        let Kept { decision, memory, revision } = newest.borrow_and_update().clone();
        if let Some(saver) = &mut saver {
            saver.save(&memory).await;
        }
        // What is still under way, or waits for what is, is not on the disk yet; what has failed is not waited for.
        if saver.as_ref().is_none_or(|saver| saver.running.is_none()) {
            health.0.kept.send_replace(revision);
        }
        decisions.send_if_modified(|known| {
            let is_news = *known != decision;
            *known = decision;
            is_news
        });
        let attention = async {
            match &mut saver {
                Some(saver) => saver.needs_attention(&memory).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { break },
            () = attention => {}
        }
    }
    if let Some(saver) = &mut saver {
        let last = newest.borrow().memory.clone();
        saver.finish(&last).await;
    }
}

/// Writes one memory at a time, and only one that is not on the disk already.
pub struct Saver<M> {
    file: StateFile<M>,
    health: StateHealth,
    saved: Option<M>,
    running: Option<Running<M>>,
}

struct Running<M> {
    memory: M,
    task: JoinHandle<io::Result<()>>,
    begun: Instant,
    is_late: bool,
}

impl<M: Clone + PartialEq + Serialize + DeserializeOwned + Send + 'static> Saver<M> {
    /// Writes to this file, which holds `saved`.
    pub fn new(file: StateFile<M>, health: StateHealth, saved: Option<M>) -> Self {
        Self { file, health, saved, running: None }
    }

    /// Begins to save, unless it is saved or the disk is busy with an earlier memory, and waits for a short while.
    pub(crate) async fn save(&mut self, memory: &M) {
        if self.running.is_none() && self.saved.as_ref() != Some(memory) {
            self.begin(memory);
            // What takes longer goes on beside the decision.
            let _ = timeout(PATIENCE, self.ended()).await;
        }
    }

    /// Waits until there is something to do again: the disk has ended a save, has taken too long for one, or is to be
    /// tried once more.
    pub(crate) async fn needs_attention(&mut self, memory: &M) {
        match &mut self.running {
            Some(Running { is_late: false, begun, .. }) => {
                let late = *begun + LATE;
                if tokio::time::timeout_at(late, self.ended()).await.is_err() {
                    self.late();
                }
            }
            Some(_) => self.ended().await,
            None if self.saved.as_ref() != Some(memory) => tokio::time::sleep(RETRY).await,
            None => std::future::pending().await,
        }
    }

    /// The newest memory gets its chance at the shutdown, for as long as a disk may take.
    pub(crate) async fn finish(&mut self, memory: &M) {
        let saved = async {
            self.ended().await;
            if self.saved.as_ref() != Some(memory) {
                self.begin(memory);
                self.ended().await;
            }
        };
        if timeout(LATE, saved).await.is_err() {
            self.late();
        }
    }

    fn begin(&mut self, memory: &M) {
        let (file, kept) = (self.file.clone(), memory.clone());
        let task = tokio::task::spawn_blocking(move || file.save(&kept));
        self.running = Some(Running { memory: memory.clone(), task, begun: Instant::now(), is_late: false });
    }

    /// Waits for the save under way, if there is one, and takes note of how it went.
    async fn ended(&mut self) {
        let Some(running) = &mut self.running else { return };
        let outcome = (&mut running.task).await.unwrap_or_else(|crash| Err(io::Error::other(crash)));
        let memory = self.running.take().map(|running| running.memory);
        match outcome {
            Ok(()) => {
                self.saved = memory;
                self.health.done(&self.file.path());
            }
            Err(fault) => self.failed(fault),
        }
    }

    fn late(&mut self) {
        self.failed("the disk does not answer");
        if let Some(running) = &mut self.running {
            running.is_late = true;
        }
    }

    fn failed(&self, why: impl Display) {
        self.health.failed(self.file.path(), why);
    }
}

#[cfg(test)]
mod tests;
