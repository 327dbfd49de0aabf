//! The simulation: hosts, nodes, the network between them, and the queue of events.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use daymark_decision::{Command, Health, Kind, Override, OverrideKind, Pool, ProbeTiming, Target, fixtures};
use daymark_gossip::Message;
use fastrand::Rng;

use crate::faults::{Fault, NodeState, OperatorAction};
use crate::host::Host;
use crate::network::Network;

/// Every history begins on 2026-01-01, in milliseconds.
const START: u64 = 1_767_225_600_000;
/// Milliseconds from one probe of a target to the next, at rest.
const INTERVAL: u64 = 1_000;
/// The same while a transition is to be confirmed.
const CONFIRM: u64 = 100;
/// Milliseconds that a probe of a silent target takes.
const PROBE_TIMEOUT: u64 = 1_000;

/// Milliseconds from one action to the next during [`Fault::Operators`].
const OPERATOR_INTERVAL: u64 = 100;
/// Milliseconds within which all hosts reload.
const RELOAD_PERIOD: u64 = 3_000;

/// The size of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    pub hosts: usize,
    pub nodes: usize,
}

/// Hosts and nodes, the network between them, and the events to come.
pub struct Simulation {
    pub now: u64,
    pub hosts: Vec<Host>,
    /// All nodes, even those that are not configured.
    pub nodes: Vec<(Target, NodeState)>,
    /// The nodes in the newest configuration, which a host has once it has reloaded.
    pub configured: BTreeSet<usize>,
    /// True once a reload has removed a node.
    pub has_removed: bool,
    pub network: Network,
    pub rng: Rng,
    /// The messages that hosts have sent to each other.
    pub traffic: Traffic,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
}

/// The number and the size of messages between hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub messages: u64,
    pub bytes: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Scheduled {
    at: u64,
    number: u64,
    event: Event,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Probe { host: usize, node: usize, run: u64 },
    Observation { host: usize, node: usize, run: u64, outcome: Outcome },
    Arrive { to: usize, bytes: Vec<u8> },
    Reload { host: usize },
    Operator { until: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Ready,
    NotReady,
    Stopping,
    Refused,
    Silent,
    LocalError,
}

impl Simulation {
    /// A simulation without faults: every node is ready, and the hosts start at about the same time.
    pub fn new(setup: Setup, seed: u64) -> Self {
        let configured: BTreeSet<usize> = (0..setup.nodes).collect();
        // A reload may add one more node.
        let (pool, all) = (pool(&configured), pool(&(0..=setup.nodes).collect()));
        let host = |n| Host::new(fixtures::membership(n, 0..setup.hosts), pool.clone());
        let mut simulation = Self {
            now: START,
            hosts: (0..setup.hosts).map(host).collect(),
            nodes: all.targets().map(|(target, _)| (target, NodeState::Ready)).collect(),
            configured,
            has_removed: false,
            network: Network::sound(),
            rng: Rng::with_seed(seed),
            traffic: Traffic::default(),
            queue: BinaryHeap::new(),
            scheduled: 0,
        };
        for host in 0..setup.hosts {
            simulation.start(host, true);
        }
        simulation
    }

    /// Applies a fault now.
    pub fn apply(&mut self, fault: &Fault) {
        match *fault {
            Fault::Node(node, state) => self.nodes[node].1 = state,
            Fault::HostToNode { host, node, is_cut } => set_cut(&mut self.network.cut_off, (host, node), is_cut),
            Fault::HostToHost { from, to, is_cut } => set_cut(&mut self.network.cut, (from, to), is_cut),
            Fault::Network { loss, duplicates, delay } => {
                (self.network.loss, self.network.duplicates, self.network.delay) = (loss, duplicates, delay);
            }
            Fault::Kill(host) => self.hosts[host].stop(),
            Fault::Start { host, has_memory, ahead } => {
                self.hosts[host].ahead = ahead;
                self.start(host, has_memory);
            }
            Fault::Exhaust { host, is_exhausted } => self.hosts[host].is_exhausted = is_exhausted,
            Fault::DrainBoth { hosts, nodes } => {
                let action = OperatorAction::Set { kind: OverrideKind::Drain, length: None, insist: false };
                self.operate(hosts.0, nodes.0, action);
                self.operate(hosts.1, nodes.1, action);
            }
            Fault::Operators { millis } => self.schedule(self.now, Event::Operator { until: self.now + millis }),
            Fault::Reload { node } => self.configure(node),
            Fault::Operator { host, node, action } => self.operate(host, node, action),
        }
        self.send_all();
    }

    /// Ends all faults of the network and of the hosts. The nodes keep their states.
    pub fn heal(&mut self) {
        self.network = Network::sound();
        for host in 0..self.hosts.len() {
            self.hosts[host].is_exhausted = false;
            if self.hosts[host].running.is_none() {
                self.start(host, true);
            }
        }
        self.send_all();
    }

    /// Handles the next event that is due at `until` or before; returns false if there is none.
    pub fn step(&mut self, until: u64) -> bool {
        let due = |host: &Host| host.next();
        let next = self.hosts.iter().filter_map(due).chain(self.queue.peek().map(|Reverse(item)| item.at)).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        while self.queue.peek().is_some_and(|Reverse(item)| item.at <= self.now) {
            if let Some(Reverse(item)) = self.queue.pop() {
                self.handle(item.event);
            }
        }
        self.send_all();
        true
    }

    fn start(&mut self, host: usize, has_memory: bool) {
        self.hosts[host].start(self.now, has_memory);
        self.probe(host);
    }

    /// Starts to probe the nodes of a host that are configured and not probed yet.
    fn probe(&mut self, host: usize) {
        let run = self.run_of(host);
        for node in 0..self.nodes.len() {
            if self.hosts[host].start_probing(node, &self.nodes[node].0) {
                let at = self.now + self.rng.u64(0..50);
                self.schedule(at, Event::Probe { host, node, run });
            }
        }
    }

    /// Adds a node to the configuration, or removes it if it is there and not the last one.
    fn configure(&mut self, node: usize) {
        let is_removed = self.configured.len() > 1 && self.configured.remove(&node);
        if !is_removed {
            self.configured.insert(node);
        }
        self.has_removed |= is_removed;
        for host in 0..self.hosts.len() {
            let at = self.now + self.rng.u64(0..RELOAD_PERIOD);
            self.schedule(at, Event::Reload { host });
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            // The probes of an earlier run end with it.
            Event::Probe { host, run, .. } | Event::Observation { host, run, .. } if self.run_of(host) != run => {}
            // The probes of a removed node end too.
            Event::Probe { host, node, .. } if self.hosts[host].stop_probing(node, &self.nodes[node].0) => {}
            Event::Probe { host, node, run } => {
                let outcome = self.outcome(host, node);
                let duration = if outcome == Outcome::Silent { PROBE_TIMEOUT } else { 1 };
                self.schedule(self.now + duration, Event::Observation { host, node, run, outcome });
            }
            Event::Observation { host, node, run, outcome } => {
                let target = self.nodes[node].0.clone();
                self.hosts[host].observe(&target, kind(outcome), self.now);
                let pause = if self.is_in_transition(host, &target) { CONFIRM } else { INTERVAL };
                let at = self.now + pause + self.rng.u64(0..20);
                self.schedule(at, Event::Probe { host, node, run });
            }
            Event::Operator { until } => {
                let (host, node) = (self.rng.usize(0..self.hosts.len()), self.rng.usize(0..self.nodes.len()));
                let action = OperatorAction::draw(&mut self.rng);
                self.operate(host, node, action);
                if self.now + OPERATOR_INTERVAL <= until {
                    self.schedule(self.now + OPERATOR_INTERVAL, Event::Operator { until });
                }
            }
            Event::Reload { host } => {
                self.hosts[host].reload(pool(&self.configured), self.now);
                self.probe(host);
            }
            Event::Arrive { to, bytes } => {
                if let Ok(message) = Message::decode(&bytes) {
                    self.hosts[to].receive(message, self.now);
                }
            }
        }
    }

    fn send_all(&mut self) {
        for from in 0..self.hosts.len() {
            for transmit in self.hosts[from].poll(self.now) {
                let Some(to) = self.hosts.iter().position(|host| *host.name() == transmit.to) else { continue };
                let bytes = transmit.message.encode().unwrap_or_default();
                self.traffic.messages += 1;
                self.traffic.bytes += bytes.len() as u64;
                for after in self.network.carry(from, to, &mut self.rng) {
                    self.schedule(self.now + after, Event::Arrive { to, bytes: bytes.clone() });
                }
            }
        }
    }

    fn operate(&mut self, host: usize, node: usize, action: OperatorAction) {
        let Target { pool, node, .. } = self.nodes[node].0.clone();
        let since = self.hosts[host].clock(self.now);
        let command = match action {
            OperatorAction::Clear => Command::ClearOverride { pool, node },
            OperatorAction::Set { kind, length, insist } => {
                let until = length.map(|millis| since.after(Duration::from_millis(millis)));
                let (author, reason) = ("ada".to_owned(), "maintenance".to_owned());
                Command::SetOverride {
                    pool,
                    node,
                    requested: Override { kind, reason, author, since, until, host: None },
                    insist,
                }
            }
        };
        self.hosts[host].command(command, self.now);
    }

    fn outcome(&self, host: usize, node: usize) -> Outcome {
        if self.hosts[host].is_exhausted {
            return Outcome::LocalError;
        }
        if self.network.cut_off.contains(&(host, node)) {
            return Outcome::Silent;
        }
        match self.nodes[node].1 {
            NodeState::Ready => Outcome::Ready,
            NodeState::Live => Outcome::NotReady,
            NodeState::Stopping => Outcome::Stopping,
            NodeState::Dead => Outcome::Refused,
        }
    }

    fn is_in_transition(&self, host: usize, target: &Target) -> bool {
        let Some(running) = &self.hosts[host].running else { return false };
        let pool = &self.hosts[host].pool;
        let is_in_transition = |health: &Health| health.earliest_transition(pool.thresholds, pool.timing).is_some();
        running.engine.healths().any(|(of, health)| of == target && is_in_transition(health))
    }

    /// The number of a host's run; 0 while it is stopped.
    fn run_of(&self, host: usize) -> u64 {
        self.hosts[host].running.as_ref().map(|running| running.number).unwrap_or_default()
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.scheduled += 1;
        self.queue.push(Reverse(Scheduled { at, number: self.scheduled, event }));
    }
}

fn set_cut(set: &mut BTreeSet<(usize, usize)>, path: (usize, usize), is_cut: bool) {
    if is_cut {
        set.insert(path);
    } else {
        set.remove(&path);
    }
}

fn kind(outcome: Outcome) -> Kind {
    match outcome {
        Outcome::Ready => Kind::Ready,
        Outcome::NotReady => Kind::NotReady { failing: vec!["etcd".to_owned()] },
        Outcome::Stopping => Kind::ShuttingDown,
        Outcome::Refused => Kind::Refused,
        Outcome::Silent => Kind::ConnectTimeout,
        Outcome::LocalError => Kind::LocalError { detail: "no descriptors are left".to_owned() },
    }
}

fn pool(nodes: &BTreeSet<usize>) -> Pool {
    let node = |n: usize| {
        let [.., high, low] = n.to_be_bytes();
        fixtures::node(&format!("cp-{n}"), &[&format!("10.10.{high}.{low}")])
    };
    let pool = fixtures::pool("lb.kube-cp.com", nodes.iter().copied().map(node).collect());
    let timing = ProbeTiming {
        interval: Duration::from_millis(INTERVAL),
        confirm_interval: Duration::from_millis(CONFIRM),
        detection: Duration::from_millis(2_300),
    };
    Pool { timing, ..pool }
}
