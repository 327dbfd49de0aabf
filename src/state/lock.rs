//! Locks a state directory, so that only one Daymark uses it at a time. The module knows nothing of the state itself.
//!
//! The lock is advisory (`flock`). It is on a file of its own, because each save replaces the state file. The kernel releases the
//! lock when its process ends in any way. The text in the file is only for people.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const FILE: &str = "state.lock";
/// The number of bytes to read of the text in the file. It is more than a process writes.
const MAX_HOLDER_BYTES: u64 = 200;

/// The lock of a state directory. Dropping it releases the lock.
#[derive(Debug)]
pub struct StateLock {
    file: File,
}

/// An error of locking a state directory.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock. The caller must not use the state.
    #[error("the state in {} is in use by {by}; one Daymark at a time can use it", .dir.display())]
    InUse {
        /// The state directory.
        dir: PathBuf,
        /// The process that holds the lock, by its own description.
        by: String,
    },
    /// The directory cannot be locked, for example because it is read-only. The caller may continue without a lock.
    #[error("the state in {} cannot be locked, so nothing keeps another Daymark from using it too", .dir.display())]
    Failed {
        /// The state directory.
        dir: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
}

impl StateLock {
    /// Locks `dir` for this process, and creates it if necessary. Does not wait.
    ///
    /// `command` describes this process to others, such as `daymark run`.
    pub fn take(dir: &Path, command: &str) -> Result<Self, LockError> {
        Self::take_opened(dir, command, open)
    }

    /// The process that holds the lock of `dir`, by its own description. `None` if nobody does, or if that cannot be known.
    pub fn holder(dir: &Path) -> Option<String> {
        let file = File::open(dir.join(FILE)).ok()?;
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| holder(&file))
    }

    /// Takes the lock on the file that `open` gives. A directory that is deleted meanwhile takes that file with it, and another
    /// process may lock a new one, so this begins anew until the locked file is the one in `dir`.
    fn take_opened(
        dir: &Path,
        command: &str,
        mut open: impl FnMut(&Path) -> io::Result<File>,
    ) -> Result<Self, LockError> {
        let failed = |source| LockError::Failed { dir: dir.to_owned(), source };
        loop {
            let file = open(dir).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::InUse { dir: dir.to_owned(), by: holder(&file) });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            let mut lock = Self { file };
            if lock.is_in_place(dir) {
                lock.describe(command);
                return Ok(lock);
            }
        }
    }

    /// Writes who holds the lock. The lock is valid even if this text cannot be written, as on a full disk.
    fn describe(&mut self, command: &str) {
        let file = &mut self.file;
        let _ = file.set_len(0).and_then(|()| write!(file, "process {} ({command})", std::process::id()));
    }
}

impl StateLock {
    /// True unless the locked file in `dir` was deleted or replaced. One that cannot be looked at counts as in place.
    pub fn is_in_place(&self, dir: &Path) -> bool {
        let Ok(locked) = self.file.metadata() else { return true };
        match fs::metadata(dir.join(FILE)) {
            Ok(present) => (present.dev(), present.ino()) == (locked.dev(), locked.ino()),
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // Text that stays after a crash misleads only people.
        let _ = self.file.set_len(0);
    }
}

fn open(dir: &Path) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    // A user who can open the file can lock it, and so keep Daymark from starting.
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(dir.join(FILE))
}

fn holder(file: &File) -> String {
    let mut text = String::new();
    match file.take(MAX_HOLDER_BYTES).read_to_string(&mut text) {
        Ok(1..) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        // The holder may not have written its text yet.
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_lock_is_refused_with_the_name_of_the_holder_until_it_is_free() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("made/on/demand");
        let first = StateLock::take(&dir, "daymark run").unwrap();
        let refusal = StateLock::take(&dir, "daymark sync").unwrap_err().to_string();
        let shown = dir.display();
        let pid = std::process::id();
        let expected =
            format!("the state in {shown} is in use by process {pid} (daymark run); one Daymark at a time can use it");
        assert_eq!(refusal, expected);
        drop(first);
        assert_eq!(fs::read_to_string(dir.join(FILE)).unwrap(), "", "a released lock has no text");
        StateLock::take(&dir, "daymark sync").unwrap();
    }

    #[test]
    fn a_lock_on_a_file_that_was_deleted_meanwhile_is_taken_anew() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("state");
        let mut opened = 0;
        let deleted_after_opening = |dir: &Path| {
            let file = open(dir);
            opened += 1;
            if opened <= 2 {
                fs::remove_dir_all(dir).unwrap();
            }
            file
        };
        let lock = StateLock::take_opened(&dir, "daymark run", deleted_after_opening).unwrap();
        assert_eq!(opened, 3);
        assert!(lock.is_in_place(&dir));
        let refusal = StateLock::take(&dir, "daymark sync").unwrap_err().to_string();
        assert!(refusal.contains("(daymark run)"), "{refusal}");
    }

    #[test]
    fn no_other_user_can_take_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let _lock = StateLock::take(dir.path(), "daymark run").unwrap();
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_text_of_an_earlier_holder_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "process 1 (a command with a long name, long ago)").unwrap();
        let _first = StateLock::take(dir.path(), "daymark run").unwrap();
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(text, format!("process {} (daymark run)", std::process::id()));
    }

    #[test]
    fn a_directory_that_cannot_be_created_differs_from_one_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        fs::write(&blocked, "").unwrap();
        assert!(matches!(StateLock::take(&blocked, "daymark run"), Err(LockError::Failed { .. })));
    }
}
