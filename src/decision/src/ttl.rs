//! The TTL of an answer.

use std::time::Duration;

use crate::moment::Moment;
use crate::policy::TtlRange;

/// A TTL, and the time at which it changes without an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ttl {
    pub(crate) seconds: u32,
    pub(crate) changes_at: Option<Moment>,
}

impl Ttl {
    /// The minimum, for an answer that should change soon.
    pub(crate) fn floor(range: TtlRange) -> Self {
        Self { seconds: range.min, changes_at: None }
    }

    /// The time until the earliest change that is under way, within the range, in whole seconds.
    ///
    /// `transition` is the time until the next grade can change, `expiry` the time at which the next override expires. Nothing
    /// announces a first failure. The maximum bounds how long a resolver keeps an answer after one.
    pub(crate) fn until(range: TtlRange, transition: Option<Duration>, expiry: Option<Moment>, now: Moment) -> Self {
        let within = |left: Duration| u32::try_from(left.as_secs()).unwrap_or(u32::MAX).clamp(range.min, range.max);
        let by_transition = transition.map_or(range.max, within);
        let Some(expiry) = expiry else { return Self { seconds: by_transition, changes_at: None } };

        let by_expiry = within(expiry.since(now));
        let seconds = by_transition.min(by_expiry);
        // One millisecond past the point where `seconds` are left, one fewer whole second is.
        let changes_at = expiry.before(Duration::from_secs(u64::from(seconds))).after(Duration::from_millis(1));
        Self { seconds, changes_at: (seconds > range.min).then_some(changes_at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: TtlRange = TtlRange { min: 1, max: 5 };

    fn at(millis: u64) -> Moment {
        Moment::from_millis(1_000_000 + millis)
    }

    #[test]
    fn at_rest_the_ttl_is_the_maximum() {
        assert_eq!(Ttl::until(RANGE, None, None, at(0)), Ttl { seconds: 5, changes_at: None });
    }

    #[test]
    fn a_transition_under_way_shortens_it_down_to_the_minimum() {
        let ttl = |millis| Ttl::until(RANGE, Some(Duration::from_millis(millis)), None, at(0)).seconds;
        assert_eq!([ttl(100), ttl(1_999), ttl(3_000), ttl(60_000)], [1, 1, 3, 5]);
    }

    #[test]
    fn the_end_of_an_override_is_counted_down() {
        let end = at(7_000);
        let mut now = at(0);
        let mut steps = Vec::new();
        loop {
            let ttl = Ttl::until(RANGE, None, Some(end), now);
            steps.push((now.since(at(0)).as_millis(), ttl.seconds));
            let Some(next) = ttl.changes_at else { break };
            assert!(next > now, "a deadline lies ahead");
            now = next;
        }
        assert_eq!(steps, [(0, 5), (2_001, 4), (3_001, 3), (4_001, 2), (5_001, 1)]);
    }
}
