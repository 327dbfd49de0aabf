//! An operator's word on a node, on one host or on several.
//!
//! The hosts share a register: for each node the newest [`Word`]. Words are ordered by their [`Stamp`], which is later than
//! every stamp that its host knew, so what follows from something is always newer than it, whatever the clocks say. A word
//! that is over stays in the register, so that a host that was away cannot bring back what was lifted meanwhile.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::peers::FRESH_FOR;
use crate::policy::Pool;
use crate::quorum::HostName;
use crate::refusal::Refusal;
use crate::target::{NodeName, PoolName};
use crate::word::{Fate, Stamp, Undone, Word};

/// How well clients can use a node; a better one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fitness {
    /// No host finds that they can.
    Unusable,
    /// At least one host finds so.
    Found,
    /// The hosts agree that they can.
    Usable,
}

/// What an operator wants of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverrideKind {
    /// In no answer while another node of the pool is not drained.
    Drain,
    /// As good as ready, whatever the probes find.
    Force,
}

/// An operator's word on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// What is wanted.
    pub kind: OverrideKind,
    /// Why, in the operator's words; may be empty.
    pub reason: String,
    /// Who said it; may be empty.
    pub author: String,
    /// When it was said.
    pub since: Moment,
    /// When it ends by itself; `None` for when it is lifted.
    pub until: Option<Moment>,
    /// On which host it was said; `None` where there is only one.
    #[serde(default)]
    pub host: Option<HostName>,
}

impl Override {
    /// The override with its moments as a clock tells them that shows `there` where another shows `here`.
    pub(crate) fn shifted(&self, here: Moment, there: Moment) -> Self {
        let shift = |at: Moment| if there > here { at.after(there.since(here)) } else { at.before(here.since(there)) };
        Self { since: shift(self.since), until: self.until.map(shift), ..self.clone() }
    }

    /// The override as a run of the host `own` takes it over that begins now. Where it was set by a clock ahead, it lasts as
    /// long as it was meant to, from now on.
    pub(crate) fn as_of(&self, now: Moment, own: &HostName) -> Self {
        let since = self.since.min(now);
        let until = self.until.map(|until| if self.since > now { now.after(until.since(self.since)) } else { until });
        let host = self.host.clone().or_else(|| own.is_name().then(|| own.clone()));
        Self { since, until, host, ..self.clone() }
    }
}

impl fmt::Display for Override {
    /// The end of a sentence that begins with what was done: `by ada on dns-1 since …: disk change`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.author.is_empty() {
            write!(f, "by {} ", self.author)?;
        }
        if let Some(host) = &self.host {
            write!(f, "on {host} ")?;
        }
        write!(f, "since {}", self.since)?;
        if let Some(until) = self.until {
            write!(f, " until {until}")?;
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}

/// The newest word on each node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    words: BTreeMap<(PoolName, NodeName), Word>,
    /// The nodes that are configured. The words on others wait for them to come back.
    configured: BTreeSet<(PoolName, NodeName)>,
    /// Until when no doubted word ends.
    doubted_until: Moment,
}

/// So many words are kept on nodes that are not configured.
const MOST_WAITING: usize = 100;
/// No stamp is later, so that there always is a later one.
const LAST_TIME: u64 = u64::MAX / 2;

impl Overrides {
    /// The override in force of a node.
    pub(crate) fn get(&self, pool: &PoolName, node: &NodeName) -> Option<&Override> {
        self.words.get(&(pool.clone(), node.clone())).and_then(Word::order)
    }

    /// Refuses an override that makes no sense, and a drain that leaves no node that can be used as well, unless the operator
    /// insists.
    ///
    /// `fitness` tells how well a node can be used. Where none can, a drain cannot make it worse.
    pub(crate) fn admit(
        &self,
        pool: &Pool,
        node: &NodeName,
        order: &Override,
        insist: bool,
        fitness: impl Fn(&NodeName) -> Fitness,
        now: Moment,
    ) -> Result<(), Refusal> {
        if let Some(until) = order.until.filter(|until| *until <= now) {
            return Err(Refusal::Ended { until });
        }
        if insist || order.kind == OverrideKind::Force {
            return Ok(());
        }
        let fitness = |node: &NodeName| if self.is_forced(pool, node) { Fitness::Usable } else { fitness(node) };
        let others = self.undrained(pool).filter(|other| *other != node);
        let (name, node) = (pool.name.clone(), node.clone());
        match others.map(fitness).max() {
            None => Err(Refusal::LastUndrained { pool: name, node }),
            Some(best) if best < fitness(&node) => Err(Refusal::LastUsable { pool: name, node }),
            Some(_) => Ok(()),
        }
    }

    /// Has a word said now, on this host: an override, or that there is none.
    pub(crate) fn say(
        &mut self,
        pool: PoolName,
        node: NodeName,
        order: Option<Override>,
        insist: bool,
        host: &HostName,
        now: Moment,
    ) {
        let newest = self.words.values().map(|word| word.stamp.time).max().unwrap_or_default();
        let time = now.as_millis().max(newest.saturating_add(1)).min(LAST_TIME);
        let others = self.drains(&pool).filter(|(other, _)| **other != node);
        let knew = Word::latest(others.map(|(_, word)| word.stamp.clone()).collect());
        let fate = order.map_or(Fate::Over, Fate::InForce);
        let stamp = Stamp { time, host: host.clone() };
        self.words.insert((pool, node), Word { stamp, knew, insist, fate, is_doubted: false });
    }

    /// Takes a word of another host or of an earlier run, where it is newer, or tells more; tells whether it does.
    pub(crate) fn take(&mut self, pool: PoolName, node: NodeName, word: Word, now: Moment) -> bool {
        if word.stamp.time > LAST_TIME {
            return false;
        }
        let known = match self.words.entry((pool, node)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                // It goes on being doubted for as long as if this host had begun now.
                self.doubted_until = if word.is_doubted { now.after(FRESH_FOR) } else { self.doubted_until };
                place.insert(word);
                return true;
            }
        };
        let (learns, lasts) = (known.learns_from(&word), known.lasts_as(&word));
        let replaces = word.replaces(known);
        if replaces {
            self.doubted_until = if word.is_doubted { now.after(FRESH_FOR) } else { self.doubted_until };
            *known = word;
        }
        learns || lasts || replaces
    }

    /// Ends no word that is remembered until then: another host may say when it ends, or that it has.
    pub(crate) fn doubt(&mut self, until: Moment) {
        let is_timed = |word: &&mut Word| word.order().is_some_and(|order| order.until.is_some());
        self.words.values_mut().filter(is_timed).for_each(|word| word.is_doubted = true);
        self.doubted_until = until;
    }

    /// Undoes the later of two drains that did not know of each other, where together they leave no node to be used. Those
    /// that leave one know of each other from then on: what dies later is not their fault.
    ///
    /// Whether a node can be used is asked only where a quorum knows it; `None` otherwise.
    pub(crate) fn reconcile(&mut self, pool: &Pool, usable: Option<&dyn Fn(&NodeName) -> bool>) {
        while self.leaves_none(pool, usable) {
            let Some((later, undone)) = self.later_of_strangers(pool) else { return };
            if let Some(word) = self.words.get_mut(&(pool.name.clone(), later)) {
                word.fate = Fate::Undone(undone);
            }
        }
        if usable.is_some_and(|usable| self.leaves_one(pool, usable)) {
            self.introduce(pool);
        }
    }

    /// Lets every drain of a pool know of those before it, beside those that it knows.
    fn introduce(&mut self, pool: &Pool) {
        let stamps: BTreeSet<Stamp> = self.drains(&pool.name).map(|(_, word)| word.stamp.clone()).collect();
        let words = self.words.iter_mut().filter(|((of, _), word)| *of == pool.name && word.is_drain());
        for (_, word) in words {
            let known = std::mem::take(&mut word.knew).into_iter();
            word.knew = Word::latest(known.chain(stamps.range(..&word.stamp).cloned()).collect());
        }
    }

    /// The override in force of a node, lifted, or one that was undone taken note of; tells whether there was one.
    pub(crate) fn lift(&mut self, pool: &PoolName, node: &NodeName, host: &HostName, now: Moment) -> bool {
        let known = self.words.get(&(pool.clone(), node.clone()));
        let has_one = known.is_some_and(|word| word.fate != Fate::Over);
        if has_one {
            self.say(pool.clone(), node.clone(), None, false, host, now);
        }
        has_one
    }

    /// Ends what has come to its end.
    pub(crate) fn expire(&mut self, now: Moment) {
        if self.doubted_until <= now {
            self.words.values_mut().for_each(|word| word.is_doubted = false);
        }
        let has_ended = |word: &Word| word.order().and_then(|order| order.until).is_some_and(|until| until <= now);
        let ended = self.words.values_mut().filter(|word| has_ended(word) && !word.is_doubted);
        ended.for_each(|word| word.fate = Fate::Over);
    }

    /// Goes by these pools from now on, and forgets the words of others. Of the words on nodes that are not configured the
    /// latest stay: without them a host that was away would bring back what was lifted.
    pub(crate) fn configure<'a>(&mut self, pools: impl Iterator<Item = &'a Pool>) {
        let (mut names, mut configured) = (BTreeSet::new(), BTreeSet::new());
        for pool in pools {
            names.insert(pool.name.clone());
            configured.extend(pool.nodes.iter().map(|node| (pool.name.clone(), node.name.clone())));
        }
        self.configured = configured;
        self.words.retain(|(pool, _), _| names.contains(pool));
        self.trim();
    }

    /// Forgets the oldest words on nodes that are not configured, where there are too many.
    pub(crate) fn trim(&mut self) {
        let waiting = self.words.iter().filter(|(of, _)| !self.configured.contains(of));
        let mut waiting: Vec<_> = waiting.map(|(of, word)| (word.stamp.clone(), of.clone())).collect();
        waiting.sort();
        for (_, of) in waiting.iter().rev().skip(MOST_WAITING) {
            self.words.remove(of);
        }
    }

    /// When the first of a pool's overrides in force ends by itself, or may.
    pub(crate) fn next_expiry(&self, pool: &PoolName) -> Option<Moment> {
        self.on_configured().filter(|(of, ..)| *of == pool).filter_map(|(.., word)| self.end(word)).min()
    }

    /// When the first word ends by itself, or may, also of those that wait.
    pub(crate) fn next_end(&self) -> Option<Moment> {
        self.words.values().filter_map(|word| self.end(word)).min()
    }

    fn end(&self, word: &Word) -> Option<Moment> {
        let until = word.order()?.until?;
        Some(if word.is_doubted { until.max(self.doubted_until) } else { until })
    }

    /// When no word is doubted any longer; `None` where none is.
    pub(crate) fn doubted_until(&self) -> Option<Moment> {
        self.words.values().any(|word| word.is_doubted).then_some(self.doubted_until)
    }

    /// The overrides in force, of what is configured.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PoolName, &NodeName, &Override)> {
        self.on_configured().filter_map(|(pool, node, word)| Some((pool, node, word.order()?)))
    }

    /// The overrides that wait for their nodes to be configured.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&PoolName, &NodeName, &Override)> {
        let words = self.words.iter().filter(|(of, _)| !self.configured.contains(of));
        words.filter_map(|((pool, node), word)| Some((pool, node, word.order()?)))
    }

    /// Every word, also those that are over, and those on what is not configured.
    pub(crate) fn words(&self) -> impl Iterator<Item = (&PoolName, &NodeName, &Word)> {
        self.words.iter().map(|((pool, node), word)| (pool, node, word))
    }

    fn undrained<'a>(&'a self, pool: &'a Pool) -> impl Iterator<Item = &'a NodeName> {
        let is_drained = |of: &&NodeName| self.get(&pool.name, of).is_some_and(|it| it.kind == OverrideKind::Drain);
        pool.nodes.iter().map(|node| &node.name).filter(move |node| !is_drained(node))
    }

    fn is_forced(&self, pool: &Pool, node: &NodeName) -> bool {
        self.get(&pool.name, node).is_some_and(|it| it.kind == OverrideKind::Force)
    }

    fn drains<'a>(&'a self, pool: &'a PoolName) -> impl Iterator<Item = (&'a NodeName, &'a Word)> {
        let drains = self.on_configured().filter(move |(of, _, word)| *of == pool && word.is_drain());
        drains.map(|(_, node, word)| (node, word))
    }

    fn on_configured(&self) -> impl Iterator<Item = (&PoolName, &NodeName, &Word)> {
        let words = self.words.iter().filter(|(of, _)| self.configured.contains(of));
        words.map(|((pool, node), word)| (pool, node, word))
    }

    fn leaves_one(&self, pool: &Pool, usable: &dyn Fn(&NodeName) -> bool) -> bool {
        self.undrained(pool).any(|node| usable(node) || self.is_forced(pool, node))
    }

    fn leaves_none(&self, pool: &Pool, usable: Option<&dyn Fn(&NodeName) -> bool>) -> bool {
        if self.undrained(pool).next().is_none() {
            return true;
        }
        let Some(usable) = usable else { return false };
        !self.leaves_one(pool, usable) && pool.nodes.iter().any(|node| usable(&node.name))
    }

    /// The newest drain of a pool that nobody insisted on and that was said without knowing of an earlier one.
    fn later_of_strangers(&self, pool: &Pool) -> Option<(NodeName, Undone)> {
        let drains = || self.drains(&pool.name);
        // Who knew of both when a later drain was said has answered for them.
        let were_known = |one: &Stamp, other: &Stamp| {
            drains().any(|(_, word)| word.knew.contains(other) && (word.stamp == *one || word.knew.contains(one)))
        };
        let stranger = |word: &Word| {
            drains().find(|(_, other)| other.stamp < word.stamp && !were_known(&word.stamp, &other.stamp))
        };
        let strangers = drains().filter(|(_, word)| !word.insist).filter_map(|(node, word)| {
            let (of, other) = stranger(word)?;
            let order = word.order()?.clone();
            Some((word, node, Undone { order, node: of.clone(), host: other.stamp.host.clone() }))
        });
        let (_, node, undone) = strangers.max_by(|(one, ..), (other, ..)| one.stamp.cmp(&other.stamp))?;
        Some((node.clone(), undone))
    }
}
