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

/// The candidates that an answer is made of, before the forced ones are added.
struct Choice<'a> {
    basis: Basis,
    candidates: Vec<&'a Candidate<'a>>,
    /// The only priority among them, if the mode asks for one.
    priority: Option<u16>,
}

impl Candidate<'_> {
    pub(crate) fn is(&self, kind: OverrideKind) -> bool {
        self.active_override.is_some_and(|active| active.kind == kind)
    }
}

/// Selects among the candidates of one family and keeps `good` up to date. `good_of_peers` gives the addresses that other
/// hosts have in their last known good answers.
///
/// The first of these that is not empty is selected. The forced candidates are added to the first three:
///
/// 1. the candidates of the best grade among `ready` and `live`, and with `ready` ones those of the last answer that only a
///    penalty keeps from it; the undrained ones, or else the drained ones,
/// 2. the best ones that a minority of the hosts can use, the undrained ones, or else the drained ones,
/// 3. the forced ones alone,
/// 4. the last known good answer of this host and of its peers, so that all hosts answer alike; its undrained candidates, or
///    else its drained ones,
/// 5. all undrained candidates, or all if every one is drained.
///
/// [`Mode::Failover`] leaves the lowest priority of rules 1 and 2. An operator who forces a node wants it beside them.
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
    let by_verdict = usable(&undrained, &stays).or_else(|| usable(&drained, &stays));
    if by_verdict.is_none() {
        good.add_recent(now, detection);
    }
    let choice = by_verdict
        .or_else(|| usable_by_minority(&undrained))
        .or_else(|| usable_by_minority(&drained))
        .map(|choice| choice.steered(mode))
        .or_else(|| {
            (!forced.is_empty()).then(|| Choice { basis: Basis::Forced, candidates: Vec::new(), priority: None })
        });
    let Some(choice) = choice else {
        return last_resort(&undrained, &drained, |candidate| was_good(candidate, good));
    };
    let Choice { basis, candidates, priority } = choice;
    let chosen: Vec<_> = candidates.into_iter().chain(forced).collect();
    if basis < Basis::Minority {
        let usable = chosen.iter().filter(|candidate| candidate.verdict >= Grade::Live);
        good.replace(usable.map(|candidate| candidate.target.clone()).collect(), now);
    }
    Selection { basis, chosen: targets(&chosen), priority }
}

impl Choice<'_> {
    /// The candidates that the mode leaves. A lower grade may be left, of a candidate that stays.
    fn steered(mut self, mode: Mode) -> Self {
        if mode != Mode::Failover {
            return self;
        }
        self.priority = self.candidates.iter().map(|candidate| candidate.node.priority).min();
        self.candidates.retain(|candidate| Some(candidate.node.priority) == self.priority);
        if self.basis == Basis::Ready && best(&self.candidates, |candidate| candidate.verdict) != Some(Grade::Ready) {
            self.basis = Basis::Live;
        }
        self
    }
}

/// The candidates of the best verdict, if they are usable by it. With `ready` ones, those that `stays` holds for are among them.
fn usable<'a>(among: &[&'a Candidate<'a>], stays: &dyn Fn(&Candidate<'_>) -> bool) -> Option<Choice<'a>> {
    let grade = best(among, |candidate| candidate.verdict)?;
    let is_chosen =
        |candidate: &&Candidate<'_>| candidate.verdict == grade || grade == Grade::Ready && stays(candidate);
    let basis = if grade == Grade::Ready { Basis::Ready } else { Basis::Live };
    Some(Choice { basis, candidates: among.iter().copied().filter(is_chosen).collect(), priority: None })
}

/// The candidates of the best grade that a minority gives, if they are usable by it.
fn usable_by_minority<'a>(among: &[&'a Candidate<'a>]) -> Option<Choice<'a>> {
    let grade = best(among, |candidate| candidate.minority)?;
    let candidates = among.iter().copied().filter(|candidate| candidate.minority == grade).collect();
    Some(Choice { basis: Basis::Minority, candidates, priority: None })
}

/// The best grade; `None` if none is even live.
fn best(among: &[&Candidate<'_>], grade_of: impl Fn(&Candidate<'_>) -> Grade) -> Option<Grade> {
    among.iter().map(|candidate| grade_of(candidate)).max().filter(|grade| *grade >= Grade::Live)
}

/// The last known good candidates, the undrained ones, or else the drained ones; without any, all undrained ones, or else all.
fn last_resort(
    undrained: &[&Candidate<'_>],
    drained: &[&Candidate<'_>],
    was_good: impl Fn(&Candidate<'_>) -> bool,
) -> Selection {
    let good_among = |among: &[&Candidate<'_>]| -> BTreeSet<Target> {
        among.iter().filter(|candidate| was_good(candidate)).map(|candidate| candidate.target.clone()).collect()
    };
    let good = [good_among(undrained), good_among(drained)].into_iter().find(|good| !good.is_empty());
    let basis = if good.is_some() { Basis::LastKnownGood } else { Basis::Bootstrap };
    let all = || targets(if undrained.is_empty() { drained } else { undrained });
    Selection { basis, chosen: good.unwrap_or_else(all), priority: None }
}

fn targets(candidates: &[&Candidate<'_>]) -> BTreeSet<Target> {
    candidates.iter().map(|candidate| candidate.target.clone()).collect()
}
