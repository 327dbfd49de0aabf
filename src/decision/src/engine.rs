//! The whole core, composed. The engine hands inputs to the parts that decide, and keeps time and generation.

mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::Decision;
use crate::command::Command;
use crate::health::Health;
use crate::listening::Listening;
use crate::memory::Memory;
use crate::moment::Moment;
use crate::observation::Observation;
use crate::overrides::{Fitness, Override, Overrides};
use crate::peers::{FRESH_FOR, News, Peers, View};
use crate::policy::Pool;
use crate::pool::PoolState;
use crate::quorum::{HostName, Membership, Standing, Vote, is_majority, writer};
use crate::refusal::Refusal;
use crate::target::{Grade, NodeName, PoolName, Target};
use crate::word::Word;

/// A generation that a state file may at the most begin with, so that there always is a next one.
const LAST_GENERATION: u64 = u64::MAX / 2;

/// The decision core: inputs with their moments in, the [`Decision`] out.
///
/// Moments may stand still; one that is earlier than the last counts as the last. Between two inputs the decision changes
/// only at the moments that [`Engine::poll_timeout`] announces.
#[derive(Clone, Debug)]
pub struct Engine {
    membership: Membership,
    pools: BTreeMap<PoolName, PoolState>,
    overrides: Overrides,
    peers: Peers,
    listens: Option<Listening>,
    had_quorum: bool,
    now: Moment,
    generation: u64,
    revision: u64,
}

impl Engine {
    /// An engine for these pools that knows what an earlier run remembers, as far as it is still configured.
    pub fn new(membership: Membership, pools: Vec<Pool>, memory: Memory, now: Moment) -> Self {
        let mut engine = Self {
            listens: None,
            had_quorum: false,
            membership,
            pools: BTreeMap::new(),
            overrides: Overrides::default(),
            peers: Peers::default(),
            now,
            generation: memory.generation.min(LAST_GENERATION),
            revision: 0,
        };
        let mut remembered: BTreeMap<_, _> = memory.pools.into_iter().map(|it| (it.pool.clone(), it)).collect();
        for policy in pools {
            let memory = remembered.remove(&policy.name);
            for (node, word) in memory.iter().flat_map(|memory| &memory.words) {
                engine.overrides.take(policy.name.clone(), node.clone(), word.as_of(now, &engine.membership.own), now);
            }
            engine.pools.insert(policy.name.clone(), PoolState::new(policy, memory, now));
        }
        engine.overrides.configure(engine.pools.values().map(|pool| &pool.policy));
        if engine.membership.has_others() {
            let agreed = engine.verdicts().map(|(target, verdict)| (target.clone(), verdict)).collect();
            engine.listens = Some(Listening { until: now.after(FRESH_FOR), agreed });
            engine.overrides.doubt(now.after(FRESH_FOR));
        }
        engine.settle(now);
        engine
    }

    /// Takes the outcome of one probe in. One of a target that is not configured changes nothing.
    pub fn handle_observation(&mut self, target: &Target, observation: &Observation, now: Moment) {
        self.advance(now);
        let was_blind = self.is_blind();
        let Some(pool) = self.pools.get_mut(&target.pool) else { return };
        if !pool.observe(target, &observation.kind, self.now) {
            return;
        }
        // Whether this host sees at all matters to every pool.
        if self.is_blind() == was_blind { self.settle_pool(&target.pool) } else { self.settle(self.now) }
    }

    /// Whether the target is configured.
    pub fn has(&self, target: &Target) -> bool {
        self.pools.get(&target.pool).is_some_and(|pool| pool.has(target))
    }

    /// Takes in what another member said at `said`; a stale or replayed view changes nothing. Tells whether it was newer
    /// than what was known.
    pub fn handle_peer_view(&mut self, view: View, said: Moment, now: Moment) -> bool {
        self.advance(now);
        if view.host == self.membership.own || !self.membership.members.contains(&view.host) {
            return false;
        }
        let news = self.peers.take(view, said, self.now);
        if news == News::Changed {
            self.settle(self.now);
        }
        news != News::Stale
    }

    /// Takes in what was said on other hosts; the newest word on each node counts. Where two drains did not know of each
    /// other and leave no node to be used, the later one is undone. Words on nodes that are not configured wait for them.
    pub fn handle_words(&mut self, words: impl IntoIterator<Item = (PoolName, NodeName, Word)>, now: Moment) {
        self.advance(now);
        let mut pools = BTreeSet::new();
        for (pool, node, word) in words {
            if self.pools.contains_key(&pool) && self.overrides.take(pool.clone(), node, word, self.now) {
                pools.insert(pool);
            }
        }
        if pools.is_empty() {
            return;
        }
        self.overrides.trim();
        self.overrides.expire(self.now);
        for pool in &pools {
            self.reconcile(pool);
        }
        self.settle(self.now);
    }

    /// Carries an operator's word out, or refuses it and changes nothing.
    pub fn handle_command(&mut self, command: Command, now: Moment) -> Result<(), Refusal> {
        self.advance(now);
        if self.standing() == Standing::Listening {
            return Err(Refusal::Listening { until: self.listens.as_ref().map(|it| it.until).unwrap_or_default() });
        }
        match command {
            Command::Set { pool, node, order, insist } => {
                let state = self.find(&pool, &node)?;
                self.overrides.admit(&state.policy, &node, &order, insist, |node| state.fitness(node), self.now)?;
                let host = &self.membership.own;
                let order = Override { host: self.membership.has_others().then(|| host.clone()), ..order };
                self.overrides.say(pool, node, Some(order), insist, host, self.now);
            }
            Command::Lift { pool, node } => {
                // Also one that waits for its node.
                if !self.overrides.lift(&pool, &node, &self.membership.own, self.now) {
                    self.find(&pool, &node)?;
                    return Err(Refusal::NoOverride { pool, node });
                }
            }
        }
        self.settle(self.now);
        Ok(())
    }

    /// Takes a new configuration. Targets that stay keep their health. Every answer gets a new generation, for what
    /// surrounds it where it is published may have changed too.
    pub fn handle_policy(&mut self, pools: Vec<Pool>, now: Moment) {
        self.advance(now);
        let mut former = std::mem::take(&mut self.pools);
        for policy in pools {
            let name = policy.name.clone();
            let state = match former.remove(&name) {
                Some(mut state) => {
                    state.configure(policy);
                    state
                }
                None => PoolState::new(policy, None, self.now),
            };
            self.pools.insert(name, state);
        }
        self.overrides.configure(self.pools.values().map(|pool| &pool.policy));
        // A drain that has waited for its node is in force again.
        let names: Vec<_> = self.pools.keys().cloned().collect();
        names.iter().for_each(|name| self.reconcile(name));
        self.settle(self.now);
        self.generation = self.next_generation();
        self.revision += 1;
        for pool in self.pools.values_mut() {
            pool.renew(self.generation);
        }
    }

    /// Lets time pass; to be called at the moment that [`Engine::poll_timeout`] gives, or later.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.advance(now);
    }

    /// What is to be published now.
    pub fn decide(&mut self, now: Moment) -> Decision {
        self.advance(now);
        let answers = self.pools.values().map(|pool| pool.answer().clone()).collect();
        Decision { answers, generation: self.generation }
    }

    /// When the decision may change without another input, and why.
    pub fn poll_timeout(&self) -> Option<(Moment, &'static str)> {
        let steps = self.pools.values().filter_map(|pool| pool.ttl_changes_at);
        [
            (self.overrides.next_end(), "an override expires"),
            (steps.min(), "the TTL steps down towards the end of an override"),
            (self.peers.next_stale(self.now), "a host is no longer heard"),
            (self.listens.as_ref().map(|listens| listens.until), "the time to hear the other hosts is over"),
            (self.overrides.doubted_until(), "when a word of an earlier run ends is not doubted any more"),
        ]
        .into_iter()
        .filter_map(|(at, why)| Some((at?, why)))
        .min_by_key(|(at, _)| *at)
    }

    /// A number that rises whenever the decision, a health or an override may have changed.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The health of every target, by pool and in the operator's order.
    pub fn healths(&self) -> impl Iterator<Item = (&Target, &Health)> {
        self.pools.values().flat_map(PoolState::healths)
    }

    /// Whether the verdict on every target is clear, by what was observed since the start. See [`Health::is_settled`].
    pub fn is_settled(&self) -> bool {
        self.healths().all(|(_, health)| health.is_settled())
    }

    /// The overrides in force.
    pub fn overrides(&self) -> impl Iterator<Item = (&PoolName, &NodeName, &Override)> {
        self.overrides.iter()
    }

    /// The overrides on nodes that are not configured. They have no effect until these are.
    pub fn waiting(&self) -> impl Iterator<Item = (&PoolName, &NodeName, &Override)> {
        self.overrides.waiting()
    }

    /// The newest word on each node, also where it is over, or the node is not configured any more.
    pub fn words(&self) -> impl Iterator<Item = (&PoolName, &NodeName, &Word)> {
        self.overrides.words()
    }

    /// The grade that the hosts agree on, target by target.
    pub fn verdicts(&self) -> impl Iterator<Item = (&Target, Grade)> {
        self.pools.values().flat_map(PoolState::verdicts)
    }

    /// What this host says of each target.
    pub fn votes(&self) -> BTreeMap<Target, Vote> {
        self.pools.values().flat_map(PoolState::votes).collect()
    }

    /// The newest view of each other host that is heard now.
    pub fn views(&self) -> impl Iterator<Item = &View> {
        self.peers.heard(self.now)
    }

    /// The hosts that are heard now, this one included.
    pub fn hears(&self) -> BTreeSet<HostName> {
        self.views().map(|view| view.host.clone()).chain([self.membership.own.clone()]).collect()
    }

    /// The host that writes where only one may; `None` where this host hears no majority, or no host is heard by one.
    pub fn writer(&self) -> Option<&HostName> {
        if self.standing() != Standing::Quorum {
            return None;
        }
        let own = self.hears();
        let hears: Vec<_> = self.views().map(|view| &view.hears).chain([&own]).collect();
        writer(&self.membership.members, &hears, |member| {
            let is_own = *member == self.membership.own;
            if is_own {
                !self.would_write()
            } else {
                self.views().any(|view| view.host == *member && !view.would_write)
            }
        })
    }

    /// Whether this host would write where only one may: it publishes there, and knows a quorum.
    pub fn would_write(&self) -> bool {
        self.membership.publishes && self.standing() == Standing::Quorum
    }

    /// Who decides, this host among them.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// What the next run must know.
    pub fn memory(&self) -> Memory {
        let pools = self.pools.values().map(|pool| pool.memory(&self.overrides)).collect();
        Memory { generation: self.generation, pools }
    }

    /// Who decides on the verdicts.
    pub fn standing(&self) -> Standing {
        if is_majority(1 + self.views().count(), self.membership.members.len()) {
            Standing::Quorum
        } else if self.listens.is_some() {
            Standing::Listening
        } else {
            Standing::Alone
        }
    }

    /// Whether this host reaches no target at all, of those it has judged or lost sight of; then it abstains.
    pub fn is_blind(&self) -> bool {
        let known = |health: &&Health| health.grade() != Grade::Unknown || health.is_out_of_sight();
        let mut known = self.healths().map(|(_, health)| health).filter(known).peekable();
        known.peek().is_some() && known.all(|health| health.is_out_of_sight() || health.grade() == Grade::Down)
    }

    /// Goes through every deadline up to `now` in its turn, so that one that is seen late has the effect it would have had.
    fn advance(&mut self, now: Moment) {
        while let Some((due, _)) = self.poll_timeout().filter(|(due, _)| *due <= now) {
            self.now = self.now.max(due);
            self.settle(self.now);
        }
        self.now = self.now.max(now);
    }

    fn settle(&mut self, now: Moment) {
        self.overrides.expire(now);
        // Once all were heard, none is waited for again.
        let hears_all = 1 + self.views().count() == self.membership.members.len();
        if hears_all || self.listens.as_ref().is_some_and(|listens| listens.until <= now) {
            self.listens = None;
        }
        let names: Vec<_> = self.pools.keys().cloned().collect();
        for name in &names {
            self.settle_pool(name);
        }
        // What was heard before the quorum is judged by it now.
        let has_quorum = self.standing() == Standing::Quorum;
        if !std::mem::replace(&mut self.had_quorum, has_quorum) && has_quorum {
            for name in &names {
                self.reconcile(name);
                self.settle_pool(name);
            }
        }
    }

    /// Undoes a drain of a pool that together with one that it did not know of leaves no node to be used.
    fn reconcile(&mut self, pool: &PoolName) {
        let is_known = self.standing() == Standing::Quorum;
        if let Some(state) = self.pools.get(pool) {
            self.overrides.reconcile(
                &state.policy,
                is_known.then_some(&|node: &NodeName| state.fitness(node) > Fitness::Unusable),
            );
        }
    }

    fn settle_pool(&mut self, name: &PoolName) {
        let Some(pool) = self.pools.get(name) else { return };
        let (verdicts, found) = self.judge(pool);
        let (next, now) = (self.next_generation(), self.now);
        self.revision += 1;
        let (peers, has_quorum) = (&self.peers, self.standing() == Standing::Quorum);
        let held_elsewhere = || {
            let views = peers.heard(now).filter(|_| has_quorum);
            views.flat_map(View::was_good).filter(|of| of.pool == *name).cloned().collect()
        };
        if let Some(pool) = self.pools.get_mut(name)
            && pool.settle(verdicts, found, held_elsewhere, &self.overrides, next, now)
        {
            self.generation = next;
        }
    }

    /// Above the last generation, and above that of any earlier run whose memory was lost, as far as the clock is right.
    fn next_generation(&self) -> u64 {
        self.generation.saturating_add(1).max(self.now.as_secs())
    }

    fn find(&self, pool: &PoolName, node: &NodeName) -> Result<&PoolState, Refusal> {
        let Some(state) = self.pools.get(pool) else {
            let known = self.pools.keys().cloned().collect();
            return Err(Refusal::UnknownPool { pool: pool.clone(), known });
        };
        if state.policy.nodes.iter().any(|known| known.name == *node) {
            return Ok(state);
        }
        let known = state.policy.nodes.iter().map(|known| known.name.clone()).collect();
        Err(Refusal::UnknownNode { pool: pool.clone(), node: node.clone(), known })
    }
}

#[cfg(test)]
mod tests;
