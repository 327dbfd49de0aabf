//! The rosters of all pools, as the state keeps them, and the pools with the nodes that are in them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use daymark_decision::{Node, Pool, PoolName};
use serde::{Deserialize, Serialize};

use super::roster::Roster;
use crate::config::PoolConfig;

/// For nodes that are found: what a node of the configuration has by default.
const PRIORITY: u16 = 0;
const WEIGHT: u16 = 1;

/// What is known of each pool whose nodes are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rosters(pub BTreeMap<PoolName, Roster>);

impl Rosters {
    /// Drops what fits no pool whose nodes are looked for, or is no node; tells of each as a sentence.
    pub fn fit(&mut self, pools: &[PoolConfig]) -> Vec<String> {
        let mut dropped = Vec::new();
        self.0.retain(|pool, roster| {
            let sentence =
                |it: String| format!("{pool}: {it} from the state is dropped, for it is no address of a node");
            dropped.extend(roster.drop_nonsense().into_iter().map(sentence));
            let is_sought = is_sought(pools, pool);
            if !is_sought {
                dropped.push(format!("{pool}: what was found is forgotten, for its nodes are not looked for any more"));
            }
            is_sought
        });
        dropped
    }

    /// The pools with the nodes that are known beside those of the configuration.
    pub fn pools(&self, pools: &[PoolConfig]) -> Vec<PoolConfig> {
        let with_found = |config: &PoolConfig| match self.0.get(&config.pool.name) {
            Some(roster) => PoolConfig { pool: with_found(&config.pool, roster), ..config.clone() },
            None => config.clone(),
        };
        pools.iter().map(with_found).collect()
    }
}

/// Whether the nodes of a pool are looked for.
pub(super) fn is_sought(pools: &[PoolConfig], name: &PoolName) -> bool {
    pools.iter().any(|config| config.pool.name == *name && config.discovery.is_some())
}

/// Each address once: that of the configuration comes first, and a node of the same name is the same node. Of several nodes
/// that were found with one address, the one that is known for longest has it: a new name alone changes nothing.
fn with_found(pool: &Pool, roster: &Roster) -> Pool {
    let mut taken: BTreeSet<IpAddr> = pool.targets().map(|(target, _)| target.address).collect();
    let mut nodes = pool.nodes.clone();
    for (name, address, _) in roster.known() {
        if roster.owner(address) != Some(name) || !taken.insert(address) {
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
    use std::path::Path;
    use std::time::Duration;

    use daymark_decision::{Moment, NodeName};

    use super::*;
    use crate::config::Config;
    use crate::discovery::roster::{Listing, Sight};

    fn config(nodes: &str) -> Vec<PoolConfig> {
        let text = format!(
            "pools: [{{name: lb.example.org, nodes: {nodes}}}]\nproviders: [{{type: authoritative, nameservers: [{{name: \
             ns1.example.net}}]}}]\n"
        );
        Config::parse(&text, "test.yaml", Path::new("")).unwrap().pools
    }

    fn sought(seeds: &str) -> Vec<PoolConfig> {
        config(&format!("{{seeds: [{seeds}], fromKubernetes: {{}}}}"))
    }

    fn rosters(found: &[(&str, &str)]) -> Rosters {
        let mut roster = Roster::default();
        take(&mut roster, found, Moment::default());
        Rosters([(PoolName::new("lb.example.org"), roster)].into())
    }

    fn take(roster: &mut Roster, listed: &[(&str, &str)], now: Moment) {
        let mut listing = Listing::default();
        for (node, address) in listed {
            listing.nodes.entry(NodeName::new(node)).or_default().insert(address.parse().unwrap());
        }
        roster.take(&listing, &Sight::default(), Duration::ZERO, now);
    }

    fn shown(pools: &[PoolConfig]) -> Vec<String> {
        pools[0].pool.nodes.iter().map(|node| format!("{} {:?} {}", node.name, node.addresses, node.weight)).collect()
    }

    #[test]
    fn what_is_found_comes_after_the_seeds_and_each_address_once() {
        let seeds = sought("{name: a, addresses: [192.0.2.1], weight: 5}, {name: own-name, addresses: [192.0.2.2]}");
        let found = rosters(&[("a", "192.0.2.1"), ("a", "2001:db8::1"), ("b", "192.0.2.2"), ("c", "192.0.2.3")]);
        assert_eq!(
            shown(&found.pools(&seeds)),
            ["a [192.0.2.1, 2001:db8::1] 5", "own-name [192.0.2.2] 1", "c [192.0.2.3] 1"]
        );
        assert_eq!(found.pools(&seeds)[0].pool.nodes[0].priority, seeds[0].pool.nodes[0].priority);
        assert_eq!(shown(&Rosters::default().pools(&seeds)).len(), 2, "seeds are there without any roster");
    }

    #[test]
    fn an_address_stays_with_the_node_that_is_known_with_it_for_longest() {
        let (seeds, mut found) = (sought("{name: s, addresses: [192.0.2.1]}"), rosters(&[("b", "192.0.2.2")]));
        let listed = [("a", "192.0.2.2"), ("a", "192.0.2.3"), ("b", "192.0.2.2")];
        take(found.0.values_mut().next().unwrap(), &listed, Moment::from_millis(1));
        assert_eq!(shown(&found.pools(&seeds))[1..], ["a [192.0.2.3] 1", "b [192.0.2.2] 1"]);
    }

    #[test]
    fn a_node_that_is_found_has_what_a_node_has_by_default() {
        let pools = rosters(&[("b", "192.0.2.2")]).pools(&sought("{name: a, addresses: [192.0.2.1]}"));
        let written = config("[{name: b, addresses: [192.0.2.2]}]");
        assert_eq!(pools[0].pool.nodes[1], written[0].pool.nodes[0]);
    }

    #[test]
    fn what_was_found_goes_with_the_discovery_that_found_it() {
        let mut found = rosters(&[("b", "192.0.2.2")]);
        assert_eq!(found.fit(&sought("{name: a, addresses: [192.0.2.1]}")), [""; 0]);
        let sentence = "lb.example.org: what was found is forgotten, for its nodes are not looked for any more";
        assert_eq!(found.fit(&config("[{name: a, addresses: [192.0.2.1]}]")), [sentence]);
        assert_eq!(found, Rosters::default());
    }
}
