//! Checks the eight properties of the design over random histories, and the answers against a naive model.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::fixtures::host_name;
use daymark_decision::{
    Answer, Basis, Command, Decision, Engine, Family, Grade, Kind, Memory, Mode, Moment, NodeName, OverrideKind,
    PeerView, Pool, Target, Vote,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use support::build::{self, START};
use support::naive::{Event, Expected, Naive};

/// An input that fits any pool. An index stands for one of its nodes or targets.
#[derive(Clone, Debug)]
enum Input {
    Observe { target: Index, kind: Kind, times: usize },
    SetOverride { node: Index, kind: OverrideKind, millis: Option<u64>, insist: bool },
    ClearOverride { node: Index },
    Peer { host: usize, incarnation: u64, sequence: u64, grades: Vec<Grade>, shutting_down: bool, abstains: bool },
    Timeout,
}

/// An input with its time.
#[derive(Clone, Debug)]
struct Step {
    /// Milliseconds since the last input. Negative if the clock has gone back.
    delay: i64,
    input: Input,
}

fn kinds() -> impl Strategy<Value = Kind> {
    let labels =
        ["ready", "ready", "ready", "notReady:etcd", "shuttingDown", "refused", "connectTimeout", "localError"];
    select(labels.map(|label| build::kind(label).expect("a kind")).to_vec())
}

/// The durations of overrides in milliseconds; `None` for an override without an expiry.
fn durations() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (1..20_000_u64).prop_map(Some)]
}

fn own_inputs() -> impl Strategy<Value = Input> {
    prop_oneof![
        12 => (any::<Index>(), kinds(), 1..5_usize)
            .prop_map(|(target, kind, times)| Input::Observe { target, kind, times }),
        2 => (any::<Index>(), durations(), any::<bool>())
            .prop_map(|(node, millis, insist)| Input::SetOverride { node, kind: OverrideKind::Drain, millis, insist }),
        1 => (any::<Index>(), durations())
            .prop_map(|(node, millis)| Input::SetOverride { node, kind: OverrideKind::Force, millis, insist: false }),
        1 => any::<Index>().prop_map(|node| Input::ClearOverride { node }),
        1 => Just(Input::Timeout),
    ]
}

fn all_inputs() -> impl Strategy<Value = Input> {
    let grades = prop::collection::vec(select(Grade::ALL.to_vec()), 6);
    let peer = (1..5_usize, 0..2_u64, 0..20_u64, grades, prop::bool::weighted(0.1), prop::bool::weighted(0.1))
        .prop_map(|(host, incarnation, sequence, grades, shutting_down, abstains)| Input::Peer {
            host,
            incarnation,
            sequence,
            grades,
            shutting_down,
            abstains,
        });
    prop_oneof![3 => own_inputs(), 1 => peer]
}

fn steps(inputs: impl Strategy<Value = Input>) -> impl Strategy<Value = Vec<Step>> {
    let delays = prop_oneof![
        3 => Just(0_i64),
        4 => 1..1_500_i64,
        2 => 1_000..30_000_i64,
        1 => -5_000..0_i64,
    ];
    prop::collection::vec((delays, inputs).prop_map(|(delay, input)| Step { delay, input }), 0..60)
}

prop_compose! {
    fn pools()(
        nodes in prop::collection::vec((1..3_usize, 0..3_u16), 1..5),
        rise in 1..4_u32,
        fall in 1..5_u32,
        mode in select(vec![Mode::All, Mode::Failover, Mode::Weighted]),
        max_ttl in 1..20_u32,
    ) -> Pool {
        let mut pool = build::pool("lb.example.org");
        pool.nodes = nodes.iter().zip(1..).map(|((count, priority), n)| {
            let addresses = [format!("192.0.2.{n}"), format!("2001:db8::{n}")];
            let addresses = addresses.each_ref().map(String::as_str);
            let mut node = build::node(&format!("cp-{n}"), &addresses[..*count]);
            node.priority = *priority;
            node
        }).collect();
        pool.thresholds = build::thresholds(rise, fall);
        pool.steering.mode = mode;
        pool.ttl.max = max_ttl;
        pool
    }
}

/// An engine and the naive model, which get the same events.
struct Pair {
    pool: Pool,
    engine: Engine,
    naive: Naive,
    /// The latest time of any event. It never goes back.
    now: Moment,
}

impl Pair {
    fn new(pool: &Pool, members: usize) -> Self {
        let engine = Engine::new(build::membership("dns-0", members), vec![pool.clone()], Memory::default(), START);
        Self { pool: pool.clone(), engine, naive: Naive::new(pool.clone()), now: START }
    }

    /// Takes one step at the time of its own clock, which may be before that of the last step.
    fn take(&mut self, step: &Step) {
        let clock = clock_of(self.now, step.delay);
        self.now = self.now.max(clock);
        match &step.input {
            Input::Observe { target, kind, times } => {
                let target = pick(&self.targets(), *target);
                for _ in 0..*times {
                    self.engine.handle_observation(&target, &build::observation(kind.clone()), clock);
                    self.naive.push(self.now, Event::Observed(target.clone(), kind.clone()));
                }
            }
            Input::SetOverride { node, kind, millis, insist } => {
                let requested = build::requested(*kind, self.now, *millis);
                let pool = self.pool.name.clone();
                let node = pick(&self.nodes(), *node);
                self.command(Command::SetOverride { pool, node, requested, insist: *insist }, clock);
            }
            Input::ClearOverride { node } => {
                let pool = self.pool.name.clone();
                let node = pick(&self.nodes(), *node);
                self.command(Command::ClearOverride { pool, node }, clock);
            }
            Input::Peer { host, incarnation, sequence, grades, shutting_down, abstains } => {
                let vote = |grade: &Grade| Vote { grade: *grade, shutting_down: *shutting_down, ..Vote::default() };
                let membership = self.engine.membership();
                let view = PeerView {
                    host: host_name(&format!("dns-{host}")),
                    incarnation: *incarnation,
                    sequence: *sequence,
                    votes: Arc::new(self.targets().into_iter().zip(grades.iter().map(vote)).collect()),
                    abstains: *abstains,
                    eligible_writer: true,
                    reachable: membership.map(|membership| membership.members.clone()).unwrap_or_default(),
                };
                self.engine.handle_peer_view(view, self.now, clock);
            }
            Input::Timeout => self.engine.handle_timeout(clock),
        }
    }

    fn command(&mut self, command: Command, clock: Moment) {
        if self.engine.handle_command(command.clone(), clock).is_ok() {
            self.naive.push(self.now, Event::Accepted(command));
        }
    }

    fn answer(&mut self) -> Answer {
        self.engine.decide(self.now).answers.remove(0)
    }

    fn targets(&self) -> Vec<Target> {
        self.pool.targets().collect()
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.pool.nodes.iter().map(|node| node.name.clone()).collect()
    }

    fn overridden(&self, kind: OverrideKind) -> BTreeSet<NodeName> {
        let overrides = self.engine.overrides().filter(|(_, active)| active.kind == kind);
        overrides.map(|(key, _)| key.node.clone()).collect()
    }
}

fn pick<T: Clone>(of: &[T], index: Index) -> T {
    index.get(of).clone()
}

fn members(answer: &Answer) -> BTreeSet<Target> {
    let targets = answer.members.iter().map(|member| Target {
        pool: answer.pool.clone(),
        node: member.node.clone(),
        address: member.address,
    });
    targets.collect()
}

fn last_moment_before(deadline: Moment) -> Moment {
    Moment::from_millis(deadline.as_millis() - 1)
}

proptest! {
    // The model is slow: it goes through the whole history at every step.
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_answers_as_the_naive_model_does(pool in pools(), steps in steps(own_inputs())) {
        let mut pair = Pair::new(&pool, 1);
        for step in &steps {
            pair.take(step);
            let answer = pair.answer();
            let answered = Expected { bases: answer.bases.clone(), targets: members(&answer) };
            prop_assert_eq!(answered, pair.naive.answer(pair.now), "after {:?}", step);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn property_1_the_same_events_at_the_same_times_give_an_equal_decision(
        pool in pools(), steps in steps(all_inputs()), hosts in 1..6_usize,
    ) {
        let mut one = Pair::new(&pool, hosts);
        let mut other = Pair::new(&pool, hosts);
        for step in &steps {
            one.take(step);
            other.take(step);
            // A call of `decide` is no event.
            prop_assert_eq!(one.engine.decide(one.now), other.engine.clone().decide(other.now));
        }
        prop_assert_eq!(one.engine.decide(one.now), other.engine.decide(other.now));
    }

    #[test]
    fn property_2_without_input_nothing_changes_before_the_announced_deadline(
        pool in pools(), steps in steps(all_inputs()), hosts in 1..6_usize, share in 0.0..1.0_f64,
    ) {
        let mut pair = Pair::new(&pool, hosts);
        for step in &steps {
            pair.take(step);
            let now = pair.engine.decide(pair.now);
            let year = pair.now.after(Duration::from_hours(365 * 24));
            let deadline = pair.engine.poll_timeout().unwrap_or(year);
            prop_assert!(deadline > pair.now, "a deadline lies ahead");
            let between = pair.now.after(deadline.since(pair.now).mul_f64(share)).min(last_moment_before(deadline));
            prop_assert_eq!(&pair.engine.clone().decide(between), &now);
            prop_assert_eq!(&pair.engine.clone().decide(last_moment_before(deadline)), &now);
        }
    }

    #[test]
    fn property_3_no_answer_is_empty(pool in pools(), steps in steps(all_inputs()), hosts in 1..6_usize) {
        let mut pair = Pair::new(&pool, hosts);
        prop_assert!(!pair.answer().members.is_empty());
        for step in &steps {
            pair.take(step);
            prop_assert!(!pair.answer().members.is_empty());
        }
    }

    #[test]
    fn property_4_fewer_than_fall_failures_in_a_row_remove_no_target(pool in pools(), steps in steps(own_inputs())) {
        let mut pool = pool;
        pool.steering.mode = Mode::All;
        let fall = pool.thresholds.fall.get() as usize;
        let mut pair = Pair::new(&pool, 1);
        let mut before = pair.answer();
        for step in &steps {
            let drained_before = pair.overridden(OverrideKind::Drain);
            pair.take(step);
            let after = pair.answer();
            let drained = &drained_before | &pair.overridden(OverrideKind::Drain);
            // A target that was in only because no target was ready leaves when one is ready.
            let was_ready = before.basis() == Basis::Ready && after.basis() == Basis::Ready;
            for removed in members(&before).difference(&members(&after)).filter(|_| was_ready) {
                let was_forced = before.reasons.iter().any(|known| {
                    known.target == *removed && matches!(known.reason, daymark_decision::Reason::Forced { .. })
                });
                if drained.contains(&removed.node) || was_forced {
                    continue;
                }
                let mut kinds = pair.naive.kinds(removed);
                kinds.retain(|kind| kind.grade().is_some());
                let failing = kinds.iter().rev().take_while(|kind| **kind != Kind::Ready).count();
                let decisive = kinds.iter().rev().take(failing).any(Kind::is_decisive);
                prop_assert!(failing >= fall || decisive, "{removed} left after {failing} of {fall} failures");
            }
            before = after;
        }
    }

    #[test]
    fn property_5_stale_views_change_nothing_and_generations_never_go_back(
        pool in pools(), steps in steps(all_inputs()), hosts in 2..6_usize,
    ) {
        let mut pair = Pair::new(&pool, hosts);
        let mut views: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
        let mut generation = pair.engine.decide(pair.now).generation;
        for step in &steps {
            let before = pair.engine.decide(pair.now.max(clock_of(pair.now, step.delay)));
            pair.take(step);
            let after = pair.engine.decide(pair.now);
            if let Input::Peer { host, incarnation, sequence, .. } = step.input {
                if views.get(&host).is_some_and(|newest| *newest >= (incarnation, sequence)) {
                    prop_assert_eq!(&before, &after, "a stale view changes nothing");
                } else {
                    views.insert(host, (incarnation, sequence));
                }
            }
            prop_assert!(after.generation >= generation, "generations never go back");
            prop_assert!(after.answers.iter().all(|answer| answer.generation <= after.generation));
            if published(&before) != published(&after) {
                prop_assert!(after.generation > before.generation, "a change has a generation of its own");
            }
            generation = after.generation;
        }
    }

    #[test]
    fn property_6_the_ttl_ends_before_the_earliest_change_under_way(pool in pools(), steps in steps(own_inputs())) {
        let mut pair = Pair::new(&pool, 1);
        for step in &steps {
            pair.take(step);
            let answer = pair.answer();
            prop_assert!(answer.ttl >= pool.ttl.min && answer.ttl <= pool.ttl.max);
            for change in changes_under_way(&pair) {
                let left = change.since(pair.now).as_secs();
                prop_assert!(u64::from(answer.ttl) <= left.max(u64::from(pool.ttl.min)), "{left} s are left");
            }
        }
    }

    #[test]
    fn property_7_a_clock_that_goes_back_moves_no_state_back(
        pool in pools(), steps in steps(all_inputs()), hosts in 1..6_usize,
    ) {
        let mut real = Pair::new(&pool, hosts);
        let mut clamped = Pair::new(&pool, hosts);
        for step in &steps {
            real.take(step);
            clamped.take(&Step { delay: step.delay.max(0), input: step.input.clone() });
            let old = Moment::from_millis(real.now.as_millis() - 60_000);
            prop_assert_eq!(real.engine.decide(old), clamped.engine.decide(clamped.now));
        }
    }

    #[test]
    fn property_8_a_drained_node_is_in_no_answer_while_another_is_as_usable(
        pool in pools(), steps in steps(all_inputs()), hosts in 1..6_usize,
    ) {
        let mut pair = Pair::new(&pool, hosts);
        for step in &steps {
            pair.take(step);
            let answer = pair.answer();
            let drained = pair.overridden(OverrideKind::Drain);
            let forced = pair.overridden(OverrideKind::Force);
            let verdicts: BTreeMap<Target, Grade> =
                pair.engine.verdicts().map(|(target, verdict)| (target.clone(), *verdict)).collect();
            for family in Family::ALL {
                let of_family = pair.targets().into_iter().filter(|target| target.family() == family);
                let (drained, undrained): (Vec<_>, Vec<_>) =
                    of_family.partition(|target| drained.contains(&target.node));
                let best = |of: &[Target]| of.iter().map(|target| verdicts[target]).max().unwrap_or_default();
                let is_answered = |target: &Target| members(&answer).contains(target);
                if drained.iter().any(is_answered) {
                    let beside = undrained.iter().filter(|target| is_answered(target));
                    prop_assert!(beside.clone().all(|target| forced.contains(&target.node)), "only forced ones are beside");
                    prop_assert!(undrained.is_empty() || best(&undrained) < Grade::Live);
                    let was_good = answer.bases[&family] == Basis::LastKnownGood && beside.count() == 0;
                    prop_assert!(undrained.is_empty() || best(&drained) >= Grade::Live || was_good || hosts > 1);
                }
            }
        }
    }

    #[test]
    fn a_restart_alone_changes_no_answer(pool in pools(), steps in steps(own_inputs())) {
        let mut pair = Pair::new(&pool, 1);
        for step in &steps {
            pair.take(step);
        }
        let before = pair.answer();
        let memory = serde_json::to_string(&pair.engine.memory()).unwrap();
        let memory = serde_json::from_str(&memory).unwrap();
        let mut restarted = Engine::new(build::membership("dns-0", 1), vec![pool], memory, pair.now);
        let after = restarted.decide(pair.now).answers.remove(0);
        prop_assert_eq!((&after.members, &after.bases), (&before.members, &before.bases));
        prop_assert!(after.generation > before.generation);
    }
}

/// The time by the clock of an input that comes `delay` milliseconds after `now`.
fn clock_of(now: Moment, delay: i64) -> Moment {
    Moment::from_millis(now.as_millis().saturating_add_signed(delay))
}

/// The published part of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Published {
    targets: BTreeSet<Target>,
    ttl: u32,
    bases: BTreeMap<Family, Basis>,
}

/// The published part of each answer.
fn published(decision: &Decision) -> Vec<Published> {
    let answers = decision.answers.iter();
    answers.map(|answer| Published { targets: members(answer), ttl: answer.ttl, bases: answer.bases.clone() }).collect()
}

/// The times at which the answer would change without a surprise: an override expires, or a transition under way completes
/// because the next probes observe the same as the last.
fn changes_under_way(pair: &Pair) -> Vec<Moment> {
    let mut changes = Vec::new();
    let mut engine = pair.engine.clone();
    let answered = |engine: &mut Engine, at| members(&engine.decide(at).answers[0]);
    let before = answered(&mut engine, pair.now);

    let expiries: Vec<Moment> = engine.overrides().filter_map(|(_, active)| active.until).collect();
    changes.extend(expiries.into_iter().filter(|expiry| answered(&mut engine.clone(), *expiry) != before));

    for (target, health) in engine.healths() {
        let transition = health.earliest_transition(pair.pool.thresholds, pair.pool.timing);
        let Some(observed) = health.observed().filter(|_| transition.is_some()) else { continue };
        let rises = observed.grade() > Some(health.grade()) && health.grade() != Grade::Unknown;
        let interval = if rises { pair.pool.timing.interval } else { pair.pool.timing.confirm_interval };
        let mut continued = engine.clone();
        let mut at = pair.now;
        for _ in 0..10 {
            continued.handle_observation(target, &build::observation(observed.clone()), at);
            if answered(&mut continued, at) != before {
                changes.push(at);
                break;
            }
            at = at.after(interval);
        }
    }
    changes
}
