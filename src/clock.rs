//! The only reading of a clock for the core: the wall clock once, the monotonic clock from then on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use daymark_decision::Moment;
use jiff::Timestamp;
use tokio::time::Instant;

/// Tells moments that never go back while the process runs, whatever is done to the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Moment,
    since: Instant,
}

impl Clock {
    /// A clock that begins at the wall clock's time; at the epoch where that is before it.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Moment::default().after(wall), since: Instant::now() }
    }

    /// The moment now.
    pub fn now(&self) -> Moment {
        self.started.after(self.since.elapsed())
    }

    /// The moment now, to the second, as status and metrics tell it.
    pub fn timestamp(&self) -> Timestamp {
        let secs = i64::try_from(self.now().as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_second(secs).unwrap_or(Timestamp::MAX)
    }

    /// When the process started.
    pub fn started(&self) -> Moment {
        self.started
    }

    /// When a moment comes, for a timer. The core counts whole milliseconds, so the timer is never early.
    pub fn instant(&self, at: Moment) -> Instant {
        self.since + at.since(self.started) + Duration::from_millis(1)
    }
}
