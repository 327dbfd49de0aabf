//! One host's grade of one target, after thresholds.

use std::cmp::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::memory::TargetMemory;
use crate::moment::Moment;
use crate::observation::Kind;
use crate::penalty::{LONGEST, Penalty};
use crate::policy::{Pace, Thresholds};
use crate::quorum::Vote;
use crate::reason::Lack;
use crate::target::Grade;

/// One host's grade of one target, after thresholds.
///
/// A grade turns after `rise` observations in a row that are better, or `fall` that are worse. It turns to what every one
/// of them proves: to the worst grade among better ones, to the best among worse ones. A decisive observation turns a
/// better grade at once. A target under a penalty ([`Health::flapping`]) is `live` at the best.
///
/// A run of observations goes on over a restart of Daymark, but needs one more: no one looked in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    grade: Grade,
    since: Moment,
    seen: Option<Kind>,
    run: Option<Run>,
    penalty: Penalty,
    release: Moment,
    flapping: bool,
    /// Whether anything was observed since the start of Daymark.
    heard: bool,
    /// How many probes in a row have failed by a fault of our own, up to `fall`.
    own_faults: u32,
    /// Whether there were `fall` of them, so that this host no longer knows the target.
    is_out_of_sight: bool,
}

/// Observations in a row that all speak for a turn in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    direction: Direction,
    /// What every observation of the run proves.
    grade: Grade,
    /// At least 1.
    length: u32,
    /// Whether it began before the start of Daymark.
    #[serde(skip)]
    is_remembered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Better,
    Worse,
}

impl Health {
    /// The grade.
    pub fn grade(&self) -> Grade {
        self.grade
    }

    /// When the grade turned last.
    pub fn since(&self) -> Moment {
        self.since
    }

    /// What was observed last, faults of our own left out.
    pub fn seen(&self) -> Option<&Kind> {
        self.seen.as_ref()
    }

    /// Until when the target is not believed to be ready, where that is what keeps it from being so.
    pub fn flapping(&self) -> Option<Moment> {
        self.flapping.then_some(self.release)
    }

    /// Whether `fall` probes in a row have failed by a fault of our own, so that this host no longer knows the target.
    pub fn is_out_of_sight(&self) -> bool {
        self.is_out_of_sight
    }

    /// Takes an observation in; a fault of our own is none. Tells whether anything but the time has changed.
    pub fn observe(&mut self, kind: &Kind, thresholds: Thresholds, now: Moment) -> bool {
        let Some(observed) = kind.grade() else { return self.miss(thresholds) };
        self.own_faults = 0;
        let was_out_of_sight = std::mem::take(&mut self.is_out_of_sight);
        let was_heard = std::mem::replace(&mut self.heard, true);
        let is_at_rest = was_heard && self.run.is_none() && !self.flapping && observed == self.grade;
        if is_at_rest && self.seen.as_ref() == Some(kind) {
            return was_out_of_sight;
        }
        self.seen = Some(kind.clone());
        self.flapping = observed == Grade::Ready && self.grade != Grade::Ready && now < self.release;
        let observed = if self.flapping { Grade::Live } else { observed };
        if kind.is_decisive() && (self.grade == Grade::Unknown || observed < self.grade) {
            self.turn(observed, now);
            return true;
        }
        self.run = self.extended_run(observed);
        match self.run {
            Some(run) if run.length >= run.needed(thresholds) => self.turn(run.grade, now),
            _ => {}
        }
        true
    }

    /// How soon the grade can turn at the earliest, while a turn is under way; `None` at rest.
    ///
    /// The next observation may come at any moment, those after it at the pace of their kind.
    pub fn earliest_turn(&self, thresholds: Thresholds, pace: Pace) -> Option<Duration> {
        let run = self.run?;
        let after_next = run.needed(thresholds).saturating_sub(run.length.saturating_add(1));
        let step = match run.direction {
            Direction::Better if self.grade != Grade::Unknown => pace.interval,
            Direction::Better | Direction::Worse => pace.confirm_interval,
        };
        Some(step.saturating_mul(after_next))
    }

    /// Whether a turn is under way.
    pub fn is_turning(&self) -> bool {
        self.run.is_some()
    }

    /// Whether there is a grade, and something was observed since the start of Daymark.
    pub fn is_current(&self) -> bool {
        self.heard && self.grade != Grade::Unknown
    }

    /// Whether the verdict is clear: current, and nothing speaks for another grade. To wait out a penalty is clear too.
    pub fn is_settled(&self) -> bool {
        self.is_current() && self.run.is_none()
    }

    /// What this host tells its peers of the target; nothing where it does not know it any more.
    pub fn vote(&self) -> Vote {
        if self.is_out_of_sight {
            return Vote::default();
        }
        let shutting_down = self.grade < Grade::Ready && self.seen.as_ref().is_some_and(Kind::is_decisive);
        Vote { grade: self.grade, shutting_down, was_good: false }
    }

    /// What keeps the target from being ready in the eyes of the hosts.
    pub fn lack(&self) -> Lack {
        let (since, seen) = (self.since, self.seen.clone());
        match self.grade {
            Grade::Ready => Lack::Outvoted { since },
            Grade::Unknown => Lack::Unjudged { seen },
            Grade::Live if self.flapping => Lack::Flapping { until: self.release },
            Grade::Live => Lack::NotReady { since, seen },
            Grade::Down => Lack::Down { since, seen },
        }
    }

    pub(crate) fn memory(&self) -> TargetMemory {
        TargetMemory {
            grade: self.grade,
            since: self.since,
            seen: self.seen.clone(),
            penalty: self.penalty,
            release: self.release,
            flapping: self.flapping,
            run: self.run,
        }
    }

    /// What an earlier run knew. Its clock may have been ahead, so no wait goes on for longer than a wait can.
    pub(crate) fn from_memory(memory: TargetMemory, now: Moment) -> Self {
        let TargetMemory { grade, since, seen, penalty, release, flapping, run } = memory;
        let release = release.min(now.after(LONGEST));
        let run = run.map(|run| Run { is_remembered: true, ..run });
        Self { grade, since, seen, run, penalty, release, flapping, ..Self::default() }
    }

    /// Counts a fault of our own; tells whether the target is out of sight from now on.
    fn miss(&mut self, thresholds: Thresholds) -> bool {
        self.own_faults = self.own_faults.saturating_add(1);
        let is_out_of_sight = self.own_faults >= thresholds.fall.get();
        std::mem::replace(&mut self.is_out_of_sight, is_out_of_sight) != is_out_of_sight
    }

    fn extended_run(&self, observed: Grade) -> Option<Run> {
        let direction = match observed.cmp(&self.grade) {
            Ordering::Equal => return None,
            // Nothing is worse than not judged: there, what is no `ready` needs the proof of a fall.
            _ if self.grade == Grade::Unknown && observed < Grade::Ready => Direction::Worse,
            Ordering::Greater => Direction::Better,
            Ordering::Less => Direction::Worse,
        };
        let Some(run) = self.run.filter(|run| run.direction == direction) else {
            return Some(Run { direction, grade: observed, length: 1, is_remembered: false });
        };
        let grade = match direction {
            Direction::Better => run.grade.min(observed),
            Direction::Worse => run.grade.max(observed),
        };
        Some(Run { grade, length: run.length.saturating_add(1), ..run })
    }

    fn turn(&mut self, to: Grade, now: Moment) {
        if self.grade == Grade::Ready {
            self.release = self.penalty.fall(now);
        }
        self.grade = to;
        self.since = now;
        self.run = None;
    }
}

impl Run {
    fn needed(self, thresholds: Thresholds) -> u32 {
        let threshold = match self.direction {
            Direction::Better => thresholds.rise,
            Direction::Worse => thresholds.fall,
        };
        threshold.get().saturating_add(u32::from(self.is_remembered))
    }
}

#[cfg(test)]
mod tests;
