use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::answer::Basis;
use crate::observation::{Kind, Timings};
use crate::overrides::OverrideKind;
use crate::policy::{Mode, Node, Pace, Steering, Thresholds, TtlRange};
use crate::quorum::HostName;
use crate::word::{Fate, Stamp, Undone};

fn pool(name: &str, addresses: &[&str]) -> Pool {
    let node = |(address, n): (&&str, usize)| Node {
        name: NodeName::new(&format!("cp-{n}")),
        addresses: vec![address.parse().unwrap()],
        priority: 0,
        weight: 1,
    };
    Pool {
        name: PoolName::new(name),
        nodes: addresses.iter().zip(1..).map(node).collect(),
        thresholds: Thresholds { rise: NonZeroU32::MIN, fall: NonZeroU32::MIN },
        pace: Pace {
            interval: Duration::from_secs(1),
            confirm_interval: Duration::from_millis(100),
            detection: Duration::from_secs(2),
        },
        steering: Steering { mode: Mode::All, max_answers: 8 },
        ttl: TtlRange { min: 1, max: 5 },
    }
}

fn at(secs: u64) -> Moment {
    Moment::from_millis(1_000_000_000 + secs * 1000)
}

fn engine(pools: &[Pool], members: usize) -> Engine {
    let names = (1..=members).map(|n| HostName::new(&format!("dns-{n}")));
    let membership = Membership { own: HostName::new("dns-1"), members: names.collect(), publishes: true };
    Engine::new(membership, pools.to_vec(), Memory::default(), at(0))
}

fn target(pool: &Pool, index: usize) -> Target {
    pool.targets().nth(index).unwrap().0
}

fn see(engine: &mut Engine, target: &Target, kind: Kind, secs: u64) {
    let observation = Observation { kind, timings: Timings::default(), certificate: None };
    engine.handle_observation(target, &observation, at(secs));
}

fn view(host: &str, votes: BTreeMap<Target, Vote>) -> View {
    let host = HostName::new(host);
    View {
        hears: [host.clone()].into(),
        host,
        incarnation: 1,
        sequence: 1,
        votes: votes.into(),
        abstains: false,
        would_write: true,
    }
}

#[test]
fn each_pool_has_its_own_answer_and_the_newest_generation_is_the_decisions() {
    let (a, b) = (pool("a.example.org", &["192.0.2.1", "192.0.2.2"]), pool("b.example.org", &["192.0.2.3"]));
    let mut engine = engine(&[a.clone(), b.clone()], 1);
    let before = engine.decide(at(0));
    see(&mut engine, &target(&a, 1), Kind::Ready, 1);
    let after = engine.decide(at(1));
    assert_eq!(after.answer(&b.name), before.answer(&b.name), "the other pool is as it was");
    let answer = after.answer(&a.name).unwrap();
    assert_eq!((answer.basis, answer.members.len()), (Basis::Ready, 1));
    assert!(answer.generation > before.generation);
    assert_eq!(answer.generation, after.generation);
}

#[test]
fn a_reload_gives_every_answer_a_new_generation_and_ends_the_answers_of_pools_that_went() {
    let (a, b) = (pool("a.example.org", &["192.0.2.1"]), pool("b.example.org", &["192.0.2.3"]));
    let mut engine = engine(&[a.clone(), b], 1);
    let before = engine.decide(at(0));
    engine.handle_policy(vec![a.clone()], at(0));
    let after = engine.decide(at(0));
    assert_eq!(after.answers.len(), 1);
    assert!(after.answer(&a.name).unwrap().generation > before.generation);
}

#[test]
fn an_address_under_another_name_is_what_it_was() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let mut engine = engine(std::slice::from_ref(&a), 1);
    for (index, kind) in [Kind::Ready, Kind::Ready, Kind::ConnectTimeout].into_iter().enumerate() {
        see(&mut engine, &target(&a, index), kind, 1);
    }
    let in_answer = |engine: &mut Engine| {
        let decision = engine.decide(at(2));
        let answer = decision.answer(&a.name).unwrap();
        (answer.basis, answer.members.iter().map(|it| it.address).collect::<Vec<_>>())
    };
    let (before, mut renamed) = (in_answer(&mut engine), a.clone());
    assert_eq!((before.0, before.1.len()), (Basis::Ready, 2));
    renamed.nodes.iter_mut().for_each(|node| node.name = NodeName::new(&format!("new-{}", node.name)));
    engine.handle_policy(vec![renamed.clone()], at(2));
    assert_eq!(in_answer(&mut engine), before);
    // What is held when nothing can be used any more has the new names too.
    (0..2).for_each(|index| see(&mut engine, &target(&renamed, index), Kind::ConnectTimeout, 2));
    assert_eq!(in_answer(&mut engine), (Basis::Held, before.1));
}

#[test]
fn an_observation_of_an_unknown_target_changes_nothing() {
    let (a, other) = (pool("a.example.org", &["192.0.2.1"]), pool("x.example.org", &["192.0.2.9"]));
    let mut engine = engine(std::slice::from_ref(&a), 1);
    let before = engine.decide(at(0));
    see(&mut engine, &target(&other, 0), Kind::Ready, 0);
    assert_eq!(engine.decide(at(0)), before);
}

#[test]
fn a_host_that_becomes_blind_through_one_pool_abstains_in_every_pool() {
    let (a, b) = (pool("a.example.org", &["192.0.2.1"]), pool("b.example.org", &["192.0.2.3", "192.0.2.4"]));
    let mut engine = engine(&[a.clone(), b.clone()], 2);
    for target in [target(&a, 0), target(&b, 0), target(&b, 1)] {
        see(&mut engine, &target, Kind::Ready, 0);
    }
    see(&mut engine, &target(&b, 1), Kind::Refused, 1);
    let down = Vote { grade: Grade::Down, shutting_down: false, was_good: false };
    let votes = b.targets().map(|(target, _)| (target, down)).collect();
    assert!(engine.handle_peer_view(view("dns-2", votes), at(1), at(1)));
    assert_eq!((engine.standing(), engine.is_blind()), (Standing::Quorum, false));
    assert_eq!(engine.decide(at(1)).answer(&b.name).unwrap().members.len(), 1, "half is no majority");
    see(&mut engine, &target(&b, 0), Kind::Refused, 2);
    see(&mut engine, &target(&a, 0), Kind::Refused, 2);
    assert_eq!((engine.standing(), engine.is_blind()), (Standing::Quorum, true), "it is heard, and does not count");
    assert_eq!(engine.decide(at(2)).answer(&b.name).unwrap().basis, Basis::Held);
}

#[test]
fn a_blind_host_abstains_and_counts_in_every_pool_once_it_sees_again() {
    let (a, b) = (pool("a.example.org", &["192.0.2.1"]), pool("b.example.org", &["192.0.2.3", "192.0.2.4"]));
    let mut engine = engine(&[a.clone(), b.clone()], 3);
    let (first, second) = (target(&b, 0), target(&b, 1));
    for target in [target(&a, 0), first.clone(), second.clone()] {
        see(&mut engine, &target, Kind::Refused, 0);
    }
    for (host, of_first) in [("dns-2", Grade::Ready), ("dns-3", Grade::Down)] {
        let vote = |grade| Vote { grade, shutting_down: false, was_good: false };
        let votes = [(first.clone(), vote(of_first)), (second.clone(), vote(Grade::Ready))].into();
        assert!(engine.handle_peer_view(view(host, votes), at(1), at(1)));
    }
    let addresses = |engine: &mut Engine| {
        let decision = engine.decide(at(1));
        decision.answer(&b.name).unwrap().members.iter().map(|member| member.address).collect::<Vec<_>>()
    };
    assert!(engine.is_blind());
    assert_eq!(addresses(&mut engine), [first.address, second.address], "one of two votes is no majority");
    see(&mut engine, &target(&a, 0), Kind::Ready, 1);
    assert!(!engine.is_blind());
    assert_eq!(addresses(&mut engine), [second.address], "two of three votes are one");
}

#[test]
fn the_negative_ttl_is_the_floor_of_the_ttl() {
    let mut pool = pool("a.example.org", &["192.0.2.1"]);
    pool.ttl = TtlRange { min: 3, max: 30 };
    let mut engine = engine(&[pool.clone()], 1);
    see(&mut engine, &target(&pool, 0), Kind::Ready, 0);
    let answer = engine.decide(at(0)).answers.remove(0);
    assert_eq!((answer.ttl, answer.negative_ttl), (30, 3));
}

#[test]
fn a_drain_beside_a_forced_node_is_admitted() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut engine = engine(std::slice::from_ref(&a), 1);
    see(&mut engine, &target(&a, 0), Kind::Ready, 0);
    see(&mut engine, &target(&a, 1), Kind::Refused, 0);
    let mut say = |kind, node: &str| {
        let order =
            Override { kind, reason: String::new(), author: String::new(), since: at(0), until: None, host: None };
        let node = NodeName::new(node);
        engine.handle_command(Command::Set { pool: a.name.clone(), node, order, insist: false }, at(0))
    };
    assert!(matches!(say(OverrideKind::Drain, "cp-1"), Err(Refusal::LastUsable { .. })));
    assert_eq!(say(OverrideKind::Force, "cp-2"), Ok(()));
    assert_eq!(say(OverrideKind::Drain, "cp-1"), Ok(()));
    assert_eq!(engine.decide(at(0)).answers[0].members[0].address, target(&a, 1).address);
}

#[test]
fn a_memory_of_a_clock_ahead_is_taken_over_as_it_was_meant() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut first = engine(std::slice::from_ref(&a), 1);
    let (kind, until) = (OverrideKind::Drain, Some(at(10_600)));
    let order = Override { kind, reason: String::new(), author: String::new(), since: at(10_000), until, host: None };
    let set = Command::Set { pool: a.name.clone(), node: NodeName::new("cp-2"), order, insist: false };
    assert_eq!(first.handle_command(set, at(10_000)), Ok(()));
    let memory = Memory { generation: u64::MAX, ..first.memory() };

    let membership = Membership::sole();
    let mut second = Engine::new(membership, vec![a], memory, at(5));
    let (_, _, order) = second.overrides().next().unwrap();
    assert_eq!((order.since, order.until), (at(5), Some(at(605))));
    let before = second.decide(at(5)).generation;
    assert!(second.decide(at(605)).generation > before, "there is always a next generation");
}

#[test]
fn what_was_said_before_a_host_had_others_is_said_in_its_name_among_them() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let mut first = engine(std::slice::from_ref(&a), 1);
    for node in ["cp-1", "cp-2"] {
        let (kind, reason, author) = (OverrideKind::Drain, String::new(), String::new());
        let order = Override { kind, reason, author, since: at(1), until: None, host: None };
        let set = Command::Set { pool: a.name.clone(), node: NodeName::new(node), order, insist: false };
        assert_eq!(first.handle_command(set, at(1)), Ok(()));
    }

    let (own, other) = (HostName::new("dns-1"), HostName::new("dns-2"));
    let membership = Membership { own: own.clone(), members: [own.clone(), other].into(), publishes: true };
    let second = Engine::new(membership, vec![a], first.memory(), at(5));
    let words: Vec<&Word> = second.words().map(|(.., word)| word).collect();
    assert!(words.iter().all(|word| word.stamp.host == own && word.order().unwrap().host == Some(own.clone())));
    assert_eq!(words[1].knew, [words[0].stamp.clone()], "they know of each other still");
}

#[test]
fn a_vote_on_an_address_counts_though_the_other_host_has_another_name_for_the_node() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut engine = engine(std::slice::from_ref(&a), 3);
    let named = |of: Target, node: &str| Target { node: NodeName::new(node), ..of };
    let ready = Vote { grade: Grade::Ready, ..Vote::default() };
    for host in ["dns-2", "dns-3"] {
        let votes = [(named(target(&a, 0), "other-1"), ready), (named(target(&a, 1), "another-2"), ready)];
        engine.handle_peer_view(view(host, votes.into()), at(1), at(1));
    }
    see(&mut engine, &target(&a, 0), Kind::Ready, 2);
    (0..3).for_each(|_| see(&mut engine, &target(&a, 1), Kind::Refused, 2));
    assert!(engine.verdicts().all(|(_, verdict)| verdict == Grade::Ready), "two of three reach the second");
}

#[test]
fn a_memory_of_what_is_not_configured_is_dropped() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut first = engine(std::slice::from_ref(&a), 1);
    see(&mut first, &target(&a, 0), Kind::Ready, 0);
    let order = Override {
        kind: OverrideKind::Drain,
        reason: String::new(),
        author: String::new(),
        since: at(0),
        until: None,
        host: None,
    };
    let node = NodeName::new("cp-2");
    let set = Command::Set { pool: a.name.clone(), node, order, insist: false };
    assert_eq!(first.handle_command(set, at(0)), Ok(()));

    let membership = Membership::sole();
    let smaller = pool("a.example.org", &["192.0.2.1"]);
    let mut second = Engine::new(membership, vec![smaller], first.memory(), at(1));
    assert_eq!(second.overrides().count(), 0);
    assert_eq!(second.healths().count(), 1);
    assert_eq!(second.decide(at(1)).answers[0].basis, Basis::Ready);
}

#[test]
fn an_override_that_has_already_ended_is_refused() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut engine = engine(std::slice::from_ref(&a), 1);
    let order = Override {
        kind: OverrideKind::Drain,
        reason: String::new(),
        author: String::new(),
        since: at(0),
        until: Some(at(0)),
        host: None,
    };
    let set = Command::Set { pool: a.name.clone(), node: NodeName::new("cp-1"), order, insist: true };
    assert_eq!(engine.handle_command(set, at(0)), Err(Refusal::Ended { until: at(0) }));
}

#[test]
fn an_engine_is_settled_when_every_target_of_every_pool_is() {
    let (a, b) = (pool("a.example.org", &["192.0.2.1"]), pool("b.example.org", &["192.0.2.2"]));
    let mut first = engine(&[a.clone(), b.clone()], 1);
    see(&mut first, &target(&a, 0), Kind::Ready, 1);
    assert!(!first.is_settled());
    see(&mut first, &target(&b, 0), Kind::Refused, 2);
    assert!(first.is_settled());
    let membership = Membership::sole();
    let second = Engine::new(membership, vec![a, b], first.memory(), at(3));
    assert!(!second.is_settled(), "what is remembered was not looked at yet");
}

#[test]
fn an_answer_is_judged_once_every_target_has_its_verdict() {
    let pool = pool("lb.example.org", &["192.0.2.1", "192.0.2.2"]);
    let mut engine = engine(std::slice::from_ref(&pool), 1);
    let judged = |engine: &mut Engine, secs| engine.decide(at(secs)).answers[0].is_judged();
    assert!(!judged(&mut engine, 0));
    see(&mut engine, &target(&pool, 0), Kind::Ready, 1);
    assert!(!judged(&mut engine, 1), "the second one has none");
    see(&mut engine, &target(&pool, 1), Kind::Refused, 2);
    assert!(judged(&mut engine, 2));

    let memory = engine.memory();
    let membership = Membership::sole();
    let mut restored = Engine::new(membership, vec![pool], memory, at(3));
    assert!(judged(&mut restored, 3), "a verdict of an earlier run counts");
}

#[test]
fn a_bootstrap_answer_is_judged_once_every_target_is_down() {
    let pool = pool("lb.example.org", &["192.0.2.1"]);
    let mut engine = engine(std::slice::from_ref(&pool), 1);
    assert!(!engine.decide(at(0)).answers[0].is_judged());
    see(&mut engine, &target(&pool, 0), Kind::Refused, 1);
    let answer = engine.decide(at(1)).answers.remove(0);
    assert_eq!((answer.basis, answer.is_judged()), (Basis::Bootstrap, true));
}

#[test]
fn two_hosts_that_undo_a_drain_for_different_others_say_the_same_in_the_end() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let undone = |other: &str| {
        let (kind, reason, author) = (OverrideKind::Drain, String::new(), String::new());
        let order = Override { kind, reason, author, since: at(0), until: None, host: None };
        let (node, host) = (NodeName::new(other), HostName::new("dns-3"));
        let fate = Fate::Undone(Undone { order, node, host: host.clone() });
        let word = Word {
            stamp: Stamp { time: at(0).as_millis(), host },
            knew: Vec::new(),
            insist: false,
            fate,
            is_doubted: false,
        };
        (a.name.clone(), NodeName::new("cp-1"), word)
    };
    let heard = |order: [&str; 2]| {
        let mut engine = engine(std::slice::from_ref(&a), 3);
        for other in order {
            engine.handle_words([undone(other)], at(1));
        }
        engine.words().map(|(.., word)| word.fate.clone()).collect::<Vec<_>>()
    };
    assert_eq!(heard(["cp-2", "cp-3"]), heard(["cp-3", "cp-2"]));
}

#[test]
fn a_host_that_starts_with_its_clock_ahead_ends_no_drain_that_the_others_know_better() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let (own, node) = (HostName::new("dns-1"), NodeName::new("cp-1"));
    let order = |until: u64| Override {
        kind: OverrideKind::Drain,
        reason: String::new(),
        author: String::new(),
        since: at(0),
        until: Some(at(until)),
        host: Some(own.clone()),
    };
    let mut former = engine(std::slice::from_ref(&a), 3);
    former.handle_peer_view(view("dns-2", BTreeMap::new()), at(0), at(0));
    let command = Command::Set { pool: a.name.clone(), node: node.clone(), order: order(600), insist: false };
    former.handle_command(command, at(0)).unwrap();
    let said = former.words().next().unwrap().2.clone();
    // Another host says the same word, by this one's clock, which is twenty minutes ahead.
    let again = |fate| (a.name.clone(), node.clone(), Word { fate, ..said.clone() });
    let doubted = |until| {
        let (pool, node, word) = again(Fate::InForce(order(until)));
        [(pool, node, Word { is_doubted: true, ..word })]
    };
    let is_doubted = |engine: &Engine| engine.words().next().unwrap().2.is_doubted;
    let start = || Engine::new(former.membership.clone(), vec![a.clone()], former.memory(), at(1_200));
    let ends = |engine: &mut Engine, secs| {
        engine.decide(at(secs));
        engine.overrides().next().map(|(.., order)| order.until.unwrap())
    };

    let mut told = start();
    assert_eq!(ends(&mut told, 1_204), Some(at(600)));
    assert!(is_doubted(&told));
    told.handle_words([again(Fate::InForce(order(1_790)))], at(1_204));
    assert!(!is_doubted(&told));
    told.handle_words(doubted(3_000), at(1_204));
    assert_eq!(ends(&mut told, 1_789), Some(at(1_790)), "who is sure learns nothing from who is not");
    assert_eq!(ends(&mut told, 1_790), None);

    let mut told_of_its_end = start();
    told_of_its_end.handle_words([again(Fate::Over)], at(1_201));
    assert_eq!(ends(&mut told_of_its_end, 1_201), None);

    let mut untold = start();
    let revision = untold.revision();
    assert_eq!(ends(&mut untold, 1_205), None, "nobody knows better");
    assert!(untold.revision() > revision && !is_doubted(&untold));

    // All have begun a moment ago: none is sure, and what lasts longest counts.
    let mut unsure = start();
    unsure.handle_words(doubted(1_790), at(1_201));
    unsure.handle_words(doubted(1_600), at(1_202));
    assert_eq!((ends(&mut unsure, 1_204), is_doubted(&unsure)), (Some(at(1_790)), true));
    unsure.handle_words(doubted(1_793), at(1_204));
    assert_eq!((ends(&mut unsure, 1_789), is_doubted(&unsure)), (Some(at(1_790)), false), "that was on its way");
    let mut fresh = engine(std::slice::from_ref(&a), 3);
    fresh.handle_words(doubted(600), at(100));
    assert_eq!((ends(&mut fresh, 104), is_doubted(&fresh)), (Some(at(600)), true));
    assert_eq!((ends(&mut fresh, 105), is_doubted(&fresh)), (Some(at(600)), false));
}

#[test]
fn what_was_lifted_stays_lifted_though_its_node_was_not_configured_meanwhile() {
    let (long, short) = (pool("a.example.org", &["192.0.2.1", "192.0.2.2"]), pool("a.example.org", &["192.0.2.1"]));
    let (kind, reason, author) = (OverrideKind::Drain, String::new(), String::new());
    let order = Override { kind, reason, author, since: at(0), until: None, host: None };
    let (name, node) = (long.name.clone(), NodeName::new("cp-2"));
    let mut engine = engine(std::slice::from_ref(&long), 1);
    let drain = Command::Set { pool: name.clone(), node: node.clone(), order, insist: false };
    engine.handle_command(drain, at(0)).unwrap();
    let drained = engine.words().next().unwrap().2.clone();
    engine.handle_policy(vec![short.clone()], at(1));
    assert_eq!(engine.overrides().count(), 0, "it is no node now");
    engine.handle_policy(vec![long.clone()], at(2));
    assert_eq!(engine.overrides().count(), 1);
    engine.handle_command(Command::Lift { pool: name.clone(), node: node.clone() }, at(3)).unwrap();
    engine.handle_policy(vec![short.clone()], at(4));
    let mut engine = Engine::new(engine.membership.clone(), vec![short], engine.memory(), at(5));
    engine.handle_words([(name, node, drained)], at(6));
    engine.handle_policy(vec![long], at(7));
    assert_eq!(engine.overrides().count(), 0);
}

#[test]
fn so_many_words_wait_for_their_nodes_and_the_latest_stay() {
    let a = pool("a.example.org", &["192.0.2.1"]);
    let mut engine = engine(std::slice::from_ref(&a), 3);
    let word = |n: u64| {
        let stamp = Stamp { time: n, host: HostName::new("dns-2") };
        let word = Word { stamp, knew: Vec::new(), insist: false, fate: Fate::Over, is_doubted: false };
        (a.name.clone(), NodeName::new(&format!("gone-{n}")), word)
    };
    engine.handle_words((1..=150).map(word), at(1));
    engine.handle_policy(vec![a.clone()], at(2));
    let times = |engine: &Engine| -> Vec<u64> {
        engine.words().map(|(.., word)| word.stamp.time).filter(|it| *it > 0).collect()
    };
    assert_eq!((times(&engine).len(), times(&engine).iter().min()), (100, Some(&51)));
    engine.handle_words((1..=160).map(word), at(3));
    assert_eq!((times(&engine).len(), times(&engine).iter().min()), (100, Some(&61)), "also what others say again");
}

#[test]
fn drains_that_knew_of_each_other_do_so_still_after_one_has_waited_for_its_node() {
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    let long = pool("a.example.org", &addresses);
    let shorter = Pool { nodes: long.nodes[1..].to_vec(), ..long.clone() };
    let mut engine = engine(std::slice::from_ref(&long), 1);
    (0..4).for_each(|n| see(&mut engine, &target(&long, n), Kind::Ready, 0));
    let drain = |node: &str| {
        let (kind, reason, author) = (OverrideKind::Drain, String::new(), String::new());
        let order = Override { kind, reason, author, since: at(0), until: None, host: None };
        Command::Set { pool: long.name.clone(), node: NodeName::new(node), order, insist: false }
    };
    engine.handle_command(drain("cp-1"), at(1)).unwrap();
    engine.handle_command(drain("cp-2"), at(2)).unwrap();
    engine.handle_policy(vec![shorter], at(3));
    // Any word of another host.
    let stamp = |n: u64| Stamp { time: n, host: HostName::new("dns-2") };
    let lifted =
        |n: u64| Word { stamp: stamp(n), knew: Vec::new(), insist: false, fate: Fate::Over, is_doubted: false };
    engine.handle_words([(long.name.clone(), NodeName::new("cp-4"), lifted(1))], at(4));
    engine.handle_policy(vec![long.clone()], at(5));
    for n in [2, 3] {
        (0..3).for_each(|_| see(&mut engine, &target(&long, n), Kind::Refused, 6));
    }
    engine.handle_words([(long.name.clone(), NodeName::new("cp-4"), lifted(2))], at(7));
    assert_eq!(engine.overrides().count(), 2, "the later one is not undone");
}

#[test]
fn a_word_that_waits_for_its_node_shortens_no_ttl_and_can_be_lifted() {
    let (long, short) = (pool("a.example.org", &["192.0.2.1", "192.0.2.2"]), pool("a.example.org", &["192.0.2.1"]));
    let mut engine = engine(std::slice::from_ref(&long), 1);
    (0..2).for_each(|n| see(&mut engine, &target(&long, n), Kind::Ready, 0));
    let (kind, reason, author) = (OverrideKind::Drain, String::new(), String::new());
    let order = Override { kind, reason, author, since: at(0), until: Some(at(10)), host: None };
    let (name, node) = (long.name.clone(), NodeName::new("cp-2"));
    engine
        .handle_command(Command::Set { pool: name.clone(), node: node.clone(), order, insist: false }, at(0))
        .unwrap();
    engine.handle_policy(vec![short], at(1));
    assert_eq!(engine.decide(at(8)).answers[0].ttl, long.ttl.max);
    assert_eq!(engine.waiting().map(|(_, node, _)| node.clone()).collect::<Vec<_>>(), std::slice::from_ref(&node));
    engine.handle_command(Command::Lift { pool: name, node }, at(9)).unwrap();
    assert_eq!(engine.waiting().count(), 0);
}

#[test]
fn a_host_that_has_not_heard_the_others_yet_takes_no_word() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2"]);
    let command = Command::Lift { pool: a.name.clone(), node: NodeName::new("cp-1") };
    let mut alone = engine(std::slice::from_ref(&a), 3);
    let refusal = alone.handle_command(command.clone(), at(1)).unwrap_err();
    assert_eq!(refusal, Refusal::Listening { until: at(5) });
    let nothing = Refusal::NoOverride { pool: a.name.clone(), node: NodeName::new("cp-1") };
    assert_eq!(alone.handle_command(command.clone(), at(5)), Err(nothing.clone()), "it is alone, and acts for itself");
    let mut heard = engine(std::slice::from_ref(&a), 3);
    heard.handle_peer_view(view("dns-2", BTreeMap::new()), at(1), at(1));
    assert_eq!(heard.handle_command(command, at(1)), Err(nothing));
}

#[test]
fn a_host_that_does_not_publish_or_knows_no_quorum_is_not_the_one_that_writes() {
    let a = pool("a.example.org", &["192.0.2.1"]);
    let members: BTreeSet<_> = ["dns-1", "dns-2", "dns-3"].map(HostName::new).into();
    let writer = |publishes, second, third| {
        let membership = Membership { own: HostName::new("dns-1"), members: members.clone(), publishes };
        let mut engine = Engine::new(membership, vec![a.clone()], Memory::default(), at(0));
        for (host, would_write) in [("dns-2", second), ("dns-3", third)] {
            let view = View { hears: members.clone(), would_write, ..view(host, BTreeMap::new()) };
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
fn of_one_word_on_two_hosts_what_either_knew_counts() {
    let a = pool("a.example.org", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let stamp = |host: &str, secs| Stamp { time: at(secs).as_millis(), host: HostName::new(host) };
    let drain = |of: Stamp, node: &str, knew: Vec<Stamp>| {
        let (kind, reason, author) = (OverrideKind::Drain, String::new(), String::new());
        let fate = Fate::InForce(Override { kind, reason, author, since: at(0), until: None, host: None });
        (a.name.clone(), NodeName::new(node), Word { stamp: of, knew, insist: false, fate, is_doubted: false })
    };
    let knew = |told: Vec<Vec<Stamp>>| {
        let mut engine = engine(std::slice::from_ref(&a), 3);
        for knew in told {
            engine.handle_words([drain(stamp("dns-2", 9), "cp-1", knew)], at(10));
        }
        engine.words().next().unwrap().2.knew.clone()
    };
    let (one, other) = (stamp("dns-1", 1), stamp("dns-3", 2));
    let both = vec![one.clone(), other.clone()];
    assert_eq!(knew(vec![vec![one.clone()], vec![other.clone()]]), both);
    assert_eq!(knew(vec![vec![other], vec![one]]), both);
}

#[test]
fn that_another_host_would_write_now_is_news() {
    let mut engine = engine(&[pool("a.example.org", &["192.0.2.1"])], 3);
    let of = |sequence, would_write| View { sequence, would_write, ..view("dns-2", BTreeMap::new()) };
    engine.handle_peer_view(of(1, false), at(0), at(0));
    let before = engine.revision();
    engine.handle_peer_view(of(2, false), at(0), at(0));
    assert_eq!(engine.revision(), before, "it has said so before");
    engine.handle_peer_view(of(3, true), at(0), at(0));
    assert!(engine.revision() > before);
}
