//! The discovered nodes of all pools, as the state file keeps them, and the pools with these nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use daymark_decision::{Node, Pool, PoolName};
use serde::{Deserialize, Serialize};

use crate::rules::{DiscoveredNodes, KnownOfNode};

/// The priority of a discovered node, which is the default of the configuration.
const PRIORITY: u16 = 0;
/// The weight of a discovered node, which is the default of the configuration.
const WEIGHT: u16 = 1;

/// The discovered nodes of each pool with discovery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiscoveredPools(pub BTreeMap<PoolName, DiscoveredNodes>);

impl DiscoveredPools {
    /// Drops the pools without discovery and the entries that can be no node; gives a message for each.
    pub fn retain_valid(&mut self, enabled: &BTreeSet<PoolName>) -> Vec<String> {
        let mut dropped = Vec::new();
        self.0.retain(|pool, nodes| {
            let invalid = nodes.drop_invalid().into_iter();
            dropped.extend(invalid.map(|entry| {
                format!("{pool}: {entry} from the state is dropped, because it is not an address of a node")
            }));
            let is_enabled = enabled.contains(pool);
            if !is_enabled {
                dropped.push(format!("{pool}: the discovered nodes are dropped, because discovery is turned off"));
            }
            is_enabled
        });
        dropped
    }

    /// The pool with its discovered nodes after those of the configuration.
    pub fn complete(&self, pool: &Pool) -> Pool {
        self.0.get(&pool.name).map_or_else(|| pool.clone(), |nodes| with_discovered(pool, nodes))
    }
}

/// Adds the discovered nodes to a pool, each address once. The configuration comes first, and a node of the same name is the same
/// node. If several discovered nodes have one address, the one that has had it for longest keeps it.
fn with_discovered(pool: &Pool, discovered: &DiscoveredNodes) -> Pool {
    let mut taken: BTreeSet<IpAddr> = pool.targets().map(|target| target.address).collect();
    let mut nodes = pool.nodes.clone();
    for KnownOfNode { node: name, address, .. } in discovered.known() {
        if discovered.owner(address) != Some(name) || !taken.insert(address) {
            continue;
        }
        match nodes.iter_mut().find(|node| node.name == *name) {
            Some(node) => node.addresses.push(address),
            None => {
                nodes.push(Node { name: name.clone(), addresses: vec![address], priority: PRIORITY, weight: WEIGHT });
            }
        }
    }
    Pool { nodes, ..pool.clone() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daymark_decision::Moment;
    use daymark_decision::fixtures::{node_name, pool_name};

    use super::*;
    use crate::rules::{Listing, PoolView};
    use crate::tests::pool;

    /// A node of the configuration with one address.
    fn seed(name: &str, address: &str, weight: u16) -> Node {
        Node { name: node_name(name), addresses: vec![address.parse().unwrap()], priority: 0, weight }
    }

    fn discovered(listed: &[(&str, &str)]) -> DiscoveredPools {
        let mut nodes = DiscoveredNodes::default();
        apply(&mut nodes, listed, Moment::default());
        DiscoveredPools([(pool_name("lb.example.org"), nodes)].into())
    }

    fn apply(nodes: &mut DiscoveredNodes, listed: &[(&str, &str)], now: Moment) {
        let mut listing = Listing::default();
        for (node, address) in listed {
            listing.nodes.entry(node_name(node)).or_default().insert(address.parse().unwrap());
        }
        nodes.apply(&listing, &PoolView::default(), Duration::ZERO, now);
    }

    fn shown(pool: &Pool) -> Vec<String> {
        pool.nodes.iter().map(|node| format!("{} {:?} {}", node.name, node.addresses, node.weight)).collect()
    }

    #[test]
    fn discovered_nodes_come_after_the_seeds_and_each_address_once() {
        let seeds = pool(vec![seed("a", "192.0.2.1", 5), seed("own-name", "192.0.2.2", 1)]);
        let found = discovered(&[("a", "192.0.2.1"), ("a", "2001:db8::1"), ("b", "192.0.2.2"), ("c", "192.0.2.3")]);
        assert_eq!(
            shown(&found.complete(&seeds)),
            ["a [192.0.2.1, 2001:db8::1] 5", "own-name [192.0.2.2] 1", "c [192.0.2.3] 1"]
        );
        assert_eq!(found.complete(&seeds).nodes[0].priority, seeds.nodes[0].priority);
        assert_eq!(shown(&DiscoveredPools::default().complete(&seeds)).len(), 2, "seeds need no discovered nodes");
    }

    #[test]
    fn an_address_stays_with_the_node_that_is_known_with_it_for_longest() {
        let seeds = pool(vec![seed("s", "192.0.2.1", 1)]);
        let mut found = discovered(&[("b", "192.0.2.2")]);
        let listed = [("a", "192.0.2.2"), ("a", "192.0.2.3"), ("b", "192.0.2.2")];
        apply(found.0.values_mut().next().unwrap(), &listed, Moment::from_millis(1));
        assert_eq!(shown(&found.complete(&seeds))[1..], ["a [192.0.2.3] 1", "b [192.0.2.2] 1"]);
    }

    #[test]
    fn discovered_nodes_go_with_the_discovery_that_found_them() {
        let mut found = discovered(&[("b", "192.0.2.2")]);
        let enabled = [pool_name("lb.example.org")].into();
        assert_eq!(found.retain_valid(&enabled), [""; 0]);
        let message = "lb.example.org: the discovered nodes are dropped, because discovery is turned off";
        assert_eq!(found.retain_valid(&BTreeSet::new()), [message]);
        assert_eq!(found, DiscoveredPools::default());
    }
}
