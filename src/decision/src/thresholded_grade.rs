//! The one threshold machine: a grade that changes only after enough observations in a row.
//!
//! [`Health`](crate::Health) judges a target with it, and the schedule of the probes uses it to see how many more probes a
//! verdict needs. It knows neither time nor penalties.

use serde::{Deserialize, Serialize};

use crate::policy::Thresholds;
use crate::target::Grade;

/// A grade behind thresholds.
///
/// The grade changes after `rise` observations in a row that are better, or `fall` that are worse. The new grade is what
/// every observation of the streak proves: the worst of the better ones, or the best of the worse ones. A decisive
/// observation that is worse acts at once. An observation equal to the grade ends a streak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdedGrade {
    grade: Grade,
    streak: Option<Streak>,
}

/// Observations in a row that all point to a change in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Streak {
    direction: Direction,
    /// The grade that every observation of the streak proves.
    grade: Grade,
    /// The number of observations, at least 1.
    length: u32,
    /// True if it began before the start of Daymark. It then needs one observation more, because nothing was observed in between.
    #[serde(skip)]
    is_restored: bool,
}

/// The direction of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To a better grade.
    Better,
    /// To a worse grade.
    Worse,
}

/// A transition under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingTransition {
    /// Its direction.
    pub direction: Direction,
    /// The observations that are still missing, at least 1.
    pub missing: u32,
}

impl ThresholdedGrade {
    /// The grade and streak of an earlier run.
    pub(crate) fn restored(grade: Grade, streak: Option<Streak>) -> Self {
        Self { grade, streak: streak.map(|streak| Streak { is_restored: true, ..streak }) }
    }

    /// The grade.
    pub fn grade(&self) -> Grade {
        self.grade
    }

    pub(crate) fn streak(&self) -> Option<Streak> {
        self.streak
    }

    /// The transition under way; `None` at rest.
    pub fn pending(&self, thresholds: Thresholds) -> Option<PendingTransition> {
        let streak = self.streak?;
        let missing = streak.needed(thresholds).saturating_sub(streak.length);
        Some(PendingTransition { direction: streak.direction, missing })
    }

    /// Takes in an observation. Returns true if the grade changed.
    pub fn observe(&mut self, observed: Grade, is_decisive: bool, thresholds: Thresholds) -> bool {
        if observed == self.grade {
            self.streak = None;
            return false;
        }
        let direction = self.direction(observed);
        let streak = self.extended_streak(direction, observed);
        let is_enough = streak.length >= streak.needed(thresholds);
        if is_decisive && direction == Direction::Worse {
            self.grade = observed;
        } else if is_enough {
            self.grade = streak.grade;
        } else {
            self.streak = Some(streak);
            return false;
        }
        self.streak = None;
        true
    }

    fn direction(&self, observed: Grade) -> Direction {
        match self.grade {
            // Nothing is worse than unknown. From there, anything but `ready` needs the proof of a fall.
            Grade::Unknown if observed < Grade::Ready => Direction::Worse,
            grade if observed < grade => Direction::Worse,
            _ => Direction::Better,
        }
    }

    fn extended_streak(&self, direction: Direction, observed: Grade) -> Streak {
        let Some(streak) = self.streak.filter(|streak| streak.direction == direction) else {
            return Streak { direction, grade: observed, length: 1, is_restored: false };
        };
        let grade = match direction {
            Direction::Better => streak.grade.min(observed),
            Direction::Worse => streak.grade.max(observed),
        };
        Streak { grade, length: streak.length.saturating_add(1), ..streak }
    }
}

impl Streak {
    fn needed(self, thresholds: Thresholds) -> u32 {
        let threshold = match self.direction {
            Direction::Better => thresholds.rise,
            Direction::Worse => thresholds.fall,
        };
        threshold.get().saturating_add(u32::from(self.is_restored))
    }
}
