//! The selection of the targets of one address family that an answer holds.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
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
    /// True if it answers that it is ready, and penalties alone keep the verdict at `live`.
    pub(crate) is_flapping: bool,
    pub(crate) active_override: Option<&'a Override>,
}

/// The selected targets of one family. Never empty for a family that has a target.
pub(crate) struct Selection {
    pub(crate) basis: Basis,
    pub(crate) chosen: BTreeSet<Target>,
    /// The only priority in the answer, under [`Mode::Failover`].
    pub(crate) priority: Option<u16>,
}

/// The candidates that an answer is made of, before steering.
struct Choice<'a> {
    basis: Basis,
    candidates: Vec<&'a Candidate<'a>>,
}

impl Candidate<'_> {
    pub(crate) fn is(&self, kind: OverrideKind) -> bool {
        self.active_override.is_some_and(|active| active.kind == kind)
    }
}

/// Selects among the candidates of one family and keeps `good` up to date. `good_of_peers` gives the addresses that other
/// hosts have in their last known good answers.
///
/// Forced candidates are added to the first three of these. The first that is not empty is selected:
///
/// 1. the undrained candidates of the best grade among `ready` and `live`, and with `ready` ones those of the last answer
///    that only a penalty keeps from it,
/// 2. the best undrained ones that a minority of the hosts can use,
/// 3. the forced ones,
/// 4. the drained ones, by rules 1 and 2,
/// 5. the last known good answer of this host and of its peers, so that all hosts answer alike,
/// 6. all undrained candidates, or all if every one is drained.
pub(crate) fn select(
    candidates: &[&Candidate<'_>],
    mode: Mode,
    good: &mut LastKnownGood,
    good_of_peers: &dyn Fn() -> BTreeSet<IpAddr>,
    now: Moment,
    detection: Duration,
) -> Selection {
    let (drained, undrained): (Vec<_>, Vec<_>) =
        candidates.iter().copied().partition(|candidate| candidate.is(OverrideKind::Drain));
    let forced: Vec<_> = undrained.iter().copied().filter(|candidate| candidate.is(OverrideKind::Force)).collect();
    // Asked for at most once, and only if a candidate is flapping or none is usable.
    let good_of_peers = LazyCell::new(good_of_peers);
    let was_good = |candidate: &Candidate<'_>, good: &LastKnownGood| {
        good.targets().contains(&candidate.target) || good_of_peers.contains(&candidate.target.address)
    };
    let stays = |candidate: &Candidate<'_>| candidate.is_flapping && was_good(candidate, good);
    let choice = usable(&undrained, &stays)
        .map(|choice| choice.with(&forced))
        .or_else(|| (!forced.is_empty()).then_some(Choice { basis: Basis::Forced, candidates: forced }))
        .or_else(|| usable(&drained, &stays));
    if choice.as_ref().is_none_or(|choice| choice.basis >= Basis::Minority) {
        good.add_recent(now, detection);
    }
    let Some(mut choice) = choice else {
        let eligible = if undrained.is_empty() { drained } else { undrained };
        return last_resort(candidates, &eligible, |candidate| was_good(candidate, good));
    };
    let priority = match mode {
        Mode::Failover => choice.candidates.iter().map(|candidate| candidate.node.priority).min(),
        Mode::All | Mode::Weighted => None,
    };
    choice.candidates.retain(|candidate| priority.is_none_or(|priority| candidate.node.priority == priority));
    let basis = choice.basis_after_steering();
    if basis < Basis::Minority {
        let usable = choice.candidates.iter().filter(|candidate| candidate.verdict >= Grade::Live);
        good.replace(usable.map(|candidate| candidate.target.clone()).collect(), now);
    }
    Selection { basis, chosen: targets(&choice.candidates), priority }
}

impl<'a> Choice<'a> {
    /// Adds the candidates that are not in it yet.
    fn with(mut self, others: &[&'a Candidate<'a>]) -> Self {
        for other in others {
            if !self.candidates.iter().any(|candidate| candidate.target == other.target) {
                self.candidates.push(other);
            }
        }
        self
    }

    /// The basis. Steering may have left none but forced candidates that are not usable.
    fn basis_after_steering(&self) -> Basis {
        match best(&self.candidates, |candidate| candidate.verdict) {
            Some(Grade::Ready) => Basis::Ready,
            Some(_) => Basis::Live,
            None if best(&self.candidates, |candidate| candidate.minority).is_some() => Basis::Minority,
            None => Basis::Forced,
        }
    }
}

/// The usable ones: those of the best verdict, or else of the best grade that a minority gives. With `ready` ones, those that
/// `stays` holds for are among them.
fn usable<'a>(among: &[&'a Candidate<'a>], stays: &dyn Fn(&Candidate<'_>) -> bool) -> Option<Choice<'a>> {
    let of = |is_chosen: &dyn Fn(&Candidate<'_>) -> bool| {
        among.iter().copied().filter(|candidate| is_chosen(candidate)).collect()
    };
    if let Some(grade) = best(among, |candidate| candidate.verdict) {
        let is_chosen =
            |candidate: &Candidate<'_>| candidate.verdict == grade || (grade == Grade::Ready && stays(candidate));
        let basis = if grade == Grade::Ready { Basis::Ready } else { Basis::Live };
        return Some(Choice { basis, candidates: of(&is_chosen) });
    }
    let grade = best(among, |candidate| candidate.minority)?;
    Some(Choice { basis: Basis::Minority, candidates: of(&|candidate| candidate.minority == grade) })
}

/// The best grade; `None` if none is even live.
fn best(among: &[&Candidate<'_>], grade_of: impl Fn(&Candidate<'_>) -> Grade) -> Option<Grade> {
    among.iter().map(|candidate| grade_of(candidate)).max().filter(|grade| *grade >= Grade::Live)
}

/// The last known good targets that are eligible; without any, all eligible ones.
fn last_resort(
    candidates: &[&Candidate<'_>],
    eligible: &[&Candidate<'_>],
    was_good: impl Fn(&Candidate<'_>) -> bool,
) -> Selection {
    let kept: Vec<_> = eligible.iter().copied().filter(|candidate| was_good(candidate)).collect();
    let was_any_good = candidates.iter().any(|candidate| was_good(candidate));
    Selection {
        basis: if was_any_good { Basis::LastKnownGood } else { Basis::Bootstrap },
        chosen: targets(if kept.is_empty() { eligible } else { &kept }),
        priority: None,
    }
}

fn targets(candidates: &[&Candidate<'_>]) -> BTreeSet<Target> {
    candidates.iter().map(|candidate| candidate.target.clone()).collect()
}
