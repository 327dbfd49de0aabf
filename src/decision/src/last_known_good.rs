//! The last good answer, which stands while no target is usable.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::moment::Moment;
use crate::target::Target;

/// The targets of the last answer that had a usable target.
///
/// A switch or a link that cuts off every target is noticed target by target, as the probes of each fail. The answer
/// shrinks on the way, so its last form is an accident. The last known good answer is therefore the last good answer plus
/// the targets that left it within one detection time before the outage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastKnownGood {
    targets: BTreeSet<Target>,
    left_at: BTreeMap<Target, Moment>,
}

impl LastKnownGood {
    pub(crate) fn restored(targets: BTreeSet<Target>) -> Self {
        Self { targets, left_at: BTreeMap::new() }
    }

    /// Replaces it by the good answer that holds from now on.
    pub(crate) fn replace(&mut self, chosen: BTreeSet<Target>, now: Moment) {
        self.left_at.retain(|target, _| !chosen.contains(target));
        self.left_at.extend(self.targets.difference(&chosen).map(|target| (target.clone(), now)));
        self.targets = chosen;
    }

    /// Adds the targets that left within one detection time. Called when no target is usable any more.
    pub(crate) fn add_recent(&mut self, now: Moment, detection: Duration) {
        self.add_left(|at| now.since(at) <= detection);
    }

    /// Replaces each target by its present name, and forgets the targets without one. If none is left, the targets that left
    /// last take their place: they were good, and now they are the last ones that were.
    pub(crate) fn rename(&mut self, present: impl Fn(&Target) -> Option<Target>) {
        self.targets = self.targets.iter().filter_map(&present).collect();
        self.left_at = self.left_at.iter().filter_map(|(former, at)| Some((present(former)?, *at))).collect();
        let last = self.left_at.values().max().copied();
        if self.targets.is_empty() {
            self.add_left(|at| Some(at) == last);
        }
    }

    fn add_left(&mut self, is_added: impl Fn(Moment) -> bool) {
        let (added, others) = std::mem::take(&mut self.left_at).into_iter().partition(|(_, at)| is_added(*at));
        self.left_at = others;
        let added: BTreeMap<Target, Moment> = added;
        self.targets.extend(added.into_keys());
    }

    pub(crate) fn targets(&self) -> &BTreeSet<Target> {
        &self.targets
    }
}
