//! `daymark sync` against the fake of Cloudflare.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use daymark_fake_apiserver::Behaviour;
use daymark_fake_cloudflare::{Fault, RequestMatcher};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::nodes::{Plan, write};
use crate::support::zone::{Zone, ZoneFixture};
use crate::support::{Daymark, Finished, POOL, Process, daymark, finish, until};

impl ZoneFixture {
    /// Makes the command of a pass with enough time, unless the arguments give it less.
    fn sync(&self, arguments: &[&str]) -> Finished {
        let long: &[&str] = if arguments.contains(&"--deadline") { &[] } else { &["--deadline", "2m"] };
        sync(&self.config(), &[arguments, long].concat())
    }

    /// Changes the TTL of every record, as someone else would by hand.
    fn meddle(&self) {
        self.zone.store(|store| {
            let records = store.zones.get_mut(&self.zone.id).unwrap().records.values_mut();
            records.for_each(|record| record["ttl"] = 300.into());
        });
    }

    /// Runs a pass that must succeed and publish these nodes.
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

    /// Starts a pass that waits for a silent node until it is stopped. It has the lock when this returns.
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

/// The files below a directory, each with its content.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

#[test]
fn a_pass_prints_its_changes_and_the_next_has_none() {
    let fixture = ZoneFixture::new(3);
    fixture.nodes.set(2, Behaviour::Dead);
    let done = fixture.publishes(&[0, 1]);
    assert_eq!(done.stderr, "");
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", done.stdout);
    for (line, address) in lines.iter().zip(fixture.nodes.addresses()) {
        let wanted = format!("cloudflare: {POOL}: add the record {POOL} A {address} (in: ready since ");
        assert!(line.starts_with(&wanted), "{line} begins with {wanted}");
    }
    let writes = fixture.zone.writes();
    let again = fixture.publishes(&[0, 1]);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("cloudflare: nothing to change\n", ""));
    assert_eq!(fixture.zone.writes(), writes);

    fixture.nodes.set(2, Behaviour::Ready);
    fixture.nodes.set(0, Behaviour::ShuttingDown);
    let done = fixture.publishes(&[1, 2]);
    assert!(done.stdout.contains("shutting down: the check `shutdown` fails)\n"), "{}", done.stdout);
}

#[test]
fn the_records_of_another_daymark_in_the_zone_are_noted() {
    let fixture = ZoneFixture::new(1);
    let other = json!({
        "type": "A", "name": "lb2.kube-cp.com", "content": "192.0.2.9", "ttl": 60, "proxied": false,
        "comment": "managed by daymark of prod-2: kube-cp-1",
    });
    fixture.zone.store(|store| store.add_record(&fixture.zone.id, other));
    let done = fixture.sync(&[]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let note = "cloudflare: note: the zone kube-cp.com also has records of Daymark for other names, which stay: lb2.kube-cp.com (the \
                Daymark of prod-2)\n";
    assert!(done.stdout.ends_with(note), "{}", done.stdout);
}

#[test]
fn the_result_is_available_as_json() {
    let fixture = ZoneFixture::new(1);
    let done = fixture.sync(&["-o", "json"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let provider = &report["providers"][0];
    assert_eq!((&provider["provider"], &provider["error"]), (&"cloudflare".into(), &Value::Null));
    assert_eq!((&provider["edits"][0]["pool"], &provider["edits"][0]["method"]), (&POOL.into(), &"POST".into()));
    assert_eq!(report["unsettled"], Value::Array(Vec::new()));
}

#[test]
fn an_answer_without_a_ready_or_live_node_is_reported_and_stays() {
    let fixture = ZoneFixture::new(2);
    let all_fail = || (0..2).for_each(|index| fixture.nodes.set(index, Behaviour::Dead));
    let alarm = |done: &Finished, state: &str| {
        let wanted = format!("{POOL}: {state}");
        assert!(done.stderr.contains(&format!("{wanted}\n")), "{wanted} in {}", done.stderr);
        wanted
    };
    all_fail();
    alarm(&fixture.publishes(&[0, 1]), "no target has been usable yet, so all nodes are answered");
    fixture.nodes.set(0, Behaviour::Ready);
    assert_eq!(fixture.publishes(&[0]).stderr, "");
    all_fail();
    alarm(&fixture.publishes(&[0]), "no target is usable, so the last good answer stands");
    let done = fixture.sync(&["-o", "json"]);
    let alarm_text = alarm(&done, "no target is usable, so the last good answer stands");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &report["alarms"]), (Some(0), &serde_json::json!([alarm_text])));
}

#[test]
fn a_dry_run_prints_the_calls_and_writes_nothing() {
    let fixture = ZoneFixture::new(2);
    let done = fixture.sync(&["--dry-run"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("cloudflare: {POOL}: would add the record {POOL} A ")), "{}", done.stdout);
    assert_eq!(lines[1], format!("  POST /zones/{}/dns_records", fixture.zone.id));
    let body: Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!((&body["name"], &body["content"]), (&POOL.into(), &fixture.nodes.addresses()[0].to_string().into()));
    assert_eq!((lines.len(), fixture.zone.writes()), (6, 0));
    assert!(!fixture.nodes.path("state").exists());

    fixture.publishes(&[0, 1]);
    let before = files(&fixture.nodes.path("state"));
    let writes = fixture.zone.writes();
    fixture.nodes.set(1, Behaviour::Dead);
    let done = fixture.sync(&["--dry-run", "-o", "json"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let edit = &report["providers"][0]["edits"][0];
    assert!(edit["path"].as_str().unwrap().starts_with(&format!("/zones/{}/dns_records/", fixture.zone.id)), "{edit}");
    assert_eq!((&edit["method"], edit.get("body")), (&"DELETE".into(), None));
    assert!(edit["changes"][0].as_str().unwrap().contains("connection refused"), "{edit}");
    assert_eq!(fixture.zone.writes(), writes);
    assert_eq!(files(&fixture.nodes.path("state")), before);
}

#[test]
fn a_dry_run_leaves_a_truncated_state_file_in_place() {
    let fixture = ZoneFixture::new(1);
    fixture.publishes(&[0]);
    fs::write(fixture.nodes.path("state/state.json"), "{").unwrap();
    let before = files(&fixture.nodes.path("state"));
    let done = fixture.sync(&["--dry-run"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("state.json is damaged: "), "{}", done.stderr);
    assert_eq!(files(&fixture.nodes.path("state")), before);
}

#[test]
fn the_second_of_two_simultaneous_passes_does_nothing() {
    let fixture = ZoneFixture::new(2);
    fixture.publishes(&[0, 1]);
    fixture.nodes.set(1, Behaviour::NoAnswer);
    let calls = fixture.zone.cloudflare.calls().len();
    let (mut first, _) = fixture.pass_that_hangs();
    let done = fixture.sync(&[]);
    let state = fixture.nodes.path("state");
    let wanted = format!(
        "the state in {} is in use by process {} (daymark sync); one Daymark at a time can use it\n",
        state.display(),
        first.0.id()
    );
    assert_eq!((done.code, done.stdout.as_str(), done.stderr), (Some(1), "", wanted));
    assert_eq!(fixture.zone.cloudflare.calls().len(), calls, "nothing was asked either");
    first.0.kill().unwrap();
    first.wait();
    fixture.nodes.set(1, Behaviour::Ready);
    fixture.publishes(&[0, 1]);
}

#[test]
fn a_pass_and_a_run_exclude_each_other() {
    let fixture = ZoneFixture::new(1);
    let config = fixture.config();
    let running = Daymark::run(&config);
    let done = fixture.sync(&[]);
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

    fixture.nodes.set(0, Behaviour::NoAnswer);
    let (pass, _) = fixture.pass_that_hangs();
    let done = finish(&mut daymark(&["run", "-c", config.to_str().unwrap()]));
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains(&format!("by process {} (daymark sync); one", pass.0.id())), "{}", done.stderr);
}

#[test]
fn an_invalid_configuration_is_reported_before_anything_is_done() {
    let fixture = ZoneFixture::new(1);
    let config = write(&fixture.nodes.path("daymark.yaml"), &fixture.nodes.plan());
    let done = sync(&config, &[]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""));
    assert!(done.stderr.contains(": providers: has no remote provider"), "{}", done.stderr);
    let config = write(&config, &Plan { interval: "1", ..fixture.plan.clone() });
    assert_eq!(sync(&config, &[]).code, Some(2));
    assert_eq!(fixture.sync(&["--deadline", "soon"]).code, Some(2));
    assert!(!fixture.nodes.path("state").exists() && fixture.zone.cloudflare.calls().is_empty());
}

#[test]
fn no_socket_is_bound() {
    let mut fixture = ZoneFixture::new(1);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    (fixture.plan.listen, fixture.plan.admin) = (address.clone(), address);
    fixture.publishes(&[0]);
}

#[test]
fn a_failing_provider_delays_no_other() {
    let mut fixture = ZoneFixture::new(2);
    let other = Zone::new();
    fixture.plan.provider += &other.provider(&fixture.nodes, "other");
    fixture.zone.store(|store| store.tokens.clear());
    let done = fixture.sync(&[]);
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.lines().any(|line| line.starts_with("cloudflare: not published, an operator must act: ")),
        "{}",
        done.stderr
    );
    assert_eq!(done.stdout.matches("other: ").count(), 2, "{}", done.stdout);
    assert!(!done.stdout.contains("cloudflare: "), "{}", done.stdout);
    assert_eq!((fixture.zone.addresses(), other.addresses()), (BTreeSet::new(), fixture.of(&[0, 1])));
}

#[test]
fn a_failed_call_is_retried_until_the_deadline() {
    let fixture = ZoneFixture::new(2);
    fixture.zone.cloudflare.inject(Fault::Status(500), RequestMatcher::method("POST").nth(2));
    let done = fixture.publishes(&[0, 1]);
    assert_eq!(
        done.stdout.matches("add the record").count(),
        2,
        "the edits of both attempts are reported: {}",
        done.stdout
    );

    fixture.nodes.set(0, Behaviour::Dead);
    for _ in 0..100 {
        fixture.zone.cloudflare.inject(Fault::Status(500), RequestMatcher::method("DELETE"));
    }
    let done = fixture.sync(&["--deadline", "5s"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""));
    assert!(done.stderr.contains("cloudflare: not published, will be tried again: "), "{}", done.stderr);
}

#[test]
fn completed_edits_are_reported_even_if_a_later_one_fails() {
    let fixture = ZoneFixture::new(2);
    for _ in 0..100 {
        fixture.zone.cloudflare.inject(Fault::Status(500), RequestMatcher::method("POST").nth(2));
    }
    let done = fixture.sync(&["--deadline", "5s"]);
    assert_eq!(done.code, Some(1));
    assert_eq!(done.stdout.matches("add the record").count(), 1, "{}", done.stdout);
    assert_eq!(fixture.zone.addresses().len(), 1);
}

#[test]
fn a_hanging_node_delays_the_others_no_longer_than_the_deadline() {
    let fixture = ZoneFixture::new(3);
    fixture.nodes.set(2, Behaviour::NoAnswer);
    let done = fixture.sync(&["--deadline", "5s"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(fixture.zone.addresses(), fixture.of(&[0, 1]));
    let hung = fixture.nodes.addresses()[2];
    let wanted = format!(
        "{POOL}: cp-3 {hung} counts as unknown, because its verdict was not settled before the deadline; no probe has ended\n"
    );
    assert!(done.stderr.ends_with(&wanted), "{}", done.stderr);
    let report: Value = serde_json::from_str(&fixture.sync(&["--deadline", "1s", "-o", "json"]).stdout).unwrap();
    assert!(report["unsettled"][0].as_str().unwrap().contains("counts as unknown"), "{report}");
}

#[test]
fn a_deadline_too_short_for_a_silent_node_is_a_warning() {
    let fixture = ZoneFixture::new(1);
    let warnings = |deadline: &str| {
        let done = fixture.sync(&["--deadline", deadline]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done.stderr
    };
    let wanted = format!(
        "{POOL}: the deadline 1m is not longer than its probe `timeout` 1m, so a silent node cannot be found in \
         time; raise `--deadline`\n"
    );
    assert!(warnings("60s").ends_with(&wanted));
    assert_eq!(warnings("61s"), "");
}

#[test]
fn warnings_are_printed_with_changes_and_not_in_a_quiet_pass() {
    let mut fixture = ZoneFixture::new(2);
    fixture.plan.provider = fixture.plan.provider.replace("mode: records", "mode: records, ttl: 30s");
    let finding = "provider cloudflare: the records have a TTL of 60s, because the zone does not allow 30s; set `ttl` to 60s or more\n";
    assert!(fixture.sync(&["--dry-run"]).stderr.ends_with(finding));
    assert!(fixture.publishes(&[0, 1]).stderr.ends_with(finding), "the first pass");
    assert_eq!(fixture.publishes(&[0, 1]).stderr, "", "a quiet pass");
    fixture.nodes.set(1, Behaviour::Dead);
    assert!(fixture.publishes(&[0]).stderr.ends_with(finding), "a pass that edits");
    let done = fixture.sync(&["--dry-run", "-o", "json"]);
    assert!(done.stderr.ends_with(finding), "a dry run shows everything: {}", done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["providers"][0]["findings"].as_array().unwrap().len(), 1, "{report}");
}

#[test]
fn a_finding_is_not_repeated_beside_an_error_with_the_same_content() {
    let fixture = ZoneFixture::new(1);
    fixture.zone.store(|store| store.zones.clear());
    let done = fixture.sync(&["-o", "json"]);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let provider = &report["providers"][0];
    assert!(provider["error"].as_str().unwrap().contains("kube-cp.com"), "{provider}");
    assert_eq!((done.code, &provider["findings"]), (Some(1), &Value::Array(Vec::new())));
    assert_eq!(done.stderr, format!("cloudflare: {}\n", provider["error"].as_str().unwrap()));
}

#[test]
fn a_repeated_foreign_change_is_left_alone_from_the_third_pass_on() {
    let fixture = ZoneFixture::new(1);
    fixture.publishes(&[0]);
    for _ in 0..2 {
        fixture.meddle();
        let done = fixture.publishes(&[0]);
        assert!(done.stdout.contains("set `ttl` of "), "{}", done.stdout);
    }
    fixture.meddle();
    let writes = fixture.zone.writes();
    let done = fixture.sync(&[]);
    assert_eq!((done.code, fixture.zone.writes()), (Some(1), writes), "{}", done.stderr);
}

#[test]
fn an_error_is_reported_even_if_the_output_is_closed() {
    let fixture = ZoneFixture::new(1);
    fixture.zone.store(|store| store.tokens.clear());
    let log = NamedTempFile::new().unwrap();
    let config = fixture.config();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = daymark(&["sync", "--deadline", "2m", "-o", "json", "-c", config.to_str().unwrap()]);
    let mut process = Process::spawn(command.stdout(full).stderr(log.reopen().unwrap()));
    assert_eq!(process.wait().code(), Some(1));
    let output = fs::read_to_string(log.path()).unwrap();
    assert!(output.contains("cloudflare: not published, an operator must act: "), "{output}");
    assert!(output.contains("\nthe output cannot be written: "), "{output}");
}

#[test]
fn a_retry_after_the_deadline_is_not_awaited() {
    let fixture = ZoneFixture::new(1);
    fixture.zone.cloudflare.inject(Fault::TooMany { retry_after: Some(3_600) }, RequestMatcher::any());
    let done = fixture.sync(&[]);
    assert_eq!((done.code, fixture.zone.cloudflare.calls().len()), (Some(1), 1), "{}", done.stderr);
}

#[test]
fn missing_ca_certificates_are_a_configuration_error_at_the_provider() {
    let mut fixture = ZoneFixture::new(1);
    fixture.plan.provider = fixture.plan.provider.replace("http:", "https:");
    let config = fixture.config();
    for command in ["run", "sync"] {
        let mut command = daymark(&[command, "-c", config.to_str().unwrap()]);
        let nowhere = fixture.nodes.path("nowhere");
        let done = finish(command.env("SSL_CERT_FILE", &nowhere).env("SSL_CERT_DIR", &nowhere));
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{}", done.stderr);
        assert!(
            done.stderr.contains(": providers[1]: Cloudflare cannot be verified: the system has no CA certificates"),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn nothing_is_published_without_any_verdict() {
    let mut fixture = ZoneFixture::new(1);
    fixture.publishes(&[0]);
    let calls = fixture.zone.cloudflare.calls().len();
    fixture.nodes.set(0, Behaviour::NoAnswer);
    let nothing = format!(
        "{POOL} is not published, because none of its targets has a verdict; check that this host reaches them, or \
         raise `--deadline`"
    );
    let done = fixture.sync(&["--deadline", "1s"]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.lines().last()), (Some(1), "", Some(nothing.as_str())));

    // Without a scope no connection is possible: a local error, which says nothing about the node.
    fixture.plan.nodes = vec![("cp-1".to_owned(), "\"fe80::1\"".to_owned())];
    let done = fixture.sync(&["--deadline", "1s"]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.lines().last()), (Some(1), "", Some(nothing.as_str())));
    assert!(done.stderr.contains("; last probe: not probed, because of an error on this host: "), "{}", done.stderr);
    assert_eq!(fixture.zone.cloudflare.calls().len(), calls, "nothing was asked either");
}

#[test]
fn thresholds_count_across_passes() {
    let fixture = ZoneFixture::new(2);
    fixture.publishes(&[0, 1]);
    fixture.nodes.set(1, Behaviour::NotTls);
    // The deadline leaves time for only one probe in each pass: it is no refused connection, which is confirmed at once.
    let slow = fixture.plan.to_string().replace("100ms", "1h").replace("confirmInterval: 20ms", "confirmInterval: 1h");
    let slow = slow.replace("imeout: 1m", "imeout: 2s");
    let config = fixture.nodes.path("slow.yaml");
    fs::write(&config, slow).unwrap();
    let doubt = format!(
        "cp-2 {} counts as ready, because its verdict was not settled before the deadline; last probe: the response is \
         not TLS",
        fixture.nodes.addresses()[1]
    );
    for failures in 1..=3 {
        let done = sync(&config, &["--deadline", "3s"]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(0), "cloudflare: nothing to change\n"), "{failures}");
        assert!(done.stderr.contains(&doubt), "{failures}: {}", done.stderr);
    }
    let done = sync(&config, &["--deadline", "3s"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "three failures and the one after the pauses");
    assert_eq!(fixture.zone.addresses(), fixture.of(&[0]));
}

#[test]
fn a_state_that_cannot_be_saved_is_a_warning() {
    let fixture = ZoneFixture::new(1);
    fs::write(fixture.nodes.path("state"), "a file where the directory should be").unwrap();
    let done = fixture.publishes(&[0]);
    for words in ["cannot be locked", "state.json cannot be written"] {
        assert!(done.stderr.contains(words), "{}", done.stderr);
    }
}

#[test]
fn a_signal_ends_a_pass_before_or_after_a_write() {
    let fixture = ZoneFixture::new(2);
    fixture.nodes.set(1, Behaviour::NoAnswer);
    let (mut pass, log) = fixture.pass_that_hangs();
    pass.signal("TERM");
    assert_eq!(pass.wait().code(), Some(1));
    let output = fs::read_to_string(log.path()).unwrap();
    assert!(output.ends_with("stopped before anything was published\n"), "{output}");
    assert!(fixture.zone.cloudflare.calls().is_empty());

    fixture.nodes.set(1, Behaviour::Ready);
    fixture.zone.cloudflare.inject(Fault::StallAfter, RequestMatcher::method("POST"));
    let (mut pass, log) = fixture.pass_that_hangs();
    until("it writes", || (fixture.zone.writes() > 0).then_some(()));
    pass.signal("INT");
    until("it knows", || fs::read_to_string(log.path()).unwrap().contains("stopping").then_some(()));
    fixture.zone.cloudflare.release();
    assert_eq!(pass.wait().code(), Some(1));
    let output = fs::read_to_string(log.path()).unwrap();
    assert!(output.ends_with("stopped by a signal\n"), "{output}");
    assert_eq!(fixture.zone.addresses(), fixture.of(&[0, 1]));
}
