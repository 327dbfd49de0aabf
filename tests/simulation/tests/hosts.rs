//! What the simulation shows beyond single histories.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use daymark_simulation::faults::{Fault, State};
use daymark_simulation::judge::play;
use daymark_simulation::{Setup, World};

/// How many milliseconds it takes until every host answers as told.
fn until(world: &mut World, most: u64, is_it: impl Fn(&daymark_decision::Answer) -> bool) -> u64 {
    let began = world.now;
    loop {
        let now = world.now;
        if (0..world.hosts.len()).all(|host| world.hosts[host].answer(now).as_ref().is_some_and(&is_it)) {
            return now - began;
        }
        assert!(now < began + most, "after {most} ms not every host answers so");
        while world.step(now + 10) {}
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let mut told = Vec::new();
        let outcome = play(Setup { hosts: 5, nodes: 3 }, seed, |at, what| told.push(format!("{at} {what}")));
        (told, outcome)
    };
    assert_eq!(story(11), story(11));
    assert_ne!(story(11), story(12));
}

#[test]
fn nine_hosts_and_a_thousand_targets_agree_within_two_seconds_of_a_change() {
    let mut world = World::new(Setup { hosts: 9, nodes: 1_000 }, 3);
    until(&mut world, 60_000, |answer| answer.members.len() == 1_000);
    let quiet = world.now + 5_000;
    while world.step(quiet) {}

    let address = world.nodes[417].0.address;
    world.happen(&Fault::Node(417, State::Dead));
    let one = until(&mut world, 60_000, |answer| answer.members.iter().all(|member| member.address != address));
    assert!(one < 2_000, "one node: {one} ms");

    (500..600).for_each(|node| world.happen(&Fault::Node(node, State::Dead)));
    let many = until(&mut world, 60_000, |answer| answer.members.len() == 899);
    assert!(many < 2_000, "a hundred nodes at once: {many} ms");
    println!("the last of nine hosts: one node after {one} ms, a hundred at once after {many} ms");
}

#[test]
fn three_hosts_at_rest_send_little() {
    let mut world = World::new(Setup { hosts: 3, nodes: 3 }, 5);
    until(&mut world, 60_000, |answer| answer.members.len() == 3);
    let (before, began) = (world.traffic, world.now);
    while world.step(began + 60_000) {}
    let bytes = (world.traffic.bytes - before.bytes) / 3 / 60;
    assert!(bytes < 1_000, "{bytes} bytes a second of each host, unsealed");
}
