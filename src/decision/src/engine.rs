//! The whole core, composed. The engine hands inputs to the parts that decide, and keeps time and generation.

mod hosts;
mod verdicts;

use std::collections::BTreeMap;

use crate::answer::Decision;
use crate::command::Command;
use crate::health::Health;
use crate::memory::Memory;
use crate::moment::Moment;
use crate::name::{NodeName, PoolName};
use crate::observation::Observation;
use crate::operator_override::Override;
use crate::override_entry::{NodeOverride, OverrideEntry};
use crate::overrides::{Overrides, Usability};
use crate::peers::{PeerView, Peers, REACHABLE_FOR, ViewEffect};
use crate::policy::Pool;
use crate::pool::PoolState;
use crate::quorum::{Membership, QuorumState};
use crate::refusal::Refusal;
use crate::starting::Starting;
use crate::target::{Grade, NodeKey, Target};

/// The greatest generation that a state file may begin with, so that there always is a next one.
const MAX_RESTORED_GENERATION: u64 = u64::MAX / 2;

/// The number of generations that commands may make at once at the start of a run. It is what the clock adds in an eighth of a
/// second, and no host restarts faster.
const MAX_GENERATIONS_AT_ONCE: u64 = 8;

/// The rate at which the least generation rises with the clock. The SOA serial is the low 32 bits of the generation, so two
/// serials compare rightly (RFC 1982) if they are less than 388 days apart.
const GENERATIONS_PER_SECOND: u64 = 64;

/// The number of generations by which a run may be ahead of the clock: five minutes. A run begins above all that an earlier run
/// may have reached, in case its memory is lost.
const MAX_GENERATIONS_AHEAD: u64 = 300 * GENERATIONS_PER_SECOND;

/// The decision core: inputs with their moments go in, the [`Decision`] comes out.
///
/// Moments may stand still. A moment before the last one counts as the last one. Between two inputs, the decision changes
/// only at the moments that [`Engine::poll_timeout`] announces.
#[derive(Clone, Debug)]
pub struct Engine {
    membership: Option<Membership>,
    pools: BTreeMap<PoolName, PoolState>,
    overrides: Overrides,
    peers: Peers,
    starting: Option<Starting>,
    now: Moment,
    generation: u64,
    revision: u64,
}

impl Engine {
    /// An engine for these pools, with the memory of an earlier run. `membership` is `None` for a host without peers. Memory of
    /// pools and nodes that are not configured is dropped.
    pub fn new(membership: Option<Membership>, pools: Vec<Pool>, memory: Memory, now: Moment) -> Self {
        let mut engine = Self {
            membership,
            pools: BTreeMap::new(),
            overrides: Overrides::default(),
            peers: Peers::default(),
            starting: None,
            now,
            generation: memory.generation.min(MAX_RESTORED_GENERATION).max(first_generation(now)),
            revision: 0,
        };
        let own = engine.own().cloned();
        let mut remembered: BTreeMap<_, _> =
            memory.pools.into_iter().map(|memory| (memory.pool.clone(), memory)).collect();
        for policy in pools {
            let memory = remembered.remove(&policy.name);
            for (node, entry) in memory.iter().flat_map(|memory| &memory.overrides) {
                let entry = entry.restored(own.as_ref(), now);
                engine.overrides.merge(policy.node_key(node), entry, now);
            }
            engine.pools.insert(policy.name.clone(), PoolState::new(policy, memory, now));
        }
        engine.overrides.configure(engine.pools.values().map(|pool| &pool.policy));
        engine.begin_start();
        engine.recompute(now);
        engine
    }

    /// Begins to wait for the other hosts, if there are any.
    fn begin_start(&mut self) {
        if self.membership.is_some() {
            let until = self.now.after(REACHABLE_FOR);
            let verdicts = self.verdicts().map(|(target, verdict)| (target.clone(), *verdict)).collect();
            self.starting = Some(Starting { until, verdicts });
            self.overrides.mark_expiry_uncertain(until);
        }
    }

    /// Goes on as after a restart, because the memory of this host was set back: the grades, votes and overrides may be old.
    pub fn handle_set_back(&mut self, now: Moment) {
        self.advance(now);
        self.pools.values_mut().for_each(PoolState::mark_restored);
        self.begin_start();
        self.recompute(self.now);
        self.renew(self.next_generation().max(first_generation(self.now)));
    }

    /// Takes in the outcome of one probe. A target that is not configured changes nothing.
    pub fn handle_observation(&mut self, target: &Target, observation: &Observation, now: Moment) {
        self.advance(now);
        let was_isolated = self.is_isolated();
        let Some(pool) = self.pools.get_mut(&target.pool) else { return };
        if !pool.observe(target, &observation.kind, self.now) {
            return;
        }
        // Isolation matters to every pool.
        if self.is_isolated() == was_isolated {
            self.recompute_pool(&target.pool, self.next_generation());
        } else {
            self.recompute(self.now);
        }
    }

    /// True if the target is configured.
    pub fn has(&self, target: &Target) -> bool {
        self.pools.get(&target.pool).is_some_and(|pool| pool.has(target))
    }

    /// Takes in the view that another member reported at `reported`. Returns false if the view is stale or replayed; then it
    /// changes nothing.
    pub fn handle_peer_view(&mut self, view: PeerView, reported: Moment, now: Moment) -> bool {
        self.advance(now);
        let is_peer = self
            .membership
            .as_ref()
            .is_some_and(|membership| view.host != membership.own && membership.members.contains(&view.host));
        if !is_peer {
            return false;
        }
        let effect = self.peers.update(view, reported, self.now);
        if effect == ViewEffect::Changed {
            self.recompute(self.now);
        }
        effect != ViewEffect::Stale
    }

    /// Merges override entries of other hosts: the newest entry of each node counts. Two drains that did not know of each other
    /// and leave no usable node: the later one is reverted. Entries on nodes that are not configured stay pending.
    pub fn handle_override_entries(&mut self, entries: impl IntoIterator<Item = NodeOverride>, now: Moment) {
        self.advance(now);
        let mut has_changed = false;
        for NodeOverride { key, entry } in entries {
            has_changed |= self.pools.contains_key(&key.pool) && self.overrides.merge(key, entry, self.now);
        }
        if !has_changed {
            return;
        }
        self.overrides.trim_pending();
        self.recompute(self.now);
    }

    /// Carries out an operator's command, or refuses it and changes nothing.
    pub fn handle_command(&mut self, command: Command, now: Moment) -> Result<(), Refusal> {
        self.advance(now);
        if let (QuorumState::Starting, Some(starting)) = (self.quorum_state(), &self.starting) {
            return Err(Refusal::Starting { until: starting.until });
        }
        // Probes cannot change the answers so often for long, because penalties damp them. Commands could.
        if self.generation > first_generation(self.now).saturating_add(MAX_GENERATIONS_AT_ONCE) {
            return Err(Refusal::TooManyChanges);
        }
        let own = self.own().cloned();
        match command {
            Command::SetOverride { pool, node, requested, insist } => {
                let state = self.find(&pool, &node)?;
                let usability = |node: &NodeName, family| state.usability(node, family);
                self.overrides.check(&state.policy, &node, &requested, insist, usability, self.now)?;
                let requested = Override { host: own.clone(), ..requested };
                self.overrides.set(NodeKey { pool, node }, requested, insist, own.as_ref(), self.now);
            }
            Command::ClearOverride { pool, node } => {
                // A pending override can be cleared as well.
                let key = NodeKey { pool, node };
                if !self.overrides.clear(&key, own.as_ref(), self.now) {
                    self.find(&key.pool, &key.node)?;
                    return Err(Refusal::NoOverride { pool: key.pool, node: key.node });
                }
            }
        }
        self.recompute(self.now);
        Ok(())
    }

    /// Takes a new configuration. Targets that stay keep their health. Every answer gets a new generation, because its
    /// surroundings, such as the zone, may have changed too.
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
        self.recompute(self.now);
        self.renew(self.next_generation());
    }

    /// Gives every answer this generation, also if it has not changed.
    fn renew(&mut self, generation: u64) {
        self.generation = generation;
        self.revision = self.revision.saturating_add(1);
        for pool in self.pools.values_mut() {
            pool.renew(generation);
        }
    }

    /// Lets time pass. To be called at the moment that [`Engine::poll_timeout`] gives, or later.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.advance(now);
    }

    /// Waits no longer for the first verdict of each target: those that are there decide.
    pub fn await_no_more_verdicts(&mut self, now: Moment) {
        self.advance(now);
        self.pools.values_mut().for_each(PoolState::await_no_more_verdicts);
        self.recompute(self.now);
    }

    /// The decision to publish now.
    pub fn decide(&mut self, now: Moment) -> Decision {
        self.advance(now);
        let answers = self.pools.values().map(|pool| pool.answer().clone()).collect();
        Decision { answers, generation: self.generation }
    }

    /// The next time at which the decision may change without another input.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let ttl_steps = self.pools.values().filter_map(|pool| pool.ttl_changes_at);
        let first_verdicts = self.pools.values().filter_map(PoolState::awaits_verdicts_until);
        let others = [
            self.overrides.next_expiry(),
            self.overrides.uncertain_until(),
            self.peers.next_unreachable(self.now),
            self.starting.as_ref().map(|starting| starting.until),
        ];
        ttl_steps.chain(first_verdicts).chain(others.into_iter().flatten()).min()
    }

    /// A number that rises whenever the decision, a health or an override may have changed.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The health of every target, by pool and in the operator's order.
    pub fn healths(&self) -> impl Iterator<Item = (&Target, &Health)> {
        self.pools.values().flat_map(PoolState::healths)
    }

    /// True if every target is settled. See [`Health::is_settled`].
    pub fn is_settled(&self) -> bool {
        self.healths().all(|(_, health)| health.is_settled())
    }

    /// The active overrides.
    pub fn overrides(&self) -> impl Iterator<Item = (&NodeKey, &Override)> {
        self.overrides.iter()
    }

    /// The overrides on nodes that are not configured. They have no effect until the node is.
    pub fn pending_overrides(&self) -> impl Iterator<Item = (&NodeKey, &Override)> {
        self.overrides.pending()
    }

    /// The newest override entry of each node, also if it has ended, or the node is not configured any more.
    pub fn override_entries(&self) -> impl Iterator<Item = (&NodeKey, &OverrideEntry)> {
        self.overrides.entries()
    }

    /// The verdict of the hosts on each target.
    pub fn verdicts(&self) -> impl Iterator<Item = (&Target, &Grade)> {
        self.pools.values().flat_map(|pool| &pool.verdicts().by_target)
    }

    /// The memory for the next run.
    pub fn memory(&self) -> Memory {
        let pools = self.pools.values().map(|pool| pool.memory(&self.overrides)).collect();
        Memory { generation: self.generation, pools }
    }

    /// Goes through every deadline up to `now` in turn. A deadline that is noticed late has the effect that it would have had.
    fn advance(&mut self, now: Moment) {
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            self.recompute(self.now);
        }
        self.now = self.now.max(now);
    }

    fn recompute(&mut self, now: Moment) {
        self.overrides.expire(now);
        // Once all hosts were reachable, the wait is over for good.
        let reaches_all = self.reachable_count() == self.member_count();
        if reaches_all || self.starting.as_ref().is_some_and(|starting| starting.until <= now) {
            self.starting = None;
        }
        let names: Vec<_> = self.pools.keys().cloned().collect();
        let next = self.next_generation();
        for name in &names {
            self.recompute_pool(name, next);
        }
    }

    /// Computes the answer of a pool anew, and reverts drains that leave no usable node in it. If the answer changes, it gets the
    /// generation `next`, as all pools that change together do.
    fn recompute_pool(&mut self, name: &PoolName, next: u64) {
        self.recompute_answer(name, next);
        if self.reconcile(name) {
            self.recompute_answer(name, next);
        }
    }

    /// Reverts a drain of a pool if it and a drain that it did not know of leave no usable node. Returns true if it reverted one.
    fn reconcile(&mut self, pool: &PoolName) -> bool {
        let has_quorum = self.quorum_state() == QuorumState::Quorum;
        let Some(state) = self.pools.get(pool) else { return false };
        let is_usable = |node: &NodeName, family| state.usability(node, family) > Usability::Unusable;
        self.overrides.reconcile(&state.policy, has_quorum.then_some(&is_usable))
    }

    fn recompute_answer(&mut self, name: &PoolName, next: u64) {
        let Some(pool) = self.pools.get(name) else { return };
        let verdicts = self.verdicts_of(pool);
        let now = self.now;
        self.revision = self.revision.saturating_add(1);
        let has_quorum = self.quorum_state() == QuorumState::Quorum;
        let peers = &self.peers;
        let good_of_peers = || {
            let views = peers.reachable(now).filter(|_| has_quorum);
            views.flat_map(|view| view.last_known_good(name)).collect()
        };
        if let Some(pool) = self.pools.get_mut(name)
            && pool.recompute(verdicts, &good_of_peers, &self.overrides, next, now)
        {
            self.generation = next;
        }
    }

    /// A generation above the last one, and not behind the clock.
    fn next_generation(&self) -> u64 {
        self.generation.saturating_add(1).max(generation_by_clock(self.now))
    }

    fn find(&self, pool: &PoolName, node: &NodeName) -> Result<&PoolState, Refusal> {
        let Some(state) = self.pools.get(pool) else {
            let known = self.pools.keys().cloned().collect();
            return Err(Refusal::UnknownPool { pool: pool.to_string(), known });
        };
        if state.policy.nodes.iter().any(|known| known.name == *node) {
            return Ok(state);
        }
        let known = state.policy.nodes.iter().map(|known| known.name.clone()).collect();
        Err(Refusal::UnknownNode { pool: pool.clone(), node: node.to_string(), known })
    }
}

fn generation_by_clock(now: Moment) -> u64 {
    now.as_millis().saturating_mul(GENERATIONS_PER_SECOND) / 1_000
}

/// The generation with which a run begins: none of an earlier run is above it, if the clock is right.
fn first_generation(now: Moment) -> u64 {
    generation_by_clock(now).saturating_add(MAX_GENERATIONS_AHEAD)
}

#[cfg(test)]
mod tests;
