//! The verdict that the probes of one target prove, by the thresholds of the core, with the number of probes that are still
//! needed. It leaves out the penalty of the core: a target that flaps is trusted less, but watched no less closely.

use std::num::NonZeroU32;

use daymark_decision::{Grade, Kind, Thresholds};

/// The verdict on one target so far.
#[derive(Debug)]
pub(super) struct Verdict {
    thresholds: Thresholds,
    grade: Grade,
    streak: Option<Streak>,
}

/// Observations in a row that all support one transition.
#[derive(Clone, Copy, Debug)]
struct Streak {
    direction: Direction,
    /// The grade that every observation of the streak proves.
    grade: Grade,
    /// At least 1, and less than the threshold.
    length: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Better,
    Worse,
}

impl Verdict {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, grade: Grade::Unknown, streak: None }
    }

    pub(super) fn grade(&self) -> Grade {
        self.grade
    }

    /// Takes an observation; a local error counts for nothing. True if no doubt is left: there is a verdict, and the observation is
    /// at least as good.
    pub(super) fn take(&mut self, kind: &Kind) -> bool {
        let Some(found) = kind.grade() else { return false };
        let worse = if self.grade == Grade::Unknown { found < Grade::Ready } else { found < self.grade };
        let direction = if worse { Direction::Worse } else { Direction::Better };
        if worse && kind.is_decisive() {
            self.transition(found);
        } else if found == self.grade {
            self.streak = None;
        } else {
            self.extend_streak(direction, found);
        }
        self.grade != Grade::Unknown && found >= self.grade
    }

    /// True if more observations are needed in haste: there is no verdict yet, or the last observation was worse.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubt().is_some()
    }

    /// The number of further observations that change the verdict, if they are like those that put it in doubt. Without doubt, the
    /// number that would prove a worse one.
    pub(super) fn wanted(&self) -> u32 {
        let fall = self.thresholds.fall.get();
        self.doubt().map_or(fall, |streak| self.needed(streak.direction).get() - streak.length)
    }

    fn doubt(&self) -> Option<Streak> {
        self.streak.filter(|streak| streak.direction == Direction::Worse || self.grade == Grade::Unknown)
    }

    fn extend_streak(&mut self, direction: Direction, found: Grade) {
        let streak = match self.streak.filter(|streak| streak.direction == direction) {
            None => Streak { direction, grade: found, length: 1 },
            Some(Streak { grade, length, .. }) => {
                let grade = match direction {
                    Direction::Better => grade.min(found),
                    Direction::Worse => grade.max(found),
                };
                Streak { direction, grade, length: length + 1 }
            }
        };
        self.streak = Some(streak);
        if streak.length >= self.needed(direction).get() {
            self.transition(streak.grade);
        }
    }

    fn transition(&mut self, to: Grade) {
        self.grade = to;
        self.streak = None;
    }

    fn needed(&self, direction: Direction) -> NonZeroU32 {
        match direction {
            Direction::Better => self.thresholds.rise,
            Direction::Worse => self.thresholds.fall,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daymark_decision::{Health, Moment};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_verdict_is_the_grade_of_the_core_without_its_penalty(
            kinds in proptest::collection::vec(0_usize..5, 0..60),
            (rise, fall) in (1_u32..5, 1_u32..5),
        ) {
            let count = |n| NonZeroU32::new(n).unwrap();
            let thresholds = Thresholds { rise: count(rise), fall: count(fall) };
            let own_fault = Kind::OwnFault { detail: String::new() };
            let all = [Kind::Ready, Kind::Overloaded, Kind::Refused, Kind::ShuttingDown, own_fault];
            let (mut verdict, mut health, mut now) = (Verdict::new(thresholds), Health::default(), Moment::default());
            for kind in kinds.into_iter().map(|index| &all[index]) {
                // A penalty is long forgotten a day later.
                now = now.after(Duration::from_hours(24));
                verdict.take(kind);
                health.observe(kind, thresholds, now);
                prop_assert_eq!(verdict.grade(), health.grade());
                prop_assert_eq!(verdict.streak.is_some(), health.is_turning());
                prop_assert!((1..=rise.max(fall)).contains(&verdict.wanted()));
            }
        }
    }
}
