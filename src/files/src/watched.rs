//! A value read from files, read again when one of them changes. It knows nothing of what is read.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing::{info, warn};

use crate::{FileVersion, error_chain};

/// The longest wait of a caller that has a last good value.
const CHECK_TIMEOUT: Duration = Duration::from_millis(200);
/// The longest wait of a caller that has none yet.
const FIRST_CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// The time after which files that could not be used are read again, although they have not changed: their disk may have failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Reads the files anew.
type Load<T, E> = Box<dyn Fn() -> Result<T, E> + Send + Sync>;

/// A value read from files, read again when one of them changes.
///
/// A thread of its own looks at the files. If they cannot be used any more, or their disk does not answer, the last good value
/// stays. The log says so once for each version of the files, and [`WatchedFiles::error`] for as long as it lasts.
pub struct WatchedFiles<T, E> {
    shared: Arc<SharedWatch<T, E>>,
}

/// There is no value, because the files could never be used.
#[derive(Debug, thiserror::Error)]
pub enum WatchError<E: Error + 'static> {
    /// Their content or the system refuses it.
    #[error(transparent)]
    Unusable(Arc<E>),
    /// They have not been read yet.
    #[error("{}: the disk does not answer; a disk that works is needed", .0.display())]
    NoAnswer(PathBuf),
    /// No thread can be started to read them.
    #[error("no thread can be started to read {}: {error}", path.display())]
    NoThread {
        /// The first of the files.
        path: PathBuf,
        /// The refusal of the system.
        error: io::Error,
    },
}

/// The part that the callers and the thread share.
struct SharedWatch<T, E> {
    name: String,
    paths: Vec<PathBuf>,
    load: Load<T, E>,
    state: Mutex<WatchState<T, E>>,
    /// Signals a check that was asked for, that has ended, or the end of the watch.
    changed: Condvar,
}

struct WatchState<T, E> {
    loaded: Option<LoadedVersion<T>>,
    refused: Option<RefusedVersions<E>>,
    /// The number of checks that were asked for.
    asked: u64,
    /// The number of the newest check that has ended.
    checked: u64,
    /// True while a check takes too long.
    is_late: bool,
    has_thread: bool,
    is_over: bool,
}

/// Versions of the files that could not be used.
struct RefusedVersions<E> {
    versions: Vec<FileVersion>,
    error: Arc<E>,
    at: Instant,
}

struct LoadedVersion<T> {
    versions: Vec<FileVersion>,
    value: Arc<T>,
}

impl<T, E> WatchedFiles<T, E>
where
    T: Send + Sync + 'static,
    E: Error + Send + Sync + 'static,
{
    /// Watches the files at `paths`, from which `load` reads the value. The log calls the value `name`. The first call of
    /// [`WatchedFiles::current`] reads the files.
    pub fn new(
        name: impl Into<String>,
        paths: Vec<PathBuf>,
        load: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        let state = WatchState {
            loaded: None,
            refused: None,
            asked: 0,
            checked: 0,
            is_late: false,
            has_thread: false,
            is_over: false,
        };
        let shared = SharedWatch {
            name: name.into(),
            paths,
            load: Box::new(load),
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The present value: the same `Arc` as before unless a file has changed. Fails only if the files could never be used.
    ///
    /// This waits for the thread that looks at the files, usually for some microseconds. It waits at most 200 ms once for a
    /// disk that does not answer, and at most 2 s for the first value.
    pub fn current(&self) -> Result<Arc<T>, WatchError<E>> {
        let mut state = self.shared.state.lock();
        self.start_thread(&mut state)?;
        state.asked += 1;
        let asked = state.asked;
        self.shared.changed.notify_all();
        let is_known = state.loaded.is_some() || state.refused.is_some();
        let deadline = Instant::now() + if is_known { CHECK_TIMEOUT } else { FIRST_CHECK_TIMEOUT };
        while state.checked < asked && !state.is_late {
            if self.shared.changed.wait_until(&mut state, deadline).timed_out() && state.checked < asked {
                state.is_late = true;
                warn!("{}: the last good version stays in use: the disk does not answer", self.shared.name);
            }
        }
        self.shared.result(&state)
    }

    /// The last good value, without a look at the files.
    pub fn latest(&self) -> Option<Arc<T>> {
        self.shared.state.lock().loaded.as_ref().map(|loaded| Arc::clone(&loaded.value))
    }

    /// The error for which the last good value stays in use, as of the last call of [`WatchedFiles::current`].
    pub fn error(&self) -> Option<String> {
        let state = self.shared.state.lock();
        if state.is_late {
            return Some(self.shared.no_answer().to_string());
        }
        state.refused.as_ref().filter(|_| state.loaded.is_some()).map(|refused| error_chain(&*refused.error))
    }

    fn start_thread(&self, state: &mut WatchState<T, E>) -> Result<(), WatchError<E>> {
        if state.has_thread {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        // The thread logs where its first caller does.
        let log = tracing::dispatcher::get_default(Clone::clone);
        let thread = thread::Builder::new()
            .name("watched files".to_owned())
            .spawn(move || tracing::dispatcher::with_default(&log, || shared.check_when_asked()));
        thread.map_err(|error| WatchError::NoThread { path: self.shared.first_path(), error })?;
        state.has_thread = true;
        Ok(())
    }
}

impl<T, E: Error + 'static> SharedWatch<T, E> {
    fn result(&self, state: &WatchState<T, E>) -> Result<Arc<T>, WatchError<E>> {
        match (&state.loaded, &state.refused) {
            (Some(loaded), _) => Ok(Arc::clone(&loaded.value)),
            (None, Some(refused)) => Err(WatchError::Unusable(Arc::clone(&refused.error))),
            (None, None) => Err(self.no_answer()),
        }
    }

    fn no_answer(&self) -> WatchError<E> {
        WatchError::NoAnswer(self.first_path())
    }

    fn first_path(&self) -> PathBuf {
        self.paths.first().cloned().unwrap_or_default()
    }

    /// Checks the files whenever a caller asks, until the watch is over.
    fn check_when_asked(&self) {
        let mut state = self.state.lock();
        while !state.is_over {
            if state.asked == state.checked {
                self.changed.wait(&mut state);
                continue;
            }
            // One check serves every caller that has asked before it begins.
            let asked = state.asked;
            MutexGuard::unlocked(&mut state, || self.check());
            state.checked = asked;
            if std::mem::take(&mut state.is_late) {
                info!("{}: the disk answers again", self.name);
            }
            self.changed.notify_all();
        }
    }

    fn check(&self) {
        // Taken before reading: a file that changes in between is then read again by the next check.
        let versions: Vec<FileVersion> = self.paths.iter().map(|path| FileVersion::of(path)).collect();
        if self.is_known(&versions) {
            return;
        }
        let loaded = (self.load)();
        let mut state = self.state.lock();
        match loaded {
            Ok(value) => {
                state.loaded = Some(LoadedVersion { versions, value: Arc::new(value) });
                state.refused = None;
            }
            Err(error) => {
                let is_new = state.refused.as_ref().is_none_or(|refused| refused.versions != versions);
                if is_new && state.loaded.is_some() {
                    warn!("{}: the last good version stays in use: {}", self.name, error_chain(&error));
                }
                state.refused = Some(RefusedVersions { versions, error: Arc::new(error), at: Instant::now() });
            }
        }
    }

    /// True if these versions have been read. Those that could not be used are not parsed anew at each check.
    fn is_known(&self, versions: &[FileVersion]) -> bool {
        let mut state = self.state.lock();
        if let Some(refused) = &state.refused
            && refused.versions == versions
        {
            return refused.at.elapsed() < RETRY_INTERVAL;
        }
        let is_loaded = state.loaded.as_ref().is_some_and(|loaded| loaded.versions == versions);
        if is_loaded {
            state.refused = None;
        }
        is_loaded
    }
}

impl<T, E> Drop for WatchedFiles<T, E> {
    /// Ends the thread, once its read comes back.
    fn drop(&mut self) {
        self.shared.state.lock().is_over = true;
        self.shared.changed.notify_all();
    }
}

impl<T, E> fmt::Debug for WatchedFiles<T, E> {
    /// Leaves out the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SharedWatch { name, paths, .. } = &*self.shared;
        f.debug_struct("WatchedFiles").field("name", name).field("paths", paths).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
