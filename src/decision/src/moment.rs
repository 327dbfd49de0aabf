//! A point in time, as the shell's clock gives it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time in whole milliseconds since the Unix epoch.
///
/// The shell reads the wall clock once, at its start, and from then on advances by a monotonic clock. So moments of one
/// run never go back, and moments kept in the state file mean the same after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `by` later, rounded down to the millisecond; the last possible moment if that overflows.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// The moment `by` earlier; the first possible moment if that underflows.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Whole milliseconds of a duration.
pub(crate) fn millis(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Moment {
    /// RFC 3339 in UTC, to the second: `2026-11-22T10:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = i64::try_from(self.as_secs()).unwrap_or(i64::MAX);
        let shown = jiff::Timestamp::from_second(secs).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{shown:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_as_a_utc_time_to_the_second() {
        assert_eq!(Moment::from_millis(1_795_341_600_999).to_string(), "2026-11-22T10:00:00Z");
    }

    #[test]
    fn a_moment_past_every_calendar_is_still_shown() {
        assert_eq!(Moment::from_millis(u64::MAX).to_string(), jiff::Timestamp::MAX.to_string()[..19].to_owned() + "Z");
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let last = Moment::from_millis(u64::MAX);
        assert_eq!(last.after(Duration::from_secs(1)), last);
        assert_eq!(Moment::from_millis(5).since(Moment::from_millis(9)), Duration::ZERO);
    }
}
