//! The world: hosts, nodes, the network between them, and what happens next.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use daymark_decision::{
    Command, Health, HostName, Kind, Membership, Mode, Node, NodeName, Override, OverrideKind, Pool, PoolName,
    ProbeTiming, Steering, Target, Thresholds, TtlRange,
};
use daymark_gossip::Message;
use fastrand::Rng;

use crate::faults::{Fault, OverrideEntry, State};
use crate::host::Host;
use crate::network::Network;

/// Every story begins on 2026-01-01.
const START: u64 = 1_767_225_600_000;
/// Milliseconds from one probe of a target to the next, at rest and to confirm.
const INTERVAL: u64 = 1_000;
const CONFIRM: u64 = 100;
/// Milliseconds that a probe of a target takes that does not answer.
const SILENCE: u64 = 1_000;

/// Milliseconds from one word of a storm to the next.
const GUST: u64 = 100;
/// Milliseconds within which all hosts have reloaded.
const RELOADS: u64 = 3_000;

/// How large a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    pub hosts: usize,
    pub nodes: usize,
}

/// The world.
pub struct World {
    pub now: u64,
    pub hosts: Vec<Host>,
    /// All that there are, also those that are not configured.
    pub nodes: Vec<(Target, State)>,
    /// Which of them are configured, where a host has reloaded.
    pub configured: BTreeSet<usize>,
    /// Whether any was ever taken away.
    pub has_removed: bool,
    pub network: Network,
    pub rng: Rng,
    /// What was sent between hosts.
    pub traffic: Traffic,
    agenda: BinaryHeap<Reverse<Item>>,
    numbered: u64,
}

/// What was sent between hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub messages: u64,
    pub bytes: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    at: u64,
    number: u64,
    what: What,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Probe { host: usize, node: usize, run: u64 },
    Outcome { host: usize, node: usize, run: u64, state: Seen },
    Arrive { to: usize, bytes: Vec<u8> },
    Reload { host: usize },
    Gust { until: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Ready,
    NotReady,
    Stopping,
    Refused,
    Silent,
    LocalError,
}

impl World {
    /// A sound world: every node ready, every host started at about the same time.
    pub fn new(setup: Setup, seed: u64) -> Self {
        let configured: BTreeSet<usize> = (0..setup.nodes).collect();
        // One more may come.
        let (pool, all) = (pool(&configured), pool(&(0..=setup.nodes).collect()));
        let names: BTreeSet<HostName> = (0..setup.hosts).map(host_name).collect();
        let host =
            |n| Host::new(Membership { own: host_name(n), members: names.clone(), can_write: true }, pool.clone());
        let mut world = Self {
            now: START,
            hosts: (0..setup.hosts).map(host).collect(),
            nodes: all.targets().map(|(target, _)| (target, State::Ready)).collect(),
            configured,
            has_removed: false,
            network: Network::sound(),
            rng: Rng::with_seed(seed),
            traffic: Traffic::default(),
            agenda: BinaryHeap::new(),
            numbered: 0,
        };
        for host in 0..setup.hosts {
            world.start(host, true);
        }
        world
    }

    /// Has something happen now.
    pub fn happen(&mut self, fault: &Fault) {
        match *fault {
            Fault::Node(node, state) => self.nodes[node].1 = state,
            Fault::Way { host, node, is_cut } => put(&mut self.network.cut_off, (host, node), is_cut),
            Fault::Line { from, to, is_cut } => put(&mut self.network.cut, (from, to), is_cut),
            Fault::Weather { loss, twice, delay } => {
                (self.network.loss, self.network.twice, self.network.delay) = (loss, twice, delay);
            }
            Fault::Kill(host) => self.hosts[host].stop(),
            Fault::Start { host, has_memory, ahead } => {
                self.hosts[host].ahead = ahead;
                self.start(host, has_memory);
            }
            Fault::Exhaust { host, is_exhausted } => self.hosts[host].is_exhausted = is_exhausted,
            Fault::DrainBoth { hosts, nodes } => {
                let word = OverrideEntry::Set { kind: OverrideKind::Drain, length: None, insist: false };
                self.say(hosts.0, nodes.0, word);
                self.say(hosts.1, nodes.1, word);
            }
            Fault::Storm { millis } => self.plan(self.now, What::Gust { until: self.now + millis }),
            Fault::Reload { node } => self.configure(node),
            Fault::Say { host, node, word } => self.say(host, node, word),
        }
        self.send_all();
    }

    /// Ends every fault of the network and of the hosts. The nodes stay as they are.
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

    /// Goes to the next event, if there is one until then; `false` where there is none.
    pub fn step(&mut self, until: u64) -> bool {
        let due = |host: &Host| host.next();
        let next = self.hosts.iter().filter_map(due).chain(self.agenda.peek().map(|Reverse(item)| item.at)).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        while self.agenda.peek().is_some_and(|Reverse(item)| item.at <= self.now) {
            if let Some(Reverse(item)) = self.agenda.pop() {
                self.carry_out(item.what);
            }
        }
        self.send_all();
        true
    }

    fn start(&mut self, host: usize, has_memory: bool) {
        self.hosts[host].start(self.now, has_memory);
        self.probe(host);
    }

    /// Begins to probe what is configured on a host, and is not probed yet.
    fn probe(&mut self, host: usize) {
        let run = self.run_of(host);
        for node in 0..self.nodes.len() {
            if self.hosts[host].has_to_begin(node, &self.nodes[node].0) {
                let at = self.now + self.rng.u64(0..50);
                self.plan(at, What::Probe { host, node, run });
            }
        }
    }

    /// Takes a node into the configuration, or out of it where it is there and not the last.
    fn configure(&mut self, node: usize) {
        let is_removed = self.configured.len() > 1 && self.configured.remove(&node);
        if !is_removed {
            self.configured.insert(node);
        }
        self.has_removed |= is_removed;
        for host in 0..self.hosts.len() {
            let at = self.now + self.rng.u64(0..RELOADS);
            self.plan(at, What::Reload { host });
        }
    }

    fn carry_out(&mut self, what: What) {
        match what {
            // The probes of a run end with it.
            What::Probe { host, run, .. } | What::Outcome { host, run, .. } if self.run_of(host) != run => {}
            // As do those of a node that is not configured any more.
            What::Probe { host, node, .. } if self.hosts[host].ceases(node, &self.nodes[node].0) => {}
            What::Probe { host, node, run } => {
                let seen = self.seen(host, node);
                let takes = if seen == Seen::Silent { SILENCE } else { 1 };
                self.plan(self.now + takes, What::Outcome { host, node, run, state: seen });
            }
            What::Outcome { host, node, run, state } => {
                let target = self.nodes[node].0.clone();
                self.hosts[host].observe(&target, kind(state), self.now);
                let pause = if self.is_in_transition(host, &target) { CONFIRM } else { INTERVAL };
                let at = self.now + pause + self.rng.u64(0..20);
                self.plan(at, What::Probe { host, node, run });
            }
            What::Gust { until } => {
                let (host, node) = (self.rng.usize(0..self.hosts.len()), self.rng.usize(0..self.nodes.len()));
                let word = OverrideEntry::draw(&mut self.rng);
                self.say(host, node, word);
                if self.now + GUST <= until {
                    self.plan(self.now + GUST, What::Gust { until });
                }
            }
            What::Reload { host } => {
                self.hosts[host].reload(pool(&self.configured), self.now);
                self.probe(host);
            }
            What::Arrive { to, bytes } => {
                if let Ok(message) = Message::decode(&bytes) {
                    self.hosts[to].receive(message, self.now);
                }
            }
        }
    }

    fn send_all(&mut self) {
        for from in 0..self.hosts.len() {
            for transmit in self.hosts[from].turn(self.now) {
                let Some(to) = self.hosts.iter().position(|host| *host.name() == transmit.to) else { continue };
                let bytes = transmit.message.encode().unwrap_or_default();
                self.traffic.messages += 1;
                self.traffic.bytes += bytes.len() as u64;
                for after in self.network.carry(from, to, &mut self.rng) {
                    self.plan(self.now + after, What::Arrive { to, bytes: bytes.clone() });
                }
            }
        }
    }

    fn say(&mut self, host: usize, node: usize, word: OverrideEntry) {
        let Target { pool, node, .. } = self.nodes[node].0.clone();
        let since = self.hosts[host].clock(self.now);
        let command = match word {
            OverrideEntry::Lift => Command::ClearOverride { pool, node },
            OverrideEntry::Set { kind, length, insist } => {
                let until = length.map(|millis| since.after(Duration::from_millis(millis)));
                let (author, reason) = ("ada".to_owned(), "it is to be".to_owned());
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

    fn seen(&self, host: usize, node: usize) -> Seen {
        if self.hosts[host].is_exhausted {
            return Seen::LocalError;
        }
        if self.network.cut_off.contains(&(host, node)) {
            return Seen::Silent;
        }
        match self.nodes[node].1 {
            State::Ready => Seen::Ready,
            State::Live => Seen::NotReady,
            State::Stopping => Seen::Stopping,
            State::Dead => Seen::Refused,
        }
    }

    fn is_in_transition(&self, host: usize, target: &Target) -> bool {
        let Some(running) = &self.hosts[host].running else { return false };
        let pool = &self.hosts[host].pool;
        let is_in_transition = |health: &Health| health.earliest_transition(pool.thresholds, pool.timing).is_some();
        running.engine.healths().any(|(of, health)| of == target && is_in_transition(health))
    }

    /// Which run of a host it is; 0 while it is stopped.
    fn run_of(&self, host: usize) -> u64 {
        self.hosts[host].running.as_ref().map(|running| running.number).unwrap_or_default()
    }

    fn plan(&mut self, at: u64, what: What) {
        self.numbered += 1;
        self.agenda.push(Reverse(Item { at, number: self.numbered, what }));
    }
}

fn put(set: &mut BTreeSet<(usize, usize)>, way: (usize, usize), is_in: bool) {
    if is_in {
        set.insert(way);
    } else {
        set.remove(&way);
    }
}

fn kind(seen: Seen) -> Kind {
    match seen {
        Seen::Ready => Kind::Ready,
        Seen::NotReady => Kind::NotReady { failing: vec!["etcd".to_owned()] },
        Seen::Stopping => Kind::ShuttingDown,
        Seen::Refused => Kind::Refused,
        Seen::Silent => Kind::ConnectTimeout,
        Seen::LocalError => Kind::LocalError { detail: "no descriptors are left".to_owned() },
    }
}

fn host_name(n: usize) -> HostName {
    HostName::new(&format!("dns-{n}"))
}

fn pool(nodes: &BTreeSet<usize>) -> Pool {
    let node = |n: usize| {
        let [.., high, low] = n.to_be_bytes();
        let address = IpAddr::V4(Ipv4Addr::new(10, 10, high, low));
        Node { name: NodeName::new(&format!("cp-{n}")), addresses: vec![address], priority: 0, weight: 1 }
    };
    let (rise, fall) = (NonZeroU32::MIN.saturating_add(1), NonZeroU32::MIN.saturating_add(2));
    Pool {
        name: PoolName::new("lb.kube-cp.com"),
        nodes: nodes.iter().copied().map(node).collect(),
        thresholds: Thresholds { rise, fall },
        timing: ProbeTiming {
            interval: Duration::from_millis(INTERVAL),
            confirm_interval: Duration::from_millis(CONFIRM),
            detection: Duration::from_millis(2_300),
        },
        steering: Steering { mode: Mode::All, max_answers: 8 },
        ttl: TtlRange { min: 1, max: 5 },
    }
}
