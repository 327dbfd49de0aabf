//! A naive model of the core for one pool and one host.
//!
//! It keeps every event and goes through all of them again for each answer. It shares no logic with the engine, only the types
//! at its edge.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{Basis, Command, Grade, Kind, Mode, Moment, NodeName, Override, OverrideKind, Pool, Target};

/// An event of a pool.
#[derive(Clone, Debug)]
pub enum Event {
    /// An observation of a target, or a local error.
    Observed(Target, Kind),
    /// A command that the engine accepted.
    Accepted(Command),
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

/// The basis and the targets of an expected answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub basis: Basis,
    pub targets: BTreeSet<Target>,
}

/// A good answer, and the time from which it held.
struct GoodAnswer {
    from: Moment,
    targets: BTreeSet<Target>,
}

/// The good answers so far, and the last known good answer while no target is usable.
#[derive(Default)]
struct History {
    good: Vec<GoodAnswer>,
    last_known_good: Option<BTreeSet<Target>>,
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
            Event::Observed(of, kind) if of == target => Some(kind.clone()),
            _ => None,
        };
        self.events.iter().filter_map(of_target).collect()
    }

    /// The answer at `now`, from the whole history.
    pub fn answer(&self, now: Moment) -> Expected {
        // The answer changes with an event and with the expiry of an override.
        let mut moments: BTreeSet<Moment> = self.events.iter().map(|timed| timed.at).collect();
        moments.extend(self.expiries().filter(|expiry| *expiry <= now));
        let mut history = History::default();
        let mut last = self.choose(0, super::build::START, &mut history);
        for at in moments {
            for event_count in self.event_counts_at(at) {
                last = self.choose(event_count, at, &mut history);
                match last.basis {
                    Basis::Ready | Basis::Live => {
                        history.good.push(GoodAnswer { from: at, targets: last.targets.clone() });
                    }
                    // The last known good answer counts as good until a better one comes.
                    Basis::LastKnownGood => {
                        let targets = history.last_known_good.clone();
                        history.good.extend(targets.map(|targets| GoodAnswer { from: at, targets }));
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

    /// The answer at `now` after the first `event_count` events.
    fn choose(&self, event_count: usize, now: Moment, history: &mut History) -> Expected {
        let overrides = self.overrides(event_count, now);
        let kind_of = |target: &Target| overrides.get(&target.node).copied();
        let all: BTreeSet<Target> = self.pool.targets().map(|(target, _)| target).collect();
        let mut candidates = all.clone();
        candidates.retain(|target| kind_of(target) != Some(OverrideKind::Drain));
        if candidates.is_empty() {
            candidates = all;
        }
        let grade = |target: &Target| match kind_of(target) {
            Some(OverrideKind::Force) => Grade::Ready,
            _ => self.grade(target, event_count),
        };
        for (basis, wanted) in [(Basis::Ready, Grade::Ready), (Basis::Live, Grade::Live)] {
            let mut chosen = candidates.clone();
            chosen.retain(|target| grade(target) == wanted);
            if !chosen.is_empty() {
                history.last_known_good = None;
                return Expected { basis, targets: self.steer(chosen) };
            }
        }
        self.choose_last_known_good(candidates, now, history)
    }

    /// The answer of a pool without a usable target.
    fn choose_last_known_good(&self, candidates: BTreeSet<Target>, now: Moment, history: &mut History) -> Expected {
        let Some(last) = history.good.last() else {
            return Expected { basis: Basis::Bootstrap, targets: candidates };
        };
        let detection = self.pool.timing.detection;
        let last_known_good = history.last_known_good.get_or_insert_with(|| {
            // The targets of every good answer that ended within one detection time.
            let mut targets = last.targets.clone();
            for (index, answer) in history.good.iter().enumerate() {
                let ended = history.good.get(index + 1).map_or(now, |next| next.from);
                if now.since(ended) <= detection {
                    targets.extend(answer.targets.clone());
                }
            }
            targets
        });
        let remaining: BTreeSet<Target> = candidates.intersection(last_known_good).cloned().collect();
        let targets = if remaining.is_empty() { candidates } else { remaining };
        Expected { basis: Basis::LastKnownGood, targets }
    }

    fn steer(&self, mut chosen: BTreeSet<Target>) -> BTreeSet<Target> {
        if self.pool.steering.mode == Mode::Failover {
            let best = chosen.iter().filter_map(|target| self.priority(target)).min();
            chosen.retain(|target| self.priority(target) == best);
        }
        chosen
    }

    fn priority(&self, target: &Target) -> Option<u16> {
        self.pool.nodes.iter().find(|node| node.name == target.node).map(|node| node.priority)
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
                Event::Observed(..) => {}
            }
        }
        overrides.retain(|_, requested| requested.until.is_none_or(|until| now < until));
        overrides.into_iter().map(|(node, requested)| (node, requested.kind)).collect()
    }

    /// The grade of a target after thresholds and penalty.
    fn grade(&self, target: &Target, event_count: usize) -> Grade {
        let mut grade = Grade::Unknown;
        let mut falls: Vec<Moment> = Vec::new();
        let mut ready_after = Moment::default();
        let mut since_transition: Vec<Grade> = Vec::new();
        for Timed { at, event } in &self.events[..event_count] {
            let Event::Observed(of, kind) = event else { continue };
            let Some(observed) = kind.grade().filter(|_| of == target) else { continue };
            let is_flapping = observed == Grade::Ready && grade != Grade::Ready && *at < ready_after;
            let observed = if is_flapping { Grade::Live } else { observed };
            since_transition.push(observed);
            let next = if kind.is_decisive() && (grade == Grade::Unknown || observed < grade) {
                Some(observed)
            } else {
                self.next_grade(grade, &since_transition)
            };
            let Some(next) = next else { continue };
            if grade == Grade::Ready {
                falls.push(*at);
                ready_after = at.after(super::penalty_wait(&falls));
            }
            grade = next;
            since_transition.clear();
        }
        grade
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

/// The last `count` grades, if there are as many.
fn last(grades: &[Grade], count: u32) -> Option<&[Grade]> {
    let from = grades.len().checked_sub(count as usize)?;
    Some(&grades[from..])
}
