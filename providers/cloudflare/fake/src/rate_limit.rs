//! The limit on calls: 1,200 in five minutes for one user. A user who exceeds it is blocked for five minutes.

use std::time::Duration;

use tokio::time::Instant;

/// The length of the window, and of the block.
const WINDOW: Duration = Duration::from_mins(5);

/// Counts calls by tokio's time.
#[derive(Debug)]
pub struct RateLimit {
    /// Calls allowed in a window.
    pub limit: u64,
    /// If true, a refusal has the header `retry-after`.
    pub retry_after: bool,
    spent: u64,
    /// The end of the window, or of the block.
    until: Option<Instant>,
}

/// The calls that are left, as the headers report them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    pub(crate) limit: u64,
    pub(crate) left: u64,
    /// Seconds until all is left again.
    pub(crate) reset: u64,
    /// True if the call is refused.
    pub(crate) blocked: bool,
    /// The seconds of `retry-after`, if the response has that header.
    pub(crate) retry_after: Option<u64>,
}

impl RateLimit {
    /// Counts calls that came another way, such as the dashboard's. They can exceed the limit as calls do.
    pub fn spend(&mut self, calls: u64) {
        self.settle(Instant::now(), calls);
    }

    /// Counts one call.
    pub(crate) fn take(&mut self, now: Instant) -> Quota {
        let until = self.settle(now, 1);
        let reset = until.duration_since(now).as_secs_f64().ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of five minutes")]
        let reset = reset as u64;
        let blocked = self.spent > self.limit;
        let left = self.limit.saturating_sub(self.spent);
        let retry_after = (blocked && self.retry_after).then_some(reset);
        Quota { limit: self.limit, left, reset, blocked, retry_after }
    }

    /// Counts the calls in the open window, or opens one. The call that exceeds the limit starts the block; calls within
    /// the block do not extend it.
    fn settle(&mut self, now: Instant, calls: u64) -> Instant {
        let mut until = match self.until {
            Some(until) if now < until => until,
            _ => {
                self.spent = 0;
                now + WINDOW
            }
        };
        let before = self.spent;
        self.spent += calls;
        if before <= self.limit && self.spent > self.limit {
            until = now + WINDOW;
        }
        self.until = Some(until);
        until
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { limit: 1_200, retry_after: true, spent: 0, until: None }
    }
}
