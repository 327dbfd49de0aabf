//! Single histories that were wrong once, or that random ones do not find.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use daymark_decision::{Basis, OverrideKind};
use daymark_simulation::faults::{Fault, OverrideEntry, State};
use daymark_simulation::{Setup, World};

const MINUTE: u64 = 60_000;

/// Three hosts and so many nodes that know each other.
fn world(nodes: usize) -> World {
    let mut world = World::new(Setup { hosts: 3, nodes }, 7);
    rest(&mut world, 15_000);
    world
}

fn rest(world: &mut World, millis: u64) {
    let end = world.now + millis;
    while world.step(end) {}
}

fn cut(world: &mut World, ways: &[(usize, usize)]) {
    for &(from, to) in ways {
        world.happen(&Fault::Line { from, to, is_cut: true });
    }
}

fn drain(world: &mut World, host: usize, node: usize, length: Option<u64>) {
    let drain = OverrideEntry::Set { kind: OverrideKind::Drain, length, insist: false };
    world.happen(&Fault::Say { host, node, word: drain });
}

/// The hosts on which any node is drained.
fn drained(world: &World) -> Vec<usize> {
    let has_one = |host: &usize| {
        let running = world.hosts[*host].running.as_ref();
        running.is_some_and(|running| running.engine.overrides().next().is_some())
    };
    (0..world.hosts.len()).filter(has_one).collect()
}

fn writers(world: &World) -> Vec<usize> {
    (0..world.hosts.len()).filter(|host| world.hosts[*host].may_write(world.now)).collect()
}

/// How long two hosts may write at once, and how long none may, in the time that goes by.
fn watch_writers(world: &mut World, millis: u64) -> (u64, u64) {
    let (end, mut two, mut none) = (world.now + millis, 0, 0);
    while world.now < end {
        rest(world, 50);
        match writers(world).len() {
            0 => none += 50,
            1 => {}
            _ => two += 50,
        }
    }
    (two, none)
}

#[test]
fn a_writer_that_is_cut_off_in_any_direction_stops_before_another_begins() {
    let (out, back) = ([(0, 1), (0, 2)], [(1, 0), (2, 0)]);
    for ways in [out.to_vec(), back.to_vec(), [out, back].concat()] {
        for delay in [1, 300] {
            let mut world = world(3);
            world.happen(&Fault::Weather { loss: 0, twice: 0, delay: (delay, delay) });
            rest(&mut world, 5_000);
            assert_eq!(writers(&world), [0]);
            cut(&mut world, &ways);
            let (two, none) = watch_writers(&mut world, 20_000);
            assert_eq!(two, 0, "{ways:?} cut, {delay} ms");
            assert!(none < 14_000, "{ways:?} cut, {delay} ms: nobody wrote for {none} ms");
            assert_eq!(writers(&world), [1]);
        }
    }
}

#[test]
fn a_writer_that_goes_mute_and_then_deaf_stops_before_another_begins() {
    for later in [1_000, 3_000, 4_900] {
        for delay in [1, 300, 1_000] {
            let mut world = world(3);
            world.happen(&Fault::Weather { loss: 0, twice: 0, delay: (delay, delay) });
            rest(&mut world, 15_000);
            assert_eq!(writers(&world), [0]);
            cut(&mut world, &[(0, 1), (0, 2)]);
            let (two, _) = watch_writers(&mut world, later);
            cut(&mut world, &[(1, 0), (2, 0)]);
            let (two, none) = (two + watch_writers(&mut world, 20_000).0, writers(&world));
            assert_eq!((two, none), (0, vec![1]), "deaf {later} ms later, {delay} ms");
        }
    }
}

#[test]
fn a_writer_that_is_cut_off_while_the_others_restart_stops_before_another_begins() {
    let mut world = world(3);
    assert_eq!(writers(&world), [0]);
    cut(&mut world, &[(0, 1), (0, 2), (1, 0), (2, 0)]);
    for host in [1, 2] {
        world.happen(&Fault::Start { host, has_memory: true, ahead: 0 });
    }
    assert_eq!((watch_writers(&mut world, 20_000).0, writers(&world)), (0, vec![1]));
}

#[test]
fn a_word_reaches_every_host_within_a_second_also_where_every_third_datagram_is_lost_or_one_path_is_cut() {
    for (loss, ways) in [(0, &[] as &[_]), (30, &[]), (0, &[(1, 2), (2, 1)]), (0, &[(1, 2)])] {
        let mut world = world(3);
        world.happen(&Fault::Weather { loss, twice: 0, delay: (20, 60) });
        cut(&mut world, ways);
        rest(&mut world, 5_000);
        drain(&mut world, 1, 0, None);
        rest(&mut world, 1_000);
        assert_eq!(drained(&world), [0, 1, 2], "{loss} % lost, {ways:?} cut");
        world.happen(&Fault::Say { host: 2, node: 0, word: OverrideEntry::Lift });
        rest(&mut world, 1_000);
        assert_eq!(drained(&world), [0; 0], "{loss} % lost, {ways:?} cut");
    }
}

#[test]
fn a_word_reaches_a_host_that_hears_and_is_not_heard() {
    let mut world = world(3);
    cut(&mut world, &[(0, 1), (0, 2)]);
    rest(&mut world, 8_000);
    drain(&mut world, 1, 0, None);
    rest(&mut world, 1_000);
    assert_eq!(drained(&world), [0, 1, 2]);
}

#[test]
fn a_timed_drain_lasts_over_a_restart_of_all_though_a_clock_is_wrong() {
    for ahead in [20 * 60_000, -20 * 60_000] {
        for apart in [0, 1_500] {
            let mut world = world(3);
            drain(&mut world, 1, 0, Some(3 * MINUTE));
            rest(&mut world, MINUTE);
            (0..3).for_each(|host| world.happen(&Fault::Kill(host)));
            rest(&mut world, 2_000);
            for host in 0..3 {
                let ahead = if host == 0 { ahead } else { 0 };
                world.happen(&Fault::Start { host, has_memory: true, ahead });
                rest(&mut world, apart);
            }
            rest(&mut world, MINUTE);
            assert_eq!(drained(&world), [0, 1, 2], "a clock is {ahead} ms ahead, starts {apart} ms apart");
            // Where a clock is behind, the drain lasts from the restart on once more, at the longest.
            rest(&mut world, 3 * MINUTE);
            assert_eq!(drained(&world), [0; 0], "a clock is {ahead} ms ahead, starts {apart} ms apart");
        }
    }
}

#[test]
fn where_each_host_reaches_another_node_what_any_reaches_is_answered() {
    let mut world = world(4);
    for (host, node) in (0..3).flat_map(|host| (0..3).map(move |node| (host, node))).filter(|(host, node)| host != node)
    {
        world.happen(&Fault::Way { host, node, is_cut: true });
    }
    rest(&mut world, 10_000);
    world.happen(&Fault::Node(3, State::Dead));
    rest(&mut world, 10_000);
    for host in 0..3 {
        let now = world.now;
        let answer = world.hosts[host].answer(now).unwrap();
        let names: Vec<&str> = answer.members.iter().map(|member| member.node.as_str()).collect();
        assert_eq!((answer.basis, names), (Basis::Minority, vec!["cp-0", "cp-1", "cp-2"]));
    }
}

#[test]
fn what_was_lifted_stays_lifted_though_the_node_went_and_came_while_a_host_was_away() {
    let mut world = world(3);
    drain(&mut world, 1, 0, None);
    rest(&mut world, 3_000);
    world.happen(&Fault::Kill(2));
    world.happen(&Fault::Say { host: 1, node: 0, word: OverrideEntry::Lift });
    for _ in 0..2 {
        rest(&mut world, 5_000);
        world.happen(&Fault::Reload { node: 0 });
    }
    rest(&mut world, 5_000);
    assert_eq!(drained(&world), [0; 0]);
    world.happen(&Fault::Start { host: 2, has_memory: true, ahead: 0 });
    rest(&mut world, 5_000);
    assert_eq!(drained(&world), [0; 0], "and the host that was away learns it");
}
