//! A host: an engine, its gossip, and a clock that may be wrong.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{
    Answer, Engine, HostName, Kind, Membership, Memory, Moment, Pool, PoolName, Target, WriterElection, fixtures,
};
use daymark_gossip::{Digest, Gossip, Message, Transmit, exchange};

/// A host, which may be stopped and started.
pub struct Host {
    pub membership: Membership,
    /// Its pool.
    pub pool: Pool,
    configuration: BTreeMap<PoolName, Digest>,
    /// The milliseconds by which its clock is ahead.
    pub ahead: i64,
    /// The present run; `None` while the host is stopped.
    pub running: Option<Running>,
    /// The content of its state file.
    memory: Memory,
    /// True while the host has no file descriptors left.
    pub is_exhausted: bool,
    /// The number of its starts.
    runs: u64,
}

/// A run of a host.
pub struct Running {
    /// The number of the run, from 1 on.
    pub number: u64,
    /// The revision of the engine that the state file has.
    saved_revision: u64,
    pub engine: Engine,
    pub gossip: Gossip,
    /// The election of the writer, and the end of this host's lease by its own clock.
    election: WriterElection,
    lease_until: Option<Moment>,
    /// The nodes that the host probes.
    probed: BTreeSet<usize>,
}

impl Host {
    pub fn new(membership: Membership, pool: Pool) -> Self {
        let configuration = configuration(&pool);
        Self {
            membership,
            pool,
            configuration,
            ahead: 0,
            running: None,
            memory: Memory::default(),
            is_exhausted: false,
            runs: 0,
        }
    }

    pub fn name(&self) -> &HostName {
        &self.membership.own
    }

    /// The time by the host's own clock.
    pub fn clock(&self, at: u64) -> Moment {
        Moment::from_millis(at.saturating_add_signed(self.ahead))
    }

    /// Starts a run, with the state file or without.
    pub fn start(&mut self, at: u64, has_memory: bool) {
        let now = self.clock(at);
        if !has_memory {
            self.memory = Memory::default();
        }
        let engine = Engine::new(Some(self.membership.clone()), vec![self.pool.clone()], self.memory.clone(), now);
        let gossip = Gossip::new(&self.membership, now.as_millis(), now);
        self.runs += 1;
        let (election, probed) = (WriterElection::default(), BTreeSet::new());
        let (number, saved_revision, lease_until) = (self.runs, 0, None);
        self.running = Some(Running { number, saved_revision, engine, gossip, election, lease_until, probed });
        self.exchange_and_save(at);
    }

    /// Kills the run. The state file has the last decision.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Reloads with another configuration.
    pub fn reload(&mut self, pool: Pool, at: u64) {
        let now = self.clock(at);
        (self.pool, self.configuration) = (pool.clone(), configuration(&pool));
        if let Some(running) = &mut self.running {
            running.engine.handle_policy(vec![pool], now);
            self.exchange_and_save(at);
        }
    }

    /// Marks a configured node as probed; returns false if it was marked before or is not configured.
    pub fn start_probing(&mut self, node: usize, target: &Target) -> bool {
        self.running.as_mut().is_some_and(|running| running.engine.has(target) && running.probed.insert(node))
    }

    /// Marks a removed node as no longer probed; returns false if it is configured.
    pub fn stop_probing(&mut self, node: usize, target: &Target) -> bool {
        self.running.as_mut().is_some_and(|running| !running.engine.has(target) && running.probed.remove(&node))
    }

    /// Handles the outcome of a probe.
    pub fn observe(&mut self, target: &Target, kind: Kind, at: u64) {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return };
        running.engine.handle_observation(target, &fixtures::observation(kind), now);
        self.exchange_and_save(at);
    }

    /// Handles a message.
    pub fn receive(&mut self, message: Message, at: u64) {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return };
        if running.gossip.handle(message, now).is_ok() {
            self.exchange_and_save(at);
        }
    }

    /// Carries out a command of an operator; returns false if it was refused.
    pub fn command(&mut self, command: daymark_decision::Command, at: u64) -> bool {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return false };
        let is_done = running.engine.handle_command(command, now).is_ok();
        self.exchange_and_save(at);
        is_done
    }

    /// Handles timeouts, and returns the messages to be sent.
    pub fn poll(&mut self, at: u64) -> Vec<Transmit> {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return Vec::new() };
        if running.engine.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
            running.engine.handle_timeout(now);
            self.exchange_and_save(at);
        }
        let Some(running) = &mut self.running else { return Vec::new() };
        let is_writer = running.engine.writer() == Some(&self.membership.own);
        running.lease_until = running.election.confirm(is_writer, now);
        std::iter::from_fn(|| running.gossip.poll_transmit(now)).collect()
    }

    /// The time of the next timeout.
    pub fn next(&self) -> Option<u64> {
        let running = self.running.as_ref()?;
        let engine = running.engine.poll_timeout().map(|deadline| deadline.at);
        let due = engine.into_iter().chain([running.gossip.poll_timeout()]).min()?;
        Some(due.as_millis().saturating_add_signed(-self.ahead))
    }

    /// True while the host has the writer lease.
    pub fn may_write(&self, at: u64) -> bool {
        let until = self.running.as_ref().and_then(|running| running.lease_until);
        until.is_some_and(|until| self.clock(at) < until)
    }

    pub fn answer(&mut self, at: u64) -> Option<Answer> {
        let now = self.clock(at);
        self.running.as_mut()?.engine.decide(now).answers.into_iter().next()
    }

    fn exchange_and_save(&mut self, at: u64) {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return };
        exchange(&mut running.engine, &mut running.gossip, &self.configuration, now);
        if running.saved_revision != running.engine.revision() {
            running.saved_revision = running.engine.revision();
            self.memory = running.engine.memory();
        }
    }
}

/// A hash in the place of the real one: it differs if the nodes differ.
fn configuration(pool: &Pool) -> BTreeMap<PoolName, Digest> {
    let names = pool.nodes.iter().flat_map(|node| node.name.as_str().bytes());
    let digest = names.fold(0_u64, |digest, byte| digest.wrapping_mul(31).wrapping_add(byte.into()));
    [(pool.name.clone(), digest.to_be_bytes())].into()
}
