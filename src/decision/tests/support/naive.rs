//! A naive model of the core for one pool and one host.
//!
//! It keeps every event and goes through all of them again for each answer. It shares no logic with the engine, only the types
//! at its edge.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use daymark_decision::{
    Basis, Command, Family, Grade, Kind, Mode, Moment, NodeName, Override, OverrideKind, Pool, Target,
};

/// An event of a pool.
#[derive(Clone, Debug)]
pub enum Event {
    /// An observation of a target, or a local error.
    Observed(Target, Kind),
    /// A command that the engine accepted.
    Accepted(Command),
    /// A reload with these nodes.
    Configured(Pool),
}

/// An event with the time at which it counts.
#[derive(Clone, Debug)]
struct Timed {
    at: Moment,
    event: Event,
}

/// Every event of one pool so far.
#[derive(Clone, Debug)]
pub struct Naive {
    pool: Pool,
    events: Vec<Timed>,
}

/// The basis of each family and the targets of an expected answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub bases: BTreeMap<Family, Basis>,
    pub targets: BTreeSet<Target>,
}

/// The basis and the targets of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OfFamily {
    basis: Basis,
    targets: BTreeSet<Target>,
}

/// A good answer, and the time from which it held.
struct GoodAnswer {
    from: Moment,
    addresses: BTreeSet<IpAddr>,
}

/// The grade of a target after an observation.
struct Graded {
    grade: Grade,
    /// Its orderly shutdown still counts.
    shuts_down: bool,
    /// Its last answer is 200, and it waits out its penalty.
    waits: bool,
}

/// The good answers so far, and the last known good answer while no target is usable.
#[derive(Default)]
struct History {
    good: Vec<GoodAnswer>,
    last_known_good: Option<BTreeSet<IpAddr>>,
}

impl History {
    /// The last good answer that has an address left.
    fn last(&self) -> Option<&GoodAnswer> {
        self.good.iter().rev().find(|answer| !answer.addresses.is_empty())
    }

    /// Forgets the addresses that a reload has removed.
    fn forget_all_but(&mut self, configured: &BTreeSet<IpAddr>) {
        for answer in &mut self.good {
            answer.addresses.retain(|address| configured.contains(address));
        }
        if let Some(addresses) = &mut self.last_known_good {
            addresses.retain(|address| configured.contains(address));
        }
        // Without an address, the last good answer is another one.
        self.last_known_good.take_if(|addresses| addresses.is_empty());
    }
}

impl Naive {
    pub fn new(pool: Pool) -> Self {
        Self { pool, events: Vec::new() }
    }

    pub fn push(&mut self, at: Moment, event: Event) {
        self.events.push(Timed { at, event });
    }

    /// The observations of a target, oldest first.
    pub fn kinds(&self, target: &Target) -> Vec<Kind> {
        let of_target = |timed: &Timed| match &timed.event {
            Event::Observed(of, kind) if of.address == target.address => Some(kind.clone()),
            _ => None,
        };
        self.events.iter().filter_map(of_target).collect()
    }

    /// The answer at `now`, from the whole history.
    pub fn answer(&self, now: Moment) -> Expected {
        let families = Family::ALL.map(|family| (family, self.of_family(family, now)));
        let families: Vec<_> = families.into_iter().filter(|(_, of)| !of.targets.is_empty()).collect();
        // A family that was never usable is left out beside one that was.
        let all_bootstrap = families.iter().all(|(_, of)| of.basis == Basis::Bootstrap);
        let answered = families.into_iter().filter(|(_, of)| all_bootstrap || of.basis != Basis::Bootstrap);
        answered.fold(Expected::default(), |mut expected, (family, of)| {
            expected.bases.insert(family, of.basis);
            expected.targets.extend(of.targets);
            expected
        })
    }

    /// The targets of one family at `now`.
    fn of_family(&self, family: Family, now: Moment) -> OfFamily {
        // The answer changes with an event, with the expiry of an override, and when the first verdicts are not awaited any more.
        let mut moments: BTreeSet<Moment> = self.events.iter().map(|timed| timed.at).collect();
        moments.extend(self.expiries().filter(|expiry| *expiry <= now));
        let awaited_until = super::build::START.after(self.pool.timing.detection);
        moments.extend([awaited_until].into_iter().filter(|until| *until <= now));
        let mut history = History::default();
        let mut last = self.choose(family, 0, 0, super::build::START, &mut history);
        let mut missing = addresses(&self.pool);
        for at in moments {
            for event_count in self.event_counts_at(at) {
                let configured = addresses(self.pool_after(event_count));
                history.forget_all_but(&configured);
                if at >= awaited_until {
                    missing.clear();
                }
                missing.retain(|address| {
                    configured.contains(address) && self.judge(*address, event_count, true).grade == Grade::Unknown
                });
                // Until every target was given a verdict, none counts.
                let grades_of = if missing.is_empty() { event_count } else { 0 };
                last = self.choose(family, grades_of, event_count, at, &mut history);
                match last.basis {
                    Basis::Ready | Basis::Live => {
                        let mut targets = last.targets.clone();
                        targets.retain(|target| self.grade(target, grades_of) >= Grade::Live);
                        let addresses = targets.into_iter().map(|target| target.address).collect();
                        history.good.push(GoodAnswer { from: at, addresses });
                    }
                    // The last known good answer counts as good until a better one comes.
                    Basis::LastKnownGood | Basis::Forced => {
                        let addresses = history.last_known_good.clone();
                        history.good.extend(addresses.map(|addresses| GoodAnswer { from: at, addresses }));
                    }
                    // There is only one host, so no minority.
                    Basis::Bootstrap | Basis::Minority => {}
                }
            }
        }
        last
    }

    /// The number of events so far at each step of a moment: before its first event, and after each of its events.
    fn event_counts_at(&self, at: Moment) -> Vec<usize> {
        let before = self.events.iter().filter(|timed| timed.at < at).count();
        let after = self.events.iter().filter(|timed| timed.at <= at).count();
        (before..=after).collect()
    }

    fn expiries(&self) -> impl Iterator<Item = Moment> {
        self.events.iter().filter_map(|timed| match &timed.event {
            Event::Accepted(Command::SetOverride { requested, .. }) => requested.until,
            _ => None,
        })
    }

    /// The targets at `now` after the first `event_count` events. The grades are those after the first `grades_of` events.
    fn choose(
        &self,
        family: Family,
        grades_of: usize,
        event_count: usize,
        now: Moment,
        history: &mut History,
    ) -> OfFamily {
        let overrides = self.overrides(event_count, now);
        let is = |target: &Target, kind: OverrideKind| overrides.get(&target.node) == Some(&kind);
        let grade = |target: &Target| self.grade(target, grades_of);
        let pool = self.pool_after(event_count);
        let all = pool.targets().filter(|target| target.family() == family);
        let (drained, undrained): (BTreeSet<Target>, BTreeSet<Target>) =
            all.partition(|target| is(target, OverrideKind::Drain));
        let mut forced = undrained.clone();
        forced.retain(|target| is(target, OverrideKind::Force));
        let was_answered =
            |target: &Target| history.last().is_some_and(|answer| answer.addresses.contains(&target.address));
        let usable = |among: &BTreeSet<Target>| {
            let best = among.iter().map(grade).max().filter(|best| *best >= Grade::Live)?;
            let mut chosen = among.clone();
            chosen.retain(|target| {
                let stays = best == Grade::Ready && self.is_flapping(target, grades_of) && was_answered(target);
                grade(target) == best || stays
            });
            Some(chosen)
        };
        let Some(chosen) = usable(&undrained).or_else(|| usable(&drained)) else {
            if forced.is_empty() {
                return self.choose_last_known_good([undrained, drained], now, history);
            }
            self.note_last_known_good(now, history);
            return OfFamily { basis: Basis::Forced, targets: forced };
        };
        history.last_known_good = None;
        let steered = steer(pool, chosen);
        let is_ready = steered.iter().any(|target| grade(target) == Grade::Ready);
        OfFamily { basis: if is_ready { Basis::Ready } else { Basis::Live }, targets: &steered | &forced }
    }

    /// The answer of a family without a usable target. The undrained candidates come before the drained ones.
    fn choose_last_known_good(
        &self,
        candidates: [BTreeSet<Target>; 2],
        now: Moment,
        history: &mut History,
    ) -> OfFamily {
        let last_known_good = self.note_last_known_good(now, history).cloned().unwrap_or_default();
        for mut remaining in candidates.clone() {
            remaining.retain(|target| last_known_good.contains(&target.address));
            if !remaining.is_empty() {
                return OfFamily { basis: Basis::LastKnownGood, targets: remaining };
            }
        }
        let targets = candidates.into_iter().find(|candidates| !candidates.is_empty()).unwrap_or_default();
        OfFamily { basis: Basis::Bootstrap, targets }
    }

    /// The addresses of every good answer that ended within one detection time before the outage; `None` if there was none.
    fn note_last_known_good<'a>(&self, now: Moment, history: &'a mut History) -> Option<&'a BTreeSet<IpAddr>> {
        let mut addresses = history.last()?.addresses.clone();
        let detection = self.pool.timing.detection;
        let last_known_good = history.last_known_good.get_or_insert_with(|| {
            for (index, answer) in history.good.iter().enumerate() {
                let ended = history.good.get(index + 1).map_or(now, |next| next.from);
                if now.since(ended) <= detection {
                    addresses.extend(answer.addresses.clone());
                }
            }
            addresses
        });
        Some(last_known_good)
    }

    /// The configuration after the first `event_count` events.
    fn pool_after(&self, event_count: usize) -> &Pool {
        let configured = self.events[..event_count].iter().rev().find_map(|timed| match &timed.event {
            Event::Configured(pool) => Some(pool),
            _ => None,
        });
        configured.unwrap_or(&self.pool)
    }

    /// The active override of each node at `now` after the first `event_count` events.
    fn overrides(&self, event_count: usize, now: Moment) -> BTreeMap<NodeName, OverrideKind> {
        let mut overrides: BTreeMap<NodeName, Override> = BTreeMap::new();
        for timed in &self.events[..event_count] {
            match &timed.event {
                Event::Accepted(Command::SetOverride { node, requested, .. }) => {
                    overrides.insert(node.clone(), requested.clone());
                }
                Event::Accepted(Command::ClearOverride { node, .. }) => {
                    overrides.remove(node);
                }
                Event::Observed(..) | Event::Configured(_) => {}
            }
        }
        overrides.retain(|_, requested| requested.until.is_none_or(|until| now < until));
        overrides.into_iter().map(|(node, requested)| (node, requested.kind)).collect()
    }

    /// The grade of a target after thresholds and penalty.
    fn grade(&self, target: &Target, event_count: usize) -> Grade {
        self.judge(target.address, event_count, true).grade
    }

    /// True if a target waits out its penalty, and its last answer is 200 or its probes alone would make it `ready` (rule 2.8).
    fn is_flapping(&self, target: &Target, event_count: usize) -> bool {
        let with_penalty = self.judge(target.address, event_count, true);
        let without = self.judge(target.address, event_count, false);
        let would_be_ready = with_penalty.waits || without.grade == Grade::Ready;
        with_penalty.grade == Grade::Live && would_be_ready && !without.shuts_down
    }

    /// Judges an address by all observations of it since it was configured, under whatever name.
    fn judge(&self, address: IpAddr, event_count: usize, has_penalty: bool) -> Graded {
        let mut graded = Graded { grade: Grade::Unknown, shuts_down: false, waits: false };
        let mut falls: Vec<Moment> = Vec::new();
        let mut ready_after = Moment::default();
        let mut since_transition: Vec<Grade> = Vec::new();
        let mut at_shutdown = None;
        let is_removal = |timed: &Timed| match &timed.event {
            Event::Configured(pool) => !addresses(pool).contains(&address),
            _ => false,
        };
        let begin = self.events[..event_count].iter().rposition(is_removal).unwrap_or_default();
        for Timed { at, event } in &self.events[begin..event_count] {
            let Event::Observed(of, kind) = event else { continue };
            let Some(observed) = kind.grade().filter(|_| of.address == address) else { continue };
            let grade = graded.grade;
            graded.waits = observed == Grade::Ready && grade != Grade::Ready && *at < ready_after;
            let observed = if graded.waits && has_penalty { Grade::Live } else { observed };
            since_transition.push(observed);
            let next = if kind.is_decisive() && (grade == Grade::Unknown || observed < grade) {
                Some(observed)
            } else {
                self.next_grade(grade, &since_transition)
            };
            if let Some(next) = next {
                if grade == Grade::Ready {
                    falls.push(*at);
                    ready_after = at.after(super::penalty_wait(&falls));
                }
                graded.grade = next;
                since_transition.clear();
            }
            if kind.is_decisive() {
                at_shutdown = at_shutdown.max(Some(graded.grade));
            } else if at_shutdown < Some(graded.grade) || graded.grade == Grade::Down {
                at_shutdown = None;
            }
            graded.shuts_down = at_shutdown.is_some();
        }
        graded
    }

    /// The grade after the transition that the last observations cause, if they cause one.
    fn next_grade(&self, grade: Grade, observed: &[Grade]) -> Option<Grade> {
        let is_better = |other: &Grade| if grade == Grade::Unknown { *other == Grade::Ready } else { *other > grade };
        let is_worse = |other: &Grade| if grade == Grade::Unknown { *other < Grade::Ready } else { *other < grade };
        let rise = last(observed, self.pool.thresholds.rise.get());
        if let Some(streak) = rise.filter(|streak| streak.iter().all(is_better)) {
            return streak.iter().min().copied();
        }
        let fall = last(observed, self.pool.thresholds.fall.get());
        let streak = fall.filter(|streak| streak.iter().all(is_worse))?;
        streak.iter().max().copied()
    }
}

fn addresses(pool: &Pool) -> BTreeSet<IpAddr> {
    pool.targets().map(|target| target.address).collect()
}

fn steer(pool: &Pool, mut chosen: BTreeSet<Target>) -> BTreeSet<Target> {
    let priority = |target: &Target| pool.nodes.iter().find(|node| node.name == target.node).map(|node| node.priority);
    if pool.steering.mode == Mode::Failover {
        let best = chosen.iter().filter_map(priority).min();
        chosen.retain(|target| priority(target) == best);
    }
    chosen
}

/// The last `count` grades, if there are as many.
fn last(grades: &[Grade], count: u32) -> Option<&[Grade]> {
    let from = grades.len().checked_sub(count as usize)?;
    Some(&grades[from..])
}
