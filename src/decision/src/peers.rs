//! The latest views of the other hosts.

use std::collections::btree_map::Range;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::moment::Moment;
use crate::name::{HostName, NodeName, PoolName};
use crate::quorum::Vote;
use crate::target::Target;

/// The time for which a host counts as reachable after its last sign of life.
pub(crate) const REACHABLE_FOR: Duration = Duration::from_secs(5);

/// Everything that one host reports of the targets and of the other hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// The host.
    pub host: HostName,
    /// The incarnation (run) of the host; a later run has a greater one.
    pub incarnation: u64,
    /// The number of the view within its incarnation; a later view has a greater one.
    pub sequence: u64,
    /// Its vote on each target.
    pub votes: Arc<BTreeMap<Target, Vote>>,
    /// True if the host is isolated, so that its votes do not count.
    pub abstains: bool,
    /// True if the host may be elected as the writer: it has such a provider and a quorum.
    pub eligible_writer: bool,
    /// The hosts that it reaches, itself included.
    pub reachable: BTreeSet<HostName>,
}

/// The votes of one host, read once in the order of targets. With many hosts and targets, single look-ups are too slow.
pub(crate) struct Votes<'a> {
    of_pool: Range<'a, Target, Vote>,
    ahead: Peekable<Range<'a, Target, Vote>>,
}

impl Votes<'_> {
    /// The vote on a target that is not before the last one. If the other host has another name for the node, its vote on the
    /// same address counts.
    pub(crate) fn on(&mut self, target: &Target) -> Option<Vote> {
        while self.ahead.next_if(|(of, _)| *of < target).is_some() {}
        let named = self.ahead.next_if(|(of, _)| *of == target);
        let mut of_pool = self.of_pool.clone().take_while(|(of, _)| of.pool == target.pool);
        named.or_else(|| of_pool.find(|(of, _)| of.address == target.address)).map(|(_, vote)| *vote)
    }
}

impl PeerView {
    /// Its votes on the targets of a pool and of the pools after it.
    pub(crate) fn votes_from(&self, pool: &PoolName) -> Votes<'_> {
        let least = Target { pool: pool.clone(), node: NodeName::least(), address: Ipv4Addr::UNSPECIFIED.into() };
        let of_pool = self.votes.range(least..);
        Votes { ahead: of_pool.clone().peekable(), of_pool }
    }

    /// The addresses of its last known good answer of a pool. Its nodes may have other names.
    pub(crate) fn last_known_good(&self, pool: &PoolName) -> impl Iterator<Item = IpAddr> {
        let of_pool = self.votes_from(pool).of_pool.take_while(move |(target, _)| target.pool == *pool);
        of_pool.filter(|(_, vote)| vote.in_last_known_good).map(|(target, _)| target.address)
    }

    /// Its vote on a target. If it has another name for the node, its vote on the same address counts.
    pub fn vote_on(&self, target: &Target) -> Option<Vote> {
        self.votes_from(&target.pool).on(target)
    }
}

/// The newest view of each other host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peers(BTreeMap<HostName, ReportedView>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct ReportedView {
    view: PeerView,
    /// The time of the host's last sign of life.
    at: Moment,
}

/// The effect of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ViewEffect {
    /// None: the same view or a newer one is known.
    Stale,
    /// A sign of life only.
    SignOfLife,
    /// The votes or the reachable hosts have changed.
    Changed,
}

impl Peers {
    /// Keeps a view if it is newer than the known one of its host. The host reported it at `at`, which is not after `now`.
    pub(crate) fn update(&mut self, view: PeerView, at: Moment, now: Moment) -> ViewEffect {
        let at = at.min(now);
        let known = self.0.get(&view.host);
        if known.is_some_and(|known| !is_later(&view, &known.view)) {
            return ViewEffect::Stale;
        }
        let is_same = known
            .is_some_and(|known| is_fresh(known.at, now) == is_fresh(at, now) && is_same_content(&known.view, &view));
        let at = known.map_or(at, |known| at.max(known.at));
        self.0.insert(view.host.clone(), ReportedView { view, at });
        if is_same { ViewEffect::SignOfLife } else { ViewEffect::Changed }
    }

    /// The newest view of each host that is reachable now.
    pub(crate) fn reachable(&self, now: Moment) -> impl Iterator<Item = &PeerView> {
        self.0.values().filter(move |reported| is_fresh(reported.at, now)).map(|reported| &reported.view)
    }

    /// The time at which the next reachable host becomes unreachable.
    pub(crate) fn next_unreachable(&self, now: Moment) -> Option<Moment> {
        let fresh = self.0.values().filter(|reported| is_fresh(reported.at, now));
        fresh.map(|reported| reported.at.after(REACHABLE_FOR)).min()
    }
}

fn is_fresh(at: Moment, now: Moment) -> bool {
    now.since(at) < REACHABLE_FOR
}

/// True if a view is later than the known one of the same host: of a later incarnation, or later in the same one.
fn is_later(view: &PeerView, known: &PeerView) -> bool {
    view.incarnation.cmp(&known.incarnation).then(view.sequence.cmp(&known.sequence)).is_gt()
}

fn is_same_content(known: &PeerView, new: &PeerView) -> bool {
    let PeerView { host: _, incarnation: _, sequence: _, votes, abstains, eligible_writer, reachable } = known;
    let same_votes = Arc::ptr_eq(votes, &new.votes) || *votes == new.votes;
    same_votes && *abstains == new.abstains && *eligible_writer == new.eligible_writer && *reachable == new.reachable
}
