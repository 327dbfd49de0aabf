//! Single histories that failed once, or that random seeds do not reach.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use daymark_decision::{Basis, OverrideKind};
use daymark_simulation::faults::{Fault, NodeState, OperatorAction};
use daymark_simulation::{Setup, Simulation};

const MINUTE: u64 = 60_000;

/// Starts three hosts that reach each other, and a number of nodes.
fn simulation(nodes: usize) -> Simulation {
    let mut simulation = Simulation::new(Setup { hosts: 3, nodes }, 7);
    rest(&mut simulation, 15_000);
    simulation
}

fn rest(simulation: &mut Simulation, millis: u64) {
    let end = simulation.now + millis;
    while simulation.step(end) {}
}

fn cut(simulation: &mut Simulation, ways: &[(usize, usize)]) {
    for &(from, to) in ways {
        simulation.apply(&Fault::HostToHost { from, to, is_cut: true });
    }
}

fn drain(simulation: &mut Simulation, host: usize, node: usize, length: Option<u64>) {
    let drain = OperatorAction::Set { kind: OverrideKind::Drain, length, insist: false };
    simulation.apply(&Fault::Operator { host, node, action: drain });
}

/// The hosts on which a node is drained.
fn drained(simulation: &Simulation) -> Vec<usize> {
    let has_one = |host: &usize| {
        let running = simulation.hosts[*host].running.as_ref();
        running.is_some_and(|running| running.engine.overrides().next().is_some())
    };
    (0..simulation.hosts.len()).filter(has_one).collect()
}

fn writers(simulation: &Simulation) -> Vec<usize> {
    (0..simulation.hosts.len()).filter(|host| simulation.hosts[*host].may_write(simulation.now)).collect()
}

/// Lets time pass, and measures for how long two hosts may write at once, and for how long none may.
fn watch_writers(simulation: &mut Simulation, millis: u64) -> (u64, u64) {
    let (end, mut two, mut none) = (simulation.now + millis, 0, 0);
    while simulation.now < end {
        rest(simulation, 50);
        match writers(simulation).len() {
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
            let mut simulation = simulation(3);
            simulation.apply(&Fault::Network { loss: 0, duplicates: 0, delay: (delay, delay) });
            rest(&mut simulation, 5_000);
            assert_eq!(writers(&simulation), [0]);
            cut(&mut simulation, &ways);
            let (two, none) = watch_writers(&mut simulation, 20_000);
            assert_eq!(two, 0, "{ways:?} cut, {delay} ms");
            assert!(none < 14_000, "{ways:?} cut, {delay} ms: nobody wrote for {none} ms");
            assert_eq!(writers(&simulation), [1]);
        }
    }
}

#[test]
fn a_writer_that_loses_its_outgoing_and_then_its_incoming_paths_stops_before_another_begins() {
    for later in [1_000, 3_000, 4_900] {
        for delay in [1, 300, 1_000] {
            let mut simulation = simulation(3);
            simulation.apply(&Fault::Network { loss: 0, duplicates: 0, delay: (delay, delay) });
            rest(&mut simulation, 15_000);
            assert_eq!(writers(&simulation), [0]);
            cut(&mut simulation, &[(0, 1), (0, 2)]);
            let (two, _) = watch_writers(&mut simulation, later);
            cut(&mut simulation, &[(1, 0), (2, 0)]);
            let (two, none) = (two + watch_writers(&mut simulation, 20_000).0, writers(&simulation));
            assert_eq!((two, none), (0, vec![1]), "incoming paths cut {later} ms later, {delay} ms");
        }
    }
}

#[test]
fn a_writer_that_is_cut_off_while_the_others_restart_stops_before_another_begins() {
    let mut simulation = simulation(3);
    assert_eq!(writers(&simulation), [0]);
    cut(&mut simulation, &[(0, 1), (0, 2), (1, 0), (2, 0)]);
    for host in [1, 2] {
        simulation.apply(&Fault::Start { host, has_memory: true, ahead: 0 });
    }
    assert_eq!((watch_writers(&mut simulation, 20_000).0, writers(&simulation)), (0, vec![1]));
}

#[test]
fn an_override_reaches_every_host_within_a_second_despite_lost_datagrams_or_a_cut_path() {
    for (loss, ways) in [(0, &[] as &[_]), (30, &[]), (0, &[(1, 2), (2, 1)]), (0, &[(1, 2)])] {
        let mut simulation = simulation(3);
        simulation.apply(&Fault::Network { loss, duplicates: 0, delay: (20, 60) });
        cut(&mut simulation, ways);
        rest(&mut simulation, 5_000);
        drain(&mut simulation, 1, 0, None);
        rest(&mut simulation, 1_000);
        assert_eq!(drained(&simulation), [0, 1, 2], "{loss} % lost, {ways:?} cut");
        simulation.apply(&Fault::Operator { host: 2, node: 0, action: OperatorAction::Clear });
        rest(&mut simulation, 1_000);
        assert_eq!(drained(&simulation), [0; 0], "{loss} % lost, {ways:?} cut");
    }
}

#[test]
fn an_override_reaches_a_host_whose_outgoing_paths_are_cut() {
    let mut simulation = simulation(3);
    cut(&mut simulation, &[(0, 1), (0, 2)]);
    rest(&mut simulation, 8_000);
    drain(&mut simulation, 1, 0, None);
    rest(&mut simulation, 1_000);
    assert_eq!(drained(&simulation), [0, 1, 2]);
}

#[test]
fn a_timed_drain_survives_a_restart_of_all_hosts_with_a_wrong_clock() {
    for ahead in [20 * 60_000, -20 * 60_000] {
        for apart in [0, 1_500] {
            let mut simulation = simulation(3);
            drain(&mut simulation, 1, 0, Some(3 * MINUTE));
            rest(&mut simulation, MINUTE);
            (0..3).for_each(|host| simulation.apply(&Fault::Kill(host)));
            rest(&mut simulation, 2_000);
            for host in 0..3 {
                let ahead = if host == 0 { ahead } else { 0 };
                simulation.apply(&Fault::Start { host, has_memory: true, ahead });
                rest(&mut simulation, apart);
            }
            rest(&mut simulation, MINUTE);
            assert_eq!(drained(&simulation), [0, 1, 2], "a clock is {ahead} ms ahead, starts {apart} ms apart");
            // If a clock is behind, the drain lasts at most once more from the restart on.
            rest(&mut simulation, 3 * MINUTE);
            assert_eq!(drained(&simulation), [0; 0], "a clock is {ahead} ms ahead, starts {apart} ms apart");
        }
    }
}

#[test]
fn a_node_that_any_host_reaches_is_answered_if_each_host_reaches_another_one() {
    let mut simulation = simulation(4);
    for (host, node) in (0..3).flat_map(|host| (0..3).map(move |node| (host, node))).filter(|(host, node)| host != node)
    {
        simulation.apply(&Fault::HostToNode { host, node, is_cut: true });
    }
    rest(&mut simulation, 10_000);
    simulation.apply(&Fault::Node(3, NodeState::Dead));
    rest(&mut simulation, 10_000);
    for host in 0..3 {
        let now = simulation.now;
        let answer = simulation.hosts[host].answer(now).unwrap();
        let names: Vec<&str> = answer.members.iter().map(|member| member.node.as_str()).collect();
        assert_eq!((answer.basis, names), (Basis::Minority, vec!["cp-0", "cp-1", "cp-2"]));
    }
}

#[test]
fn a_cleared_override_stays_cleared_on_a_host_that_was_away_while_the_node_left_and_returned() {
    let mut simulation = simulation(3);
    drain(&mut simulation, 1, 0, None);
    rest(&mut simulation, 3_000);
    simulation.apply(&Fault::Kill(2));
    simulation.apply(&Fault::Operator { host: 1, node: 0, action: OperatorAction::Clear });
    for _ in 0..2 {
        rest(&mut simulation, 5_000);
        simulation.apply(&Fault::Reload { node: 0 });
    }
    rest(&mut simulation, 5_000);
    assert_eq!(drained(&simulation), [0; 0]);
    simulation.apply(&Fault::Start { host: 2, has_memory: true, ahead: 0 });
    rest(&mut simulation, 5_000);
    assert_eq!(drained(&simulation), [0; 0], "and the host that was away learns it");
}
