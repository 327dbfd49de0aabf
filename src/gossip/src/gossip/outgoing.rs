//! The messages to other hosts: the digest, and as many entries as fit.

use daymark_decision::{HostName, Moment};

use super::Gossip;
use crate::entries::{HostEntries, RunVersion};
use crate::message::{Delta, DigestEntry, MAX_MESSAGE_BYTES, Message, encoded_len};
use crate::message_size::DELTA_MARGIN_BYTES;
use crate::peer_link::HEARTBEATS_ONLY_AFTER;

impl Gossip {
    /// The digest of all entries that this host has, its own first.
    pub(super) fn digest(&self, now: Moment) -> Vec<DigestEntry> {
        let own = DigestEntry {
            host: self.own.clone(),
            incarnation: self.incarnation,
            heartbeat: self.heartbeats.back().map_or(0, |heartbeat| heartbeat.number),
            heartbeat_age_ms: 0,
            version: self.entries.version(),
        };
        let others = self.peers.iter().map(|(host, peer)| DigestEntry {
            host: host.clone(),
            incarnation: peer.incarnation,
            heartbeat: peer.heartbeat,
            heartbeat_age_ms: u64::try_from(now.since(peer.last_seen).as_millis()).unwrap_or(u64::MAX),
            version: peer.entries.version(),
        });
        [own].into_iter().chain(others).collect()
    }

    /// Builds the message to a host: the digest, and as much as fits of the entries that the host lacks.
    pub(super) fn build_message(&mut self, to: &HostName, now: Moment) -> Option<Message> {
        let digest = self.digest(now);
        let link = self.links.get_mut(to)?;
        let header = link.next_header(now);
        let mut message = Message {
            from: self.own.clone(),
            incarnation: self.incarnation,
            sequence_number: header.sequence_number,
            sent_at: now,
            echo: header.echo,
            digest,
            deltas: Vec::new(),
        };
        let mut room = MAX_MESSAGE_BYTES.saturating_sub(encoded_len(&message));
        let own = EntrySource { host: &self.own, incarnation: self.incarnation, entries: &self.entries };
        let others = self.peers.iter().filter(|(host, _)| *host != to).map(|(host, peer)| EntrySource {
            host,
            incarnation: peer.incarnation,
            entries: &peer.entries,
        });
        // A sign of life over any path counts: this host may reach the other although the other does not reach it.
        let gets_entries = self.peers.get(to).is_some_and(|peer| now.since(peer.last_seen) < HEARTBEATS_ONLY_AFTER);
        let mut has_more = false;
        for source in [own].into_iter().chain(others).filter(|_| gets_entries) {
            let is_own = *source.host == self.own;
            let Some(after) = link.delta_start(source.host, source.run_version(), is_own, now) else { continue };
            let mut delta = source.delta(after, &mut room, TooLong::Wait);
            if delta.up_to == after && message.deltas.is_empty() {
                // A long entry goes alone, with the part of the digest without which it would not be understood.
                message.digest.retain(|entry| [&self.own, to, source.host].contains(&&entry.host));
                let mut most_room = MAX_MESSAGE_BYTES.saturating_sub(encoded_len(&message));
                delta = source.delta(after, &mut most_room, TooLong::Skip);
                room = 0;
                has_more |= delta.up_to > after;
            }
            let is_all = delta.up_to == source.entries.version();
            if delta.up_to > after {
                let up_to = RunVersion { incarnation: source.incarnation, version: delta.up_to };
                link.note_sent(source.host, up_to, is_all, now);
                message.deltas.push(delta);
            }
            has_more |= !is_all && !message.deltas.is_empty();
        }
        let own_version = RunVersion { incarnation: self.incarnation, version: self.entries.version() };
        let is_unconfirmed = gets_entries && link.is_behind(&self.own, own_version);
        link.schedule_next(has_more, is_unconfirmed, self.next_heartbeat, now);
        Some(message)
    }
}

/// A host whose entries go into a message.
struct EntrySource<'a> {
    host: &'a HostName,
    incarnation: u64,
    entries: &'a HostEntries,
}

/// The treatment of an entry that is too long for the room that is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TooLong {
    /// It waits for a message with more room, and those behind it wait too: a delta has no gaps.
    Wait,
    /// It is left out, since no message has more room. It must not hold up those behind it.
    Skip,
}

impl EntrySource<'_> {
    fn run_version(&self) -> RunVersion {
        RunVersion { incarnation: self.incarnation, version: self.entries.version() }
    }

    /// As many entries after a version as there is room for, the oldest first: no entry may go while an older one is left out
    /// (van Renesse et al., section 3.2).
    fn delta(&self, after: u64, room: &mut usize, too_long: TooLong) -> Delta {
        let mut delta =
            Delta { host: self.host.clone(), incarnation: self.incarnation, after, up_to: after, entries: Vec::new() };
        let Some(mut left) = room.checked_sub(encoded_len(&delta).saturating_add(DELTA_MARGIN_BYTES)) else {
            return delta;
        };
        for entry in self.entries.changed_after(after) {
            let Some(rest) = left.checked_sub(encoded_len(&entry)) else {
                if too_long == TooLong::Skip && delta.entries.is_empty() {
                    delta.up_to = entry.version;
                    continue;
                }
                *room = 0;
                return delta;
            };
            left = rest;
            delta.up_to = entry.version;
            delta.entries.push(entry);
        }
        delta.up_to = self.entries.version();
        *room = left;
        delta
    }
}
