//! What is known of another host, from what it and others have told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daymark_decision::{HostName, Moment, NodeName, OverrideEntry, PoolName, Target, Vote};

use crate::facts::{Digest, Fact, Facts, Topic};
use crate::link::SILENT;
use crate::message::Head;

/// What is known of another host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) incarnation: u64,
    pub(crate) beat: u64,
    /// When it said anything last, as far as this host can tell.
    pub(crate) said: Moment,
    pub(crate) facts: Facts,
    /// Up to which version there are facts.
    pub(crate) version: u64,
    /// Whether all its facts were here at once, and those that have changed since are not long in coming; else they are no
    /// view.
    pub(crate) is_whole: bool,
    /// The version whose facts are waited for, and since when.
    pub(crate) awaited: Option<(u64, Moment)>,
    pub(crate) votes: Arc<BTreeMap<Target, Vote>>,
    /// How many views were made of it.
    pub(crate) views: u64,
    pub(crate) has_news: bool,
}

impl Known {
    /// Takes a head in: of this run, or of a later one, of which nothing else is known then.
    pub(crate) fn raise(&mut self, head: &Head, said: Moment) {
        if head.incarnation > self.incarnation {
            *self = Self { incarnation: head.incarnation, ..Self::default() };
        }
        if head.incarnation < self.incarnation {
            return;
        }
        self.version = self.version.max(head.version);
        // The same sign of life over a slower way is no later one.
        if head.beat > self.beat {
            self.beat = head.beat;
            self.lives(said);
        }
        self.digest(&[]);
    }

    /// Takes note that it said anything at a moment.
    pub(crate) fn lives(&mut self, said: Moment) {
        let was_silent = said.since(self.said) >= SILENT;
        (self.said, self.has_news) = (self.said.max(said), true);
        let known = self.facts.version();
        let waiting = self.awaited.filter(|(version, _)| known < *version);
        self.awaited = (known < self.version).then(|| waiting.unwrap_or((self.version, self.said)));
        // It lives, but what it said meanwhile, or so long ago, has not come; so what is known of it is old.
        if self.awaited.is_some_and(|(_, since)| was_silent || self.said.since(since) >= SILENT) {
            self.is_whole = false;
        }
    }

    /// Makes of the facts what others ask for, where these topics are new.
    pub(crate) fn digest(&mut self, topics: &[Topic]) {
        let was_whole = self.is_whole;
        self.is_whole |= self.version > 0 && self.facts.version() >= self.version;
        self.has_news |= !topics.is_empty() || self.is_whole != was_whole;
        if topics.iter().any(|topic| matches!(topic, Topic::Vote(_))) {
            let votes = self.facts.iter().filter_map(|(topic, fact)| match (topic, fact) {
                (Topic::Vote(target), Fact::Vote(vote)) => Some((target.clone(), *vote)),
                _ => None,
            });
            self.votes = Arc::new(votes.collect());
        }
    }

    pub(crate) fn word(&self, topic: &Topic) -> Option<(PoolName, NodeName, OverrideEntry)> {
        match (topic, self.facts.get(topic)?) {
            (Topic::OverrideEntry(pool, node), Fact::OverrideEntry(word)) => {
                Some((pool.clone(), node.clone(), word.clone()))
            }
            _ => None,
        }
    }

    pub(crate) fn abstains(&self) -> bool {
        matches!(self.facts.get(&Topic::Sight), Some(Fact::Sight { abstains: true, .. }))
    }

    pub(crate) fn eligible_writer(&self) -> bool {
        matches!(self.facts.get(&Topic::Sight), Some(Fact::Sight { eligible_writer: true, .. }))
    }

    pub(crate) fn hears(&self) -> BTreeSet<HostName> {
        match self.facts.get(&Topic::Hears) {
            Some(Fact::Hears(hosts)) => hosts.clone(),
            _ => BTreeSet::new(),
        }
    }

    pub(crate) fn members(&self) -> Option<BTreeSet<HostName>> {
        match self.facts.get(&Topic::Members) {
            Some(Fact::Members(hosts)) => Some(hosts.clone()),
            _ => None,
        }
    }

    pub(crate) fn configuration(&self) -> BTreeMap<PoolName, Digest> {
        let digests = self.facts.iter().filter_map(|(topic, fact)| match (topic, fact) {
            (Topic::Configuration(pool), Fact::Configuration(digest)) => Some((pool.clone(), *digest)),
            _ => None,
        });
        digests.collect()
    }
}
