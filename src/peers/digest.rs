//! A short form of each pool's configuration, by which hosts see that theirs differ.

use std::collections::BTreeMap;

use daymark_decision::PoolName;
use daymark_gossip::Digest;
use ring::digest::{SHA256, digest};

use crate::config::PoolConfig;
use crate::discovery::settings::Settings;
use daymark_probe::{Auth, Trust};

/// The first bytes of SHA-256 of what decides on the answers of each pool, so of every key but those that name a file. What is
/// in a file may differ for a while, as where a CA is replaced host by host.
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
    let PoolConfig { pool, probe, discovery } = config;
    let (thresholds, steering, ttl) = (pool.thresholds, pool.steering, pool.ttl);
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
        format!("confirm {} fresh {}", probe.confirm_interval.as_millis(), probe.fresh_every),
        format!("rise {} fall {} interval {}", thresholds.rise, thresholds.fall, pool.timing.interval.as_millis()),
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
    // Where they are looked for, and not which were found: hosts find the same ones, but not at the same moment.
    if let Some(Settings { source, interval, shrink_pause }) = discovery {
        let (interval, pause) = (interval.as_millis(), shrink_pause.as_millis());
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
    use crate::discovery::settings as discovery;
    use daymark_probe::Settings;

    fn config() -> PoolConfig {
        let pool = fixtures::quick_pool("lb.example.org", vec![fixtures::node("a", &["192.0.2.1"])]);
        let probe = Settings {
            port: 6443,
            path: "/readyz".to_owned(),
            server_name: "lb.example.org".to_owned(),
            interval: pool.timing.interval,
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            confirm_interval: pool.timing.confirm_interval,
            fresh_every: NonZeroU32::MIN,
            thresholds: pool.thresholds,
            trust: Trust::File("ca.crt".into()),
            auth: None,
        };
        PoolConfig { pool, probe, discovery: None }
    }

    #[test]
    fn every_key_counts_but_the_paths_of_files() {
        let changed = |change: &dyn Fn(&mut PoolConfig)| {
            let mut config = config();
            change(&mut config);
            of(&text(&config))
        };
        let same = changed(&|_| {});
        let others: [&dyn Fn(&mut PoolConfig); 15] = [
            &|it| it.probe.port = 443,
            &|it| it.probe.path = "/livez".to_owned(),
            &|it| it.probe.server_name = "kubernetes".to_owned(),
            &|it| it.probe.connect_timeout *= 2,
            &|it| it.probe.timeout *= 2,
            &|it| it.probe.confirm_interval *= 2,
            &|it| it.probe.fresh_every = NonZeroU32::MAX,
            &|it| it.probe.trust = Trust::Nothing,
            &|it| it.probe.auth = Some(Auth::TokenFile("token".into())),
            &|it| it.pool.thresholds.rise = NonZeroU32::MAX,
            &|it| it.pool.timing.interval *= 2,
            &|it| it.pool.steering.max_answers = 2,
            &|it| it.pool.ttl.max = 6,
            &|it| it.pool.nodes[0].addresses[0] = [192, 0, 2, 2].into(),
            &|it| {
                let (interval, shrink_pause) = (Duration::from_mins(1), Duration::from_hours(1));
                it.discovery =
                    Some(discovery::Settings { source: discovery::Source::Endpoints, interval, shrink_pause });
            },
        ];
        for (index, change) in others.iter().enumerate() {
            assert_ne!(changed(change), same, "change {index}");
        }
        assert_eq!(changed(&|it| it.probe.trust = Trust::File("/elsewhere/ca.crt".into())), same);
        assert_eq!(changed(&|it| it.pool.nodes[0].addresses.reverse()), same);
    }
}
