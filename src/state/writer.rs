//! The writer of the state files: each decision passes through here, and is published after its state is on the disk.
//!
//! So the first answer after a crash is the last one before it. A disk that is slow, full or gone holds nothing up: after
//! [`WRITE_TIMEOUT`] the decision goes on without it, with an alarm and a metric. This module does not know the content of a
//! state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use daymark_decision::{Decision, Memory, NodeKey, NodeName, PoolName};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::{error, info};

use super::directory::StateDirectory;
use super::file::StateFile;
use crate::os::blocking::BlockingThread;

/// The longest time for which a decision waits for the disk.
const WRITE_TIMEOUT: Duration = Duration::from_millis(250);
/// The time after which a save that has not ended raises an alarm.
const ALARM_TIMEOUT: Duration = Duration::from_secs(2);
/// The time from a failed save to the next try, even without a change.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// A decision, and the state that must be on the disk before it is published.
#[derive(Clone, Debug, Default)]
pub struct DecidedState {
    /// The decision.
    pub decision: Decision,
    /// The state of the engine.
    pub memory: Memory,
    /// The revision of the engine. See [`daymark_decision::Engine::revision`].
    pub revision: u64,
}

/// The error of a state that is not on the disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    /// The last save failed.
    #[error("the state file {} cannot be written: {cause}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// The cause, as a sentence.
        cause: String,
    },
    /// No save has failed, but none has ended in time either.
    #[error("the disk does not answer")]
    NoAnswer,
}

/// The failures of the state files. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct StateHealth(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    failures: AtomicU64,
    /// The error of each file whose last save failed.
    errors: Mutex<BTreeMap<PathBuf, SaveError>>,
    /// The newest revision that the writer has tried to save.
    persisted: watch::Sender<u64>,
    /// The overrides that have changed since the last save.
    unsaved: Mutex<BTreeSet<NodeKey>>,
    /// The directory of the files; none is set if no state is kept.
    directory: OnceLock<StateDirectory>,
}

impl StateHealth {
    /// Looks after this directory before each save.
    pub fn set_directory(&self, directory: StateDirectory) {
        // It is set once, at the start.
        let _ = self.0.directory.set(directory);
    }

    /// The number of times that this process has locked the directory.
    fn locks(&self) -> u64 {
        self.0.directory.get().map_or(0, |directory| *directory.locks().borrow())
    }

    /// The alarms, as sentences.
    pub fn alarms(&self) -> Vec<String> {
        let deleted = self.0.directory.get().and_then(StateDirectory::alarm);
        self.errors().into_iter().chain(deleted).collect()
    }

    /// The number of failed saves in this run.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// The error of each file whose last save failed, as a sentence.
    pub fn errors(&self) -> Vec<String> {
        self.0.errors.lock().values().map(ToString::to_string).collect()
    }

    /// Waits until the writer has tried to save a revision.
    ///
    /// # Errors
    ///
    /// Fails if the override of the node `changed` is not on the disk.
    pub async fn persisted(&self, revision: u64, changed: &NodeKey) -> Result<(), SaveError> {
        let mut persisted = self.0.persisted.subscribe();
        let tried = timeout(ALARM_TIMEOUT, persisted.wait_for(|persisted| *persisted >= revision)).await;
        if matches!(tried, Ok(Ok(_))) && !self.0.unsaved.lock().contains(changed) {
            return Ok(());
        }
        Err(self.0.errors.lock().values().next().cloned().unwrap_or(SaveError::NoAnswer))
    }

    /// The nodes of all pools whose newest override, or its end, is not on the disk.
    pub fn all_unsaved_overrides(&self) -> BTreeSet<NodeKey> {
        self.0.unsaved.lock().clone()
    }

    /// The nodes of a pool whose newest override, or its end, is not on the disk.
    pub fn unsaved_overrides(&self, pool: &PoolName) -> Vec<NodeName> {
        let unsaved = self.0.unsaved.lock();
        unsaved.iter().filter(|key| key.pool == *pool).map(|key| key.node.clone()).collect()
    }

    /// Records the outcome of a save to a file, or of a look at the directory.
    pub fn record(&self, path: &Path, outcome: io::Result<()>) {
        match outcome {
            Ok(()) => self.record_success(path),
            Err(error) => self.record_failure(path.to_owned(), error),
        }
    }

    fn record_failure(&self, path: PathBuf, cause: impl Display) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        let error = SaveError::Failed { path: path.clone(), cause: cause.to_string() };
        // One line when the failure begins, not one for each try.
        let former = self.0.errors.lock().insert(path, error.clone());
        if former.as_ref() != Some(&error) {
            error!("{error}; Daymark goes on and tries again, but a restart now would lose the changes since then");
        }
    }

    fn record_success(&self, path: &Path) {
        if self.0.errors.lock().remove(path).is_some() {
            info!("the state file {} can be written again", path.display());
        }
    }
}

/// Saves the newest state and then publishes its decision, until the sender is dropped. `loaded` is the content of the file.
pub async fn persist_decisions(
    file: Option<StateFile<Memory>>,
    loaded: Memory,
    mut newest: watch::Receiver<DecidedState>,
    decisions: watch::Sender<Decision>,
    health: StateHealth,
) {
    let mut writer = file.map(|file| StateWriter::new(file, health.clone(), None));
    loop {
        let DecidedState { decision, memory, revision } = newest.borrow_and_update().clone();
        if let Some(writer) = &mut writer {
            writer.save(&memory).await;
        }
        if let Some(writer) = &writer {
            *health.0.unsaved.lock() = unsaved(&memory, writer.saved.as_ref().unwrap_or(&loaded));
        }
        // While a save is under way, this state is not on the disk. A failed save is not waited for.
        if writer.as_ref().is_none_or(|writer| writer.running.is_none()) {
            health.0.persisted.send_replace(revision);
        }
        decisions.send_if_modified(|known| {
            let is_changed = *known != decision;
            *known = decision;
            is_changed
        });
        let attention = async {
            match &mut writer {
                Some(writer) => writer.needs_attention(&memory).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { break },
            () = attention => {}
        }
    }
    if let Some(writer) = &mut writer {
        let last = newest.borrow().memory.clone();
        writer.finish(&last).await;
    }
}

/// The overrides that the saved state does not have as they are now.
fn unsaved(newest: &Memory, saved: &Memory) -> BTreeSet<NodeKey> {
    let saved: BTreeMap<&PoolName, _> = saved.pools.iter().map(|pool| (&pool.pool, &pool.overrides)).collect();
    let mut unsaved = BTreeSet::new();
    for pool in &newest.pools {
        let of_pool = saved.get(&pool.pool);
        let is_new = |(node, entry): &(&NodeName, _)| of_pool.and_then(|saved| saved.get(*node)) != Some(*entry);
        let nodes = pool.overrides.iter().filter(is_new).map(|(node, _)| node.clone());
        unsaved.extend(nodes.map(|node| NodeKey { pool: pool.pool.clone(), node }));
    }
    unsaved
}

/// The writer of one state file. It makes one save at a time, and none if the file has the content already.
pub struct StateWriter<M> {
    file: StateFile<M>,
    health: StateHealth,
    saved: Option<M>,
    running: Option<RunningWriter<M>>,
    /// The begin of the last save.
    tried_at: Option<Instant>,
    /// The number of locks of the directory of which this writer knows.
    locks: u64,
    thread: BlockingThread,
}

struct RunningWriter<M> {
    memory: M,
    task: JoinHandle<io::Result<()>>,
    begun: Instant,
    is_late: bool,
}

impl<M: Clone + PartialEq + Serialize + DeserializeOwned + Send + 'static> StateWriter<M> {
    /// Makes the writer of a file whose present content is `saved`.
    pub fn new(file: StateFile<M>, health: StateHealth, saved: Option<M>) -> Self {
        Self {
            locks: health.locks(),
            file,
            health,
            saved,
            running: None,
            tried_at: None,
            thread: BlockingThread::start("state writer"),
        }
    }

    /// Begins to save a state, and waits for it no longer than [`WRITE_TIMEOUT`]. It does nothing if the state is saved, or if an
    /// earlier save is under way.
    pub(crate) async fn save(&mut self, memory: &M) {
        self.notice_lock();
        if self.running.is_none() && self.saved.as_ref() != Some(memory) {
            self.begin(memory);
            // A longer save goes on in the background.
            let _ = timeout(WRITE_TIMEOUT, self.ended()).await;
        }
    }

    /// Waits until a save has ended, has taken too long, or is to be tried again.
    pub(crate) async fn needs_attention(&mut self, memory: &M) {
        match &mut self.running {
            Some(RunningWriter { is_late: false, begun, .. }) => {
                let alarm_at = *begun + ALARM_TIMEOUT;
                if tokio::time::timeout_at(alarm_at, self.ended()).await.is_err() {
                    self.record_late();
                }
            }
            Some(_) => self.ended().await,
            // A caller that waits for something else too calls this again and again.
            None if self.saved.as_ref() != Some(memory) => {
                let tried_at = *self.tried_at.get_or_insert_with(Instant::now);
                let retry = tokio::time::sleep_until(tried_at + RETRY_INTERVAL);
                tokio::select! {
                    () = retry => {}
                    () = self.locked_anew() => {}
                }
            }
            None => self.locked_anew().await,
        }
    }

    /// Forgets the saved content if the directory was locked anew: it was deleted, or another process had it until then.
    fn notice_lock(&mut self) {
        let locks = self.health.locks();
        if locks != self.locks {
            self.locks = locks;
            self.saved = None;
        }
    }

    /// Waits until the directory has been locked anew.
    async fn locked_anew(&self) {
        if let Some(directory) = self.health.0.directory.get() {
            // The directory lives as long as this writer.
            let _ = directory.locks().wait_for(|locks| *locks != self.locks).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    /// Saves the last state at the shutdown, and waits for it no longer than [`ALARM_TIMEOUT`].
    pub(crate) async fn finish(&mut self, memory: &M) {
        let saved = async {
            self.ended().await;
            if self.saved.as_ref() != Some(memory) {
                self.begin(memory);
                self.ended().await;
            }
        };
        if timeout(ALARM_TIMEOUT, saved).await.is_err() {
            self.record_late();
        }
    }

    fn begin(&mut self, memory: &M) {
        let file = self.file.clone();
        let content = memory.clone();
        let directory = self.health.0.directory.get().cloned();
        let saved = self.thread.run(move || {
            directory.iter().try_for_each(StateDirectory::ensure)?;
            file.save(&content)
        });
        let task = tokio::spawn(async { saved.await.unwrap_or_else(|error| Err(io::Error::other(error))) });
        let begun = Instant::now();
        self.tried_at = Some(begun);
        self.running = Some(RunningWriter { memory: memory.clone(), task, begun, is_late: false });
    }

    /// Waits for the end of the save that is under way, if there is one, and records its outcome.
    async fn ended(&mut self) {
        let Some(running) = &mut self.running else { return };
        let outcome = (&mut running.task).await.unwrap_or_else(|crash| Err(io::Error::other(crash)));
        let memory = self.running.take().map(|running| running.memory);
        match outcome {
            Ok(()) => {
                self.saved = memory;
                self.health.record_success(&self.file.path());
            }
            Err(error) => self.record_failure(error),
        }
    }

    fn record_late(&mut self) {
        self.record_failure(SaveError::NoAnswer);
        if let Some(running) = &mut self.running {
            running.is_late = true;
        }
    }

    fn record_failure(&self, cause: impl Display) {
        self.health.record_failure(self.file.path(), cause);
    }
}

#[cfg(test)]
mod tests;
