//! What the probes of one target prove: the thresholds of the core, with the length of the run, which says how many
//! more probes are needed. It leaves out the core's penalty: a target that flaps is trusted less, and watched no less
//! closely.

use std::num::NonZeroU32;

use daymark_decision::{Grade, Kind, Thresholds};

/// What the probes of one target prove so far.
#[derive(Debug)]
pub(super) struct Verdict {
    thresholds: Thresholds,
    grade: Grade,
    run: Option<Run>,
}

/// Findings in a row that all speak for a turn in one direction.
#[derive(Clone, Copy, Debug)]
struct Run {
    direction: Direction,
    /// What every finding of the run proves.
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
        Self { thresholds, grade: Grade::Unknown, run: None }
    }

    pub(super) fn grade(&self) -> Grade {
        self.grade
    }

    /// Takes what a probe found; a fault of this host is nothing. True where it leaves no doubt: the target is judged,
    /// and this is at least as good.
    pub(super) fn take(&mut self, kind: &Kind) -> bool {
        let Some(found) = kind.grade() else { return false };
        let worse = if self.grade == Grade::Unknown { found < Grade::Ready } else { found < self.grade };
        let direction = if worse { Direction::Worse } else { Direction::Better };
        if worse && kind.is_decisive() {
            self.turn(found);
        } else if found == self.grade {
            self.run = None;
        } else {
            self.extend_run(direction, found);
        }
        self.grade != Grade::Unknown && found >= self.grade
    }

    /// Whether the findings ask for more in haste: there is no verdict yet, or the last one was worse than it.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubt().is_some()
    }

    /// How many more findings turn the verdict, if they are like those that put it in doubt; without a doubt, how many
    /// would prove the worse.
    pub(super) fn wanted(&self) -> u32 {
        let fall = self.thresholds.fall.get();
        self.doubt().map_or(fall, |run| self.needed(run.direction).get() - run.length)
    }

    fn doubt(&self) -> Option<Run> {
        self.run.filter(|run| run.direction == Direction::Worse || self.grade == Grade::Unknown)
    }

    fn extend_run(&mut self, direction: Direction, found: Grade) {
        let run = match self.run.filter(|run| run.direction == direction) {
            None => Run { direction, grade: found, length: 1 },
            Some(Run { grade, length, .. }) => {
                let grade = match direction {
                    Direction::Better => grade.min(found),
                    Direction::Worse => grade.max(found),
                };
                Run { direction, grade, length: length + 1 }
            }
        };
        self.run = Some(run);
        if run.length >= self.needed(direction).get() {
            self.turn(run.grade);
        }
    }

    fn turn(&mut self, to: Grade) {
        self.grade = to;
        self.run = None;
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
        fn it_is_the_grade_of_the_core_without_its_penalty(
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
                prop_assert_eq!(verdict.run.is_some(), health.is_turning());
                prop_assert!((1..=rise.max(fall)).contains(&verdict.wanted()));
            }
        }
    }
}
