//! The verdicts of the hosts on the targets of a pool.

use std::collections::{BTreeMap, BTreeSet};

use crate::quorum::{Vote, without_penalties};
use crate::target::{Grade, Target};

/// The grades that the hosts together give the targets of a pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoolVerdicts {
    /// The verdict of each target.
    pub(crate) by_target: BTreeMap<Target, Grade>,
    /// The best grade that any host gives a target, if it is usable and the verdict is not.
    pub(crate) minority: BTreeMap<Target, Grade>,
    /// The targets that answer that they are ready, and that penalties alone keep at `live`.
    pub(crate) flapping: BTreeSet<Target>,
    /// The targets whose orderly shutdown a host has seen.
    pub(crate) shutting_down: BTreeSet<Target>,
    /// The targets that have a vote of the present run of its host. Only while first verdicts are awaited.
    pub(crate) current: BTreeSet<Target>,
}

/// The finding of the votes that count on one target.
pub(crate) struct VoteResult {
    /// `None` if nobody knows the target.
    pub(crate) verdict: Option<Grade>,
    /// The best grade that any host gives it.
    pub(crate) best: Grade,
    /// True if it would be ready but for its penalties.
    pub(crate) would_be_ready: bool,
    /// True if a host has seen the target's orderly shutdown.
    pub(crate) shuts_down: bool,
    /// True if a vote is of the present run of its host.
    pub(crate) is_current: bool,
}

impl VoteResult {
    pub(crate) fn new(votes: &[Vote], verdict: Option<Grade>, best: Grade) -> Self {
        Self {
            verdict,
            best,
            would_be_ready: votes.iter().any(|vote| vote.is_flapping) && without_penalties(votes) == Some(Grade::Ready),
            shuts_down: votes.iter().any(|vote| vote.shutting_down),
            is_current: votes.iter().any(|vote| vote.grade != Grade::Unknown && !vote.is_restored),
        }
    }
}

impl PoolVerdicts {
    pub(crate) fn verdict(&self, target: &Target) -> Grade {
        self.by_target.get(target).copied().unwrap_or_default()
    }

    pub(crate) fn minority(&self, target: &Target) -> Grade {
        self.minority.get(target).copied().unwrap_or_default()
    }
}
