//! The files in `examples/` and the example of the design are valid and fit the schema.

use daymark_config::Config;
use serde_json::Value;

use crate::schema::violations;
use crate::support::{files, parse};

const MINIMAL: &str = include_str!("../../../../examples/authoritative-minimal.yaml");
const FULL: &str = include_str!("../../../../examples/authoritative-full.yaml");
const RECORDS: &str = include_str!("../../../../examples/cloudflare-records.yaml");
const LOAD_BALANCING: &str = include_str!("../../../../examples/cloudflare-load-balancing.yaml");
const CLOUDFLARE_FULL: &str = include_str!("../../../../examples/cloudflare-full.yaml");
const THREE_HOSTS: &str = include_str!("../../../../examples/three-hosts.yaml");
const DISCOVERY: &str = include_str!("../../../../examples/discovery.yaml");
const DESIGN: &str = r#"
pools:
  - name: lb.kube-cp.com            # kubeadm's controlPlaneEndpoint
    port: 6443
    nodes:
      - {name: kube-cp-1, addresses: [10.10.1.1]}
      - {name: kube-cp-2, addresses: [10.10.1.2]}
      - {name: kube-cp-3, addresses: [10.10.1.3]}
    probe: {ca: /etc/kubernetes/pki/ca.crt}   # path, interval, connectTimeout, timeout, rise, fall, auth …
    steering: {mode: all, maxAnswers: 8}      # all | failover | weighted; nodes may have priority and weight
    ttl: {max: 5s, min: 1s}
providers:
  - type: authoritative
    listen: ["0.0.0.0:53", "[::]:53"]
    nameservers:
      - {name: ns1.kube-cp.com, addresses: [192.0.2.11]}
admin: {listen: "127.0.0.1:9353"}
stateDir: /var/lib/daymark
"#;

/// Reads an example with the paths of its files replaced by those of the test directory.
fn read(example: &str) -> Config {
    let dir = files();
    let text = [
        ("/etc/kubernetes/pki/ca.crt", "ca.crt"),
        ("/etc/daymark/staging-ca.crt", "ca.crt"),
        ("/etc/daymark/probe.crt", "client.crt"),
        ("/etc/daymark/probe.key", "client.key"),
        ("/etc/daymark/staging-token", "token"),
        ("/etc/daymark/kube-token", "token"),
        ("/etc/daymark/admin-token", "token"),
        ("/etc/daymark/kube-cp.com.zone", "zone"),
        ("/etc/daymark/gossip.key", "gossip.key"),
        ("/etc/daymark/kube-cp.com.ksk.pem", "dnssec.key"),
        ("/etc/daymark/kube-cp.com.zsk.pem", "client.key"),
        ("/etc/daymark/kube-cp.com.next.pem", "other.key"),
    ]
    .iter()
    .fold(example.to_owned(), |text, (there, here)| text.replace(there, here));
    parse(&text, dir.path()).unwrap()
}

#[test]
fn every_example_is_valid_and_has_no_warning() {
    for example in [MINIMAL, FULL, DESIGN, LOAD_BALANCING, THREE_HOSTS, DISCOVERY] {
        assert_eq!(read(example).warnings, []);
    }
}

#[test]
fn an_example_with_a_known_weakness_has_a_warning() {
    for (example, expected) in [(RECORDS, "at worst"), (CLOUDFLARE_FULL, "192.0.2.1 is not public")] {
        let warnings = read(example).warnings;
        assert!(warnings.len() == 1 && warnings[0].message.contains(expected), "{warnings:?}");
    }
}

#[test]
fn every_example_fits_the_schema() {
    for example in [MINIMAL, FULL, DESIGN, RECORDS, LOAD_BALANCING, CLOUDFLARE_FULL, THREE_HOSTS, DISCOVERY] {
        let value: Value = serde_saphyr::from_str(example).unwrap();
        assert_eq!(violations(&value), Vec::<String>::new());
    }
}

#[test]
fn the_example_of_the_design_has_only_defaults() {
    let minimal = read(MINIMAL);
    let design = read(DESIGN);
    let pool = |config: &Config| config.pools[0].pool.clone();
    assert_eq!(pool(&minimal), pool(&design));
    assert_eq!(minimal.admin, design.admin);
    assert_eq!(minimal.state_dir, design.state_dir);
}

#[test]
fn the_full_examples_have_every_key() {
    let values: [Value; 4] =
        [FULL, CLOUDFLARE_FULL, THREE_HOSTS, DISCOVERY].map(|example| serde_saphyr::from_str(example).unwrap());
    let is_absent = |key: &String| !values.iter().any(|value| holds(value, key));
    let schema = daymark_config::json_schema();
    let absent: Vec<_> = crate::schema::keys(&schema).into_iter().filter(is_absent).collect();
    assert_eq!(absent, Vec::<String>::new());
}

fn holds(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(map) => map.contains_key(key) || map.values().any(|value| holds(value, key)),
        Value::Array(list) => list.iter().any(|value| holds(value, key)),
        _ => false,
    }
}
