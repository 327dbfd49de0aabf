//! Properties of the simulated cluster beyond single runs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use daymark_decision::Answer;
use daymark_simulation::fault::{Fault, NodeState};
use daymark_simulation::{Cluster, ClusterSize, Setup, run};

/// Runs the cluster until the answers of all hosts meet a condition. Returns the milliseconds that took, `max` at the most.
fn until_all(cluster: &mut Cluster, max: u64, condition: impl Fn(&Answer) -> bool) -> u64 {
    let start = cluster.now;
    loop {
        let now = cluster.now;
        if cluster.hosts.iter_mut().all(|host| host.answer(now).as_ref().is_some_and(&condition)) {
            return now - start;
        }
        assert!(now < start + max, "after {max} ms not every answer meets the condition");
        cluster.run_until(now + 10);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run_of = |seed| {
        let mut reports = Vec::new();
        let outcome = run(Setup::draw(seed), seed, |at, fault| reports.push(format!("{at} {fault}")));
        (reports, outcome)
    };
    assert_eq!(run_of(11), run_of(11));
    assert_ne!(run_of(11), run_of(12));
}

#[test]
fn nine_hosts_and_a_thousand_targets_agree_within_two_seconds_of_a_change() {
    let mut cluster = Cluster::new(ClusterSize { hosts: 9, nodes: 1_000 }, 3);
    until_all(&mut cluster, 60_000, |answer| answer.members.len() == 1_000);
    cluster.run_until(cluster.now + 5_000);

    let address = cluster.nodes[417].target.address;
    cluster.inject(&Fault::Node { node: 417, state: NodeState::Dead });
    let one = until_all(&mut cluster, 60_000, |answer| answer.members.iter().all(|member| member.address != address));
    assert!(one < 2_000, "one node: {one} ms");

    for node in 500..600 {
        cluster.inject(&Fault::Node { node, state: NodeState::Dead });
    }
    let many = until_all(&mut cluster, 60_000, |answer| answer.members.len() == 899);
    assert!(many < 2_000, "a hundred nodes at once: {many} ms");
    println!("the last of nine hosts: one node after {one} ms, a hundred at once after {many} ms");
}

#[test]
fn three_hosts_at_rest_send_little() {
    let mut cluster = Cluster::new(ClusterSize { hosts: 3, nodes: 3 }, 5);
    until_all(&mut cluster, 60_000, |answer| answer.members.len() == 3);
    let before = cluster.traffic;
    cluster.run_until(cluster.now + 60_000);
    let bytes = (cluster.traffic.bytes - before.bytes) / 3 / 60;
    assert!(bytes < 1_000, "{bytes} bytes a second of each host, unsealed");
}
