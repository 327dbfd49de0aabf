//! Checks random histories of several pools, of hosts with other names for the nodes, of reloads, and of restarts with any state.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::fixtures::host_name;
use daymark_decision::{
    Answer, Basis, Command, Engine, Family, Grade, Kind, Member, Memory, Mode, Moment, Node, OverrideKind, PeerView,
    Pool, Target, Vote,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use support::build::{self, START};
use support::naive::{Event, Expected, Naive};

/// An input that fits any pools. An index stands for one pool, and for one of its nodes or targets.
#[derive(Clone, Debug)]
enum Input {
    Observe {
        pool: Index,
        target: Index,
        kind: Kind,
        times: usize,
    },
    /// By an operator who insists: other drains may be reverted when a reload makes a pending one active.
    SetOverride {
        pool: Index,
        node: Index,
        kind: OverrideKind,
        millis: Option<u64>,
    },
    ClearOverride {
        pool: Index,
        node: Index,
    },
    Reload {
        pool: Index,
        nodes: Nodes,
    },
    Timeout,
}

/// The nodes of a configuration: those of a bit mask out of four, and the number that their names begin with.
#[derive(Clone, Copy, Debug)]
struct Nodes {
    mask: u8,
    first_name: usize,
}

#[derive(Clone, Debug)]
struct Step {
    delay: u64,
    input: Input,
}

/// The part of a pool that does not change.
#[derive(Clone, Debug)]
struct Shape {
    rise: u32,
    fall: u32,
    mode: Mode,
    /// For each of four nodes: IPv4, IPv6 or both.
    families: [usize; 4],
}

impl Shape {
    fn pool(&self, number: usize, nodes: Nodes) -> Pool {
        let mut pool = build::pool(&format!("lb-{number:02}.example.org"));
        let is_configured = |n: &usize| nodes.mask & (1 << n) != 0;
        pool.nodes = (0..4).filter(is_configured).map(|n| self.node(number, n, nodes.first_name)).collect();
        pool.thresholds = build::thresholds(self.rise, self.fall);
        pool.steering.mode = self.mode;
        pool
    }

    fn node(&self, pool: usize, n: usize, first_name: usize) -> Node {
        let addresses = [format!("192.0.{pool}.{n}"), format!("2001:db8:{pool}::{n}")];
        let addresses = addresses.each_ref().map(String::as_str);
        let addresses = [&addresses[..1], &addresses[1..], &addresses[..]][self.families[n]];
        let mut node = build::node(&format!("cp-{}", first_name + n), addresses);
        node.priority = u16::try_from(n % 2).unwrap();
        node
    }
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let modes = select(vec![Mode::All, Mode::Failover, Mode::Weighted]);
    let shape = (1..3_u32, 1..4_u32, modes, prop::array::uniform4(0..3_usize))
        .prop_map(|(rise, fall, mode, families)| Shape { rise, fall, mode, families });
    prop::collection::vec(shape, 1..4)
}

fn all_nodes() -> impl Strategy<Value = Nodes> {
    (1..16_u8, 0..3_usize).prop_map(|(mask, first_name)| Nodes { mask, first_name })
}

fn kinds() -> impl Strategy<Value = Kind> {
    let labels = ["ready", "ready", "ready", "notReady:etcd", "shuttingDown", "refused", "refused", "localError"];
    select(labels.map(|label| build::kind(label).unwrap()).to_vec())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let durations = prop_oneof![Just(None), (1..20_000_u64).prop_map(Some)];
    let kind = prop_oneof![3 => Just(OverrideKind::Drain), 1 => Just(OverrideKind::Force)];
    let index = any::<Index>;
    let inputs = prop_oneof![
        12 => (index(), index(), kinds(), 1..4_usize)
            .prop_map(|(pool, target, kind, times)| Input::Observe { pool, target, kind, times }),
        2 => (index(), index(), kind, durations)
            .prop_map(|(pool, node, kind, millis)| Input::SetOverride { pool, node, kind, millis }),
        1 => (index(), index()).prop_map(|(pool, node)| Input::ClearOverride { pool, node }),
        2 => (index(), all_nodes()).prop_map(|(pool, nodes)| Input::Reload { pool, nodes }),
        1 => Just(Input::Timeout),
    ];
    let delays = prop_oneof![3 => Just(0), 4 => 1..1_500_u64, 2 => 1_000..30_000_u64];
    prop::collection::vec((delays, inputs).prop_map(|(delay, input)| Step { delay, input }), 0..30)
}

/// An engine with several pools, and a naive model of each pool.
struct Modelled {
    shapes: Vec<Shape>,
    pools: Vec<Pool>,
    engine: Engine,
    naives: Vec<Naive>,
    now: Moment,
}

impl Modelled {
    fn new(shapes: &[Shape]) -> Self {
        let nodes = Nodes { mask: 0b0111, first_name: 0 };
        let pools: Vec<Pool> = shapes.iter().enumerate().map(|(number, shape)| shape.pool(number, nodes)).collect();
        Self {
            shapes: shapes.to_vec(),
            engine: Engine::new(None, pools.clone(), Memory::default(), START),
            naives: pools.iter().cloned().map(Naive::new).collect(),
            pools,
            now: START,
        }
    }

    fn take(&mut self, step: &Step) {
        self.now = self.now.after(Duration::from_millis(step.delay));
        match &step.input {
            Input::Observe { pool, target, kind, times } => {
                let pool = pool.index(self.pools.len());
                let targets: Vec<Target> = self.pools[pool].targets().collect();
                for _ in 0..*times {
                    let target = target.get(&targets);
                    self.engine.handle_observation(target, &build::observation(kind.clone()), self.now);
                    self.naives[pool].push(self.now, Event::Observed(target.clone(), kind.clone()));
                }
            }
            Input::SetOverride { pool, node, kind, millis } => {
                let requested = build::requested(*kind, self.now, *millis);
                self.command(*pool, |pool| Command::SetOverride {
                    pool: pool.name.clone(),
                    node: node.get(&pool.nodes).name.clone(),
                    requested,
                    insist: true,
                });
            }
            Input::ClearOverride { pool, node } => self.command(*pool, |pool| Command::ClearOverride {
                pool: pool.name.clone(),
                node: node.get(&pool.nodes).name.clone(),
            }),
            Input::Reload { pool, nodes } => {
                let pool = pool.index(self.pools.len());
                self.pools[pool] = self.shapes[pool].pool(pool, *nodes);
                self.engine.handle_policy(self.pools.clone(), self.now);
                self.naives[pool].push(self.now, Event::Configured(self.pools[pool].clone()));
            }
            Input::Timeout => self.engine.handle_timeout(self.now),
        }
    }

    fn command(&mut self, pool: Index, command: impl FnOnce(&Pool) -> Command) {
        let pool = pool.index(self.pools.len());
        let command = command(&self.pools[pool]);
        if self.engine.handle_command(command.clone(), self.now).is_ok() {
            self.naives[pool].push(self.now, Event::Accepted(command));
        }
    }

    fn restart(&mut self, memory: &Memory) {
        let memory = serde_json::to_string(memory).unwrap();
        self.engine = Engine::new(None, self.pools.clone(), serde_json::from_str(&memory).unwrap(), self.now);
    }
}

fn targets(answer: &Answer) -> BTreeSet<Target> {
    let target =
        |member: &Member| Target { pool: answer.pool.clone(), node: member.node.clone(), address: member.address };
    answer.members.iter().map(target).collect()
}

/// An engine of one of three or more hosts, and the views of the others with these votes.
fn engine_among(pool: &Pool, votes: Vec<BTreeMap<Target, Vote>>, hosts: usize) -> Engine {
    let membership = build::membership("dns-0", hosts);
    let mut engine = Engine::new(membership.clone(), vec![pool.clone()], Memory::default(), START);
    for (votes, number) in votes.into_iter().zip(1..) {
        let view = PeerView {
            host: host_name(&format!("dns-{number}")),
            incarnation: 1,
            sequence: 1,
            votes: Arc::new(votes),
            abstains: false,
            eligible_writer: true,
            reachable: membership.iter().flat_map(|of| of.members.clone()).collect(),
        };
        engine.handle_peer_view(view, START, START);
    }
    engine
}

/// True if the bit of the last byte of an address is set.
fn is_in(mask: u8, address: IpAddr) -> bool {
    let bit = match address {
        IpAddr::V4(of) => of.octets()[3],
        IpAddr::V6(of) => of.octets()[15],
    };
    mask & (1 << bit) != 0
}

proptest! {
    // The model is slow: it goes through the whole history at every step.
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn every_pool_answers_as_its_naive_model_does_over_reloads(shapes in shapes(), steps in steps()) {
        let mut modelled = Modelled::new(&shapes);
        for step in &steps {
            modelled.take(step);
            let decision = modelled.engine.decide(modelled.now);
            for (answer, naive) in decision.answers.iter().zip(&modelled.naives) {
                let answered = Expected { bases: answer.bases.clone(), targets: targets(answer) };
                prop_assert_eq!(answered, naive.answer(modelled.now), "{} after {:?}", answer.pool, step);
            }
        }
    }

    #[test]
    fn no_serial_goes_back_over_restarts_with_kept_old_and_lost_state(
        count in 1..20_usize, shape in shapes(), steps in steps(), states in prop::collection::vec(0..3_usize, 1..5),
    ) {
        let shapes: Vec<Shape> = shape.iter().cycle().take(count).cloned().collect();
        let mut modelled = Modelled::new(&shapes);
        let old = modelled.engine.memory();
        let mut newest = modelled.engine.decide(modelled.now).generation;
        for state in states {
            for step in &steps {
                modelled.take(step);
                let generation = modelled.engine.decide(modelled.now).generation;
                prop_assert!(generation >= newest, "{generation} is below {newest}");
                newest = generation;
            }
            // No host decides sixty-four times a second for long. These steps do so for a moment.
            modelled.now = modelled.now.after(Duration::from_secs(2));
            let memories = [modelled.engine.memory(), old.clone(), Memory::default()];
            modelled.restart(&memories[state]);
            let decision = modelled.engine.decide(modelled.now);
            prop_assert!(decision.generation > newest, "{} is not above {newest}", decision.generation);
            prop_assert!(decision.answers.iter().all(|answer| !answer.members.is_empty()));
            newest = decision.generation;
        }
    }

    #[test]
    fn in_an_outage_the_hosts_hold_together_what_any_of_them_had_by_address(
        shapes in shapes(),
        mine in all_nodes(),
        others in prop::collection::vec((all_nodes(), any::<u8>()), 2),
        own_mask in any::<u8>(),
    ) {
        let pool = Shape { mode: Mode::All, ..shapes[0].clone() }.pool(0, mine);
        let votes = |(nodes, mask): &(Nodes, u8)| {
            let vote = |target: Target| {
                let in_last_known_good = is_in(*mask, target.address);
                (target, Vote { grade: Grade::Down, in_last_known_good, ..Vote::default() })
            };
            shapes[0].pool(0, *nodes).targets().map(vote).collect::<BTreeMap<_, _>>()
        };
        let votes: Vec<_> = others.iter().map(votes).collect();
        let good_there = votes.iter().flatten().filter(|(_, vote)| vote.in_last_known_good);
        let mut good: BTreeSet<IpAddr> = good_there.map(|(target, _)| target.address).collect();

        // The addresses of its own mask were ready in its last run.
        let mut alone = Engine::new(None, vec![pool.clone()], Memory::default(), START);
        for target in pool.targets() {
            let kind = if is_in(own_mask, target.address) { Kind::Ready } else { Kind::Refused };
            good.extend((kind == Kind::Ready).then_some(target.address));
            (0..4).for_each(|_| alone.handle_observation(&target, &build::observation(kind.clone()), START));
        }
        let mut engine = engine_among(&pool, votes.clone(), 3);
        let membership = engine.membership().cloned();
        engine = Engine::new(membership, vec![pool.clone()], alone.memory(), START);
        // The wait for the other hosts is over.
        let now = START.after(Duration::from_secs(10));
        let views: Vec<PeerView> = engine_among(&pool, votes, 3).views().cloned().collect();
        for view in views {
            // In an outage, no host reaches a node.
            engine.handle_peer_view(PeerView { abstains: true, ..view }, now, now);
        }
        for target in pool.targets() {
            (0..8).for_each(|_| engine.handle_observation(&target, &build::observation(Kind::Refused), now));
        }

        let answer = engine.decide(now).answers.remove(0);
        let of_family = |family| pool.targets().map(|of| of.address).filter(move |of| Family::of(*of) == family);
        let is_any_good = pool.targets().any(|of| good.contains(&of.address));
        for family in Family::ALL {
            let kept: BTreeSet<IpAddr> = of_family(family).filter(|of| good.contains(of)).collect();
            // A family that was never good is left out beside one that was.
            let expected = match kept.is_empty() {
                true if is_any_good => BTreeSet::new(),
                true => of_family(family).collect(),
                false => kept.clone(),
            };
            let answered = answer.members.iter().map(|of| of.address).filter(|of| Family::of(*of) == family);
            prop_assert_eq!(answered.collect::<BTreeSet<IpAddr>>(), expected.clone());
            let basis = if kept.is_empty() { Basis::Bootstrap } else { Basis::LastKnownGood };
            prop_assert_eq!(answer.bases.get(&family).copied(), (!expected.is_empty()).then_some(basis));
        }
    }

    #[test]
    fn a_node_that_shuts_down_does_not_come_back_before_it_is_better(
        kinds in prop::collection::vec(select(vec!["shuttingDown", "refused", "notReady:etcd"]), 0..12),
        hosts in 2..6_usize,
        fall in 1..5_u32,
    ) {
        let shape = Shape { rise: 1, fall, mode: Mode::All, families: [0; 4] };
        let pool = shape.pool(0, Nodes { mask: 0b11, first_name: 0 });
        let all: Vec<Target> = pool.targets().collect();
        let ready = Vote { grade: Grade::Ready, ..Vote::default() };
        let votes: BTreeMap<Target, Vote> = all.iter().map(|target| (target.clone(), ready)).collect();
        let mut engine = engine_among(&pool, vec![votes; hosts - 1], hosts);
        let mut observe = |target: &Target, kind: &str| {
            engine.handle_observation(target, &build::observation(build::kind(kind).unwrap()), START);
            targets(&engine.decide(START).answers[0])
        };
        for target in &all {
            observe(target, "ready");
        }
        for kind in std::iter::once("shuttingDown").chain(kinds) {
            prop_assert_eq!(observe(&all[0], kind), [all[1].clone()].into(), "after {}", kind);
        }
        prop_assert_eq!(observe(&all[0], "ready").len(), 2, "it is better again");
    }
}
