//! One pool at work: its policy, the health of its targets, and its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::answer::{Answer, Basis, Member, Order};
use crate::awaited::Awaited;
use crate::families::Families;
use crate::health::Health;
use crate::last_known_good::LastKnownGood;
use crate::memory::{PoolMemory, RememberedGrade, TargetMemory};
use crate::moment::Moment;
use crate::name::NodeName;
use crate::observation::Kind;
use crate::operator_override::OverrideKind;
use crate::overrides::{Overrides, Usability};
use crate::policy::{Mode, Pool};
use crate::pool_verdicts::{PoolVerdicts, VoteResult};
use crate::quorum::Vote;
use crate::reason::{NotReadyReason, Reason, TargetReason};
use crate::selection::{Candidate, Selection, select};
use crate::target::{Family, Grade, Target};
use crate::ttl::Ttl;

/// One pool at work.
#[derive(Clone, Debug)]
pub(crate) struct PoolState {
    pub(crate) policy: Pool,
    healths: BTreeMap<Target, Health>,
    verdicts: PoolVerdicts,
    good: BTreeMap<Family, LastKnownGood>,
    answer: Answer,
    pub(crate) ttl_changes_at: Option<Moment>,
    awaited: Option<Awaited>,
}

impl PoolState {
    /// A pool without an answer; to be recomputed before its answer is read.
    pub(crate) fn new(policy: Pool, memory: Option<PoolMemory>, now: Moment) -> Self {
        let remembered = memory.iter().flat_map(|memory| memory.targets.iter().cloned());
        let healths: BTreeMap<Target, Health> =
            remembered.map(|TargetMemory { target, health }| (target, Health::restored(health, now))).collect();
        let mut by_target: BTreeMap<Target, Grade> =
            healths.iter().map(|(target, health)| (target.clone(), health.grade())).collect();
        let grade = |RememberedGrade { target, grade }: &RememberedGrade| (target.clone(), *grade);
        by_target.extend(memory.iter().flat_map(|memory| memory.verdicts.iter().map(grade)));
        let minority = memory.iter().flat_map(|memory| memory.minority.iter().map(grade)).collect();
        let flapping = memory.iter().flat_map(|memory| memory.flapping.iter().cloned()).collect();
        let good = memory.map(|memory| memory.last_known_good).unwrap_or_default();
        let good = Family::ALL.map(|family| {
            let of_family = good.iter().filter(|target| target.family() == family).cloned().collect();
            (family, LastKnownGood::restored(of_family))
        });
        let answer = Answer {
            pool: policy.name.clone(),
            members: Vec::new(),
            order: Order::Rotated,
            max_answers: policy.steering.max_answers,
            ttl: policy.ttl.min,
            negative_ttl: policy.negative_ttl,
            generation: 0,
            bases: BTreeMap::new(),
            reasons: Vec::new(),
        };
        let verdicts = PoolVerdicts { by_target, minority, flapping, ..PoolVerdicts::default() };
        let mut state = Self {
            policy: policy.clone(),
            healths,
            verdicts: verdicts.clone(),
            good: good.into(),
            answer,
            ttl_changes_at: None,
            awaited: Some(Awaited::new(&policy, verdicts, now)),
        };
        state.configure(policy);
        state
    }

    /// Takes a new policy. Addresses that stay keep their state, also under another node's name.
    pub(crate) fn configure(&mut self, policy: Pool) {
        let present = |former: &Target| policy.targets().find(|target| target.address == former.address);
        let mut known = renamed(std::mem::take(&mut self.healths), present);
        self.healths = policy
            .targets()
            .map(|target| {
                let health = known.remove(&target).unwrap_or_default();
                (target, health)
            })
            .collect();
        self.good.values_mut().for_each(|good| good.rename(present));
        if let Some(awaited) = &mut self.awaited {
            awaited.rename(present);
        }
        let retained = self.awaited.iter_mut().map(|awaited| &mut awaited.retained);
        for verdicts in retained.chain([&mut self.verdicts]) {
            verdicts.by_target = renamed(std::mem::take(&mut verdicts.by_target), present);
            verdicts.minority = renamed(std::mem::take(&mut verdicts.minority), present);
            verdicts.flapping = verdicts.flapping.iter().filter_map(present).collect();
        }
        self.policy = policy;
    }

    pub(crate) fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The health of every target, in the operator's order.
    pub(crate) fn healths(&self) -> impl Iterator<Item = (&Target, &Health)> {
        self.policy.targets().filter_map(|target| self.healths.get_key_value(&target))
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

    /// The usability of a node in one address family: that of its best target.
    pub(crate) fn usability(&self, node: &NodeName, family: Family) -> Usability {
        let has_usable = |grades: &BTreeMap<Target, Grade>| {
            grades
                .iter()
                .any(|(target, grade)| target.node == *node && target.family() == family && *grade >= Grade::Live)
        };
        if has_usable(&self.verdicts.by_target) {
            Usability::Usable
        } else if has_usable(&self.verdicts.minority) {
            Usability::Minority
        } else {
            Usability::Unusable
        }
    }

    pub(crate) fn verdicts(&self) -> &PoolVerdicts {
        &self.verdicts
    }

    /// The verdicts that the answer follows.
    fn effective_verdicts(&self) -> &PoolVerdicts {
        self.awaited.as_ref().map_or(&self.verdicts, |awaited| &awaited.retained)
    }

    /// Waits no longer for the first verdicts.
    pub(crate) fn await_no_more_verdicts(&mut self) {
        self.awaited = None;
    }

    /// The end of the wait for the first verdicts; `None` once each target has one.
    pub(crate) fn awaits_verdicts_until(&self) -> Option<Moment> {
        self.awaited.as_ref().map(|awaited| awaited.until)
    }

    /// This host's vote on each target.
    pub(crate) fn votes(&self) -> BTreeMap<Target, Vote> {
        let vote = |(target, health): (&Target, &Health)| {
            let in_last_known_good = self.good.values().any(|good| good.targets().contains(target));
            (target.clone(), Vote { in_last_known_good, ..health.vote() })
        };
        self.healths.iter().map(vote).collect()
    }

    /// Judges each target by a finding, asked in the order of targets. Without a verdict in it, the former one stays.
    pub(crate) fn verdicts_by(&self, mut finding: impl FnMut(&Target, &Health) -> VoteResult) -> PoolVerdicts {
        let mut verdicts = PoolVerdicts::default();
        for (target, health) in &self.healths {
            let found = finding(target, health);
            if found.is_current && self.awaited.is_some() {
                verdicts.current.insert(target.clone());
            }
            if found.shuts_down {
                verdicts.shutting_down.insert(target.clone());
            }
            let verdict = found.verdict.unwrap_or_else(|| self.verdicts.verdict(target));
            if found.verdict.is_some() && verdict < Grade::Live && found.best >= Grade::Live {
                verdicts.minority.insert(target.clone(), found.best);
            }
            let is_flapping = match found.verdict {
                Some(verdict) => verdict < Grade::Ready && found.would_be_ready,
                None => self.verdicts.flapping.contains(target),
            };
            if is_flapping {
                verdicts.flapping.insert(target.clone());
            }
            verdicts.by_target.insert(target.clone(), verdict);
        }
        verdicts
    }

    /// Computes the answer anew. A changed answer gets the generation `next`. Returns true if it changed.
    pub(crate) fn recompute(
        &mut self,
        verdicts: PoolVerdicts,
        good_of_peers: &dyn Fn() -> BTreeSet<IpAddr>,
        overrides: &Overrides,
        next: u64,
        now: Moment,
    ) -> bool {
        self.awaited = self.awaited.take().and_then(|awaited| awaited.after(&verdicts, now));
        self.verdicts = verdicts;
        for (target, health) in self.healths.iter_mut().filter(|(_, health)| health.has_seen_shutdown()) {
            if self.verdicts.verdict(target) == Grade::Down {
                health.end_shutdown();
            }
        }
        let effective = self.awaited.as_ref().map_or(&self.verdicts, |awaited| &awaited.retained);
        let policy = &self.policy;
        let nodes = policy.nodes.iter().flat_map(|node| policy.targets_of(node).map(move |target| (target, node)));
        let candidates: Vec<_> = nodes
            .map(|(target, node)| Candidate {
                active_override: overrides.get(&target.node_key()),
                verdict: effective.verdict(&target),
                minority: effective.minority(&target),
                is_flapping: effective.flapping.contains(&target),
                target,
                node,
            })
            .collect();
        let selections = Self::select(policy, &candidates, &mut self.good, good_of_peers, now);
        let bases: BTreeMap<Family, Basis> =
            selections.iter().map(|(family, selection)| (*family, selection.basis)).collect();
        let families = Families::of(candidates.iter().map(|candidate| candidate.target.family()), &bases);
        let ttl = self.ttl(&bases, overrides.next_expiry_in(&policy.name), now);
        let is_chosen = |candidate: &&Candidate<'_>| {
            let selection = selections.get(&candidate.target.family());
            selection.is_some_and(|selection| selection.chosen.contains(&candidate.target))
        };
        let answer = Answer {
            pool: policy.name.clone(),
            members: candidates.iter().filter(is_chosen).map(member).collect(),
            order: match policy.steering.mode {
                Mode::All | Mode::Failover => Order::Rotated,
                Mode::Weighted => Order::Weighted,
            },
            max_answers: policy.steering.max_answers,
            ttl: ttl.seconds,
            negative_ttl: policy.negative_ttl,
            generation: self.answer.generation,
            bases,
            reasons: candidates
                .iter()
                .map(|candidate| {
                    let selection = selections.get(&candidate.target.family());
                    let reason = self.reason(candidate, selection, families);
                    TargetReason { target: candidate.target.clone(), reason }
                })
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

    /// Selects for each family. A family that has never been usable is left out while the other one has a better answer.
    fn select(
        policy: &Pool,
        candidates: &[Candidate<'_>],
        good: &mut BTreeMap<Family, LastKnownGood>,
        good_of_peers: &dyn Fn() -> BTreeSet<IpAddr>,
        now: Moment,
    ) -> BTreeMap<Family, Selection> {
        let mut selections = BTreeMap::new();
        for family in Family::ALL {
            let of_family: Vec<_> = candidates.iter().filter(|candidate| candidate.target.family() == family).collect();
            if !of_family.is_empty() {
                let good = good.entry(family).or_default();
                let detection = policy.timing.detection;
                let selection = select(&of_family, policy.steering.mode, good, good_of_peers, now, detection);
                selections.insert(family, selection);
            }
        }
        let is_bootstrap = |selection: &Selection| selection.basis == Basis::Bootstrap;
        if !selections.values().all(is_bootstrap) {
            selections.retain(|_, selection| !is_bootstrap(selection));
        }
        selections
    }

    /// Marks every grade as that of an earlier run.
    pub(crate) fn mark_restored(&mut self) {
        self.healths.values_mut().for_each(Health::mark_restored);
    }

    /// Gives the answer a new generation, even if it has not changed.
    pub(crate) fn renew(&mut self, generation: u64) {
        self.answer.generation = generation;
    }

    pub(crate) fn memory(&self, overrides: &Overrides) -> PoolMemory {
        let own_grade = |target: &Target| self.healths.get(target).map(Health::grade).unwrap_or_default();
        let effective = self.effective_verdicts();
        let grade = |target: &Target, grade| RememberedGrade { target: target.clone(), grade };
        let health =
            |(target, health): (&Target, &Health)| TargetMemory { target: target.clone(), health: health.memory() };
        let verdicts = self.healths.keys().map(|target| grade(target, effective.verdict(target)));
        let entries = overrides.entries().filter(|(key, _)| key.pool == self.policy.name);
        PoolMemory {
            pool: self.policy.name.clone(),
            last_known_good: self.good.values().flat_map(LastKnownGood::targets).cloned().collect(),
            targets: self.healths().map(health).collect(),
            verdicts: verdicts.filter(|verdict| verdict.grade != own_grade(&verdict.target)).collect(),
            flapping: effective.flapping.clone(),
            minority: effective.minority.iter().map(|(target, best)| grade(target, *best)).collect(),
            overrides: entries.map(|(key, entry)| (key.node.clone(), entry.clone())).collect(),
        }
    }

    fn ttl(&self, bases: &BTreeMap<Family, Basis>, expiry: Option<Moment>, now: Moment) -> Ttl {
        let Pool { thresholds, timing, ttl, .. } = self.policy;
        if bases.values().any(|basis| *basis >= Basis::Bootstrap) {
            return Ttl::floor(ttl);
        }
        let healths = self.healths.values();
        let transition = healths.filter_map(|health| health.earliest_transition(thresholds, timing)).min();
        Ttl::until(ttl, transition, expiry, now)
    }

    fn reason(&self, candidate: &Candidate<'_>, selection: Option<&Selection>, families: Families) -> Reason {
        let family = candidate.target.family();
        let unknown = Health::default();
        let health = self.healths.get(&candidate.target).unwrap_or(&unknown);
        let is_chosen = selection.is_some_and(|selection| selection.chosen.contains(&candidate.target));
        match candidate.active_override {
            Some(by) if by.kind == OverrideKind::Drain && is_chosen => {
                return Reason::NoUndrainedUsable { family: families.are_two.then_some(family), by: by.clone() };
            }
            Some(by) if by.kind == OverrideKind::Drain => return Reason::Drained { by: by.clone() },
            Some(by) if is_chosen => return Reason::Forced { by: by.clone() },
            _ => {}
        }
        let cause = match health.grade() {
            Grade::Ready if self.awaited.is_some() => NotReadyReason::Awaited { since: health.since() },
            _ => health.not_ready_reason(),
        };
        let Some(selection) = selection else { return Reason::NotReady { cause } };
        if is_chosen {
            return reason_in(health, cause, selection.basis, families.differ.then_some(family));
        }
        let own_priority = candidate.node.priority;
        let is_better = |answered: &u16| *answered < own_priority && is_good_enough(candidate, selection.basis);
        match selection.priority.filter(is_better) {
            Some(answered_priority) => Reason::LowerPriority { own_priority, answered_priority },
            None => Reason::NotReady { cause },
        }
    }
}

fn member(candidate: &Candidate<'_>) -> Member {
    Member { node: candidate.target.node.clone(), address: candidate.target.address, weight: candidate.node.weight }
}

/// The reason of a chosen target without an override. `family` is its own, if the other one has another basis.
fn reason_in(health: &Health, cause: NotReadyReason, basis: Basis, family: Option<Family>) -> Reason {
    match basis {
        Basis::Ready if health.grade() == Grade::Ready => Reason::Ready { since: health.since() },
        Basis::Ready => match health.flapping() {
            Some(until) => Reason::Flapping { until },
            None => Reason::Agreed { cause },
        },
        Basis::Live => Reason::Live { family, cause },
        Basis::Minority => Reason::Minority { cause },
        // Only forced candidates are chosen on the basis `forced`.
        Basis::LastKnownGood | Basis::Forced => Reason::LastKnownGood { family, cause },
        Basis::Bootstrap => Reason::Bootstrap { cause },
    }
}

/// True if the candidate would be chosen on this basis, but for its priority.
fn is_good_enough(candidate: &Candidate<'_>, basis: Basis) -> bool {
    match basis {
        Basis::Ready => candidate.verdict == Grade::Ready || candidate.is(OverrideKind::Force),
        Basis::Minority => candidate.minority >= Grade::Live,
        Basis::Live | Basis::Forced | Basis::LastKnownGood | Basis::Bootstrap => candidate.verdict >= Grade::Live,
    }
}

/// True if two answers differ in nothing but generation and reasons.
fn is_same_publication(one: &Answer, other: &Answer) -> bool {
    let Answer { pool, members, order, max_answers, ttl, negative_ttl, generation: _, bases, reasons: _ } = one;
    *pool == other.pool
        && *members == other.members
        && *order == other.order
        && *max_answers == other.max_answers
        && *ttl == other.ttl
        && *negative_ttl == other.negative_ttl
        && *bases == other.bases
}

/// Replaces each target by its present name, and drops the targets without one.
fn renamed<T>(map: BTreeMap<Target, T>, present: impl Fn(&Target) -> Option<Target>) -> BTreeMap<Target, T> {
    map.into_iter().filter_map(|(former, value)| Some((present(&former)?, value))).collect()
}
