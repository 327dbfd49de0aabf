//! The activity of a connection: it answers a query, or is idle, and since when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The time for which an answer protects its connection. A client that does not read its answer would be protected for longer
/// otherwise.
const ANSWER_PROTECTION: Duration = Duration::from_secs(1);

/// The activity of one connection, which its task reports. Clones share it.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The moment from which the time counts.
    start: Instant,
    /// The nanoseconds from `start` to the latest change, times two, and one more while the connection answers.
    changed: Arc<AtomicU64>,
}

/// The activity of a connection at one moment. The least gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ActivityState {
    /// True while the connection answers a query, for a second at most.
    pub(crate) is_answering: bool,
    /// The time of the latest change, in nanoseconds.
    pub(crate) since: u64,
}

impl Activity {
    /// A connection that is idle from now on.
    pub fn new(start: Instant) -> Self {
        let activity = Self { start, changed: Arc::default() };
        activity.set_idle();
        activity
    }

    /// Reports that a whole query has been read.
    pub fn set_answering(&self) {
        self.changed.store(self.now() << 1 | 1, Ordering::Relaxed);
    }

    /// Reports that the whole answer has been sent.
    pub fn set_idle(&self) {
        self.changed.store(self.now() << 1, Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> ActivityState {
        let changed = self.changed.load(Ordering::Relaxed);
        let since = changed >> 1;
        let elapsed = Duration::from_nanos(self.now().saturating_sub(since));
        ActivityState { is_answering: changed & 1 == 1 && elapsed < ANSWER_PROTECTION, since }
    }

    /// The nanoseconds since the start, of which a process has 292 years.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX >> 1)
    }
}
