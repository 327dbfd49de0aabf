//! The agreement of several hosts.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::HostName;
use crate::target::Grade;

/// The hosts that decide together. A host without peers has no membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// This host.
    pub own: HostName,
    /// All hosts, this one included.
    pub members: BTreeSet<HostName>,
    /// True if this host has a provider that only one host may write to.
    pub can_write: bool,
}

/// One host's vote on one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent fact, sent to other hosts")]
pub struct Vote {
    /// Its grade after thresholds; `unknown` is no vote.
    pub grade: Grade,
    /// True if the host has seen the target's orderly shutdown, and nothing better or a majority for `down` since.
    pub shutting_down: bool,
    /// True if the target answers that it is ready, and its penalty alone keeps the grade at `live`.
    pub is_flapping: bool,
    /// True if the target is in the host's last known good answer.
    pub in_last_known_good: bool,
    /// True if the grade is of an earlier run, and no observation of this run has confirmed it yet.
    pub is_restored: bool,
}

/// The state of the quorum as this host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum QuorumState {
    /// A majority of the configured hosts is reachable, this one included. Their votes decide.
    Quorum,
    /// Too few hosts are reachable. This host's own view decides.
    NoQuorum,
    /// This host has just started and reaches no majority yet. The verdicts of its last run stand.
    Starting,
}

impl QuorumState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Quorum, Self::NoQuorum, Self::Starting];

    /// The state as a JSON value and metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::NoQuorum => "noQuorum",
            Self::Starting => "starting",
        }
    }
}

impl fmt::Display for QuorumState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Quorum => "quorum",
            Self::NoQuorum => "no quorum",
            Self::Starting => "starting",
        })
    }
}

/// True if `count` is more than half of `whole`, such as of the configured hosts.
pub fn is_majority(count: usize, whole: usize) -> bool {
    count > whole / 2
}

/// The elected writer: the lowest name among the eligible members that a majority reaches.
///
/// `reachable` has one set a host: the hosts that it reaches, itself included.
pub(crate) fn elect_writer<'a>(
    members: &'a BTreeSet<HostName>,
    reachable: &[&BTreeSet<HostName>],
    is_eligible: impl Fn(&HostName) -> bool,
) -> Option<&'a HostName> {
    let reached_by = |member: &HostName| reachable.iter().filter(|set| set.contains(member)).count();
    members.iter().filter(|member| is_eligible(member)).find(|member| is_majority(reached_by(member), members.len()))
}

/// The verdict of the votes on one target; `None` if nobody knows the target.
///
/// The verdict is below `ready` only if a majority of the votes is, and `down` only if a majority says `down`. One vote that
/// saw the orderly shutdown is enough for less than `ready`, because the apiserver itself announced it.
///
/// Restored votes only break a tie of the others: the target may have changed while their hosts were not running.
pub(crate) fn verdict(votes: &[Vote]) -> Option<Grade> {
    let tallies = Tallies::of(votes.iter().copied());
    tallies.verdict()
}

/// The verdict that the votes would give if no target had to wait out a penalty.
pub(crate) fn without_penalties(votes: &[Vote]) -> Option<Grade> {
    let trusted = |vote: &Vote| if vote.is_flapping { Vote { grade: Grade::Ready, ..*vote } } else { *vote };
    Tallies::of(votes.iter().map(trusted)).verdict()
}

/// The former verdict, moved no further than to the nearest one that the votes still allow. `members` is the number of all
/// hosts; those without a current vote may still cast any.
pub(crate) fn nearest_possible_verdict(former: Grade, votes: &[Vote], members: usize) -> Option<Grade> {
    let current = Tallies::of(votes.iter().copied()).without_restored();
    let if_others_vote = |grade| current.with(grade, members.saturating_sub(current.all.votes)).verdict();
    Some(former.clamp(if_others_vote(Grade::Down)?, if_others_vote(Grade::Ready)?))
}

/// The counts of the votes on one target, `unknown` ones left out.
#[derive(Clone, Copy, Default)]
struct Tallies {
    /// The votes that their hosts have confirmed in their present run.
    current: Tally,
    /// The restored ones too.
    all: Tally,
    shuts_down: bool,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    votes: usize,
    below_ready: usize,
    down: usize,
}

impl Tallies {
    fn of(votes: impl Iterator<Item = Vote>) -> Self {
        let mut tallies = Self::default();
        for vote in votes {
            tallies.shuts_down |= vote.shutting_down;
            tallies.all.add(vote.grade, 1);
            if !vote.is_restored {
                tallies.current.add(vote.grade, 1);
            }
        }
        tallies
    }

    fn without_restored(self) -> Self {
        Self { all: self.current, ..self }
    }

    /// Adds current votes.
    fn with(mut self, grade: Grade, votes: usize) -> Self {
        self.current.add(grade, votes);
        self.all.add(grade, votes);
        self
    }

    fn verdict(&self) -> Option<Grade> {
        let most = |count: fn(&Tally) -> usize| {
            let is_tie = count(&self.current).saturating_mul(2) == self.current.votes;
            let tally = if is_tie { &self.all } else { &self.current };
            is_majority(count(tally), tally.votes)
        };
        match self.all.votes {
            0 => None,
            _ if most(|tally| tally.down) => Some(Grade::Down),
            _ if most(|tally| tally.below_ready) || self.shuts_down => Some(Grade::Live),
            _ => Some(Grade::Ready),
        }
    }
}

impl Tally {
    fn add(&mut self, grade: Grade, votes: usize) {
        if grade != Grade::Unknown {
            let add = |count: usize, counts: bool| if counts { count.saturating_add(votes) } else { count };
            self.votes = add(self.votes, true);
            self.below_ready = add(self.below_ready, grade < Grade::Ready);
            self.down = add(self.down, grade < Grade::Live);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::host_name;
    use Grade::{Down, Live, Ready, Unknown};

    fn vote(grade: Grade) -> Vote {
        Vote { grade, ..Vote::default() }
    }

    fn restored(grade: Grade) -> Vote {
        Vote { is_restored: true, ..vote(grade) }
    }

    fn of(grades: &[Grade]) -> Grade {
        verdict(&grades.iter().copied().map(vote).collect::<Vec<_>>()).unwrap_or_default()
    }

    fn names(names: &[&str]) -> BTreeSet<HostName> {
        names.iter().map(|name| host_name(name)).collect()
    }

    #[test]
    fn one_view_decides_alone() {
        for grade in Grade::ALL {
            assert_eq!(of(&[grade]), grade);
        }
    }

    #[test]
    fn only_a_majority_takes_a_target_out() {
        assert_eq!(of(&[Ready, Ready, Down]), Ready);
        assert_eq!(of(&[Ready, Down, Down]), Down);
        assert_eq!(of(&[Ready, Down]), Ready, "half is no majority");
    }

    #[test]
    fn a_majority_below_ready_without_one_for_down_is_live() {
        assert_eq!(of(&[Ready, Live, Down]), Live);
        assert_eq!(of(&[Live, Down]), Live);
    }

    #[test]
    fn a_host_that_does_not_know_a_target_has_no_vote() {
        assert_eq!(of(&[Unknown, Unknown, Down]), Down);
        assert_eq!(of(&[Unknown, Ready]), Ready);
        assert_eq!(of(&[]), Unknown);
    }

    #[test]
    fn one_host_that_saw_the_shutdown_is_enough() {
        let shutting_down = Vote { shutting_down: true, ..vote(Live) };
        assert_eq!(verdict(&[vote(Ready), vote(Ready), shutting_down]), Some(Live));
    }

    #[test]
    fn a_restored_vote_only_breaks_a_tie() {
        assert_eq!(verdict(&[vote(Down), restored(Ready)]), Some(Down));
        assert_eq!(verdict(&[vote(Ready), restored(Down), restored(Down)]), Some(Ready));
        assert_eq!(verdict(&[vote(Ready), vote(Down), restored(Down)]), Some(Down), "a tie");
        assert_eq!(verdict(&[vote(Live), vote(Down), restored(Down)]), Some(Down), "a tie between live and down");
        assert_eq!(verdict(&[vote(Unknown), restored(Ready)]), Some(Ready), "nobody else knows the target");
    }

    #[test]
    fn a_majority_is_more_than_half_of_all_members() {
        assert!(is_majority(1, 1) && is_majority(2, 3));
        assert!(!is_majority(1, 3) && !is_majority(2, 4));
    }

    #[test]
    fn a_former_verdict_moves_no_further_than_the_votes_demand() {
        let nearest = |former, votes: &[Vote]| nearest_possible_verdict(former, votes, 3);
        assert_eq!(nearest(Ready, &[vote(Ready), vote(Down)]), Some(Ready), "the third decides");
        assert_eq!(nearest(Down, &[vote(Ready), vote(Down)]), Some(Down), "the third decides");
        assert_eq!(nearest(Ready, &[vote(Down), vote(Down)]), Some(Down));
        assert_eq!(nearest(Down, &[vote(Ready), vote(Ready)]), Some(Ready));
        assert_eq!(nearest(Ready, &[vote(Live), vote(Live)]), Some(Live));
        assert_eq!(nearest(Ready, &[vote(Live), vote(Down)]), Some(Live), "down only with the third");
        assert_eq!(nearest(Down, &[vote(Ready), restored(Ready)]), Some(Down), "a restored vote decides nothing");
        assert_eq!(nearest(Down, &[vote(Ready), vote(Unknown)]), Some(Down));
        assert_eq!(nearest_possible_verdict(Down, &[vote(Ready), vote(Ready)], 5), Some(Down));
    }

    #[test]
    fn the_lowest_name_that_a_majority_reaches_is_the_writer() {
        let members = names(&["dns-1", "dns-2", "dns-3"]);
        let writer = |reachable: &[&[&str]]| {
            let reachable: Vec<_> = reachable.iter().map(|set| names(set)).collect();
            elect_writer(&members, &reachable.iter().collect::<Vec<_>>(), |_| true).map(ToString::to_string)
        };
        let all: &[&str] = &["dns-1", "dns-2", "dns-3"];
        assert_eq!(writer(&[all, all, all]).as_deref(), Some("dns-1"));
        assert_eq!(writer(&[all, &["dns-2", "dns-3"]]).as_deref(), Some("dns-2"), "one of three reaches the first");
        assert_eq!(writer(&[&["dns-2"]]), None, "a majority reaches nobody");
        assert_eq!(writer(&[&["dns-0", "dns-3"], &["dns-0", "dns-3"]]).as_deref(), Some("dns-3"), "only members write");
    }
}
