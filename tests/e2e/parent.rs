//! A parent zone serves static records beside the pools.

use std::fs;

use daymark_fake_apiserver::Behaviour;

use crate::support::dns::{all_find, short};
use crate::support::nodes::{Nodes, Plan};
use crate::support::{Daymark, Finished, POOL, daymark, finish, until};

const RECORDS: &str = "$TTL 300\n@ IN MX 10 mail.example.net.\nwww IN A 192.0.2.80\nstatus IN CNAME lb\n";

fn plan(nodes: &Nodes) -> Plan {
    Plan { provider: "    zone: kube-cp.com\n    zoneFile: kube-cp.com.zone".to_owned(), ..nodes.plan() }
}

fn serial(daymark: &Daymark) -> u32 {
    let soa = short("dig", daymark.dns, &["kube-cp.com", "SOA"]);
    soa[0].split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn static_records_are_served_beside_the_pool_and_a_changed_zone_file_after_a_reload() {
    let nodes = Nodes::start(2);
    let all = nodes.addresses();
    let zone = nodes.path("kube-cp.com.zone");
    fs::write(&zone, RECORDS).unwrap();
    let daymark = Daymark::run(&nodes.write(&plan(&nodes)));
    daymark.answers(&all, "ready");
    all_find(daymark.dns, &all);
    for tool in ["dig", "kdig"] {
        assert_eq!(short(tool, daymark.dns, &["www.kube-cp.com", "A"]), ["192.0.2.80"]);
        assert_eq!(short(tool, daymark.dns, &["kube-cp.com", "MX", "+tcp"]), ["10 mail.example.net."]);
        let alias = short(tool, daymark.dns, &["status.kube-cp.com", "A"]);
        assert_eq!((alias[0].as_str(), alias.len()), ("lb.kube-cp.com.", 3), "the alias leads to the pool: {alias:?}");
    }
    let first = serial(&daymark);

    fs::write(&zone, RECORDS.replace("192.0.2.80", "192.0.2.81")).unwrap();
    daymark.process.signal("HUP");
    until("the new record is served", || {
        (short("kdig", daymark.dns, &["www.kube-cp.com", "A"]) == ["192.0.2.81"]).then_some(())
    });
    until("the serial has risen", || (serial(&daymark) > first).then_some(()));
    let second = serial(&daymark);

    fs::write(&zone, RECORDS.replace("192.0.2.80", "192.0.2.82")).unwrap();
    until("a changed zone file is seen without a signal", || {
        (short("dig", daymark.dns, &["www.kube-cp.com", "A"]) == ["192.0.2.82"]).then_some(())
    });
    until("the serial has risen", || (serial(&daymark) > second).then_some(()));

    nodes.set(0, Behaviour::Dead);
    daymark.answers(&all[1..], "ready");
    all_find(daymark.dns, &all[1..]);
}

#[test]
fn the_serial_goes_on_from_that_of_the_zone_file_over_edits_and_the_loss_of_the_state() {
    let is_greater = |one: u32, other: u32| one != other && one.wrapping_sub(other) < 1 << 31;
    let nodes = Nodes::start(1);
    let zone = nodes.path("kube-cp.com.zone");
    let write = |serial: u32| {
        let soa = format!("@ 3600 IN SOA ns1.kube-cp.com. admin.kube-cp.com. {serial} 7200 900 1209600 300\n");
        fs::write(&zone, format!("{soa}{RECORDS}")).unwrap();
    };
    write(2_026_112_901);
    let config = nodes.write(&plan(&nodes));
    let daymark = Daymark::run(&config);
    daymark.answers(&nodes.addresses(), "ready");
    let first = serial(&daymark);

    write(2_026_113_001);
    daymark.process.signal("HUP");
    let edited = until("the serial of the edited file", || Some(serial(&daymark)).filter(|now| *now != first));
    assert!(is_greater(edited, first), "{edited} follows {first}");
    assert_eq!(short("dig", daymark.dns, &["kube-cp.com", "SOA"])[0].split(' ').next_back(), Some("300"));

    drop(daymark);
    fs::remove_dir_all(nodes.path("state")).unwrap();
    let daymark = Daymark::run(&config);
    daymark.answers(&nodes.addresses(), "ready");
    let forgotten = serial(&daymark);
    assert!(is_greater(forgotten, edited), "{forgotten} follows {edited}");
}

#[test]
fn a_change_of_an_included_zone_file_is_noticed() {
    let nodes = Nodes::start(1);
    let write = |name: &str, text: &str| fs::write(nodes.path(name), text).unwrap();
    fs::create_dir(nodes.path("parts")).unwrap();
    write("kube-cp.com.zone", &format!("{RECORDS}$INCLUDE parts/one.zone ; and what is in there\n"));
    write("parts/one.zone", "$INCLUDE two.zone\n");
    write("parts/two.zone", "a IN A 192.0.2.1\n");
    let daymark = Daymark::run(&nodes.write(&plan(&nodes)));
    let serves = |name: &str, address: &str| {
        until("the record is served", || (short("dig", daymark.dns, &[name, "A"]) == [address]).then_some(()));
    };
    serves("a.kube-cp.com", "192.0.2.1");
    write("parts/two.zone", "a IN A 192.0.2.2\n");
    serves("a.kube-cp.com", "192.0.2.2");
    write("parts/one.zone", "b IN A 192.0.2.3\n$INCLUDE three.zone\n");
    daymark.logs("the new configuration is refused, and the old one stays");
    write("parts/three.zone", "c IN A 192.0.2.4\n");
    serves("c.kube-cp.com", "192.0.2.4");
}

#[test]
fn an_invalid_zone_file_is_refused_and_the_old_records_stay() {
    let nodes = Nodes::start(1);
    let zone = nodes.path("kube-cp.com.zone");
    fs::write(&zone, RECORDS).unwrap();
    let daymark = Daymark::run(&nodes.write(&plan(&nodes)));
    fs::write(&zone, format!("{RECORDS}{POOL}. IN A 192.0.2.99\n")).unwrap();
    daymark.process.signal("HUP");
    daymark.logs("the new configuration is refused, and the old one stays");
    let fault = until("the log has the error", || {
        daymark.log().lines().find(|line| line.contains("ERROR") && line.contains(POOL)).map(str::to_owned)
    });
    assert!(fault.contains("daymark.yaml:") && fault.contains(": providers[0].zoneFile: "), "{fault}");
    daymark.answers(&nodes.addresses(), "ready");
    all_find(daymark.dns, &nodes.addresses());
    assert_eq!(short("dig", daymark.dns, &["www.kube-cp.com", "A"]), ["192.0.2.80"]);
}

#[test]
fn a_zone_file_of_a_refused_configuration_is_read_again_once_it_is_corrected() {
    let nodes = Nodes::start(1);
    let zone = nodes.path("kube-cp.com.zone");
    let other = nodes.path("other.zone");
    fs::write(&zone, RECORDS).unwrap();
    fs::write(&other, format!("{RECORDS}{POOL}. IN A 192.0.2.99\n")).unwrap();
    let file = nodes.write(&plan(&nodes));
    let daymark = Daymark::run(&file);
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("kube-cp.com.zone", "other.zone")).unwrap();
    daymark.logs("the new configuration is refused, and the old one stays");
    fs::write(&other, RECORDS.replace("192.0.2.80", "192.0.2.81")).unwrap();
    until("the mended file is read", || {
        (short("dig", daymark.dns, &["www.kube-cp.com", "A"]) == ["192.0.2.81"]).then_some(())
    });
}

#[test]
fn check_warns_of_a_delegation_without_glue() {
    let nodes = Nodes::start(1);
    fs::write(nodes.path("kube-cp.com.zone"), format!("{RECORDS}sub NS ns.sub\n")).unwrap();
    let config = nodes.write(&plan(&nodes));
    let Finished { code, stdout, .. } = finish(&mut daymark(&["check", "--config", config.to_str().unwrap()]));
    let warning = stdout.lines().find(|line| line.starts_with("warning: ") && line.contains("zoneFile")).unwrap();
    let words =
        "providers[0].zoneFile: sub.kube-cp.com is delegated to ns.sub.kube-cp.com, which has no address in the zone";
    assert!(code == Some(0) && warning.contains(words), "{stdout}");
}
