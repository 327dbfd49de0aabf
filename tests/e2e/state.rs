//! Daymark works with an unreadable state file and with an unwritable state directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::dns::look_up;
use crate::support::nodes::{Nodes, Plan};
use crate::support::{BINARY, Daymark, Finished, POOL, daymark as command_of, finish, http, until};

/// Starts with a state file of this content, checks that Daymark works, and returns the log.
fn log_with_state(content: &str) -> String {
    let nodes = Nodes::start(2);
    fs::create_dir(nodes.path("state")).unwrap();
    let file = nodes.path("state/state.json");
    fs::write(&file, content).unwrap();
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    assert_eq!(look_up(daymark.dns).len(), 2);
    daymark.answers(&nodes.addresses(), "ready");
    until("a new state file is written", || {
        let text = fs::read_to_string(&file).ok()?;
        text.contains("daymark-state").then_some(())
    });
    let entries = fs::read_dir(nodes.path("state")).unwrap().map(|entry| entry.unwrap().path());
    let aside: Vec<_> = entries.filter(|path| path.to_string_lossy().contains("state.json.1")).collect();
    assert_eq!(aside.len(), 1, "the file is set aside: {aside:?}");
    assert_eq!(fs::read_to_string(&aside[0]).unwrap(), content, "nothing of it is lost");
    daymark.kill()
}

#[test]
fn a_truncated_a_foreign_and_a_newer_state_file_are_set_aside_with_a_warning() {
    for (content, words) in [
        (r#"{"format": "daymark-state", "version": 1, "mem"#, "is damaged"),
        (r#"{"kind": "Status", "apiVersion": "v1"}"#, "is not a state file of Daymark"),
        (
            r#"{"format": "daymark-state", "version": 9, "memory": []}"#,
            "has version 9, but this Daymark reads only versions up to 1",
        ),
    ] {
        let log = log_with_state(content);
        let warning = log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {log}"));
        assert!(warning.contains("WARN") && warning.contains("it is set aside as"), "{warning}");
    }
}

/// Asserts that alarm and metrics report an unwritable state, and that answers follow the nodes.
fn works_without_state(nodes: &Nodes, daymark: &Daymark, reason: &str) {
    let all = nodes.addresses();
    daymark.answers(&all, "ready");
    let alarms = until("there is an alarm", || {
        let alarms = daymark.json("/api/v1/status")["alarms"].to_string();
        alarms.contains("cannot be written").then_some(alarms)
    });
    assert!(alarms.contains("state.json") && alarms.contains(reason), "{alarms}");
    let (_, metrics) = daymark.get("/metrics");
    assert!(metrics.contains("\ndaymark_state_writable 0\n"), "{metrics}");
    assert!(!metrics.contains("\ndaymark_state_save_failures_total 0\n"), "{metrics}");
    nodes.set(0, daymark_fake_apiserver::Behaviour::Dead);
    daymark.answers(&all[1..], "ready");
    assert_eq!(look_up(daymark.dns), all[1..].iter().copied().collect());
    let (code, body) = daymark.get("/readyz");
    assert_eq!(code, 200, "{body}");
}

#[test]
fn a_state_directory_that_cannot_be_created_is_an_alarm_and_answers_go_on() {
    let nodes = Nodes::start(2);
    fs::write(nodes.path("state"), "a file where the directory should be").unwrap();
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    works_without_state(&nodes, &daymark, "");
    assert!(daymark.log().contains("no admin token can be created"));
    daymark.logs("cannot be written");
    for file in ["state.json", "configuration.json"] {
        let failed = format!("{file} cannot be written");
        daymark.logs(&failed);
        let lines = daymark.log().lines().filter(|line| line.contains(&failed)).count();
        assert_eq!(lines, 1, "one line a file when it begins, not one a try");
    }
}

/// Runs Daymark with a small file system at `state`, which ends with the process; `None` if mounting is not allowed.
fn with_disk(nodes: &Nodes, options: &str, fill: &str) -> Option<Daymark> {
    let state = nodes.path("state");
    fs::create_dir(&state).unwrap();
    let mount = |then: &str| {
        let mut command = Command::new("unshare");
        let script = format!("mount -t tmpfs -o {options} tmpfs \"$1\" && {then}");
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(&state);
        command
    };
    if finish(&mut mount("true")).code != Some(0) {
        eprintln!("skipped: this user may not mount a file system");
        return None;
    }
    let config = nodes.write(&Plan { state: state.display().to_string(), ..nodes.plan() });
    let mut command = mount(&format!("{fill} exec \"$2\" run -c \"$3\""));
    Some(Daymark::start(command.arg(BINARY).arg(config)))
}

#[test]
fn a_read_only_state_directory_is_an_alarm_and_answers_go_on() {
    let nodes = Nodes::start(2);
    let Some(daymark) = with_disk(&nodes, "ro,size=64k", "") else { return };
    works_without_state(&nodes, &daymark, "Read-only file system");
}

#[test]
fn a_full_disk_is_an_alarm_until_there_is_room_again() {
    let nodes = Nodes::start(2);
    let fill = "cat /dev/zero >\"$1/filler\" 2>/dev/null;";
    let Some(daymark) = with_disk(&nodes, "size=64k", fill) else { return };
    works_without_state(&nodes, &daymark, "No space left on device");

    // Only that process sees the mount, so the test reaches it through `/proc`.
    let seen = format!("/proc/{}/root{}", daymark.process.0.id(), nodes.path("state").display());
    fs::remove_file(Path::new(&seen).join("filler")).unwrap();
    until("the alarm is over", || {
        let status = daymark.json("/api/v1/status");
        status["alarms"].as_array().unwrap().is_empty().then_some(())
    });
    daymark.logs("can be written again");
    let (_, metrics) = daymark.get("/metrics");
    assert!(metrics.contains("\ndaymark_state_writable 1\n"), "{metrics}");
    daymark.logs("the admin token was created in ");
    let path = format!("/api/v1/pools/{POOL}/nodes/cp-2/override");
    let token = fs::read_to_string(Path::new(&seen).join("admin.token")).unwrap();
    let (code, body) = http(daymark.admin, "PUT", &path, Some(token.trim()), r#"{"kind": "force"}"#);
    assert_eq!(code, 200, "{body}");
    assert!(body.starts_with("{\"saved\":true,"), "{body}");
}

#[test]
fn a_drain_on_a_full_disk_is_active_and_reported_as_not_saved() {
    let nodes = Nodes::start(2);
    let Some(daymark) = with_disk(&nodes, "size=64k", "") else { return };
    daymark.answers(&nodes.addresses(), "ready");
    let root = format!("/proc/{}/root{}", daymark.process.0.id(), nodes.path("state").display());
    let root = Path::new(&root);
    let filler = root.join("filler");
    let _ = std::io::copy(&mut std::io::repeat(0), &mut fs::File::create(&filler).unwrap());
    let token = root.join("admin.token");
    let api = daymark.api();
    let arguments = ["drain", "cp-1", "--api", &api, "--token-file", token.to_str().unwrap()];
    let Finished { code, stderr, .. } = finish(&mut command_of(&arguments));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("cp-1") && stderr.contains("the change is active, but not saved: "), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
    daymark.answers(&nodes.addresses()[1..], "ready");
    let status = daymark.json("/api/v1/status");
    assert_eq!(status["pools"][0]["unsavedOverrides"], serde_json::json!(["cp-1"]));
    let alarm = "the overrides of cp-1 are active, but not saved on this host";
    assert!(status["alarms"].to_string().contains(alarm), "{status}");
    fs::remove_file(filler).unwrap();
    until("it is saved", || (!daymark.json("/api/v1/status")["alarms"].to_string().contains(alarm)).then_some(()));
}

#[test]
fn a_state_directory_that_is_deleted_is_made_again_and_no_second_process_gets_into_it() {
    let nodes = Nodes::start(2);
    let config = nodes.write(&nodes.plan());
    let daymark = Daymark::run(&config);
    daymark.answers(&nodes.addresses(), "ready");
    fs::remove_dir_all(nodes.path("state")).unwrap();
    until("everything is there again", || {
        let names = ["state.json", "state.lock", "admin.token", "configuration.json"];
        names.iter().all(|name| nodes.path("state").join(name).exists()).then_some(())
    });
    let alarms = daymark.json("/api/v1/status")["alarms"].to_string();
    assert!(alarms.contains("was deleted while Daymark ran; it was made again"), "{alarms}");
    let second = finish(command_of(&["run", "-c"]).arg(&config));
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("one Daymark at a time can use it"), "{}", second.stderr);
    let path = format!("/api/v1/pools/{POOL}/nodes/cp-1/override");
    until("the new token is in use", || {
        let (code, body) = http(daymark.admin, "PUT", &path, Some(&nodes.token()), r#"{"kind": "drain"}"#);
        (code == 200 && body.starts_with("{\"saved\":true,")).then_some(())
    });
    daymark.answers(&nodes.addresses()[1..], "ready");
    daymark.kill();
    let restarted = Daymark::run(&config);
    assert_eq!(look_up(restarted.dns), nodes.addresses()[1..].iter().copied().collect(), "the drain is saved");
}

#[test]
fn a_state_directory_that_can_be_locked_only_later_has_one_process_in_it() {
    let nodes = Nodes::start(2);
    fs::write(nodes.path("state"), "a file where the directory should be").unwrap();
    let config = nodes.write(&nodes.plan());
    let daymark = Daymark::run(&config);
    daymark.logs("cannot be locked");
    fs::remove_file(nodes.path("state")).unwrap();
    daymark.logs("is locked now");
    let second = finish(command_of(&["run", "-c"]).arg(&config));
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("one Daymark at a time can use it"), "{}", second.stderr);
    until("the alarms are over", || {
        daymark.json("/api/v1/status")["alarms"].as_array().unwrap().is_empty().then_some(())
    });
}
