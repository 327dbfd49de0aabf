//! The simulated cluster: hosts, nodes, the network between them, and the queue of events.
//!
//! It lets time pass. It does not know which faults a run injects, or which rules must hold.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::IpAddr;

use daymark_decision::{Family, Kind, Target, Thresholds, fixtures};
use daymark_gossip::Message;
use fastrand::Rng;

use crate::fault::{NodeState, OperatorCommand, StateFile};
use crate::host::Host;
use crate::network::{AddressPath, Network, NodePath, PeerPath};
use crate::probing::{PROBE_INTERVAL, PROBE_TIMEOUT, Schedule, Start};
use crate::setup::{Naming, Setup};

mod inject;

/// The time at which every run starts: 2026-01-01.
const START: u64 = 1_767_225_600_000;
/// Milliseconds between two commands of a storm.
const STORM_INTERVAL: u64 = 100;
/// Milliseconds after a fault of a host, of the paths between hosts, or of the configuration until its effects are over: five
/// until a host is unreachable or its start is over, and the time to spread that.
const SETTLING_TIME: u64 = 8_000;

/// The size of a cluster of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterSize {
    pub hosts: usize,
    pub nodes: usize,
}

/// A simulated node.
pub struct SimulatedNode {
    pub pool: usize,
    /// Its first address, by its plain name.
    pub target: Target,
    pub state: NodeState,
    pub changed_at: u64,
    /// The last change to a better state.
    pub improved_at: u64,
    /// The state had lasted before the last change.
    pub was_steady: bool,
    /// The last time it was ready. It is no bound while the node is ready.
    was_ready_until: Option<u64>,
    /// The same for ready and live together.
    was_usable_until: Option<u64>,
}

impl SimulatedNode {
    fn new(pool: usize, target: Target, state: NodeState) -> Self {
        let is_usable = state.is_usable().then_some(START);
        Self {
            pool,
            target,
            state,
            changed_at: START,
            improved_at: START,
            was_steady: true,
            was_ready_until: is_usable,
            was_usable_until: is_usable,
        }
    }

    fn set(&mut self, state: NodeState, now: u64) {
        if state == self.state {
            return;
        }
        if self.state == NodeState::Ready || state == NodeState::Ready {
            self.was_ready_until = Some(now);
        }
        if self.state.is_usable() || state.is_usable() {
            self.was_usable_until = Some(now);
        }
        if state.rank() > self.state.rank() {
            self.improved_at = now;
        }
        self.was_steady = now - self.changed_at > 3 * PROBE_INTERVAL;
        self.changed_at = now;
        self.state = state;
    }

    /// True if the node was ready at some time since `since`.
    pub fn was_ready_since(&self, since: u64) -> bool {
        self.state == NodeState::Ready || self.was_ready_until.is_some_and(|until| until >= since)
    }

    /// True if the node was ready or live at some time since `since`.
    pub fn was_usable_since(&self, since: u64) -> bool {
        self.state.is_usable() || self.was_usable_until.is_some_and(|until| until >= since)
    }

    /// True if the node has been ready since `since` at least.
    pub fn is_ready_since(&self, since: u64) -> bool {
        self.state == NodeState::Ready && self.changed_at <= since
    }
}

/// One address of a simulated node.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedTarget {
    pub node: usize,
    pub address: IpAddr,
    /// Nothing listens on it.
    pub is_deaf: bool,
    /// The last change of a path from any host to it.
    pub path_changed_at: u64,
}

impl SimulatedTarget {
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }
}

/// Hosts, nodes and the network between them.
pub struct Cluster {
    pub now: u64,
    pub setup: Setup,
    pub hosts: Vec<Host>,
    /// All nodes, configured or not.
    pub nodes: Vec<SimulatedNode>,
    /// All addresses of all nodes.
    pub targets: Vec<SimulatedTarget>,
    /// The nodes in the newest configuration. A host has it after its reload.
    pub configured: BTreeSet<usize>,
    /// A node was removed from the configuration at some time.
    pub has_removed: bool,
    pub network: Network,
    pub rng: Rng,
    thresholds: Thresholds,
    pub traffic: Traffic,
    /// The last fault of a host, of the paths between hosts, or of the configuration.
    disturbed_at: u64,
    queue: BinaryHeap<Reverse<QueuedEvent>>,
    queued_so_far: u64,
}

/// The messages that hosts have sent to each other, lost ones too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub messages: u64,
    pub bytes: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct QueuedEvent {
    at: u64,
    /// The place in the order of queueing, so that events of the same time have an order.
    number: u64,
    event: Event,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Probe { host: usize, target: usize, run: u64, ticket: u64 },
    ProbeResult { host: usize, target: usize, run: u64, start: Start, outcome: ProbeOutcome },
    ConnectionEnded { host: usize, target: usize, run: u64 },
    Delivery { to: usize, bytes: Vec<u8> },
    Reload { host: usize },
    Start { host: usize, state_file: StateFile },
    SetBack { host: usize },
    StormCommand { until: u64 },
    NodeState { node: usize, state: NodeState },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ProbeOutcome {
    Ready,
    NotReady,
    ShuttingDown,
    Refused,
    Timeout,
    LocalError,
}

impl Cluster {
    /// A cluster of one pool without faults: every node is ready, and all hosts start together.
    pub fn new(size: ClusterSize, seed: u64) -> Self {
        Self::with(Setup::plain(size), seed)
    }

    /// A cluster of this shape without faults. All hosts start together.
    pub fn with(setup: Setup, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let all = 0..setup.node_count();
        let configured: BTreeSet<usize> = all.clone().filter(|node| !setup.is_spare(*node)).collect();
        let targets: Vec<SimulatedTarget> = all.clone().flat_map(|node| setup.targets_of(node)).collect();
        let plain = setup.named_targets(Naming::Plain);
        let mut node = |n: usize| {
            let first = targets.iter().position(|target| target.node == n).unwrap_or_default();
            let is_unborn = setup.has_unborn && rng.u8(0..4) == 0;
            let state = if is_unborn { NodeState::Dead } else { NodeState::Ready };
            SimulatedNode::new(setup.pool_of(n), plain[first].clone(), state)
        };
        let nodes = all.map(&mut node).collect();
        let mut host = |n| {
            let naming = if setup.has_aliases { Naming::draw(&mut rng) } else { Naming::Plain };
            Host::new(fixtures::membership(n, 0..setup.hosts), &setup, &configured, naming)
        };
        let mut cluster = Self {
            now: START,
            hosts: (0..setup.hosts).map(&mut host).collect(),
            setup,
            nodes,
            targets,
            configured,
            has_removed: false,
            network: Network::healthy(),
            rng,
            thresholds: fixtures::thresholds(2, 3),
            traffic: Traffic::default(),
            disturbed_at: START,
            queue: BinaryHeap::new(),
            queued_so_far: 0,
        };
        for host in 0..setup.hosts {
            cluster.start(host, true);
        }
        cluster
    }

    /// Steps to the next event up to the time `until`. Returns `false` if there is none.
    pub fn step(&mut self, until: u64) -> bool {
        let queued = self.queue.peek().map(|Reverse(queued)| queued.at);
        let next = self.hosts.iter().filter_map(Host::next_due).chain(queued).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        while self.queue.peek().is_some_and(|Reverse(queued)| queued.at <= self.now) {
            if let Some(Reverse(queued)) = self.queue.pop() {
                self.handle(queued.event);
            }
        }
        self.send_messages();
        true
    }

    /// Lets time pass up to the time `until`.
    pub fn run_until(&mut self, until: u64) {
        while self.step(until) {}
    }

    pub(crate) fn target_at(&self, address: IpAddr) -> Option<&SimulatedTarget> {
        self.targets.iter().find(|target| target.address == address)
    }

    /// The node at an address; `None` if nothing listens there.
    pub(crate) fn node_at(&self, address: IpAddr) -> Option<&SimulatedNode> {
        self.target_at(address).filter(|target| !target.is_deaf).map(|target| &self.nodes[target.node])
    }

    /// True if nothing answers at an address.
    pub(crate) fn is_dead(&self, address: IpAddr) -> bool {
        self.node_at(address).is_none_or(|node| node.state.is_dead())
    }

    /// True if no path from a host to this address is cut.
    pub(crate) fn is_reached_by_all(&self, target: &SimulatedTarget) -> bool {
        (0..self.hosts.len()).all(|host| self.is_reached(host, target))
    }

    pub(crate) fn is_reached(&self, host: usize, target: &SimulatedTarget) -> bool {
        let node = NodePath { host, node: target.node };
        let address = AddressPath { host, address: target.address };
        !self.network.cut_node_paths.contains(&node) && !self.network.cut_address_paths.contains(&address)
    }

    /// True if nothing but nodes and the paths to them has changed for a while, and all else is healthy.
    pub(crate) fn is_calm(&self) -> bool {
        self.now - self.disturbed_at > SETTLING_TIME
            && self.network.has_healthy_peer_paths()
            && self.hosts.iter().all(|host| host.running.is_some() && !host.is_exhausted)
    }

    /// Begins to probe the configured targets of a host that are not probed yet.
    fn begin_probing(&mut self, host: usize) {
        let Some(running) = &mut self.hosts[host].running else { return };
        let mut first = self.now;
        let begin = running.begin_probing();
        for target in begin {
            let second = self.now + self.rng.u64(0..PROBE_INTERVAL);
            if let Some(running) = &mut self.hosts[host].running {
                running.schedules[target] = Schedule::new(first.min(second), second, running.schedules[target]);
            }
            first += self.rng.u64(1..=10);
            self.schedule_probe(host, target);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            // The probes of a run end with it.
            Event::Probe { host, run, .. }
            | Event::ProbeResult { host, run, .. }
            | Event::ConnectionEnded { host, run, .. }
                if self.run_of(host) != run => {}
            Event::Probe { host, target, run, ticket } => self.probe(host, target, run, ticket),
            Event::ProbeResult { host, target, start, outcome, .. } => self.finish_probe(host, target, start, outcome),
            Event::ConnectionEnded { host, target, .. } => {
                let now = self.now;
                if let Some(running) = &mut self.hosts[host].running {
                    running.schedules[target].kept_has_ended(now);
                    self.schedule_probe(host, target);
                }
            }
            Event::StormCommand { until } => {
                let host = self.rng.usize(0..self.hosts.len());
                let node = self.rng.usize(0..self.nodes.len());
                let command = OperatorCommand::draw(&mut self.rng);
                self.command(crate::fault::NodeOnHost { host, node }, command);
                if self.now + STORM_INTERVAL <= until {
                    self.schedule(self.now + STORM_INTERVAL, Event::StormCommand { until });
                }
            }
            Event::Reload { host } => {
                self.disturbed_at = self.now;
                let pools = self.setup.configuration(&self.configured, self.hosts[host].naming);
                let targets = self.setup.named_targets(self.hosts[host].naming);
                self.hosts[host].reload(pools, targets, self.now);
                self.begin_probing(host);
            }
            Event::Delivery { to, bytes } => {
                if let Ok(message) = Message::decode(&bytes) {
                    self.hosts[to].receive(message, self.now);
                }
            }
            Event::Start { host, state_file } => {
                self.disturbed_at = self.now;
                self.start_with(host, state_file);
            }
            Event::SetBack { host } => {
                self.disturbed_at = self.now;
                self.hosts[host].set_back(self.now);
                self.begin_probing(host);
            }
            Event::NodeState { node, state } => self.set_state(node, state),
        }
    }

    fn probe(&mut self, host: usize, target: usize, run: u64, ticket: u64) {
        let now = self.now;
        let outcome = self.probe_outcome(host, target);
        let Some(running) = &mut self.hosts[host].running else { return };
        let thresholds = self.thresholds;
        let schedule = &mut running.schedules[target];
        if ticket != schedule.ticket {
            return;
        }
        // The probes of a target that is not configured any more end.
        if !running.engine.has(&running.targets[target]) {
            schedule.is_active = false;
            return;
        }
        let start = schedule.start(now, thresholds);
        let duration = match outcome {
            ProbeOutcome::Timeout => PROBE_TIMEOUT,
            ProbeOutcome::LocalError => 0,
            _ => 1 + self.rng.u64(0..3),
        };
        self.schedule(now + duration, Event::ProbeResult { host, target, run, start, outcome });
        self.schedule_probe(host, target);
    }

    fn finish_probe(&mut self, host: usize, target: usize, start: Start, outcome: ProbeOutcome) {
        let now = self.now;
        let spread = self.rng.u64(0..=4);
        let Some(running) = &mut self.hosts[host].running else { return };
        let schedule = &mut running.schedules[target];
        if start.round != schedule.round || !schedule.is_active {
            return;
        }
        let kind = kind(outcome);
        schedule.finish(start, &kind, spread, self.thresholds);
        let observed = running.targets[target].clone();
        self.hosts[host].observe(&observed, kind, now);
        self.schedule_probe(host, target);
    }

    /// Queues the next probe of a target, in place of the one queued before.
    fn schedule_probe(&mut self, host: usize, target: usize) {
        let run = self.run_of(host);
        let Some(running) = &mut self.hosts[host].running else { return };
        let schedule = &mut running.schedules[target];
        if !schedule.is_active {
            return;
        }
        schedule.ticket += 1;
        let ticket = schedule.ticket;
        if let Some(due) = schedule.due(self.thresholds) {
            self.schedule(due.max(self.now), Event::Probe { host, target, run, ticket });
        }
    }

    fn send_messages(&mut self) {
        for from in 0..self.hosts.len() {
            for transmit in self.hosts[from].poll(self.now) {
                let Some(to) = self.hosts.iter().position(|host| *host.name() == transmit.to) else { continue };
                let bytes = transmit.message.encode().unwrap_or_default();
                self.traffic.messages += 1;
                self.traffic.bytes += bytes.len() as u64;
                for delay in self.network.draw_delays(PeerPath { from, to }, &mut self.rng) {
                    self.schedule(self.now + delay, Event::Delivery { to, bytes: bytes.clone() });
                }
            }
        }
    }

    fn probe_outcome(&self, host: usize, target: usize) -> ProbeOutcome {
        let target = &self.targets[target];
        if self.hosts[host].is_exhausted {
            return ProbeOutcome::LocalError;
        }
        if !self.is_reached(host, target) {
            return ProbeOutcome::Timeout;
        }
        match self.nodes[target.node].state {
            NodeState::Silent => ProbeOutcome::Timeout,
            _ if target.is_deaf => ProbeOutcome::Refused,
            NodeState::Ready => ProbeOutcome::Ready,
            NodeState::Live => ProbeOutcome::NotReady,
            NodeState::ShuttingDown => ProbeOutcome::ShuttingDown,
            NodeState::Dead => ProbeOutcome::Refused,
        }
    }

    /// The number of a host's run; 0 while it is stopped.
    fn run_of(&self, host: usize) -> u64 {
        self.hosts[host].running.as_ref().map(|running| running.number).unwrap_or_default()
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.queued_so_far += 1;
        self.queue.push(Reverse(QueuedEvent { at, number: self.queued_so_far, event }));
    }
}

fn kind(outcome: ProbeOutcome) -> Kind {
    match outcome {
        ProbeOutcome::Ready => Kind::Ready,
        ProbeOutcome::NotReady => Kind::NotReady { failing: vec!["etcd".to_owned()] },
        ProbeOutcome::ShuttingDown => Kind::ShuttingDown,
        ProbeOutcome::Refused => Kind::Refused,
        ProbeOutcome::Timeout => Kind::ConnectTimeout,
        ProbeOutcome::LocalError => Kind::LocalError { detail: "no descriptors are left".to_owned() },
    }
}
