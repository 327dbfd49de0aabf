//! Answers of both address families, and the answer when no node is usable.

use std::fs;
use std::net::IpAddr;

use daymark_fake_apiserver::Behaviour;

use crate::support::dns::{A, AAAA, all_find, ask, short};
use crate::support::nodes::{Nodes, addresses};
use crate::support::{Daymark, POOL, addresses_in, daymark, finish, output, until};

#[test]
fn a_dual_stack_node_is_in_both_answers_and_each_address_has_its_own_verdict() {
    let (v6, v4): (IpAddr, _) = ("::1".parse().unwrap(), addresses(2));
    if std::net::TcpListener::bind((v6, 0)).is_err() {
        return eprintln!("skipped: this host has no IPv6");
    }
    let nodes = Nodes::at(&[v4[0], v4[1], v6]);
    let mut plan = nodes.plan();
    plan.nodes.pop();
    plan.nodes[0].1 = format!("\"{}\", \"{v6}\"", v4[0]);
    let daymark = Daymark::run(&nodes.write(&plan));
    daymark.answers(&[v4[0], v4[1], v6], "ready");
    all_find(daymark.dns, &v4);
    for tool in ["dig", "kdig"] {
        assert_eq!(short(tool, daymark.dns, &[POOL, "AAAA"]), ["::1"]);
    }

    nodes.set(2, Behaviour::Dead);
    daymark.answers(&[v4[0], v4[1], v6], "lastKnownGood");
    assert_eq!(daymark.pool()["bases"], serde_json::json!({"ipv4": "ready", "ipv6": "lastKnownGood"}));
    assert_eq!(ask(daymark.dns, POOL, AAAA).unwrap().addresses, [v6], "no family is emptied");
    let status = finish(&mut self::daymark(&["status", "--api", &daymark.api()]));
    assert!(
        status.stdout.contains("lb.kube-cp.com, IPv6: no target is usable, so the last good answer stands"),
        "{}",
        status.stdout
    );
    assert!(status.stdout.contains("(IPv4 ready, IPv6 last known good)"), "{}", status.stdout);
    assert_eq!(ask(daymark.dns, POOL, A).unwrap().addresses.len(), 2);
    nodes.set(2, Behaviour::Ready);
    daymark.answers(&[v4[0], v4[1], v6], "ready");
    assert_eq!(short("kdig", daymark.dns, &[POOL, "AAAA", "+tcp"]), ["::1"]);
}

#[test]
fn the_last_good_answer_stays_with_an_alarm_when_every_node_is_dead() {
    let nodes = Nodes::start(3);
    let all = nodes.addresses();
    let running = Daymark::run(&nodes.write(&nodes.plan()));
    running.answers(&all, "ready");
    nodes.set(0, Behaviour::Dead);
    running.answers(&all[1..], "ready");
    nodes.set(1, Behaviour::NotReady { failing: vec!["etcd".to_owned()] });
    running.answers(&all[2..], "ready");
    nodes.set(2, Behaviour::NotReady { failing: vec!["etcd".to_owned()] });
    running.answers(&all[1..], "live");
    nodes.set(1, Behaviour::Dead);
    nodes.set(2, Behaviour::Dead);
    until("the last good answer stands", || (running.pool()["basis"] == "lastKnownGood").then_some(()));
    // Nodes that left shortly before the last one may be among them, since a total outage is noticed target by target.
    let kept = addresses_in(&running.pool()["addresses"]);
    assert!(all[1..].iter().all(|address| kept.contains(address)), "{kept:?}");
    let kept: Vec<IpAddr> = kept.into_iter().collect();
    running.answers(&kept, "lastKnownGood");
    all_find(running.dns, &kept);

    let status = finish(&mut daymark(&["status", "--api", &running.api()]));
    let alarm = format!("ALARM: {POOL}: no target is usable, so the last good answer stands\n");
    assert!(status.stdout.ends_with(&alarm), "{}", status.stdout);
    let (_, metrics) = running.get("/metrics");
    assert!(
        metrics
            .contains(&format!("\ndaymark_pool_basis{{pool=\"{POOL}\",family=\"ipv4\",basis=\"lastKnownGood\"}} 1\n")),
        "{metrics}"
    );
    assert_eq!(running.get("/readyz").0, 200, "it still serves, and a restart would not help");

    nodes.set(1, Behaviour::Ready);
    running.answers(&all[1..2], "ready");
    let (_, metrics) = running.get("/metrics");
    assert!(
        metrics
            .contains(&format!("\ndaymark_pool_basis{{pool=\"{POOL}\",family=\"ipv4\",basis=\"lastKnownGood\"}} 0\n")),
        "{metrics}"
    );
}

#[test]
fn before_there_is_a_ca_the_name_resolves_to_every_node_and_probing_begins_with_the_file() {
    let nodes = Nodes::start(2);
    let ca = nodes.path("ca.crt");
    let later = nodes.path("later.crt");
    fs::rename(&ca, &later).unwrap();
    let config = nodes.write(&nodes.plan());
    let check = finish(&mut daymark(&["check", "-c", config.to_str().unwrap()]));
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    assert!(check.stdout.contains("does not exist yet, so no node can be probed"), "{}", check.stdout);
    let daymark = Daymark::run(&config);
    daymark.answers(&nodes.addresses(), "bootstrap");
    all_find(daymark.dns, &nodes.addresses());
    let reason = format!("not probed, because of an error on this host: CA file: {} does not exist", ca.display());
    until("the status has the reason", || output(&["status", "--api", &daymark.api()]).contains(&reason).then_some(()));
    fs::rename(&later, &ca).unwrap();
    daymark.answers(&nodes.addresses(), "ready");
}

#[test]
fn before_any_node_was_ready_the_name_resolves_to_every_node() {
    let nodes = Nodes::start(2);
    nodes.set(0, Behaviour::Dead);
    nodes.set(1, Behaviour::Dead);
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    daymark.answers(&nodes.addresses(), "bootstrap");
    all_find(daymark.dns, &nodes.addresses());
    nodes.set(1, Behaviour::Ready);
    daymark.answers(&nodes.addresses()[1..], "ready");
}
