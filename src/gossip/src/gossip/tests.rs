use std::collections::BTreeSet;

use daymark_decision::fixtures::{self, host_name, node_name, pool_name};
use daymark_decision::{Grade, HybridTimestamp, Override, OverrideEntry, OverrideKind, OverrideState, Target, Vote};
use fastrand::Rng;

use super::*;
use crate::entries::Entry;
use crate::message::{Delta, MAX_MESSAGE_BYTES};

const START: u64 = 1_767_225_600_000;
/// The milliseconds between two steps of the network.
const STEP: u64 = 5;

fn name(n: usize) -> HostName {
    fixtures::host(n)
}

fn membership(own: usize, hosts: usize) -> Membership {
    Membership { own: name(own), members: (0..hosts).map(name).collect(), can_write: true }
}

fn target(n: u32) -> Target {
    let [.., high, low] = n.to_be_bytes();
    Target {
        pool: pool_name("lb.kube-cp.com"),
        node: node_name(&format!("kube-cp-{n}")),
        address: [10, 10, high, low].into(),
    }
}

fn votes(of: impl IntoIterator<Item = (u32, Grade)>) -> BTreeMap<EntryKey, EntryValue> {
    let vote = |grade| EntryValue::Vote(Vote { grade, in_last_known_good: true, ..Vote::default() });
    of.into_iter().map(|(n, grade)| (EntryKey::Vote(target(n)), vote(grade))).collect()
}

/// Hosts, and a network that delivers messages after 10 ms.
struct Network {
    now: u64,
    hosts: Vec<Gossip>,
    /// The milliseconds by which each host's clock is ahead.
    clock_offsets: Vec<i64>,
    in_flight: Vec<Datagram>,
    /// The paths, from and to, on which nothing arrives.
    cut: BTreeSet<(usize, usize)>,
    /// The paths on which only messages without deltas arrive.
    no_deltas: BTreeSet<(usize, usize)>,
    /// The milliseconds that a path takes beyond 10.
    slow: BTreeMap<(usize, usize), u64>,
    /// The percentage of messages that are lost.
    loss: u8,
    rng: Rng,
    /// The newest view that each host has of each other.
    views: Vec<BTreeMap<HostName, (PeerView, Moment)>>,
    overrides: Vec<Vec<OverrideEntry>>,
    /// All messages that were sent, lost ones too.
    sent: Vec<Datagram>,
}

#[derive(Clone)]
struct Datagram {
    arrives_at: u64,
    to: usize,
    bytes: Vec<u8>,
}

impl Network {
    fn new(hosts: usize) -> Self {
        let gossip = |n| Gossip::new(&membership(n, hosts), START, Moment::from_millis(START));
        Self {
            now: START,
            hosts: (0..hosts).map(gossip).collect(),
            clock_offsets: vec![0; hosts],
            in_flight: Vec::new(),
            cut: BTreeSet::new(),
            no_deltas: BTreeSet::new(),
            slow: BTreeMap::new(),
            loss: 0,
            rng: Rng::with_seed(7),
            views: vec![BTreeMap::new(); hosts],
            overrides: vec![Vec::new(); hosts],
            sent: Vec::new(),
        }
    }

    fn clock(&self, host: usize) -> Moment {
        Moment::from_millis(self.now.saturating_add_signed(self.clock_offsets[host]))
    }

    fn restart(&mut self, host: usize, clock_offset: i64) {
        self.clock_offsets[host] = clock_offset;
        let now = self.clock(host);
        self.hosts[host] = Gossip::new(&membership(host, self.hosts.len()), now.as_millis(), now);
        self.views[host].clear();
    }

    fn set(&mut self, host: usize, entries: &BTreeMap<EntryKey, EntryValue>) {
        let now = self.clock(host);
        self.hosts[host].set_entries(entries, now);
    }

    fn deliver(&mut self, to: usize, bytes: &[u8]) -> Result<Freshness, Rejection> {
        let now = self.clock(to);
        let outcome = self.hosts[to].handle(Message::decode(bytes).unwrap(), now);
        self.overrides[to].extend(self.hosts[to].take_override_entries().into_iter().map(|taken| taken.entry));
        for ReceivedView { view, last_seen } in self.hosts[to].take_views() {
            self.views[to].insert(view.host.clone(), (view, last_seen));
        }
        outcome
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        while self.now < end {
            for datagram in
                self.in_flight.extract_if(.., |datagram| datagram.arrives_at <= self.now).collect::<Vec<_>>()
            {
                // The duplicates and the delayed ones that are rejected have tests of their own.
                let _ = self.deliver(datagram.to, &datagram.bytes);
            }
            for from in 0..self.hosts.len() {
                let now = self.clock(from);
                while let Some(Transmit { to, message }) = self.hosts[from].poll_transmit(now) {
                    let to = (0..self.hosts.len()).find(|n| name(*n) == to).unwrap();
                    let is_cut = self.cut.contains(&(from, to))
                        || (self.no_deltas.contains(&(from, to)) && !message.deltas.is_empty());
                    let arrives_at = self.now + 10 + self.slow.get(&(from, to)).copied().unwrap_or_default();
                    let datagram = Datagram { arrives_at, to, bytes: message.encode().unwrap() };
                    self.sent.push(datagram.clone());
                    if !is_cut && self.rng.u8(0..100) >= self.loss {
                        self.in_flight.push(datagram);
                    }
                }
            }
            self.now += STEP;
        }
    }

    /// Runs the network until a condition holds. Returns the milliseconds that took.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> u64 {
        let began = self.now;
        while !holds(self) {
            assert!(self.now < began + 60_000, "within a minute: {what}");
            self.run(STEP);
        }
        self.now - began
    }

    fn votes(&self, who: usize, of: usize) -> Option<&BTreeMap<Target, Vote>> {
        self.views[who].get(&name(of)).map(|(view, _)| &*view.votes)
    }

    fn grade(&self, who: usize, of: usize, n: u32) -> Option<Grade> {
        self.votes(who, of)?.get(&target(n)).map(|vote| vote.grade)
    }
}

#[test]
fn hosts_that_start_together_know_all_of_each_other_within_a_second() {
    let mut network = Network::new(3);
    for host in 0..3 {
        network.set(host, &votes([(1, Grade::Ready), (2, Grade::Down)]));
    }
    let all =
        |network: &Network| (0..3).all(|who| (0..3).filter(|of| *of != who).all(|of| network.votes(who, of).is_some()));
    assert!(network.until("all is known", all) < 1_000);
    assert_eq!(network.grade(2, 0, 2), Some(Grade::Down));
}

#[test]
fn a_change_arrives_with_the_first_message() {
    let mut network = Network::new(3);
    network.set(0, &votes([(1, Grade::Ready)]));
    network.run(2_000);
    network.set(0, &votes([(1, Grade::Down)]));
    let known = |network: &Network| (1..3).all(|who| network.grade(who, 0, 1) == Some(Grade::Down));
    assert!(network.until("the change is known", known) <= 10 + 2 * STEP);
}

#[test]
fn a_third_host_relays_between_two_that_are_cut_off() {
    let mut network = Network::new(3);
    network.cut = [(0, 1), (1, 0)].into();
    network.set(0, &votes([(1, Grade::Ready)]));
    network.run(3_000);
    assert_eq!(network.grade(1, 0, 1), Some(Grade::Ready));
    network.set(0, &votes([(1, Grade::Down)]));
    assert!(network.until("the change is known", |network| network.grade(1, 0, 1) == Some(Grade::Down)) < 1_000);
    let (_, last_seen) = network.views[1][&name(0)].clone();
    assert!(network.clock(1).since(last_seen) < Duration::from_secs(2), "and so is the sign of life");
}

#[test]
fn a_dead_host_is_last_seen_before_its_death_on_all_hosts_over_slow_paths_too() {
    let mut network = Network::new(4);
    (0..4).for_each(|host| network.set(host, &votes([(1, Grade::Ready)])));
    network.slow = [((1, 2), 1_500), ((2, 1), 900), ((2, 3), 300), ((3, 1), 700)].into();
    // The last host gets the entries of the first only over the others.
    network.cut = [(0, 3), (3, 0)].into();
    network.run(5_000);
    network.cut = (1..4).flat_map(|other| [(0, other), (other, 0)]).collect();
    network.run(4_000);
    let of_dead = |host: &Gossip| host.peers().find(|peer| peer.host == name(0)).unwrap().last_seen;
    let last_seen = |network: &Network| network.hosts[1..].iter().map(of_dead).collect::<Vec<_>>();
    let before = last_seen(&network);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    network.run(10_000);
    assert_eq!(last_seen(&network), before, "it has sent nothing since");
    network.restart(3, 0);
    network.run(4_000);
    let last_seen = last_seen(&network)[2].unwrap();
    assert!(
        network.clock(3).since(last_seen) >= Duration::from_secs(14),
        "a host that has just started learns of it too: {last_seen}"
    );
}

#[test]
fn many_entries_arrive_in_small_messages_although_some_are_lost() {
    let mut network = Network::new(2);
    network.loss = 30;
    let many = votes((0..1_000).map(|n| (n, Grade::Ready)));
    network.set(0, &many);
    network.until("all of it is known", |network| network.votes(1, 0).is_some_and(|votes| votes.len() == 1_000));
    assert!(network.sent.iter().all(|sent| sent.bytes.len() <= MAX_MESSAGE_BYTES), "no message is too long");
    let version = network.hosts[0].entries.version();
    network.set(0, &many);
    assert_eq!(network.hosts[0].entries.version(), version, "the same entries are no change");
}

/// A drain with a reason of `reason` bytes, and `known` other drains in its causal context.
fn drain(reason: usize, known: u64) -> EntryValue {
    let drain = Override {
        kind: OverrideKind::Drain,
        reason: "x".repeat(reason),
        author: "ada".to_owned(),
        since: Moment::from_millis(START),
        until: None,
        host: Some(name(0)),
    };
    let timestamp = |n: u64| HybridTimestamp { time: START + n, host: Some(name(usize::from(n.is_multiple_of(2)))) };
    EntryValue::Override(OverrideEntry {
        timestamp: timestamp(100),
        causal_context: (0..known).map(timestamp).collect(),
        context_revision: 0,
        insist: false,
        state: OverrideState::Active(drain),
        expiry_uncertain: false,
    })
}

fn override_key(n: u32) -> EntryKey {
    EntryKey::Override(target(n).node_key())
}

#[test]
fn an_entry_that_fits_in_no_message_holds_up_no_other() {
    let mut network = Network::new(2);
    network.run(2_000);
    network.sent.clear();
    // The long one comes first.
    network.set(0, &[(override_key(1), drain(MAX_MESSAGE_BYTES, 0)), (override_key(2), drain(10, 0))].into());
    network.until("the override behind it is known", |network| !network.overrides[1].is_empty());
    network.set(0, &[(override_key(1), drain(MAX_MESSAGE_BYTES, 0)), (override_key(2), drain(11, 0))].into());
    network.until("a later one is known", |network| network.overrides[1].len() == 2);
    network.run(1_000);
    network.sent.clear();
    network.run(10_000);
    assert_eq!(network.sent.len(), 2 * 2 * 10, "and then nothing but heartbeats is sent");
}

#[test]
fn a_long_override_finds_room_with_the_most_hosts() {
    let mut network = Network::new(15);
    network.run(2_000);
    let long = drain(600, 24);
    network.set(0, &[(override_key(1), long.clone())].into());
    let all_know = |network: &Network| (1..15).all(|host| network.overrides[host].len() == 1);
    assert!(network.until("the override is known", all_know) < 1_000);
    let EntryValue::Override(sent) = long else { unreachable!() };
    assert_eq!(network.overrides[14][0].causal_context, sent.causal_context, "whole");
    assert!(network.sent.iter().all(|sent| sent.bytes.len() <= MAX_MESSAGE_BYTES), "no message is too long");
}

#[test]
fn the_longest_names_that_fifteen_hosts_may_have_fit() {
    let named = |n: usize, length: usize| host_name(&format!("{n:0>length$}"));
    let all = |length| (0..15).map(|n| named(n, length)).collect::<BTreeSet<_>>();
    let length = (1..HostName::MAX_BYTES)
        .take_while(|length| crate::host_names_overflow(&all(*length)).is_none())
        .last()
        .unwrap();
    let long = |n| named(n, length);
    let members = all(length);
    let gossip = |own| {
        let membership = Membership { own, members: members.clone(), can_write: true };
        Gossip::new(&membership, START, Moment::from_millis(START))
    };
    let mut one = gossip(long(0));
    let mut other = gossip(long(1));
    one.links.retain(|to, _| *to == long(1));
    other.links.retain(|to, _| *to == long(0));
    for host in members.iter().skip(1) {
        one.peers.insert(host.clone(), PeerState { incarnation: 1 << 42, heartbeat: 1 << 30, ..PeerState::default() });
    }
    one.set_entries(
        &[
            (EntryKey::ReachableHosts, EntryValue::ReachableHosts(members.clone())),
            (EntryKey::Members, EntryValue::Members(members.clone())),
        ]
        .into(),
        Moment::from_millis(START),
    );
    for step in 1..200 {
        let now = Moment::from_millis(START + step * 10);
        while let Some(Transmit { message, .. }) = other.poll_transmit(now) {
            let _ = one.handle(message, now);
        }
        while let Some(Transmit { message, .. }) = one.poll_transmit(now) {
            let bytes = message.encode().unwrap();
            assert!(bytes.len() <= MAX_MESSAGE_BYTES, "{} bytes", bytes.len());
            let _ = other.handle(Message::decode(&bytes).unwrap(), now);
        }
    }
    assert_eq!(other.peers().find(|peer| peer.host == long(0)).unwrap().members, Some(members));
}

#[test]
fn a_host_at_rest_sends_two_small_messages_a_second() {
    let mut network = Network::new(3);
    for host in 0..3 {
        network.set(host, &votes((0..3).map(|n| (n, Grade::Ready))));
    }
    network.run(5_000);
    network.sent.clear();
    network.run(60_000);
    let bytes: usize = network.sent.iter().map(|sent| sent.bytes.len()).sum();
    assert_eq!(network.sent.len(), 3 * 2 * 2 * 60, "each host to each other twice a second");
    assert!(bytes / 3 / 60 < 500, "{} bytes a second of each host", bytes / 3 / 60);
}

#[test]
fn the_round_trip_and_the_clocks_are_measured() {
    let mut network = Network::new(2);
    network.restart(1, 240_000);
    network.run(3_000);
    let peer = network.hosts[0].peers().next().unwrap();
    let round_trip = peer.round_trip.unwrap();
    assert!((20..=30).contains(&round_trip.as_millis()), "{round_trip:?}");
    let clocks = peer.clocks.unwrap();
    assert_eq!(clocks.peer.since(clocks.own).as_secs(), 239, "less the time on the path");
}

#[test]
fn an_override_lasts_equally_long_on_hosts_with_different_clocks() {
    let mut network = Network::new(2);
    network.restart(1, -600_000);
    let now = network.clock(0);
    let drain = Override {
        kind: OverrideKind::Drain,
        reason: "disk".to_owned(),
        author: "ada".to_owned(),
        since: now,
        until: Some(now.after(Duration::from_mins(2))),
        host: Some(name(0)),
    };
    let timestamp = HybridTimestamp { time: now.as_millis(), host: Some(name(0)) };
    let sent = OverrideEntry {
        timestamp,
        causal_context: Vec::new(),
        context_revision: 0,
        insist: false,
        state: OverrideState::Active(drain),
        expiry_uncertain: false,
    };
    network.set(0, &[(override_key(1), EntryValue::Override(sent.clone()))].into());
    network.until("the override is known", |network| !network.overrides[1].is_empty());
    let received = &network.overrides[1][0];
    assert_eq!(received.timestamp, sent.timestamp);
    let left = received.active().unwrap().until.unwrap().since(network.clock(1));
    assert!(left <= Duration::from_mins(2) && left > Duration::from_secs(118), "{left:?}");
}

#[test]
fn overrides_are_given_once_more_after_a_change_of_the_configuration() {
    let mut network = Network::new(2);
    let drain = Override {
        kind: OverrideKind::Drain,
        reason: String::new(),
        author: "ada".to_owned(),
        since: network.clock(0),
        until: None,
        host: Some(name(0)),
    };
    let timestamp = HybridTimestamp { time: START, host: Some(name(0)) };
    let entry = OverrideEntry {
        timestamp,
        causal_context: Vec::new(),
        context_revision: 0,
        insist: false,
        state: OverrideState::Active(drain),
        expiry_uncertain: false,
    };
    network.set(0, &[(override_key(1), EntryValue::Override(entry))].into());
    network.until("the override is known", |network| !network.overrides[1].is_empty());
    let configuration = |byte| BTreeMap::from([(target(1).pool, ConfigurationHash([byte; 8]))]);
    network.hosts[1].set_configuration(&configuration(1));
    assert_eq!(network.hosts[1].take_override_entries().len(), 1);
    network.hosts[1].set_configuration(&configuration(1));
    assert_eq!(network.hosts[1].take_override_entries().len(), 0, "nothing is new");
    network.hosts[1].set_configuration(&configuration(2));
    assert_eq!(network.hosts[1].take_override_entries().len(), 1);
}

#[test]
fn a_host_that_restarts_with_its_clock_set_back_is_received_again() {
    let mut network = Network::new(3);
    network.set(0, &votes([(1, Grade::Ready)]));
    network.run(3_000);
    network.restart(0, -300_000);
    network.set(0, &votes([(1, Grade::Down)]));
    let took =
        network.until("the change is known", |network| (1..3).all(|who| network.grade(who, 0, 1) == Some(Grade::Down)));
    assert!(took < 2_000, "{took} ms");
    assert!(network.hosts[0].incarnation() > START);
}

#[test]
fn a_host_whose_memory_was_set_back_begins_a_new_run_and_gets_all_it_has_lost() {
    let mut network = Network::new(3);
    network.set(0, &votes([(1, Grade::Ready)]));
    network.run(3_000);
    let snapshot = network.hosts[0].clone();
    network.run(20_000);
    network.set(0, &votes([(1, Grade::Down)]));
    network.set(1, &[(override_key(1), drain(10, 0))].into());
    network.run(20_000);
    assert!((0..3).all(|host| !network.hosts[host].take_set_back()));
    network.hosts[0] = snapshot;
    network.overrides[0].clear();
    let incarnation = network.hosts[0].incarnation();
    let took = network.until("it is received again", |network| {
        (1..3).all(|who| network.grade(who, 0, 1) == Some(Grade::Ready)) && !network.overrides[0].is_empty()
    });
    assert!(took < 2_000, "{took} ms");
    assert!(network.hosts[0].incarnation() > incarnation);
    assert!(network.hosts[0].take_set_back() && !network.hosts[0].take_set_back(), "it is reported once");
    network.run(5_000);
    assert!(!network.hosts[0].take_set_back() && !network.hosts[0].take_identity_conflict());
}

/// Lets host 1 send one forged message to host 2 in the name of host 0, made from its last real one.
fn forge(network: &mut Network, change: impl Fn(&mut Message)) {
    let is_real = |message: &Message| message.from == name(0) && message.digest.len() == 3;
    let sent = network.sent.iter().rev().filter(|sent| sent.to == 2).map(|sent| Message::decode(&sent.bytes).unwrap());
    let mut forged = sent.into_iter().find(is_real).unwrap();
    forged.sequence_number += 1;
    change(&mut forged);
    let _ = network.deliver(2, &forged.encode().unwrap());
}

/// A change of a real message.
struct Forgery {
    name: &'static str,
    change: fn(&mut Message),
}

/// The place of the sender in the digest of a message of host 0.
fn own(message: &Message) -> usize {
    message.digest.iter().position(|entry| entry.host == name(0)).unwrap()
}

fn forgery(name: &'static str, change: fn(&mut Message)) -> Forgery {
    Forgery { name, change }
}

#[test]
fn a_forged_message_does_not_outlive_its_forger() {
    let forgeries = [
        forgery("the last incarnation", |message| {
            let own = own(message);
            message.incarnation = u64::MAX;
            message.digest[own].incarnation = u64::MAX;
            message.sequence_number = u64::MAX;
        }),
        forgery("a later incarnation", |message| {
            let own = own(message);
            message.incarnation = START + 1_000_000;
            message.digest[own].incarnation = START + 1_000_000;
        }),
        forgery("the last heartbeat", |message| {
            let own = own(message);
            message.digest[own].heartbeat = u64::MAX;
        }),
        forgery("the last version", |message| {
            let own = own(message);
            message.digest[own].version = u64::MAX;
        }),
        forgery("the last sequence number", |message| message.sequence_number = u64::MAX),
        forgery("entries up to the last version", |message| {
            let own = &message.digest[own(message)];
            let entry = Entry {
                version: u64::MAX,
                key: EntryKey::Vote(target(1)),
                value: Some(EntryValue::Vote(Vote { grade: Grade::Live, ..Vote::default() })),
            };
            let delta = Delta {
                host: name(0),
                incarnation: own.incarnation,
                after: own.version,
                up_to: u64::MAX,
                entries: vec![entry],
            };
            message.deltas = vec![delta];
        }),
    ];
    for Forgery { name: forgery, change } in forgeries {
        let mut network = Network::new(3);
        network.set(0, &votes([(1, Grade::Ready)]));
        network.run(3_000);
        forge(&mut network, change);
        network.run(10_000);
        network.set(0, &votes([(1, Grade::Down)]));
        network.run(2_000);
        assert_eq!(network.grade(2, 0, 1), Some(Grade::Down), "{forgery}");
        let host = network.hosts[2].peers().find(|peer| peer.host == name(0)).unwrap();
        assert!(network.clock(2).since(host.last_seen.unwrap()) < Duration::from_secs(2), "{forgery}");
        assert!(network.hosts[2].is_directly_reachable(&name(0), network.clock(2)), "{forgery}");
    }
}

#[test]
fn removed_entries_are_dropped_by_a_new_run_and_a_full_copy_takes_no_more() {
    let mut network = Network::new(2);
    for round in 0..12 {
        network.set(0, &votes((0..100).map(|n| (round * 100 + n, Grade::Ready))));
        network.run(1_000);
    }
    assert!(network.hosts[0].incarnation() > START, "a new run has begun");
    assert!(network.hosts[0].entries.removed() <= MAX_REMOVED);
    assert_eq!(network.votes(1, 0).map(BTreeMap::len), Some(100));
    let mut copy = HostEntries::default();
    let entry = |n: u32| Entry {
        version: u64::from(n) + 1,
        key: EntryKey::Vote(target(n)),
        value: Some(EntryValue::Vote(Vote::default())),
    };
    copy.apply(0, 30_000, (0..30_000).map(entry).collect());
    assert_eq!(copy.iter().count(), 20_000);
}

#[test]
fn two_runs_that_learn_of_the_same_earlier_run_take_different_incarnations() {
    let mut network = Network::new(3);
    network.run(10_000);
    network.cut.extend([(0, 2), (2, 0), (1, 2), (2, 1)]);
    network.restart(0, -60_000);
    network.run(20_000);
    let second = network.hosts[0].incarnation();
    network.cut = [(0, 1), (1, 0), (1, 2), (2, 1)].into();
    network.restart(0, -90_000);
    network.run(100);
    network.cut.clear();
    let took = network.until("they know each other", |network| {
        let reaches =
            |from: usize, to: usize| network.hosts[from].is_directly_reachable(&name(to), network.clock(from));
        (0..3).all(|from| (0..3).all(|to| from == to || reaches(from, to)))
    });
    assert!(took < 2_000, "{took} ms");
    assert!(network.hosts[0].incarnation() != second);
}

#[test]
fn hosts_find_each_other_again_after_a_long_cut() {
    let mut network = Network::new(2);
    network.run(2_000);
    network.cut = [(0, 1), (1, 0)].into();
    network.run(60_000);
    network.cut.clear();
    network.set(0, &votes([(1, Grade::Ready)]));
    assert!(network.until("they receive each other", |network| network.grade(1, 0, 1).is_some()) < 2_000);
}

#[test]
fn entries_from_before_a_silence_are_not_a_view_after_it() {
    let mut network = Network::new(2);
    network.set(0, &votes([(1, Grade::Ready)]));
    network.run(2_000);
    network.cut = [(0, 1), (1, 0)].into();
    network.run(20_000);
    network.set(0, &votes([(1, Grade::Down)]));
    let (_, before) = network.views[1][&name(0)].clone();
    network.cut.clear();
    network.until("it is seen again", |network| network.views[1][&name(0)].1 > before);
    assert_eq!(network.grade(1, 0, 1), Some(Grade::Down));
}

#[test]
fn entries_go_round_a_ring_of_paths_that_are_cut_in_one_direction() {
    let mut network = Network::new(3);
    network.set(0, &votes([(1, Grade::Ready)]));
    network.run(2_000);
    network.cut = [(0, 1), (1, 2), (2, 0)].into();
    network.run(20_000);
    network.set(0, &votes([(1, Grade::Down)]));
    let took = network.until("the change is known", |network| network.grade(1, 0, 1) == Some(Grade::Down));
    assert!(took < 1_000, "{took} ms");
}

#[test]
fn a_host_that_restarts_gets_all_entries_over_paths_that_work_in_one_direction() {
    let mut network = Network::new(3);
    network.set(0, &votes([(1, Grade::Down)]));
    network.set(2, &votes([(1, Grade::Live)]));
    network.run(3_000);
    network.cut.extend([(1, 0), (2, 1), (0, 2)]);
    network.run(3_000);
    network.restart(1, 0);
    network.run(3_000);
    assert_eq!((network.grade(1, 0, 1), network.grade(1, 2, 1)), (Some(Grade::Down), Some(Grade::Live)));
}

#[test]
fn the_view_of_a_live_host_whose_entries_do_not_arrive_grows_old() {
    let mut network = Network::new(2);
    network.set(0, &votes([(1, Grade::Ready)]));
    network.run(2_000);
    network.no_deltas = [(0, 1)].into();
    network.set(0, &votes([(1, Grade::Down)]));
    network.run(8_000);
    let (_, last_seen) = network.views[1][&name(0)].clone();
    assert!(network.clock(1).since(last_seen) >= Duration::from_secs(2), "what is known of it is old");
    assert!(
        network.hosts[1].peers().all(|peer| network.clock(1).since(peer.last_seen.unwrap()) < Duration::from_secs(1))
    );
}

#[test]
fn a_host_that_cannot_send_still_receives_changes() {
    let mut network = Network::new(2);
    network.set(0, &votes([(1, Grade::Ready)]));
    network.run(2_000);
    network.cut = [(1, 0)].into();
    for grade in [Grade::Down, Grade::Ready, Grade::Down] {
        network.run(3_500);
        network.set(0, &votes([(1, grade)]));
        let took = network.until("the change is known", |network| network.grade(1, 0, 1) == Some(grade));
        assert!(took < 1_000, "{took} ms");
    }
}

#[test]
fn the_view_of_a_host_that_changes_all_the_time_stays_fresh() {
    let mut network = Network::new(2);
    network.set(0, &votes((0..400).map(|n| (n, Grade::Ready))));
    network.until("the change is known", |network| network.votes(1, 0).is_some());
    network.loss = 30;
    for n in 0..400 {
        // Twenty change each time.
        let grade = |target| if (n + target) / 20 % 2 == 0 { Grade::Ready } else { Grade::Down };
        network.set(0, &votes((0..400).map(|target| (target, grade(target)))));
        network.run(200);
        let (_, last_seen) = network.views[1][&name(0)].clone();
        assert!(network.clock(1).since(last_seen) < Duration::from_secs(5), "at {n}");
    }
}

#[test]
fn lost_entries_are_sent_again_although_new_ones_keep_coming() {
    let mut network = Network::new(2);
    let changing = |n: u32| if n.is_multiple_of(2) { Grade::Ready } else { Grade::Down };
    network.set(0, &votes([(1, Grade::Ready), (2, Grade::Ready)]));
    network.run(2_000);
    network.cut = [(0, 1)].into();
    network.set(0, &votes([(1, Grade::Down), (2, Grade::Ready)]));
    network.run(STEP);
    network.cut.clear();
    for n in 0..20 {
        network.set(0, &votes([(1, Grade::Down), (2, changing(n))]));
        network.run(50);
    }
    assert_eq!(network.grade(1, 0, 1), Some(Grade::Down));
}

#[test]
fn a_message_that_arrives_twice_is_accepted_once() {
    let mut network = Network::new(2);
    network.run(2_000);
    let Datagram { to, bytes, .. } = network.sent.last().cloned().unwrap();
    network.run(100);
    assert_eq!(network.deliver(to, &bytes), Err(Rejection::Replayed(name(1 - to))));
}

#[test]
fn messages_to_an_earlier_run_do_not_count_for_a_later_one() {
    let mut network = Network::new(2);
    network.set(0, &votes([(1, Grade::Ready)]));
    network.run(5_000);
    let recorded: Vec<Vec<u8>> =
        network.sent.iter().filter(|sent| sent.to == 1).map(|sent| sent.bytes.clone()).collect();
    // The recorded host is dead now, and the other one has restarted.
    network.cut = [(0, 1), (1, 0)].into();
    network.in_flight.clear();
    network.run(30_000);
    network.restart(1, 0);
    for bytes in &recorded {
        network.deliver(1, bytes).unwrap();
    }
    assert_eq!(network.votes(1, 0), None, "no entry of it counts");
    assert_eq!(network.hosts[1].peers().next().unwrap().last_direct_contact, None);
}

#[test]
fn a_message_that_was_delayed_for_long_does_not_count() {
    let mut network = Network::new(2);
    network.set(0, &votes([(1, Grade::Ready)]));
    network.run(5_000);
    network.cut = [(0, 1)].into();
    let before = network.sent.len();
    network.run(20_000);
    let held: Vec<Vec<u8>> =
        network.sent[before..].iter().filter(|sent| sent.to == 1).map(|sent| sent.bytes.clone()).collect();
    let before_delay = network.hosts[1].peers().next().unwrap().last_direct_contact;
    network.deliver(1, &held[0]).unwrap();
    assert_eq!(network.hosts[1].peers().next().unwrap().last_direct_contact, before_delay);
    network.deliver(1, held.last().unwrap()).unwrap();
    assert!(
        network.hosts[1].peers().next().unwrap().last_direct_contact > before_delay,
        "a message that was sent now does"
    );
}

#[test]
fn messages_of_strangers_and_in_this_hosts_own_name_are_rejected() {
    let mut host = Gossip::new(&membership(0, 2), START, Moment::from_millis(START));
    let now = Moment::from_millis(START + 1_000);
    let mut message = |of: usize, incarnation: u64| {
        let mut other = Gossip::new(&membership(of, 9), incarnation, Moment::from_millis(START));
        other.links.retain(|to, _| *to == name(usize::from(of == 0)));
        let message = other.poll_transmit(now).unwrap().message;
        host.handle(message, now).unwrap_err().to_string()
    };
    assert_eq!(message(5, START), "dns-5 is not among the members that are configured here");
    assert_eq!(message(0, START + 1), "another host calls itself dns-0 too; every host needs a name of its own");
    assert!(message(0, START - 1).contains("from an earlier run"), "an own message may come back late");
}

#[test]
fn a_host_learns_from_others_that_another_uses_its_name() {
    let mut network = Network::new(3);
    network.restart(2, -300_000);
    network.run(3_000);
    network.restart(2, -600_000);
    network.run(3_000);
    assert!((0..3).all(|host| !network.hosts[host].take_identity_conflict()), "an earlier run is not another host");
    network.now += 1_000;
    let own = network.hosts[1].own().clone();
    let now = network.clock(1);
    let mut other = Gossip::new(&membership(1, 3), now.as_millis(), now);
    assert_eq!(other.own(), &own);
    let message =
        std::iter::from_fn(|| other.poll_transmit(now)).find(|transmit| transmit.to == name(0)).unwrap().message;
    network.deliver(0, &message.encode().unwrap()).unwrap();
    network.run(3_000);
    assert!(
        network.hosts[1].take_identity_conflict() && !network.hosts[1].take_identity_conflict(),
        "it is reported once"
    );
    assert!(!network.hosts[0].take_identity_conflict() && !network.hosts[2].take_identity_conflict());
}

#[test]
fn every_message_decodes_to_what_was_encoded() {
    let mut network = Network::new(3);
    network.set(0, &votes([(1, Grade::Live)]));
    network.run(1_000);
    for Datagram { bytes, .. } in &network.sent {
        let message = Message::decode(bytes).unwrap();
        assert_eq!(&message.encode().unwrap(), bytes);
        assert!(Message::decode(&bytes[..bytes.len() - 1]).is_err(), "cut");
        assert!(Message::decode(&[bytes.as_slice(), &[0]].concat()).is_err(), "with a byte more");
    }
}

#[test]
fn a_message_with_a_name_that_no_host_may_have_is_not_decoded() {
    let mut network = Network::new(2);
    network.run(1_000);
    let mut bytes = network.sent[0].bytes.clone();
    let own = b"dns-";
    let start = bytes.windows(own.len()).position(|window| window == own).unwrap();
    bytes[start + 3] = b'\n';
    assert!(Message::decode(&bytes).is_err());
    bytes[start + 3] = b'_';
    assert!(Message::decode(&bytes).is_ok(), "only the name was wrong");
}

#[test]
fn a_message_with_a_name_that_no_pool_may_have_is_not_decoded() {
    let mut network = Network::new(2);
    network.set(0, &votes([(1, Grade::Live)]));
    network.run(1_000);
    let pool = b"lb.kube-cp.com";
    let place = |bytes: &[u8]| bytes.windows(pool.len()).position(|window| window == pool);
    let (start, mut bytes) =
        network.sent.iter().find_map(|sent| Some((place(&sent.bytes)?, sent.bytes.clone()))).unwrap();
    bytes[start] = b'_';
    assert!(Message::decode(&bytes).is_err());
    bytes[start] = b'x';
    assert!(Message::decode(&bytes).is_ok(), "only the name was wrong");
}
