//! A short form of each pool's configuration, by which hosts see that theirs differ.

use std::collections::BTreeMap;

use daymark_decision::PoolName;
use daymark_gossip::Digest;
use ring::digest::{SHA256, digest};

use crate::config::PoolConfig;

/// The first bytes of SHA-256 of what decides on the answers of each pool. What only tells how this host gets there, such as
/// the path of a file, may differ.
pub fn digests(pools: &[PoolConfig]) -> BTreeMap<PoolName, Digest> {
    pools.iter().map(|config| (config.pool.name.clone(), of(&text(config)))).collect()
}

fn of(text: &str) -> Digest {
    let (mut short, long) = (Digest::default(), digest(&SHA256, text.as_bytes()));
    short.iter_mut().zip(long.as_ref()).for_each(|(to, from)| *to = *from);
    short
}

/// Everything in one fixed order, whatever the order in the file, and in words that no version of Rust changes.
fn text(config: &PoolConfig) -> String {
    let PoolConfig { pool, probe } = config;
    let (thresholds, steering, ttl) = (pool.thresholds, pool.steering, pool.ttl);
    let mode = match steering.mode {
        daymark_decision::Mode::All => "all",
        daymark_decision::Mode::Failover => "failover",
        daymark_decision::Mode::Weighted => "weighted",
    };
    let mut lines = vec![
        format!("port {} path {}", probe.port, probe.path),
        format!("rise {} fall {} interval {:?}", thresholds.rise, thresholds.fall, pool.pace.interval),
        format!("steering {mode} {} ttl {} {}", steering.max_answers, ttl.min, ttl.max),
    ];
    let mut nodes: Vec<String> = pool
        .nodes
        .iter()
        .map(|node| {
            let mut addresses: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
            addresses.sort();
            format!("node {} {} priority {} weight {}", node.name, addresses.join(" "), node.priority, node.weight)
        })
        .collect();
    nodes.sort();
    lines.extend(nodes);
    lines.join("\n")
}
