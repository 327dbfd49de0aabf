//! The last good answer, to be held when nothing can be used.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::moment::Moment;
use crate::target::Target;

/// The targets of the last answer that was chosen for a grade, not for want of one.
///
/// What cuts off every target at once, a switch or our own link, is seen target by target, as each one's probes fail. So
/// the answer shrinks on the way, and its last form is an accident. Held is therefore the last good answer together with
/// what left it within one detection time before. What is
/// held counts as good until something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastGood {
    targets: BTreeSet<Target>,
    left: BTreeMap<Target, Moment>,
}

impl LastGood {
    pub(crate) fn restored(targets: BTreeSet<Target>) -> Self {
        Self { targets, left: BTreeMap::new() }
    }

    /// Takes in a good answer that stands from now on.
    pub(crate) fn replace(&mut self, chosen: BTreeSet<Target>, now: Moment) {
        self.left.retain(|target, _| !chosen.contains(target));
        self.left.extend(self.targets.difference(&chosen).map(|target| (target.clone(), now)));
        self.targets = chosen;
    }

    /// Holds the targets from now on until the next good answer.
    pub(crate) fn hold(&mut self, now: Moment, detection: Duration) {
        let lately = |at: Moment| now.since(at) <= detection;
        let left = std::mem::take(&mut self.left);
        self.targets.extend(left.into_iter().filter(|(_, at)| lately(*at)).map(|(target, _)| target));
    }

    /// Takes each target for what it is called from now on, and forgets those that are not configured any more.
    pub(crate) fn rename(&mut self, stays: impl Fn(&Target) -> Option<Target>) {
        self.targets = self.targets.iter().filter_map(&stays).collect();
        self.left = self.left.iter().filter_map(|(former, at)| Some((stays(former)?, *at))).collect();
    }

    pub(crate) fn targets(&self) -> &BTreeSet<Target> {
        &self.targets
    }
}
