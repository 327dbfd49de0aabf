//! One host's grade of one target.

use std::time::Duration;

use crate::memory::HealthMemory;
use crate::moment::Moment;
use crate::observation::Kind;
use crate::penalty::{MAX_WAIT, Penalty};
use crate::policy::{ProbeTiming, Thresholds};
use crate::quorum::Vote;
use crate::reason::NotReadyReason;
use crate::target::Grade;
use crate::thresholded_grade::{Direction, ThresholdedGrade};

/// One host's grade of one target, after thresholds and penalty.
///
/// [`ThresholdedGrade`] has the rule of the thresholds. Each fall from `ready` adds a penalty. While the penalty keeps the
/// target waiting ([`Health::flapping`]), it is `live` at best.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    thresholded: ThresholdedGrade,
    /// The grade that it would have without its penalty.
    undamped: ThresholdedGrade,
    since: Moment,
    observed: Option<Kind>,
    penalty: Penalty,
    /// The end of the wait that the penalty imposes.
    ready_after: Moment,
    flapping: bool,
    evidence: Evidence,
    /// The grade at the target's orderly shutdown. It stays until the grade is better than that, or a majority finds the target
    /// down.
    shutdown_grade: Option<Grade>,
    /// The probes in a row that failed because of a local error, up to `fall`.
    local_errors: u32,
    /// True after `fall` local errors in a row: this host does not know the target any more.
    is_unobservable: bool,
}

/// The evidence of this run for the grade. Without any, a grade is of an earlier run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    /// No observation.
    #[default]
    None,
    /// An observation that neither equals the grade nor has changed it yet.
    Observed,
    /// An observation that equals the grade or has changed it.
    Confirmed,
}

impl Health {
    /// The grade.
    pub fn grade(&self) -> Grade {
        self.thresholded.grade()
    }

    /// The time of the last transition.
    pub fn since(&self) -> Moment {
        self.since
    }

    /// The last observation. Local errors are none.
    pub fn observed(&self) -> Option<&Kind> {
        self.observed.as_ref()
    }

    /// The end of the wait, if the target would be ready without its penalty.
    pub fn flapping(&self) -> Option<Moment> {
        self.flapping.then_some(self.ready_after)
    }

    /// True after `fall` local errors in a row: this host does not know the target any more.
    pub fn is_unobservable(&self) -> bool {
        self.is_unobservable
    }

    /// Takes in the outcome of a probe. Returns true if anything but the time has changed.
    pub fn observe(&mut self, kind: &Kind, thresholds: Thresholds, now: Moment) -> bool {
        let Some(observed) = kind.grade() else { return self.count_local_error(thresholds) };
        self.local_errors = 0;
        let was_unobservable = std::mem::take(&mut self.is_unobservable);
        let is_at_rest = self.evidence > Evidence::None && self.thresholded.streak().is_none() && !self.flapping;
        let is_at_rest = is_at_rest && self.undamped == self.thresholded;
        if is_at_rest && observed == self.grade() && self.observed.as_ref() == Some(kind) {
            return was_unobservable;
        }
        self.observed = Some(kind.clone());
        self.flapping = observed == Grade::Ready && self.grade() != Grade::Ready && now < self.ready_after;
        let believed = if self.flapping { Grade::Live } else { observed };
        self.undamped.observe(observed, kind.is_decisive(), thresholds);
        let former = self.grade();
        let has_changed = self.thresholded.observe(believed, kind.is_decisive(), thresholds);
        let evidence = if has_changed || believed == former { Evidence::Confirmed } else { Evidence::Observed };
        self.evidence = self.evidence.max(evidence);
        if kind.is_decisive() {
            self.shutdown_grade = self.shutdown_grade.max(Some(self.undamped.grade()));
        } else if self.shutdown_grade.is_some_and(|at_shutdown| at_shutdown < self.undamped.grade()) {
            self.shutdown_grade = None;
        }
        if has_changed {
            self.since = now;
            if former == Grade::Ready {
                self.ready_after = self.penalty.fall(now);
            }
        }
        true
    }

    /// The time until the grade can change at the earliest; `None` at rest.
    ///
    /// The next observation may come at any moment, later ones at the interval of their kind.
    pub fn earliest_transition(&self, thresholds: Thresholds, timing: ProbeTiming) -> Option<Duration> {
        let pending = self.thresholded.pending(thresholds)?;
        let step = match pending.direction {
            Direction::Better if self.grade() != Grade::Unknown => timing.interval,
            Direction::Better | Direction::Worse => timing.confirm_interval,
        };
        Some(step.saturating_mul(pending.missing.saturating_sub(1)))
    }

    /// True if there is a grade, and an observation since the start of Daymark.
    pub fn is_current(&self) -> bool {
        self.evidence > Evidence::None && self.grade() != Grade::Unknown
    }

    /// True if the grade is current and no transition is under way. Waiting out a penalty counts as settled.
    pub fn is_settled(&self) -> bool {
        self.is_current() && self.thresholded.streak().is_none()
    }

    /// The vote that this host casts; an `unknown` one if it does not know the target any more.
    pub fn vote(&self) -> Vote {
        if self.is_unobservable {
            return Vote::default();
        }
        Vote {
            grade: self.grade(),
            shutting_down: self.has_seen_shutdown(),
            is_flapping: self.grade() == Grade::Live && (self.flapping || self.undamped.grade() == Grade::Ready),
            is_restored: self.evidence < Evidence::Confirmed,
            in_last_known_good: false,
        }
    }

    /// Marks the grade as that of an earlier run.
    pub(crate) fn mark_restored(&mut self) {
        self.evidence = Evidence::None;
    }

    /// True if this host has seen the target's orderly shutdown, and nothing better since.
    pub(crate) fn has_seen_shutdown(&self) -> bool {
        self.shutdown_grade.is_some()
    }

    /// Forgets the orderly shutdown, because a majority finds the target down.
    pub(crate) fn end_shutdown(&mut self) {
        self.shutdown_grade = None;
    }

    /// The reason for which the target is not ready in the verdict of the hosts.
    pub fn not_ready_reason(&self) -> NotReadyReason {
        let since = self.since;
        let observed = self.observed.clone();
        match self.grade() {
            Grade::Ready => NotReadyReason::Outvoted { since },
            Grade::Unknown => NotReadyReason::NoVerdict { observed },
            Grade::Live if self.flapping => NotReadyReason::Flapping { until: self.ready_after },
            Grade::Live => NotReadyReason::Live { since, observed },
            Grade::Down => NotReadyReason::Down { since, observed },
        }
    }

    pub(crate) fn memory(&self) -> HealthMemory {
        HealthMemory {
            grade: self.grade(),
            since: self.since,
            observed: self.observed.clone(),
            penalty: self.penalty,
            ready_after: self.ready_after,
            flapping: self.flapping,
            streak: self.thresholded.streak(),
            undamped: (self.undamped != self.thresholded).then_some(self.undamped),
            shutdown_grade: self.shutdown_grade,
        }
    }

    /// The health that an earlier run remembered. Its clock may have been ahead, so no wait is longer than the maximum.
    pub(crate) fn restored(memory: HealthMemory, now: Moment) -> Self {
        let thresholded = ThresholdedGrade::restored(memory.grade, memory.streak);
        Self {
            thresholded,
            undamped: memory.undamped.map_or(thresholded, |of| ThresholdedGrade::restored(of.grade(), of.streak())),
            since: memory.since,
            observed: memory.observed,
            penalty: memory.penalty,
            ready_after: memory.ready_after.min(now.after(MAX_WAIT)),
            flapping: memory.flapping,
            shutdown_grade: memory.shutdown_grade,
            ..Self::default()
        }
    }

    /// Counts a local error. Returns true if the target has become unobservable by it.
    fn count_local_error(&mut self, thresholds: Thresholds) -> bool {
        self.local_errors = self.local_errors.saturating_add(1);
        let is_unobservable = self.local_errors >= thresholds.fall.get();
        std::mem::replace(&mut self.is_unobservable, is_unobservable) != is_unobservable
    }
}

#[cfg(test)]
mod tests;
