//! A pool: its nodes, steering and TTL, and what they have to do with each other. How it is probed is judged in
//! [`probe`](super::probe).

use std::collections::BTreeMap;
use std::net::IpAddr;

use daymark_decision::{Mode, Node, NodeName, Pool, PoolName, ProbeTiming, Steering, TtlRange};

use super::{Checker, Setting, seconds};
use crate::families::{FamilyNodes, families};
use crate::findings::Location;
use crate::key::{Key, Located};
use crate::raw::{self, Nodes, RawDiscovered, RawFromKubernetes, RawNode, RawNodes, RawPool, RawSteering, RawTtl};
use crate::values::{HostAddress, Text, Whole};
use crate::{PoolConfig, budget};

/// The values that must be unique in a pool, each with its first location.
#[derive(Default)]
struct Seen {
    names: BTreeMap<NodeName, Location>,
    addresses: BTreeMap<IpAddr, Location>,
}

impl Checker<'_> {
    /// One pool; `None` if too few of its keys are valid.
    pub(super) fn pool(&mut self, raw: RawPool, root: Location) -> Option<PoolConfig> {
        let name = self.required(raw.name, "name", root).map(|Located { value: name, location }| {
            self.single_label(name.as_str(), location);
            name
        });
        let port = raw.port.or(Whole(raw::PORT)).0;
        let steering = steering(raw.steering);
        let nodes_location = raw.nodes.location().unwrap_or(root);
        let WrittenNodes { nodes, discovered } = written(raw.nodes);
        let (key, parent) = discovered.as_ref().map_or(("nodes", root), |discovered| ("seeds", discovered.location));
        let nodes = self.nodes(nodes, key, parent, steering.map(|steering| steering.mode));
        let ttl_location = ttl_location(&raw.ttl).unwrap_or(root);
        let Ttls { range: ttl, negative: negative_ttl } = self.ttls(raw.ttl);
        let probe = self.probe(raw.probe, root, name.as_ref().map_or("", PoolName::as_str), port);
        let discovery = discovered.and_then(|Discovered { raw, location }| self.discovery(raw, location, &probe));
        let timing = ProbeTiming {
            interval: probe.interval,
            confirm_interval: probe.confirm_interval,
            detection: budget::longest(&probe),
        };
        let steering = steering.unwrap_or(Steering { mode: Mode::All, max_answers: raw::MAX_ANSWERS });
        let pool = Pool { name: name?, nodes, thresholds: probe.thresholds, timing, steering, ttl, negative_ttl };
        let typed = PoolConfig { pool, probe, discovery };
        for message in budget::PoolReport::new(&typed).warnings() {
            self.findings.warn(ttl_location, message);
        }
        // Discovered nodes add their own addresses to those of the seeds.
        if typed.discovery.is_none() {
            for warning in families(&typed.pool.nodes).iter().filter_map(FamilyNodes::warning) {
                self.findings.warn(nodes_location, warning);
            }
        }
        Some(typed)
    }

    fn nodes(&mut self, nodes: Key<Nodes>, key: &str, parent: Location, mode: Option<Mode>) -> Vec<Node> {
        let mut seen = Seen::default();
        let list = self.list(nodes, key, parent, "node");
        list.into_iter().filter_map(|node| self.node(node, mode, &mut seen)).collect()
    }

    fn node(&mut self, node: Located<RawNode>, mode: Option<Mode>, seen: &mut Seen) -> Option<Node> {
        let Located { value: raw, location } = node;
        let name = self.required(raw.name, "name", location);
        if let Some(Located { value: name, location }) = &name {
            self.once(&mut seen.names, name.clone(), *location, "node");
        }
        let mut addresses = Vec::new();
        let given = self.given(raw.addresses, location);
        for given in self.list(given, "addresses", location, "IP address") {
            let Located { value: Text(HostAddress(address)), location } = given;
            self.once(&mut seen.addresses, address, location, "address");
            if let Some(reach) = narrow_reach(address) {
                self.findings.warn(location, format!("{address} is {reach}"));
            }
            addresses.push(address);
        }
        self.unused(raw.priority.location(), mode, Mode::Failover, "priority", "failover");
        self.unused(raw.weight.location(), mode, Mode::Weighted, "weight", "weighted");
        let priority = raw.priority.or(Whole(raw::PRIORITY)).0;
        let weight = raw.weight.or(Whole(raw::WEIGHT)).0;
        Some(Node { name: name?.value, addresses, priority, weight })
    }

    /// The addresses of a node. A flag without them is an error that shows its form: it has no key that could be missing.
    fn given<T>(&mut self, addresses: Key<T>, node: Location) -> Key<T> {
        if !self.source.is_flags() || !matches!(addresses, Key::Absent) {
            return addresses;
        }
        self.findings.error(node, "has no address; NODE=ADDRESS[,ADDRESS] is needed");
        Key::Faulty
    }

    fn unused(&mut self, location: Option<Location>, mode: Option<Mode>, needed: Mode, key: &str, name: &str) {
        let (Some(location), Some(mode)) = (location, mode) else { return };
        if mode != needed {
            self.findings.warn(location, format!("`{key}` does nothing unless `steering.mode` is {name}"));
        }
    }

    fn ttls(&mut self, ttl: Key<RawTtl>) -> Ttls {
        let raw = ttl.or(RawTtl::default());
        let max = Setting::new("max", raw.max, raw::TTL_MAX);
        let min = Setting::new("min", raw.min, raw::TTL_MIN);
        let negative = Setting::new("negative", raw.negative, raw::TTL_NEGATIVE);
        for setting in [&max, &min, &negative] {
            if let Some(location) = setting.location {
                self.whole_seconds(setting.value, location);
            }
        }
        self.in_order(&min, &max);
        let range = TtlRange { min: seconds(min.value), max: seconds(max.value) };
        Ttls { range, negative: seconds(negative.value) }
    }
}

/// The TTLs of a pool.
struct Ttls {
    range: TtlRange,
    /// The TTL of negative answers in seconds.
    negative: u32,
}

/// The two sources of a pool's nodes.
struct WrittenNodes {
    /// The nodes that the file lists.
    nodes: Key<Nodes>,
    /// `None` if there is no other source.
    discovered: Option<Discovered>,
}

/// The discovery of nodes, as written.
struct Discovered {
    raw: Key<RawFromKubernetes>,
    /// The location of the mapping around it.
    location: Location,
}

fn written(nodes: Key<RawNodes>) -> WrittenNodes {
    let list_alone = |nodes| WrittenNodes { nodes, discovered: None };
    match nodes {
        Key::Absent => list_alone(Key::Absent),
        Key::Faulty => list_alone(Key::Faulty),
        Key::Present(Located { value: RawNodes::List(value), location }) => {
            list_alone(Key::Present(Located { value, location }))
        }
        Key::Present(Located { value: RawNodes::Mapping(RawDiscovered { seeds, from_kubernetes }), location }) => {
            WrittenNodes { nodes: seeds, discovered: Some(Discovered { raw: from_kubernetes, location }) }
        }
    }
}

/// The steering. `None` if the mode is not known: then nothing that depends on it is reported.
fn steering(steering: Key<RawSteering>) -> Option<Steering> {
    if matches!(steering, Key::Faulty) {
        return None;
    }
    let raw = steering.or(RawSteering::default());
    let max_answers = raw.max_answers.or(Whole(raw::MAX_ANSWERS)).0;
    match raw.mode {
        Key::Faulty => None,
        mode => Some(Steering { mode: mode.or(Text(Mode::All)).0, max_answers }),
    }
}

fn ttl_location(ttl: &Key<RawTtl>) -> Option<Location> {
    match ttl {
        Key::Present(Located { value, location }) => Some(value.max.location().unwrap_or(*location)),
        Key::Absent | Key::Faulty => None,
    }
}

/// The reason for which clients elsewhere may not reach an address.
fn narrow_reach(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_loopback() => Some("a loopback address, so clients that get it reach only themselves"),
        IpAddr::V4(v4) if v4.is_link_local() => Some("a link-local address, so only its own link reaches it"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            Some("a link-local address, which no client reaches, because DNS cannot carry its zone")
        }
        _ => None,
    }
}
