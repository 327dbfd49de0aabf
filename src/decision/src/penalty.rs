//! The penalty of a target that changes often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::{Moment, millis};

/// The penalty of one fall from `ready`, in thousandths of a fall.
const FALL: u64 = 1000;
/// The milliseconds without a fall that halve the penalty.
const HALF_LIFE: u64 = 600_000;
/// The wait for each fall beyond the first.
const STEP: Duration = Duration::from_secs(10);
/// The longest wait.
pub(crate) const MAX_WAIT: Duration = Duration::from_mins(5);

/// A count of falls that halves every ten minutes.
///
/// A target's first fall costs nothing. Each further fall that has not decayed adds ten seconds, up to five minutes, to the
/// wait before the target is believed to be ready again. The arithmetic is in integers, so every host computes the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Penalty {
    /// Thousandths of a fall, as of `at`.
    level: u64,
    at: Moment,
}

impl Penalty {
    /// Counts a fall. Returns the end of the wait before the target is believed to be ready again.
    pub(crate) fn fall(&mut self, now: Moment) -> Moment {
        self.level = self.level_at(now).saturating_add(FALL);
        self.at = now;
        now.after(self.wait())
    }

    /// The wait after the last fall.
    fn wait(self) -> Duration {
        let beyond = self.level.saturating_sub(FALL);
        Duration::from_millis(beyond.saturating_mul(millis(STEP)) / FALL).min(MAX_WAIT)
    }

    /// The level at `now`: halved for each whole half-life since the last fall, linear in between.
    fn level_at(self, now: Moment) -> u64 {
        let elapsed = millis(now.since(self.at));
        let Some(level) = u32::try_from(elapsed / HALF_LIFE).ok().and_then(|halvings| self.level.checked_shr(halvings))
        else {
            return 0;
        };
        level.saturating_sub((level / 2).saturating_mul(elapsed % HALF_LIFE) / HALF_LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1000)
    }

    fn waits(falls: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut penalty = Penalty::default();
        falls.into_iter().map(|secs| penalty.fall(at(secs)).since(at(secs)).as_secs()).collect()
    }

    #[test]
    fn a_first_fall_costs_nothing() {
        assert_eq!(waits([1_000_000]), [0]);
    }

    #[test]
    fn each_further_fall_costs_more_up_to_a_limit() {
        let waits = waits((0..60).map(|n| 1_000_000 + n));
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
        assert_eq!((waits[1], waits[59]), (10, 300));
    }

    #[test]
    fn falls_ten_minutes_apart_add_half_of_the_former() {
        assert_eq!(waits([1_000_000, 1_000_600, 1_001_200]), [0, 5, 7]);
    }

    #[test]
    fn a_quiet_day_forgives_everything() {
        assert_eq!(waits([1_000_000, 1_000_001, 1_086_400]).last(), Some(&0));
    }

    #[test]
    fn the_level_never_rises_by_waiting() {
        let penalty = Penalty { level: 7_777, at: at(0) };
        let levels: Vec<u64> = (0..100_000).step_by(7).map(|secs| penalty.level_at(at(secs))).collect();
        assert!(levels.windows(2).all(|pair| pair[0] >= pair[1]));
    }

    #[test]
    fn a_penalty_from_the_future_neither_panics_nor_grows() {
        let mut penalty = Penalty { level: 2_000, at: at(500) };
        assert_eq!(penalty.fall(at(100)), at(120));
    }
}
