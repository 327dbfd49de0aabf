//! The only clock that the core's moments come from. It reads the wall clock once, and the monotonic clock from then on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use daymark_decision::Moment;
use tokio::time::Instant;

/// A clock that never goes back while the process runs, even if the wall clock is set.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Moment,
    since: Instant,
}

impl Clock {
    /// Starts a clock at the time of the wall clock. A wall clock before 1970 counts as 1970.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Moment::default().after(wall), since: Instant::now() }
    }

    /// The current moment.
    pub fn now(&self) -> Moment {
        self.started.after(self.since.elapsed())
    }

    /// The moment at which the clock was started.
    pub fn started(&self) -> Moment {
        self.started
    }

    /// The instant of a moment, for a timer. Moments are whole milliseconds, so one more is added: the timer is never early.
    pub fn instant(&self, at: Moment) -> Instant {
        self.since + at.since(self.started) + Duration::from_millis(1)
    }
}
