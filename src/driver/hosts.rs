//! The other hosts, as the driver deals with them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use daymark_api::{EventKind, HostVote, HostsStatus, PeerMismatch, PeerMismatchStatus, PeerStatus, PeerTarget};
use daymark_decision::{Engine, HostName, Moment, PoolName, Target, Vote, WriterElection};
use daymark_gossip::{
    ClockReading, ConfigurationHash, Freshness, Gossip, Message, PeerSummary, Rejection, Transmit, exchange,
};
use tokio::sync::{mpsc, watch};

use crate::metrics::Metrics;
use crate::os::clock::Clock;
use crate::publish::WriterLease;

use super::complaints::Complaints;

/// The gossip, and where what it says goes.
#[derive(Debug)]
pub struct Hosts {
    gossip: Gossip,
    /// What the others are told of each pool's configuration.
    digests: BTreeMap<PoolName, ConfigurationHash>,
    to_send: mpsc::Sender<OutboundMessage>,
    /// Where each host has spoken from last.
    spoken_from: BTreeMap<HostName, SocketAddr>,
    /// Where what may be a host that has moved, or what someone repeats, is to be answered once.
    answer_to: BTreeMap<HostName, SocketAddr>,
    /// The writer lease of this host.
    lease: watch::Sender<WriterLease>,
    candidacy: WriterElection,
    metrics: Metrics,
    complaints: Complaints,
}

/// A message to another host.
#[derive(Debug)]
pub struct OutboundMessage {
    /// The message.
    pub transmit: Transmit,
    /// Where the host has spoken from last, which may not be one of its addresses.
    pub last_source: Option<SocketAddr>,
    /// Whether it has answered what was sent to it in the last moments.
    pub is_answering: bool,
}

impl Hosts {
    /// The gossip goes to `to_send`; where that is full, it is lost as on the network, and sent again. `lease` is told whether
    /// this host is the one that writes.
    pub fn new(
        gossip: Gossip,
        digests: BTreeMap<PoolName, ConfigurationHash>,
        to_send: mpsc::Sender<OutboundMessage>,
        lease: watch::Sender<WriterLease>,
        metrics: Metrics,
    ) -> Self {
        let (spoken_from, answer_to) = (BTreeMap::new(), BTreeMap::new());
        let (complaints, candidacy) = (Complaints::default(), WriterElection::default());
        Self { gossip, digests, to_send, spoken_from, answer_to, lease, candidacy, metrics, complaints }
    }

    pub(super) fn complain(&mut self, host: HostName, complaint: PeerMismatch, now: Moment) {
        self.complaints.see(host, complaint, now);
    }

    /// What has begun to be wrong with the others since the last time, and what no longer is.
    pub(super) fn look(&mut self, engine: &Engine, now: Moment) -> Vec<EventKind> {
        if !self.complaints.is_due(now) {
            return Vec::new();
        }
        let Some(own) = engine.membership() else { return Vec::new() };
        let heard = engine.reachable_hosts();
        let there =
            self.gossip.peers().map(|peer| peer.host).filter(|host| self.gossip.is_reachable(host, now)).collect();
        let mut said = BTreeSet::new();
        for peer in self.gossip.peers().filter(|peer| heard.contains(&peer.host)) {
            if let Some(members) = peer.members.as_ref().filter(|members| **members != own.members) {
                let without = |some: &BTreeSet<HostName>, others| some.difference(others).cloned().collect();
                let (lacks, adds) = (without(&own.members, members), without(members, &own.members));
                said.insert((peer.host.clone(), PeerMismatch::Members { missing: lacks, extra: adds }));
            }
            let differs = self.differs(&peer.configuration);
            said.extend(differs.into_iter().map(|pool| (peer.host.clone(), PeerMismatch::Configuration { pool })));
        }
        self.complaints.look(said, &heard, &there, now)
    }

    /// The pools of which another host has another configuration. Of one that has told nothing yet, nothing is known.
    fn differs(&self, theirs: &BTreeMap<PoolName, ConfigurationHash>) -> Vec<PoolName> {
        let pools: BTreeSet<&PoolName> = theirs.keys().chain(self.digests.keys()).collect();
        let differs = |pool: &&PoolName| theirs.get(*pool) != self.digests.get(*pool);
        pools.into_iter().filter(differs).filter(|_| !theirs.is_empty()).cloned().collect()
    }

    pub(super) fn configure(&mut self, digests: BTreeMap<PoolName, ConfigurationHash>) {
        self.digests = digests;
    }

    pub(super) fn poll_timeout(&self) -> Moment {
        self.gossip.poll_timeout()
    }

    pub(super) fn hear(&mut self, message: Message, from: SocketAddr, now: Moment) {
        let host = message.from.clone();
        let handled = self.gossip.handle(message, now);
        if self.gossip.take_identity_conflict() {
            self.complaints.see(self.gossip.own().clone(), PeerMismatch::IdentityConflict, now);
        }
        let unheard = match handled {
            Ok(Freshness::Fresh) => {
                self.spoken_from.insert(host, from);
                return;
            }
            Ok(Freshness::Unproven { is_sender_reachable: false }) => {
                self.answer_to.insert(host, from);
                return;
            }
            Ok(Freshness::Unproven { is_sender_reachable: true }) => return,
            Err(unheard) => unheard,
        };
        let (reason, complaint) = match unheard {
            // What comes twice on its way is nobody's fault.
            Rejection::Replayed(_) => ("replayed", None),
            Rejection::UnknownPeer(_) => ("unknownPeer", Some(PeerMismatch::UnknownPeer)),
            Rejection::IdentityConflict(_) => ("identityConflict", Some(PeerMismatch::IdentityConflict)),
        };
        self.metrics.reject_datagram(reason);
        if let Some(complaint) = complaint {
            self.complaints.see(host, complaint, now);
        }
    }

    pub(super) fn exchange(&mut self, engine: &mut Engine, clock: &Clock) {
        let now = clock.now();
        // Who is not heard any more writes no more, also where the engine has nothing else to do.
        engine.handle_timeout(now);
        exchange(engine, &mut self.gossip, &self.digests, now);
        while let Some(transmit) = self.gossip.poll_transmit(now) {
            let once = self.answer_to.remove(&transmit.to);
            let spoken_from = once.or_else(|| self.spoken_from.get(&transmit.to).copied());
            let answers = self.gossip.is_answering(&transmit.to, now);
            if self
                .to_send
                .try_send(OutboundMessage { transmit, last_source: spoken_from, is_answering: answers })
                .is_err()
            {
                self.metrics.reject_datagram("unsent");
            }
        }
        let own = self.gossip.own();
        let writer = engine.writer();
        let until = self.candidacy.confirm(writer == Some(own), now);
        self.lease.send_replace(WriterLease::of(own, writer, until.map(|until| clock.instant(until))));
    }

    pub(super) fn status(&self, engine: &Engine, now: Moment) -> HostsStatus {
        let heard = engine.reachable_hosts();
        HostsStatus {
            own: self.gossip.own().clone(),
            members: engine.membership().map_or(1, |membership| membership.members.len()),
            quorum_state: engine.quorum_state(),
            isolated: engine.is_isolated(),
            writer: engine.writer().cloned(),
            can_write: engine.membership().is_some_and(|membership| membership.can_write),
            holds_writer_lease: self.lease.borrow().may_write(),
            mismatches: self.complaints.iter().map(complaint).collect(),
            peers: self.gossip.peers().map(|peer| self.peer(peer, &heard, now)).collect(),
        }
    }

    fn peer(&self, peer: PeerSummary, heard: &BTreeSet<HostName>, now: Moment) -> PeerStatus {
        let ago = |at: Option<Moment>| at.map(|at| now.since(at).as_secs_f64());
        let is_heard = heard.contains(&peer.host);
        let target = |(target, vote): (&Target, &Vote)| PeerTarget {
            pool: target.pool.clone(),
            node: target.node.clone(),
            address: target.address,
            grade: vote.grade,
            shutting_down: vote.shutting_down,
        };
        PeerStatus {
            reachable: is_heard,
            last_contact: ago(peer.last_seen),
            last_direct_contact: ago(peer.last_contact),
            round_trip: peer.round_trip.map(|it| it.as_secs_f64()),
            clock_ahead: peer.clocks.map(|clocks| ahead(clocks, peer.round_trip.unwrap_or_default())),
            abstains: peer.abstains,
            reachable_hosts: peer.reachable.iter().cloned().collect(),
            configuration: peer.configuration.iter().map(|(pool, digest)| (pool.clone(), digest.to_string())).collect(),
            differs: self.differs(&peer.configuration),
            targets: peer.votes.iter().map(target).collect(),
            host: peer.host,
        }
    }
}

/// What each heard host votes on a target, this one first; nothing where there are no others.
pub(super) fn votes(engine: &Engine, target: &Target, own: Vote) -> Vec<HostVote> {
    let Some(membership) = engine.membership() else { return Vec::new() };
    let own = vote(&membership.own, own, engine.is_isolated());
    let others = engine.views().map(|view| {
        let of_target = view.votes.get(target).copied().unwrap_or_default();
        vote(&view.host, of_target, view.abstains)
    });
    [own].into_iter().chain(others).collect()
}

fn vote(host: &HostName, vote: Vote, abstains: bool) -> HostVote {
    HostVote { host: host.clone(), grade: vote.grade, shutting_down: vote.shutting_down, abstains }
}

/// How many seconds the clock of a message is ahead of the one here when it came. It went on while the message was on its way.
fn ahead(ClockReading { peer: theirs, own: ours }: ClockReading, round_trip: Duration) -> f64 {
    let theirs = theirs.after(round_trip / 2);
    theirs.since(ours).as_secs_f64() - ours.since(theirs).as_secs_f64()
}

fn complaint((host, complaint): &(HostName, PeerMismatch)) -> PeerMismatchStatus {
    PeerMismatchStatus { host: host.clone(), message: complaint.message(host), mismatch: complaint.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_went_on_while_its_message_was_on_its_way() {
        let (at, secs) = (
            |peer, own| ClockReading { peer: Moment::from_millis(peer), own: Moment::from_millis(own) },
            Duration::from_secs,
        );
        assert!((ahead(at(10_000, 11_000), secs(2)) - 0.0).abs() < 1e-9, "it is the same");
        assert!((ahead(at(10_000, 70_000), secs(2)) + 59.0).abs() < 1e-9, "it is behind");
    }
}
