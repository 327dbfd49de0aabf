//! Files that broke while Daymark ran, and a restart: the last good configuration and zone file are used.

use std::fs;
use std::path::Path;

use daymark_fake_apiserver::Behaviour;

use crate::support::dns::{look_up, short};
use crate::support::nodes::{Nodes, Plan};
use crate::support::{Daymark, POOL, daymark, finish, until};

const RECORDS: &str = "$TTL 300\nwww IN A 192.0.2.80\n$INCLUDE parts.zone\n";

fn in_parent_zone(nodes: &Nodes) -> Plan {
    Plan { provider: "    zone: kube-cp.com\n    zoneFile: kube-cp.com.zone".to_owned(), ..nodes.plan() }
}

/// Waits until the configuration of this text is kept in the state directory.
fn until_kept(nodes: &Nodes, text: &str) {
    until("the configuration is kept", || {
        fs::read_to_string(nodes.path("state/configuration.json")).ok().filter(|kept| kept.contains(text))
    });
}

fn refused(host: &Daymark) -> bool {
    host.get("/metrics").1.contains("\ndaymark_config_refused 1\n")
}

fn alarms(host: &Daymark) -> String {
    host.json("/api/v1/status")["alarms"].to_string()
}

/// Breaks the configuration, or deletes it for `None`, restarts Daymark in this environment, and mends it again.
fn restarts_with_a_broken_configuration(broken: Option<&str>, environment: impl Fn(&Nodes) -> Option<String>) {
    let nodes = Nodes::start(2);
    let config = nodes.write(&nodes.plan());
    let good = fs::read_to_string(&config).unwrap();
    let former = Daymark::run(&config);
    former.answers(&nodes.addresses(), "ready");
    nodes.set(0, Behaviour::Dead);
    former.answers(&nodes.addresses()[1..], "ready");
    until_kept(&nodes, POOL);
    match broken {
        Some(broken) => fs::write(&config, broken.replace("GOOD", &good)).unwrap(),
        None => fs::remove_file(&config).unwrap(),
    }
    former.kill();

    let checked = finish(daymark(&["check", "-c"]).arg(&config));
    assert_eq!(checked.code, Some(2), "check refuses it: {}", checked.stdout);
    let mut command = daymark(&["run", "-c", config.to_str().unwrap()]);
    if let Some(directories) = environment(&nodes) {
        command.env("STATE_DIRECTORY", directories);
    }
    let restarted = Daymark::start(&mut command);
    assert_eq!(look_up(restarted.dns), nodes.addresses()[1..].iter().copied().collect());
    restarted.logs("the new configuration is refused, and the old one stays");
    assert!(alarms(&restarted).contains("the new configuration is refused, and the old one stays: "));
    assert!(refused(&restarted));

    fs::write(&config, &good).unwrap();
    until("the mended file is in use", || (!refused(&restarted)).then_some(()));
    until("the alarm is over", || (!alarms(&restarted).contains("is refused, and the old one")).then_some(()));
    nodes.set(0, Behaviour::Ready);
    restarted.answers(&nodes.addresses(), "ready");
}

#[test]
fn a_configuration_with_an_error_is_replaced_by_the_last_good_one_at_a_restart() {
    restarts_with_a_broken_configuration(Some("GOODunknownKey: 1\n"), |_| None);
}

#[test]
fn a_configuration_of_garbage_is_replaced_by_the_last_good_one_in_the_directory_of_the_service() {
    restarts_with_a_broken_configuration(Some("pools: ["), |nodes| {
        Some(format!("/nonexistent:{}", nodes.path("state").display()))
    });
}

#[test]
fn a_configuration_that_is_missing_is_replaced_by_the_last_good_one_in_the_directory_of_the_service() {
    restarts_with_a_broken_configuration(None, |nodes| Some(nodes.path("state").display().to_string()));
}

#[test]
fn the_kept_configuration_of_another_file_is_not_used() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&nodes.plan());
    let former = Daymark::run(&config);
    former.answers(&nodes.addresses(), "ready");
    until_kept(&nodes, POOL);
    former.kill();
    let other = nodes.path("other.yaml");
    let run = |path: &Path| finish(daymark(&["run", "-c"]).arg(path).env("STATE_DIRECTORY", nodes.path("state")));
    fs::write(&other, "pools: [").unwrap();
    assert_eq!(run(&other).code, Some(2), "it has never run");
    fs::remove_file(&other).unwrap();
    let missing = run(&other);
    assert!(missing.code == Some(2) && missing.stderr.contains("cannot be read"), "{}", missing.stderr);
}

#[test]
fn a_zone_file_that_broke_is_replaced_by_the_last_good_one_at_a_restart() {
    let nodes = Nodes::start(1);
    let zone = nodes.path("kube-cp.com.zone");
    let config = nodes.write(&in_parent_zone(&nodes));
    fs::write(&zone, RECORDS).unwrap();
    fs::write(nodes.path("parts.zone"), "a IN A 192.0.2.1\n").unwrap();
    let mut host = Daymark::run(&config);
    until_kept(&nodes, "192.0.2.1");
    fs::write(nodes.path("parts.zone"), "a IN A 192.0.2.2\n").unwrap();
    until_kept(&nodes, "192.0.2.2");
    for broken in ["www IN A\n", "$INCLUDE nothing.zone\n"] {
        host.kill();
        fs::write(&zone, broken).unwrap();
        let checked = finish(daymark(&["check", "-c"]).arg(&config));
        assert_eq!(checked.code, Some(2), "check refuses it: {}", checked.stdout);
        host = Daymark::run(&config);
        assert_eq!(short("dig", host.dns, &["www.kube-cp.com", "A"]), ["192.0.2.80"]);
        assert_eq!(short("dig", host.dns, &["a.kube-cp.com", "A"]), ["192.0.2.2"], "included files are kept too");
        assert!(alarms(&host).contains("providers[0].zoneFile: "), "{}", alarms(&host));
    }
    fs::write(&zone, RECORDS.replace("192.0.2.80", "192.0.2.81")).unwrap();
    until("the mended file is served", || {
        (short("dig", host.dns, &["www.kube-cp.com", "A"]) == ["192.0.2.81"]).then_some(())
    });
    until("nothing is refused any more", || (!refused(&host)).then_some(()));
}

#[test]
fn a_ca_that_broke_does_not_take_down_a_start_by_flags() {
    let nodes = Nodes::start(1);
    let run = || {
        let node = format!("cp-1={}", nodes.addresses()[0]);
        let pool = format!("{POOL}:{}", nodes.port());
        let mut command = daymark(&["run", "--pool", &pool, "--node", &node]);
        command.args(["--listen", "127.0.0.1:0", "--nameserver", "ns1.example.net", "--admin", "127.0.0.1:0"]);
        command.arg("--ca").arg(nodes.path("ca.crt")).arg("--state-dir").arg(nodes.path("state"));
        command
    };
    let ca = fs::read(nodes.path("ca.crt")).unwrap();
    fs::write(nodes.path("ca.crt"), "garbage").unwrap();
    assert_eq!(finish(&mut run()).code, Some(2), "a mistake of a first start is refused");

    fs::write(nodes.path("ca.crt"), &ca).unwrap();
    let former = Daymark::start(&mut run());
    former.answers(&nodes.addresses(), "ready");
    former.kill();
    fs::write(nodes.path("ca.crt"), "garbage").unwrap();
    let restarted = Daymark::start(&mut run());
    assert_eq!(look_up(restarted.dns), nodes.addresses().into_iter().collect());
    fs::write(nodes.path("ca.crt"), &ca).unwrap();
    restarted.answers(&nodes.addresses(), "ready");
}

/// Replaces a part of the configuration by one that a reload refuses, restarts Daymark, and expects the former one.
fn restarts_with_the_former_configuration(
    nodes: &Nodes,
    good: &Plan,
    former: &str,
    newest: &str,
    alarm: &str,
) -> Daymark {
    let config = nodes.write(good);
    let first = Daymark::run(&config);
    first.answers(&nodes.addresses(), "ready");
    until_kept(nodes, former);
    fs::write(&config, good.to_string().replace(former, newest)).unwrap();
    first.kill();
    let restarted = Daymark::run(&config);
    assert!(refused(&restarted), "{}", restarted.log());
    assert!(alarms(&restarted).contains(alarm), "{}", alarms(&restarted));
    nodes.set(0, Behaviour::Dead);
    restarted.answers(&nodes.addresses()[1..], "ready");
    let kept = fs::read_to_string(nodes.path("state/configuration.json")).unwrap();
    assert!(kept.contains(former), "only a good one is kept: {kept}");
    restarted
}

#[test]
fn a_new_zone_file_that_was_never_good_leaves_the_last_good_configuration_at_a_restart() {
    let nodes = Nodes::start(2);
    fs::write(nodes.path("kube-cp.com.zone"), RECORDS.replace("$INCLUDE parts.zone\n", "")).unwrap();
    fs::write(nodes.path("new.zone"), "www IN A\n").unwrap();
    let good = in_parent_zone(&nodes);
    let former = "zoneFile: kube-cp.com.zone";
    let alarm = "providers[0].zoneFile: ";
    let host = restarts_with_the_former_configuration(&nodes, &good, former, "zoneFile: new.zone", alarm);
    fs::write(nodes.path("new.zone"), "$TTL 300\nwww IN A 192.0.2.81\n").unwrap();
    until("the mended file is served", || {
        (short("dig", host.dns, &["www.kube-cp.com", "A"]) == ["192.0.2.81"]).then_some(())
    });
}

#[test]
fn a_new_ca_that_was_never_good_leaves_the_last_good_configuration_at_a_restart() {
    let nodes = Nodes::start(2);
    restarts_with_the_former_configuration(&nodes, &nodes.plan(), "ca: ca.crt", "ca: new.crt", "pools[0].probe.ca: ");
}
