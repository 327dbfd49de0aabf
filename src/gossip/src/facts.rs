//! What one host says, fact by fact, each with the version of the host at which it was said.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{HostName, Moment, NodeName, OverrideEntry, PoolName, Target, Vote};
use serde::{Deserialize, Serialize};

/// The first bytes of a hash of what is configured.
pub type Digest = [u8; 8];

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Topic {
    /// Whether the host abstains.
    Sight,
    /// Whom the host hears.
    Hears,
    /// Which hosts are configured there.
    Members,
    /// The configuration of a pool.
    Configuration(PoolName),
    /// The host's vote on a target.
    Vote(Target),
    /// The newest word on a node that the host knows.
    OverrideEntry(PoolName, NodeName),
}

/// What is said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// See [`Topic::Sight`].
    Sight {
        /// Whether the host takes itself for blind, so that its votes do not count.
        abstains: bool,
        /// Whether it would write where only one host may: it publishes there, and knows a quorum.
        eligible_writer: bool,
    },
    /// See [`Topic::Hears`]; itself included.
    Hears(BTreeSet<HostName>),
    /// See [`Topic::Members`]; itself included.
    Members(BTreeSet<HostName>),
    /// See [`Topic::Configuration`].
    Configuration(Digest),
    /// See [`Topic::Vote`].
    Vote(Vote),
    /// See [`Topic::OverrideEntry`].
    OverrideEntry(#[serde(with = "packed")] OverrideEntry),
}

impl Fact {
    /// The fact with its moments by this host's clock.
    pub(crate) fn shifted(self, there: Moment, here: Moment) -> Self {
        match self {
            Self::OverrideEntry(word) => Self::OverrideEntry(word.shifted(there, here)),
            timeless => timeless,
        }
    }
}

/// A word on the wire: of the drains that it knew, each host is named once.
mod packed {
    use super::{Deserialize, HostName, OverrideEntry, Serialize};
    use daymark_decision::HybridTimestamp;
    use serde::{Deserializer, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    struct Packed {
        hosts: Vec<Option<HostName>>,
        /// The time, and which of the hosts.
        causal_context: Vec<(u64, u8)>,
        rest: OverrideEntry,
    }

    pub(super) fn serialize<S: Serializer>(word: &OverrideEntry, serializer: S) -> Result<S::Ok, S::Error> {
        let mut hosts: Vec<Option<HostName>> = word.causal_context.iter().map(|stamp| stamp.host.clone()).collect();
        hosts.sort();
        hosts.dedup();
        let index = |host| hosts.binary_search(host).ok().and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX);
        let causal_context = word.causal_context.iter().map(|stamp| (stamp.time, index(&stamp.host))).collect();
        let rest = OverrideEntry { causal_context: Vec::new(), ..word.clone() };
        Packed { hosts, causal_context, rest }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OverrideEntry, D::Error> {
        let Packed { hosts, causal_context, rest } = Packed::deserialize(deserializer)?;
        let timestamp = |(time, index): (u64, u8)| {
            let host = hosts.get(usize::from(index)).cloned();
            host.map(|host| HybridTimestamp { time, host }).ok_or_else(|| D::Error::custom("a host without a name"))
        };
        Ok(OverrideEntry {
            causal_context: causal_context.into_iter().map(timestamp).collect::<Result<_, _>>()?,
            ..rest
        })
    }
}

/// A fact with its version and topic; without a fact where the topic is no more.
pub(crate) type Entry = (u64, Topic, Option<Fact>);

/// The facts of one host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Every version up to this one is here.
    version: u64,
    by_topic: BTreeMap<Topic, (u64, Option<Fact>)>,
    by_version: BTreeMap<u64, Topic>,
}

impl Facts {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Topic, &Fact)> {
        self.by_topic.iter().filter_map(|(topic, (_, fact))| Some((topic, fact.as_ref()?)))
    }

    /// Says exactly these facts from now on.
    pub(crate) fn say(&mut self, facts: &BTreeMap<Topic, Fact>) {
        let gone: Vec<Topic> =
            self.iter().map(|(topic, _)| topic).filter(|topic| !facts.contains_key(topic)).cloned().collect();
        for topic in gone {
            self.put(self.version + 1, topic, None);
            self.version += 1;
        }
        for (topic, fact) in facts {
            if self.by_topic.get(topic).is_none_or(|(_, known)| known.as_ref() != Some(fact)) {
                self.put(self.version + 1, topic.clone(), Some(fact.clone()));
                self.version += 1;
            }
        }
    }

    /// Takes in every fact of a host that changed after the version `after` and up to `upto`. Where there is a gap before
    /// them, they count, and the gap stays to be filled. Tells which are new.
    pub(crate) fn take(&mut self, after: u64, upto: u64, entries: Vec<Entry>) -> Vec<Topic> {
        let mut news = Vec::new();
        for (version, topic, fact) in entries {
            if self.by_topic.get(&topic).is_none_or(|(known, _)| *known < version) {
                news.push(topic.clone());
                self.put(version, topic, fact);
            }
        }
        if after <= self.version {
            self.version = self.version.max(upto);
        }
        news
    }

    /// What has changed after a version, in the order of versions.
    pub(crate) fn after(&self, version: u64) -> impl Iterator<Item = Entry> {
        self.by_version.range(version.saturating_add(1)..=self.version).map(|(version, topic)| {
            let fact = self.by_topic.get(topic).and_then(|(_, fact)| fact.clone());
            (*version, topic.clone(), fact)
        })
    }

    pub(crate) fn get(&self, topic: &Topic) -> Option<&Fact> {
        self.by_topic.get(topic).and_then(|(_, fact)| fact.as_ref())
    }

    fn put(&mut self, version: u64, topic: Topic, fact: Option<Fact>) {
        if let Some((former, _)) = self.by_topic.insert(topic.clone(), (version, fact)) {
            self.by_version.remove(&former);
        }
        self.by_version.insert(version, topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(n: u32) -> Topic {
        Topic::Configuration(PoolName::new(&format!("p{n}.example.org")))
    }

    fn facts(of: &[(u32, u8)]) -> BTreeMap<Topic, Fact> {
        of.iter().map(|(n, byte)| (pool(*n), Fact::Configuration([*byte; 8]))).collect()
    }

    fn said(facts: &Facts) -> BTreeMap<Topic, Fact> {
        facts.iter().map(|(topic, fact)| (topic.clone(), fact.clone())).collect()
    }

    #[test]
    fn what_is_said_again_is_no_new_version() {
        let mut own = Facts::default();
        own.say(&facts(&[(1, 1), (2, 1)]));
        own.say(&facts(&[(1, 1), (2, 1)]));
        assert_eq!(own.version(), 2);
        own.say(&facts(&[(1, 1), (2, 2)]));
        assert_eq!(own.after(2).collect::<Vec<_>>(), [(3, pool(2), Some(Fact::Configuration([2; 8])))]);
    }

    #[test]
    fn what_is_no_longer_said_goes_everywhere() {
        let (mut own, mut copy) = (Facts::default(), Facts::default());
        own.say(&facts(&[(1, 1), (2, 1)]));
        copy.take(0, own.version(), own.after(0).collect());
        own.say(&facts(&[(2, 1)]));
        let news = copy.take(copy.version(), own.version(), own.after(copy.version()).collect());
        assert_eq!((said(&copy), news), (facts(&[(2, 1)]), vec![pool(1)]));
    }

    #[test]
    fn facts_count_though_others_before_them_are_missing_and_the_gap_is_known() {
        let (mut own, mut copy) = (Facts::default(), Facts::default());
        own.say(&facts(&[(1, 1), (2, 1), (3, 1)]));
        let entries: Vec<Entry> = own.after(0).collect();
        copy.take(2, 3, entries[2..].to_vec());
        assert_eq!((said(&copy), copy.version()), (facts(&[(3, 1)]), 0));
        copy.take(0, 2, entries[..2].to_vec());
        assert_eq!((said(&copy), copy.version()), (facts(&[(1, 1), (2, 1), (3, 1)]), 2));
        copy.take(2, 3, entries[2..].to_vec());
        assert_eq!(copy.version(), 3);
    }

    #[test]
    fn an_old_fact_is_not_taken_over_a_newer_one() {
        let (mut own, mut copy) = (Facts::default(), Facts::default());
        own.say(&facts(&[(1, 1)]));
        let old: Vec<Entry> = own.after(0).collect();
        own.say(&facts(&[(1, 2)]));
        copy.take(0, 2, own.after(0).collect());
        assert!(copy.take(0, 1, old).is_empty());
        assert_eq!((said(&copy), copy.version()), (facts(&[(1, 2)]), 2));
    }
}
