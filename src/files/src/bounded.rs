//! Reads with a bound in time: a dead disk or a pipe without a writer must not hold up the caller for ever.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

/// The longest wait for a read of a file that may also be missing.
pub const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// The files whose last read has not come back. Each has one thread that still waits for it.
static STUCK: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Reads a file by `read` on a thread of its own, and waits no longer than `allowed`.
///
/// A read that takes longer goes on alone. Until it comes back, every other read of this path fails at once: so a dead disk costs
/// one thread for each file.
pub fn bounded<T: Send + 'static>(
    path: &Path,
    allowed: Duration,
    read: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if STUCK.lock().contains(path) {
        return Err(no_answer());
    }
    let (sender, receiver) = sync_channel(1);
    let file = path.to_owned();
    thread::Builder::new().name("read".to_owned()).spawn(move || {
        // The receiver may have given up.
        let _ = sender.send(read(&file));
        drop(sender);
        STUCK.lock().remove(&file);
    })?;
    receiver.recv_timeout(allowed).unwrap_or_else(|_| {
        let mut stuck = STUCK.lock();
        // It may have come back in between; then it has removed nothing, and will not again.
        receiver.try_recv().unwrap_or_else(|_| {
            stuck.insert(path.to_owned());
            Err(no_answer())
        })
    })
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the disk does not answer")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_read_that_blocks_costs_one_thread_and_ends_with_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Opening a pipe waits for its writer, as a read of a dead disk waits for the disk.
        let read = || bounded(&pipe, READ_TIMEOUT, |path| fs::read(path)).unwrap_err();
        assert_eq!(read().to_string(), "the disk does not answer");
        let threads = || fs::read_dir("/proc/self/task").unwrap().count();
        let stuck = threads();
        for _ in 0..50 {
            assert_eq!(read().kind(), io::ErrorKind::TimedOut);
        }
        assert_eq!(threads(), stuck, "no further thread waits");
        fs::write(&pipe, "late").unwrap();
        while STUCK.lock().contains(&pipe) {
            thread::yield_now();
        }
        fs::remove_file(&pipe).unwrap();
        fs::write(&pipe, "whole").unwrap();
        assert_eq!(bounded(&pipe, READ_TIMEOUT, |path| fs::read(path)).unwrap(), b"whole");
    }

    #[test]
    fn the_error_of_a_read_is_that_of_the_system() {
        let missing = bounded(Path::new("/nonexistent"), READ_TIMEOUT, |path| fs::read(path)).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
