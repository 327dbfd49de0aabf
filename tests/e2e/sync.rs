//! `daymark sync`: one pass against the fake of Cloudflare.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use daymark_fake_apiserver::Behaviour;
use daymark_fake_cloudflare::{Fault, RequestMatcher};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::support::nodes::{Plan, write};
use crate::support::zone::{Scene, Zone};
use crate::support::{Daymark, Finished, POOL, Process, daymark, finish, until};

impl Scene {
    /// A pass with time for everything, unless it is given less.
    fn sync(&self, arguments: &[&str]) -> Finished {
        let long: &[&str] = if arguments.contains(&"--deadline") { &[] } else { &["--deadline", "2m"] };
        sync(&self.config(), &[arguments, long].concat())
    }

    /// Someone changes the TTL of every record by hand.
    fn meddle(&self) {
        self.zone.store(|store| {
            let records = store.zones.get_mut(&self.zone.id).unwrap().records.values_mut();
            records.for_each(|record| record["ttl"] = 300.into());
        });
    }

    /// One pass that must go well and publish these nodes.
    fn publishes(&self, indices: &[usize]) -> Finished {
        let done = self.sync(&[]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert_eq!(self.zone.addresses(), self.of(indices));
        done
    }

    fn of(&self, indices: &[usize]) -> BTreeSet<IpAddr> {
        let all = self.nodes.addresses();
        indices.iter().map(|&index| all[index]).collect()
    }

    /// A pass that goes on until it is ended where a node does not answer; it has taken the lock when this returns.
    fn pass_that_hangs(&self) -> (Process, NamedTempFile) {
        let log = NamedTempFile::new().unwrap();
        let mut command = daymark(&["sync", "--deadline", "1h", "-c", self.config().to_str().unwrap()]);
        let process = Process::spawn(command.stdout(Stdio::null()).stderr(log.reopen().unwrap()));
        let lock = self.nodes.path("state/state.lock");
        let words = format!("process {} (daymark sync)", process.0.id());
        until("the pass has the lock", || (fs::read_to_string(&lock).ok()? == words).then_some(()));
        (process, log)
    }
}

fn sync(config: &Path, arguments: &[&str]) -> Finished {
    finish(daymark(&["sync", "-c", config.to_str().unwrap()]).args(arguments))
}

/// Every file below a directory with its content.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

#[test]
fn a_pass_says_what_it_changed_and_the_next_has_nothing_to_change() {
    let scene = Scene::new(3);
    scene.nodes.set(2, Behaviour::Dead);
    let done = scene.publishes(&[0, 1]);
    assert_eq!(done.stderr, "");
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", done.stdout);
    for (line, address) in lines.iter().zip(scene.nodes.addresses()) {
        let wanted = format!("cloudflare: {POOL}: add the record {POOL} A {address} (in: ready since ");
        assert!(line.starts_with(&wanted), "{line} begins with {wanted}");
    }
    let writes = scene.zone.writes();
    let again = scene.publishes(&[0, 1]);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("cloudflare: nothing to change\n", ""));
    assert_eq!(scene.zone.writes(), writes);

    scene.nodes.set(2, Behaviour::Ready);
    scene.nodes.set(0, Behaviour::ShuttingDown);
    let done = scene.publishes(&[1, 2]);
    assert!(done.stdout.contains("shutting down: the check `shutdown` fails)\n"), "{}", done.stdout);
}

#[test]
fn the_result_is_told_to_programs_too() {
    let scene = Scene::new(1);
    let done = scene.sync(&["-o", "json"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let provider = &report["providers"][0];
    assert_eq!((&provider["provider"], &provider["fault"]), (&"cloudflare".into(), &Value::Null));
    assert_eq!((&provider["edits"][0]["pool"], &provider["edits"][0]["method"]), (&POOL.into(), &"POST".into()));
    assert_eq!(report["unclear"], Value::Array(Vec::new()));
}

#[test]
fn an_answer_for_which_no_node_speaks_is_told_and_stands() {
    let scene = Scene::new(2);
    let all_fail = || (0..2).for_each(|index| scene.nodes.set(index, Behaviour::Dead));
    let alarm = |done: &Finished, fate: &str| {
        let wanted = format!("{POOL}: no target is ready or live, and {fate}");
        assert!(done.stderr.contains(&format!("{wanted}\n")), "{wanted} in {}", done.stderr);
        wanted
    };
    all_fail();
    alarm(&scene.publishes(&[0, 1]), "every node is answered until one is");
    scene.nodes.set(0, Behaviour::Ready);
    assert_eq!(scene.publishes(&[0]).stderr, "");
    all_fail();
    alarm(&scene.publishes(&[0]), "the last good answer is held");
    let done = scene.sync(&["-o", "json"]);
    let held = alarm(&done, "the last good answer is held");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &report["alarms"]), (Some(0), &serde_json::json!([held])));
}

#[test]
fn a_dry_run_prints_the_calls_and_writes_nothing() {
    let scene = Scene::new(2);
    let done = scene.sync(&["--dry-run"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("cloudflare: {POOL}: would add the record {POOL} A ")), "{}", done.stdout);
    assert_eq!(lines[1], format!("  POST /zones/{}/dns_records", scene.zone.id));
    let body: Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!((&body["name"], &body["content"]), (&POOL.into(), &scene.nodes.addresses()[0].to_string().into()));
    assert_eq!((lines.len(), scene.zone.writes()), (6, 0));
    assert!(!scene.nodes.path("state").exists());

    scene.publishes(&[0, 1]);
    let (before, writes) = (files(&scene.nodes.path("state")), scene.zone.writes());
    scene.nodes.set(1, Behaviour::Dead);
    let done = scene.sync(&["--dry-run", "-o", "json"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let edit = &report["providers"][0]["edits"][0];
    assert!(edit["path"].as_str().unwrap().starts_with(&format!("/zones/{}/dns_records/", scene.zone.id)), "{edit}");
    assert_eq!((&edit["method"], edit.get("body")), (&"DELETE".into(), None));
    assert!(edit["changes"][0].as_str().unwrap().contains("connection refused"), "{edit}");
    assert_eq!(scene.zone.writes(), writes);
    assert_eq!(files(&scene.nodes.path("state")), before);
}

#[test]
fn a_dry_run_does_not_even_set_a_torn_state_file_aside() {
    let scene = Scene::new(1);
    scene.publishes(&[0]);
    fs::write(scene.nodes.path("state/state.json"), "{").unwrap();
    let before = files(&scene.nodes.path("state"));
    let done = scene.sync(&["--dry-run"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("state.json is torn: "), "{}", done.stderr);
    assert_eq!(files(&scene.nodes.path("state")), before);
}

#[test]
fn of_two_passes_at_once_the_second_does_nothing() {
    let scene = Scene::new(2);
    scene.publishes(&[0, 1]);
    scene.nodes.set(1, Behaviour::NoAnswer);
    let calls = scene.zone.cloudflare.calls().len();
    let (mut first, _) = scene.pass_that_hangs();
    let done = scene.sync(&[]);
    let state = scene.nodes.path("state");
    let wanted = format!(
        "the state in {} is in use by process {} (daymark sync); one Daymark at a time can use it\n",
        state.display(),
        first.0.id()
    );
    assert_eq!((done.code, done.stdout.as_str(), done.stderr), (Some(1), "", wanted));
    assert_eq!(scene.zone.cloudflare.calls().len(), calls, "nothing was asked either");
    first.0.kill().unwrap();
    first.wait();
    scene.nodes.set(1, Behaviour::Ready);
    scene.publishes(&[0, 1]);
}

#[test]
fn a_pass_and_a_run_exclude_each_other() {
    let scene = Scene::new(1);
    let config = scene.config();
    let running = Daymark::run(&config);
    let done = scene.sync(&[]);
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.contains(&format!("by process {} (daymark run); one", running.process.0.id())),
        "{}",
        done.stderr
    );
    let done = finish(&mut daymark(&["run", "-c", config.to_str().unwrap()]));
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains(": stateDir: the state in "), "{}", done.stderr);
    drop(running.kill());

    scene.nodes.set(0, Behaviour::NoAnswer);
    let (pass, _) = scene.pass_that_hangs();
    let done = finish(&mut daymark(&["run", "-c", config.to_str().unwrap()]));
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains(&format!("by process {} (daymark sync); one", pass.0.id())), "{}", done.stderr);
}

#[test]
fn what_is_wrong_with_the_configuration_is_said_before_anything_is_done() {
    let scene = Scene::new(1);
    let config = write(&scene.nodes.path("daymark.yaml"), &scene.nodes.plan());
    let done = sync(&config, &[]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""));
    assert!(done.stderr.contains(": providers: holds no provider that writes elsewhere"), "{}", done.stderr);
    let config = write(&config, &Plan { interval: "1", ..scene.plan.clone() });
    assert_eq!(sync(&config, &[]).code, Some(2));
    assert_eq!(scene.sync(&["--deadline", "soon"]).code, Some(2));
    assert!(!scene.nodes.path("state").exists() && scene.zone.cloudflare.calls().is_empty());
}

#[test]
fn no_socket_is_bound() {
    let mut scene = Scene::new(1);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    (scene.plan.listen, scene.plan.admin) = (address.clone(), address);
    scene.publishes(&[0]);
}

#[test]
fn a_provider_that_fails_disturbs_no_other() {
    let mut scene = Scene::new(2);
    let other = Zone::new();
    scene.plan.provider += &other.provider(&scene.nodes, "other");
    scene.zone.store(|store| store.tokens.clear());
    let done = scene.sync(&[]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.lines().any(|line| line.starts_with("cloudflare: not as it should be, ")), "{}", done.stderr);
    assert_eq!(done.stdout.matches("other: ").count(), 2, "{}", done.stdout);
    assert!(!done.stdout.contains("cloudflare: "), "{}", done.stdout);
    assert_eq!((scene.zone.addresses(), other.addresses()), (BTreeSet::new(), scene.of(&[0, 1])));
}

#[test]
fn what_fails_is_tried_again_while_the_deadline_allows() {
    let scene = Scene::new(2);
    scene.zone.cloudflare.inject(Fault::Status(500), RequestMatcher::method("POST").nth(2));
    let done = scene.publishes(&[0, 1]);
    assert_eq!(
        done.stdout.matches("add the record").count(),
        2,
        "the edits of both attempts are told: {}",
        done.stdout
    );

    scene.nodes.set(0, Behaviour::Dead);
    for _ in 0..100 {
        scene.zone.cloudflare.inject(Fault::Status(500), RequestMatcher::method("DELETE"));
    }
    let done = scene.sync(&["--deadline", "5s"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""));
    assert!(done.stderr.contains("cloudflare: not published, to be tried again: "), "{}", done.stderr);
}

#[test]
fn what_was_done_is_told_also_where_a_later_edit_failed() {
    let scene = Scene::new(2);
    for _ in 0..100 {
        scene.zone.cloudflare.inject(Fault::Status(500), RequestMatcher::method("POST").nth(2));
    }
    let done = scene.sync(&["--deadline", "5s"]);
    assert_eq!(done.code, Some(1));
    assert_eq!(done.stdout.matches("add the record").count(), 1, "{}", done.stdout);
    assert_eq!(scene.zone.addresses().len(), 1);
}

#[test]
fn a_node_that_hangs_holds_up_the_others_no_longer_than_the_deadline() {
    let scene = Scene::new(3);
    scene.nodes.set(2, Behaviour::NoAnswer);
    let done = scene.sync(&["--deadline", "5s"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(scene.zone.addresses(), scene.of(&[0, 1]));
    let hung = scene.nodes.addresses()[2];
    let wanted = format!("{POOL}: cp-3 {hung} was not clear in time and counts as unknown; no probe of it has ended\n");
    assert!(done.stderr.ends_with(&wanted), "{}", done.stderr);
    let report: Value = serde_json::from_str(&scene.sync(&["--deadline", "1s", "-o", "json"]).stdout).unwrap();
    assert!(report["unclear"][0].as_str().unwrap().contains("counts as unknown"), "{report}");
}

#[test]
fn a_deadline_too_short_to_find_a_silent_node_is_told() {
    let scene = Scene::new(1);
    let told = |deadline: &str| {
        let done = scene.sync(&["--deadline", deadline]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done.stderr
    };
    let wanted = format!(
        "{POOL}: the deadline 60s is not above its probe `timeout` 60s, so a node that is silent cannot be found down within it\n"
    );
    assert!(told("60s").ends_with(&wanted));
    assert_eq!(told("61s"), "");
}

#[test]
fn what_is_to_be_looked_at_is_told_where_there_is_news_and_not_in_a_quiet_pass() {
    let mut scene = Scene::new(2);
    scene.plan.provider = scene.plan.provider.replace("mode: records", "mode: records, ttl: 30s");
    let finding = "provider cloudflare: the zone takes no TTL of 30s, only from 60s on, so the records have 60s\n";
    assert!(scene.sync(&["--dry-run"]).stderr.ends_with(finding));
    assert!(scene.publishes(&[0, 1]).stderr.ends_with(finding), "the first pass");
    assert_eq!(scene.publishes(&[0, 1]).stderr, "", "a quiet pass");
    scene.nodes.set(1, Behaviour::Dead);
    assert!(scene.publishes(&[0]).stderr.ends_with(finding), "a pass that edits");
    let done = scene.sync(&["--dry-run", "-o", "json"]);
    assert!(done.stderr.ends_with(finding), "a dry run shows everything: {}", done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["providers"][0]["findings"].as_array().unwrap().len(), 1, "{report}");
}

#[test]
fn what_is_found_is_not_said_beside_a_fault_that_says_it() {
    let scene = Scene::new(1);
    scene.zone.store(|store| store.zones.clear());
    let done = scene.sync(&["-o", "json"]);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let provider = &report["providers"][0];
    assert!(provider["fault"].as_str().unwrap().contains("kube-cp.com"), "{provider}");
    assert_eq!((done.code, &provider["findings"]), (Some(1), &Value::Array(Vec::new())));
    assert_eq!(done.stderr, format!("cloudflare: {}\n", provider["fault"].as_str().unwrap()));
}

#[test]
fn what_someone_changes_again_and_again_is_left_alone_in_the_third_pass() {
    let scene = Scene::new(1);
    scene.publishes(&[0]);
    for _ in 0..2 {
        scene.meddle();
        let done = scene.publishes(&[0]);
        assert!(done.stdout.contains("set `ttl` of "), "{}", done.stdout);
    }
    scene.meddle();
    let writes = scene.zone.writes();
    let done = scene.sync(&[]);
    assert_eq!((done.code, scene.zone.writes()), (Some(1), writes), "{}", done.stderr);
}

#[test]
fn a_fault_is_told_also_where_the_output_is_lost() {
    let scene = Scene::new(1);
    scene.zone.store(|store| store.tokens.clear());
    let (log, config) = (NamedTempFile::new().unwrap(), scene.config());
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = daymark(&["sync", "--deadline", "2m", "-o", "json", "-c", config.to_str().unwrap()]);
    let mut process = Process::spawn(command.stdout(full).stderr(log.reopen().unwrap()));
    assert_eq!(process.wait().code(), Some(1));
    let told = fs::read_to_string(log.path()).unwrap();
    assert!(told.contains("cloudflare: not as it should be, and only the operator can mend it: "), "{told}");
    assert!(told.contains("\nthe output cannot be written: "), "{told}");
}

#[test]
fn a_pause_that_goes_beyond_the_deadline_is_not_waited_for() {
    let scene = Scene::new(1);
    scene.zone.cloudflare.inject(Fault::TooMany { retry_after: Some(3_600) }, RequestMatcher::any());
    let done = scene.sync(&[]);
    assert_eq!((done.code, scene.zone.cloudflare.calls().len()), (Some(1), 1), "{}", done.stderr);
}

#[test]
fn without_ca_certificates_the_configuration_is_wrong_at_the_provider() {
    let mut scene = Scene::new(1);
    scene.plan.provider = scene.plan.provider.replace("http:", "https:");
    let config = scene.config();
    for command in ["run", "sync"] {
        let mut command = daymark(&[command, "-c", config.to_str().unwrap()]);
        let nowhere = scene.nodes.path("nowhere");
        let done = finish(command.env("SSL_CERT_FILE", &nowhere).env("SSL_CERT_DIR", &nowhere));
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{}", done.stderr);
        assert!(done.stderr.contains(": providers[1]: the system has no CA certificates"), "{}", done.stderr);
    }
}

#[test]
fn where_nothing_could_be_judged_nothing_is_published() {
    let mut scene = Scene::new(1);
    scene.publishes(&[0]);
    let calls = scene.zone.cloudflare.calls().len();
    scene.nodes.set(0, Behaviour::NoAnswer);
    let nothing = format!("{POOL} is not published: none of its targets could be judged, and unknown is not empty");
    let done = scene.sync(&["--deadline", "1s"]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.lines().last()), (Some(1), "", Some(nothing.as_str())));

    // No scope, no connection: a fault of this host, which says nothing of the node.
    scene.plan.nodes = vec![("cp-1".to_owned(), "\"fe80::1\"".to_owned())];
    let done = scene.sync(&["--deadline", "1s"]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.lines().last()), (Some(1), "", Some(nothing.as_str())));
    assert!(done.stderr.contains("; the last probe: not judged, the fault is on this host: "), "{}", done.stderr);
    assert_eq!(scene.zone.cloudflare.calls().len(), calls, "nothing was asked either");
}

#[test]
fn thresholds_hold_over_passes() {
    let scene = Scene::new(2);
    scene.publishes(&[0, 1]);
    scene.nodes.set(1, Behaviour::Dead);
    // One probe a pass is all that the deadline leaves time for.
    let slow = scene.plan.to_string().replace("100ms", "1h").replace("confirmInterval: 20ms", "confirmInterval: 1h");
    let slow = slow.replace("imeout: 1m", "imeout: 2s");
    let config = scene.nodes.path("slow.yaml");
    fs::write(&config, slow).unwrap();
    let doubt = format!(
        "cp-2 {} was not clear in time and counts as ready; the last probe: connection refused",
        scene.nodes.addresses()[1]
    );
    for failures in 1..=3 {
        let done = sync(&config, &["--deadline", "3s"]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(0), "cloudflare: nothing to change\n"), "{failures}");
        assert!(done.stderr.contains(&doubt), "{failures}: {}", done.stderr);
    }
    let done = sync(&config, &["--deadline", "3s"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "three failures and the one after the pauses");
    assert_eq!(scene.zone.addresses(), scene.of(&[0]));
}

#[test]
fn a_state_that_cannot_be_kept_is_a_warning() {
    let scene = Scene::new(1);
    fs::write(scene.nodes.path("state"), "a file where the directory should be").unwrap();
    let done = scene.publishes(&[0]);
    for words in ["cannot be locked", "state.json cannot be written"] {
        assert!(done.stderr.contains(words), "{}", done.stderr);
    }
}

#[test]
fn a_signal_ends_a_pass_before_or_after_what_it_writes() {
    let scene = Scene::new(2);
    scene.nodes.set(1, Behaviour::NoAnswer);
    let (mut pass, log) = scene.pass_that_hangs();
    pass.signal("TERM");
    assert_eq!(pass.wait().code(), Some(1));
    let told = fs::read_to_string(log.path()).unwrap();
    assert!(told.ends_with("stopped before anything was published\n"), "{told}");
    assert!(scene.zone.cloudflare.calls().is_empty());

    scene.nodes.set(1, Behaviour::Ready);
    scene.zone.cloudflare.inject(Fault::StallAfter, RequestMatcher::method("POST"));
    let (mut pass, log) = scene.pass_that_hangs();
    until("it writes", || (scene.zone.writes() > 0).then_some(()));
    pass.signal("INT");
    until("it knows", || fs::read_to_string(log.path()).unwrap().contains("stopping").then_some(()));
    scene.zone.cloudflare.release();
    assert_eq!(pass.wait().code(), Some(1));
    let told = fs::read_to_string(log.path()).unwrap();
    assert!(told.ends_with("stopped by a signal\n"), "{told}");
    assert_eq!(scene.zone.addresses(), scene.of(&[0, 1]));
}
