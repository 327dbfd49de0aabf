//! An event that may come again and again, such as a failure to accept. The log has it once when it begins, and once with its
//! number when it is over.

use std::time::Duration;

use tokio::time::Instant;

/// The time without the event after which it is over.
pub(crate) const QUIET_TIME: Duration = Duration::from_secs(10);

/// The events that have come since the first one. A process that runs out of descriptors may accept every other connection, so
/// a success alone ends nothing.
#[derive(Debug, Default)]
pub(crate) struct Recurrence {
    count: u64,
    last: Option<Instant>,
}

impl Recurrence {
    /// Counts an event. True if it is the first.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        self.count += 1;
        self.last.replace(now).is_none()
    }

    /// The number of events, if they are over now. They begin anew with the next one.
    pub(crate) fn end(&mut self, now: Instant) -> Option<u64> {
        self.last.take_if(|last| now.duration_since(*last) >= QUIET_TIME)?;
        Some(std::mem::take(&mut self.count))
    }

    /// The moment at which the events are over if no more comes. `None` if there are none.
    pub(crate) fn over_at(&self) -> Option<Instant> {
        self.last.map(|last| last + QUIET_TIME)
    }
}
