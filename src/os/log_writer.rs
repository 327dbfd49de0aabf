//! Writes lines of the log from a thread of its own, so that a slow or stuck reader of the log never blocks its callers.
//!
//! A write to a full pipe waits until the reader reads. So lines wait in a bounded queue. A line that does not fit, or that cannot
//! be written, is lost and counted.
//!
//! The non-blocking writer of tracing-appender does not do this: it does not count lines whose write fails, and with a full queue
//! it ends after 100 ms without flushing and prints to standard output.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// The number of lines that can wait for a slow reader.
const MAX_QUEUED_LINES: usize = 4096;
/// The time that [`FlushGuard`] waits for the reader.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

static LOST_LINES: AtomicU64 = AtomicU64::new(0);

/// The number of lines of the log that were lost since the start.
pub fn lost_lines() -> u64 {
    LOST_LINES.load(Ordering::Relaxed)
}

/// Queues lines, each by one call of `write`. Clones share the queue.
#[derive(Clone)]
pub struct LogWriter(Arc<LineQueue>);

/// Flushes the queued lines when it is dropped. It gives up after [`FLUSH_TIMEOUT`].
#[must_use]
pub struct FlushGuard(LogWriter);

#[derive(Default)]
struct LineQueue {
    /// The first line is being written.
    lines: Mutex<VecDeque<Arc<[u8]>>>,
    /// Signals that a line was added, or that the last line was written.
    changed: Condvar,
}

impl LogWriter {
    /// Starts a thread that writes the lines to `output`. Returns an error if the thread cannot be started.
    pub fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let writer = Self(Arc::default());
        let queue = Arc::clone(&writer.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || queue.write_to(output))?;
        Ok(writer)
    }

    /// A guard that flushes the queue when it is dropped.
    pub fn flush_guard(&self) -> FlushGuard {
        FlushGuard(self.clone())
    }
}

impl LineQueue {
    fn write_to(&self, mut output: impl Write) {
        let mut lines = self.lines.lock();
        loop {
            while let Some(line) = lines.front().cloned() {
                if MutexGuard::unlocked(&mut lines, || output.write_all(&line)).is_err() {
                    LOST_LINES.fetch_add(1, Ordering::Relaxed);
                }
                lines.pop_front();
            }
            self.changed.notify_all();
            self.changed.wait(&mut lines);
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lines.lock();
        if lines.len() < MAX_QUEUED_LINES {
            lines.push_back(line.into());
            self.0.changed.notify_all();
        } else {
            LOST_LINES.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        let LineQueue { lines, changed } = &*self.0.0;
        // Lines that are not read in time are lost.
        let _ = changed.wait_while_for(&mut lines.lock(), |lines| !lines.is_empty(), FLUSH_TIMEOUT);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn queued_lines_are_written_before_the_end() {
        let output = Output::default();
        let mut writer = LogWriter::start(output.clone()).unwrap();
        let guard = writer.flush_guard();
        let all: Vec<String> = (0..MAX_QUEUED_LINES / 2).map(|n| format!("{n}\n")).collect();
        for line in &all {
            writer.write_all(line.as_bytes()).unwrap();
        }
        drop(guard);
        assert_eq!(String::from_utf8(output.0.lock().clone()).unwrap(), all.concat());
    }

    #[test]
    fn a_line_that_does_not_fit_is_lost_and_counted_and_no_other_is() {
        let (reader, pipe) = io::pipe().unwrap();
        let mut writer = LogWriter::start(pipe).unwrap();
        let guard = writer.flush_guard();
        let before = lost_lines();
        let mut count = 0;
        while lost_lines() == before {
            writer.write_all(format!("{count}\n").as_bytes()).unwrap();
            count += 1;
        }
        drop(guard);
        let read = BufReader::new(reader).lines().take(count - 1).map(Result::unwrap);
        assert!(read.eq((0..count - 1).map(|n| n.to_string())), "all but the last one arrive later");
    }
}
