//! Files whose reads block or that are far too large: neither DNS, nor probing, nor a reload waits for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use daymark_fake_apiserver::Behaviour;

use crate::support::dns::look_up;
use crate::support::nodes::Nodes;
use crate::support::{BINARY, Daymark, POOL, daymark, finish, http, until};

/// Puts a pipe without a writer in place of a file. Opening it blocks, as on a disk that does not answer.
fn block(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn files_that_block_stop_neither_dns_nor_probing_nor_the_api() {
    let nodes = Nodes::start(2);
    let config = nodes.write(&nodes.plan());
    let daymark = Daymark::run(&config);
    daymark.answers(&nodes.addresses(), "ready");
    let token = nodes.token();
    for name in ["ca.crt", "state/admin.token", "state/state.json", "daymark.yaml"] {
        block(&nodes.path(name));
    }
    nodes.set(0, Behaviour::Dead);
    until("the answer follows", || (look_up(daymark.dns).len() == 1).then_some(()));
    nodes.set(0, Behaviour::Ready);
    daymark.answers(&nodes.addresses(), "ready");
    let path = format!("/api/v1/pools/{POOL}/nodes/cp-1/override");
    let (code, body) = http(daymark.admin, "PUT", &path, Some(&token), r#"{"kind": "drain"}"#);
    assert_eq!(code, 200, "the last good token is in use: {body}");
    until("the answer follows", || (look_up(daymark.dns).len() == 1).then_some(()));
    let alarms = daymark.json("/api/v1/status")["alarms"].to_string();
    for alarm in ["ca.crt is not a regular file", "admin.token is not a regular file"] {
        assert!(alarms.contains(alarm), "{alarm} is missing in {alarms}");
    }
    assert_eq!(daymark.get("/livez").0, 200);
}

#[test]
fn a_ca_file_of_garbage_is_an_alarm_and_is_not_read_at_each_probe() {
    let nodes = Nodes::start(1);
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    daymark.answers(&nodes.addresses(), "ready");
    let garbage = fs::File::create(nodes.path("ca.crt")).unwrap();
    garbage.set_len(135_000_000).unwrap();
    daymark.logs("ca.crt is larger than 4 MiB; a smaller file is needed");
    daymark.answers(&nodes.addresses(), "ready");
}

/// A user without a name, whose threads nobody else counts.
const USER: &str = "54321";

#[test]
fn a_host_that_gets_no_more_threads_serves_probes_and_saves() {
    let nodes = Nodes::start(2);
    let config = nodes.write(&nodes.plan());
    let as_user = |program: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", program]);
        command
    };
    if finish(as_user("true").arg("")).code != Some(0) {
        return eprintln!("skipped: this user may not become another one");
    }
    let dir = nodes.path("");
    assert!(Command::new("chown").args(["-R", USER]).arg(dir).status().unwrap().success());
    let daymark = Daymark::start(as_user(BINARY).args(["run", "-c"]).arg(&config));
    daymark.answers(&nodes.addresses(), "ready");
    let pid = daymark.process.0.id().to_string();
    assert!(as_user("prlimit").args(["--pid", &pid, "--nproc=1:1"]).status().unwrap().success());

    let ca = fs::read(nodes.path("ca.crt")).unwrap();
    fs::write(nodes.path("ca.crt"), [ca.as_slice(), b"\n"].concat()).unwrap();
    nodes.set(0, Behaviour::Dead);
    until("the answer follows", || (look_up(daymark.dns).len() == 1).then_some(()));
    nodes.set(0, Behaviour::Ready);
    daymark.answers(&nodes.addresses(), "ready");
    let path = format!("/api/v1/pools/{POOL}/nodes/cp-1/override");
    let (code, body) = http(daymark.admin, "PUT", &path, Some(&nodes.token()), r#"{"kind": "drain"}"#);
    assert!(code == 200 && body.starts_with("{\"saved\":true,"), "{body}");
    daymark.process.signal("HUP");
    daymark.logs("Resource temporarily unavailable");
    assert_eq!(daymark.get("/livez").0, 200);
    assert_eq!(look_up(daymark.dns).len(), 1);
}

#[test]
fn a_ca_that_broke_while_daymark_ran_does_not_take_dns_down_at_a_restart() {
    let nodes = Nodes::start(2);
    let config = nodes.write(&nodes.plan());
    let ca = fs::read(nodes.path("ca.crt")).unwrap();
    let never_run = finish(daymark(&["run", "-c"]).arg({
        fs::write(nodes.path("ca.crt"), "garbage").unwrap();
        &config
    }));
    assert_eq!(never_run.code, Some(2), "a mistake of a new configuration is refused: {}", never_run.stderr);

    fs::write(nodes.path("ca.crt"), &ca).unwrap();
    let former = Daymark::run(&config);
    former.answers(&nodes.addresses(), "ready");
    nodes.set(0, Behaviour::Dead);
    former.answers(&nodes.addresses()[1..], "ready");
    fs::write(nodes.path("ca.crt"), "garbage").unwrap();
    former.kill();

    let restarted = Daymark::run(&config);
    assert_eq!(look_up(restarted.dns), nodes.addresses()[1..].iter().copied().collect());
    restarted.logs("Daymark goes on without this file, because it has run here before");
    let alarms = || restarted.json("/api/v1/status")["alarms"].to_string();
    until("an alarm", || alarms().contains("cannot be probed because of an error on this host").then_some(()));
    assert!(alarms().contains("ca.crt"), "{}", alarms());
    fs::write(nodes.path("ca.crt"), &ca).unwrap();
    nodes.set(0, Behaviour::Ready);
    restarted.answers(&nodes.addresses(), "ready");
}
