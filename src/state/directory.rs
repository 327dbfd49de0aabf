//! The state directory of a running Daymark: it is made again if somebody deletes it, and no second process gets into it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daymark_files::error_chain;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::lock::{LockError, StateLock};
use crate::os::blocking::BlockingThread;

/// The time between two looks at the directory.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The state directory, locked if it can be. Clones share it.
#[derive(Clone, Debug)]
pub struct StateDirectory(Arc<LockedDirectory>);

#[derive(Debug)]
struct LockedDirectory {
    dir: PathBuf,
    command: &'static str,
    /// `None` as long as the directory cannot be locked.
    lock: Mutex<Option<StateLock>>,
    /// The number of times that this process has taken the lock.
    locks: watch::Sender<u64>,
    /// The number of times that the directory was deleted and made again.
    deletions: watch::Sender<u64>,
}

impl StateDirectory {
    /// The directory with its lock, which this process takes as `command`.
    pub fn new(dir: &Path, command: &'static str, lock: Option<StateLock>) -> Self {
        let inner = LockedDirectory {
            dir: dir.to_owned(),
            command,
            locks: watch::Sender::new(lock.is_some().into()),
            lock: Mutex::new(lock),
            deletions: watch::Sender::default(),
        };
        Self(Arc::new(inner))
    }

    /// Makes the directory and its lock again if they were deleted, and takes a lock that could not be taken before. This blocks.
    ///
    /// # Errors
    ///
    /// Fails if a deleted directory cannot be made, or if another process has the directory now.
    pub fn ensure(&self) -> io::Result<()> {
        let LockedDirectory { dir, command, lock, locks, deletions } = &*self.0;
        let mut lock = lock.lock();
        if lock.as_ref().is_some_and(|lock| lock.is_in_place(dir)) {
            return Ok(());
        }
        let was_locked = lock.is_some();
        match StateLock::take(dir, command) {
            Ok(taken) => *lock = Some(taken),
            // A disk without locks may take the state all the same, and the writers report one that does not.
            Err(LockError::Failed { .. }) if !was_locked => return Ok(()),
            Err(error) => return Err(io::Error::other(error_chain(&error))),
        }
        locks.send_modify(|count| *count += 1);
        if was_locked {
            deletions.send_modify(|count| *count += 1);
            error!("{}", self.deletion());
        } else {
            info!("the state in {} is locked now", dir.display());
        }
        Ok(())
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.0.dir
    }

    /// The number of times that this process has taken the lock. It follows the directory.
    pub fn locks(&self) -> watch::Receiver<u64> {
        self.0.locks.subscribe()
    }

    /// The number of times that the directory was made again. It follows the directory.
    fn deletions(&self) -> watch::Receiver<u64> {
        self.0.deletions.subscribe()
    }

    /// The alarm of a directory that was deleted in this run.
    pub fn alarm(&self) -> Option<String> {
        (*self.0.deletions.borrow() > 0).then(|| self.deletion())
    }

    fn deletion(&self) -> String {
        format!(
            "the state directory {} was deleted while Daymark ran; it was made again, and the state is saved anew; find out \
             what deletes it",
            self.0.dir.display()
        )
    }

    /// Looks after the directory until the shutdown, and records each look by `record`. After it was made again, `refill` puts back
    /// what no writer does.
    pub async fn look_after(
        self,
        record: impl Fn(&Path, io::Result<()>) + Send,
        refill: impl Fn() + Clone + Send + 'static,
        stop: CancellationToken,
    ) {
        let thread = BlockingThread::start("state directory");
        let looking = async {
            let mut deletions = self.deletions();
            loop {
                sleep(LOOK_INTERVAL).await;
                let directory = self.clone();
                // The writers report a disk that does not answer.
                let Ok(ensured) = thread.run(move || directory.ensure()).await else { continue };
                record(&self.0.dir, ensured);
                if deletions.has_changed().unwrap_or_default() {
                    deletions.mark_unchanged();
                    // A crash or a busy disk is reported by others.
                    let _ = thread.run(refill.clone()).await;
                }
            }
        };
        stop.run_until_cancelled(looking).await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn locked(dir: &Path) -> StateDirectory {
        StateDirectory::new(dir, "daymark run", Some(StateLock::take(dir, "daymark run").unwrap()))
    }

    #[test]
    fn a_deleted_directory_is_made_again_and_locked() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("state");
        let directory = locked(&dir);
        directory.ensure().unwrap();
        assert_eq!(directory.alarm(), None);
        fs::remove_dir_all(&dir).unwrap();
        directory.ensure().unwrap();
        assert_eq!(*directory.deletions().borrow(), 1);
        assert!(directory.alarm().unwrap().contains("was deleted while Daymark ran"));
        assert!(StateLock::take(&dir, "daymark run").unwrap_err().to_string().contains("in use by process"));
        directory.ensure().unwrap();
        assert_eq!(*directory.deletions().borrow(), 1, "once is enough");
    }

    #[test]
    fn a_directory_that_another_process_took_meanwhile_is_left_to_it() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("state");
        let directory = locked(&dir);
        fs::remove_dir_all(&dir).unwrap();
        let other = StateLock::take(&dir, "daymark sync").unwrap();
        for _ in 0..2 {
            assert!(directory.ensure().unwrap_err().to_string().contains("(daymark sync)"));
        }
        drop(other);
        directory.ensure().unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_again_is_an_error() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("state");
        let directory = locked(&dir);
        fs::remove_dir_all(&dir).unwrap();
        fs::write(&dir, "a file").unwrap();
        assert!(directory.ensure().unwrap_err().to_string().contains("cannot be locked"));
        fs::remove_file(&dir).unwrap();
        directory.ensure().unwrap();
    }

    #[test]
    fn a_lock_that_could_not_be_taken_at_the_start_is_taken_later() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("state");
        let directory = StateDirectory::new(&dir, "daymark run", None);
        fs::write(&dir, "a file").unwrap();
        directory.ensure().unwrap();
        fs::remove_file(&dir).unwrap();
        let other = StateLock::take(&dir, "daymark sync").unwrap();
        assert!(directory.ensure().unwrap_err().to_string().contains("(daymark sync)"));
        drop(other);
        directory.ensure().unwrap();
        assert!(StateLock::take(&dir, "daymark sync").unwrap_err().to_string().contains("(daymark run)"));
        assert_eq!(directory.alarm(), None, "nothing was deleted");
    }
}
