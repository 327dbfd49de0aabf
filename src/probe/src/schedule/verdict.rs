//! The verdict of the probes on one target, as the schedule needs it.
//!
//! It has the thresholds of the decision core and leaves out its penalty: a target that flaps is trusted less, and probed no
//! less often.

use daymark_decision::{Direction, Grade, Kind, PendingTransition, ThresholdedGrade, Thresholds};

/// The verdict of the probes on one target so far.
#[derive(Debug)]
pub(super) struct Verdict {
    thresholds: Thresholds,
    grade: ThresholdedGrade,
}

impl Verdict {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, grade: ThresholdedGrade::default() }
    }

    pub(super) fn grade(&self) -> Grade {
        self.grade.grade()
    }

    /// Takes in the finding of a probe; a local error is none. Returns true if the verdict is settled: there is one, and the
    /// finding is at least as good.
    pub(super) fn observe(&mut self, kind: &Kind) -> bool {
        let Some(observed) = kind.grade() else { return false };
        self.grade.observe(observed, kind.is_decisive(), self.thresholds);
        self.grade() != Grade::Unknown && observed >= self.grade()
    }

    /// True if the next probes must follow soon: there is no verdict yet, or the last finding was worse than it.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubt().is_some()
    }

    /// The number of findings that are still missing to a transition. Without a doubt, the number that would prove a worse
    /// grade.
    pub(super) fn missing(&self) -> u32 {
        self.doubt().map_or(self.thresholds.fall.get(), |pending| pending.missing)
    }

    fn doubt(&self) -> Option<PendingTransition> {
        let pending = self.grade.pending(self.thresholds);
        pending.filter(|pending| pending.direction == Direction::Worse || self.grade() == Grade::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use daymark_decision::{Health, Moment};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_grade_of_the_core_without_its_penalty(
            kinds in proptest::collection::vec(0_usize..5, 0..60),
            (rise, fall) in (1_u32..5, 1_u32..5),
        ) {
            let count = |n| NonZeroU32::new(n).unwrap();
            let thresholds = Thresholds { rise: count(rise), fall: count(fall) };
            let local_error = Kind::LocalError { detail: String::new() };
            let all = [Kind::Ready, Kind::Overloaded, Kind::Refused, Kind::ShuttingDown, local_error];
            let mut verdict = Verdict::new(thresholds);
            let mut health = Health::default();
            let mut now = Moment::default();
            for kind in kinds.into_iter().map(|index| &all[index]) {
                // A penalty is long forgotten a day later.
                now = now.after(Duration::from_hours(24));
                verdict.observe(kind);
                health.observe(kind, thresholds, now);
                prop_assert_eq!(verdict.grade(), health.grade());
                prop_assert!((1..=rise.max(fall)).contains(&verdict.missing()));
            }
        }
    }
}
