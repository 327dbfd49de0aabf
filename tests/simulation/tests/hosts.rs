//! Properties of the simulation that are not about a single history.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use daymark_simulation::checks::run_seed;
use daymark_simulation::faults::{Fault, NodeState};
use daymark_simulation::{Setup, Simulation};

/// The milliseconds until every host answers as expected.
fn until(simulation: &mut Simulation, limit: u64, is_expected: impl Fn(&daymark_decision::Answer) -> bool) -> u64 {
    let began = simulation.now;
    loop {
        let now = simulation.now;
        if (0..simulation.hosts.len()).all(|host| simulation.hosts[host].answer(now).as_ref().is_some_and(&is_expected))
        {
            return now - began;
        }
        assert!(now < began + limit, "after {limit} ms not every host answers so");
        while simulation.step(now + 10) {}
    }
}

#[test]
fn the_same_seed_gives_the_same_hihistory() {
    let history = |seed| {
        let mut faults = Vec::new();
        let outcome = run_seed(Setup { hosts: 5, nodes: 3 }, seed, |at, fault| faults.push(format!("{at} {fault}")));
        (faults, outcome)
    };
    assert_eq!(history(11), history(11));
    assert_ne!(history(11), history(12));
}

#[test]
fn nine_hosts_and_a_thousand_targets_agree_within_two_seconds_of_a_change() {
    let mut simulation = Simulation::new(Setup { hosts: 9, nodes: 1_000 }, 3);
    until(&mut simulation, 60_000, |answer| answer.members.len() == 1_000);
    let quiet = simulation.now + 5_000;
    while simulation.step(quiet) {}

    let address = simulation.nodes[417].0.address;
    simulation.apply(&Fault::Node(417, NodeState::Dead));
    let one = until(&mut simulation, 60_000, |answer| answer.members.iter().all(|member| member.address != address));
    assert!(one < 2_000, "one node: {one} ms");

    (500..600).for_each(|node| simulation.apply(&Fault::Node(node, NodeState::Dead)));
    let many = until(&mut simulation, 60_000, |answer| answer.members.len() == 899);
    assert!(many < 2_000, "a hundred nodes at once: {many} ms");
    println!("the last of nine hosts: one node after {one} ms, a hundred at once after {many} ms");
}

#[test]
fn three_hosts_at_rest_send_little() {
    let mut simulation = Simulation::new(Setup { hosts: 3, nodes: 3 }, 5);
    until(&mut simulation, 60_000, |answer| answer.members.len() == 3);
    let (before, began) = (simulation.traffic, simulation.now);
    while simulation.step(began + 60_000) {}
    let bytes = (simulation.traffic.bytes - before.bytes) / 3 / 60;
    assert!(bytes < 1_000, "{bytes} bytes a second of each host, unsealed");
}
