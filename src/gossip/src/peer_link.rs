//! The traffic with one other host: what it has, what was sent to it, and when to send next.
//!
//! Each message says in its digest how far its sender has every host's entries. So a link learns what the other lacks. It sends
//! that, waits [`RESEND_AFTER`], and sends it again until a later digest shows that it arrived. There are no acknowledgements
//! beside the digests. Between changes, a link sends heartbeats alone.
//!
//! A link also judges the other host's messages. It accepts each once, and none of an earlier run. A host counts as *reachable*
//! if it has answered this run of this host within [`UNREACHABLE_AFTER`].
//!
//! A link has no entries itself; [`Gossip`](crate::Gossip) puts them into messages. It knows nothing of datagrams.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use daymark_decision::{HostName, Moment};

use crate::entries::RunVersion;
use crate::message::{DigestEntry, Echo, Message};
use crate::peer_summary::ClockReading;
use crate::replay_window::ReplayWindow;

/// The time after which entries are sent again if no digest shows that they arrived.
const RESEND_AFTER: Duration = Duration::from_millis(200);
/// The least time between two messages to one host. Changes within it go into one message.
const MIN_SEND_INTERVAL: Duration = Duration::from_millis(5);
/// The time without an answer, or without the entries that are awaited, after which a host counts as unreachable.
pub(crate) const UNREACHABLE_AFTER: Duration = Duration::from_secs(5);
/// The time without a sign of life after which a host gets heartbeats only. Until then it gets entries too, since it may
/// receive although it is not received.
pub(crate) const HEARTBEATS_ONLY_AFTER: Duration = Duration::from_secs(20);
/// The age up to which a message that was answered shows that the path works both ways now.
const RECENT: Duration = Duration::from_secs(2);
/// The number of sent messages whose round trip can still be measured.
const MAX_MEASURED: usize = 64;

/// The last message that came from the other host.
#[derive(Clone, Copy, Debug)]
struct ReceivedMessage {
    incarnation: u64,
    sequence_number: u64,
    at: Moment,
}

/// A message that was sent and not echoed yet.
#[derive(Clone, Copy, Debug)]
struct SentMessage {
    sequence_number: u64,
    at: Moment,
}

/// The entries of one host that were sent.
#[derive(Clone, Copy, Debug)]
struct SentEntries {
    up_to: RunVersion,
    /// The time at which the first of them was sent that is not known to have arrived.
    at: Moment,
}

/// The header fields of a message that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) sequence_number: u64,
    pub(crate) echo: Option<Echo>,
}

/// The traffic with one other host.
#[derive(Clone, Debug)]
pub(crate) struct PeerLink {
    /// The newest run of the other that is known, over any path.
    newest_incarnation: u64,
    /// The newest run of the other from which a message came.
    incarnation: u64,
    /// The messages of that run that have arrived.
    replay_window: ReplayWindow,
    last_received: Option<ReceivedMessage>,
    /// The last time at which the other answered this run of this host.
    pub(crate) last_direct_contact: Option<Moment>,
    pub(crate) round_trip: Option<Duration>,
    /// The time of sending of the last message that was answered.
    last_answered: Option<Moment>,
    pub(crate) clocks: Option<ClockReading>,
    next_sequence_number: u64,
    /// In the order of sending.
    sent: VecDeque<SentMessage>,
    last_sent: Option<Moment>,
    due: Moment,
    /// The version up to which the other has each host's entries, by its own digests.
    received_by_peer: BTreeMap<HostName, RunVersion>,
    sent_to_peer: BTreeMap<HostName, SentEntries>,
    /// The hosts of which the other lacks entries, by its last digest.
    lacking: BTreeSet<HostName>,
}

impl PeerLink {
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            newest_incarnation: 0,
            incarnation: 0,
            replay_window: ReplayWindow::default(),
            last_received: None,
            last_direct_contact: None,
            round_trip: None,
            last_answered: None,
            clocks: None,
            next_sequence_number: 0,
            sent: VecDeque::new(),
            last_sent: None,
            due: now,
            received_by_peer: BTreeMap::new(),
            sent_to_peer: BTreeMap::new(),
            lacking: BTreeSet::new(),
        }
    }

    /// Records a message. Returns `false` if it arrived before or is of an earlier run.
    pub(crate) fn accept(&mut self, message: &Message, now: Moment) -> bool {
        if message.incarnation < self.incarnation {
            return false;
        }
        if message.incarnation > self.incarnation {
            self.incarnation = message.incarnation;
            self.replay_window = ReplayWindow::default();
            self.begin_run(message.incarnation);
        }
        if !self.replay_window.accept(message.sequence_number) {
            return false;
        }
        self.last_received = Some(ReceivedMessage {
            incarnation: message.incarnation,
            sequence_number: message.sequence_number,
            at: now,
        });
        self.clocks = Some(ClockReading { peer: message.sent_at, own: now });
        // A message with a long entry has a partial digest. A run keeps what it had, but a later run begins with nothing.
        if message.incarnation >= self.newest_incarnation {
            for entry in &message.digest {
                let received = self.received_by_peer.entry(entry.host.clone()).or_default();
                *received = (*received).max(entry.run_version());
            }
        }
        true
    }

    /// Records that a run of the other exists. A new run has nothing that an earlier one received.
    pub(crate) fn begin_run(&mut self, incarnation: u64) {
        if incarnation > self.newest_incarnation {
            self.newest_incarnation = incarnation;
            self.received_by_peer.clear();
            self.sent_to_peer.clear();
        }
    }

    /// Tells if the other has answered this run within [`UNREACHABLE_AFTER`].
    pub(crate) fn is_directly_reachable(&self, now: Moment) -> bool {
        self.last_direct_contact.is_some_and(|contact| now.since(contact) < UNREACHABLE_AFTER)
    }

    /// Tells if the other has answered a message that was sent within [`RECENT`].
    pub(crate) fn is_answering(&self, now: Moment) -> bool {
        self.last_answered.is_some_and(|sent| now.since(sent) < RECENT)
    }

    /// Tells if an echo is of a message of the run `incarnation` of this host that was not sent yet.
    pub(crate) fn is_ahead(&self, echo: Option<Echo>, incarnation: u64) -> bool {
        echo.is_some_and(|echo| echo.incarnation == incarnation && echo.sequence_number >= self.next_sequence_number)
    }

    /// Measures the round trip if the echo is of a message of the run `incarnation` of this host.
    pub(crate) fn measure_round_trip(&mut self, echo: Option<Echo>, incarnation: u64, now: Moment) {
        let Some(echo) = echo.filter(|echo| echo.incarnation == incarnation) else { return };
        if let Some(index) = self.sent.iter().position(|sent| sent.sequence_number == echo.sequence_number) {
            let sent_at = self.sent[index].at;
            self.sent.drain(..=index);
            self.last_answered = Some(sent_at);
            self.round_trip = Some(now.since(sent_at).saturating_sub(Duration::from_millis(echo.held_ms)));
        }
    }

    /// Finds the hosts of which the other has less than this host, whose digest is given.
    pub(crate) fn compare(&mut self, digest: impl Iterator<Item = DigestEntry>) {
        let lacking = digest.filter(|entry| entry.version > 0 && self.is_behind(&entry.host, entry.run_version()));
        self.lacking = lacking.map(|entry| entry.host).collect();
    }

    /// The version after which to send a host's entries, of which this host has `known`; `None` if nothing is to be sent.
    ///
    /// Of a third host, the other gets entries only if its digest shows that it lacks some: most of the time, it has them from
    /// that host directly.
    pub(crate) fn delta_start(&self, host: &HostName, known: RunVersion, is_own: bool, now: Moment) -> Option<u64> {
        // If the other is not reachable, its digest is not known, so it gets everything.
        if !is_own && self.is_directly_reachable(now) && !self.lacking.contains(host) {
            return None;
        }
        let received = self.received_by_peer.get(host).map_or(0, |received| received.version_of(known.incarnation));
        let sent = self.sent_to_peer.get(host).filter(|sent| now.since(sent.at) < RESEND_AFTER);
        let sent = sent.map_or(0, |sent| sent.up_to.version_of(known.incarnation));
        let after = received.max(sent);
        (after < known.version).then_some(after)
    }

    /// Records that a host's entries were sent, up to a version. `is_all` says that this host has no more of them.
    pub(crate) fn note_sent(&mut self, host: &HostName, up_to: RunVersion, is_all: bool, now: Moment) {
        let received = self.received_by_peer.get(host).copied().unwrap_or_default();
        // The time of the first unconfirmed entries counts. Otherwise, new entries would put off the resending of lost ones.
        let unconfirmed = self.sent_to_peer.get(host).filter(|sent| {
            sent.up_to.incarnation == up_to.incarnation && sent.up_to > received && now.since(sent.at) < RESEND_AFTER
        });
        let at = unconfirmed.map_or(now, |sent| sent.at);
        self.sent_to_peer.insert(host.clone(), SentEntries { up_to, at });
        if is_all {
            self.lacking.remove(host);
        }
    }

    /// Tells if the other has less of a host's entries than `known`, by its own digests.
    pub(crate) fn is_behind(&self, host: &HostName, known: RunVersion) -> bool {
        self.received_by_peer.get(host).copied().unwrap_or_default() < known
    }

    /// Numbers a message that is sent now.
    pub(crate) fn next_header(&mut self, now: Moment) -> Header {
        let sequence_number = self.next_sequence_number;
        self.next_sequence_number = self.next_sequence_number.saturating_add(1);
        self.sent.push_back(SentMessage { sequence_number, at: now });
        if self.sent.len() > MAX_MEASURED {
            self.sent.pop_front();
        }
        self.last_sent = Some(now);
        let echo = self.last_received.map(|received| Echo {
            incarnation: received.incarnation,
            sequence_number: received.sequence_number,
            held_ms: u64::try_from(now.since(received.at).as_millis()).unwrap_or(u64::MAX),
        });
        Header { sequence_number, echo }
    }

    /// The time at which the next message is to be sent.
    pub(crate) fn due(&self) -> Moment {
        self.due
    }

    /// Makes the next message due as soon as [`MIN_SEND_INTERVAL`] allows.
    pub(crate) fn send_soon(&mut self, now: Moment) {
        let soonest = self.last_sent.map_or(now, |last| last.after(MIN_SEND_INTERVAL)).max(now);
        self.due = self.due.min(soonest);
    }

    /// Sets the time of the next message after one was sent: at once if there is more to send, soon if some of it may be lost,
    /// or else with the next heartbeat.
    pub(crate) fn schedule_next(&mut self, has_more: bool, is_unconfirmed: bool, heartbeat: Moment, now: Moment) {
        self.due = if has_more {
            now.after(MIN_SEND_INTERVAL)
        } else if is_unconfirmed {
            now.after(RESEND_AFTER).min(heartbeat)
        } else {
            heartbeat
        };
    }
}
