//! The messages of other hosts: the checks that they must pass, and the entries that they bring.

use std::time::Duration;

use daymark_decision::{HostName, Moment};

use super::{Freshness, Gossip, Rejection};
use crate::entries::RunVersion;
use crate::message::{DigestEntry, Message};
use crate::peer_state::PeerState;

/// The age up to which a heartbeat proves that a message which repeats it is fresh. An older one means that the message was
/// delayed, or that its sender does not receive this host.
const MAX_HEARTBEAT_AGE: Duration = Duration::from_secs(15);

impl Gossip {
    /// Takes a message in, and tells if it is fresh.
    pub fn handle(&mut self, mut message: Message, now: Moment) -> Result<Freshness, Rejection> {
        let from = message.from.clone();
        // An incarnation just below the bound is overtaken as soon as the clock has moved on by a step.
        let is_plausible = |incarnation: u64| incarnation <= now.latest_plausible().as_millis();
        if !is_plausible(message.incarnation) {
            return Err(Rejection::Implausible(from));
        }
        message.digest.retain(|entry| is_plausible(entry.incarnation));
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
        let has_answered_this_run = link.last_direct_contact.is_some();
        if let Some(reported) = message.digest_of(&self.own).map(|entry| entry.incarnation) {
            if reported > self.incarnation {
                // As a rule, the clock of an earlier run was ahead of this one's. But if the sender has answered this run, it took
                // this one for the newest, so the other run is newer: another host has this name.
                self.has_identity_conflict |= has_answered_this_run;
                self.begin_run_above(reported);
            } else if self.is_ahead_of_this_run(&message) {
                self.was_set_back = true;
                self.begin_run_above(reported);
            }
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

    /// Tells if a message reports entries, a heartbeat or a message of this run that this host has not made.
    fn is_ahead_of_this_run(&self, message: &Message) -> bool {
        let newest_heartbeat = self.heartbeats.back().map_or(0, |heartbeat| heartbeat.number);
        let has_more = |entry: &DigestEntry| {
            entry.incarnation == self.incarnation
                && (entry.version > self.entries.version() || entry.heartbeat > newest_heartbeat)
        };
        let link = self.links.get(&message.from);
        message.digest_of(&self.own).is_some_and(has_more)
            || link.is_some_and(|link| link.is_ahead(message.echo, self.incarnation))
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
            self.peers.entry(entry.host.clone()).or_default().apply_digest(entry, now.before(age), is_sender);
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
}
