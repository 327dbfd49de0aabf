//! What the other hosts have said lately.

use std::collections::btree_map::Range;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::moment::Moment;
use crate::quorum::{HostName, Vote};
use crate::target::{NodeName, PoolName, Target};

/// A host counts as heard for so long after it last said anything.
pub(crate) const FRESH_FOR: Duration = Duration::from_secs(5);

/// All that one host says of the targets and of the other hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The host.
    pub host: HostName,
    /// Which run of the host this is from; a later run has a greater one.
    pub incarnation: u64,
    /// Which view of that run this is; a later view has a greater one.
    pub sequence: u64,
    /// Its vote on each target.
    pub votes: Arc<BTreeMap<Target, Vote>>,
    /// Whether it takes itself for blind, so that its votes do not count.
    pub abstains: bool,
    /// Whether it would write where only one host may: it publishes there, and knows a quorum.
    pub would_write: bool,
    /// The hosts that it hears, itself included.
    pub hears: BTreeSet<HostName>,
}

/// The votes of one host, read once through in the order of targets. Many hosts and targets make looking each up too slow.
pub(crate) struct Votes<'a> {
    of_pool: Range<'a, Target, Vote>,
    ahead: Peekable<Range<'a, Target, Vote>>,
}

impl Votes<'_> {
    /// The vote on a target, which is not before the one that was asked for last. Where the other host has another name for
    /// the node, that on the same address counts.
    pub(crate) fn on(&mut self, target: &Target) -> Option<Vote> {
        while self.ahead.next_if(|(of, _)| *of < target).is_some() {}
        let named = self.ahead.next_if(|(of, _)| *of == target);
        let of_pool = || self.of_pool.clone().take_while(|(of, _)| of.pool == target.pool);
        named.or_else(|| of_pool().find(|(of, _)| of.address == target.address)).map(|(_, vote)| *vote)
    }
}

impl View {
    /// Its votes on the targets of a pool and of those after it.
    pub(crate) fn votes_from(&self, pool: &PoolName) -> Votes<'_> {
        let least = Target { pool: pool.clone(), node: NodeName::new(""), address: Ipv4Addr::UNSPECIFIED.into() };
        let of_pool = self.votes.range(least..);
        Votes { ahead: of_pool.clone().peekable(), of_pool }
    }

    /// What was in the last good answer of the host.
    pub(crate) fn was_good(&self) -> impl Iterator<Item = &Target> {
        self.votes.iter().filter(|(_, vote)| vote.was_good).map(|(target, _)| target)
    }
}

/// The newest view of each other host, and when it said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peers(BTreeMap<HostName, (Moment, View)>);

/// What a view changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing, for a newer one is known, or the same.
    Stale,
    /// Only that its host is still there.
    StillThere,
    /// What the hosts say together.
    Changed,
}

impl Peers {
    /// Keeps a view that is newer than the one of the same host. It was said at `at`, which is not after `now`.
    pub(crate) fn take(&mut self, view: View, at: Moment, now: Moment) -> News {
        let order = |view: &View| (view.incarnation, view.sequence);
        let at = at.min(now);
        let news = match self.0.get(&view.host) {
            Some((_, known)) if order(known) >= order(&view) => return News::Stale,
            Some((heard, known)) if is_fresh(*heard, now) == is_fresh(at, now) && says_the_same(known, &view) => {
                News::StillThere
            }
            _ => News::Changed,
        };
        let heard = self.0.get(&view.host).map_or(at, |(heard, _)| at.max(*heard));
        self.0.insert(view.host.clone(), (heard, view));
        news
    }

    /// The newest view of each host that is heard now.
    pub(crate) fn heard(&self, now: Moment) -> impl Iterator<Item = &View> {
        self.0.values().filter(move |(at, _)| is_fresh(*at, now)).map(|(_, view)| view)
    }

    /// When the next host that is heard now ceases to be.
    pub(crate) fn next_stale(&self, now: Moment) -> Option<Moment> {
        self.0.values().filter(|(at, _)| is_fresh(*at, now)).map(|(at, _)| at.after(FRESH_FOR)).min()
    }
}

fn is_fresh(at: Moment, now: Moment) -> bool {
    now.since(at) < FRESH_FOR
}

fn says_the_same(known: &View, new: &View) -> bool {
    let View { host: _, incarnation: _, sequence: _, votes, abstains, would_write, hears } = known;
    let same_votes = Arc::ptr_eq(votes, &new.votes) || *votes == new.votes;
    same_votes && *abstains == new.abstains && *would_write == new.would_write && *hears == new.hears
}
