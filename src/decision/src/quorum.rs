//! What several hosts agree on.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::target::Grade;

/// The name of a host that runs Daymark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostName(Arc<str>);

impl HostName {
    /// Takes the name as it is.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who decides: this host, and how many hosts there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// This host.
    pub own: HostName,
    /// All hosts that are configured, this one included. At least 1.
    pub members: usize,
}

/// What one host says of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vote {
    /// Its grade after thresholds; `unknown` is no vote.
    pub grade: Grade,
    /// Whether it has seen the target's orderly shutdown.
    pub shutting_down: bool,
}

/// How much weight this host's verdicts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Views of a majority of the configured hosts decide.
    Quorum,
    /// Too few views are fresh: this host's own view decides.
    Alone,
}

impl Standing {
    /// The standing with `heard` views of `members` hosts, those that abstain left out.
    pub(crate) fn of(heard: usize, members: usize) -> Self {
        if heard * 2 > members { Self::Quorum } else { Self::Alone }
    }
}

/// The verdict of some votes on one target.
///
/// It is less than `ready` only where a majority of the votes says so, and `down` only where a majority says `down`. One
/// vote that the target shuts down is enough for less than `ready`, for the apiserver itself has said so. Without votes
/// the verdict is `unknown`.
pub(crate) fn verdict(votes: impl IntoIterator<Item = Vote>) -> Grade {
    let (mut all, mut below_ready, mut down, mut shutting_down) = (0_usize, 0, 0, false);
    for vote in votes.into_iter().filter(|vote| vote.grade != Grade::Unknown) {
        all += 1;
        below_ready += usize::from(vote.grade < Grade::Ready);
        down += usize::from(vote.grade < Grade::Live);
        shutting_down |= vote.shutting_down;
    }
    match all {
        0 => Grade::Unknown,
        _ if down * 2 > all => Grade::Down,
        _ if below_ready * 2 > all || shutting_down => Grade::Live,
        _ => Grade::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Grade::{Down, Live, Ready, Unknown};

    fn of(grades: &[Grade]) -> Grade {
        verdict(grades.iter().map(|&grade| Vote { grade, shutting_down: false }))
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
    fn who_does_not_know_does_not_vote() {
        assert_eq!(of(&[Unknown, Unknown, Down]), Down);
        assert_eq!(of(&[Unknown, Ready]), Ready);
        assert_eq!(of(&[]), Unknown);
    }

    #[test]
    fn one_host_that_saw_the_shutdown_is_enough() {
        let seen = Vote { grade: Live, shutting_down: true };
        let ready = Vote { grade: Ready, shutting_down: false };
        assert_eq!(verdict([ready, ready, seen]), Live);
    }

    #[test]
    fn a_majority_is_of_all_members() {
        assert_eq!(Standing::of(1, 1), Standing::Quorum);
        assert_eq!(Standing::of(1, 3), Standing::Alone);
        assert_eq!(Standing::of(2, 3), Standing::Quorum);
        assert_eq!(Standing::of(2, 4), Standing::Alone);
    }
}
