//! A pool: its nodes, steering and TTL, and what they have to do with each other. How it is probed is judged in
//! [`probe`](super::probe).

use std::collections::BTreeMap;
use std::net::IpAddr;

use daymark_decision::{Mode, Node, NodeName, Pool, PoolName, ProbeTiming, Steering, TtlRange};

use super::{Setting, Stage, seconds};
use crate::config::findings::Place;
use crate::config::raw::{self, Nodes, RawFromKubernetes, RawNode, RawNodes, RawPool, RawSought, RawSteering, RawTtl};
use crate::config::reader::Key;
use crate::config::values::{DnsName, HostAddress, NodeText, Text, Whole};
use crate::config::{PoolConfig, budget};

/// What is unique in a pool, each with its first place.
#[derive(Default)]
struct Seen {
    names: BTreeMap<String, Place>,
    addresses: BTreeMap<IpAddr, Place>,
}

impl Stage<'_> {
    /// One pool; `None` where too little of it is good.
    pub(super) fn pool(&mut self, raw: RawPool, root: Place) -> Option<PoolConfig> {
        let name = self.required(raw.name, "name", root).map(|(DnsName(name), _)| name);
        let port = raw.port.or(Whole(raw::PORT)).0;
        let steering = steering(raw.steering);
        let (nodes, sought) = written(raw.nodes);
        let (key, parent) = sought.as_ref().map_or(("nodes", root), |(_, place)| ("seeds", *place));
        let nodes = self.nodes(nodes, key, parent, steering.map(|steering| steering.mode));
        let ttl_place = ttl_place(&raw.ttl).unwrap_or(root);
        let ttl = self.ttl(raw.ttl);
        let probe = self.probe(raw.probe, root, name.as_deref().unwrap_or_default(), port);
        let discovery = sought.and_then(|(raw, place)| self.discovery(raw, place, &probe));
        let pace = ProbeTiming {
            interval: probe.interval,
            confirm_interval: probe.confirm_interval,
            detection: budget::hung(&probe).total(),
        };
        let steering = steering.unwrap_or(Steering { mode: Mode::All, max_answers: raw::MAX_ANSWERS });
        let name = PoolName::new(&name?);
        let pool = Pool { name, nodes, thresholds: probe.thresholds, timing: pace, steering, ttl };
        let typed = PoolConfig { pool, probe, discovery };
        for sentence in budget::PoolReport::new(&typed).warnings() {
            self.findings.warn(ttl_place, sentence);
        }
        Some(typed)
    }

    fn nodes(&mut self, nodes: Key<Nodes>, key: &str, parent: Place, mode: Option<Mode>) -> Vec<Node> {
        let mut seen = Seen::default();
        let list = self.list(nodes, key, parent, "node");
        list.into_iter().filter_map(|(raw, place)| self.node(raw, place, mode, &mut seen)).collect()
    }

    fn node(&mut self, raw: RawNode, place: Place, mode: Option<Mode>, seen: &mut Seen) -> Option<Node> {
        let name = self.required(raw.name, "name", place);
        if let Some((NodeText(name), place)) = &name {
            self.once(&mut seen.names, name.clone(), *place, "node");
        }
        let mut addresses = Vec::new();
        for (Text(HostAddress(address)), place) in self.list(raw.addresses, "addresses", place, "IP address") {
            self.once(&mut seen.addresses, address, place, "address");
            if let Some(reach) = narrow_reach(address) {
                self.findings.warn(place, format!("{address} is {reach}"));
            }
            addresses.push(address);
        }
        self.unused(raw.priority.place(), mode, Mode::Failover, "priority", "failover");
        self.unused(raw.weight.place(), mode, Mode::Weighted, "weight", "weighted");
        let priority = raw.priority.or(Whole(raw::PRIORITY)).0;
        let weight = raw.weight.or(Whole(raw::WEIGHT)).0;
        let (NodeText(name), _) = name?;
        Some(Node { name: NodeName::new(&name), addresses, priority, weight })
    }

    fn unused(&mut self, place: Option<Place>, mode: Option<Mode>, needed: Mode, key: &str, name: &str) {
        let (Some(place), Some(mode)) = (place, mode) else { return };
        if mode != needed {
            self.findings.warn(place, format!("`{key}` does nothing unless `steering.mode` is {name}"));
        }
    }

    fn ttl(&mut self, ttl: Key<RawTtl>) -> TtlRange {
        let raw = ttl.or(RawTtl::default());
        let max = Setting::new("max", raw.max, raw::TTL_MAX);
        let min = Setting::new("min", raw.min, raw::TTL_MIN);
        for setting in [&max, &min] {
            if let Some(place) = setting.place {
                self.whole_seconds(setting.value, place);
            }
        }
        self.in_order(&min, &max);
        TtlRange { min: seconds(min.value), max: seconds(max.value) }
    }
}

/// The nodes that are written, and where else to look, with the place of the mapping that says so.
fn written(nodes: Key<RawNodes>) -> (Key<Nodes>, Option<(Key<RawFromKubernetes>, Place)>) {
    match nodes {
        Key::Absent => (Key::Absent, None),
        Key::Faulty => (Key::Faulty, None),
        Key::Given(RawNodes::List(list), place) => (Key::Given(list, place), None),
        Key::Given(RawNodes::Mapping(RawSought { seeds, from_kubernetes }), place) => {
            (seeds, Some((from_kubernetes, place)))
        }
    }
}

/// `None` where the mode is not known, so that nothing is said of what depends on it.
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

fn ttl_place(ttl: &Key<RawTtl>) -> Option<Place> {
    match ttl {
        Key::Given(raw, place) => Some(raw.max.place().unwrap_or(*place)),
        Key::Absent | Key::Faulty => None,
    }
}

/// Why clients elsewhere may not reach an address.
fn narrow_reach(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_loopback() => Some("a loopback address: clients that get it reach only themselves"),
        IpAddr::V4(v4) if v4.is_link_local() => Some("a link-local address: it is reached only from its own link"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            Some("a link-local address: without a zone, which DNS cannot carry, no one reaches it")
        }
        _ => None,
    }
}
