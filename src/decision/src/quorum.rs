//! What several hosts agree on.

use std::collections::BTreeSet;
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

impl HostName {
    /// What a host is called that has no others. No configured host is called so.
    const NAMELESS: &str = "this host";

    /// Whether it is one.
    pub(crate) fn is_name(&self) -> bool {
        self.as_str() != Self::NAMELESS
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who decides: this host, and all hosts that are configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// This host.
    pub own: HostName,
    /// All hosts, this one included.
    pub members: BTreeSet<HostName>,
    /// Whether this host publishes where only one host may write.
    pub publishes: bool,
}

impl Membership {
    /// Only this host, which needs no name.
    pub fn sole() -> Self {
        let own = HostName::new(HostName::NAMELESS);
        Self { members: [own.clone()].into(), own, publishes: true }
    }

    /// Whether there are other hosts.
    pub fn has_others(&self) -> bool {
        self.members.len() > 1
    }
}

/// What one host says of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vote {
    /// Its grade after thresholds; `unknown` is no vote.
    pub grade: Grade,
    /// Whether it has seen the target's orderly shutdown.
    pub shutting_down: bool,
    /// Whether its last good answer has the target: what is to be held when nothing can be used.
    pub was_good: bool,
}

/// Who decides on the verdicts of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// A majority of the configured hosts is heard, this one included, and their views decide.
    Quorum,
    /// Too few hosts are heard: this host's own view decides.
    Alone,
    /// This host began a moment ago and has not heard a majority yet: what was agreed before stands.
    Listening,
}

impl Standing {
    /// The word for the standing, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Alone => "alone",
            Self::Listening => "listening",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether some are more than half of the configured hosts.
pub(crate) fn is_majority(some: usize, members: usize) -> bool {
    some * 2 > members
}

/// The host that writes where only one may: the lowest name among the members that a majority hears, but for those that say
/// that they do not. `hears` is whom each heard host hears, itself included.
pub(crate) fn writer<'a>(
    members: &'a BTreeSet<HostName>,
    hears: &[&BTreeSet<HostName>],
    declines: impl Fn(&HostName) -> bool,
) -> Option<&'a HostName> {
    let heard_by = |member: &HostName| hears.iter().filter(|of_one| of_one.contains(member)).count();
    members.iter().filter(|member| !declines(member)).find(|member| is_majority(heard_by(member), members.len()))
}

/// The verdict of some votes on one target; `None` where nobody knows.
///
/// It is less than `ready` only where a majority of the votes says so, and `down` only where a majority says `down`. One
/// vote that the target shuts down is enough for less than `ready`, for the apiserver itself has said so.
pub(crate) fn verdict(votes: impl IntoIterator<Item = Vote>) -> Option<Grade> {
    let (mut all, mut below_ready, mut down, mut shutting_down) = (0_usize, 0, 0, false);
    for vote in votes.into_iter().filter(|vote| vote.grade != Grade::Unknown) {
        all += 1;
        below_ready += usize::from(vote.grade < Grade::Ready);
        down += usize::from(vote.grade < Grade::Live);
        shutting_down |= vote.shutting_down;
    }
    match all {
        0 => None,
        _ if down * 2 > all => Some(Grade::Down),
        _ if below_ready * 2 > all || shutting_down => Some(Grade::Live),
        _ => Some(Grade::Ready),
    }
}

/// The verdict of some votes that the votes of the hosts which are not heard could not change; `None` where they could.
pub(crate) fn sure_verdict(votes: &[Vote], members: usize) -> Option<Grade> {
    let of = |grade| votes.iter().filter(|vote| vote.grade == grade).count();
    let is_sure = [Grade::Down, Grade::Ready].into_iter().any(|grade| is_majority(of(grade), members));
    verdict(votes.iter().copied()).filter(|_| is_sure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Grade::{Down, Live, Ready, Unknown};

    fn of(grades: &[Grade]) -> Grade {
        verdict(grades.iter().map(|&grade| Vote { grade, shutting_down: false, was_good: false })).unwrap_or_default()
    }

    fn names(names: &[&str]) -> BTreeSet<HostName> {
        names.iter().map(|name| HostName::new(name)).collect()
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
        let seen = Vote { grade: Live, shutting_down: true, was_good: false };
        let ready = Vote { grade: Ready, shutting_down: false, was_good: false };
        assert_eq!(verdict([ready, ready, seen]), Some(Live));
    }

    #[test]
    fn a_majority_is_more_than_half_of_all_members() {
        assert!(is_majority(1, 1) && is_majority(2, 3));
        assert!(!is_majority(1, 3) && !is_majority(2, 4));
    }

    #[test]
    fn a_verdict_is_sure_where_no_vote_to_come_could_change_it() {
        let sure = |grades: &[Grade], members| {
            let votes: Vec<Vote> =
                grades.iter().map(|&grade| Vote { grade, shutting_down: false, was_good: false }).collect();
            sure_verdict(&votes, members)
        };
        assert_eq!(sure(&[Ready, Down], 3), None, "the third decides");
        assert_eq!(sure(&[Down, Down], 3), Some(Down));
        assert_eq!(sure(&[Ready, Ready], 3), Some(Ready));
        assert_eq!(sure(&[Ready, Ready], 5), None);
        assert_eq!(sure(&[Ready, Unknown], 3), None);
    }

    #[test]
    fn the_lowest_name_that_a_majority_hears_writes() {
        let members = names(&["dns-1", "dns-2", "dns-3"]);
        let writer = |hears: &[&[&str]]| {
            let hears: Vec<_> = hears.iter().map(|it| names(it)).collect();
            writer(&members, &hears.iter().collect::<Vec<_>>(), |_| false).map(ToString::to_string)
        };
        let all: &[&str] = &["dns-1", "dns-2", "dns-3"];
        assert_eq!(writer(&[all, all, all]).as_deref(), Some("dns-1"));
        assert_eq!(writer(&[all, &["dns-2", "dns-3"]]).as_deref(), Some("dns-2"), "one of three hears the first");
        assert_eq!(writer(&[&["dns-2"]]), None, "nobody is heard by a majority");
        assert_eq!(writer(&[&["dns-0", "dns-3"], &["dns-0", "dns-3"]]).as_deref(), Some("dns-3"), "only members write");
    }
}
