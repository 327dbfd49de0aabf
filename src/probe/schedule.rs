//! When to probe one target. Pure: it starts nothing itself and is told every time.
//!
//! It knows three paces. A settled target is probed once an interval, one probe at a time. Where a verdict is in doubt,
//! probes on fresh connections follow each other at the confirm interval and overlap: at the start, after a failure of a
//! ready target, and beside a probe of a ready target that is silent. As soon as the verdict is clear, what is still under
//! way for it is called off.

use std::num::NonZeroU32;
use std::time::Duration;

use daymark_decision::{Grade, Kind, Thresholds};
use tokio::time::Instant;

use super::settings::Settings;

/// When to probe one target.
#[derive(Debug)]
pub(super) struct Schedule {
    pacing: Pacing,
    verdict: Verdict,
    /// Ready observations in a row, and failing ones; one of them is 0.
    ready: u32,
    failing: u32,
    under_way: Vec<UnderWay>,
    next_id: u64,
    last_start: Option<Instant>,
    /// When the next probe of a settled target starts.
    next: Instant,
    /// No probe starts before, since this host could not probe.
    held_until: Option<Instant>,
    /// When an ended connection last brought a probe forward.
    prompted: Option<Instant>,
    /// Probes of the interval since one of them was fresh.
    since_fresh: u32,
}

/// The part of the settings that the schedule follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacing {
    pub(super) interval: Duration,
    pub(super) confirm_interval: Duration,
    pub(super) fresh_every: NonZeroU32,
    pub(super) thresholds: Thresholds,
}

/// A probe to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) id: u64,
    /// Whether it must not use the kept connection.
    pub(super) fresh: bool,
}

/// What a probe found, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Ready,
    Failing,
    /// Failing, and one is proof enough.
    Decisive,
    /// A fault of this host.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Unjudged,
    Ready,
    Failing,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    id: u64,
    started: Instant,
    /// Whether it was started because the verdict is in doubt.
    confirms: bool,
}

impl Pacing {
    /// Where in its round of probes a target begins that is first probed after `offset`. Targets that all began at the
    /// same place would all make their fresh connections in the same interval.
    fn phase(&self, offset: Duration) -> u32 {
        let round = self.fresh_every.get();
        let phase = offset.as_nanos() * u128::from(round) / self.interval.as_nanos().max(1);
        u32::try_from(phase).map_or(0, |phase| phase % round)
    }
}

impl From<&Settings> for Pacing {
    fn from(settings: &Settings) -> Self {
        Self {
            interval: settings.interval,
            confirm_interval: settings.confirm_interval,
            fresh_every: settings.fresh_every,
            thresholds: settings.thresholds,
        }
    }
}

impl From<&Kind> for Finding {
    fn from(kind: &Kind) -> Self {
        match kind.grade() {
            None => Self::Nothing,
            Some(Grade::Ready) => Self::Ready,
            Some(_) if kind.is_decisive() => Self::Decisive,
            Some(_) => Self::Failing,
        }
    }
}

impl Schedule {
    /// The first probe starts `offset` after `now`.
    pub(super) fn new(pacing: Pacing, now: Instant, offset: Duration) -> Self {
        Self {
            pacing,
            verdict: Verdict::Unjudged,
            ready: 0,
            failing: 0,
            under_way: Vec::new(),
            next_id: 0,
            last_start: None,
            next: now + offset,
            held_until: None,
            prompted: None,
            since_fresh: pacing.phase(offset),
        }
    }

    /// When the next probe starts, maybe in the past; `None` while that hangs on a probe under way.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = match self.last_start.filter(|_| self.is_in_doubt()) {
            Some(last) if self.confirming() < self.wanted() => last + self.pacing.confirm_interval,
            None if self.under_way.is_empty() => self.next,
            _ => return None,
        };
        Some(self.held_until.map_or(due, |held| due.max(held)))
    }

    /// Starts a probe now.
    pub(super) fn start(&mut self, now: Instant) -> Start {
        let confirms = self.is_in_doubt();
        let fresh = confirms || self.is_turn_of_a_fresh_one();
        let id = self.next_id;
        self.next_id += 1;
        self.under_way.push(UnderWay { id, started: now, confirms });
        self.last_start = Some(now);
        self.next = now + self.pacing.interval;
        Start { id, fresh }
    }

    /// Takes what a probe found. True where the verdict is clear: every other probe under way is called off, and what it
    /// may still find is no observation.
    pub(super) fn finish(&mut self, id: u64, finding: Finding) -> bool {
        let Some(at) = self.under_way.iter().position(|probe| probe.id == id) else { return false };
        let probe = self.under_way.swap_remove(at);
        self.held_until = None;
        match finding {
            Finding::Nothing => {
                // In haste, a host that lacks something would only lack more of it.
                self.held_until = Some(probe.started + self.pacing.interval);
                return false;
            }
            Finding::Ready => (self.ready, self.failing) = (self.ready.saturating_add(1), 0),
            Finding::Failing => (self.ready, self.failing) = (0, self.failing.saturating_add(1)),
            Finding::Decisive => (self.ready, self.failing) = (0, self.pacing.thresholds.fall.get()),
        }
        if self.failing >= self.pacing.thresholds.fall.get() {
            self.verdict = Verdict::Failing;
        }
        if self.ready >= self.pacing.thresholds.rise.get() {
            self.verdict = Verdict::Ready;
        }
        let clear = match self.verdict {
            Verdict::Unjudged => false,
            Verdict::Ready => self.failing == 0,
            Verdict::Failing => true,
        };
        if clear {
            self.under_way.clear();
        }
        clear
    }

    /// Takes note that the peer has ended the kept connection while it was idle: a reason to probe now. At most once an
    /// interval, or a target that ends every connection would be probed without a pause.
    pub(super) fn kept_has_ended(&mut self, now: Instant) {
        let prompted_lately = self.prompted.is_some_and(|prompted| now < prompted + self.pacing.interval);
        if !prompted_lately && now < self.next {
            self.prompted = Some(now);
            self.next = now;
        }
    }

    /// Whether probes follow each other quickly, for the verdict is missing or doubtful. A probe under way to a ready
    /// target is doubt enough, once it has been silent for the confirm interval.
    fn is_in_doubt(&self) -> bool {
        match self.verdict {
            Verdict::Unjudged => true,
            Verdict::Ready => self.failing > 0 || !self.under_way.is_empty(),
            Verdict::Failing => false,
        }
    }

    fn is_turn_of_a_fresh_one(&mut self) -> bool {
        self.since_fresh = (self.since_fresh + 1) % self.pacing.fresh_every;
        self.since_fresh == 0
    }

    fn confirming(&self) -> usize {
        self.under_way.iter().filter(|probe| probe.confirms).count()
    }

    /// How many more observations make the verdict clear, if they are like the last one.
    fn wanted(&self) -> usize {
        let Thresholds { rise, fall } = self.pacing.thresholds;
        let more = if self.ready > 0 && self.verdict == Verdict::Unjudged {
            rise.get() - self.ready
        } else {
            fall.get() - self.failing
        };
        more as usize
    }
}

#[cfg(test)]
mod tests;
