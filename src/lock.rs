//! One Daymark at a time uses a state directory. It knows nothing of what is kept there.
//!
//! The lock is advisory (`flock`) and on a file of its own, for the state file itself is replaced with each save. The kernel
//! frees it with the process that holds it, however that ends; what the file says is only for people.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FILE: &str = "state.lock";
/// More than a process writes of itself.
const LONGEST: u64 = 200;

/// The use of a state directory, until it is dropped.
#[derive(Debug)]
pub struct StateLock {
    file: File,
}

/// Why a state directory is not locked.
#[derive(Debug, thiserror::Error)]
pub enum NotLocked {
    /// Another Daymark uses it. The caller does nothing with the state.
    #[error("the state in {} is in use by {by}; one Daymark at a time can use it", .dir.display())]
    Held {
        /// The state directory.
        dir: PathBuf,
        /// Who uses it, as it says of itself.
        by: String,
    },
    /// The directory takes no lock, as where it cannot be written. The caller may go on without one.
    #[error("the state in {} cannot be locked, so nothing keeps another Daymark from using it too", .dir.display())]
    Impossible {
        /// The state directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StateLock {
    /// Takes the lock of `dir`, which need not exist yet, for this process. `command` is what it says of itself, such as
    /// `daymark run`. Does not wait.
    pub fn take(dir: &Path, command: &str) -> Result<Self, NotLocked> {
        let impossible = |source| NotLocked::Impossible { dir: dir.to_owned(), source };
        let mut file = open(dir).map_err(impossible)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NotLocked::Held { dir: dir.to_owned(), by: holder(&file) }),
            Err(TryLockError::Error(error)) => return Err(impossible(error)),
        }
        // The lock holds without these words, as on a full disk.
        let _ = file.set_len(0).and_then(|()| write!(file, "process {} ({command})", std::process::id()));
        Ok(Self { file })
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // Words that stay, as after a crash, mislead people and nothing else.
        let _ = self.file.set_len(0);
    }
}

fn open(dir: &Path) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    // Who may open it may lock it, and so keep Daymark from its state.
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(dir.join(FILE))
}

fn holder(file: &File) -> String {
    let mut text = String::new();
    match file.take(LONGEST).read_to_string(&mut text) {
        Ok(1..) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        // It may have taken the lock only just now.
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
        let (shown, pid) = (dir.display(), std::process::id());
        let wanted =
            format!("the state in {shown} is in use by process {pid} (daymark run); one Daymark at a time can use it");
        assert_eq!(refusal, wanted);
        drop(first);
        assert_eq!(fs::read_to_string(dir.join(FILE)).unwrap(), "", "no one has it, and the file says so");
        StateLock::take(&dir, "daymark sync").unwrap();
    }

    #[test]
    fn no_other_user_can_take_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let _lock = StateLock::take(dir.path(), "daymark run").unwrap();
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_words_of_an_earlier_holder_are_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "process 1 (a command with a long name, long ago)").unwrap();
        let _first = StateLock::take(dir.path(), "daymark run").unwrap();
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(text, format!("process {} (daymark run)", std::process::id()));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_told_from_one_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        fs::write(&blocked, "").unwrap();
        assert!(matches!(StateLock::take(&blocked, "daymark run"), Err(NotLocked::Impossible { .. })));
    }
}
