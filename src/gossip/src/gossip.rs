//! The gossip of one host with all others: a state machine that takes messages in and gives messages out.
//!
//! It owns this host's entries, the copies of the other hosts' entries, and a [`PeerLink`] to each other host. It has no socket
//! and no clock: the caller passes the time in, delivers what [`Gossip::poll_transmit`] gives, and calls again at
//! [`Gossip::poll_timeout`]. It does not know what the entries mean for an answer.

mod incoming;
mod outgoing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{HostName, Membership, Moment, NodeKey, NodeOverride, PeerView, PoolName};

use crate::entries::{ConfigurationHash, EntryKey, EntryValue, HostEntries};
use crate::message::Message;
use crate::peer_link::PeerLink;
use crate::peer_state::PeerState;
use crate::peer_summary::PeerSummary;

/// The time between two heartbeats of a host.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
/// The number of own heartbeats that are kept, a little more than the age of a fresh one needs.
const MAX_HEARTBEATS: usize = 32;
/// The most removed entries that a run keeps. A new run begins without them.
const MAX_REMOVED: usize = 1_000;
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
    override_entries: Vec<NodeOverride>,
    /// The overrides that are not on the disk of this host.
    unsaved_overrides: BTreeSet<NodeKey>,
    /// The configuration with which overrides were taken last.
    configuration: BTreeMap<PoolName, ConfigurationHash>,
    has_identity_conflict: bool,
    /// Another host has reported more of this run than this host knows.
    was_set_back: bool,
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
    /// The incarnation of the sender is too far in the future.
    #[error("the incarnation of {0} is more than 100 years in the future of this host's clock")]
    Implausible(HostName),
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
            unsaved_overrides: BTreeSet::new(),
            configuration: BTreeMap::new(),
            has_identity_conflict: false,
            was_set_back: false,
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
        if self.entries.removed() > MAX_REMOVED {
            self.begin_run_above(self.incarnation);
            self.entries = HostEntries::default();
            self.entries.set(entries);
        }
        if self.entries.version() != before {
            self.send_soon(now);
        }
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
    pub fn take_override_entries(&mut self) -> Vec<NodeOverride> {
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

    /// Reports the overrides that are not on the disk of this host to the others, with the next exchange.
    pub fn set_unsaved_overrides(&mut self, unsaved: BTreeSet<NodeKey>) {
        if self.unsaved_overrides != unsaved {
            self.unsaved_overrides = unsaved;
            self.revision = None;
        }
    }

    pub(crate) fn unsaved_overrides(&self) -> &BTreeSet<NodeKey> {
        &self.unsaved_overrides
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
                unsaved_overrides: peer.unsaved_overrides(),
            }
        })
    }

    /// Tells if others have reported, since the last call, more of this run than this host knows: its memory was set back, as
    /// when a virtual machine is reverted to a snapshot. A new run has begun then.
    pub fn take_set_back(&mut self) -> bool {
        std::mem::take(&mut self.was_set_back)
    }

    fn begin_run_above(&mut self, incarnation: u64) {
        self.incarnation = incarnation.saturating_add(self.incarnation_step);
    }

    fn send_soon(&mut self, now: Moment) {
        self.links.values_mut().for_each(|link| link.send_soon(now));
    }
}

#[cfg(test)]
mod tests;
