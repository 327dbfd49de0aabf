//! A hash over each pool's configuration, by which hosts notice that their configurations differ.

use std::collections::{BTreeMap, BTreeSet};

use daymark_config::PoolConfig;
use daymark_decision::PoolName;
use daymark_gossip::ConfigurationHash;
use ring::digest::{SHA256, digest};

use daymark_discovery::DiscoverySettings;
use daymark_probe::{Auth, Trust};

/// Hashes the configuration of each pool with SHA-256.
///
/// All keys count that bear on the answers. The names of files do not count, and neither does their content: it may differ for
/// a while, for example when a CA is replaced host by host. The keys that sign the zones do count: if they differ, resolvers that
/// validate refuse answers. `signing` are the lines of these keys.
pub fn configuration_hashes(pools: &[PoolConfig], signing: &BTreeSet<String>) -> BTreeMap<PoolName, ConfigurationHash> {
    let text = |config| signing.iter().fold(text(config), |text, line| format!("{text}\n{line}"));
    pools.iter().map(|config| (config.pool.name.clone(), hash(&text(config)))).collect()
}

fn hash(text: &str) -> ConfigurationHash {
    let sha256 = digest(&SHA256, text.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&sha256.as_ref()[..8]);
    ConfigurationHash(bytes)
}

/// Writes out a pool's configuration. The order in the file does not matter, and no text depends on the version of Rust.
fn text(config: &PoolConfig) -> String {
    let PoolConfig { pool, probe, discovery } = config;
    let thresholds = pool.thresholds;
    let steering = pool.steering;
    let ttl = pool.ttl;
    let mode = match steering.mode {
        daymark_decision::Mode::All => "all",
        daymark_decision::Mode::Failover => "failover",
        daymark_decision::Mode::Weighted => "weighted",
    };
    let trust = match probe.trust {
        Trust::File(_) => "own CA",
        Trust::System => "the system's CAs",
        Trust::Nothing => "insecure",
    };
    let auth = match probe.auth {
        Some(Auth::ClientCertificate { .. }) => "client certificate",
        Some(Auth::TokenFile(_)) => "token",
        None => "anonymous",
    };
    let mut lines = vec![
        format!("port {} {trust} {auth}", probe.port),
        format!("path {} {} name {}", probe.path.len(), probe.path, probe.server_name),
        format!("connect {} timeout {}", probe.connect_timeout.as_millis(), probe.timeout.as_millis()),
        format!("tls {} late {}", probe.tls_timeout.as_millis(), probe.late_after.as_millis()),
        format!("confirm {} fresh {}", probe.confirm_interval.as_millis(), probe.fresh_every),
        format!("rise {} fall {} interval {}", thresholds.rise, thresholds.fall, pool.timing.interval.as_millis()),
        format!("steering {mode} {} ttl {} {} {}", steering.max_answers, ttl.min, ttl.max, pool.negative_ttl),
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
    // The source counts, and not the nodes that were found: all hosts find the same, but not at the same moment.
    if let Some(DiscoverySettings { source, interval, shrink_pause }) = discovery {
        let interval = interval.as_millis();
        let pause = shrink_pause.as_millis();
        lines.push(format!("every {interval} pause {pause} from {source}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use daymark_decision::fixtures;

    use super::*;
    use daymark_discovery::DiscoverySource;
    use daymark_probe::ProbeSettings;

    fn config() -> PoolConfig {
        let pool = fixtures::quick_pool("lb.example.org", vec![fixtures::node("a", &["192.0.2.1"])]);
        let probe = ProbeSettings {
            pool: "lb.example.org".to_owned(),
            port: 6443,
            path: "/readyz".to_owned(),
            server_name: "lb.example.org".to_owned(),
            interval: pool.timing.interval,
            connect_timeout: Duration::from_secs(1),
            tls_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            confirm_interval: pool.timing.confirm_interval,
            late_after: Duration::from_secs(1),
            fresh_every: NonZeroU32::MIN,
            thresholds: pool.thresholds,
            trust: Trust::File("ca.crt".into()),
            auth: None,
        };
        PoolConfig { pool, probe, discovery: None }
    }

    #[test]
    fn other_keys_of_signed_zones_change_the_hash() {
        let of = |lines: &[&str]| {
            let signing = lines.iter().map(ToString::to_string).collect();
            configuration_hashes(&[config()], &signing).into_values().next().unwrap()
        };
        assert_eq!(of(&[]), hash(&text(&config())));
        assert_eq!(of(&["nsec csk active 1", "nsec csk active 2"]), of(&["nsec csk active 2", "nsec csk active 1"]));
        assert_ne!(of(&["nsec csk active 1"]), of(&["nsec csk active 2"]));
        assert_ne!(of(&["nsec csk active 1"]), of(&[]));
    }

    #[test]
    fn every_key_changes_the_hash_but_the_paths_of_files() {
        let changed = |change: &dyn Fn(&mut PoolConfig)| {
            let mut config = config();
            change(&mut config);
            hash(&text(&config))
        };
        let same = changed(&|_| {});
        let others: [&dyn Fn(&mut PoolConfig); 18] = [
            &|config| config.probe.port = 443,
            &|config| config.probe.path = "/livez".to_owned(),
            &|config| config.probe.server_name = "kubernetes".to_owned(),
            &|config| config.probe.connect_timeout *= 2,
            &|config| config.probe.tls_timeout *= 2,
            &|config| config.probe.timeout *= 2,
            &|config| config.probe.late_after *= 2,
            &|config| config.probe.confirm_interval *= 2,
            &|config| config.probe.fresh_every = NonZeroU32::MAX,
            &|config| config.probe.trust = Trust::Nothing,
            &|config| config.probe.auth = Some(Auth::TokenFile("token".into())),
            &|config| config.pool.thresholds.rise = NonZeroU32::MAX,
            &|config| config.pool.timing.interval *= 2,
            &|config| config.pool.steering.max_answers = 2,
            &|config| config.pool.ttl.max = 6,
            &|config| config.pool.negative_ttl = 6,
            &|config| config.pool.nodes[0].addresses[0] = [192, 0, 2, 2].into(),
            &|config| {
                let interval = Duration::from_mins(1);
                let shrink_pause = Duration::from_hours(1);
                config.discovery =
                    Some(DiscoverySettings { source: DiscoverySource::Endpoints, interval, shrink_pause });
            },
        ];
        for (index, change) in others.iter().enumerate() {
            assert_ne!(changed(change), same, "change {index}");
        }
        assert_eq!(changed(&|config| config.probe.trust = Trust::File("/elsewhere/ca.crt".into())), same);
        assert_eq!(changed(&|config| config.pool.nodes[0].addresses.reverse()), same);
    }
}
