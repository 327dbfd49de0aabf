//! What was said of one node, and what became of it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::overrides::{Override, OverrideKind};
use crate::peers::FRESH_FOR;
use crate::quorum::HostName;
use crate::target::NodeName;

/// When a word was said and on which host, which orders all words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since the Unix epoch by the clock of the host, or one more than any that it knew (a hybrid logical
    /// clock: Kulkarni and others, "Logical Physical Clocks", 2014).
    pub time: u64,
    /// The host, which breaks ties.
    pub host: HostName,
}

/// The newest that was said of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Word {
    /// When it was said, and where.
    pub stamp: Stamp,
    /// The other drains of the pool that its host knew to be in force then, the latest 24 of them.
    pub knew: Vec<Stamp>,
    /// Whether the operator insisted.
    pub insist: bool,
    /// What became of it.
    pub fate: Fate,
    /// Whether its host began a moment ago and goes by its clock alone when the word ends: others may know better.
    #[serde(default)]
    pub is_doubted: bool,
}

/// What became of a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// The override is in force.
    InForce(Override),
    /// It was lifted, or has ended.
    Over,
    /// It was undone, for a drain on another host and this one did not know of each other.
    Undone(Undone),
}

/// A drain that the hosts have undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Undone {
    /// The drain.
    pub order: Override,
    /// The node that was drained before.
    pub node: NodeName,
    /// On which host.
    pub host: HostName,
}

impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order, node, host } = self;
        write!(
            f,
            "drained {order}, and undone: {node} was drained on {host} at the same time, and no node would have been left"
        )
    }
}

impl Word {
    /// How many other drains a word has known at the most: on the wire it has to stay short.
    pub const MOST_KNOWN: usize = 24;

    /// The override, where it is in force.
    pub fn order(&self) -> Option<&Override> {
        match &self.fate {
            Fate::InForce(order) => Some(order),
            Fate::Over | Fate::Undone(_) => None,
        }
    }

    /// The word as a run of the host `own` takes it over that begins now. See [`Override::as_of`].
    pub(crate) fn as_of(&self, now: Moment, own: &HostName) -> Self {
        // What was said before the host had others, and a name.
        let named = |host: &HostName| if host.is_name() { host.clone() } else { own.clone() };
        let stamp = |stamp: &Stamp| Stamp { host: named(&stamp.host), ..*stamp };
        let knew = self.knew.iter().map(stamp).collect();
        let fate = match &self.fate {
            Fate::InForce(order) => Fate::InForce(order.as_of(now, own)),
            over => over.clone(),
        };
        Self { stamp: stamp(&self.stamp), knew, fate, insist: self.insist, is_doubted: false }
    }

    /// The word with its moments as a clock tells them that shows `there` where another shows `here`. Its stamp is no moment.
    #[must_use]
    pub fn shifted(&self, here: Moment, there: Moment) -> Self {
        let fate = match &self.fate {
            Fate::InForce(order) => Fate::InForce(order.shifted(here, there)),
            Fate::Over => Fate::Over,
            Fate::Undone(undone) => Fate::Undone(Undone { order: undone.order.shifted(here, there), ..undone.clone() }),
        };
        Self { fate, ..self.clone() }
    }

    /// Whether it takes the place of another word on the same node. Of two with one stamp, what has ended stays ended; the
    /// rest, which only a host that has lost its memory can bring about, is decided the same way everywhere.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        let rank = |word: &Self| match &word.fate {
            Fate::InForce(order) => (0, Some((order.kind, order.author.clone(), order.reason.clone())), None),
            Fate::Over => (1, None, None),
            // Two hosts may have undone it for different others.
            Fate::Undone(undone) => (2, None, Some((undone.node.clone(), undone.host.clone()))),
        };
        (&self.stamp, rank(self)) > (&other.stamp, rank(other))
    }

    /// Takes over from the same word, as another host has it, when it ends: from one that is sure, or that would else be
    /// ended too early. Tells whether it did.
    pub(crate) fn lasts_as(&mut self, other: &Self) -> bool {
        let (Some(own), Some(theirs)) = (self.order(), other.order()) else { return false };
        // What is on its way seems to last a little longer.
        let lasts_longer = theirs.until > own.until.map(|until| until.after(FRESH_FOR));
        let is_better = self.stamp == other.stamp && self.is_doubted && (!other.is_doubted || lasts_longer);
        if is_better {
            (self.fate, self.is_doubted) = (other.fate.clone(), other.is_doubted);
        }
        is_better
    }

    /// Takes over what another host knows of the drains before the same word; tells whether that is any more.
    pub(crate) fn learns_from(&mut self, other: &Self) -> bool {
        if self.stamp != other.stamp || !self.is_drain() || !other.is_drain() {
            return false;
        }
        let knew = Self::latest(self.knew.iter().chain(&other.knew).cloned().collect());
        let is_more = knew != self.knew;
        self.knew = knew;
        is_more
    }

    /// The latest of some stamps in their order, as many as a word may know.
    pub(crate) fn latest(stamps: BTreeSet<Stamp>) -> Vec<Stamp> {
        let first = stamps.len().saturating_sub(Self::MOST_KNOWN);
        stamps.into_iter().skip(first).collect()
    }

    pub(crate) fn is_drain(&self) -> bool {
        self.order().is_some_and(|order| order.kind == OverrideKind::Drain)
    }
}
