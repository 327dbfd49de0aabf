//! The wait for the first verdict of each target of a pool, at a start.

use std::collections::BTreeSet;

use crate::moment::Moment;
use crate::policy::Pool;
use crate::pool_verdicts::PoolVerdicts;
use crate::target::{Grade, Target};

/// The wait for the first verdict of each target. The verdicts of the last run stand meanwhile, or none: the first new ones
/// would come one by one, and each would change the answer.
#[derive(Clone, Debug)]
pub(crate) struct Awaited {
    /// The start plus one detection time.
    pub(crate) until: Moment,
    /// The targets without a verdict so far.
    missing: BTreeSet<Target>,
    pub(crate) retained: PoolVerdicts,
}

impl Awaited {
    /// Waits for every target of a pool, with the verdicts of the last run.
    pub(crate) fn new(policy: &Pool, retained: PoolVerdicts, now: Moment) -> Self {
        Self { until: now.after(policy.timing.detection), missing: policy.targets().collect(), retained }
    }

    /// Renames the missing targets. Those that are gone are awaited no longer.
    pub(crate) fn rename(&mut self, present: impl Fn(&Target) -> Option<Target>) {
        self.missing = self.missing.iter().filter_map(present).collect();
    }

    /// Takes note of new verdicts. An orderly shutdown acts on the retained ones all the same. `None` if the wait is over.
    pub(crate) fn after(mut self, verdicts: &PoolVerdicts, now: Moment) -> Option<Self> {
        self.missing.retain(|target| !verdicts.current.contains(target));
        for target in &verdicts.shutting_down {
            self.retained.by_target.entry(target.clone()).and_modify(|verdict| *verdict = Grade::Live.min(*verdict));
        }
        (now < self.until && !self.missing.is_empty()).then_some(self)
    }
}
