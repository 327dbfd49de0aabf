//! A value read from files, read again when one of them changes. It knows nothing of what is read.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::warn;

use crate::{FileVersion, error_chain};

/// Reads the files anew.
type Load<T, E> = Box<dyn Fn() -> Result<T, E> + Send + Sync>;

/// A value read from files, read again when one of them changes.
///
/// If the files cannot be used any more, the last good value stays. The log says so once for each version of the files, and
/// [`WatchedFiles::error`] for as long as it lasts.
pub struct WatchedFiles<T, E> {
    name: &'static str,
    paths: Vec<PathBuf>,
    load: Load<T, E>,
    state: Mutex<WatchState<T>>,
}

struct WatchState<T> {
    loaded: Option<LoadedVersion<T>>,
    refused: Option<RefusedVersions>,
}

/// Versions of the files that could not be used.
struct RefusedVersions {
    versions: Vec<FileVersion>,
    error: String,
}

struct LoadedVersion<T> {
    versions: Vec<FileVersion>,
    value: Arc<T>,
}

impl<T, E: Error + 'static> WatchedFiles<T, E> {
    /// Watches the files at `paths`, from which `load` reads the value. The log calls the value `name`. The first call of
    /// [`WatchedFiles::current`] reads the files.
    pub fn new(
        name: &'static str,
        paths: Vec<PathBuf>,
        load: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        Self { name, paths, load: Box::new(load), state: Mutex::new(WatchState { loaded: None, refused: None }) }
    }

    /// The present value: the same `Arc` as before unless a file has changed. Fails only if the files could never be used.
    ///
    /// This blocks for a few calls on small local files, which costs less than a thread for them would.
    pub fn current(&self) -> Result<Arc<T>, E> {
        let mut state = self.state.lock();
        // Taken before reading: a file that changes in between is then read again by the next call.
        let versions: Vec<FileVersion> = self.paths.iter().map(|path| FileVersion::of(path)).collect();
        if let Some(loaded) = &state.loaded
            && loaded.versions == versions
        {
            return Ok(Arc::clone(&loaded.value));
        }
        match (self.load)() {
            Ok(value) => {
                let value = Arc::new(value);
                *state =
                    WatchState { loaded: Some(LoadedVersion { versions, value: Arc::clone(&value) }), refused: None };
                Ok(value)
            }
            Err(error) => self.keep_former(&mut state, versions, error),
        }
    }

    fn keep_former(&self, state: &mut WatchState<T>, versions: Vec<FileVersion>, error: E) -> Result<Arc<T>, E> {
        let Some(loaded) = &state.loaded else { return Err(error) };
        let value = Arc::clone(&loaded.value);
        if state.refused.as_ref().is_none_or(|refused| refused.versions != versions) {
            let error = error_chain(&error);
            warn!("{}: the last good version stays in use: {error}", self.name);
            state.refused = Some(RefusedVersions { versions, error });
        }
        Ok(value)
    }

    /// The error for which the last good value stays in use, as of the last call of [`WatchedFiles::current`].
    pub fn error(&self) -> Option<String> {
        self.state.lock().refused.as_ref().map(|refused| refused.error.clone())
    }
}

impl<T, E> fmt::Debug for WatchedFiles<T, E> {
    /// Leaves out the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedFiles").field("name", &self.name).field("paths", &self.paths).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Replaces the file, so that its version differs however coarse the clock of the disk is.
    fn replace(path: &Path, content: &str) {
        let new = path.with_extension("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, path).unwrap();
    }

    #[test]
    fn files_are_read_again_only_when_one_of_them_changes() {
        let dir = tempfile::tempdir().unwrap();
        let paths = vec![dir.path().join("a"), dir.path().join("b")];
        fs::write(&paths[0], "1").unwrap();
        fs::write(&paths[1], "2").unwrap();
        let reads = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&reads);
        let sources = paths.clone();
        let watched = WatchedFiles::new("numbers", paths.clone(), move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, io::Error>(fs::read_to_string(&sources[0])? + &fs::read_to_string(&sources[1])?)
        });
        assert_eq!(*watched.current().unwrap(), "12");
        assert_eq!(*watched.current().unwrap(), "12");
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        replace(&paths[1], "3");
        assert_eq!(*watched.current().unwrap(), "13");
    }

    #[test]
    fn the_last_good_value_stays_until_the_file_can_be_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let source = path.clone();
        let watched = WatchedFiles::new("text", vec![path.clone()], move || fs::read_to_string(&source));
        assert!(watched.current().is_err(), "there is no value yet");
        replace(&path, "good");
        assert_eq!(*watched.current().unwrap(), "good");
        assert_eq!(watched.error(), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(*watched.current().unwrap(), "good");
        assert!(watched.error().unwrap().contains("No such file"));
        replace(&path, "better");
        assert_eq!(*watched.current().unwrap(), "better");
        assert_eq!(watched.error(), None);
    }
}
