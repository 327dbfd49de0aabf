//! Valid files and the settings that they become.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use daymark_authoritative::{LOOPBACK, RateLimitMode, RateLimitSettings};
use daymark_config::budget::{self, report};
use daymark_config::{Config, ProviderConfig};
use daymark_decision::{HostName, Mode, TtlRange};
use daymark_discovery::{AddressType, DiscoverySettings, DiscoverySource};
use daymark_probe::{Auth, Trust};
use ipnet::IpNet;

use crate::support::{SMALL, files, meaning, parse, with};

#[test]
fn a_ca_that_does_not_exist_yet_is_a_warning() {
    let config = parse(SMALL, Path::new("")).unwrap();
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "daymark.yaml:5:17: pools[0].probe.ca: ca.crt does not exist yet, so no node can be probed, and all are answered until \
          the file appears; `kubeadm init phase certs ca` makes it"
        ]
    );
}

#[test]
fn a_key_that_is_left_out_has_its_default() {
    let dir = files();
    let config = parse(SMALL, dir.path()).unwrap();
    let pool = &config.pools[0].pool;
    let probe = &config.pools[0].probe;
    assert_eq!((probe.port, probe.path.as_str(), probe.server_name.as_str()), (6443, "/readyz", "lb.kube-cp.com"));
    assert_eq!([probe.interval, probe.connect_timeout, probe.timeout], [1, 1, 5].map(Duration::from_secs));
    assert_eq!([probe.tls_timeout, probe.late_after], [1, 1].map(Duration::from_secs));
    assert_eq!(probe.confirm_interval, Duration::from_millis(100));
    assert_eq!([probe.thresholds.rise, probe.thresholds.fall, probe.fresh_every].map(u32::from), [2, 3, 10]);
    assert_eq!(probe.trust, Trust::File(dir.path().join("ca.crt")));
    assert_eq!(probe.auth, None);
    assert_eq!((pool.steering.mode, pool.steering.max_answers), (Mode::All, 8));
    assert_eq!((pool.ttl, pool.negative_ttl), (TtlRange { min: 1, max: 5 }, 30));
    assert_eq!((pool.nodes[0].priority, pool.nodes[0].weight), (0, 1));
    let ProviderConfig::Authoritative(authoritative) = &config.providers[0] else { panic!("{config:?}") };
    assert_eq!(authoritative.listen, ["0.0.0.0:53".parse().unwrap(), "[::]:53".parse().unwrap()]);
    assert_eq!((authoritative.max_tcp_connections, authoritative.max_tcp_connections_per_client), (256, 32));
    assert_eq!((authoritative.udp_workers, authoritative.identity.as_ref()), (None, None));
    assert!(authoritative.nsid && !authoritative.chaos);
    assert_eq!((&authoritative.zone, &authoritative.zone_file), (&None, &None));
    assert_eq!(authoritative.rate_limit, RateLimitSettings::default());
    assert_eq!(config.admin.listen, "127.0.0.1:9353".parse().unwrap());
    assert_eq!(config.admin.token_file, None);
    assert_eq!((config.admin.metrics_listen, config.admin.allowed_hosts), (None, Vec::new()));
    assert_eq!(config.state_dir, Some(PathBuf::from("/var/lib/daymark")));
}

#[test]
fn the_rate_limit_has_the_values_of_the_file_and_exempts_loopback_addresses_too() {
    let rate_limit = |keys: &str| {
        let text = with(SMALL, "    nameservers:", &format!("    rateLimit: {{{keys}}}\n    nameservers:"));
        let config = parse(&text, files().path()).unwrap();
        let ProviderConfig::Authoritative(authoritative) = &config.providers[0] else { panic!("{config:?}") };
        authoritative.rate_limit.clone()
    };
    let lengths = "ipv4PrefixLength: 32, ipv6PrefixLength: 64";
    let others = "mode: logOnly, responsesPerSecond: 5, slip: 0, exempt: [10.0.0.0/8, 2001:db8::1]";
    let networks: [IpNet; 2] = ["10.0.0.0/8", "2001:db8::1/128"].map(|network| network.parse().unwrap());
    let expected = RateLimitSettings {
        mode: RateLimitMode::LogOnly,
        responses_per_second: NonZeroU32::new(5).unwrap(),
        slip: 0,
        exempt: [LOOPBACK, networks].concat(),
        ipv4_prefix_length: 32,
        ipv6_prefix_length: 64,
    };
    assert_eq!(rate_limit(&format!("{others}, {lengths}")), expected);
    let defaults = "mode: enforce, responsesPerSecond: 200, slip: 2, ipv4PrefixLength: 24, ipv6PrefixLength: 56";
    assert_eq!(rate_limit(defaults), RateLimitSettings::default());
}

#[test]
fn the_core_and_the_probes_get_the_same_thresholds_and_times() {
    let config =
        parse(&with(SMALL, "{ca: ca.crt}", "{ca: ca.crt, interval: 2s, rise: 5, fall: 4}"), files().path()).unwrap();
    let pool = &config.pools[0].pool;
    let probe = &config.pools[0].probe;
    assert_eq!(pool.thresholds, probe.thresholds);
    assert_eq!((pool.timing.interval, pool.timing.confirm_interval), (probe.interval, probe.confirm_interval));
    // interval 2s + fall 4 × confirmInterval 100ms + timeout 5s
    assert_eq!(pool.timing.detection, Duration::from_millis(7400));
}

#[test]
fn names_become_lower_case_without_a_final_dot() {
    let config = parse(&with(SMALL, "name: lb.kube-cp.com", "name: LB.Kube-CP.com."), files().path()).unwrap();
    assert_eq!(config.pools[0].pool.name.as_str(), "lb.kube-cp.com");
    assert_eq!(config.pools[0].probe.server_name, "lb.kube-cp.com");
}

#[test]
fn a_name_of_253_characters_is_valid() {
    let label = "a".repeat(63);
    let name = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    assert_eq!(name.len(), 253);
    parse(&with(SMALL, "name: lb.kube-cp.com", &format!("name: {name}.")), files().path()).unwrap();
}

#[test]
fn anchors_aliases_and_merges_are_valid() {
    let text = with(SMALL, "    probe: {ca: ca.crt}", "    probe: &probe {ca: ca.crt, timeout: 3s}");
    let second = [
        "  - name: other.kube-cp.com",
        "    nodes: [{name: a, addresses: [10.10.2.1]}]",
        "    probe: {<<: *probe, fall: 5}",
        "providers:",
    ];
    let config = parse(&with(&text, "providers:", &second.join("\n")), files().path()).unwrap();
    assert_eq!(config.pools[1].probe.timeout, Duration::from_secs(3));
    assert_eq!(config.pools[1].probe.thresholds.fall.get(), 5);
}

/// Values at one end of the ranges of a probe. `timeout` is for each of the four timeouts, and `count` for each threshold.
struct ProbeBounds {
    interval_ms: u64,
    confirm_interval_ms: u64,
    timeout_ms: u64,
    count: u32,
    fresh_every: u32,
}

#[test]
fn the_bounds_of_every_range_are_valid() {
    for bounds in [
        ProbeBounds { interval_ms: 100, confirm_interval_ms: 10, timeout_ms: 10, count: 1, fresh_every: 1 },
        ProbeBounds {
            interval_ms: 3_600_000,
            confirm_interval_ms: 3_600_000,
            timeout_ms: 60_000,
            count: 100,
            fresh_every: 10_000,
        },
    ] {
        let ProbeBounds { interval_ms, confirm_interval_ms, timeout_ms, count, fresh_every } = bounds;
        let text = format!(
            "{{ca: ca.crt, interval: {interval_ms}ms, confirmInterval: {confirm_interval_ms}ms, timeout: {timeout_ms}ms, \
             connectTimeout: {timeout_ms}ms, tlsTimeout: {timeout_ms}ms, lateAfter: {timeout_ms}ms, rise: {count}, \
             fall: {count}, freshEvery: {fresh_every}}}"
        );
        let config = parse(&with(SMALL, "{ca: ca.crt}", &text), files().path()).unwrap();
        let probe = &config.pools[0].probe;
        let intervals = [probe.interval, probe.confirm_interval];
        assert_eq!(intervals, [interval_ms, confirm_interval_ms].map(Duration::from_millis));
        let timeouts = [probe.timeout, probe.connect_timeout, probe.tls_timeout, probe.late_after];
        assert_eq!(timeouts, [Duration::from_millis(timeout_ms); 4]);
        let counts = [probe.thresholds.rise, probe.thresholds.fall, probe.fresh_every].map(NonZeroU32::get);
        assert_eq!(counts, [count, count, fresh_every]);
    }
    let of_pool = |pool: &str| {
        let text = format!("pools: [{{name: lb, nodes: [{{name: a, addresses: [10.1.1.1]}}], {pool}}}]\nproviders:");
        let text = format!(
            "{text} [{{type: authoritative, maxTcpConnections: 65535, maxTcpConnectionsPerClient: 65535, udpWorkers: 256, \
             identity: dns-1.example, nsid: false, chaos: true, nameservers: [{{name: ns1.a}}]}}]"
        );
        parse(&text, Path::new("")).unwrap()
    };
    let least = of_pool("port: 1, ttl: {min: 1s, max: 1s}");
    assert_eq!((least.pools[0].probe.port, least.pools[0].pool.ttl), (1, TtlRange { min: 1, max: 1 }));
    assert_eq!(of_pool("ttl: {negative: 1s}").pools[0].pool.negative_ttl, 1);
    assert_eq!(of_pool("ttl: {negative: 1h}").pools[0].pool.negative_ttl, 3600);
    let most = of_pool("port: 65535, ttl: {min: 3600s, max: 1h}");
    assert_eq!((most.pools[0].probe.port, most.pools[0].pool.ttl), (65535, TtlRange { min: 3600, max: 3600 }));
    assert_eq!(of_pool("steering: {maxAnswers: 100}").pools[0].pool.steering.max_answers, 100);
    let [ProviderConfig::Authoritative(authoritative)] = &most.providers[..] else { panic!("{:?}", most.providers) };
    assert_eq!((authoritative.max_tcp_connections, authoritative.max_tcp_connections_per_client), (65535, 65535));
    assert_eq!(authoritative.udp_workers.map(NonZeroUsize::get), Some(256));
    assert_eq!(authoritative.identity.as_ref().map(HostName::as_str), Some("dns-1.example"));
    assert!(!authoritative.nsid && authoritative.chaos);
}

#[test]
fn paths_are_relative_to_the_file_and_all_of_them_are_listed() {
    let dir = files();
    let text = with(
        SMALL,
        "{ca: ca.crt}",
        "{ca: ca.crt, auth: {clientCertificate: {certificate: client.crt, key: client.key}}}",
    );
    let text = with(
        &text,
        "nameservers: [{name: ns1.kube-cp.com}]",
        "nameservers: [{name: ns1.a}]\n    zone: kube-cp.com\n    zoneFile: zone\nadmin: {tokenFile: token}\nstateDir: state",
    );
    let path = dir.path().join("daymark.yaml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path, None).unwrap();
    let files = ["ca.crt", "client.crt", "client.key", "zone", "token"].map(|name| dir.path().join(name));
    assert_eq!(config.files(), files);
    assert_eq!(config.state_dir, Some(dir.path().join("state")));
    assert!(matches!(&config.pools[0].probe.auth, Some(Auth::ClientCertificate { key, .. }) if *key == files[2]));
}

#[test]
fn a_file_and_its_text_give_the_same() {
    let dir = files();
    let path = dir.path().join("daymark.yaml");
    std::fs::write(&path, SMALL).unwrap();
    assert_eq!(meaning(Config::load(&path, None).unwrap()), meaning(parse(SMALL, dir.path()).unwrap()));
}

#[test]
fn check_prints_the_terms_of_each_sum() {
    let dir = files();
    let path = dir.path().join("daymark.yaml");
    std::fs::write(&path, SMALL).unwrap();
    let expected = "\
pool lb.kube-cp.com
  nodes: kube-cp-1
  silent node found in 2.3s = interval 1s + fall 3 × confirmInterval 0.1s + connectTimeout 1s
    right in every cache in 7.3s = 2.3s + ttl.max 5s
  hung node found in 3s = interval 1s + lateAfter 1s + tlsTimeout 1s
    right in every cache in 8s = 3s + ttl.max 5s
  stuck node found in 6.3s = interval 1s + fall 3 × confirmInterval 0.1s + timeout 5s
    right in every cache in 11.3s = 6.3s + ttl.max 5s

";
    assert_eq!(report(&Config::load(&path, None).unwrap()).to_string(), expected);
}

#[test]
fn a_hung_node_is_found_by_the_smaller_of_two_sums() {
    let hung = |probe: &str| {
        let text = with(SMALL, "{ca: ca.crt}", &format!("{{ca: ca.crt, {probe}}}"));
        budget::hung(&parse(&text, files().path()).unwrap().pools[0].probe).to_string()
    };
    assert_eq!(hung("tlsTimeout: 2s, lateAfter: 3s"), "6s = interval 1s + lateAfter 3s + tlsTimeout 2s");
    assert_eq!(hung("fall: 20"), "4s = interval 1s + fall 20 × confirmInterval 0.1s + tlsTimeout 1s");
    // The whole probe ends first.
    assert_eq!(
        hung("timeout: 1500ms, lateAfter: 1500ms"),
        "2.8s = interval 1s + fall 3 × confirmInterval 0.1s + timeout 1.5s"
    );
}

#[test]
fn the_parts_of_a_probe_have_no_more_time_than_the_whole_by_default() {
    let text = with(SMALL, "{ca: ca.crt}", "{ca: ca.crt, timeout: 300ms, connectTimeout: 200ms}");
    let probe = &parse(&text, files().path()).unwrap().pools[0].probe;
    assert_eq!([probe.tls_timeout, probe.late_after], [300, 300].map(Duration::from_millis));
}

#[test]
fn check_warns_of_a_sum_longer_than_clients_wait() {
    let dir = files();
    let path = dir.path().join("daymark.yaml");
    std::fs::write(&path, with(SMALL, "{ca: ca.crt}", "{ca: ca.crt, interval: 38s}")).unwrap();
    let report = report(&Config::load(&path, None).unwrap());
    assert_eq!(report.pools[0].warnings().len(), 1, "{report}");
    assert!(
        report.to_string().contains("pools[0]: with a stuck node the answer is right in every cache after 48.3s"),
        "{report}"
    );
    assert!(Config::load(&dir.path().join("absent.yaml"), None).is_err());
}

#[test]
fn discovery_may_find_more_nodes_beside_the_seeds() {
    let found = "nodes: {seeds: [{name: kube-cp-1, addresses: [10.10.1.1]}], fromKubernetes: {}}";
    let text = with(SMALL, "nodes:\n      - {name: kube-cp-1, addresses: [10.10.1.1]}", found);
    let with_auth = with(&text, "{ca: ca.crt}", "{ca: ca.crt, auth: {tokenFile: token}}");
    let config = parse(&with_auth, files().path()).unwrap();
    assert_eq!((config.warnings.len(), config.pools[0].pool.nodes.len()), (0, 1));
    let discovery = config.pools[0].discovery.clone().unwrap();
    let selector = "node-role.kubernetes.io/control-plane".to_owned();
    assert_eq!(discovery.source, DiscoverySource::Nodes { selector, address_type: AddressType::Internal });
    assert_eq!([discovery.interval, discovery.shrink_pause], [Duration::from_mins(1), Duration::from_hours(1)]);

    let keys = "source: endpoints, interval: 2s, shrinkPause: 24h";
    let config = parse(&with(&with_auth, "{}", &format!("{{{keys}}}")), files().path()).unwrap();
    let interval = Duration::from_secs(2);
    let shrink_pause = Duration::from_hours(24);
    assert_eq!(
        config.pools[0].discovery,
        Some(DiscoverySettings { source: DiscoverySource::Endpoints, interval, shrink_pause })
    );

    let external = parse(&with(&with_auth, "{}", "{addressType: ExternalIP, selector: a=b}"), files().path()).unwrap();
    let source = external.pools[0].discovery.clone().unwrap().source;
    assert_eq!(source, DiscoverySource::Nodes { selector: "a=b".to_owned(), address_type: AddressType::External });
}

/// The line of `check` on the families of three nodes with these addresses, and its warnings.
fn families(addresses: [&str; 3]) -> (String, Vec<String>) {
    let nodes: String =
        (1..).zip(addresses).map(|(n, of)| format!("\n      - {{name: cp-{n}, addresses: [{of}]}}")).collect();
    let report = report(&parse(&with(SMALL, NODES, &nodes), files().path()).unwrap());
    let text = report.to_string();
    let line = text.lines().find(|line| line.contains("addresses: ")).unwrap_or_default();
    (line.to_owned(), report.warnings.iter().map(ToString::to_string).collect())
}

const NODES: &str = "\n      - {name: kube-cp-1, addresses: [10.10.1.1]}";

#[test]
fn check_counts_the_nodes_of_each_family_of_a_dual_stack_pool() {
    let both = ["10.10.1.1, \"fd00::1\"", "10.10.1.2, \"fd00::2\"", "10.10.1.3, \"fd00::3\""];
    assert_eq!(families(both), ("  addresses: IPv4 on 3 of 3 nodes, IPv6 on 3 of 3 nodes".to_owned(), Vec::new()));
    assert_eq!(families(["10.10.1.1", "10.10.1.2", "10.10.1.3"]), (String::new(), Vec::new()));
}

#[test]
fn check_warns_of_a_family_that_some_nodes_lack() {
    let (line, warnings) = families(["10.10.1.1, \"fd00::1\"", "10.10.1.2, \"fd00::2\"", "10.10.1.3"]);
    assert_eq!(line, "  addresses: IPv4 on 3 of 3 nodes, IPv6 on 2 of 3 nodes");
    let expected = "daymark.yaml:4:7: pools[0].nodes: cp-3 has no IPv6 address, so clients that use only IPv6 never reach it; \
                    give each node an address of both families";
    assert_eq!(warnings, [expected]);
}

#[test]
fn check_warns_of_a_family_with_a_single_node() {
    let (line, warnings) = families(["10.10.1.1, \"fd00::1\"", "10.10.1.2", "10.10.1.3"]);
    assert_eq!(line, "  addresses: IPv4 on 3 of 3 nodes, IPv6 on 1 of 3 nodes");
    let expected = "daymark.yaml:4:7: pools[0].nodes: only cp-1 has an IPv6 address, so no IPv6 address is usable while it is \
                    down; give the other nodes one, or none to cp-1";
    assert_eq!(warnings, [expected]);
}

#[test]
fn check_does_not_warn_of_the_families_of_seeds() {
    let seeds = "{seeds: [{name: cp-1, addresses: [10.10.1.1, \"fd00::1\"]}, {name: cp-2, addresses: [10.10.1.2]}], \
                 fromKubernetes: {source: endpoints}}";
    let report = report(&parse(&with(SMALL, NODES, &format!(" {seeds}")), files().path()).unwrap());
    assert!(!report.to_string().contains("only cp-1"), "{report}");
    assert!(report.to_string().contains("  addresses: IPv4 on 2 of 2 nodes, IPv6 on 1 of 2 nodes\n"), "{report}");
}
