//! One pool at work: its policy, the healths of its targets, and its answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::{Answer, Basis, Member, Order};
use crate::health::Health;
use crate::hold::LastGood;
use crate::memory::PoolMemory;
use crate::moment::Moment;
use crate::observation::Kind;
use crate::overrides::{Fitness, OverrideKind, Overrides};
use crate::policy::{Mode, Pool};
use crate::quorum::Vote;
use crate::reason::Reason;
use crate::selection::{Candidate, Selection, select};
use crate::target::{Grade, NodeName, Target};
use crate::ttl::Ttl;

/// One pool at work.
#[derive(Clone, Debug)]
pub(crate) struct PoolState {
    pub(crate) policy: Pool,
    healths: BTreeMap<Target, Health>,
    verdicts: BTreeMap<Target, Grade>,
    /// The best that any host finds of each target, where that is better than the verdict.
    found: BTreeMap<Target, Grade>,
    good: LastGood,
    answer: Answer,
    pub(crate) ttl_changes_at: Option<Moment>,
}

impl PoolState {
    /// A pool that has no answer yet; to be settled before it is asked for one.
    pub(crate) fn new(policy: Pool, memory: Option<PoolMemory>, now: Moment) -> Self {
        let remembered = memory.as_ref().map(|memory| memory.targets.iter().cloned()).into_iter().flatten();
        let healths: BTreeMap<Target, Health> =
            remembered.map(|(target, memory)| (target, Health::from_memory(memory, now))).collect();
        let mut verdicts: BTreeMap<Target, Grade> =
            healths.iter().map(|(target, health)| (target.clone(), health.grade())).collect();
        verdicts.extend(memory.iter().flat_map(|memory| memory.verdicts.iter().cloned()));
        let found = memory.iter().flat_map(|memory| memory.found.iter().cloned()).collect();
        let good = memory.map(|memory| LastGood::restored(memory.good)).unwrap_or_default();
        let answer = Answer {
            pool: policy.name.clone(),
            members: Vec::new(),
            order: Order::Rotated,
            max_answers: policy.steering.max_answers,
            ttl: policy.ttl.min,
            negative_ttl: policy.ttl.min,
            generation: 0,
            basis: Basis::Bootstrap,
            reasons: Vec::new(),
        };
        let mut state = Self { policy: policy.clone(), healths, verdicts, found, good, answer, ttl_changes_at: None };
        state.configure(policy);
        state
    }

    /// Takes a new policy; the addresses that stay keep their health, also under another node's name, and the configuration
    /// wins over what was known.
    pub(crate) fn configure(&mut self, policy: Pool) {
        let stays = |former: &Target| policy.targets().map(|(it, _)| it).find(|it| it.address == former.address);
        let mut known = renamed(std::mem::take(&mut self.healths), stays);
        self.healths = policy.targets().map(|(it, _)| (it.clone(), known.remove(&it).unwrap_or_default())).collect();
        self.good.rename(stays);
        self.verdicts = renamed(std::mem::take(&mut self.verdicts), stays);
        self.found = renamed(std::mem::take(&mut self.found), stays);
        self.policy = policy;
    }

    pub(crate) fn answer(&self) -> &Answer {
        &self.answer
    }

    pub(crate) fn healths(&self) -> impl Iterator<Item = (&Target, &Health)> {
        self.policy.targets().filter_map(|(target, _)| self.healths.get_key_value(&target))
    }

    /// Takes the outcome of one probe in; tells whether anything is known now that was not.
    pub(crate) fn observe(&mut self, target: &Target, kind: &Kind, now: Moment) -> bool {
        let thresholds = self.policy.thresholds;
        self.healths.get_mut(target).is_some_and(|health| health.observe(kind, thresholds, now))
    }

    /// Whether the target is one of the pool's.
    pub(crate) fn has(&self, target: &Target) -> bool {
        self.healths.contains_key(target)
    }

    /// How well clients can use a node, by the best of its targets.
    pub(crate) fn fitness(&self, node: &NodeName) -> Fitness {
        let has_one =
            |of: &BTreeMap<Target, Grade>| of.iter().any(|(it, grade)| it.node == *node && *grade >= Grade::Live);
        match (has_one(&self.verdicts), has_one(&self.found)) {
            (true, _) => Fitness::Usable,
            (false, true) => Fitness::Found,
            (false, false) => Fitness::Unusable,
        }
    }

    /// The best that any host found of a target when that was judged last, where it was better than the verdict.
    pub(crate) fn found(&self, target: &Target) -> Grade {
        self.found.get(target).copied().unwrap_or_default()
    }

    /// The grade that the hosts agree on, target by target.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = (&Target, Grade)> {
        self.verdicts.iter().map(|(target, verdict)| (target, *verdict))
    }

    /// What this host says of each target.
    pub(crate) fn votes(&self) -> impl Iterator<Item = (Target, Vote)> {
        self.healths().map(|(target, health)| {
            (target.clone(), Vote { was_good: self.good.targets().contains(target), ..health.vote() })
        })
    }

    /// What the hosts agree on; the former verdict stays where nobody knows. Targets are asked for in their order.
    pub(crate) fn judged(&self, mut verdict: impl FnMut(&Target, &Health) -> Option<Grade>) -> BTreeMap<Target, Grade> {
        let former = |target: &Target| self.verdicts.get(target).copied().unwrap_or_default();
        let judged = self
            .healths
            .iter()
            .map(|(target, health)| (target.clone(), verdict(target, health).unwrap_or_else(|| former(target))));
        judged.collect()
    }

    /// Makes the answer anew. `found` is the best that any host finds of each target, where that is better than the verdict. Its
    /// generation becomes `next` where it differs from the one before; tells whether it did.
    pub(crate) fn settle(
        &mut self,
        verdicts: BTreeMap<Target, Grade>,
        found: BTreeMap<Target, Grade>,
        held_elsewhere: impl FnOnce() -> BTreeSet<Target>,
        overrides: &Overrides,
        next: u64,
        now: Moment,
    ) -> bool {
        (self.verdicts, self.found) = (verdicts, found);
        let policy = &self.policy;
        let candidates: Vec<_> = policy
            .targets()
            .map(|(target, node)| {
                let verdict = self.verdicts.get(&target).copied().unwrap_or_default();
                let found = self.found(&target);
                Candidate { order: overrides.get(&target.pool, &target.node), target, node, verdict, found }
            })
            .collect();
        let (mode, detection) = (policy.steering.mode, policy.pace.detection);
        let selection = select(&candidates, mode, &mut self.good, held_elsewhere, now, detection);
        let ttl = self.ttl(selection.basis, overrides.next_expiry(&policy.name), now);
        let is_chosen = |candidate: &&Candidate<'_>| selection.chosen.contains(&candidate.target);
        let answer = Answer {
            pool: policy.name.clone(),
            members: candidates.iter().filter(is_chosen).map(member).collect(),
            order: match policy.steering.mode {
                Mode::All | Mode::Failover => Order::Rotated,
                Mode::Weighted => Order::Weighted,
            },
            max_answers: policy.steering.max_answers,
            ttl: ttl.seconds,
            negative_ttl: policy.ttl.min,
            generation: self.answer.generation,
            basis: selection.basis,
            reasons: candidates.iter().map(|it| (it.target.clone(), self.reason(it, &selection))).collect(),
        };
        let former = std::mem::replace(&mut self.answer, answer);
        self.ttl_changes_at = ttl.changes_at;
        let changed = !same_publication(&former, &self.answer);
        if changed {
            self.answer.generation = next;
        }
        changed
    }

    /// Gives the answer a new generation though it may be the same.
    pub(crate) fn renew(&mut self, generation: u64) {
        self.answer.generation = generation;
    }

    pub(crate) fn memory(&self, overrides: &Overrides) -> PoolMemory {
        let words = overrides.words().filter(|(pool, ..)| **pool == self.policy.name);
        let grade = |target: &Target| self.healths.get(target).map(Health::grade).unwrap_or_default();
        PoolMemory {
            pool: self.policy.name.clone(),
            good: self.good.targets().clone(),
            targets: self.healths().map(|(target, health)| (target.clone(), health.memory())).collect(),
            verdicts: self
                .verdicts()
                .filter(|(target, verdict)| *verdict != grade(target))
                .map(|(target, verdict)| (target.clone(), verdict))
                .collect(),
            found: self.found.iter().map(|(target, grade)| (target.clone(), *grade)).collect(),
            words: words.map(|(_, node, word)| (node.clone(), word.clone())).collect(),
        }
    }

    fn ttl(&self, basis: Basis, expiry: Option<Moment>, now: Moment) -> Ttl {
        let Pool { thresholds, pace, ttl, .. } = self.policy;
        match basis {
            Basis::Found | Basis::Held | Basis::Bootstrap => Ttl::floor(ttl),
            Basis::Ready | Basis::Live => {
                let turn = self.healths.values().filter_map(|health| health.earliest_turn(thresholds, pace)).min();
                Ttl::until(ttl, turn, expiry, now)
            }
        }
    }

    fn reason(&self, candidate: &Candidate<'_>, selection: &Selection) -> Reason {
        let Candidate { target, node, verdict: _, found, order } = candidate;
        let unknown = Health::default();
        let health = self.healths.get(target).unwrap_or(&unknown);
        let lacks = || health.lack();
        let is_chosen = selection.chosen.contains(target);
        match order {
            Some(order) if order.kind == OverrideKind::Drain && is_chosen => {
                return Reason::NoneUndrained { order: (*order).clone() };
            }
            Some(order) if order.kind == OverrideKind::Drain => return Reason::Drained { order: (*order).clone() },
            Some(order) if is_chosen => return Reason::Forced { order: (*order).clone() },
            _ => {}
        }
        let would_do = match selection.basis {
            Basis::Ready => candidate.grade() == Grade::Ready,
            Basis::Found => *found >= Grade::Live,
            Basis::Live | Basis::Held | Basis::Bootstrap => candidate.grade() >= Grade::Live,
        };
        match (is_chosen, selection.basis) {
            (true, Basis::Ready) if health.grade() == Grade::Ready => Reason::Ready { since: health.since() },
            (true, Basis::Ready) => Reason::Agreed { lacks: lacks() },
            (true, Basis::Live) => Reason::BestOfLive { lacks: lacks() },
            (true, Basis::Found) => Reason::Found { lacks: lacks() },
            (true, Basis::Held) => Reason::Held { lacks: lacks() },
            (true, Basis::Bootstrap) => Reason::Bootstrap { lacks: lacks() },
            (false, _) => match selection.priority {
                Some(answered) if answered < node.priority && would_do => {
                    Reason::LowerPriority { own: node.priority, answered }
                }
                _ => Reason::Unfit { lacks: lacks() },
            },
        }
    }
}

fn member(candidate: &Candidate<'_>) -> Member {
    Member { node: candidate.target.node.clone(), address: candidate.target.address, weight: candidate.node.weight }
}

/// Whether two answers are the same but for their generation and reasons.
fn same_publication(one: &Answer, other: &Answer) -> bool {
    let Answer { pool, members, order, max_answers, ttl, negative_ttl, generation: _, basis, reasons: _ } = one;
    (pool, members, order, max_answers, ttl, negative_ttl, basis)
        == (
            &other.pool,
            &other.members,
            &other.order,
            &other.max_answers,
            &other.ttl,
            &other.negative_ttl,
            &other.basis,
        )
}

/// What is known of targets, by what they are called from now on.
fn renamed<T>(of: BTreeMap<Target, T>, stays: impl Fn(&Target) -> Option<Target>) -> BTreeMap<Target, T> {
    of.into_iter().filter_map(|(former, it)| Some((stays(&former)?, it))).collect()
}
