use std::collections::BTreeSet;

use daymark_decision::{Grade, HybridTimestamp, Override, OverrideKind, OverrideState, Target, Vote};
use fastrand::Rng;

use super::*;

const START: u64 = 1_767_225_600_000;
/// The network moves in steps of so many milliseconds.
const STEP: u64 = 5;

fn name(n: usize) -> HostName {
    HostName::new(&format!("dns-{n}"))
}

fn membership(own: usize, hosts: usize) -> Membership {
    Membership { own: name(own), members: (0..hosts).map(name).collect(), can_write: true }
}

fn target(n: u32) -> Target {
    let [.., high, low] = n.to_be_bytes();
    Target {
        pool: PoolName::new("lb.kube-cp.com"),
        node: NodeName::new(&format!("kube-cp-{n}")),
        address: [10, 10, high, low].into(),
    }
}

fn votes(of: impl IntoIterator<Item = (u32, Grade)>) -> BTreeMap<Topic, Fact> {
    let vote = |grade| Fact::Vote(Vote { grade, shutting_down: false, in_last_good: true });
    of.into_iter().map(|(n, grade)| (Topic::Vote(target(n)), vote(grade))).collect()
}

/// Hosts and a network whose ways take 10 ms.
struct Net {
    now: u64,
    hosts: Vec<Gossip>,
    ahead: Vec<i64>,
    under_way: Vec<(u64, usize, Vec<u8>)>,
    cut: BTreeSet<(usize, usize)>,
    /// The ways on which only messages without facts arrive.
    no_facts: BTreeSet<(usize, usize)>,
    /// How many milliseconds a way takes more than others.
    slow: BTreeMap<(usize, usize), u64>,
    loss: u8,
    rng: Rng,
    /// The views that each host has got, newest last.
    views: Vec<BTreeMap<HostName, (PeerView, Moment)>>,
    words: Vec<Vec<OverrideEntry>>,
    sent: Vec<(usize, Vec<u8>)>,
}

impl Net {
    fn new(hosts: usize) -> Self {
        let gossip = |n| Gossip::new(&membership(n, hosts), START, Moment::from_millis(START));
        Self {
            now: START,
            hosts: (0..hosts).map(gossip).collect(),
            ahead: vec![0; hosts],
            under_way: Vec::new(),
            cut: BTreeSet::new(),
            no_facts: BTreeSet::new(),
            slow: BTreeMap::new(),
            loss: 0,
            rng: Rng::with_seed(7),
            views: vec![BTreeMap::new(); hosts],
            words: vec![Vec::new(); hosts],
            sent: Vec::new(),
        }
    }

    fn clock(&self, host: usize) -> Moment {
        Moment::from_millis(self.now.saturating_add_signed(self.ahead[host]))
    }

    fn restart(&mut self, host: usize, ahead: i64) {
        self.ahead[host] = ahead;
        let now = self.clock(host);
        self.hosts[host] = Gossip::new(&membership(host, self.hosts.len()), now.as_millis(), now);
        self.views[host].clear();
    }

    fn say(&mut self, host: usize, facts: &BTreeMap<Topic, Fact>) {
        let now = self.clock(host);
        self.hosts[host].say(facts, now);
    }

    fn deliver(&mut self, to: usize, bytes: &[u8]) -> Result<Heard, Unheard> {
        let now = self.clock(to);
        let outcome = self.hosts[to].handle(Message::decode(bytes).unwrap(), now);
        self.words[to].extend(self.hosts[to].take_override_entries().into_iter().map(|(.., word)| word));
        for (view, said) in self.hosts[to].take_views() {
            self.views[to].insert(view.host.clone(), (view, said));
        }
        outcome
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        while self.now < end {
            let (due, later) = std::mem::take(&mut self.under_way).into_iter().partition(|(at, ..)| *at <= self.now);
            self.under_way = later;
            for (_, to, bytes) in Vec::<(u64, usize, Vec<u8>)>::into_iter(due) {
                // What comes twice, or late, is refused; that is tested for itself.
                let _ = self.deliver(to, &bytes);
            }
            for from in 0..self.hosts.len() {
                let now = self.clock(from);
                while let Some(Transmit { to, message }) = self.hosts[from].poll_transmit(now) {
                    let to = (0..self.hosts.len()).find(|n| name(*n) == to).unwrap();
                    let is_cut = self.cut.contains(&(from, to))
                        || (self.no_facts.contains(&(from, to)) && !message.news.is_empty());
                    let bytes = message.encode().unwrap();
                    self.sent.push((to, bytes.clone()));
                    if !is_cut && self.rng.u8(0..100) >= self.loss {
                        let takes = 10 + self.slow.get(&(from, to)).copied().unwrap_or_default();
                        self.under_way.push((self.now + takes, to, bytes));
                    }
                }
            }
            self.now += STEP;
        }
    }

    /// How many milliseconds it takes until that holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> u64 {
        let began = self.now;
        while !holds(self) {
            assert!(self.now < began + 60_000, "within a minute: {what}");
            self.run(STEP);
        }
        self.now - began
    }

    fn sees(&self, who: usize, of: usize) -> Option<&BTreeMap<Target, Vote>> {
        self.views[who].get(&name(of)).map(|(view, _)| &*view.votes)
    }

    fn grade(&self, who: usize, of: usize, n: u32) -> Option<Grade> {
        self.sees(who, of)?.get(&target(n)).map(|vote| vote.grade)
    }
}

#[test]
fn hosts_that_begin_at_the_same_time_know_all_of_each_other_within_a_second() {
    let mut net = Net::new(3);
    for host in 0..3 {
        net.say(host, &votes([(1, Grade::Ready), (2, Grade::Down)]));
    }
    let all = |net: &Net| (0..3).all(|who| (0..3).filter(|of| *of != who).all(|of| net.sees(who, of).is_some()));
    assert!(net.until("all is known", all) < 1_000);
    assert_eq!(net.grade(2, 0, 2), Some(Grade::Down));
}

#[test]
fn a_change_is_known_after_one_way() {
    let mut net = Net::new(3);
    net.say(0, &votes([(1, Grade::Ready)]));
    net.run(2_000);
    net.say(0, &votes([(1, Grade::Down)]));
    let known = |net: &Net| (1..3).all(|who| net.grade(who, 0, 1) == Some(Grade::Down));
    assert!(net.until("the change is known", known) <= 10 + 2 * STEP);
}

#[test]
fn a_third_host_bridges_a_cut() {
    let mut net = Net::new(3);
    net.cut = [(0, 1), (1, 0)].into();
    net.say(0, &votes([(1, Grade::Ready)]));
    net.run(3_000);
    assert_eq!(net.grade(1, 0, 1), Some(Grade::Ready));
    net.say(0, &votes([(1, Grade::Down)]));
    assert!(net.until("the change is known", |net| net.grade(1, 0, 1) == Some(Grade::Down)) < 1_000);
    let (_, said) = net.views[1][&name(0)].clone();
    assert!(net.clock(1).since(said) < Duration::from_secs(2), "and so is that it lives");
}

#[test]
fn a_dead_host_grows_older_everywhere_however_slow_the_ways_between_the_others_are() {
    let mut net = Net::new(4);
    (0..4).for_each(|host| net.say(host, &votes([(1, Grade::Ready)])));
    net.slow = [((1, 2), 1_500), ((2, 1), 900), ((2, 3), 300), ((3, 1), 700)].into();
    // The last host hears of the first only through the others.
    net.cut = [(0, 3), (3, 0)].into();
    net.run(5_000);
    net.cut = (1..4).flat_map(|other| [(0, other), (other, 0)]).collect();
    net.run(4_000);
    let of_dead = |host: &Gossip| host.peers().find(|peer| peer.host == name(0)).unwrap().said;
    let said = |net: &Net| net.hosts[1..].iter().map(of_dead).collect::<Vec<_>>();
    let before = said(&net);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    net.run(10_000);
    assert_eq!(said(&net), before, "it has said nothing since");
    net.restart(3, 0);
    net.run(4_000);
    let told = said(&net)[2].unwrap();
    assert!(net.clock(3).since(told) >= Duration::from_secs(14), "nor for who has just begun: {told}");
}

#[test]
fn much_arrives_in_small_messages_also_where_many_are_lost() {
    let mut net = Net::new(2);
    net.loss = 30;
    let many = votes((0..1_000).map(|n| (n, Grade::Ready)));
    net.say(0, &many);
    net.until("all of it is known", |net| net.sees(1, 0).is_some_and(|votes| votes.len() == 1_000));
    assert!(net.sent.iter().all(|(_, bytes)| bytes.len() <= MOST_BYTES), "no message is too long");
    let told = net.hosts[0].facts.version();
    net.say(0, &many);
    assert_eq!(net.hosts[0].facts.version(), told, "what is said again is no news");
}

/// A drain with a reason of so many letters, that knew so many others.
fn word(reason: usize, causal_context: u64) -> Fact {
    let order = Override {
        kind: OverrideKind::Drain,
        reason: "x".repeat(reason),
        author: "ada".to_owned(),
        since: Moment::from_millis(START),
        until: None,
        host: Some(name(0)),
    };
    let timestamp = |n: u64| HybridTimestamp { time: START + n, host: Some(name(usize::from(n.is_multiple_of(2)))) };
    Fact::OverrideEntry(OverrideEntry {
        timestamp: timestamp(100),
        causal_context: (0..causal_context).map(timestamp).collect(),
        insist: false,
        state: OverrideState::Active(order),
        expiry_uncertain: false,
    })
}

fn topic(n: u32) -> Topic {
    Topic::OverrideEntry(target(n).pool, target(n).node)
}

#[test]
fn a_fact_that_fits_in_no_message_holds_up_no_other() {
    let mut net = Net::new(2);
    net.run(2_000);
    net.sent.clear();
    // Words come behind votes, and a later change behind both.
    net.say(0, &[(topic(1), word(MOST_BYTES, 0)), (topic(2), word(10, 0))].into());
    net.until("the word behind it is known", |net| !net.words[1].is_empty());
    net.say(0, &[(topic(1), word(MOST_BYTES, 0)), (topic(2), word(11, 0))].into());
    net.until("a later one is known", |net| net.words[1].len() == 2);
    net.run(1_000);
    net.sent.clear();
    net.run(10_000);
    assert_eq!(net.sent.len(), 2 * 2 * 10, "and the rest is rest");
}

#[test]
fn a_long_word_finds_room_also_among_the_most_hosts() {
    let mut net = Net::new(15);
    net.run(2_000);
    let long = word(600, 24);
    net.say(0, &[(topic(1), long.clone())].into());
    let all_know = |net: &Net| (1..15).all(|host| net.words[host].len() == 1);
    assert!(net.until("the word is known", all_know) < 1_000);
    let Fact::OverrideEntry(said) = long else { unreachable!() };
    assert_eq!(net.words[14][0].causal_context, said.causal_context, "whole");
    assert!(net.sent.iter().all(|(_, bytes)| bytes.len() <= MOST_BYTES), "no message is too long");
}

#[test]
fn the_longest_names_that_many_hosts_may_have_fit() {
    let named = |n: usize, length: usize| HostName::new(&format!("{n:0>length$}"));
    let all = |length| (0..15).map(|n| named(n, length)).collect::<BTreeSet<_>>();
    let length = (1..crate::LONGEST_HOST).take_while(|length| crate::crowding(&all(*length)).is_none()).last().unwrap();
    let (long, members) = (|n| named(n, length), all(length));
    let gossip = |own| {
        let membership = Membership { own, members: members.clone(), can_write: true };
        Gossip::new(&membership, START, Moment::from_millis(START))
    };
    let (mut one, mut other) = (gossip(long(0)), gossip(long(1)));
    one.links.retain(|to, _| *to == long(1));
    other.links.retain(|to, _| *to == long(0));
    for host in members.iter().skip(1) {
        one.known.insert(host.clone(), Known { incarnation: 1 << 43, beat: 1 << 30, ..Known::default() });
    }
    one.say(
        &[(Topic::Hears, Fact::Hears(members.clone())), (Topic::Members, Fact::Members(members.clone()))].into(),
        Moment::from_millis(START),
    );
    for step in 1..200 {
        let now = Moment::from_millis(START + step * 10);
        while let Some(Transmit { message, .. }) = other.poll_transmit(now) {
            let _ = one.handle(message, now);
        }
        while let Some(Transmit { message, .. }) = one.poll_transmit(now) {
            let bytes = message.encode().unwrap();
            assert!(bytes.len() <= MOST_BYTES, "{} bytes", bytes.len());
            let _ = other.handle(Message::decode(&bytes).unwrap(), now);
        }
    }
    assert_eq!(other.peers().find(|peer| peer.host == long(0)).unwrap().members, Some(members));
}

#[test]
fn at_rest_a_host_says_little() {
    let mut net = Net::new(3);
    for host in 0..3 {
        net.say(host, &votes((0..3).map(|n| (n, Grade::Ready))));
    }
    net.run(5_000);
    net.sent.clear();
    net.run(60_000);
    let bytes: usize = net.sent.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(net.sent.len(), 3 * 2 * 2 * 60, "each host to each other twice a second");
    assert!(bytes / 3 / 60 < 500, "{} bytes a second of each host", bytes / 3 / 60);
}

#[test]
fn the_round_trip_and_the_clocks_are_measured() {
    let mut net = Net::new(2);
    net.restart(1, 240_000);
    net.run(3_000);
    let peer = net.hosts[0].peers().next().unwrap();
    let round_trip = peer.round_trip.unwrap();
    assert!((20..=30).contains(&round_trip.as_millis()), "{round_trip:?}");
    let (theirs, ours) = peer.clocks.unwrap();
    assert_eq!(theirs.since(ours).as_secs(), 239, "less the way");
}

#[test]
fn a_word_lasts_as_long_everywhere_whatever_the_clocks_say() {
    let mut net = Net::new(2);
    net.restart(1, -600_000);
    let now = net.clock(0);
    let order = Override {
        kind: OverrideKind::Drain,
        reason: "disk".to_owned(),
        author: "ada".to_owned(),
        since: now,
        until: Some(now.after(Duration::from_mins(2))),
        host: Some(name(0)),
    };
    let timestamp = HybridTimestamp { time: now.as_millis(), host: Some(name(0)) };
    let word = OverrideEntry {
        timestamp,
        causal_context: Vec::new(),
        insist: false,
        state: OverrideState::Active(order),
        expiry_uncertain: false,
    };
    let topic = Topic::OverrideEntry(target(1).pool, target(1).node);
    net.say(0, &[(topic, Fact::OverrideEntry(word.clone()))].into());
    net.until("the word is known", |net| !net.words[1].is_empty());
    let (heard, clock) = (net.words[1][0].clone(), net.clock(1));
    assert_eq!(heard.timestamp, word.timestamp);
    let left = heard.active().unwrap().until.unwrap().since(clock);
    assert!(left <= Duration::from_mins(2) && left > Duration::from_secs(118), "{left:?}");
}

#[test]
fn words_are_given_once_more_where_the_configuration_is_another() {
    let mut net = Net::new(2);
    let order = Override {
        kind: OverrideKind::Drain,
        reason: String::new(),
        author: "ada".to_owned(),
        since: net.clock(0),
        until: None,
        host: Some(name(0)),
    };
    let timestamp = HybridTimestamp { time: START, host: Some(name(0)) };
    let word = OverrideEntry {
        timestamp,
        causal_context: Vec::new(),
        insist: false,
        state: OverrideState::Active(order),
        expiry_uncertain: false,
    };
    net.say(0, &[(Topic::OverrideEntry(target(1).pool, target(1).node), Fact::OverrideEntry(word))].into());
    net.until("the word is known", |net| !net.words[1].is_empty());
    let [former, newer] = [[1; 8], [2; 8]].map(|digest| BTreeMap::from([(target(1).pool, digest)]));
    net.hosts[1].configure(&former);
    assert_eq!(net.hosts[1].take_override_entries().len(), 1);
    net.hosts[1].configure(&former);
    assert_eq!(net.hosts[1].take_override_entries().len(), 0, "nothing is new");
    net.hosts[1].configure(&newer);
    assert_eq!(net.hosts[1].take_override_entries().len(), 1);
}

#[test]
fn a_host_that_comes_back_with_its_clock_set_back_is_heard_again() {
    let mut net = Net::new(3);
    net.say(0, &votes([(1, Grade::Ready)]));
    net.run(3_000);
    net.restart(0, -300_000);
    net.say(0, &votes([(1, Grade::Down)]));
    let took = net.until("it is heard", |net| (1..3).all(|who| net.grade(who, 0, 1) == Some(Grade::Down)));
    assert!(took < 2_000, "{took} ms");
    assert!(net.hosts[0].incarnation() > START);
}

#[test]
fn two_runs_with_the_clock_set_back_are_two_though_both_are_told_of_the_same_one() {
    let mut net = Net::new(3);
    net.run(10_000);
    net.cut.extend([(0, 2), (2, 0), (1, 2), (2, 1)]);
    net.restart(0, -60_000);
    net.run(20_000);
    let second = net.hosts[0].incarnation();
    net.cut = [(0, 1), (1, 0), (1, 2), (2, 1)].into();
    net.restart(0, -90_000);
    net.run(100);
    net.cut.clear();
    let took = net.until("they know each other", |net| {
        let hears = |from: usize, to: usize| net.hosts[from].is_there(&name(to), net.clock(from));
        (0..3).all(|from| (0..3).all(|to| from == to || hears(from, to)))
    });
    assert!(took < 2_000, "{took} ms");
    assert!(net.hosts[0].incarnation() != second);
}

#[test]
fn hosts_that_were_cut_off_for_long_find_each_other_again() {
    let mut net = Net::new(2);
    net.run(2_000);
    net.cut = [(0, 1), (1, 0)].into();
    net.run(60_000);
    net.cut.clear();
    net.say(0, &votes([(1, Grade::Ready)]));
    assert!(net.until("they are heard", |net| net.grade(1, 0, 1).is_some()) < 2_000);
}

#[test]
fn what_a_host_said_before_it_was_silent_is_no_view_of_it_now() {
    let mut net = Net::new(2);
    net.say(0, &votes([(1, Grade::Ready)]));
    net.run(2_000);
    net.cut = [(0, 1), (1, 0)].into();
    net.run(20_000);
    net.say(0, &votes([(1, Grade::Down)]));
    let (_, before) = net.views[1][&name(0)].clone();
    net.cut.clear();
    net.until("it is heard again", |net| net.views[1][&name(0)].1 > before);
    assert_eq!(net.grade(1, 0, 1), Some(Grade::Down));
}

#[test]
fn facts_go_round_where_every_way_is_cut_in_one_direction() {
    let mut net = Net::new(3);
    net.say(0, &votes([(1, Grade::Ready)]));
    net.run(2_000);
    net.cut = [(0, 1), (1, 2), (2, 0)].into();
    net.run(20_000);
    net.say(0, &votes([(1, Grade::Down)]));
    let took = net.until("it is known", |net| net.grade(1, 0, 1) == Some(Grade::Down));
    assert!(took < 1_000, "{took} ms");
}

#[test]
fn a_host_that_starts_anew_gets_all_facts_though_it_reaches_nobody_but_over_others() {
    let mut net = Net::new(3);
    net.say(0, &votes([(1, Grade::Down)]));
    net.say(2, &votes([(1, Grade::Live)]));
    net.run(3_000);
    net.cut.extend([(1, 0), (2, 1), (0, 2)]);
    net.run(3_000);
    net.restart(1, 0);
    net.run(3_000);
    assert_eq!((net.grade(1, 0, 1), net.grade(1, 2, 1)), (Some(Grade::Down), Some(Grade::Live)));
}

#[test]
fn a_host_that_lives_but_whose_facts_do_not_come_is_no_longer_heard() {
    let mut net = Net::new(2);
    net.say(0, &votes([(1, Grade::Ready)]));
    net.run(2_000);
    net.no_facts = [(0, 1)].into();
    net.say(0, &votes([(1, Grade::Down)]));
    net.run(8_000);
    let (_, said) = net.views[1][&name(0)].clone();
    assert!(net.clock(1).since(said) >= Duration::from_secs(2), "what is known of it is old");
    assert!(net.hosts[1].peers().all(|peer| net.clock(1).since(peer.said.unwrap()) < Duration::from_secs(1)));
}

#[test]
fn a_host_that_nobody_hears_hears_that_while_it_hears_anything() {
    let mut net = Net::new(2);
    net.say(0, &votes([(1, Grade::Ready)]));
    net.run(2_000);
    net.cut = [(1, 0)].into();
    for grade in [Grade::Down, Grade::Ready, Grade::Down] {
        net.run(3_500);
        net.say(0, &votes([(1, grade)]));
        let took = net.until("it is known", |net| net.grade(1, 0, 1) == Some(grade));
        assert!(took < 1_000, "{took} ms");
    }
}

#[test]
fn a_host_that_never_stops_changing_is_heard_though_all_its_facts_are_never_here_at_once() {
    let mut net = Net::new(2);
    net.say(0, &votes((0..400).map(|n| (n, Grade::Ready))));
    net.until("it is heard", |net| net.sees(1, 0).is_some());
    net.loss = 30;
    for n in 0..400 {
        // Twenty change each time.
        let grade = |target| if (n + target) / 20 % 2 == 0 { Grade::Ready } else { Grade::Down };
        net.say(0, &votes((0..400).map(|target| (target, grade(target)))));
        net.run(200);
        let (_, said) = net.views[1][&name(0)].clone();
        assert!(net.clock(1).since(said) < Duration::from_secs(5), "at {n}");
    }
}

#[test]
fn what_was_lost_is_sent_again_though_there_is_always_something_new() {
    let mut net = Net::new(2);
    let changing = |n: u32| if n.is_multiple_of(2) { Grade::Ready } else { Grade::Down };
    net.say(0, &votes([(1, Grade::Ready), (2, Grade::Ready)]));
    net.run(2_000);
    net.cut = [(0, 1)].into();
    net.say(0, &votes([(1, Grade::Down), (2, Grade::Ready)]));
    net.run(STEP);
    net.cut.clear();
    for n in 0..20 {
        net.say(0, &votes([(1, Grade::Down), (2, changing(n))]));
        net.run(50);
    }
    assert_eq!(net.grade(1, 0, 1), Some(Grade::Down));
}

#[test]
fn a_message_that_comes_twice_is_taken_once() {
    let mut net = Net::new(2);
    net.run(2_000);
    let (to, bytes) = net.sent.last().cloned().unwrap();
    net.run(100);
    assert_eq!(net.deliver(to, &bytes), Err(Unheard::Replayed(name(1 - to))));
}

#[test]
fn what_was_said_to_an_earlier_run_is_not_taken_by_a_later_one() {
    let mut net = Net::new(2);
    net.say(0, &votes([(1, Grade::Ready)]));
    net.run(5_000);
    let recorded: Vec<Vec<u8>> = net.sent.iter().filter(|(to, _)| *to == 1).map(|(_, bytes)| bytes.clone()).collect();
    // The host that was recorded is dead by now, and the other has restarted.
    net.cut = [(0, 1), (1, 0)].into();
    net.under_way.clear();
    net.run(30_000);
    net.restart(1, 0);
    for bytes in &recorded {
        net.deliver(1, bytes).unwrap();
    }
    assert_eq!(net.sees(1, 0), None, "nothing of it counts");
    assert_eq!(net.hosts[1].peers().next().unwrap().heard, None);
}

#[test]
fn what_was_held_back_on_its_way_does_not_count() {
    let mut net = Net::new(2);
    net.say(0, &votes([(1, Grade::Ready)]));
    net.run(5_000);
    net.cut = [(0, 1)].into();
    let before = net.sent.len();
    net.run(20_000);
    let held: Vec<Vec<u8>> =
        net.sent[before..].iter().filter(|(to, _)| *to == 1).map(|(_, bytes)| bytes.clone()).collect();
    let heard = net.hosts[1].peers().next().unwrap().heard;
    net.deliver(1, &held[0]).unwrap();
    assert_eq!(net.hosts[1].peers().next().unwrap().heard, heard);
    net.deliver(1, held.last().unwrap()).unwrap();
    assert!(net.hosts[1].peers().next().unwrap().heard > heard, "what is said now does");
}

#[test]
fn who_is_no_member_and_who_bears_our_name_is_not_listened_to() {
    let mut host = Gossip::new(&membership(0, 2), START, Moment::from_millis(START));
    let now = Moment::from_millis(START + 1_000);
    let mut message = |of: usize, incarnation: u64| {
        let mut other = Gossip::new(&membership(of, 9), incarnation, Moment::from_millis(START));
        other.links.retain(|to, _| *to == name(usize::from(of == 0)));
        let message = other.poll_transmit(now).unwrap().message;
        host.handle(message, now).unwrap_err().to_string()
    };
    assert_eq!(message(5, START), "dns-5 speaks, and is not among the members that are configured here");
    assert_eq!(message(0, START + 1), "another host calls itself dns-0 too; every host needs a name of its own");
    assert!(message(0, START - 1).contains("from an earlier run"), "our own words may come back late");
}

#[test]
fn a_host_learns_from_others_that_another_bears_its_name() {
    let mut net = Net::new(3);
    net.restart(2, -300_000);
    net.run(3_000);
    net.restart(2, -600_000);
    net.run(3_000);
    assert!((0..3).all(|host| !net.hosts[host].take_twin()), "an earlier run of its own is no other host");
    net.now += 1_000;
    let (own, now) = (net.hosts[1].own().clone(), net.clock(1));
    let mut twin = Gossip::new(&membership(1, 3), now.as_millis(), now);
    assert_eq!(twin.own(), &own);
    let message = std::iter::from_fn(|| twin.poll_transmit(now)).find(|it| it.to == name(0)).unwrap().message;
    net.deliver(0, &message.encode().unwrap()).unwrap();
    net.run(3_000);
    assert!(net.hosts[1].take_twin() && !net.hosts[1].take_twin(), "it is told once");
    assert!(!net.hosts[0].take_twin() && !net.hosts[2].take_twin());
}

#[test]
fn every_message_is_what_it_was_after_the_wire() {
    let mut net = Net::new(3);
    net.say(0, &votes([(1, Grade::Live)]));
    net.run(1_000);
    for (_, bytes) in &net.sent {
        let message = Message::decode(bytes).unwrap();
        assert_eq!(&message.encode().unwrap(), bytes);
        assert!(Message::decode(&bytes[..bytes.len() - 1]).is_err(), "cut");
        assert!(Message::decode(&[bytes.as_slice(), &[0]].concat()).is_err(), "with more behind it");
    }
}
