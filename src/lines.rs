//! Writes the lines of the log without waiting for who reads them. It knows nothing of what they say.
//!
//! A pipe whose reader stays but does not read fills, and then a write to it waits for ever, and with it who writes. So a
//! thread of its own writes; a line for which there is no room is lost and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// How many lines wait for a reader that is slow.
const ROOM: usize = 4096;
/// How long the end waits for the reader.
const FAREWELL: Duration = Duration::from_secs(1);

static LOST: AtomicU64 = AtomicU64::new(0);

/// How many lines of the log were lost since the start.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Takes lines, each with one call. Clones write to the same.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Waiting>);

/// When it is dropped, the lines that still wait are written, unless no one reads them.
#[must_use]
pub(crate) struct Rest(Lines);

#[derive(Default)]
struct Waiting {
    /// The first one is being written.
    lines: Mutex<VecDeque<Arc<[u8]>>>,
    /// There is a line, or there is none any more.
    changed: Condvar,
}

impl Lines {
    /// Writes to `to` from now on; or else no thread can be had.
    pub(crate) fn to(to: impl Write + Send + 'static) -> io::Result<(Self, Rest)> {
        let lines = Self(Arc::default());
        let waiting = Arc::clone(&lines.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || waiting.write_all(to))?;
        Ok((lines.clone(), Rest(lines)))
    }
}

impl Waiting {
    fn write_all(&self, mut to: impl Write) {
        let mut lines = self.lines.lock();
        loop {
            while let Some(line) = lines.front().cloned() {
                if MutexGuard::unlocked(&mut lines, || to.write_all(&line)).is_err() {
                    LOST.fetch_add(1, Ordering::Relaxed);
                }
                lines.pop_front();
            }
            self.changed.notify_all();
            self.changed.wait(&mut lines);
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lines.lock();
        if lines.len() < ROOM {
            lines.push_back(line.into());
            self.0.changed.notify_all();
        } else {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let Waiting { lines, changed } = &*self.0.0;
        // What no one reads by then is lost.
        let _ = changed.wait_while_for(&mut lines.lock(), |lines| !lines.is_empty(), FAREWELL);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_waits_is_written_before_the_end() {
        let written = Written::default();
        let (mut lines, rest) = Lines::to(written.clone()).unwrap();
        let all: Vec<String> = (0..ROOM / 2).map(|n| format!("{n}\n")).collect();
        for line in &all {
            lines.write_all(line.as_bytes()).unwrap();
        }
        drop(rest);
        assert_eq!(String::from_utf8(written.0.lock().clone()).unwrap(), all.concat());
    }

    #[test]
    fn what_there_is_no_room_for_is_lost_and_counted_and_nothing_else_is() {
        let (reader, writer) = io::pipe().unwrap();
        let (mut lines, rest) = Lines::to(writer).unwrap();
        let (before, mut count) = (lost(), 0);
        while lost() == before {
            lines.write_all(format!("{count}\n").as_bytes()).unwrap();
            count += 1;
        }
        drop(rest);
        let read = BufReader::new(reader).lines().take(count - 1).map(Result::unwrap);
        assert!(read.eq((0..count - 1).map(|n| n.to_string())), "all but the last one come later");
    }
}
