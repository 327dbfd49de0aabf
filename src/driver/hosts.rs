//! The other hosts, as the driver deals with them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use daymark_decision::{Engine, HostName, Moment, PoolName, Target, Vote};
use daymark_gossip::{Digest, Gossip, Message, Peer, Transmit, Unheard, exchange};
use tokio::sync::{mpsc, watch};
use tracing::warn;

use crate::metrics::Metrics;
use crate::role::{Candidate, Role};
use crate::status::{HostVote, HostsStatus, PeerStatus, PeerTarget};

/// The gossip, and where what it says goes.
#[derive(Debug)]
pub struct Hosts {
    gossip: Gossip,
    /// What the others are told of each pool's configuration.
    digests: BTreeMap<PoolName, Digest>,
    to_send: mpsc::Sender<Letter>,
    /// Where each host has spoken from last.
    spoken_from: BTreeMap<HostName, SocketAddr>,
    /// Whether this host writes where only one may.
    role: watch::Sender<Role>,
    candidate: Candidate,
    metrics: Metrics,
    /// What was said once of those that are not listened to.
    complained: BTreeSet<String>,
}

/// A message to another host.
#[derive(Debug)]
pub struct Letter {
    /// The message.
    pub transmit: Transmit,
    /// Where the host has spoken from last, which may not be one of its addresses.
    pub also_to: Option<SocketAddr>,
}

impl Hosts {
    /// The gossip goes to `to_send`; where that is full, it is lost as on the network, and sent again. `role` is told whether
    /// this host is the one that writes.
    pub fn new(
        gossip: Gossip,
        digests: BTreeMap<PoolName, Digest>,
        to_send: mpsc::Sender<Letter>,
        role: watch::Sender<Role>,
        metrics: Metrics,
    ) -> Self {
        let (spoken_from, complained) = (BTreeMap::new(), BTreeSet::new());
        let candidate = Candidate::default();
        Self { gossip, digests, to_send, spoken_from, role, candidate, metrics, complained }
    }

    pub(super) fn configure(&mut self, digests: BTreeMap<PoolName, Digest>) {
        self.digests = digests;
    }

    pub(super) fn poll_timeout(&self) -> Moment {
        self.gossip.poll_timeout()
    }

    pub(super) fn hear(&mut self, message: Message, from: SocketAddr, now: Moment) {
        let host = message.from.clone();
        let unheard = match self.gossip.handle(message, now) {
            Ok(true) => {
                self.spoken_from.insert(host, from);
                return;
            }
            Ok(false) => return,
            Err(unheard) => unheard,
        };
        let reason = match unheard {
            Unheard::Replayed(_) => "replayed",
            Unheard::Stranger(_) => "stranger",
            Unheard::OwnName(_) => "own-name",
        };
        self.metrics.refuse_datagram(reason);
        let sentence = unheard.to_string();
        // What comes twice on its way is nobody's fault.
        if !matches!(unheard, Unheard::Replayed(_)) && self.complained.insert(sentence.clone()) {
            warn!("{sentence}");
        }
    }

    pub(super) fn exchange(&mut self, engine: &mut Engine, now: Moment) {
        exchange(engine, &mut self.gossip, &self.digests, now);
        while let Some(transmit) = self.gossip.poll_transmit(now) {
            let also_to = self.spoken_from.get(&transmit.to).copied();
            if self.to_send.try_send(Letter { transmit, also_to }).is_err() {
                self.metrics.refuse_datagram("unsent");
            }
        }
        self.role.send_replace(self.candidate.role(&engine.membership().own, engine.writer(), now));
    }

    pub(super) fn status(&self, engine: &Engine, now: Moment) -> HostsStatus {
        let heard = engine.hears();
        let members = engine.membership();
        HostsStatus {
            own: members.own.clone(),
            members: members.members.len(),
            standing: engine.standing(),
            blind: engine.is_blind(),
            writer: engine.writer().cloned(),
            peers: self.gossip.peers().map(|peer| self.peer(peer, &heard, now)).collect(),
        }
    }

    fn peer(&self, peer: Peer, heard: &BTreeSet<HostName>, now: Moment) -> PeerStatus {
        let ago = |at: Option<Moment>| at.map(|at| now.since(at).as_secs_f64());
        let is_heard = heard.contains(&peer.host);
        let ahead =
            peer.clocks.map(|(theirs, ours)| theirs.since(ours).as_secs_f64() - ours.since(theirs).as_secs_f64());
        let target = |(target, vote): (&Target, &Vote)| PeerTarget {
            pool: target.pool.clone(),
            node: target.node.clone(),
            address: target.address,
            grade: vote.grade,
            shutting_down: vote.shutting_down,
        };
        let differs = |pool: &&PoolName| peer.configuration.get(*pool) != self.digests.get(*pool);
        let pools: BTreeSet<&PoolName> = peer.configuration.keys().chain(self.digests.keys()).collect();
        PeerStatus {
            heard: is_heard,
            age: ago(peer.said),
            direct_age: ago(peer.heard),
            round_trip: peer.round_trip.map(|it| it.as_secs_f64()),
            clock_ahead: ahead,
            abstains: peer.abstains,
            hears: peer.hears.iter().cloned().collect(),
            configuration: peer.configuration.iter().map(|(pool, digest)| (pool.clone(), hex(*digest))).collect(),
            // Of a host that has told nothing yet, nothing is known to differ.
            differs: pools.into_iter().filter(differs).filter(|_| !peer.configuration.is_empty()).cloned().collect(),
            targets: peer.votes.iter().map(target).collect(),
            host: peer.host,
        }
    }
}

/// What each heard host votes on a target, this one first; nothing where there are no others.
pub(super) fn votes(engine: &Engine, target: &Target, own: Vote) -> Vec<HostVote> {
    if !engine.membership().has_others() {
        return Vec::new();
    }
    let own = vote(&engine.membership().own, own, engine.is_blind());
    let others = engine.views().map(|view| {
        let of_target = view.votes.get(target).copied().unwrap_or_default();
        vote(&view.host, of_target, view.abstains)
    });
    [own].into_iter().chain(others).collect()
}

fn vote(host: &HostName, vote: Vote, abstains: bool) -> HostVote {
    HostVote { host: host.clone(), grade: vote.grade, shutting_down: vote.shutting_down, abstains }
}

fn hex(digest: Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
