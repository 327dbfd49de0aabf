//! A point in time, as the shell's clock gives it, and its text.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time in whole milliseconds since the Unix epoch, up to the end of the year 9999.
///
/// The shell reads the wall clock once, at its start, and from then on advances by a monotonic clock. So moments of one
/// run never go back, and moments kept in the state file mean the same after a restart.
///
/// In JSON it is an RFC 3339 string in UTC with milliseconds, `2026-11-22T10:00:00.000Z`. In the binary encoding of the gossip
/// it is an integer. Both forms hold every moment, because RFC 3339 ends with the year 9999 too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

/// The time from now within which a moment of another clock is plausible: clocks may be wrong by this much.
const PLAUSIBLE_FUTURE: Duration = Duration::from_hours(100 * 365 * 24);

impl Moment {
    /// The last moment, 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The moment `millis` milliseconds after the Unix epoch; the last moment if that is later.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// The moment `seconds` after the Unix epoch; the first or the last moment if that is out of range.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self::from_millis(u64::try_from(seconds).unwrap_or_default().saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `by` later, rounded down to the millisecond; the last moment if that is later.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(by)))
    }

    /// The moment `by` earlier; the first possible moment if that underflows.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// The latest moment, a hundred years from this one, that another host's clock may show.
    #[must_use]
    pub fn latest_plausible(self) -> Self {
        self.after(PLAUSIBLE_FUTURE)
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-22T10:00:00.000Z`.
    pub fn rfc3339(self) -> String {
        format!("{:.3}Z", self.civil())
    }

    /// The moment of a text that [`Moment::rfc3339`] gives; `None` for every other text.
    fn parsed(text: &str) -> Option<Self> {
        let civil: DateTime = text.strip_suffix('Z')?.parse().ok()?;
        let millis = civil.duration_since(EPOCH).as_millis();
        let moment = Self::from_millis(u64::try_from(millis).ok()?);
        // The parser of the calendar also takes other forms.
        (moment.rfc3339() == text).then_some(moment)
    }

    fn civil(self) -> DateTime {
        let since = i64::try_from(self.0).map_or(SignedDuration::MAX, SignedDuration::from_millis);
        EPOCH.checked_add(since).unwrap_or(DateTime::MAX)
    }
}

/// The Unix epoch in UTC.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Whole milliseconds of a duration.
pub(crate) fn millis(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Moment {
    /// RFC 3339 in UTC, to the second: `2026-11-22T10:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}Z", self.civil())
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { self.rfc3339().serialize(serializer) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Self::from_millis);
        }
        let text = String::deserialize(deserializer)?;
        Self::parsed(&text).ok_or_else(|| {
            Error::invalid_value(
                Unexpected::Str(&text),
                &"a time in UTC with milliseconds, such as 2026-11-22T10:00:00.000Z",
            )
        })
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
    fn a_moment_past_every_calendar_is_the_last_one() {
        assert_eq!(Moment::from_millis(u64::MAX), Moment::MAX);
        assert_eq!(Moment::MAX.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Moment::from_unix_seconds(i64::MAX), Moment::MAX);
        assert_eq!(Moment::from_unix_seconds(i64::MIN), Moment::default());
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let last = Moment::from_millis(u64::MAX);
        assert_eq!(last.after(Duration::from_secs(1)), last);
        assert_eq!(last.after(Duration::MAX), last);
        assert_eq!(Moment::from_millis(5).since(Moment::from_millis(9)), Duration::ZERO);
    }

    #[test]
    fn a_moment_in_json_is_a_utc_time_with_milliseconds_and_comes_back() {
        let texts = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_341_600_000, "2026-11-22T10:00:00.000Z"),
            (1_795_341_600_999, "2026-11-22T10:00:00.999Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ];
        for (millis, text) in texts {
            let moment = Moment::from_millis(millis);
            let json = serde_json::to_string(&moment).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Moment>(&json).unwrap(), moment);
        }
    }

    #[test]
    fn a_time_in_another_form_is_refused_with_the_allowed_one() {
        let others = [
            "2026-11-22T10:00:00Z",
            "2026-11-22T10:00:00.0000Z",
            "2026-11-22T10:00:00.000",
            "2026-11-22T10:00:00.000+00:00",
            "2026-11-22T10:00:00.000z",
            "2026-11-22 10:00:00.000Z",
            "2026-11-22T10:00:60.000Z",
            "2026-02-30T10:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "+10000-01-01T00:00:00.000Z",
            "Z",
            "",
        ];
        for text in others {
            let error = serde_json::from_str::<Moment>(&format!("\"{text}\"")).unwrap_err().to_string();
            let expected = format!(
                "invalid value: string \"{text}\", expected a time in UTC with milliseconds, such as 2026-11-22T10:00:00.000Z"
            );
            assert!(error.starts_with(&expected), "{error}");
        }
        assert!(serde_json::from_str::<Moment>("1795341600000").is_err());
    }
}
