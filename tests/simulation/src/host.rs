//! One simulated host: an engine, its gossip, and a clock that may be wrong.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{
    Answer, Command, Engine, HostName, Kind, Membership, Memory, Moment, OverrideEntry, Pool, PoolName, QuorumState,
    Target, WriterElection, fixtures,
};
use daymark_gossip::{ConfigurationHash, Gossip, Message, Transmit, exchange};

use crate::fault::StateFile;
use crate::probing::Schedule;
use crate::setup::{Naming, Setup};

/// A host, running or stopped.
pub struct Host {
    pub membership: Membership,
    pub pools: Vec<Pool>,
    /// Its names of the nodes, from the next reload on.
    pub naming: Naming,
    /// Every target by its present names.
    targets: Vec<Target>,
    configuration: BTreeMap<PoolName, ConfigurationHash>,
    /// The milliseconds by which its clock is ahead.
    pub clock_offset_ms: i64,
    /// The present run; `None` while the host is stopped.
    pub running: Option<Running>,
    /// The content of its state file. While the host runs, it may be older than the file.
    memory: Memory,
    /// A copy of an earlier state file.
    backup: Option<Memory>,
    /// A copy of the memory of a run.
    snapshot: Option<Snapshot>,
    /// The host has no file descriptors left.
    pub is_exhausted: bool,
    /// The number of runs so far.
    runs: u64,
}

/// A run of a host.
pub struct Running {
    /// The number of the run, from 1.
    pub number: u64,
    pub engine: Engine,
    pub gossip: Gossip,
    election: WriterElection,
    /// The end of the writer lease by the host's own clock.
    lease_until: Option<Moment>,
    /// Every target by the names of this host.
    pub(crate) targets: Vec<Target>,
    /// The probes of every target.
    pub(crate) schedules: Vec<Schedule>,
    /// The answers at a revision of the engine.
    answers: Option<Answers>,
    /// Its memory was set back, and no other host has told it yet.
    pub is_set_back: bool,
}

/// The memory of a run at some time. The election is not part of it: the lease ends by a clock that goes on.
struct Snapshot {
    run: u64,
    engine: Engine,
    gossip: Gossip,
}

struct Answers {
    revision: u64,
    of_pools: Vec<Answer>,
}

impl Running {
    /// The configured targets that are not probed yet.
    pub(crate) fn begin_probing(&self) -> Vec<usize> {
        let is_new = |target: &usize| !self.schedules[*target].is_active && self.engine.has(&self.targets[*target]);
        (0..self.targets.len()).filter(is_new).collect()
    }
}

impl Host {
    pub fn new(membership: Membership, setup: &Setup, configured: &BTreeSet<usize>, naming: Naming) -> Self {
        let pools = setup.configuration(configured, naming);
        let configuration = configuration(&pools);
        Self {
            membership,
            pools,
            naming,
            targets: setup.named_targets(naming),
            configuration,
            clock_offset_ms: 0,
            running: None,
            memory: Memory::default(),
            backup: None,
            snapshot: None,
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

    /// Starts the host.
    pub fn start(&mut self, at: u64, state_file: StateFile) {
        let now = self.clock(at);
        self.kill();
        match state_file {
            StateFile::Current => {}
            StateFile::Lost => self.memory = Memory::default(),
            StateFile::Old => self.memory = self.backup.clone().unwrap_or_default(),
        }
        self.runs += 1;
        self.running = Some(Running {
            number: self.runs,
            engine: Engine::new(Some(self.membership.clone()), self.pools.clone(), self.memory.clone(), now),
            gossip: Gossip::new(&self.membership, now.as_millis(), now),
            election: WriterElection::default(),
            lease_until: None,
            targets: self.targets.clone(),
            schedules: vec![Schedule::default(); self.targets.len()],
            answers: None,
            is_set_back: false,
        });
        self.exchange(at);
    }

    /// Ends the run like `kill -9`. The state file keeps the last decision.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            self.memory = running.engine.memory();
        }
    }

    /// Copies the state file.
    pub fn back_up(&mut self) {
        self.backup =
            Some(self.running.as_ref().map_or_else(|| self.memory.clone(), |running| running.engine.memory()));
    }

    /// Copies the memory of the present run.
    pub fn take_snapshot(&mut self) {
        self.snapshot = self.running.as_ref().map(|running| Snapshot {
            run: running.number,
            engine: running.engine.clone(),
            gossip: running.gossip.clone(),
        });
    }

    /// Drops the snapshot, so the memory is not set back to it.
    pub fn drop_snapshot(&mut self) {
        self.snapshot = None;
    }

    /// Sets the memory back to the last snapshot, if it is of the present run. The configuration is read anew.
    pub fn set_back(&mut self, at: u64) {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return };
        let Some(snapshot) = self.snapshot.take().filter(|snapshot| snapshot.run == running.number) else { return };
        running.engine = snapshot.engine;
        running.gossip = snapshot.gossip;
        running.is_set_back = true;
        running.answers = None;
        running.engine.handle_policy(self.pools.clone(), now);
        self.exchange(at);
    }

    /// Changes the configuration. `targets` are all targets by the new names.
    pub fn reload(&mut self, pools: Vec<Pool>, targets: Vec<Target>, at: u64) {
        let now = self.clock(at);
        self.configuration = configuration(&pools);
        self.pools.clone_from(&pools);
        self.targets.clone_from(&targets);
        if let Some(running) = &mut self.running {
            running.targets = targets;
            running.engine.handle_policy(pools, now);
            for (target, schedule) in running.targets.iter().zip(&mut running.schedules) {
                schedule.is_active &= running.engine.has(target);
            }
            self.exchange(at);
        }
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
        let former = running.gossip.incarnation();
        if running.gossip.handle(message, now).is_ok() {
            running.is_set_back &= running.gossip.incarnation() == former;
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
        if running.engine.poll_timeout().is_some_and(|due| due <= now) {
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
        let engine = running.engine.poll_timeout();
        let due = engine.into_iter().chain([running.gossip.poll_timeout()]).min()?;
        Some(due.as_millis().saturating_add_signed(-self.clock_offset_ms))
    }

    /// Tells if the host holds the writer lease.
    pub fn may_write(&self, at: u64) -> bool {
        let until = self.running.as_ref().and_then(|running| running.lease_until);
        until.is_some_and(|until| self.clock(at) < until)
    }

    /// The answer of the first pool.
    pub fn answer(&mut self, at: u64) -> Option<Answer> {
        self.answers(at).first().cloned()
    }

    /// The answers of all pools, in the order of the pools; none while the host is stopped.
    pub fn answers(&mut self, at: u64) -> &[Answer] {
        let now = self.clock(at);
        let Some(running) = &mut self.running else { return &[] };
        running.engine.handle_timeout(now);
        let revision = running.engine.revision();
        let kept = running.answers.take().filter(|answers| answers.revision == revision);
        let answers = kept.unwrap_or_else(|| Answers { revision, of_pools: running.engine.decide(now).answers });
        &running.answers.insert(answers).of_pools
    }

    /// The answers that [`Host::answers`] gave last.
    pub fn last_answers(&self) -> &[Answer] {
        let answers = self.running.as_ref().and_then(|running| running.answers.as_ref());
        answers.map_or(&[], |answers| &answers.of_pools)
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
    }
}

/// A hash over the names of each pool's nodes, in place of one over its whole configuration.
fn configuration(pools: &[Pool]) -> BTreeMap<PoolName, ConfigurationHash> {
    let hash = |pool: &Pool| {
        let names = pool.nodes.iter().flat_map(|node| node.name.as_str().bytes());
        names.fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
    };
    pools.iter().map(|pool| (pool.name.clone(), ConfigurationHash(hash(pool).to_be_bytes()))).collect()
}
