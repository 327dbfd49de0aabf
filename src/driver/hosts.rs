//! The part of the driver that deals with the other hosts: the gossip, the writer lease and the mismatches.
//!
//! It passes messages between the transport and the gossip, and views and overrides between the gossip and the engine. It does
//! not know how messages are sealed and sent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use daymark_api::{
    EventKind, HostVote, HostsStatus, PeerMismatch, PeerMismatchStatus, PeerStatus, PeerTarget, UnsavedOverride,
};
use daymark_decision::{Engine, HostName, Moment, NodeKey, PoolName, Target, Vote, WriterElection};
use daymark_gossip::{ClockReading, ConfigurationHash, Freshness, Gossip, Message, PeerSummary, Rejection, exchange};
use jiff::SignedDuration;
use tokio::sync::{mpsc, watch};

use crate::metrics::Metrics;
use crate::os::clock::Clock;
use crate::peers::{DriverChannels, HostMismatch, Mismatches, OtherHosts, OutboundMessage, PeerInput, mismatches};
use crate::publish::WriterLease;
use crate::state::StateHealth;

/// The gossip with the other hosts, and what this host derives from it.
#[derive(Debug)]
pub struct Hosts {
    gossip: Gossip,
    /// The hash of each pool's configuration on this host.
    configuration: BTreeMap<PoolName, ConfigurationHash>,
    inbound: mpsc::Receiver<PeerInput>,
    outbound: mpsc::Sender<OutboundMessage>,
    /// The address from which each host sent last.
    last_sources: BTreeMap<HostName, SocketAddr>,
    /// The addresses that get one answer: there, a message arrived that may be from a host that has moved, or replayed.
    answer_once: BTreeMap<HostName, SocketAddr>,
    election: WriterElection,
    lease: watch::Sender<WriterLease>,
    metrics: Metrics,
    state: StateHealth,
    mismatches: Mismatches,
}

impl Hosts {
    /// Joins the gossip to the channels of the transport.
    ///
    /// If the channel for outbound messages is full, a message is lost as on the network, and the gossip sends it again.
    /// `lease` gets the writer lease of this host.
    pub fn new(
        gossip: Gossip,
        configuration: BTreeMap<PoolName, ConfigurationHash>,
        channels: DriverChannels,
        lease: watch::Sender<WriterLease>,
        metrics: Metrics,
        state: StateHealth,
    ) -> Self {
        Self {
            gossip,
            configuration,
            inbound: channels.inbound,
            outbound: channels.outbound,
            last_sources: BTreeMap::new(),
            answer_once: BTreeMap::new(),
            election: WriterElection::default(),
            lease,
            metrics,
            state,
            mismatches: Mismatches::default(),
        }
    }

    /// Waits for inputs from the transport, and puts them into `batch`. It never ends if the transport has ended.
    pub(super) async fn receive(&mut self, batch: &mut Vec<PeerInput>, max: usize) {
        if self.inbound.recv_many(batch, max).await == 0 {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn handle(&mut self, input: PeerInput, now: Moment) {
        match input {
            PeerInput::Message { message, from } => self.handle_message(*message, from, now),
            PeerInput::Mismatch { host, mismatch } => self.mismatches.show(host, mismatch, now),
        }
    }

    pub(super) fn set_configuration(&mut self, configuration: BTreeMap<PoolName, ConfigurationHash>) {
        self.configuration = configuration;
    }

    pub(super) fn poll_timeout(&self) -> Moment {
        self.gossip.poll_timeout()
    }

    /// Exchanges everything new with the engine, sends the messages that are due, and renews the writer lease.
    pub(super) fn exchange(&mut self, engine: &mut Engine, clock: &Clock) {
        let now = clock.now();
        // A writer lease ends when hosts become unreachable, even if the engine has nothing else to do.
        engine.handle_timeout(now);
        self.gossip.set_unsaved_overrides(self.state.all_unsaved_overrides());
        exchange(engine, &mut self.gossip, &self.configuration, now);
        while let Some(transmit) = self.gossip.poll_transmit(now) {
            let once = self.answer_once.remove(&transmit.to);
            let last_source = once.or_else(|| self.last_sources.get(&transmit.to).copied());
            let is_answering = self.gossip.is_answering(&transmit.to, now);
            if self.outbound.try_send(OutboundMessage { transmit, last_source, is_answering }).is_err() {
                self.metrics.reject_datagram("unsent");
            }
        }
        let own = self.gossip.own();
        let writer = engine.writer();
        let until = self.election.confirm(writer == Some(own), now);
        self.lease.send_replace(WriterLease::of(own, writer, until.map(|until| clock.instant(until))));
    }

    /// Returns the mismatches that have begun or ended since the last check.
    pub(super) fn check_mismatches(&mut self, engine: &Engine, now: Moment) -> Vec<EventKind> {
        if !self.mismatches.is_due(now) {
            return Vec::new();
        }
        let Some(membership) = engine.membership() else { return Vec::new() };
        let mut others = OtherHosts { reachable: engine.reachable_hosts(), ..OtherHosts::default() };
        for peer in self.gossip.peers() {
            if self.gossip.is_directly_reachable(&peer.host, now) {
                others.answering.insert(peer.host.clone());
            }
            if others.reachable.contains(&peer.host) {
                others.stated.extend(mismatches::compare(membership, &self.configuration, &peer));
            }
        }
        let changes = self.mismatches.check(others, now);
        let event = |change: mismatches::MismatchChange| EventKind::Mismatch {
            host: change.of.host,
            mismatch: change.of.mismatch,
            begins: change.begins,
        };
        changes.into_iter().map(event).collect()
    }

    pub(super) fn status(&self, engine: &Engine, now: Moment) -> HostsStatus {
        let reachable = engine.reachable_hosts();
        HostsStatus {
            own: self.gossip.own().clone(),
            members: engine.membership().map_or(1, |membership| membership.members.len()),
            quorum_state: engine.quorum_state(),
            isolated: engine.is_isolated(),
            writer: engine.writer().cloned(),
            can_write: engine.membership().is_some_and(|membership| membership.can_write),
            holds_writer_lease: self.lease.borrow().may_write(),
            mismatches: self.mismatches.iter().map(mismatch_status).collect(),
            peers: self.gossip.peers().map(|peer| self.peer_status(peer, &reachable, now)).collect(),
        }
    }

    fn handle_message(&mut self, message: Message, from: SocketAddr, now: Moment) {
        let host = message.from.clone();
        let result = self.gossip.handle(message, now);
        if self.gossip.take_identity_conflict() {
            self.mismatches.show(self.gossip.own().clone(), PeerMismatch::IdentityConflict, now);
        }
        match result {
            Ok(Freshness::Fresh) => {
                self.last_sources.insert(host, from);
            }
            Ok(Freshness::Unproven { is_sender_reachable: false }) => {
                self.answer_once.insert(host, from);
            }
            Ok(Freshness::Unproven { is_sender_reachable: true }) => {}
            // The network duplicates datagrams, which is no mismatch.
            Err(Rejection::Implausible(_)) => self.metrics.reject_datagram("implausible"),
            Err(Rejection::Replayed(_)) => self.metrics.reject_datagram("replayed"),
            Err(Rejection::UnknownPeer(_)) => self.reject(host, "unknownPeer", PeerMismatch::UnknownPeer, now),
            Err(Rejection::IdentityConflict(_)) => {
                self.reject(host, "identityConflict", PeerMismatch::IdentityConflict, now);
            }
        }
    }

    fn reject(&mut self, host: HostName, label: &'static str, mismatch: PeerMismatch, now: Moment) {
        self.metrics.reject_datagram(label);
        self.mismatches.show(host, mismatch, now);
    }

    fn peer_status(&self, peer: PeerSummary, reachable: &BTreeSet<HostName>, now: Moment) -> PeerStatus {
        let age = |at: Option<Moment>| at.map(|at| now.since(at));
        let target = |(target, vote): (&Target, &Vote)| PeerTarget {
            pool: target.pool.clone(),
            node: target.node.clone(),
            address: target.address,
            grade: vote.grade,
            shutting_down: vote.shutting_down,
            restored: vote.is_restored,
        };
        PeerStatus {
            reachable: reachable.contains(&peer.host),
            last_contact: age(peer.last_seen),
            last_direct_contact: age(peer.last_direct_contact),
            round_trip: peer.round_trip,
            clock_ahead: peer.clocks.map(|clocks| clock_lead(clocks, peer.round_trip.unwrap_or_default())),
            abstains: peer.abstains,
            reachable_hosts: peer.reachable.iter().cloned().collect(),
            configuration: peer.configuration.iter().map(|(pool, hash)| (pool.clone(), hash.to_string())).collect(),
            differs: mismatches::differing_pools(&self.configuration, &peer.configuration),
            unsaved_overrides: peer
                .unsaved_overrides
                .into_iter()
                .map(|NodeKey { pool, node }| UnsavedOverride { pool, node })
                .collect(),
            targets: peer.votes.iter().map(target).collect(),
            host: peer.host,
        }
    }
}

/// The votes of all reachable hosts on a target, this host's first. There is none if this host has no others.
pub(super) fn votes(engine: &Engine, target: &Target, own: Vote) -> Vec<HostVote> {
    let Some(membership) = engine.membership() else { return Vec::new() };
    let own = host_vote(&membership.own, own, engine.is_isolated());
    let others = engine.views().map(|view| {
        let vote = view.vote_on(target).unwrap_or_default();
        host_vote(&view.host, vote, view.abstains)
    });
    [own].into_iter().chain(others).collect()
}

fn host_vote(host: &HostName, vote: Vote, abstains: bool) -> HostVote {
    HostVote {
        host: host.clone(),
        grade: vote.grade,
        shutting_down: vote.shutting_down,
        restored: vote.is_restored,
        abstains,
    }
}

/// The time by which a peer's clock is ahead of this host's. It went on for half a round trip while the message travelled.
fn clock_lead(clocks: ClockReading, round_trip: Duration) -> SignedDuration {
    let peer = clocks.peer.after(round_trip / 2);
    let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    if peer >= clocks.own { signed(peer.since(clocks.own)) } else { -signed(clocks.own.since(peer)) }
}

fn mismatch_status(HostMismatch { host, mismatch }: &HostMismatch) -> PeerMismatchStatus {
    PeerMismatchStatus { host: host.clone(), message: mismatch.message(host), mismatch: mismatch.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_went_on_while_its_message_travelled() {
        let clocks = |peer, own| ClockReading { peer: Moment::from_millis(peer), own: Moment::from_millis(own) };
        let round_trip = Duration::from_secs(2);
        let lead = |peer, own| clock_lead(clocks(peer, own), round_trip);
        assert_eq!(lead(10_000, 11_000), SignedDuration::ZERO, "both are the same");
        assert_eq!(lead(10_000, 70_000), SignedDuration::from_secs(-59), "the peer's is behind");
        assert_eq!(lead(70_000, 10_000), SignedDuration::from_secs(61), "the peer's is ahead");
    }
}
