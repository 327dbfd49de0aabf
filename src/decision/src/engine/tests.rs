use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::answer::Basis;
use crate::fixtures::{self, host_name, node_name};
use crate::observation::Kind;
use crate::operator_override::OverrideKind;
use crate::override_entry::{HybridTimestamp, OverrideEntry, OverrideState, RevertedDrain};
use crate::policy::TtlRange;
use crate::quorum::Vote;

fn pool(name: &str, addresses: &[&str]) -> Pool {
    let node = |(address, n): (&&str, usize)| fixtures::node(&format!("cp-{n}"), &[address]);
    fixtures::quick_pool(name, addresses.iter().zip(1..).map(node).collect())
}

fn at(secs: u64) -> Moment {
    Moment::from_millis(1_000_000_000 + secs * 1000)
}

fn engine(pools: &[Pool], members: usize) -> Engine {
    let membership = (members > 1).then(|| fixtures::membership(1, 1..=members));
    Engine::new(membership, pools.to_vec(), Memory::default(), at(0))
}

fn target(pool: &Pool, index: usize) -> Target {
    pool.targets().nth(index).unwrap()
}

fn observe(engine: &mut Engine, target: &Target, kind: Kind, secs: u64) {
    engine.handle_observation(target, &fixtures::observation(kind), at(secs));
}

/// A drain without an expiry.
fn drain_since(secs: u64) -> Override {
    Override {
        kind: OverrideKind::Drain,
        reason: String::new(),
        author: String::new(),
        since: at(secs),
        until: None,
        host: None,
    }
}

fn set(pool: &Pool, node: &str, requested: Override) -> Command {
    Command::SetOverride { pool: pool.name.clone(), node: node_name(node), requested, insist: false }
}

fn for_node(pool: &Pool, node: &str, entry: OverrideEntry) -> NodeOverride {
    NodeOverride { key: pool.node_key(&node_name(node)), entry }
}

/// An entry without a causal context.
fn entry(timestamp: HybridTimestamp, state: OverrideState) -> OverrideEntry {
    OverrideEntry {
        timestamp,
        causal_context: Vec::new(),
        context_revision: 0,
        insist: false,
        state,
        expiry_uncertain: false,
    }
}

fn view(host: &str, votes: BTreeMap<Target, Vote>) -> PeerView {
    let host = host_name(host);
    PeerView {
        reachable: [host.clone()].into(),
        host,
        incarnation: 1,
        sequence: 1,
        votes: votes.into(),
        abstains: false,
        eligible_writer: true,
    }
}

#[test]
fn each_pool_has_its_own_answer_and_the_newest_generation_is_the_decisions() {
    let [a, b] = [pool("a.example.org", &["192.0.2.1", "192.0.2.2"]), pool("b.example.org", &["192.0.2.3"])];
    let mut engine = engine(&[a.clone(), b.clone()], 1);
    let before = engine.decide(at(0));
    observe(&mut engine, &target(&a, 0), Kind::Refused, 1);
    observe(&mut engine, &target(&a, 1), Kind::Ready, 1);
    let after = engine.decide(at(1));
    assert_eq!(after.answer(&b.name), before.answer(&b.name), "the other pool is as it was");
    let answer = after.answer(&a.name).unwrap();
    assert_eq!((answer.basis(), answer.members.len()), (Basis::Ready, 1));
    assert!(answer.generation > before.generation);
    assert_eq!(answer.generation, after.generation);
}

#[test]
fn a_reload_gives_every_answer_a_new_generation_and_drops_the_answers_of_removed_pools() {
    let [a, b] = [pool("a.example.org", &["192.0.2.1"]), pool("b.example.org", &["192.0.2.3"])];
    let mut engine = engine(&[a.clone(), b], 1);
    let before = engine.decide(at(0));
    engine.handle_policy(vec![a.clone()], at(0));
    let after = engine.decide(at(0));
    assert_eq!(after.answers.len(), 1);
    assert!(after.answer(&a.name).unwrap().generation > before.generation);
}

#[test]
fn an_address_keeps_its_state_under_another_node_name() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let mut engine = engine(std::slice::from_ref(&a), 1);
    for (index, kind) in [Kind::Ready, Kind::Ready, Kind::ConnectTimeout].into_iter().enumerate() {
        observe(&mut engine, &target(&a, index), kind, 1);
    }
    let in_answer = |engine: &mut Engine| {
        let decision = engine.decide(at(2));
        let answer = decision.answer(&a.name).unwrap();
        (answer.basis(), answer.members.iter().map(|member| member.address).collect::<Vec<_>>())
    };
    let before = in_answer(&mut engine);
    let mut renamed = a.clone();
    assert_eq!((before.0, before.1.len()), (Basis::Ready, 2));
    renamed.nodes.iter_mut().for_each(|node| node.name = node_name(&format!("new-{}", node.name)));
    engine.handle_policy(vec![renamed.clone()], at(2));
    assert_eq!(in_answer(&mut engine), before);
    // The last known good answer has the new names too.
    (0..2).for_each(|index| observe(&mut engine, &target(&renamed, index), Kind::ConnectTimeout, 2));
    assert_eq!(in_answer(&mut engine), (Basis::LastKnownGood, before.1));
}

#[test]
fn an_observation_of_an_unknown_target_changes_nothing() {
    let a = pool("a.example.org", &["192.0.2.1"]);
    let other = pool("x.example.org", &["192.0.2.9"]);
    let mut engine = engine(std::slice::from_ref(&a), 1);
    let before = engine.decide(at(0));
    observe(&mut engine, &target(&other, 0), Kind::Ready, 0);
    assert_eq!(engine.decide(at(0)), before);
}

#[test]
fn a_host_that_becomes_isolated_through_one_pool_abstains_in_every_pool() {
    let [a, b] = [pool("a.example.org", &["192.0.2.1"]), pool("b.example.org", &["192.0.2.3", "192.0.2.4"])];
    let mut engine = engine(&[a.clone(), b.clone()], 2);
    for target in [target(&a, 0), target(&b, 0), target(&b, 1)] {
        observe(&mut engine, &target, Kind::Ready, 0);
    }
    observe(&mut engine, &target(&b, 1), Kind::Refused, 1);
    let down = Vote { grade: Grade::Down, ..Vote::default() };
    let votes = b.targets().map(|target| (target, down)).collect();
    assert!(engine.handle_peer_view(view("dns-2", votes), at(1), at(1)));
    assert_eq!((engine.quorum_state(), engine.is_isolated()), (QuorumState::Quorum, false));
    assert_eq!(engine.decide(at(1)).answer(&b.name).unwrap().members.len(), 1, "half is no majority");
    observe(&mut engine, &target(&b, 0), Kind::Refused, 2);
    observe(&mut engine, &target(&a, 0), Kind::Refused, 2);
    assert_eq!((engine.quorum_state(), engine.is_isolated()), (QuorumState::Quorum, true), "its vote does not count");
    assert_eq!(engine.decide(at(2)).answer(&b.name).unwrap().basis(), Basis::LastKnownGood);
}

#[test]
fn an_isolated_host_abstains_and_counts_again_in_every_pool_once_it_reaches_a_target() {
    let [a, b] = [pool("a.example.org", &["192.0.2.1"]), pool("b.example.org", &["192.0.2.3", "192.0.2.4"])];
    let mut engine = engine(&[a.clone(), b.clone()], 3);
    let first = target(&b, 0);
    let second = target(&b, 1);
    for target in [target(&a, 0), first.clone(), second.clone()] {
        observe(&mut engine, &target, Kind::Refused, 0);
    }
    for (host, of_first) in [("dns-2", Grade::Ready), ("dns-3", Grade::Down)] {
        let vote = |grade| Vote { grade, ..Vote::default() };
        let votes = [(first.clone(), vote(of_first)), (second.clone(), vote(Grade::Ready))].into();
        assert!(engine.handle_peer_view(view(host, votes), at(1), at(1)));
    }
    let addresses = |engine: &mut Engine| {
        let decision = engine.decide(at(1));
        decision.answer(&b.name).unwrap().members.iter().map(|member| member.address).collect::<Vec<_>>()
    };
    assert!(engine.is_isolated());
    assert_eq!(addresses(&mut engine), [first.address, second.address], "one of two votes is no majority");
    observe(&mut engine, &target(&a, 0), Kind::Ready, 1);
    assert!(!engine.is_isolated());
    assert_eq!(addresses(&mut engine), [second.address], "two of three votes are one");
}

#[test]
fn the_negative_ttl_is_that_of_the_policy() {
    let mut pool = pool("a.example.org", &["192.0.2.1"]);
    pool.ttl = TtlRange { min: 2, max: 30 };
    pool.negative_ttl = 3;
    let mut engine = engine(&[pool.clone()], 1);
    observe(&mut engine, &target(&pool, 0), Kind::Ready, 0);
    let answer = engine.decide(at(0)).answers.remove(0);
    assert_eq!((answer.ttl, answer.negative_ttl), (30, 3));
}

#[test]
fn a_drain_that_leaves_only_a_forced_dead_node_is_refused() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut engine = engine(std::slice::from_ref(&a), 1);
    observe(&mut engine, &target(&a, 0), Kind::Ready, 0);
    observe(&mut engine, &target(&a, 1), Kind::Refused, 0);
    let force = Override { kind: OverrideKind::Force, ..drain_since(0) };
    assert_eq!(engine.handle_command(set(&a, "cp-2", force), at(0)), Ok(()));
    let refusal = engine.handle_command(set(&a, "cp-1", drain_since(0)), at(0));
    assert!(matches!(refusal, Err(Refusal::LastUsable { .. })), "an override says nothing of health: {refusal:?}");
    assert_eq!(engine.decide(at(0)).answers[0].members.len(), 2);
}

#[test]
fn a_memory_written_by_a_clock_ahead_keeps_the_length_of_an_override() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut first = engine(std::slice::from_ref(&a), 1);
    let requested = Override { until: Some(at(10_600)), ..drain_since(10_000) };
    assert_eq!(first.handle_command(set(&a, "cp-2", requested), at(10_000)), Ok(()));
    let memory = Memory { generation: u64::MAX, ..first.memory() };

    let membership = None;
    let mut second = Engine::new(membership, vec![a], memory, at(5));
    let (_, active) = second.overrides().next().unwrap();
    assert_eq!((active.since, active.until), (at(5), Some(at(605))));
    let before = second.decide(at(5)).generation;
    assert!(second.decide(at(605)).generation > before, "there is always a next generation");
}

#[test]
fn overrides_set_before_a_host_had_peers_get_its_name() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let mut first = engine(std::slice::from_ref(&a), 1);
    for node in ["cp-1", "cp-2"] {
        assert_eq!(first.handle_command(set(&a, node, drain_since(1)), at(1)), Ok(()));
    }

    let own = host_name("dns-1");
    let second = Engine::new(Some(fixtures::membership(1, 1..=2)), vec![a], first.memory(), at(5));
    let entries: Vec<&OverrideEntry> = second.override_entries().map(|(_, entry)| entry).collect();
    let own = Some(own);
    assert!(entries.iter().all(|entry| entry.timestamp.host == own && entry.active().unwrap().host == own));
    assert_eq!(entries[1].causal_context, [entries[0].timestamp.clone()], "they still know of each other");
}

#[test]
fn a_vote_counts_by_address_if_the_other_host_has_another_name_for_the_node() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut engine = engine(std::slice::from_ref(&a), 3);
    let named = |of: Target, node: &str| Target { node: node_name(node), ..of };
    let ready = Vote { grade: Grade::Ready, ..Vote::default() };
    for host in ["dns-2", "dns-3"] {
        let votes = [(named(target(&a, 0), "other-1"), ready), (named(target(&a, 1), "another-2"), ready)];
        engine.handle_peer_view(view(host, votes.into()), at(1), at(1));
    }
    observe(&mut engine, &target(&a, 0), Kind::Ready, 2);
    (0..3).for_each(|_| observe(&mut engine, &target(&a, 1), Kind::Refused, 2));
    assert!(engine.verdicts().all(|(_, verdict)| *verdict == Grade::Ready), "two of three reach the second");
}

#[test]
fn the_memory_of_nodes_that_are_not_configured_is_dropped() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut first = engine(std::slice::from_ref(&a), 1);
    observe(&mut first, &target(&a, 0), Kind::Ready, 0);
    observe(&mut first, &target(&a, 1), Kind::Ready, 0);
    assert_eq!(first.handle_command(set(&a, "cp-2", drain_since(0)), at(0)), Ok(()));

    let membership = None;
    let smaller = pool("a.example.org", &["192.0.2.1"]);
    let mut second = Engine::new(membership, vec![smaller], first.memory(), at(1));
    assert_eq!(second.overrides().count(), 0);
    assert_eq!(second.healths().count(), 1);
    assert_eq!(second.decide(at(1)).answers[0].basis(), Basis::Ready);
}

#[test]
fn an_override_that_has_already_ended_is_refused() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut engine = engine(std::slice::from_ref(&a), 1);
    let requested = Override { until: Some(at(0)), ..drain_since(0) };
    let set = Command::SetOverride { pool: a.name.clone(), node: node_name("cp-1"), requested, insist: true };
    assert_eq!(engine.handle_command(set, at(0)), Err(Refusal::Expired { until: at(0) }));
}

#[test]
fn an_engine_is_settled_when_every_target_of_every_pool_is() {
    let [a, b] = [pool("a.example.org", &["192.0.2.1"]), pool("b.example.org", &["192.0.2.2"])];
    let mut first = engine(&[a.clone(), b.clone()], 1);
    observe(&mut first, &target(&a, 0), Kind::Ready, 1);
    assert!(!first.is_settled());
    observe(&mut first, &target(&b, 0), Kind::Refused, 2);
    assert!(first.is_settled());
    let membership = None;
    let second = Engine::new(membership, vec![a, b], first.memory(), at(3));
    assert!(!second.is_settled(), "restored targets have not been probed yet");
}

#[test]
fn an_answer_has_verdicts_once_every_target_has_one() {
    let pool = pool("lb.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut engine = engine(std::slice::from_ref(&pool), 1);
    let has_verdicts = |engine: &mut Engine, secs| engine.decide(at(secs)).answers[0].has_verdicts();
    assert!(!has_verdicts(&mut engine, 0));
    observe(&mut engine, &target(&pool, 0), Kind::Ready, 1);
    assert!(!has_verdicts(&mut engine, 1), "the second one has none");
    observe(&mut engine, &target(&pool, 1), Kind::Refused, 2);
    assert!(has_verdicts(&mut engine, 2));

    let memory = engine.memory();
    let membership = None;
    let mut restored = Engine::new(membership, vec![pool], memory, at(3));
    assert!(has_verdicts(&mut restored, 3), "a verdict of an earlier run counts");
}

#[test]
fn a_bootstrap_answer_has_verdicts_once_every_target_is_down() {
    let pool = pool("lb.example.org", &["192.0.2.1"]);
    let mut engine = engine(std::slice::from_ref(&pool), 1);
    assert!(!engine.decide(at(0)).answers[0].has_verdicts());
    observe(&mut engine, &target(&pool, 0), Kind::Refused, 1);
    let answer = engine.decide(at(1)).answers.remove(0);
    assert_eq!((answer.basis(), answer.has_verdicts()), (Basis::Bootstrap, true));
}

#[test]
fn two_hosts_that_revert_a_drain_because_of_different_drains_converge() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let reverted = |other: &str| {
        let host = Some(host_name("dns-3"));
        let timestamp = HybridTimestamp { time: at(0).as_millis(), host: host.clone() };
        let reverted = RevertedDrain { drain: drain_since(0), node: node_name(other), host };
        for_node(&a, "cp-1", entry(timestamp, OverrideState::Reverted(reverted)))
    };
    let merged = |others: [&str; 2]| {
        let mut engine = engine(std::slice::from_ref(&a), 3);
        for other in others {
            engine.handle_override_entries([reverted(other)], at(1));
        }
        engine.override_entries().map(|(_, entry)| entry.state.clone()).collect::<Vec<_>>()
    };
    assert_eq!(merged(["cp-2", "cp-3"]), merged(["cp-3", "cp-2"]));
}

#[test]
fn a_host_that_starts_with_its_clock_ahead_expires_no_drain_that_other_hosts_keep() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let own = host_name("dns-1");
    let requested = |until: u64| Override { until: Some(at(until)), host: Some(own.clone()), ..drain_since(0) };
    let mut former = engine(std::slice::from_ref(&a), 3);
    former.handle_peer_view(view("dns-2", BTreeMap::new()), at(0), at(0));
    former.handle_command(set(&a, "cp-1", requested(600)), at(0)).unwrap();
    let stored = former.override_entries().next().unwrap().1.clone();
    // Another host has the same entry, by this host's clock, which is twenty minutes ahead.
    let again = |state| for_node(&a, "cp-1", OverrideEntry { state, ..stored.clone() });
    let uncertain = |until| {
        let NodeOverride { key, entry } = again(OverrideState::Active(requested(until)));
        [NodeOverride { key, entry: OverrideEntry { expiry_uncertain: true, ..entry } }]
    };
    let expiry_uncertain = |engine: &Engine| engine.override_entries().next().unwrap().1.expiry_uncertain;
    let start = || Engine::new(former.membership.clone(), vec![a.clone()], former.memory(), at(1_200));
    let ends = |engine: &mut Engine, secs| {
        engine.decide(at(secs));
        engine.overrides().next().map(|(_, active)| active.until.unwrap())
    };

    let mut informed = start();
    assert_eq!(ends(&mut informed, 1_204), Some(at(600)));
    assert!(expiry_uncertain(&informed));
    informed.handle_override_entries([again(OverrideState::Active(requested(1_790)))], at(1_204));
    assert!(!expiry_uncertain(&informed));
    informed.handle_override_entries(uncertain(3_000), at(1_204));
    assert_eq!(ends(&mut informed, 1_789), Some(at(1_790)), "a certain expiry ignores an uncertain one");
    assert_eq!(ends(&mut informed, 1_790), None);

    let mut informed_of_the_end = start();
    informed_of_the_end.handle_override_entries([again(OverrideState::Cleared)], at(1_201));
    assert_eq!(ends(&mut informed_of_the_end, 1_201), None);

    let mut uninformed = start();
    let revision = uninformed.revision();
    assert_eq!(ends(&mut uninformed, 1_205), None, "no host knows better");
    assert!(uninformed.revision() > revision && !expiry_uncertain(&uninformed));

    // All hosts have just started. None knows the expiry for certain, so the latest one counts.
    let mut unsure = start();
    unsure.handle_override_entries(uncertain(1_790), at(1_201));
    unsure.handle_override_entries(uncertain(1_600), at(1_202));
    assert_eq!((ends(&mut unsure, 1_204), expiry_uncertain(&unsure)), (Some(at(1_790)), true));
    unsure.handle_override_entries(uncertain(1_793), at(1_204));
    assert_eq!(
        (ends(&mut unsure, 1_789), expiry_uncertain(&unsure)),
        (Some(at(1_790)), false),
        "the difference is the time of transport"
    );
    let mut fresh = engine(std::slice::from_ref(&a), 3);
    fresh.handle_override_entries(uncertain(600), at(100));
    assert_eq!((ends(&mut fresh, 104), expiry_uncertain(&fresh)), (Some(at(600)), true));
    assert_eq!((ends(&mut fresh, 105), expiry_uncertain(&fresh)), (Some(at(600)), false));
}

#[test]
fn a_cleared_override_stays_cleared_if_its_node_was_not_configured_meanwhile() {
    let long = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let short = pool("a.example.org", &["192.0.2.1"]);
    let name = long.name.clone();
    let node = node_name("cp-2");
    let mut engine = engine(std::slice::from_ref(&long), 1);
    engine.handle_command(set(&long, "cp-2", drain_since(0)), at(0)).unwrap();
    let drained = engine.override_entries().next().unwrap().1.clone();
    engine.handle_policy(vec![short.clone()], at(1));
    assert_eq!(engine.overrides().count(), 0, "the node is not configured now");
    engine.handle_policy(vec![long.clone()], at(2));
    assert_eq!(engine.overrides().count(), 1);
    engine.handle_command(Command::ClearOverride { pool: name.clone(), node: node.clone() }, at(3)).unwrap();
    engine.handle_policy(vec![short.clone()], at(4));
    let mut engine = Engine::new(engine.membership.clone(), vec![short], engine.memory(), at(5));
    engine.handle_override_entries([NodeOverride { key: NodeKey { pool: name, node }, entry: drained }], at(6));
    engine.handle_policy(vec![long], at(7));
    assert_eq!(engine.overrides().count(), 0);
}

#[test]
fn an_override_from_more_than_a_hundred_years_ahead_changes_nothing() {
    let a = pool("a.example.org", &["192.0.2.1"]);
    let mut engine = engine(std::slice::from_ref(&a), 3);
    let latest = at(1).after(std::time::Duration::from_hours(100 * 365 * 24)).as_millis();
    let newest = |engine: &Engine| engine.override_entries().map(|(_, entry)| entry.timestamp.time).max();
    for time in [latest, latest + 1, u64::MAX] {
        let timestamp = HybridTimestamp { time, host: Some(host_name("dns-2")) };
        engine.handle_override_entries([for_node(&a, "cp-1", entry(timestamp, OverrideState::Cleared))], at(1));
        assert_eq!(newest(&engine), Some(latest), "{time}");
    }
}

#[test]
fn the_latest_pending_overrides_are_kept_up_to_the_limit() {
    let a = pool("a.example.org", &["192.0.2.1"]);
    let mut engine = engine(std::slice::from_ref(&a), 3);
    let cleared = |n: u64| {
        let timestamp = HybridTimestamp { time: n, host: Some(host_name("dns-2")) };
        for_node(&a, &format!("gone-{n}"), entry(timestamp, OverrideState::Cleared))
    };
    engine.handle_override_entries((1..=150).map(cleared), at(1));
    engine.handle_policy(vec![a.clone()], at(2));
    let times = |engine: &Engine| -> Vec<u64> {
        engine.override_entries().map(|(_, entry)| entry.timestamp.time).filter(|time| *time > 0).collect()
    };
    assert_eq!((times(&engine).len(), times(&engine).iter().min()), (100, Some(&51)));
    engine.handle_override_entries((1..=160).map(cleared), at(3));
    assert_eq!(
        (times(&engine).len(), times(&engine).iter().min()),
        (100, Some(&61)),
        "also if other hosts send them again"
    );
}

#[test]
fn drains_that_know_of_each_other_still_do_after_one_was_pending() {
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    let long = pool("a.example.org", &addresses);
    let shorter = Pool { nodes: long.nodes[1..].to_vec(), ..long.clone() };
    let mut engine = engine(std::slice::from_ref(&long), 1);
    (0..4).for_each(|n| observe(&mut engine, &target(&long, n), Kind::Ready, 0));
    engine.handle_command(set(&long, "cp-1", drain_since(0)), at(1)).unwrap();
    engine.handle_command(set(&long, "cp-2", drain_since(0)), at(2)).unwrap();
    engine.handle_policy(vec![shorter], at(3));
    // Any entry of another host.
    let cleared = |time: u64| entry(HybridTimestamp { time, host: Some(host_name("dns-2")) }, OverrideState::Cleared);
    engine.handle_override_entries([for_node(&long, "cp-4", cleared(1))], at(4));
    engine.handle_policy(vec![long.clone()], at(5));
    for n in [2, 3] {
        (0..3).for_each(|_| observe(&mut engine, &target(&long, n), Kind::Refused, 6));
    }
    engine.handle_override_entries([for_node(&long, "cp-4", cleared(2))], at(7));
    assert_eq!(engine.overrides().count(), 2, "the later one is not reverted");
}

#[test]
fn a_pending_override_shortens_no_ttl_and_can_be_cleared() {
    let long = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let short = pool("a.example.org", &["192.0.2.1"]);
    let mut engine = engine(std::slice::from_ref(&long), 1);
    (0..2).for_each(|n| observe(&mut engine, &target(&long, n), Kind::Ready, 0));
    let requested = Override { until: Some(at(10)), ..drain_since(0) };
    let name = long.name.clone();
    let node = node_name("cp-2");
    engine.handle_command(set(&long, "cp-2", requested), at(0)).unwrap();
    engine.handle_policy(vec![short], at(1));
    assert_eq!(engine.decide(at(8)).answers[0].ttl, long.ttl.max);
    assert_eq!(
        engine.pending_overrides().map(|(key, _)| key.node.clone()).collect::<Vec<_>>(),
        std::slice::from_ref(&node)
    );
    engine.handle_command(Command::ClearOverride { pool: name, node }, at(9)).unwrap();
    assert_eq!(engine.pending_overrides().count(), 0);
}

#[test]
fn a_starting_host_refuses_commands() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let command = Command::ClearOverride { pool: a.name.clone(), node: node_name("cp-1") };
    let mut isolated = engine(std::slice::from_ref(&a), 3);
    let refusal = isolated.handle_command(command.clone(), at(1)).unwrap_err();
    assert_eq!(refusal, Refusal::Starting { until: at(5) });
    let nothing = Refusal::NoOverride { pool: a.name.clone(), node: node_name("cp-1") };
    assert_eq!(
        isolated.handle_command(command.clone(), at(5)),
        Err(nothing.clone()),
        "without a quorum it acts for itself"
    );
    let mut connected = engine(std::slice::from_ref(&a), 3);
    connected.handle_peer_view(view("dns-2", BTreeMap::new()), at(1), at(1));
    assert_eq!(connected.handle_command(command, at(1)), Err(nothing));
}

#[test]
fn a_host_without_such_a_provider_or_without_a_quorum_is_not_the_writer() {
    let a = pool("a.example.org", &["192.0.2.1"]);
    let members: BTreeSet<_> = ["dns-1", "dns-2", "dns-3"].map(host_name).into();
    let writer = |can_write, second, third| {
        let membership = Membership { own: host_name("dns-1"), members: members.clone(), can_write };
        let mut engine = Engine::new(Some(membership), vec![a.clone()], Memory::default(), at(0));
        for (host, eligible_writer) in [("dns-2", second), ("dns-3", third)] {
            let view = PeerView { reachable: members.clone(), eligible_writer, ..view(host, BTreeMap::new()) };
            engine.handle_peer_view(view, at(1), at(1));
        }
        engine.writer().map(ToString::to_string)
    };
    assert_eq!(writer(true, true, true).as_deref(), Some("dns-1"));
    assert_eq!(writer(false, true, true).as_deref(), Some("dns-2"));
    assert_eq!(writer(false, false, true).as_deref(), Some("dns-3"));
    assert_eq!(writer(false, false, false), None);
}

#[test]
fn of_two_causal_contexts_of_one_entry_the_later_one_counts() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let timestamp = |host: &str, secs| HybridTimestamp { time: at(secs).as_millis(), host: Some(host_name(host)) };
    let context = |contexts: [&OverrideEntry; 2]| {
        let mut engine = engine(std::slice::from_ref(&a), 3);
        for entry in contexts {
            engine.handle_override_entries([for_node(&a, "cp-1", entry.clone())], at(10));
        }
        engine.override_entries().next().unwrap().1.causal_context.clone()
    };
    let with = |context_revision, host, secs| OverrideEntry {
        causal_context: vec![timestamp(host, secs)],
        context_revision,
        ..entry(timestamp("dns-2", 9), OverrideState::Active(drain_since(0)))
    };
    for (former, later) in [(with(1, "dns-3", 2), with(2, "dns-1", 1)), (with(1, "dns-1", 1), with(1, "dns-3", 2))] {
        assert_eq!(context([&former, &later]), later.causal_context, "no host knew both");
        assert_eq!(context([&later, &former]), later.causal_context, "in any order");
    }
}

#[test]
fn three_drains_of_which_each_two_are_harmless_leave_a_node_when_the_hosts_meet_in_pairs() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let names = ["dns-1", "dns-2", "dns-3"];
    let ready = Vote { grade: Grade::Ready, ..Vote::default() };
    let votes: BTreeMap<Target, Vote> = (0..3).map(|index| (target(&a, index), ready)).collect();
    let mut hosts: Vec<Engine> = (1..=3)
        .map(|own| Engine::new(Some(fixtures::membership(own, 1..=3)), vec![a.clone()], Memory::default(), at(0)))
        .collect();
    for (own, host) in hosts.iter_mut().enumerate() {
        (0..3).for_each(|index| observe(host, &target(&a, index), Kind::Ready, 6));
        let drain = set(&a, &format!("cp-{}", own + 1), drain_since(6));
        host.handle_command(drain, at(6 + own as u64)).unwrap();
    }
    let entries = |host: &Engine| -> Vec<NodeOverride> {
        let entries = host.override_entries();
        entries.map(|(key, entry)| NodeOverride { key: key.clone(), entry: entry.clone() }).collect()
    };
    let drained: Vec<_> = hosts.iter().map(entries).collect();
    // Each host gets a quorum with the host after it, and learns of the drain of that one alone.
    for (own, host) in hosts.iter_mut().enumerate() {
        let other = (own + 1) % 3;
        host.handle_peer_view(view(names[other], votes.clone()), at(9), at(9));
        host.handle_override_entries(drained[other].clone(), at(9));
        assert_eq!(host.overrides().count(), 2, "two drains leave the third node");
    }
    for _ in 0..3 {
        let known: Vec<_> = hosts.iter().flat_map(entries).collect();
        for host in &mut hosts {
            host.handle_override_entries(known.clone(), at(10));
        }
    }
    for host in &hosts {
        assert_eq!(host.overrides().count(), 2, "the latest drain is reverted");
    }
    assert_eq!(entries(&hosts[0]), entries(&hosts[1]));
    assert_eq!(entries(&hosts[0]), entries(&hosts[2]));
}

#[test]
fn concurrent_drains_that_nothing_was_known_of_are_compared_once_nodes_are_usable() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let drains_left = |usable: &[usize]| {
        let mut engine = engine(std::slice::from_ref(&a), 3);
        let votes = |grade_of: &dyn Fn(usize) -> Grade| -> BTreeMap<Target, Vote> {
            (0..3).map(|index| (target(&a, index), Vote { grade: grade_of(index), ..Vote::default() })).collect()
        };
        engine.handle_peer_view(view("dns-2", votes(&|_| Grade::Down)), at(5), at(5));
        (0..9).for_each(|n| observe(&mut engine, &target(&a, n / 3), Kind::Refused, 5));
        engine.handle_command(set(&a, "cp-1", drain_since(6)), at(6)).unwrap();
        let timestamp = HybridTimestamp { time: at(7).as_millis(), host: Some(host_name("dns-2")) };
        let of_peer = entry(timestamp, OverrideState::Active(drain_since(7)));
        engine.handle_override_entries([for_node(&a, "cp-2", of_peer)], at(7));
        assert_eq!(engine.overrides().count(), 2, "no node is usable, so the drains take none");
        let grade_of = |index| if usable.contains(&index) { Grade::Ready } else { Grade::Down };
        let recovered = PeerView { sequence: 2, ..view("dns-2", votes(&grade_of)) };
        engine.handle_peer_view(recovered, at(8), at(8));
        for index in usable {
            (0..3).for_each(|_| observe(&mut engine, &target(&a, *index), Kind::Ready, 8));
        }
        engine.overrides().count()
    };
    assert_eq!(drains_left(&[0, 1]), 1, "the third node is still down, so one of the drains is reverted");
    assert_eq!(drains_left(&[2, 1, 0]), 2, "the third node is usable");
}

#[test]
fn an_override_of_the_far_future_is_ignored_and_one_of_the_near_future_can_be_cleared() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut engine = engine(std::slice::from_ref(&a), 3);
    let of_year = |years: u64| {
        let time = at(0).as_millis() + years * 365 * 24 * 3_600_000;
        let timestamp = HybridTimestamp { time, host: Some(host_name("dns-2")) };
        for_node(&a, "cp-1", entry(timestamp, OverrideState::Active(drain_since(0))))
    };
    engine.handle_override_entries([of_year(101)], at(6));
    assert_eq!(engine.overrides().count(), 0);
    engine.handle_override_entries([of_year(99)], at(6));
    assert_eq!(engine.overrides().count(), 1);
    let clear = Command::ClearOverride { pool: a.name.clone(), node: node_name("cp-1") };
    engine.handle_command(clear, at(7)).unwrap();
    engine.handle_override_entries([of_year(99)], at(8));
    assert_eq!(engine.overrides().count(), 0);
}

#[test]
fn a_host_whose_memory_was_set_back_votes_as_after_a_restart() {
    let a = pool("a.example.org", &["192.0.2.1"]);
    let mut engine = engine(std::slice::from_ref(&a), 3);
    observe(&mut engine, &target(&a, 0), Kind::Ready, 6);
    let generation = engine.decide(at(7)).generation;
    let is_restored = |engine: &Engine| engine.votes()[&target(&a, 0)].is_restored;
    assert!(!is_restored(&engine));
    engine.handle_set_back(at(8));
    assert!(is_restored(&engine));
    assert!(engine.decide(at(8)).generation > generation, "peers may have seen a later one");
    observe(&mut engine, &target(&a, 0), Kind::Ready, 9);
    assert!(!is_restored(&engine));
}

#[test]
fn a_host_that_becomes_eligible_as_writer_is_a_change() {
    let mut engine = engine(&[pool("a.example.org", &["192.0.2.1"])], 3);
    let of = |sequence, eligible_writer| PeerView { sequence, eligible_writer, ..view("dns-2", BTreeMap::new()) };
    engine.handle_peer_view(of(1, false), at(0), at(0));
    let before = engine.revision();
    engine.handle_peer_view(of(2, false), at(0), at(0));
    assert_eq!(engine.revision(), before, "it has reported so before");
    engine.handle_peer_view(of(3, true), at(0), at(0));
    assert!(engine.revision() > before);
}

#[test]
fn no_generation_goes_back_after_the_loss_of_the_state_with_many_pools() {
    let pools: Vec<Pool> =
        (0..20).map(|n| pool(&format!("p{n}.example.org"), &["192.0.2.1", "192.0.2.2", "192.0.2.3"])).collect();
    let mut first = engine(&pools, 1);
    for second in 1..4 {
        for (pool, index) in pools.iter().flat_map(|pool| (0..3).map(move |index| (pool, index))) {
            let kind = if second % 2 == 0 { Kind::Refused } else { Kind::Ready };
            observe(&mut first, &target(pool, index), kind, second);
            first.decide(at(second));
        }
    }
    let last = first.decide(at(3)).generation;
    let mut without_state = Engine::new(None, pools, Memory::default(), at(8));
    assert!(without_state.decide(at(8)).generation > last);
}

#[test]
fn no_number_of_commands_takes_the_generation_of_a_run_without_memory_back() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let after_ms = |ms: u64| at(0).after(std::time::Duration::from_millis(ms));
    let mut first = engine(std::slice::from_ref(&a), 1);
    (0..2).for_each(|index| observe(&mut first, &target(&a, index), Kind::Ready, 0));
    let mut refused = 0;
    for ms in 100..3_000 {
        let drain = set(&a, "cp-1", drain_since(0));
        let clear = Command::ClearOverride { pool: a.name.clone(), node: node_name("cp-1") };
        let command = if ms % 2 == 0 { drain } else { clear };
        refused += usize::from(first.handle_command(command, after_ms(ms)) == Err(Refusal::TooManyChanges));
    }
    assert!((1_000..2_800).contains(&refused), "64 commands a second are carried out: {refused} of 2,900 are refused");
    let last = first.decide(after_ms(3_000)).generation;
    let mut without_state = Engine::new(None, vec![a], Memory::default(), after_ms(3_200));
    assert!(without_state.decide(after_ms(3_200)).generation > last);
}

#[test]
fn pools_that_change_together_share_a_generation() {
    let [a, b] = [pool("a.example.org", &["192.0.2.1"]), pool("b.example.org", &["192.0.2.3"])];
    let decision = engine(&[a, b], 1).decide(at(0));
    assert_eq!(decision.answers[0].generation, decision.generation);
    assert_eq!(decision.answers[1].generation, decision.generation);
}

#[test]
fn what_peers_hold_is_compared_by_address_and_counts_only_for_nodes_of_the_pool() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut engine = engine(std::slice::from_ref(&a), 3);
    for index in 0..2 {
        observe(&mut engine, &target(&a, index), Kind::Refused, 1);
    }
    let good = |address: [u8; 4]| {
        let of = Target { node: node_name("former"), address: address.into(), ..target(&a, 0) };
        let vote = Vote { grade: Grade::Down, in_last_known_good: true, ..Vote::default() };
        [(of, vote)].into()
    };
    let answer = |engine: &mut Engine| {
        let answer = engine.decide(at(1)).answers.remove(0);
        (answer.basis(), answer.members.len())
    };
    engine.handle_peer_view(view("dns-2", good([192, 0, 2, 9])), at(1), at(1));
    engine.handle_peer_view(view("dns-3", good([192, 0, 2, 9])), at(1), at(1));
    assert_eq!(answer(&mut engine), (Basis::Bootstrap, 2), "no node of this pool was ever good");
    let next = PeerView { sequence: 2, ..view("dns-2", good([192, 0, 2, 2])) };
    engine.handle_peer_view(next, at(1), at(1));
    assert_eq!(answer(&mut engine), (Basis::LastKnownGood, 1), "the second node, under another name");
}

/// The numbers and moments in a value, as pointers into it (RFC 6901).
fn numbers(value: &Value, pointer: &str) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Number(_) => return vec![pointer.to_owned()],
        Value::String(_) if is_moment(value) => return vec![pointer.to_owned()],
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        Value::Object(items) => items.iter().map(|(key, item)| (key.clone(), item)).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => Vec::new(),
    };
    children.into_iter().flat_map(|(key, child)| numbers(child, &format!("{pointer}/{key}"))).collect()
}

fn is_moment(value: &Value) -> bool {
    serde_json::from_value::<Moment>(value.clone()).is_ok()
}

#[test]
fn no_number_in_a_state_file_stops_the_engine() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut former = engine(std::slice::from_ref(&a), 3);
    former.handle_command(set(&a, "cp-1", Override { until: Some(at(600)), ..drain_since(0) }), at(5)).unwrap();
    observe(&mut former, &target(&a, 1), Kind::Ready, 5);
    for (secs, kind) in (6_u64..).zip([Kind::Ready, Kind::Refused, Kind::Ready, Kind::Refused, Kind::Ready]) {
        observe(&mut former, &target(&a, 0), kind, secs);
    }
    let memory = serde_json::to_value(former.memory()).unwrap();
    let numbers = numbers(&memory, "");
    assert!(numbers.iter().any(|pointer| pointer.ends_with("until")), "{numbers:?}");
    for pointer in &numbers {
        for extreme in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            let mut memory = memory.clone();
            let value = memory.pointer_mut(pointer).unwrap();
            *value = if is_moment(value) {
                serde_json::to_value(Moment::from_millis(extreme)).unwrap()
            } else {
                extreme.into()
            };
            // A number that does not fit is damage, which the state file reports.
            let Ok(memory) = serde_json::from_value::<Memory>(memory) else { continue };
            for members in [1, 3] {
                let membership = (members > 1).then(|| fixtures::membership(1, 1..=members));
                let mut engine = Engine::new(membership, vec![a.clone()], memory.clone(), at(20));
                observe(&mut engine, &target(&a, 0), Kind::Refused, 21);
                observe(&mut engine, &target(&a, 1), Kind::Ready, 22);
                engine.handle_timeout(at(1_000));
                engine.handle_command(set(&a, "cp-2", drain_since(1_000)), at(1_000)).ok();
                assert!(
                    !engine.decide(Moment::from_millis(u64::MAX)).answers[0].members.is_empty(),
                    "{pointer} {extreme}"
                );
            }
        }
    }
}
