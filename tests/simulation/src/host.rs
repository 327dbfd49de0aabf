//! One simulated host: an engine, its gossip, and a clock that may be wrong.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{
    Answer, Command, Engine, HostName, Kind, Membership, Memory, Moment, OverrideEntry, Pool, PoolName, QuorumState,
    Target, WriterElection, fixtures,
};
use daymark_gossip::{ConfigurationHash, Gossip, Message, Transmit, exchange};

/// A host, running or stopped.
pub struct Host {
    pub membership: Membership,
    pub pool: Pool,
    configuration: BTreeMap<PoolName, ConfigurationHash>,
    /// The milliseconds by which its clock is ahead.
    pub clock_offset_ms: i64,
    /// The present run; `None` while the host is stopped.
    pub running: Option<Running>,
    /// The content of its state file.
    memory: Memory,
    /// The host has no file descriptors left.
    pub is_exhausted: bool,
    /// The number of runs so far.
    runs: u64,
}

/// A run of a host.
pub struct Running {
    /// The number of the run, from 1.
    pub number: u64,
    /// The revision of the engine that the state file has.
    saved_revision: u64,
    pub engine: Engine,
    pub gossip: Gossip,
    election: WriterElection,
    /// The end of the writer lease by the host's own clock.
    lease_until: Option<Moment>,
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
            clock_offset_ms: 0,
            running: None,
            memory: Memory::default(),
            is_exhausted: false,
            runs: 0,
        }
    }

    pub fn name(&self) -> &HostName {
        &self.membership.own
    }

    /// The host's own clock at a time of the simulation.
    pub fn clock(&self, at: u64) -> Moment {
        Moment::from_millis(at.saturating_add_signed(self.clock_offset_ms))
    }

    /// Starts the host, with its state file or without.
    pub fn start(&mut self, at: u64, keeps_state: bool) {
        let now = self.clock(at);
        if !keeps_state {
            self.memory = Memory::default();
        }
        self.runs += 1;
        self.running = Some(Running {
            number: self.runs,
            saved_revision: 0,
            engine: Engine::new(Some(self.membership.clone()), vec![self.pool.clone()], self.memory.clone(), now),
            gossip: Gossip::new(&self.membership, now.as_millis(), now),
            election: WriterElection::default(),
            lease_until: None,
            probed: BTreeSet::new(),
        });
        self.exchange(at);
    }

    /// Ends the run like `kill -9`. The state file keeps the last decision.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Changes the configuration.
    pub fn reload(&mut self, pool: Pool, at: u64) {
        let now = self.clock(at);
        self.configuration = configuration(&pool);
        self.pool = pool.clone();
        if let Some(running) = &mut self.running {
            running.engine.handle_policy(vec![pool], now);
            self.exchange(at);
        }
    }

    /// Marks a configured node as probed. Returns `false` if it was probed already.
    pub fn begin_probing(&mut self, node: usize, target: &Target) -> bool {
        self.running.as_mut().is_some_and(|running| running.engine.has(target) && running.probed.insert(node))
    }

    /// Marks a node as not probed if it is not configured any more. Returns `true` if it was probed until then.
    pub fn stop_probing(&mut self, node: usize, target: &Target) -> bool {
        self.running.as_mut().is_some_and(|running| !running.engine.has(target) && running.probed.remove(&node))
    }

    /// Takes in the outcome of a probe.
    pub fn observe(&mut self, target: &Target, kind: Kind, at: u64) {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return };
        running.engine.handle_observation(target, &fixtures::observation(kind), now);
        self.exchange(at);
    }

    /// Takes in a message.
    pub fn receive(&mut self, message: Message, at: u64) {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return };
        if running.gossip.handle(message, now).is_ok() {
            self.exchange(at);
        }
    }

    /// Carries out an operator's command. Returns `false` if it is refused.
    pub fn command(&mut self, command: Command, at: u64) -> bool {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return false };
        let is_done = running.engine.handle_command(command, now).is_ok();
        self.exchange(at);
        is_done
    }

    /// Lets time pass. Returns the messages that are due.
    pub fn poll(&mut self, at: u64) -> Vec<Transmit> {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return Vec::new() };
        if running.engine.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
            running.engine.handle_timeout(now);
            self.exchange(at);
        }
        let Some(running) = &mut self.running else { return Vec::new() };
        let is_elected = running.engine.writer() == Some(&self.membership.own);
        running.lease_until = running.election.confirm(is_elected, now);
        std::iter::from_fn(|| running.gossip.poll_transmit(now)).collect()
    }

    /// The time of the simulation at which [`Host::poll`] has something to do.
    pub fn next_due(&self) -> Option<u64> {
        let running = self.running.as_ref()?;
        let engine = running.engine.poll_timeout().map(|deadline| deadline.at);
        let due = engine.into_iter().chain([running.gossip.poll_timeout()]).min()?;
        Some(due.as_millis().saturating_add_signed(-self.clock_offset_ms))
    }

    /// Tells if the host holds the writer lease.
    pub fn may_write(&self, at: u64) -> bool {
        let until = self.running.as_ref().and_then(|running| running.lease_until);
        until.is_some_and(|until| self.clock(at) < until)
    }

    pub fn answer(&mut self, at: u64) -> Option<Answer> {
        let now = self.clock(at);
        self.running.as_mut()?.engine.decide(now).answers.into_iter().next()
    }

    /// The present run if it has a quorum.
    pub(crate) fn running_with_quorum(&self) -> Option<&Running> {
        self.running.as_ref().filter(|running| running.engine.quorum_state() == QuorumState::Quorum)
    }

    pub(crate) fn override_entries(&self) -> impl Iterator<Item = &OverrideEntry> {
        self.running.iter().flat_map(|running| running.engine.override_entries().map(|(_, entry)| entry))
    }

    fn exchange(&mut self, at: u64) {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return };
        exchange(&mut running.engine, &mut running.gossip, &self.configuration, now);
        if running.saved_revision != running.engine.revision() {
            running.saved_revision = running.engine.revision();
            self.memory = running.engine.memory();
        }
    }
}

/// A hash over the names of the pool's nodes, in place of one over its whole configuration.
fn configuration(pool: &Pool) -> BTreeMap<PoolName, ConfigurationHash> {
    let names = pool.nodes.iter().flat_map(|node| node.name.as_str().bytes());
    let hash = names.fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    [(pool.name.clone(), ConfigurationHash(hash.to_be_bytes()))].into()
}
