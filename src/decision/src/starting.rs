//! The first seconds of a host among others.
//!
//! A host that has just started may have the odd view of a target. Until it reaches all hosts, or five seconds have passed, the
//! verdicts of its last run stand as long as the votes of hosts that it does not reach yet could still lead to them.

use std::collections::BTreeMap;

use crate::moment::Moment;
use crate::quorum::{Vote, nearest_possible_verdict, verdict};
use crate::target::{Grade, Target};

/// The verdicts of the last run, while this host waits for the others.
#[derive(Clone, Debug)]
pub(crate) struct Starting {
    /// The end of the wait.
    pub(crate) until: Moment,
    /// The verdicts of the last run.
    pub(crate) verdicts: BTreeMap<Target, Grade>,
}

impl Starting {
    /// The verdict of the last run, or the nearest one that `votes` and those that are missing could still lead to. `None` if
    /// the last run had no verdict.
    pub(crate) fn retained_verdict(&self, target: &Target, votes: &[Vote], members: usize) -> Option<Grade> {
        let shuts_down = votes.iter().any(|vote| vote.shutting_down);
        let nearest = nearest_possible_verdict(self.last(target)?, votes, members)?;
        Some(capped(nearest, shuts_down))
    }

    /// The verdict of the last run; without one, this host's own grade. An orderly shutdown counts at once in both cases.
    pub(crate) fn verdict(&self, target: &Target, own: Vote) -> Option<Grade> {
        self.last(target).map(|grade| capped(grade, own.shutting_down)).or_else(|| verdict(&[own]))
    }

    fn last(&self, target: &Target) -> Option<Grade> {
        self.verdicts.get(target).copied().filter(|grade| *grade != Grade::Unknown)
    }
}

/// A target that shuts down is `live` at best.
fn capped(grade: Grade, shuts_down: bool) -> Grade {
    if shuts_down { grade.min(Grade::Live) } else { grade }
}
