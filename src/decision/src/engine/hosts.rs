//! The other hosts as this one sees them: their views, the quorum and the elected writer.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use crate::health::Health;
use crate::name::HostName;
use crate::peers::PeerView;
use crate::pool::PoolState;
use crate::quorum::{Membership, QuorumState, Vote, elect_writer, is_majority};
use crate::target::{Grade, Target};

impl Engine {
    /// This host's vote on each target.
    pub fn votes(&self) -> BTreeMap<Target, Vote> {
        self.pools.values().flat_map(PoolState::votes).collect()
    }

    /// The newest view of each other host that is reachable now.
    pub fn views(&self) -> impl Iterator<Item = &PeerView> {
        self.peers.reachable(self.now)
    }

    /// The hosts that are reachable now, this one included. Empty for a host without peers.
    pub fn reachable_hosts(&self) -> BTreeSet<HostName> {
        self.views().map(|view| view.host.clone()).chain(self.own().cloned()).collect()
    }

    /// The elected writer. `None` without a quorum, without peers, and if a majority reaches no eligible host.
    pub fn writer(&self) -> Option<&HostName> {
        let membership = self.membership.as_ref().filter(|_| self.quorum_state() == QuorumState::Quorum)?;
        let own = self.reachable_hosts();
        let reachable: Vec<_> = self.views().map(|view| &view.reachable).chain([&own]).collect();
        elect_writer(&membership.members, &reachable, |member| {
            if *member == membership.own {
                self.is_eligible_writer()
            } else {
                // A host that is not reachable has not declined.
                !self.views().any(|view| view.host == *member && !view.eligible_writer)
            }
        })
    }

    /// True if this host may be elected as the writer: it has such a provider and a quorum.
    pub fn is_eligible_writer(&self) -> bool {
        self.membership.as_ref().is_some_and(|membership| membership.can_write)
            && self.quorum_state() == QuorumState::Quorum
    }

    /// The hosts that decide together; `None` for a host without peers.
    pub fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// The number of hosts that this one reaches, itself included.
    pub(super) fn reachable_count(&self) -> usize {
        self.views().count().saturating_add(1)
    }

    /// The state of the quorum. A host without peers always has one.
    pub fn quorum_state(&self) -> QuorumState {
        if is_majority(self.reachable_count(), self.member_count()) {
            QuorumState::Quorum
        } else if self.starting.is_some() {
            QuorumState::Starting
        } else {
            QuorumState::NoQuorum
        }
    }

    /// True if this host reaches none of the targets that it has a grade of or that have become unobservable. It then abstains.
    pub fn is_isolated(&self) -> bool {
        let known = |health: &&Health| health.grade() != Grade::Unknown || health.is_unobservable();
        let mut known = self.healths().map(|(_, health)| health).filter(known).peekable();
        known.peek().is_some() && known.all(|health| health.is_unobservable() || health.grade() == Grade::Down)
    }

    pub(super) fn own(&self) -> Option<&HostName> {
        self.membership.as_ref().map(|membership| &membership.own)
    }

    pub(super) fn member_count(&self) -> usize {
        self.membership.as_ref().map_or(1, |membership| membership.members.len())
    }
}
