//! One host: an engine, its gossip, and a clock that may be wrong.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{
    Answer, Engine, HostName, Kind, Membership, Memory, Moment, Observation, Pool, PoolName, Target, Timings,
    WriterElection,
};
use daymark_gossip::{Digest, Gossip, Message, Transmit, exchange};

/// One host.
pub struct Host {
    pub membership: Membership,
    /// Its pool.
    pub pool: Pool,
    configuration: BTreeMap<PoolName, Digest>,
    /// Milliseconds that its clock is ahead.
    pub ahead: i64,
    /// What runs; `None` while it is stopped.
    pub running: Option<Running>,
    /// What its state file holds.
    memory: Memory,
    /// Whether it has run out of descriptors.
    pub is_exhausted: bool,
    /// How often it has started.
    runs: u64,
}

/// A run of a host.
pub struct Running {
    /// Which run of the host it is, from 1 on.
    pub number: u64,
    /// Up to which revision its state file has what it knows.
    remembered: u64,
    pub engine: Engine,
    pub gossip: Gossip,
    /// Whether it may write where only one host may, and by its own clock until when.
    candidacy: WriterElection,
    writes_until: Option<Moment>,
    /// The nodes that are probed.
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

    /// The time by its own clock.
    pub fn clock(&self, at: u64) -> Moment {
        Moment::from_millis(at.saturating_add_signed(self.ahead))
    }

    /// Begins a run, with its memory or without.
    pub fn start(&mut self, at: u64, has_memory: bool) {
        let now = self.clock(at);
        if !has_memory {
            self.memory = Memory::default();
        }
        let engine = Engine::new(Some(self.membership.clone()), vec![self.pool.clone()], self.memory.clone(), now);
        let gossip = Gossip::new(&self.membership, now.as_millis(), now);
        self.runs += 1;
        let (candidacy, probed) = (WriterElection::default(), BTreeSet::new());
        let (number, remembered, writes_until) = (self.runs, 0, None);
        self.running = Some(Running { number, remembered, engine, gossip, candidacy, writes_until, probed });
        self.after(at);
    }

    /// Ends the run as `kill -9` does: what the state file has is what was decided last.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Takes another configuration.
    pub fn reload(&mut self, pool: Pool, at: u64) {
        let now = self.clock(at);
        (self.pool, self.configuration) = (pool.clone(), configuration(&pool));
        if let Some(running) = &mut self.running {
            running.engine.handle_policy(vec![pool], now);
            self.after(at);
        }
    }

    /// Whether a node is configured and not probed yet; it counts as probed from now on.
    pub fn has_to_begin(&mut self, node: usize, target: &Target) -> bool {
        self.running.as_mut().is_some_and(|running| running.engine.has(target) && running.probed.insert(node))
    }

    /// Whether a node is not configured any more; it counts as probed no longer.
    pub fn ceases(&mut self, node: usize, target: &Target) -> bool {
        self.running.as_mut().is_some_and(|running| !running.engine.has(target) && running.probed.remove(&node))
    }

    /// Takes the outcome of a probe in.
    pub fn observe(&mut self, target: &Target, kind: Kind, at: u64) {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return };
        let observation = Observation { kind, timings: Timings::default(), certificate: None };
        running.engine.handle_observation(target, &observation, now);
        self.after(at);
    }

    /// Takes a message in.
    pub fn receive(&mut self, message: Message, at: u64) {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return };
        if running.gossip.handle(message, now).is_ok() {
            self.after(at);
        }
    }

    /// Has an operator's word carried out; tells whether it was.
    pub fn command(&mut self, command: daymark_decision::Command, at: u64) -> bool {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return false };
        let is_done = running.engine.handle_command(command, now).is_ok();
        self.after(at);
        is_done
    }

    /// Lets time pass, and tells what is to be sent.
    pub fn turn(&mut self, at: u64) -> Vec<Transmit> {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return Vec::new() };
        if running.engine.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
            running.engine.handle_timeout(now);
            self.after(at);
        }
        let Some(running) = &mut self.running else { return Vec::new() };
        let is_writer = running.engine.writer() == Some(&self.membership.own);
        running.writes_until = running.candidacy.confirm(is_writer, now);
        std::iter::from_fn(|| running.gossip.poll_transmit(now)).collect()
    }

    /// When it has something to do next of itself.
    pub fn next(&self) -> Option<u64> {
        let running = self.running.as_ref()?;
        let engine = running.engine.poll_timeout().map(|deadline| deadline.at);
        let due = engine.into_iter().chain([running.gossip.poll_timeout()]).min()?;
        Some(due.as_millis().saturating_add_signed(-self.ahead))
    }

    /// Whether it may write now, where only one host may.
    pub fn may_write(&self, at: u64) -> bool {
        let until = self.running.as_ref().and_then(|running| running.writes_until);
        until.is_some_and(|until| self.clock(at) < until)
    }

    pub fn answer(&mut self, at: u64) -> Option<Answer> {
        let now = self.clock(at);
        self.running.as_mut()?.engine.decide(now).answers.into_iter().next()
    }

    fn after(&mut self, at: u64) {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return };
        exchange(&mut running.engine, &mut running.gossip, &self.configuration, now);
        if running.remembered != running.engine.revision() {
            running.remembered = running.engine.revision();
            self.memory = running.engine.memory();
        }
    }
}

/// Stands for the digest of a configuration: another one for other nodes.
fn configuration(pool: &Pool) -> BTreeMap<PoolName, Digest> {
    let names = pool.nodes.iter().flat_map(|node| node.name.as_str().bytes());
    let digest = names.fold(0_u64, |digest, byte| digest.wrapping_mul(31).wrapping_add(byte.into()));
    [(pool.name.clone(), digest.to_be_bytes())].into()
}
