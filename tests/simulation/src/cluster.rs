//! The simulated cluster: hosts, nodes, the network between them, and the queue of events.
//!
//! It carries out faults and lets time pass. It does not know which faults a run injects, or which rules must hold.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::{Command, Kind, Override, Pool, ProbeTiming, Target, fixtures};
use daymark_gossip::Message;
use fastrand::Rng;

use crate::fault::{Fault, NodeOnHost, NodeState, OperatorCommand};
use crate::host::Host;
use crate::network::{Network, NodePath, PeerPath};

/// The time at which every run starts: 2026-01-01.
const START: u64 = 1_767_225_600_000;
/// Milliseconds between two probes of a target whose grade is steady.
const PROBE_INTERVAL: u64 = 1_000;
/// Milliseconds between two probes of a target whose grade is about to change.
const CONFIRM_INTERVAL: u64 = 100;
/// Milliseconds until a probe of a target that does not answer times out.
const PROBE_TIMEOUT: u64 = 1_000;
/// Milliseconds between two commands of a storm.
const STORM_INTERVAL: u64 = 100;
/// Milliseconds within which all hosts reload after a change of the configuration.
const RELOAD_SPREAD: u64 = 3_000;

/// The size of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterSize {
    pub hosts: usize,
    pub nodes: usize,
}

/// A simulated node.
pub struct SimulatedNode {
    pub target: Target,
    pub state: NodeState,
}

/// Hosts, nodes and the network between them.
pub struct Cluster {
    pub now: u64,
    pub hosts: Vec<Host>,
    /// All nodes, configured or not.
    pub nodes: Vec<SimulatedNode>,
    /// The nodes in the newest configuration. A host has it after its reload.
    pub configured: BTreeSet<usize>,
    /// A node was removed from the configuration at some time.
    pub has_removed: bool,
    pub network: Network,
    pub rng: Rng,
    pub traffic: Traffic,
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
    Probe { host: usize, node: usize, run: u64 },
    ProbeResult { host: usize, node: usize, run: u64, outcome: ProbeOutcome },
    Delivery { to: usize, bytes: Vec<u8> },
    Reload { host: usize },
    StormCommand { until: u64 },
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
    /// A cluster without faults: every node is ready, and all hosts start together.
    pub fn new(size: ClusterSize, seed: u64) -> Self {
        let configured: BTreeSet<usize> = (0..size.nodes).collect();
        let configured_pool = pool(&configured);
        // One more node can be added to the configuration.
        let all_nodes = pool(&(0..=size.nodes).collect());
        let host = |n| Host::new(fixtures::membership(n, 0..size.hosts), configured_pool.clone());
        let ready = |target| SimulatedNode { target, state: NodeState::Ready };
        let mut cluster = Self {
            now: START,
            hosts: (0..size.hosts).map(host).collect(),
            nodes: all_nodes.targets().map(|(target, _)| ready(target)).collect(),
            configured,
            has_removed: false,
            network: Network::healthy(),
            rng: Rng::with_seed(seed),
            traffic: Traffic::default(),
            queue: BinaryHeap::new(),
            queued_so_far: 0,
        };
        for host in 0..size.hosts {
            cluster.start(host, true);
        }
        cluster
    }

    /// Injects a fault now.
    pub fn inject(&mut self, fault: &Fault) {
        match *fault {
            Fault::Node { node, state } => self.nodes[node].state = state,
            Fault::NodePath { path, is_cut } => set(&mut self.network.cut_node_paths, path, is_cut),
            Fault::PeerPath { path, is_cut } => set(&mut self.network.cut_peer_paths, path, is_cut),
            Fault::Disturb(disturbance) => self.network.disturbance = disturbance,
            Fault::Kill(host) => self.hosts[host].kill(),
            Fault::Start { host, keeps_state, clock_offset_ms } => {
                self.hosts[host].clock_offset_ms = clock_offset_ms;
                self.start(host, keeps_state);
            }
            Fault::ExhaustDescriptors { host, is_exhausted } => self.hosts[host].is_exhausted = is_exhausted,
            Fault::DrainBoth(one, other) => {
                self.command(one, OperatorCommand::DRAIN);
                self.command(other, OperatorCommand::DRAIN);
            }
            Fault::CommandStorm { millis } => {
                self.schedule(self.now, Event::StormCommand { until: self.now + millis });
            }
            Fault::Reload { node } => self.change_configuration(node),
            Fault::Command { at, command } => self.command(at, command),
        }
        self.send_messages();
    }

    /// Ends all faults of the network and of the hosts. The nodes stay as they are.
    pub fn heal(&mut self) {
        self.network = Network::healthy();
        for host in 0..self.hosts.len() {
            self.hosts[host].is_exhausted = false;
            if self.hosts[host].running.is_none() {
                self.start(host, true);
            }
        }
        self.send_messages();
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

    pub(crate) fn node_at(&self, address: IpAddr) -> Option<&SimulatedNode> {
        self.nodes.iter().find(|node| node.target.address == address)
    }

    fn start(&mut self, host: usize, keeps_state: bool) {
        self.hosts[host].start(self.now, keeps_state);
        self.begin_probing(host);
    }

    /// Begins to probe the configured nodes of a host that are not probed yet.
    fn begin_probing(&mut self, host: usize) {
        let run = self.run_of(host);
        for node in 0..self.nodes.len() {
            if self.hosts[host].begin_probing(node, &self.nodes[node].target) {
                let at = self.now + self.rng.u64(0..50);
                self.schedule(at, Event::Probe { host, node, run });
            }
        }
    }

    /// Removes a node from the configuration unless it is the last one, or adds it if it is not there.
    fn change_configuration(&mut self, node: usize) {
        let is_removed = self.configured.len() > 1 && self.configured.remove(&node);
        if !is_removed {
            self.configured.insert(node);
        }
        self.has_removed |= is_removed;
        for host in 0..self.hosts.len() {
            let at = self.now + self.rng.u64(0..RELOAD_SPREAD);
            self.schedule(at, Event::Reload { host });
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            // The probes of a run end with it.
            Event::Probe { host, run, .. } | Event::ProbeResult { host, run, .. } if self.run_of(host) != run => {}
            // So do those of a node that is not configured any more.
            Event::Probe { host, node, .. } if self.hosts[host].stop_probing(node, &self.nodes[node].target) => {}
            Event::Probe { host, node, run } => {
                let outcome = self.probe_outcome(host, node);
                let duration = if outcome == ProbeOutcome::Timeout { PROBE_TIMEOUT } else { 1 };
                self.schedule(self.now + duration, Event::ProbeResult { host, node, run, outcome });
            }
            Event::ProbeResult { host, node, run, outcome } => {
                let target = self.nodes[node].target.clone();
                self.hosts[host].observe(&target, kind(outcome), self.now);
                let interval = if self.is_in_transition(host, &target) { CONFIRM_INTERVAL } else { PROBE_INTERVAL };
                let at = self.now + interval + self.rng.u64(0..20);
                self.schedule(at, Event::Probe { host, node, run });
            }
            Event::StormCommand { until } => {
                let host = self.rng.usize(0..self.hosts.len());
                let node = self.rng.usize(0..self.nodes.len());
                let command = OperatorCommand::draw(&mut self.rng);
                self.command(NodeOnHost { host, node }, command);
                if self.now + STORM_INTERVAL <= until {
                    self.schedule(self.now + STORM_INTERVAL, Event::StormCommand { until });
                }
            }
            Event::Reload { host } => {
                self.hosts[host].reload(pool(&self.configured), self.now);
                self.begin_probing(host);
            }
            Event::Delivery { to, bytes } => {
                if let Ok(message) = Message::decode(&bytes) {
                    self.hosts[to].receive(message, self.now);
                }
            }
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

    fn command(&mut self, at: NodeOnHost, command: OperatorCommand) {
        let Target { pool, node, .. } = self.nodes[at.node].target.clone();
        let since = self.hosts[at.host].clock(self.now);
        let command = match command {
            OperatorCommand::Clear => Command::ClearOverride { pool, node },
            OperatorCommand::Set { kind, duration_ms, insist } => {
                let requested = Override {
                    kind,
                    reason: "it is to be".to_owned(),
                    author: "ada".to_owned(),
                    since,
                    until: duration_ms.map(|millis| since.after(Duration::from_millis(millis))),
                    host: None,
                };
                Command::SetOverride { pool, node, requested, insist }
            }
        };
        self.hosts[at.host].command(command, self.now);
    }

    fn probe_outcome(&self, host: usize, node: usize) -> ProbeOutcome {
        if self.hosts[host].is_exhausted {
            return ProbeOutcome::LocalError;
        }
        if self.network.cut_node_paths.contains(&NodePath { host, node }) {
            return ProbeOutcome::Timeout;
        }
        match self.nodes[node].state {
            NodeState::Ready => ProbeOutcome::Ready,
            NodeState::Live => ProbeOutcome::NotReady,
            NodeState::ShuttingDown => ProbeOutcome::ShuttingDown,
            NodeState::Dead => ProbeOutcome::Refused,
        }
    }

    /// Tells if a transition of a target's grade is under way on a host.
    fn is_in_transition(&self, host: usize, target: &Target) -> bool {
        let Some(running) = &self.hosts[host].running else { return false };
        let pool = &self.hosts[host].pool;
        let mut healths = running.engine.healths();
        healths.any(|(of, health)| of == target && health.earliest_transition(pool.thresholds, pool.timing).is_some())
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

fn set<T: Ord>(paths: &mut BTreeSet<T>, path: T, is_cut: bool) {
    if is_cut {
        paths.insert(path);
    } else {
        paths.remove(&path);
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

fn pool(nodes: &BTreeSet<usize>) -> Pool {
    let node = |n: usize| {
        let [.., high, low] = n.to_be_bytes();
        fixtures::node(&format!("cp-{n}"), &[&format!("10.10.{high}.{low}")])
    };
    let pool = fixtures::pool("lb.kube-cp.com", nodes.iter().copied().map(node).collect());
    let timing = ProbeTiming {
        interval: Duration::from_millis(PROBE_INTERVAL),
        confirm_interval: Duration::from_millis(CONFIRM_INTERVAL),
        detection: Duration::from_millis(2_300),
    };
    Pool { timing, ..pool }
}
