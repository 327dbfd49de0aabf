//! The gossip of one host with all others.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{HostName, Membership, Moment, NodeName, OverrideEntry, PeerView, PoolName};

use crate::facts::{Digest, Fact, Facts, Topic};
use crate::known::Known;
use crate::link::{LOST, Link};
use crate::message::{Head, MOST_BYTES, Message, News, length};
use crate::peer::Peer;

/// How often a host gives a sign of life.
const BEAT: Duration = Duration::from_millis(500);
/// What was said in answer to a sign of life that is older than this does not count: it was held back on its way, or its
/// sender does not hear this host.
const LATE: Duration = Duration::from_secs(15);
/// So many signs of life are remembered, which is a little more than [`LATE`].
const BEATS: usize = 32;
/// So many milliseconds above an earlier run a new one is at the most.
const STEPS: u64 = 60_000;

/// The gossip of one host with all others. Moments are its own clock's; none may be earlier than the one before.
#[derive(Clone, Debug)]
pub struct Gossip {
    own: HostName,
    incarnation: u64,
    /// By how much this run goes above an earlier one of which it is told. Another run that is told of the same one goes
    /// elsewhere, or the two would be taken for one.
    step: u64,
    facts: Facts,
    beats: VecDeque<(u64, Moment)>,
    next_beat: Moment,
    known: BTreeMap<HostName, Known>,
    links: BTreeMap<HostName, Link>,
    /// The words that have come and are not taken yet.
    words: Vec<(PoolName, NodeName, OverrideEntry)>,
    /// With which configuration the words were taken.
    configuration: BTreeMap<PoolName, Digest>,
    /// Whether another host speaks in the name of this one.
    has_twin: bool,
    /// Up to which revision of the engine this host has said what there is to say.
    revision: Option<u64>,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The addressee.
    pub to: HostName,
    /// The message.
    pub message: Message,
}

/// When a message was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A moment ago.
    Now,
    /// Perhaps long ago, but nothing else is heard of its sender, who may have moved: it is worth one answer to where the
    /// message came from.
    Perhaps,
    /// Perhaps long ago.
    Late,
}

/// Why a message was not listened to. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// It bears this host's own name.
    #[error("another host calls itself {0} too; every host needs a name of its own")]
    OwnName(HostName),
    /// Its sender is no member.
    #[error("{0} speaks, and is not among the members that are configured here")]
    Stranger(HostName),
    /// It has come already, or is from an earlier run of its sender.
    #[error("a message of {0} has come before, or is from an earlier run of it")]
    Replayed(HostName),
}

impl Gossip {
    /// The gossip of a run that begins now. `incarnation` is to be greater than that of an earlier run; where it is not, the
    /// others tell, and it is raised.
    pub fn new(membership: &Membership, incarnation: u64, now: Moment) -> Self {
        let others = membership.members.iter().filter(|member| **member != membership.own);
        Self {
            own: membership.own.clone(),
            incarnation,
            step: 1 + incarnation % STEPS,
            facts: Facts::default(),
            beats: VecDeque::from([(0, now)]),
            next_beat: now.after(BEAT),
            known: BTreeMap::new(),
            links: others.map(|other| (other.clone(), Link::new(now))).collect(),
            words: Vec::new(),
            configuration: BTreeMap::new(),
            has_twin: false,
            revision: None,
        }
    }

    /// Whether the engine may have something to say since it was asked last.
    pub(crate) fn is_behind(&mut self, revision: u64) -> bool {
        self.revision.replace(revision) != Some(revision)
    }

    /// The name of this host.
    pub fn own(&self) -> &HostName {
        &self.own
    }

    /// Which run this is. It only rises.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Says exactly these facts from now on.
    pub fn say(&mut self, facts: &BTreeMap<Topic, Fact>, now: Moment) {
        let before = self.facts.version();
        self.facts.say(facts);
        if self.facts.version() != before {
            self.links.values_mut().for_each(|link| link.hurry(now));
        }
    }

    /// Listens to a message, and tells when it was said.
    pub fn handle(&mut self, message: Message, now: Moment) -> Result<Heard, Unheard> {
        let from = message.from.clone();
        if from == self.own {
            // Two runs of this host one after the other are one host.
            let is_former = message.incarnation < self.incarnation;
            return Err(if is_former { Unheard::Replayed(from) } else { Unheard::OwnName(from) });
        }
        let Some(link) = self.links.get_mut(&from) else { return Err(Unheard::Stranger(from)) };
        let is_current = is_answer(&message, &self.own, self.incarnation, &self.beats, now);
        let is_silent = !link.is_there(now);
        if !link.take(&message, now) {
            return Err(Unheard::Replayed(from));
        }
        if is_current {
            link.heard = Some(now);
            link.measure(message.echo, self.incarnation, now);
        }
        if let Some(head) = message.head(&self.own).filter(|head| head.incarnation > self.incarnation) {
            // An earlier run had a clock ahead of this one. But who knew this run as the newest has heard another since.
            self.has_twin |= link.heard.is_some();
            self.incarnation = head.incarnation.saturating_add(self.step);
        }
        let brought = if is_current {
            self.learn(message, now)
        } else {
            self.meet(&message);
            false
        };
        let heads: Vec<Head> = self.heads(now);
        if let Some(link) = self.links.get_mut(&from) {
            link.compare(heads.into_iter().filter(|head| head.host != from));
            let has_to_tell = self.known.iter().any(|(host, known)| {
                link.lacks_after(host, (known.incarnation, known.facts.version()), false, now).is_some()
            });
            if brought || has_to_tell || !is_current {
                link.hurry(now);
            }
        }
        Ok(match (is_current, is_silent) {
            (true, _) => Heard::Now,
            (false, true) => Heard::Perhaps,
            (false, false) => Heard::Late,
        })
    }

    /// The next message that is to be sent now; to be asked until there is none.
    pub fn poll_transmit(&mut self, now: Moment) -> Option<Transmit> {
        while self.next_beat <= now {
            let beat = self.beats.back().map_or(0, |(beat, _)| beat + 1);
            self.beats.push_back((beat, now));
            if self.beats.len() > BEATS {
                self.beats.pop_front();
            }
            self.next_beat = self.next_beat.after(BEAT).max(now);
            self.links.values_mut().for_each(|link| link.hurry(now));
        }
        let to = self.links.iter().find(|(_, link)| link.due() <= now).map(|(host, _)| host.clone())?;
        let message = self.message(&to, now)?;
        Some(Transmit { to, message })
    }

    /// When [`Gossip::poll_transmit`] has something next.
    pub fn poll_timeout(&self) -> Moment {
        self.links.values().map(Link::due).min().unwrap_or(self.next_beat).min(self.next_beat)
    }

    /// The words that have come since the last time.
    pub fn take_override_entries(&mut self) -> Vec<(PoolName, NodeName, OverrideEntry)> {
        std::mem::take(&mut self.words)
    }

    /// Gives every word that is known once more where the configuration is another: those on a node that was not configured
    /// had no effect.
    pub(crate) fn configure(&mut self, configuration: &BTreeMap<PoolName, Digest>) {
        if self.configuration == *configuration {
            return;
        }
        self.configuration.clone_from(configuration);
        let words = self.known.values().flat_map(|known| known.facts.iter().filter_map(|(topic, _)| known.word(topic)));
        self.words.extend(words);
    }

    /// Whether another host has spoken in the name of this one since the last time, as others tell.
    pub fn take_twin(&mut self) -> bool {
        std::mem::take(&mut self.has_twin)
    }

    /// The views that are new since the last time, each with when it was said.
    pub fn take_views(&mut self) -> Vec<(PeerView, Moment)> {
        let news = self.known.iter_mut().filter(|(_, known)| known.has_news && known.is_whole);
        news.map(|(host, known)| {
            known.has_news = false;
            known.views += 1;
            let view = PeerView {
                host: host.clone(),
                incarnation: known.incarnation,
                sequence: known.views,
                votes: Arc::clone(&known.votes),
                abstains: known.abstains(),
                eligible_writer: known.eligible_writer(),
                reachable: known.hears(),
            };
            (view, known.said)
        })
        .collect()
    }

    /// Whether this host and another have heard each other without a third in the last moments.
    pub fn is_there(&self, host: &HostName, now: Moment) -> bool {
        self.links.get(host).is_some_and(|link| link.is_there(now))
    }

    /// Whether another host has answered, without a third, what was sent to it in the last moments.
    pub fn answers(&self, host: &HostName, now: Moment) -> bool {
        self.links.get(host).is_some_and(|link| link.answers(now))
    }

    /// The other hosts, by name.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        let unknown = Known::default();
        self.links.iter().map(move |(host, link)| {
            let known = self.known.get(host).unwrap_or(&unknown);
            Peer {
                host: host.clone(),
                said: Some(known.said).filter(|said| *said > Moment::default()),
                heard: link.heard,
                round_trip: link.round_trip,
                clocks: link.clocks,
                votes: Arc::clone(&known.votes),
                abstains: known.abstains(),
                hears: known.hears(),
                configuration: known.configuration(),
                members: known.members(),
            }
        })
    }

    /// Takes in what a member says; tells whether any of it is new.
    fn learn(&mut self, message: Message, now: Moment) -> bool {
        for head in &message.heads {
            let Some(link) = self.links.get_mut(&head.host) else { continue };
            link.begins(head.incarnation);
            let age = if head.host == message.from { Duration::ZERO } else { Duration::from_millis(head.age) };
            self.known.entry(head.host.clone()).or_default().raise(head, now.before(age));
        }
        if let Some(known) = self.known.get_mut(&message.from) {
            known.lives(now);
        }
        let mut brought = false;
        for news in message.news {
            let Some(known) = self.known.get_mut(&news.host).filter(|it| it.incarnation == news.incarnation) else {
                continue;
            };
            brought = true;
            let entries = news
                .entries
                .into_iter()
                .map(|(version, topic, fact)| (version, topic, fact.map(|fact| fact.shifted(message.clock, now))));
            let topics = known.facts.take(news.after, news.upto, entries.collect());
            self.words.extend(topics.iter().filter_map(|topic| known.word(topic)));
            known.digest(&topics);
        }
        brought
    }

    /// Takes note of who speaks, though it is not known whether that was said now. Nothing else of it counts, but the answer
    /// to it shows its sender that it was heard now.
    fn meet(&mut self, message: &Message) {
        let known = self.known.entry(message.from.clone()).or_default();
        if known.incarnation < message.incarnation {
            *known = Known { incarnation: message.incarnation, ..Known::default() };
        }
        let beat =
            message.head(&message.from).filter(|head| head.incarnation == known.incarnation).map(|head| head.beat);
        known.beat = known.beat.max(beat.unwrap_or_default());
    }

    /// How far this host knows each host, itself first.
    fn heads(&self, now: Moment) -> Vec<Head> {
        let own = Head {
            host: self.own.clone(),
            incarnation: self.incarnation,
            beat: self.beats.back().map_or(0, |(beat, _)| *beat),
            age: 0,
            version: self.facts.version(),
        };
        let others = self.known.iter().map(|(host, known)| Head {
            host: host.clone(),
            incarnation: known.incarnation,
            beat: known.beat,
            age: u64::try_from(now.since(known.said).as_millis()).unwrap_or(u64::MAX),
            version: known.facts.version(),
        });
        [own].into_iter().chain(others).collect()
    }

    fn message(&mut self, to: &HostName, now: Moment) -> Option<Message> {
        let heads = self.heads(now);
        let link = self.links.get_mut(to)?;
        let (number, echo) = link.number(now);
        let (from, incarnation, news) = (self.own.clone(), self.incarnation, Vec::new());
        let mut message = Message { from, incarnation, number, clock: now, echo, heads, news };
        let mut room = MOST_BYTES.saturating_sub(length(&message));
        let own = (&self.own, self.incarnation, &self.facts);
        let others =
            self.known.iter().filter(|(host, _)| *host != to).map(|(host, it)| (host, it.incarnation, &it.facts));
        // Over whatever way: it may be that it reaches this host only over a third.
        let is_there = self.known.get(to).is_some_and(|known| now.since(known.said) < LOST);
        let mut has_more = false;
        for (host, incarnation, facts) in [own].into_iter().chain(others).filter(|_| is_there) {
            let known = (incarnation, facts.version());
            let Some(after) = link.lacks_after(host, known, *host == self.own, now) else { continue };
            let mut news = fitting(host, incarnation, facts, after, &mut room, false);
            if news.upto == after && message.news.is_empty() {
                // A long fact goes alone, beside the heads without which it would not be understood. The others follow.
                message.heads.retain(|head| [&self.own, to, host].contains(&&head.host));
                let mut lean = MOST_BYTES.saturating_sub(length(&message));
                (news, room) = (fitting(host, incarnation, facts, after, &mut lean, true), 0);
                has_more |= news.upto > after;
            }
            let is_all = news.upto == facts.version();
            if news.upto > after {
                link.tells(host, (incarnation, news.upto), is_all, now);
                message.news.push(news);
            }
            has_more |= !is_all && !message.news.is_empty();
        }
        let is_unsure = is_there && link.is_behind(&self.own, (self.incarnation, self.facts.version()));
        link.rest(has_more, is_unsure, self.next_beat, now);
        Some(message)
    }
}

/// Whether a message was said in answer to this run of this host, a short while ago.
///
/// What is replayed or held back on its way cannot be told by its number alone after this host has restarted, and not by a
/// clock, for clocks are not to be relied on.
fn is_answer(
    message: &Message,
    own: &HostName,
    incarnation: u64,
    beats: &VecDeque<(u64, Moment)>,
    now: Moment,
) -> bool {
    let Some(head) = message.head(own).filter(|head| head.incarnation == incarnation) else { return false };
    beats.iter().any(|(beat, at)| *beat == head.beat && now.since(*at) <= LATE)
}

/// As many facts after a version as there is room for. Where there will never be more room, a fact that is too long is left
/// out: it must not hold up those behind it.
fn fitting(host: &HostName, incarnation: u64, facts: &Facts, after: u64, room: &mut usize, is_most_room: bool) -> News {
    let mut news = News { host: host.clone(), incarnation, after, upto: after, entries: Vec::new() };
    // The numbers and the length may take more bytes in the end than they do now.
    let frame = length(&news) + 32;
    let Some(mut left) = room.checked_sub(frame) else { return news };
    for entry in facts.after(after) {
        let Some(rest) = left.checked_sub(length(&entry)) else {
            if is_most_room && news.entries.is_empty() {
                news.upto = entry.0;
                continue;
            }
            *room = 0;
            return news;
        };
        left = rest;
        news.upto = entry.0;
        news.entries.push(entry);
    }
    news.upto = facts.version();
    *room = left;
    news
}

#[cfg(test)]
mod tests;
