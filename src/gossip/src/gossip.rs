//! The gossip of one host with all others: a state machine that takes messages in and gives messages out.
//!
//! It owns this host's entries, the copies of the other hosts' entries, and a [`PeerLink`] to each other host. It has no socket
//! and no clock: the caller passes the time in, delivers what [`Gossip::poll_transmit`] gives, and calls again at
//! [`Gossip::poll_timeout`]. It does not know what the entries mean for an answer.

mod outgoing;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{HostName, Membership, Moment, NodeKey, OverrideEntry, PeerView, PoolName};

use crate::entries::{ConfigurationHash, EntryKey, EntryValue, HostEntries, RunVersion};
use crate::message::Message;
use crate::peer_link::PeerLink;
use crate::peer_state::PeerState;
use crate::peer_summary::PeerSummary;

/// The time between two heartbeats of a host.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
/// The age up to which a heartbeat proves that a message which repeats it is fresh. An older one means that the message was
/// delayed, or that its sender does not receive this host.
const MAX_HEARTBEAT_AGE: Duration = Duration::from_secs(15);
/// The number of own heartbeats that are kept, a little more than [`MAX_HEARTBEAT_AGE`] needs.
const MAX_HEARTBEATS: usize = 32;
/// The most by which a run raises its incarnation above that of an earlier run.
const MAX_INCARNATION_STEP: u64 = 60_000;

/// The gossip of one host with all others.
///
/// Moments are of this host's own clock, and none may be earlier than the one before.
#[derive(Clone, Debug)]
pub struct Gossip {
    own: HostName,
    incarnation: u64,
    /// The step by which this run goes above an earlier one that others report. It differs from run to run: two runs that
    /// learn of the same earlier run would otherwise take the same incarnation.
    incarnation_step: u64,
    entries: HostEntries,
    /// The newest is the last.
    heartbeats: VecDeque<Heartbeat>,
    next_heartbeat: Moment,
    peers: BTreeMap<HostName, PeerState>,
    links: BTreeMap<HostName, PeerLink>,
    /// Overrides that have arrived and were not taken yet.
    override_entries: Vec<(NodeKey, OverrideEntry)>,
    /// The configuration with which overrides were taken last.
    configuration: BTreeMap<PoolName, ConfigurationHash>,
    has_identity_conflict: bool,
    /// The revision of the engine whose entries are set here.
    revision: Option<u64>,
}

/// A heartbeat of this host.
#[derive(Clone, Copy, Debug)]
struct Heartbeat {
    number: u64,
    at: Moment,
}

/// A view of another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedView {
    /// The view.
    pub view: PeerView,
    /// The last sign of life of its host.
    pub last_seen: Moment,
}

/// A message that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The addressee.
    pub to: HostName,
    /// The message.
    pub message: Message,
}

/// The age of an accepted message, so far as it can be proved.
///
/// A message is fresh if it repeats a recent heartbeat of this run. The sequence number does not prove that once this host has
/// restarted, and clocks are not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The message was sent a moment ago.
    Fresh,
    /// The message may be old. Its entries are ignored.
    Unproven {
        /// The sender answers over the path that is known. If it does not, it may have moved, so the address from which this
        /// message came is worth one answer.
        is_sender_reachable: bool,
    },
}

/// The reason for which a message was ignored. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Another host has this host's name.
    #[error("another host calls itself {0} too; every host needs a name of its own")]
    IdentityConflict(HostName),
    /// The sender is not a member.
    #[error("{0} is not among the members that are configured here")]
    UnknownPeer(HostName),
    /// The message arrived before, or is from an earlier run of its sender.
    #[error("a message of {0} arrived before, or is from an earlier run of it")]
    Replayed(HostName),
}

impl Gossip {
    /// Begins a run.
    ///
    /// `incarnation` should be greater than that of every earlier run of this host. If it is not, the others report the earlier
    /// run, and this one goes above it.
    pub fn new(membership: &Membership, incarnation: u64, now: Moment) -> Self {
        let others = membership.members.iter().filter(|member| **member != membership.own);
        Self {
            own: membership.own.clone(),
            incarnation,
            incarnation_step: (incarnation % MAX_INCARNATION_STEP).saturating_add(1),
            entries: HostEntries::default(),
            heartbeats: VecDeque::from([Heartbeat { number: 0, at: now }]),
            next_heartbeat: now.after(HEARTBEAT_INTERVAL),
            peers: BTreeMap::new(),
            links: others.map(|other| (other.clone(), PeerLink::new(now))).collect(),
            override_entries: Vec::new(),
            configuration: BTreeMap::new(),
            has_identity_conflict: false,
            revision: None,
        }
    }

    /// The name of this host.
    pub fn own(&self) -> &HostName {
        &self.own
    }

    /// The incarnation of this run. It only rises.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Records the revision of the engine. Returns `true` if the entries here may be older than it.
    pub(crate) fn is_behind(&mut self, revision: u64) -> bool {
        self.revision.replace(revision) != Some(revision)
    }

    /// Replaces all entries of this host by these.
    pub fn set_entries(&mut self, entries: &BTreeMap<EntryKey, EntryValue>, now: Moment) {
        let before = self.entries.version();
        self.entries.set(entries);
        if self.entries.version() != before {
            self.send_soon(now);
        }
    }

    /// Takes a message in, and tells if it is fresh.
    pub fn handle(&mut self, message: Message, now: Moment) -> Result<Freshness, Rejection> {
        let from = message.from.clone();
        if from == self.own {
            // An earlier run of this host is not another host.
            let is_earlier_run = message.incarnation < self.incarnation;
            return Err(if is_earlier_run { Rejection::Replayed(from) } else { Rejection::IdentityConflict(from) });
        }
        let is_fresh = self.is_fresh(&message, now);
        let Some(link) = self.links.get_mut(&from) else { return Err(Rejection::UnknownPeer(from)) };
        let is_sender_reachable = link.is_directly_reachable(now);
        if !link.accept(&message, now) {
            return Err(Rejection::Replayed(from));
        }
        if is_fresh {
            link.last_direct_contact = Some(now);
            link.measure_round_trip(message.echo, self.incarnation, now);
        }
        if let Some(entry) = message.digest_of(&self.own).filter(|entry| entry.incarnation > self.incarnation) {
            // As a rule, the clock of an earlier run was ahead of this one's. But if the sender has answered this run, it took
            // this one for the newest, so the other run is newer: another host has this name.
            self.has_identity_conflict |= link.last_direct_contact.is_some();
            self.incarnation = entry.incarnation.saturating_add(self.incarnation_step);
        }
        let has_deltas = if is_fresh {
            self.apply(message, now)
        } else {
            self.note_unproven(&message);
            false
        };
        self.compare_with(&from, has_deltas || !is_fresh, now);
        Ok(if is_fresh { Freshness::Fresh } else { Freshness::Unproven { is_sender_reachable } })
    }

    /// The next message that is due. The caller asks until there is none.
    pub fn poll_transmit(&mut self, now: Moment) -> Option<Transmit> {
        while self.next_heartbeat <= now {
            let number = self.heartbeats.back().map_or(0, |heartbeat| heartbeat.number.saturating_add(1));
            self.heartbeats.push_back(Heartbeat { number, at: now });
            if self.heartbeats.len() > MAX_HEARTBEATS {
                self.heartbeats.pop_front();
            }
            self.next_heartbeat = self.next_heartbeat.after(HEARTBEAT_INTERVAL).max(now);
            self.send_soon(now);
        }
        let to = self.links.iter().find(|(_, link)| link.due() <= now).map(|(host, _)| host.clone())?;
        let message = self.build_message(&to, now)?;
        Some(Transmit { to, message })
    }

    /// The time at which [`Gossip::poll_transmit`] has a message next.
    pub fn poll_timeout(&self) -> Moment {
        self.links.values().map(PeerLink::due).min().unwrap_or(self.next_heartbeat).min(self.next_heartbeat)
    }

    /// Takes the overrides that have arrived since the last call.
    pub fn take_override_entries(&mut self) -> Vec<(NodeKey, OverrideEntry)> {
        std::mem::take(&mut self.override_entries)
    }

    /// Gives all known overrides once more if the configuration has changed, since one for a node that was not configured had
    /// no effect.
    pub(crate) fn set_configuration(&mut self, configuration: &BTreeMap<PoolName, ConfigurationHash>) {
        if self.configuration == *configuration {
            return;
        }
        self.configuration.clone_from(configuration);
        let known =
            self.peers.values().flat_map(|peer| peer.entries.iter().filter_map(|(key, _)| peer.override_entry(key)));
        self.override_entries.extend(known);
    }

    /// Tells if others have reported, since the last call, that another host uses this host's name.
    pub fn take_identity_conflict(&mut self) -> bool {
        std::mem::take(&mut self.has_identity_conflict)
    }

    /// Takes the views that have changed since the last call.
    pub fn take_views(&mut self) -> Vec<ReceivedView> {
        let changed = self.peers.iter_mut().filter(|(_, peer)| peer.is_changed && peer.is_complete);
        changed
            .map(|(host, peer)| {
                peer.is_changed = false;
                peer.views = peer.views.saturating_add(1);
                let view = PeerView {
                    host: host.clone(),
                    incarnation: peer.incarnation,
                    sequence: peer.views,
                    votes: Arc::clone(&peer.votes),
                    abstains: peer.abstains(),
                    eligible_writer: peer.is_eligible_writer(),
                    reachable: peer.reachable_hosts(),
                };
                ReceivedView { view, last_seen: peer.last_seen }
            })
            .collect()
    }

    /// Tells if another host has answered this one directly within the last seconds.
    pub fn is_directly_reachable(&self, host: &HostName, now: Moment) -> bool {
        self.links.get(host).is_some_and(|link| link.is_directly_reachable(now))
    }

    /// Tells if another host has answered, directly, a message that was sent within the last two seconds.
    pub fn is_answering(&self, host: &HostName, now: Moment) -> bool {
        self.links.get(host).is_some_and(|link| link.is_answering(now))
    }

    /// All other hosts, by name.
    pub fn peers(&self) -> impl Iterator<Item = PeerSummary> {
        let unknown = PeerState::default();
        self.links.iter().map(move |(host, link)| {
            let peer = self.peers.get(host).unwrap_or(&unknown);
            PeerSummary {
                host: host.clone(),
                last_seen: Some(peer.last_seen).filter(|seen| *seen > Moment::default()),
                last_direct_contact: link.last_direct_contact,
                round_trip: link.round_trip,
                clocks: link.clocks,
                votes: Arc::clone(&peer.votes),
                abstains: peer.abstains(),
                reachable: peer.reachable_hosts(),
                configuration: peer.configuration(),
                members: peer.members(),
            }
        })
    }

    /// Tells if a message repeats a recent heartbeat of this run.
    fn is_fresh(&self, message: &Message, now: Moment) -> bool {
        let Some(entry) = message.digest_of(&self.own).filter(|entry| entry.incarnation == self.incarnation) else {
            return false;
        };
        self.heartbeats
            .iter()
            .any(|heartbeat| heartbeat.number == entry.heartbeat && now.since(heartbeat.at) <= MAX_HEARTBEAT_AGE)
    }

    /// Takes in the digest and the deltas of a fresh message. Returns `true` if a delta was of a known run.
    fn apply(&mut self, message: Message, now: Moment) -> bool {
        for entry in &message.digest {
            let Some(link) = self.links.get_mut(&entry.host) else { continue };
            link.begin_run(entry.incarnation);
            let is_sender = entry.host == message.from;
            let age = if is_sender { Duration::ZERO } else { Duration::from_millis(entry.heartbeat_age_ms) };
            self.peers.entry(entry.host.clone()).or_default().apply_digest(entry, now.before(age));
        }
        if let Some(peer) = self.peers.get_mut(&message.from) {
            peer.note_alive(now);
        }
        let mut has_deltas = false;
        for delta in message.deltas {
            let Some(peer) = self.peers.get_mut(&delta.host).filter(|peer| peer.incarnation == delta.incarnation)
            else {
                continue;
            };
            has_deltas = true;
            let mut entries = delta.entries;
            for entry in &mut entries {
                entry.value = entry.value.take().map(|value| value.shifted(message.sent_at, now));
            }
            let changed = peer.entries.apply(delta.after, delta.up_to, entries);
            self.override_entries.extend(changed.iter().filter_map(|key| peer.override_entry(key)));
            peer.note_changes(&changed);
        }
        has_deltas
    }

    /// Records the run and the heartbeat of the sender of a message that may be old.
    ///
    /// Nothing else of the message counts. But the next message to the sender repeats its heartbeat, which lets it see that this
    /// host receives it now.
    fn note_unproven(&mut self, message: &Message) {
        let peer = self.peers.entry(message.from.clone()).or_default();
        if peer.incarnation < message.incarnation {
            *peer = PeerState::of_run(message.incarnation);
        }
        if let Some(entry) = message.digest_of(&message.from).filter(|entry| entry.incarnation == peer.incarnation) {
            peer.heartbeat = peer.heartbeat.max(entry.heartbeat);
        }
    }

    /// Compares what this host has with what a peer has, and answers soon if the peer lacks anything or `must_answer`.
    fn compare_with(&mut self, host: &HostName, must_answer: bool, now: Moment) {
        let digest = self.digest(now);
        let Some(link) = self.links.get_mut(host) else { return };
        link.compare(digest.into_iter().filter(|entry| entry.host != *host));
        let lacks_entries = self.peers.iter().any(|(of, peer)| {
            let known = RunVersion { incarnation: peer.incarnation, version: peer.entries.version() };
            link.delta_start(of, known, false, now).is_some()
        });
        if must_answer || lacks_entries {
            link.send_soon(now);
        }
    }

    fn send_soon(&mut self, now: Moment) {
        self.links.values_mut().for_each(|link| link.send_soon(now));
    }
}

#[cfg(test)]
mod tests;
