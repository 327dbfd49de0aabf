//! Which targets are answered with.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::answer::Basis;
use crate::hold::LastGood;
use crate::moment::Moment;
use crate::overrides::{Override, OverrideKind};
use crate::policy::{Mode, Node};
use crate::target::{Grade, Target};

/// One target as the selection sees it.
pub(crate) struct Candidate<'a> {
    pub(crate) target: Target,
    pub(crate) node: &'a Node,
    pub(crate) verdict: Grade,
    /// The best that any host that counts finds it.
    pub(crate) found: Grade,
    pub(crate) order: Option<&'a Override>,
}

/// The targets that are answered with, never none of a pool that has one, and on what ground.
pub(crate) struct Selection {
    pub(crate) basis: Basis,
    pub(crate) chosen: BTreeSet<Target>,
    /// The only priority that is answered, under [`Mode::Failover`].
    pub(crate) priority: Option<u16>,
}

impl Candidate<'_> {
    pub(crate) fn is(&self, kind: OverrideKind) -> bool {
        self.order.is_some_and(|order| order.kind == kind)
    }

    /// The verdict, unless an operator knows better.
    pub(crate) fn grade(&self) -> Grade {
        if self.is(OverrideKind::Force) { Grade::Ready } else { self.verdict }
    }
}

/// Chooses among the candidates and keeps `good` up to date.
///
/// Undrained ones come first; then the best grade among `ready` and `live` that any has; then what at least one host finds
/// so; then the last good answer, of this host and of the others, so that all hold the same; and where there never was one,
/// all. Drained ones are used only where no other is left.
pub(crate) fn select(
    candidates: &[Candidate<'_>],
    mode: Mode,
    good: &mut LastGood,
    held_elsewhere: impl FnOnce() -> BTreeSet<Target>,
    now: Moment,
    detection: Duration,
) -> Selection {
    let undrained: Vec<_> = candidates.iter().filter(|candidate| !candidate.is(OverrideKind::Drain)).collect();
    let usable = if undrained.is_empty() { candidates.iter().collect() } else { undrained };

    let (basis, mut fit) = match best(&usable, Candidate::grade) {
        Some((Grade::Ready, fit)) => (Basis::Ready, fit),
        Some((_, fit)) => (Basis::Live, fit),
        None => {
            good.hold(now, detection);
            match best(&usable, |candidate| candidate.found) {
                Some((_, fit)) => (Basis::Found, fit),
                None => return last_resort(&usable, &(good.targets() | &held_elsewhere())),
            }
        }
    };
    let priority = match mode {
        Mode::Failover => fit.iter().map(|candidate| candidate.node.priority).min(),
        Mode::All | Mode::Weighted => None,
    };
    fit.retain(|candidate| priority.is_none_or(|priority| candidate.node.priority == priority));
    let chosen = targets(&fit);
    if basis != Basis::Found {
        good.replace(chosen.clone(), now);
    }
    Selection { basis, chosen, priority }
}

/// The best grade that any has, and who has it; `None` where no one is even live.
fn best<'a>(
    usable: &[&'a Candidate<'a>],
    of: impl Fn(&'a Candidate<'a>) -> Grade,
) -> Option<(Grade, Vec<&'a Candidate<'a>>)> {
    let best = usable.iter().map(|candidate| of(candidate)).max().filter(|best| *best >= Grade::Live)?;
    Some((best, usable.iter().copied().filter(|candidate| of(candidate) == best).collect()))
}

/// Nothing is ready or live: what was good last, as far as it is usable; else everything that is.
fn last_resort(usable: &[&Candidate<'_>], held: &BTreeSet<Target>) -> Selection {
    if held.is_empty() {
        return Selection { basis: Basis::Bootstrap, chosen: targets(usable), priority: None };
    }
    let kept: Vec<_> = usable.iter().copied().filter(|candidate| held.contains(&candidate.target)).collect();
    let chosen = if kept.is_empty() { targets(usable) } else { targets(&kept) };
    Selection { basis: Basis::Held, chosen, priority: None }
}

fn targets(of: &[&Candidate<'_>]) -> BTreeSet<Target> {
    of.iter().map(|candidate| candidate.target.clone()).collect()
}
