//! A naive model of the core for one pool and one host: it keeps every event and, when asked, goes through all of them
//! again from the beginning. It shares no logic with the engine, only the types at its edge.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::{Basis, Command, Grade, Kind, Mode, Moment, OverrideKind, Pool, Target};

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    Observed(Target, Kind),
    Said(Command),
}

/// Everything that happened, each with the time that counts for it.
#[derive(Clone, Debug)]
pub struct Naive {
    pool: Pool,
    events: Vec<(Moment, Event)>,
}

/// What is answered: the ground and the addresses.
pub type Expected = (Basis, BTreeSet<Target>);

impl Naive {
    pub fn new(pool: Pool) -> Self {
        Self { pool, events: Vec::new() }
    }

    pub fn push(&mut self, at: Moment, event: Event) {
        self.events.push((at, event));
    }

    /// The kinds that a target showed, oldest first.
    pub fn kinds(&self, target: &Target) -> Vec<Kind> {
        let of_target = |(_, event): &(Moment, Event)| match event {
            Event::Observed(of, kind) if of == target => Some(kind.clone()),
            _ => None,
        };
        self.events.iter().filter_map(of_target).collect()
    }

    /// The answer at `now`, from the whole history.
    pub fn answer(&self, now: Moment) -> Expected {
        // The answer after every moment at which anything happened or an override ended, to know what was good.
        let mut moments: BTreeSet<Moment> = self.events.iter().map(|(at, _)| *at).collect();
        moments.extend(self.ends().filter(|end| *end <= now));
        let mut good: Vec<(Moment, BTreeSet<Target>)> = Vec::new();
        let mut held: Option<BTreeSet<Target>> = None;
        let mut last = self.chosen(0, super::build::START, &good, &mut held);
        for at in moments {
            for upto in self.steps_at(at) {
                last = self.chosen(upto, at, &good, &mut held);
                match last.0 {
                    Basis::Ready | Basis::Live => good.push((at, last.1.clone())),
                    // What is held counts as good until something is.
                    Basis::LastKnownGood => good.extend(held.clone().map(|held| (at, held))),
                    // One host is all there are.
                    Basis::Bootstrap | Basis::Minority => {}
                }
            }
        }
        last
    }

    /// How many events had been taken in at each step of a moment: before its first, and after each of them.
    fn steps_at(&self, at: Moment) -> Vec<usize> {
        let before = self.events.iter().filter(|(of, _)| *of < at).count();
        let until = self.events.iter().filter(|(of, _)| *of <= at).count();
        (before..=until).collect()
    }

    fn ends(&self) -> impl Iterator<Item = Moment> {
        self.events.iter().filter_map(|(_, event)| match event {
            Event::Said(Command::SetOverride { requested, .. }) => requested.until,
            _ => None,
        })
    }

    fn chosen(
        &self,
        upto: usize,
        now: Moment,
        good: &[(Moment, BTreeSet<Target>)],
        held: &mut Option<BTreeSet<Target>>,
    ) -> Expected {
        let all: Vec<Target> = self.pool.targets().map(|(target, _)| target).collect();
        let orders = self.orders(upto, now);
        let of = |target: &Target| orders.get(target.node.as_str()).copied();
        let mut usable: Vec<Target> = all.iter().filter(|it| of(it) != Some(OverrideKind::Drain)).cloned().collect();
        if usable.is_empty() {
            usable = all;
        }
        let grade = |target: &Target| match of(target) {
            Some(OverrideKind::Force) => Grade::Ready,
            _ => self.grade(target, upto),
        };
        for (basis, wanted) in [(Basis::Ready, Grade::Ready), (Basis::Live, Grade::Live)] {
            let fit: BTreeSet<Target> = usable.iter().filter(|it| grade(it) == wanted).cloned().collect();
            if !fit.is_empty() {
                *held = None;
                return (basis, self.steer(fit));
            }
        }
        let usable: BTreeSet<Target> = usable.into_iter().collect();
        let Some((_, last_good)) = good.last() else { return (Basis::Bootstrap, usable) };
        let held = held.get_or_insert_with(|| {
            // Whatever any good answer of the last detection time had, up to what the present moment replaced.
            let lately = |index: usize| {
                let ended = good.get(index + 1).map_or(now, |(at, _)| *at);
                now.since(ended) <= self.pool.timing.detection
            };
            let recent =
                good.iter().enumerate().filter(|(index, _)| lately(*index)).flat_map(|(_, (_, it))| it.clone());
            recent.chain(last_good.clone()).collect()
        });
        let kept: BTreeSet<Target> = usable.intersection(held).cloned().collect();
        (Basis::LastKnownGood, if kept.is_empty() { usable } else { kept })
    }

    fn steer(&self, fit: BTreeSet<Target>) -> BTreeSet<Target> {
        if self.pool.steering.mode != Mode::Failover {
            return fit;
        }
        let priority = |it: &Target| self.pool.nodes.iter().find(|node| node.name == it.node).map(|node| node.priority);
        let best = fit.iter().filter_map(priority).min();
        fit.into_iter().filter(|it| priority(it) == best).collect()
    }

    fn orders(&self, upto: usize, now: Moment) -> BTreeMap<String, OverrideKind> {
        let mut orders = BTreeMap::new();
        for (_, event) in &self.events[..upto] {
            match event {
                Event::Said(Command::SetOverride { node, requested, .. }) => {
                    orders.insert(node.to_string(), (requested.kind, requested.until));
                }
                Event::Said(Command::ClearOverride { node, .. }) => {
                    orders.remove(node.as_str());
                }
                Event::Observed(..) => {}
            }
        }
        let stands = |(_, until): &(OverrideKind, Option<Moment>)| until.is_none_or(|until| now < until);
        orders.into_iter().filter(|(_, it)| stands(it)).map(|(node, (kind, _))| (node, kind)).collect()
    }

    /// The grade after thresholds, from all observations of the target.
    fn grade(&self, target: &Target, upto: usize) -> Grade {
        let mut grade = Grade::Unknown;
        let mut falls: Vec<Moment> = Vec::new();
        let mut release = Moment::default();
        let mut since_turn: Vec<Grade> = Vec::new();
        for (at, event) in &self.events[..upto] {
            let Event::Observed(of, kind) = event else { continue };
            let (true, Some(seen)) = (of == target, kind.grade()) else { continue };
            let barred = seen == Grade::Ready && grade != Grade::Ready && *at < release;
            let seen = if barred { Grade::Live } else { seen };
            since_turn.push(seen);
            let turned = if kind.is_decisive() && (grade == Grade::Unknown || seen < grade) {
                Some(seen)
            } else {
                self.turned(grade, &since_turn)
            };
            let Some(turned) = turned else { continue };
            if grade == Grade::Ready {
                falls.push(*at);
                release = at.after(super::penalty_wait(&falls));
            }
            grade = turned;
            since_turn.clear();
        }
        grade
    }

    /// What the last observations turn the grade to, if they do.
    fn turned(&self, grade: Grade, observed: &[Grade]) -> Option<Grade> {
        let up = |it: &Grade| if grade == Grade::Unknown { *it == Grade::Ready } else { *it > grade };
        let down = |it: &Grade| if grade == Grade::Unknown { *it < Grade::Ready } else { *it < grade };
        let last = |n: u32| observed.len().checked_sub(n as usize).map(|from| &observed[from..]);
        if let Some(run) = last(self.pool.thresholds.rise.get()).filter(|run| run.iter().all(up)) {
            return run.iter().min().copied();
        }
        let run = last(self.pool.thresholds.fall.get()).filter(|run| run.iter().all(down))?;
        run.iter().max().copied()
    }
}
