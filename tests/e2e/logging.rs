//! The log of a running Daymark has one line for each change, and no other.

use std::fs::{self, File};
use std::process::Stdio;

use daymark_fake_apiserver::Behaviour;
use serde_json::Value;

use crate::support::nodes::Nodes;
use crate::support::{Daymark, POOL, Process, daymark, until};

#[test]
fn every_line_of_the_json_log_is_an_object_and_an_answer_has_its_fields() {
    let nodes = Nodes::start(2);
    let config = nodes.write(&nodes.plan());
    let arguments = ["run", "-c", config.to_str().unwrap(), "--log-format", "json"];
    let running = Daymark::start(&mut daymark(&arguments));
    let all = nodes.addresses();
    running.answers(&all, "ready");
    nodes.set(0, Behaviour::Dead);
    running.answers(&all[1..], "ready");
    nodes.set(1, Behaviour::Dead);
    running.logs("\"basis\":\"lastKnownGood\"");
    let log = running.kill();

    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let is_whole = ["timestamp", "level", "message"].iter().all(|&key| line[key].is_string());
        assert!(is_whole, "{line}");
    }
    let changes: Vec<&Value> = lines.iter().filter(|line| line["event"] == "answer").collect();
    // The last such line is taken, since at the start either node may become ready first.
    let one = changes.iter().rfind(|line| line["new"] == all[1].to_string().as_str()).unwrap();
    assert_eq!((&one["pool"], &one["basis"], &one["level"]), (&POOL.into(), &"ready".into(), &"INFO".into()));
    assert_eq!(one["old"], format!("{} {}", all[0], all[1]));
    assert!(one["generation"].is_u64() && one["message"].as_str().unwrap().contains("connection refused"), "{one}");
    let last = changes.last().unwrap();
    assert_eq!((&last["basis"], &last["level"]), (&"lastKnownGood".into(), &"WARN".into()), "{last}");
    let grade = lines.iter().find(|line| line["event"] == "grade" && line["to"] == "down").unwrap();
    assert_eq!((&grade["node"], &grade["from"]), (&"cp-1".into(), &"ready".into()));
}

#[test]
fn probes_and_queries_log_nothing_at_the_default_level() {
    let nodes = Nodes::start(2);
    let running = Daymark::run(&nodes.write(&nodes.plan()));
    nodes.set(1, Behaviour::Dead);
    until("both nodes have verdicts", || (running.pool()["targets"][1]["grade"] == "down").then_some(()));
    running.answers(&nodes.addresses()[..1], "ready");
    running.logs("unknown -> down");
    running.logs(&format!("-> {}, basis bootstrap -> ready (", nodes.addresses()[0]));
    let before = running.log();
    let probes = nodes.apiservers[0].requests();
    until("many probes have been made", || {
        crate::support::dns::look_up(running.dns);
        (nodes.apiservers[0].requests() > probes + 40).then_some(())
    });
    assert_eq!(running.log(), before);
    // These are warnings of loopback addresses, the two addresses served, and the changes.
    assert!(before.lines().all(|line| line.contains(" INFO ") || line.contains(" WARN ")), "{before}");
    assert!(!before.contains('\u{1b}'), "a log that goes to a file has no colours: {before}");
}

#[test]
fn an_unknown_level_is_a_warning_and_leaves_the_default() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&nodes.plan());
    let mut command = daymark(&["run", "-c", config.to_str().unwrap()]);
    let running = Daymark::start(command.env("DAYMARK_LOG", "verbose"));
    running.logs("DAYMARK_LOG: \"verbose\" is no level; off, error, warn, info, debug and trace are allowed");
    running.logs(" INFO ");
}

#[test]
fn warning_is_a_spelling_of_warn() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&nodes.plan());
    let log = nodes.path("log");
    let mut command = daymark(&["run", "-c", config.to_str().unwrap()]);
    command.env("DAYMARK_LOG", "warning").stdout(Stdio::null()).stderr(File::create(&log).unwrap());
    let _running = Process::spawn(&mut command);
    until("the node is ready", || (nodes.apiservers[0].requests() > 3).then_some(()));
    nodes.set(0, Behaviour::Dead);
    let read = || fs::read_to_string(&log).unwrap();
    until("the outage is a warning", || read().contains("last known good").then_some(()));
    assert!(read().lines().all(|line| line.contains(" WARN ")), "{}", read());
}

/// A path that clears the screen, forges a line, and shows a name in reverse, as YAML writes it.
const HOSTILE: &str = r"/\u202egro.elpmaxe\u200b\x9b2J\e[2J\n2026-11-30 forged";
/// The same as it is logged and printed.
const ESCAPED: &str = r"/\u{202e}gro.elpmaxe\u{200b}\u{9b}2J\u{1b}[2J";

#[test]
fn hidden_characters_of_a_file_reach_neither_the_log_nor_the_terminal() {
    let nodes = Nodes::start(1);
    let is_clean =
        |text: &str| !text.contains(['\u{202e}', '\u{200b}', '\u{9b}', '\u{1b}']) && !text.contains("\n2026-11-30 f");
    let config = nodes.write(&nodes.plan());
    let good = fs::read_to_string(&config).unwrap();
    for format in ["text", "json"] {
        fs::write(&config, &good).unwrap();
        let running = Daymark::start(daymark(&["run", "--log-format", format, "-c"]).arg(&config));
        running.answers(&nodes.addresses(), "ready");
        fs::write(&config, good.replace("ca.crt", &format!("\"{HOSTILE}\""))).unwrap();
        running.process.signal("HUP");
        running.logs("the new configuration is refused");
        let status = crate::support::finish(&mut daymark(&["status", "--api", &running.api()]));
        assert!(status.stdout.contains(ESCAPED) && is_clean(&status.stdout), "{}", status.stdout);
        let status = crate::support::finish(&mut daymark(&["status", "-o", "json", "--api", &running.api()]));
        let parsed: Value = serde_json::from_str(&status.stdout).unwrap();
        assert!(parsed["alarms"].to_string().contains("gro.elpmaxe") && is_clean(&status.stdout), "{}", status.stdout);
        running.logs("gro.elpmaxe");
        let log = running.log();
        assert!(is_clean(&log), "{log}");
        assert!(format == "json" || log.contains(ESCAPED), "{log}");
        let checked = crate::support::finish(daymark(&["check", "-c"]).arg(&config));
        assert!(checked.stderr.contains(ESCAPED) && is_clean(&checked.stderr), "{}", checked.stderr);
    }
}
