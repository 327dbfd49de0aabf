//! Several hosts that decide together, each a separate process.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use daymark_fake_apiserver::{Behaviour, ClusterNode};
use daymark_fake_cloudflare::{Fault, RequestMatcher};

use crate::discovery::{DiscoveryFixture, HASTY};
use crate::support::dns::look_up;
use crate::support::nodes::{Nodes, Plan, addresses, write};
use crate::support::zone::Zone;
use crate::support::{BINARY, Daymark, POOL, finish, is_published, output, until};

/// Fake nodes, and hosts that share a key.
struct Hosts {
    nodes: Nodes,
    gossip: Vec<IpAddr>,
    running: Vec<Option<Daymark>>,
}

impl Hosts {
    /// Starts three hosts; `plan` adapts the plan of each.
    fn start(nodes: Nodes, plan: impl Fn(usize, Plan) -> Plan) -> Self {
        output(&["keygen", "--out", nodes.path("gossip.key").to_str().unwrap()]);
        let mut hosts = Self { gossip: addresses(3), nodes, running: Vec::new() };
        for host in 0..3 {
            let plan = plan(host, Plan { state: format!("state-{host}"), ..hosts.nodes.plan() });
            let config = hosts.nodes.path(&format!("host-{host}.yaml"));
            write(&config, &plan);
            let text = std::fs::read_to_string(&config).unwrap() + &hosts.peers(host);
            std::fs::write(&config, text).unwrap();
            hosts.running.push(Some(Daymark::run(&config)));
        }
        hosts.until_all_are_reachable();
        hosts
    }

    fn peers(&self, host: usize) -> String {
        let member = |(address, n): (&IpAddr, usize)| format!("{{name: dns-{n}, address: \"{address}:7946\"}}");
        let members: Vec<String> = self.gossip.iter().zip(0..).map(member).collect();
        let own = self.gossip[host];
        let members = members.join(", ");
        format!("peers: {{self: dns-{host}, listen: \"{own}:7946\", members: [{members}], keyFile: gossip.key}}\n")
    }

    fn host(&self, host: usize) -> &Daymark {
        self.running[host].as_ref().unwrap()
    }

    fn each(&self) -> impl Iterator<Item = &Daymark> {
        self.running.iter().flatten()
    }

    fn until_all_are_reachable(&self) {
        until("every host reaches every other", || {
            let reaches_all = |host: &Daymark| {
                let status = host.json("/api/v1/status");
                status["hosts"]["peers"].as_array().unwrap().iter().all(|peer| peer["reachable"] == true)
            };
            self.each().all(reaches_all).then_some(())
        });
    }

    /// Sends an override to a host, with the token of that host.
    fn send_override(&self, host: usize, arguments: &[&str]) -> String {
        let api = self.host(host).api();
        let token = self.nodes.path(&format!("state-{host}/admin.token"));
        let mut command = std::process::Command::new(BINARY);
        command.args(arguments).args(["--api", &api, "--token-file", token.to_str().unwrap()]);
        let finished = finish(&mut command);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished.stdout
    }

    fn all_answer(&self, addresses: &[IpAddr]) {
        self.each().for_each(|host| host.answers(addresses, "ready"));
    }
}

#[test]
fn an_override_on_one_host_counts_on_all_and_names_that_host() {
    let hosts = Hosts::start(Nodes::start(3), |_, plan| plan);
    let all = hosts.nodes.addresses();
    hosts.all_answer(&all);
    hosts.send_override(1, &["drain", "cp-1", "--reason", "new disk"]);
    hosts.all_answer(&all[1..]);
    let explained = output(&["explain", "cp-1", "--api", &hosts.host(2).api()]);
    assert!(explained.contains("on dns-1 since"), "{explained}");
    assert!(explained.contains("dns-2 (this host) ready, dns-0 ready, dns-1 ready"), "{explained}");
    hosts.send_override(0, &["undrain", "cp-1"]);
    hosts.all_answer(&all);
    let events = output(&["events", "--api", &hosts.host(2).api()]);
    assert!(events.contains("cp-1 drained") && events.contains("cp-1 is no longer drained"), "{events}");
}

#[test]
fn hosts_that_discover_nodes_at_different_times_agree_on_configuration_and_overrides() {
    let fixture = DiscoveryFixture::start(3);
    let all = fixture.nodes.addresses();
    fixture.list(&[0]);
    let (nodes, cluster) = fixture.apart();
    let only_seed = |plan: Plan| Plan { nodes: plan.nodes[..1].to_vec(), from_kubernetes: Some(HASTY), ..plan };
    let hosts = Hosts::start(nodes, |_, plan| only_seed(plan));
    hosts.all_answer(&all[..1]);
    cluster.set_nodes(
        (1..).zip(&all).map(|(n, address)| ClusterNode::control_plane(&format!("cp-{n}"), *address)).collect(),
    );
    until("one host has found them", || (hosts.host(0).pool()["targets"].as_array().unwrap().len() == 3).then_some(()));
    hosts.send_override(0, &["drain", "cp-3"]);
    hosts.all_answer(&all[..2]);
    for host in hosts.each() {
        let status = host.json("/api/v1/status");
        let peers = status["hosts"]["peers"].as_array().unwrap();
        assert!(peers.iter().all(|peer| peer["differs"].as_array().unwrap().is_empty()), "{status}");
        let events = output(&["events", "--api", &host.api()]);
        assert!(events.contains("cp-3 drained") && !events.contains("configuration of"), "{events}");
    }
}

#[test]
fn a_dead_node_leaves_on_every_host_and_the_status_has_the_vote_of_each() {
    let hosts = Hosts::start(Nodes::start(2), |_, plan| plan);
    let all = hosts.nodes.addresses();
    hosts.all_answer(&all);
    hosts.nodes.set(0, Behaviour::Dead);
    hosts.all_answer(&all[1..]);
    let metrics = hosts.host(0).get("/metrics").1;
    assert!(metrics.contains("daymark_quorum_state{state=\"quorum\"} 1"), "{metrics}");
    let grade = |peer: &str| {
        format!("peer=\"{peer}\",pool=\"lb.kube-cp.com\",node=\"cp-1\",address=\"{}\",grade=\"down\"}} 1", all[0])
    };
    until("the metrics have what each peer sees", || {
        let metrics = hosts.host(0).get("/metrics").1;
        ["dns-1", "dns-2"].iter().all(|peer| metrics.contains(&grade(peer))).then_some(())
    });
}

#[test]
fn one_host_writes_and_the_next_takes_over_without_an_extra_write() {
    let nodes = Nodes::start(2);
    let zone = Zone::new();
    let provider = zone.provider(&nodes, "cloudflare");
    let mut hosts = Hosts::start(nodes, |_, plan| Plan { provider: provider.clone(), ..plan });
    let all: BTreeSet<IpAddr> = hosts.nodes.addresses().into_iter().collect();
    until("the records stand", || (zone.addresses() == all).then_some(()));
    until("one host has published, and the others are on standby", || {
        let status = |host: usize| hosts.host(host).json("/api/v1/status")["providers"][1].clone();
        let is_writer = status(0)["published"].is_u64();
        (is_writer && status(1)["standby"] == true && status(2)["standby"] == true).then_some(())
    });
    let writes = zone.writes();
    drop(hosts.running[0].take());
    until("the next one has looked at what stands", || {
        let status = hosts.host(1).json("/api/v1/status");
        (status["hosts"]["writer"] == "dns-1" && status["providers"][1]["published"].is_u64()).then_some(())
    });
    assert_eq!((zone.writes(), zone.addresses()), (writes, all.clone()), "nothing was to be written");
    until("the third one says who writes", || {
        let shown = output(&["status", "--api", &hosts.host(2).api()]);
        (shown.contains("writer dns-1") && shown.contains("provider cloudflare: standby")).then_some(())
    });

    hosts.nodes.set(0, Behaviour::Dead);
    let left = BTreeSet::from([hosts.nodes.addresses()[1]]);
    until("the new writer takes the dead node out", || (zone.addresses() == left).then_some(()));
}

#[test]
fn a_host_without_the_provider_is_passed_over() {
    let nodes = Nodes::start(2);
    let zone = Zone::new();
    let provider = zone.provider(&nodes, "cloudflare");
    let with_provider = |host, plan: Plan| if host == 0 { plan } else { Plan { provider: provider.clone(), ..plan } };
    let hosts = Hosts::start(nodes, with_provider);
    let all: BTreeSet<IpAddr> = hosts.nodes.addresses().into_iter().collect();
    until("the records stand", || (zone.addresses() == all).then_some(()));
    assert_eq!(hosts.host(1).json("/api/v1/status")["hosts"]["writer"], "dns-1");
}

#[test]
fn a_host_that_is_killed_during_a_write_leaves_no_partial_write() {
    for fault in [Fault::StallBefore, Fault::StallAfter] {
        let nodes = Nodes::start(3);
        let zone = Zone::new();
        let provider = zone.provider(&nodes, "cloudflare");
        let mut hosts = Hosts::start(nodes, |_, plan| Plan { provider: provider.clone(), ..plan });
        let all = hosts.nodes.addresses();
        until("the records stand", || (zone.addresses() == all.iter().copied().collect()).then_some(()));
        // Two records are to be deleted; the writer is killed at the first.
        zone.cloudflare.inject(fault, RequestMatcher::method("DELETE"));
        hosts.nodes.set(0, Behaviour::Dead);
        hosts.nodes.set(1, Behaviour::Dead);
        let of_writes = || zone.cloudflare.calls().iter().filter(|call| call.method == "DELETE").count();
        until("the writer is in the middle of it", || (of_writes() > 0).then_some(()));
        drop(hosts.running[0].take());
        let left = BTreeSet::from([all[2]]);
        until("the next one has ended it", || (zone.addresses() == left).then_some(()));
        until("it says so", || {
            let status = hosts.host(1).json("/api/v1/status");
            (status["hosts"]["writer"] == "dns-1" && is_published(&status)).then_some(())
        });
    }
}

#[test]
fn a_foreign_datagram_is_counted_and_never_answered() {
    let hosts = Hosts::start(Nodes::start(1), |_, plan| plan);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = SocketAddr::new(hosts.gossip[0], 7946);
    let forged = [&[1_u8][..], &[0; 200]].concat();
    for datagram in [&b""[..], b"hello", &[255; 100], &forged] {
        socket.send_to(datagram, to).unwrap();
    }
    until("all of it is counted", || {
        let metrics = hosts.host(0).get("/metrics").1;
        let counted = |reason: &str| metrics.contains(&format!("daymark_gossip_rejected_total{{reason=\"{reason}\"}}"));
        ["tooShort", "unknownVersion", "unknownKey"].iter().all(|reason| counted(reason)).then_some(())
    });
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.recv(&mut [0; 2_000]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn hosts_with_different_configurations_both_report_a_mismatch() {
    let other = |host, plan| if host == 2 { Plan { rise: 3, ..plan } } else { plan };
    let hosts = Hosts::start(Nodes::start(2), other);
    for (host, of) in [(0, 2), (2, 0)] {
        let expected = format!("host dns-{of}: its configuration of lb.kube-cp.com differs from this host's");
        until(&expected, || {
            let alarms = hosts.host(host).json("/api/v1/status")["alarms"].to_string();
            alarms.contains(&expected).then_some(())
        });
        hosts.host(host).logs(&expected);
    }
    let alarms = hosts.host(0).json("/api/v1/status")["alarms"].to_string();
    assert!(!alarms.contains("dns-1"), "{alarms}");
}

#[test]
fn hosts_with_different_keys_of_a_signed_zone_report_a_mismatch_until_the_keys_are_the_same() {
    let keys = tempfile::tempdir().unwrap();
    let path = |host: usize| keys.path().join(format!("{host}.pem")).display().to_string();
    for host in 0..3 {
        output(&["dnskey", "generate", POOL, "--out", &path(host)]);
    }
    std::fs::copy(path(0), path(1)).unwrap();
    let signed =
        |host, plan: Plan| Plan { provider: format!("    dnssec: {{keys: [{{file: {}}}]}}", path(host)), ..plan };
    let hosts = Hosts::start(Nodes::start(1), signed);
    let expected = "host dns-2: its configuration of lb.kube-cp.com differs from this host's";
    let alarms = || hosts.host(0).json("/api/v1/status")["alarms"].to_string();
    until(expected, || alarms().contains(expected).then_some(()));
    assert!(!alarms().contains("dns-1"), "{}", alarms());
    std::fs::copy(path(0), path(2)).unwrap();
    until("the keys are the same", || (!alarms().contains(expected)).then_some(()));
}

/// Starts three hosts; `peers` makes the section `peers` of each.
fn mistaken(peers: impl Fn(usize, String) -> String) -> Hosts {
    let nodes = Nodes::start(1);
    output(&["keygen", "--out", nodes.path("gossip.key").to_str().unwrap()]);
    output(&["keygen", "--out", nodes.path("other.key").to_str().unwrap()]);
    let mut hosts = Hosts { gossip: addresses(3), nodes, running: Vec::new() };
    for host in 0..3 {
        let config = hosts.nodes.path(&format!("host-{host}.yaml"));
        write(&config, &Plan { state: format!("state-{host}"), ..hosts.nodes.plan() });
        let text = std::fs::read_to_string(&config).unwrap() + &peers(host, hosts.peers(host));
        std::fs::write(&config, text).unwrap();
        hosts.running.push(Some(Daymark::run(&config)));
    }
    hosts
}

impl Hosts {
    /// Waits until a host reports this in its log, its status and a metric.
    fn reports_mismatch(&self, host: usize, of: usize, label: &str, message: &str) {
        let daymark = self.host(host);
        until(message, || {
            let alarms = daymark.json("/api/v1/status")["alarms"].to_string();
            let metric = format!("daymark_peer_mismatch{{peer=\"dns-{of}\",mismatch=\"{label}\"}} 1");
            (alarms.contains(message) && daymark.get("/metrics").1.contains(&metric)).then_some(())
        });
        assert_eq!(daymark.log().matches(message).count(), 1, "{}", daymark.log());
    }
}

#[test]
fn another_key_and_another_cluster_are_reported_with_the_host() {
    let hosts = mistaken(|host, peers| match host {
        1 => peers.replace("gossip.key", "other.key"),
        2 => peers.replace("self:", "cluster: other, self:"),
        _ => peers,
    });
    hosts.reports_mismatch(0, 1, "key", "host dns-1: its datagrams are sealed with a key that is not in the key");
    hosts.reports_mismatch(0, 2, "addressee", "host dns-2: its datagrams are for another cluster or");
    hosts.reports_mismatch(1, 0, "key", "host dns-0: its datagrams are sealed with a key that is not in the key");
    let events = output(&["events", "--api", &hosts.host(0).api()]);
    assert!(events.contains("host dns-1: its datagrams are sealed with a key"), "{events}");
    // The key file is corrected on the host with the wrong one.
    std::fs::copy(hosts.nodes.path("gossip.key"), hosts.nodes.path("other.key")).unwrap();
    hosts.host(0).logs("resolved: host dns-1: its datagrams are sealed");
    until("no alarm is of dns-1", || {
        let alarms = hosts.host(0).json("/api/v1/status")["alarms"].to_string();
        (!alarms.contains("dns-1")).then_some(())
    });
}

#[test]
fn two_hosts_with_one_name_are_reported_by_the_third_and_by_the_wrong_one() {
    let hosts = mistaken(|host, peers| if host == 2 { peers.replace("self: dns-2", "self: dns-1") } else { peers });
    hosts.reports_mismatch(0, 2, "name", "host dns-2: the host at its address calls itself dns-1");
    hosts.reports_mismatch(2, 0, "addressee", "host dns-0: its datagrams are for another cluster or another");
}

#[test]
fn a_host_with_the_name_of_another_reports_the_conflict() {
    let hosts = mistaken(|host, peers| if host == 1 { peers.replace("self: dns-1", "self: dns-0") } else { peers });
    hosts.reports_mismatch(
        1,
        0,
        "identityConflict",
        "host dns-0: another host has this host's name or sends from its address",
    );
}

#[test]
fn other_members_are_reported_by_name() {
    let hosts = mistaken(|host, peers| if host == 2 { peers.replace("name: dns-1", "name: dns-9") } else { peers });
    hosts.reports_mismatch(
        0,
        2,
        "members",
        "host dns-2: its list of `members` differs from this host's: without dns-1, and with dns-9",
    );
    hosts.reports_mismatch(
        2,
        0,
        "members",
        "host dns-0: its list of `members` differs from this host's: without dns-9, and with dns-1",
    );
    hosts.reports_mismatch(2, 1, "unknownPeer", "host dns-1: it sends datagrams, but it is not a member here");
}

#[test]
fn an_unresolvable_name_is_reported_once() {
    let mut hosts = Hosts { gossip: addresses(3), nodes: Nodes::start(1), running: Vec::new() };
    output(&["keygen", "--out", hosts.nodes.path("gossip.key").to_str().unwrap()]);
    let config = hosts.nodes.path("host-0.yaml");
    write(&config, &hosts.nodes.plan());
    let peers = hosts.peers(0).replace(&format!("{}:7946", hosts.gossip[1]), "dns-1.invalid:7946");
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap() + &peers).unwrap();
    hosts.running.push(Some(Daymark::run(&config)));
    hosts.reports_mismatch(0, 1, "unresolved", "host dns-1: dns-1.invalid does not resolve (no such name)");
}

#[test]
fn a_gossip_key_that_broke_while_daymark_ran_does_not_take_dns_down_at_a_restart() {
    let mut hosts = Hosts::start(Nodes::start(2), |_, plan| plan);
    let all = hosts.nodes.addresses();
    hosts.all_answer(&all);
    let key = std::fs::read(hosts.nodes.path("gossip.key")).unwrap();
    std::fs::write(hosts.nodes.path("gossip.key"), "garbage").unwrap();
    hosts.running[0].take().unwrap().kill();
    hosts.running[0] = Some(Daymark::run(&hosts.nodes.path("host-0.yaml")));
    let host = hosts.host(0);
    assert_eq!(look_up(host.dns), all.iter().copied().collect(), "it serves the answer from before the restart");
    host.logs("Daymark goes on without this file, because it has run here before");
    let alarms = || host.json("/api/v1/status")["alarms"].to_string();
    until("an alarm", || alarms().contains("the file of the gossip keys cannot be used").then_some(()));
    std::fs::write(hosts.nodes.path("gossip.key"), key).unwrap();
    hosts.until_all_are_reachable();
    hosts.all_answer(&all);
}

#[test]
fn every_host_tells_on_which_host_a_drain_is_not_saved() {
    let hosts = Hosts::start(Nodes::start(2), |_, plan| plan);
    let all = hosts.nodes.addresses();
    hosts.all_answer(&all);
    let blocked = hosts.nodes.path("state-1/state.json.new");
    std::fs::create_dir(&blocked).unwrap();
    hosts.send_override(0, &["drain", "cp-1"]);
    hosts.all_answer(&all[1..]);
    let alarm = "host dns-1: the overrides of cp-1 (lb.kube-cp.com) are active, but not saved there";
    let alarms = |host: usize| hosts.host(host).json("/api/v1/status")["alarms"].to_string();
    for host in [0, 2] {
        until("the alarm of another host", || alarms(host).contains(alarm).then_some(()));
    }
    assert!(alarms(1).contains("are active, but not saved on this host"), "{}", alarms(1));
    std::fs::remove_dir(&blocked).unwrap();
    until("no alarm is left", || (0..3).all(|host| !alarms(host).contains("not saved")).then_some(()));
}
