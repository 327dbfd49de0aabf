//! The configuration of `daymark run` without a file.

use daymark_config::{Config, Flags, ProviderConfig};
use daymark_probe::Trust;

use crate::support::files;

fn flags() -> Flags {
    let nodes = ["kube-cp-1=10.10.1.1,2001:db8::1", "kube-cp-2=10.10.1.2"].map(str::to_owned).to_vec();
    Flags { pool: "lb.kube-cp.com:6443".to_owned(), nodes, ..Flags::default() }
}

fn errors(flags: &Flags) -> Vec<String> {
    Config::from_flags(flags).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn pool_and_nodes_are_enough() {
    let config = Config::from_flags(&flags()).unwrap();
    let pool = &config.pools[0];
    assert_eq!((pool.pool.name.as_str(), pool.probe.port), ("lb.kube-cp.com", 6443));
    assert_eq!(pool.pool.targets().count(), 3);
    assert_eq!(pool.pool.nodes[0].addresses[1].to_string(), "2001:db8::1");
    assert_eq!(config.providers, []);
    assert_eq!(config.state_dir, None);
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9353");
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "--pool: `ca` is not set, so only the CAs of the system are trusted; kubeadm's CA is seldom one of them",
            "--node: only kube-cp-1 has an IPv6 address, so no IPv6 address is usable while it is down; give the other nodes \
             one, or none to kube-cp-1",
            "the flags: nothing publishes the answers; --nameserver NAME=ADDRESS serves them by DNS",
        ]
    );
}

#[test]
fn the_port_may_be_left_out() {
    let config = Config::from_flags(&Flags { pool: "lb.kube-cp.com".to_owned(), ..flags() }).unwrap();
    assert_eq!(config.pools[0].probe.port, 6443);
}

#[test]
fn every_flag_has_its_effect() {
    let dir = files();
    let flags = Flags {
        nodes: ["kube-cp-1=10.10.1.1,2001:db8::1", "kube-cp-2=10.10.1.2,2001:db8::2"].map(str::to_owned).to_vec(),
        ca: Some(dir.path().join("ca.crt").display().to_string()),
        listen: vec!["127.0.0.1:5353".to_owned()],
        nameservers: vec!["ns1.lb.kube-cp.com=192.0.2.1".to_owned(), "ns.example.net".to_owned()],
        admin: Some("127.0.0.1:9999".to_owned()),
        state_dir: Some("state".to_owned()),
        ..flags()
    };
    let config = Config::from_flags(&flags).unwrap();
    let ProviderConfig::Authoritative(authoritative) = &config.providers[0] else { panic!("{config:?}") };
    assert_eq!(authoritative.listen, ["127.0.0.1:5353".parse().unwrap()]);
    assert_eq!(authoritative.nameservers.len(), 2);
    assert_eq!(config.pools[0].probe.trust, Trust::File(dir.path().join("ca.crt")));
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9999");
    assert_eq!(config.state_dir, Some("state".into()));
    assert_eq!(config.warnings, []);
}

#[test]
fn all_errors_of_flags_are_reported_at_once_with_their_flags() {
    let flags = Flags {
        pool: "lb_1:70000".to_owned(),
        nodes: vec!["kube-cp-1=10.10.1.300".to_owned(), "kube-cp-2".to_owned()],
        ca: Some("/dev".to_owned()),
        listen: vec![":53".to_owned()],
        admin: Some("9353".to_owned()),
        ..Flags::default()
    };
    let starts = [
        "--pool (port): 70000 is too large; a whole number from 1 to 65535 is allowed",
        "--node kube-cp-1=10.10.1.300: \"10.10.1.300\" is not an IP address",
        "--listen: \":53\" is not an address to listen on",
        "--admin: \"9353\" is not an address to listen on",
        "--pool: \"lb_1\" is not a DNS name: it has an underscore (_)",
        "--node kube-cp-2: has no address; NODE=ADDRESS[,ADDRESS] is needed",
        "--ca: /dev is not a regular file; a regular file is needed",
        "--nameserver: is not given; at least one nameserver is needed",
    ];
    let errors = errors(&flags);
    for start in starts {
        assert!(errors.iter().any(|error| error.starts_with(start)), "{start} is not in {errors:#?}");
    }
    assert_eq!(errors.len(), starts.len(), "{errors:#?}");
}

#[test]
fn flags_without_a_node_are_refused() {
    let flags = Flags { pool: "lb.kube-cp.com:x".to_owned(), ..Flags::default() };
    assert_eq!(
        errors(&flags),
        [
            "--pool (port): is the text \"x\"; a whole number from 1 to 65535 is allowed",
            "--node: is not given; at least one node is needed",
        ]
    );
}
