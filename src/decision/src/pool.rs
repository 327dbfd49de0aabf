//! One pool at work: its policy, the health of its targets, and its answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::{Answer, Basis, Member, Order};
use crate::health::Health;
use crate::last_known_good::LastKnownGood;
use crate::memory::PoolMemory;
use crate::moment::Moment;
use crate::observation::Kind;
use crate::operator_override::OverrideKind;
use crate::overrides::{Overrides, Usability};
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
    judgement: Judgement,
    good: LastKnownGood,
    answer: Answer,
    pub(crate) ttl_changes_at: Option<Moment>,
}

/// The grades that the hosts together give the targets of a pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) verdicts: BTreeMap<Target, Grade>,
    /// The best grade that any host gives a target, if it is usable and the verdict is not.
    pub(crate) minority: BTreeMap<Target, Grade>,
}

impl Judgement {
    pub(crate) fn verdict(&self, target: &Target) -> Grade {
        self.verdicts.get(target).copied().unwrap_or_default()
    }

    pub(crate) fn minority(&self, target: &Target) -> Grade {
        self.minority.get(target).copied().unwrap_or_default()
    }
}

impl PoolState {
    /// A pool without an answer; to be recomputed before its answer is read.
    pub(crate) fn new(policy: Pool, memory: Option<PoolMemory>, now: Moment) -> Self {
        let remembered = memory.as_ref().map(|memory| memory.targets.iter().cloned()).into_iter().flatten();
        let healths: BTreeMap<Target, Health> =
            remembered.map(|(target, memory)| (target, Health::restored(memory, now))).collect();
        let mut verdicts: BTreeMap<Target, Grade> =
            healths.iter().map(|(target, health)| (target.clone(), health.grade())).collect();
        verdicts.extend(memory.iter().flat_map(|memory| memory.verdicts.iter().cloned()));
        let minority = memory.iter().flat_map(|memory| memory.minority.iter().cloned()).collect();
        let good = memory.map(|memory| LastKnownGood::restored(memory.last_known_good)).unwrap_or_default();
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
        let judgement = Judgement { verdicts, minority };
        let mut state = Self { policy: policy.clone(), healths, judgement, good, answer, ttl_changes_at: None };
        state.configure(policy);
        state
    }

    /// Takes a new policy. Addresses that stay keep their state, also under another node's name.
    pub(crate) fn configure(&mut self, policy: Pool) {
        let present = |former: &Target| {
            policy.targets().map(|(target, _)| target).find(|target| target.address == former.address)
        };
        let mut known = renamed(std::mem::take(&mut self.healths), present);
        self.healths = policy
            .targets()
            .map(|(target, _)| {
                let health = known.remove(&target).unwrap_or_default();
                (target, health)
            })
            .collect();
        self.good.rename(present);
        self.judgement.verdicts = renamed(std::mem::take(&mut self.judgement.verdicts), present);
        self.judgement.minority = renamed(std::mem::take(&mut self.judgement.minority), present);
        self.policy = policy;
    }

    pub(crate) fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The health of every target, in the operator's order.
    pub(crate) fn healths(&self) -> impl Iterator<Item = (&Target, &Health)> {
        self.policy.targets().filter_map(|(target, _)| self.healths.get_key_value(&target))
    }

    /// Takes in the outcome of one probe. Returns true if it changes what is known.
    pub(crate) fn observe(&mut self, target: &Target, kind: &Kind, now: Moment) -> bool {
        let thresholds = self.policy.thresholds;
        self.healths.get_mut(target).is_some_and(|health| health.observe(kind, thresholds, now))
    }

    /// True if the target belongs to the pool.
    pub(crate) fn has(&self, target: &Target) -> bool {
        self.healths.contains_key(target)
    }

    /// The usability of a node: that of its best target.
    pub(crate) fn usability(&self, node: &NodeName) -> Usability {
        let has_usable = |grades: &BTreeMap<Target, Grade>| {
            grades.iter().any(|(target, grade)| target.node == *node && *grade >= Grade::Live)
        };
        if has_usable(&self.judgement.verdicts) {
            Usability::Usable
        } else if has_usable(&self.judgement.minority) {
            Usability::Minority
        } else {
            Usability::Unusable
        }
    }

    pub(crate) fn judgement(&self) -> &Judgement {
        &self.judgement
    }

    /// This host's vote on each target.
    pub(crate) fn votes(&self) -> impl Iterator<Item = (Target, Vote)> {
        self.healths().map(|(target, health)| {
            (target.clone(), Vote { in_last_known_good: self.good.targets().contains(target), ..health.vote() })
        })
    }

    /// A verdict for each target. `verdict` is asked in the order of targets; if it gives none, the former verdict stays.
    pub(crate) fn verdicts_by(
        &self,
        mut verdict: impl FnMut(&Target, &Health) -> Option<Grade>,
    ) -> BTreeMap<Target, Grade> {
        let verdicts = self.healths.iter().map(|(target, health)| {
            let grade = verdict(target, health).unwrap_or_else(|| self.judgement.verdict(target));
            (target.clone(), grade)
        });
        verdicts.collect()
    }

    /// Computes the answer anew. A changed answer gets the generation `next`. Returns true if it changed.
    pub(crate) fn recompute(
        &mut self,
        judgement: Judgement,
        good_of_peers: impl FnOnce() -> BTreeSet<Target>,
        overrides: &Overrides,
        next: u64,
        now: Moment,
    ) -> bool {
        self.judgement = judgement;
        let policy = &self.policy;
        let candidates: Vec<_> = policy
            .targets()
            .map(|(target, node)| Candidate {
                active_override: overrides.get(&target.pool, &target.node),
                verdict: self.judgement.verdict(&target),
                minority: self.judgement.minority(&target),
                target,
                node,
            })
            .collect();
        let detection = policy.timing.detection;
        let selection = select(&candidates, policy.steering.mode, &mut self.good, good_of_peers, now, detection);
        let ttl = self.ttl(selection.basis, overrides.next_expiry_in(&policy.name), now);
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
            reasons: candidates
                .iter()
                .map(|candidate| (candidate.target.clone(), self.reason(candidate, &selection)))
                .collect(),
        };
        let former = std::mem::replace(&mut self.answer, answer);
        self.ttl_changes_at = ttl.changes_at;
        let has_changed = !is_same_publication(&former, &self.answer);
        if has_changed {
            self.answer.generation = next;
        }
        has_changed
    }

    /// Gives the answer a new generation, even if it has not changed.
    pub(crate) fn renew(&mut self, generation: u64) {
        self.answer.generation = generation;
    }

    pub(crate) fn memory(&self, overrides: &Overrides) -> PoolMemory {
        let own_grade = |target: &Target| self.healths.get(target).map(Health::grade).unwrap_or_default();
        let verdicts = self.judgement.verdicts.iter().filter(|(target, verdict)| **verdict != own_grade(target));
        let minority = self.judgement.minority.iter();
        let entries = overrides.entries().filter(|(pool, ..)| **pool == self.policy.name);
        PoolMemory {
            pool: self.policy.name.clone(),
            last_known_good: self.good.targets().clone(),
            targets: self.healths().map(|(target, health)| (target.clone(), health.memory())).collect(),
            verdicts: verdicts.map(|(target, verdict)| (target.clone(), *verdict)).collect(),
            minority: minority.map(|(target, grade)| (target.clone(), *grade)).collect(),
            overrides: entries.map(|(_, node, entry)| (node.clone(), entry.clone())).collect(),
        }
    }

    fn ttl(&self, basis: Basis, expiry: Option<Moment>, now: Moment) -> Ttl {
        let Pool { thresholds, timing, ttl, .. } = self.policy;
        match basis {
            Basis::Minority | Basis::LastKnownGood | Basis::Bootstrap => Ttl::floor(ttl),
            Basis::Ready | Basis::Live => {
                let healths = self.healths.values();
                let transition = healths.filter_map(|health| health.earliest_transition(thresholds, timing)).min();
                Ttl::until(ttl, transition, expiry, now)
            }
        }
    }

    fn reason(&self, candidate: &Candidate<'_>, selection: &Selection) -> Reason {
        let unknown = Health::default();
        let health = self.healths.get(&candidate.target).unwrap_or(&unknown);
        let is_chosen = selection.chosen.contains(&candidate.target);
        match candidate.active_override {
            Some(by) if by.kind == OverrideKind::Drain && is_chosen => return Reason::AllDrained { by: by.clone() },
            Some(by) if by.kind == OverrideKind::Drain => return Reason::Drained { by: by.clone() },
            Some(by) if is_chosen => return Reason::Forced { by: by.clone() },
            _ => {}
        }
        if is_chosen {
            return reason_in(health, selection.basis);
        }
        let own = candidate.node.priority;
        match selection.priority.filter(|answered| *answered < own && is_good_enough(candidate, selection.basis)) {
            Some(answered) => Reason::LowerPriority { own, answered },
            None => Reason::NotReady { cause: health.not_ready_reason() },
        }
    }
}

fn member(candidate: &Candidate<'_>) -> Member {
    Member { node: candidate.target.node.clone(), address: candidate.target.address, weight: candidate.node.weight }
}

/// The reason of a chosen target without an override.
fn reason_in(health: &Health, basis: Basis) -> Reason {
    let cause = health.not_ready_reason();
    match basis {
        Basis::Ready if health.grade() == Grade::Ready => Reason::Ready { since: health.since() },
        Basis::Ready => Reason::Agreed { cause },
        Basis::Live => Reason::Live { cause },
        Basis::Minority => Reason::Minority { cause },
        Basis::LastKnownGood => Reason::LastKnownGood { cause },
        Basis::Bootstrap => Reason::Bootstrap { cause },
    }
}

/// True if the candidate would be chosen on this basis, but for its priority.
fn is_good_enough(candidate: &Candidate<'_>, basis: Basis) -> bool {
    match basis {
        Basis::Ready => candidate.grade() == Grade::Ready,
        Basis::Minority => candidate.minority >= Grade::Live,
        Basis::Live | Basis::LastKnownGood | Basis::Bootstrap => candidate.grade() >= Grade::Live,
    }
}

/// True if two answers differ in nothing but generation and reasons.
fn is_same_publication(one: &Answer, other: &Answer) -> bool {
    let Answer { pool, members, order, max_answers, ttl, negative_ttl, generation: _, basis, reasons: _ } = one;
    *pool == other.pool
        && *members == other.members
        && *order == other.order
        && *max_answers == other.max_answers
        && *ttl == other.ttl
        && *negative_ttl == other.negative_ttl
        && *basis == other.basis
}

/// Replaces each target by its present name, and drops the targets without one.
fn renamed<T>(map: BTreeMap<Target, T>, present: impl Fn(&Target) -> Option<Target>) -> BTreeMap<Target, T> {
    map.into_iter().filter_map(|(former, value)| Some((present(&former)?, value))).collect()
}
