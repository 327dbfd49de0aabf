//! Single scenarios that failed once, or that random faults do not find.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use daymark_decision::{Basis, OverrideKind};
use daymark_simulation::fault::{Fault, NodeOnHost, NodeState, OperatorCommand, StateFile};
use daymark_simulation::network::{Disturbance, NodePath, PeerPath};
use daymark_simulation::{Cluster, ClusterSize};

const MINUTE: u64 = 60_000;

/// Three hosts that know each other, and this many nodes.
fn cluster(nodes: usize) -> Cluster {
    let mut cluster = Cluster::new(ClusterSize { hosts: 3, nodes }, 7);
    wait(&mut cluster, 15_000);
    cluster
}

fn wait(cluster: &mut Cluster, millis: u64) {
    cluster.run_until(cluster.now + millis);
}

fn path(from: usize, to: usize) -> PeerPath {
    PeerPath { from, to }
}

fn cut(cluster: &mut Cluster, paths: &[PeerPath]) {
    for &path in paths {
        cluster.inject(&Fault::PeerPath { path, is_cut: true });
    }
}

fn disturb(cluster: &mut Cluster, loss_percent: u8, min_delay_ms: u64, max_delay_ms: u64) {
    let disturbance = Disturbance { loss_percent, duplicate_percent: 0, min_delay_ms, max_delay_ms };
    cluster.inject(&Fault::Disturb(disturbance));
}

fn drain(cluster: &mut Cluster, at: NodeOnHost, duration_ms: Option<u64>) {
    let command = OperatorCommand::Set { kind: OverrideKind::Drain, duration_ms, insist: false };
    cluster.inject(&Fault::Command { at, command });
}

fn clear(cluster: &mut Cluster, at: NodeOnHost) {
    cluster.inject(&Fault::Command { at, command: OperatorCommand::Clear });
}

/// The hosts on which any node is drained.
fn drained(cluster: &Cluster) -> Vec<usize> {
    let has_override = |host: &usize| {
        let running = cluster.hosts[*host].running.as_ref();
        running.is_some_and(|running| running.engine.overrides().next().is_some())
    };
    (0..cluster.hosts.len()).filter(has_override).collect()
}

fn writers(cluster: &Cluster) -> Vec<usize> {
    (0..cluster.hosts.len()).filter(|host| cluster.hosts[*host].may_write(cluster.now)).collect()
}

/// The milliseconds during which more than one host held the writer lease, and those during which none did.
#[derive(Debug, Default)]
struct WriterTimes {
    several: u64,
    none: u64,
}

/// Lets time pass and measures the writer leases.
fn watch_writers(cluster: &mut Cluster, millis: u64) -> WriterTimes {
    let end = cluster.now + millis;
    let mut times = WriterTimes::default();
    while cluster.now < end {
        wait(cluster, 50);
        match writers(cluster).len() {
            0 => times.none += 50,
            1 => {}
            _ => times.several += 50,
        }
    }
    times
}

#[test]
fn a_writer_that_is_cut_off_in_any_direction_stops_before_another_begins() {
    let out = [path(0, 1), path(0, 2)];
    let back = [path(1, 0), path(2, 0)];
    for paths in [out.to_vec(), back.to_vec(), [out, back].concat()] {
        for delay in [1, 300] {
            let mut cluster = cluster(3);
            disturb(&mut cluster, 0, delay, delay);
            wait(&mut cluster, 5_000);
            assert_eq!(writers(&cluster), [0]);
            cut(&mut cluster, &paths);
            let times = watch_writers(&mut cluster, 20_000);
            assert_eq!(times.several, 0, "{paths:?} cut, {delay} ms");
            assert!(times.none < 14_000, "{paths:?} cut, {delay} ms: nobody wrote for {} ms", times.none);
            assert_eq!(writers(&cluster), [1]);
        }
    }
}

#[test]
fn a_writer_that_first_cannot_send_and_then_cannot_receive_stops_before_another_begins() {
    for later in [1_000, 3_000, 4_900] {
        for delay in [1, 300, 1_000] {
            let mut cluster = cluster(3);
            disturb(&mut cluster, 0, delay, delay);
            wait(&mut cluster, 15_000);
            assert_eq!(writers(&cluster), [0]);
            cut(&mut cluster, &[path(0, 1), path(0, 2)]);
            let before = watch_writers(&mut cluster, later);
            cut(&mut cluster, &[path(1, 0), path(2, 0)]);
            let after = watch_writers(&mut cluster, 20_000);
            assert_eq!(before.several + after.several, 0, "cannot receive {later} ms later, {delay} ms");
            assert_eq!(writers(&cluster), [1], "cannot receive {later} ms later, {delay} ms");
        }
    }
}

#[test]
fn a_writer_that_is_cut_off_while_the_others_restart_stops_before_another_begins() {
    let mut cluster = cluster(3);
    assert_eq!(writers(&cluster), [0]);
    cut(&mut cluster, &[path(0, 1), path(0, 2), path(1, 0), path(2, 0)]);
    for host in [1, 2] {
        cluster.inject(&Fault::Start { host, state_file: StateFile::Current, clock_offset_ms: None });
    }
    assert_eq!(watch_writers(&mut cluster, 20_000).several, 0);
    assert_eq!(writers(&cluster), [1]);
}

#[test]
fn an_override_reaches_every_host_within_a_second_over_lossy_and_cut_paths() {
    for (loss, cut_paths) in [(0, &[] as &[_]), (30, &[]), (0, &[path(1, 2), path(2, 1)]), (0, &[path(1, 2)])] {
        let mut cluster = cluster(3);
        disturb(&mut cluster, loss, 20, 60);
        cut(&mut cluster, cut_paths);
        wait(&mut cluster, 5_000);
        drain(&mut cluster, NodeOnHost { host: 1, node: 0 }, None);
        wait(&mut cluster, 1_000);
        assert_eq!(drained(&cluster), [0, 1, 2], "{loss} % lost, {cut_paths:?} cut");
        clear(&mut cluster, NodeOnHost { host: 2, node: 0 });
        wait(&mut cluster, 1_000);
        assert_eq!(drained(&cluster), [0; 0], "{loss} % lost, {cut_paths:?} cut");
    }
}

#[test]
fn an_override_reaches_a_host_that_receives_and_cannot_send() {
    let mut cluster = cluster(3);
    cut(&mut cluster, &[path(0, 1), path(0, 2)]);
    wait(&mut cluster, 8_000);
    drain(&mut cluster, NodeOnHost { host: 1, node: 0 }, None);
    wait(&mut cluster, 1_000);
    assert_eq!(drained(&cluster), [0, 1, 2]);
}

#[test]
fn a_timed_drain_lasts_over_a_restart_of_all_hosts_although_a_clock_is_wrong() {
    for clock_offset_ms in [20 * 60_000, -20 * 60_000] {
        for apart in [0, 1_500] {
            let mut cluster = cluster(3);
            drain(&mut cluster, NodeOnHost { host: 1, node: 0 }, Some(3 * MINUTE));
            wait(&mut cluster, MINUTE);
            (0..3).for_each(|host| cluster.inject(&Fault::Kill(host)));
            wait(&mut cluster, 2_000);
            for host in 0..3 {
                let clock_offset_ms = (host == 0).then_some(clock_offset_ms);
                cluster.inject(&Fault::Start { host, state_file: StateFile::Current, clock_offset_ms });
                wait(&mut cluster, apart);
            }
            wait(&mut cluster, MINUTE);
            assert_eq!(drained(&cluster), [0, 1, 2], "clock offset {clock_offset_ms} ms, starts {apart} ms apart");
            // If a clock is behind, the drain lasts its whole time once more from the restart on, at the most.
            wait(&mut cluster, 3 * MINUTE);
            assert_eq!(drained(&cluster), [0; 0], "clock offset {clock_offset_ms} ms, starts {apart} ms apart");
        }
    }
}

#[test]
fn hosts_that_each_reach_another_node_answer_all_nodes_that_any_host_reaches() {
    let mut cluster = cluster(4);
    let paths = (0..3).flat_map(|host| (0..3).map(move |node| NodePath { host, node }));
    for path in paths.filter(|path| path.host != path.node) {
        cluster.inject(&Fault::NodePath { path, is_cut: true });
    }
    wait(&mut cluster, 10_000);
    cluster.inject(&Fault::Node { node: 3, state: NodeState::Dead });
    wait(&mut cluster, 10_000);
    let now = cluster.now;
    for host in &mut cluster.hosts {
        let answer = host.answer(now).unwrap();
        let names: Vec<&str> = answer.members.iter().map(|member| member.node.as_str()).collect();
        assert_eq!((answer.basis(), names), (Basis::Minority, vec!["cp-0", "cp-1", "cp-2"]));
    }
}

#[test]
fn a_cleared_drain_stays_cleared_although_its_node_was_removed_and_added_while_a_host_was_down() {
    let mut cluster = cluster(3);
    drain(&mut cluster, NodeOnHost { host: 1, node: 0 }, None);
    wait(&mut cluster, 3_000);
    cluster.inject(&Fault::Kill(2));
    clear(&mut cluster, NodeOnHost { host: 1, node: 0 });
    for _ in 0..2 {
        wait(&mut cluster, 5_000);
        cluster.inject(&Fault::Reload { node: 0 });
    }
    wait(&mut cluster, 5_000);
    assert_eq!(drained(&cluster), [0; 0]);
    cluster.inject(&Fault::Start { host: 2, state_file: StateFile::Current, clock_offset_ms: None });
    wait(&mut cluster, 5_000);
    assert_eq!(drained(&cluster), [0; 0], "and the host that was down learns it");
}
