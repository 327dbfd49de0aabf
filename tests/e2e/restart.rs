//! A restart changes no answer, and serials only rise.

use std::fs;

use daymark_fake_apiserver::Behaviour;

use crate::support::dns::{look_up, serial};
use crate::support::nodes::{Nodes, Plan};
use crate::support::{Daymark, is_published, output, until};

/// Makes a plan by which a node returns only after some seconds, so that the first query surely comes earlier.
fn slow_to_believe(nodes: &Nodes) -> Plan {
    Plan { rise: 100, ..nodes.plan() }
}

/// Kills the process once its published answer is on the disk. The process itself does not wait for a very slow disk.
fn kill(daymark: Daymark) {
    until("the state file is written", || {
        let alarms = daymark.json("/api/v1/status")["alarms"].to_string();
        (!alarms.contains("state file")).then_some(())
    });
    daymark.kill();
}

#[test]
fn after_a_kill_the_first_query_gets_the_previous_answer_and_a_healed_node_needs_new_proof() {
    let nodes = Nodes::start(3);
    let config = nodes.write(&slow_to_believe(&nodes));
    let all = nodes.addresses();
    let daymark = Daymark::run(&config);
    daymark.answers(&all, "ready");
    nodes.set(1, Behaviour::Dead);
    daymark.answers(&[all[0], all[2]], "ready");
    let before = look_up(daymark.dns);
    kill(daymark);

    nodes.set(1, Behaviour::Ready);
    let daymark = Daymark::run(&config);
    assert_eq!(look_up(daymark.dns), before);
    assert_eq!(daymark.pool()["targets"][1]["grade"], "down");
    daymark.answers(&all, "ready");
    let events = daymark.json("/api/v1/events");
    let grades: Vec<_> = events.as_array().unwrap().iter().filter(|event| event["event"] == "grade").collect();
    assert_eq!(grades.len(), 1, "the grades of the other nodes are remembered: {grades:?}");
    assert_eq!((&grades[0]["from"], &grades[0]["to"]), (&"down".into(), &"ready".into()));
}

#[test]
fn after_a_kill_a_node_that_is_still_dead_stays_out() {
    let nodes = Nodes::start(2);
    let config = nodes.write(&nodes.plan());
    let all = nodes.addresses();
    let daymark = Daymark::run(&config);
    daymark.answers(&all, "ready");
    nodes.set(0, Behaviour::Dead);
    daymark.answers(&all[1..], "ready");
    kill(daymark);

    let daymark = Daymark::run(&config);
    assert_eq!(look_up(daymark.dns), all[1..].iter().copied().collect());
    until("the dead node is probed again", || daymark.pool()["targets"][0]["observed"].as_object().map(|_| ()));
    daymark.answers(&all[1..], "ready");
}

#[test]
fn a_drain_and_a_last_known_good_answer_survive_a_kill() {
    let nodes = Nodes::start(3);
    let config = nodes.write(&nodes.plan());
    let all = nodes.addresses();
    let daymark = Daymark::run(&config);
    daymark.answers(&all, "ready");
    let api = daymark.api();
    let token = nodes.path("state/admin.token");
    output(&["drain", "cp-3", "--api", &api, "--token-file", token.to_str().unwrap(), "--reason", "disk change"]);
    daymark.answers(&all[..2], "ready");
    nodes.set(0, Behaviour::Dead);
    nodes.set(1, Behaviour::Dead);
    nodes.set(2, Behaviour::Dead);
    until("the last good answer stands, which is saved before it is published", || {
        let status = daymark.json("/api/v1/status");
        (status["pools"][0]["basis"] == "lastKnownGood" && is_published(&status)).then_some(())
    });
    let answer = look_up(daymark.dns);
    kill(daymark);

    let daymark = Daymark::run(&config);
    assert_eq!(look_up(daymark.dns), answer);
    let status = daymark.json("/api/v1/status");
    assert_eq!(status["pools"][0]["basis"], "lastKnownGood");
    assert_eq!(status["pools"][0]["targets"][2]["override"]["reason"], "disk change");
    nodes.set(0, Behaviour::Ready);
    nodes.set(1, Behaviour::Ready);
    nodes.set(2, Behaviour::Ready);
    daymark.answers(&all[..2], "ready");
}

#[test]
fn the_serial_rises_across_changes_restarts_and_the_loss_of_the_state() {
    let nodes = Nodes::start(2);
    let config = nodes.write(&nodes.plan());
    let all = nodes.addresses();
    let daymark = Daymark::run(&config);
    daymark.answers(&all, "ready");
    let first = serial(daymark.dns);
    nodes.set(0, Behaviour::Dead);
    daymark.answers(&all[1..], "ready");
    let changed = serial(daymark.dns);
    assert!(changed > first, "{changed} after {first}");
    kill(daymark);

    let daymark = Daymark::run(&config);
    daymark.answers(&all[1..], "ready");
    let restarted = serial(daymark.dns);
    assert!(restarted > changed, "{restarted} after {changed}");
    kill(daymark);

    fs::remove_dir_all(nodes.path("state")).unwrap();
    let daymark = Daymark::run(&config);
    let forgotten = serial(daymark.dns);
    assert!(forgotten > restarted, "{forgotten} after {restarted}");
}
