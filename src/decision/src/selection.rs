//! The selection of the targets that an answer holds.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::answer::Basis;
use crate::last_known_good::LastKnownGood;
use crate::moment::Moment;
use crate::operator_override::{Override, OverrideKind};
use crate::policy::{Mode, Node};
use crate::target::{Grade, Target};

/// A target with all that its selection depends on.
pub(crate) struct Candidate<'a> {
    pub(crate) target: Target,
    pub(crate) node: &'a Node,
    pub(crate) verdict: Grade,
    /// The best grade that any host gives it.
    pub(crate) minority: Grade,
    pub(crate) active_override: Option<&'a Override>,
}

/// The selected targets. Never empty for a pool that has a target.
pub(crate) struct Selection {
    pub(crate) basis: Basis,
    pub(crate) chosen: BTreeSet<Target>,
    /// The only priority in the answer, under [`Mode::Failover`].
    pub(crate) priority: Option<u16>,
}

/// The candidates that share the best grade.
struct Best<'a> {
    grade: Grade,
    candidates: Vec<&'a Candidate<'a>>,
}

impl Candidate<'_> {
    pub(crate) fn is(&self, kind: OverrideKind) -> bool {
        self.active_override.is_some_and(|active| active.kind == kind)
    }

    /// The verdict; `ready` for a forced node.
    pub(crate) fn grade(&self) -> Grade {
        if self.is(OverrideKind::Force) { Grade::Ready } else { self.verdict }
    }
}

/// Selects among the candidates and keeps `good` up to date.
///
/// Drained candidates count only if every candidate is drained. The first of these that is not empty is selected:
///
/// 1. the candidates of the best grade among `ready` and `live`,
/// 2. the best that a minority of the hosts can use,
/// 3. the last known good answer of this host and of its peers, so that all hosts answer alike,
/// 4. all candidates.
pub(crate) fn select(
    candidates: &[Candidate<'_>],
    mode: Mode,
    good: &mut LastKnownGood,
    good_of_peers: impl FnOnce() -> BTreeSet<Target>,
    now: Moment,
    detection: Duration,
) -> Selection {
    let undrained: Vec<_> = candidates.iter().filter(|candidate| !candidate.is(OverrideKind::Drain)).collect();
    let eligible = if undrained.is_empty() { candidates.iter().collect() } else { undrained };

    let (basis, mut selected) = match best(&eligible, Candidate::grade) {
        Some(best) if best.grade == Grade::Ready => (Basis::Ready, best.candidates),
        Some(best) => (Basis::Live, best.candidates),
        None => {
            good.add_recent(now, detection);
            match best(&eligible, |candidate| candidate.minority) {
                Some(best) => (Basis::Minority, best.candidates),
                None => return last_resort(&eligible, &(good.targets() | &good_of_peers())),
            }
        }
    };
    let priority = match mode {
        Mode::Failover => selected.iter().map(|candidate| candidate.node.priority).min(),
        Mode::All | Mode::Weighted => None,
    };
    selected.retain(|candidate| priority.is_none_or(|priority| candidate.node.priority == priority));
    let chosen = targets(&selected);
    if basis != Basis::Minority {
        good.replace(chosen.clone(), now);
    }
    Selection { basis, chosen, priority }
}

/// The candidates of the best grade; `None` if none is even live.
fn best<'a>(eligible: &[&'a Candidate<'a>], grade_of: impl Fn(&'a Candidate<'a>) -> Grade) -> Option<Best<'a>> {
    let grade = eligible.iter().map(|candidate| grade_of(candidate)).max().filter(|grade| *grade >= Grade::Live)?;
    let candidates = eligible.iter().copied().filter(|candidate| grade_of(candidate) == grade).collect();
    Some(Best { grade, candidates })
}

/// The last known good targets that are eligible; without any, all eligible ones.
fn last_resort(eligible: &[&Candidate<'_>], good: &BTreeSet<Target>) -> Selection {
    if good.is_empty() {
        return Selection { basis: Basis::Bootstrap, chosen: targets(eligible), priority: None };
    }
    let kept: Vec<_> = eligible.iter().copied().filter(|candidate| good.contains(&candidate.target)).collect();
    let chosen = if kept.is_empty() { targets(eligible) } else { targets(&kept) };
    Selection { basis: Basis::LastKnownGood, chosen, priority: None }
}

fn targets(candidates: &[&Candidate<'_>]) -> BTreeSet<Target> {
    candidates.iter().map(|candidate| candidate.target.clone()).collect()
}
