//! Remembers before it publishes: each decision goes through here, and its memory to the disk, before a provider sees it.
//!
//! So after a crash the first answer is the one of before. A disk that is slow, full or gone holds nothing up: after a
//! short while the decision goes on without it, and that is an alarm and a metric.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daymark_decision::{Decision, Memory};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::state::StateFile;

/// How long a decision waits for the disk.
const PATIENCE: Duration = Duration::from_millis(250);
/// After a failure the disk is tried again so much later, also without a change.
const RETRY: Duration = Duration::from_secs(10);

/// A decision and what must be remembered for it.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The decision.
    pub decision: Decision,
    /// What must be remembered.
    pub memory: Memory,
}

/// How well remembering goes. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct StateHealth(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    failures: AtomicU64,
    fault: Mutex<Option<String>>,
}

impl StateHealth {
    /// How often saving has failed in this run.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Why the last save failed; `None` where it did not.
    pub fn fault(&self) -> Option<String> {
        self.0.fault.lock().clone()
    }

    fn failed(&self, fault: &str) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        // One line when it begins, not one a try.
        let former = self.0.fault.lock().replace(fault.to_owned());
        if former.as_deref() != Some(fault) {
            error!("{fault}; Daymark goes on and tries again, but a restart now would forget what happened since");
        }
    }

    fn done(&self) {
        if self.0.fault.lock().take().is_some() {
            info!("the state file can be written again");
        }
    }
}

/// Saves each newest memory and then passes its decision on, until no more can come.
pub async fn keep(
    file: Option<StateFile>,
    mut newest: watch::Receiver<Kept>,
    decisions: watch::Sender<Decision>,
    health: StateHealth,
) {
    let mut saver = file.map(|file| Saver { file, health, saved: None, running: None });
    loop {
        let Kept { decision, memory } = newest.borrow_and_update().clone();
        if let Some(saver) = &mut saver {
            saver.save(&memory).await;
        }
        decisions.send_if_modified(|known| {
            let is_news = *known != decision;
            *known = decision;
            is_news
        });
        let is_behind = saver.as_ref().is_some_and(|saver| saver.saved.as_ref() != Some(&memory));
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(RETRY), if is_behind => {}
        }
    }
}

/// Writes one memory at a time.
struct Saver {
    file: StateFile,
    health: StateHealth,
    saved: Option<Memory>,
    running: Option<Running>,
}

struct Running {
    memory: Memory,
    task: JoinHandle<io::Result<()>>,
    is_overdue: bool,
}

impl Saver {
    /// Saves, unless that is done, and waits for a short while. A disk that is still busy with an earlier memory gets this
    /// one as soon as it is seen to have ended.
    async fn save(&mut self, memory: &Memory) {
        while self.running.is_some() || self.saved.as_ref() != Some(memory) {
            let mut running = self.running.take().unwrap_or_else(|| self.begin(memory));
            let patience = if running.is_overdue { Duration::ZERO } else { PATIENCE };
            let Ok(outcome) = tokio::time::timeout(patience, &mut running.task).await else {
                self.failed("the disk does not answer");
                running.is_overdue = true;
                self.running = Some(running);
                return;
            };
            if let Err(fault) = outcome.unwrap_or_else(|crash| Err(io::Error::other(crash))) {
                return self.failed(fault);
            }
            self.saved = Some(running.memory);
            self.health.done();
        }
    }

    fn begin(&self, memory: &Memory) -> Running {
        let (file, memory) = (self.file.clone(), memory.clone());
        let kept = memory.clone();
        let task = tokio::task::spawn_blocking(move || file.save(&kept));
        Running { memory, task, is_overdue: false }
    }

    fn failed(&self, why: impl Display) {
        self.health.failed(&format!("the state file {} cannot be written: {why}", self.file.path().display()));
    }
}

#[cfg(test)]
mod tests;
