//! The wait for the first verdict of each target of a pool, at a start.

use std::collections::BTreeSet;

use crate::judgement::Judgement;
use crate::moment::Moment;
use crate::policy::Pool;
use crate::target::{Grade, Target};

/// The wait for the first verdict of each target. The judgement of the last run stands meanwhile, or none: the first verdicts
/// would come one by one, and each would change the answer.
#[derive(Clone, Debug)]
pub(crate) struct Awaited {
    /// One detection after the start.
    pub(crate) until: Moment,
    /// The targets without a verdict so far.
    missing: BTreeSet<Target>,
    pub(crate) retained: Judgement,
}

impl Awaited {
    /// Waits for every target of a pool, with the judgement of the last run.
    pub(crate) fn new(policy: &Pool, retained: Judgement, now: Moment) -> Self {
        Self {
            until: now.after(policy.timing.detection),
            missing: policy.targets().map(|(target, _)| target).collect(),
            retained,
        }
    }

    /// Renames the missing targets. Those that are gone are awaited no longer.
    pub(crate) fn rename(&mut self, present: impl Fn(&Target) -> Option<Target>) {
        self.missing = self.missing.iter().filter_map(present).collect();
    }

    /// Takes note of a judgement. An orderly shutdown acts on the retained one all the same. `None` if the wait is over.
    pub(crate) fn after(mut self, judgement: &Judgement, now: Moment) -> Option<Self> {
        self.missing.retain(|target| !judgement.current.contains(target));
        for target in &judgement.shutting_down {
            self.retained.verdicts.entry(target.clone()).and_modify(|verdict| *verdict = Grade::Live.min(*verdict));
        }
        (now < self.until && !self.missing.is_empty()).then_some(self)
    }
}
