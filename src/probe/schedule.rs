//! When to probe one target. Pure: it starts nothing itself and is told every time.
//!
//! A settled target is probed once an interval, one probe at a time. Where a verdict is in doubt, probes on fresh
//! connections follow each other at the confirm interval and overlap, as many as the verdict still needs; they leave
//! the round of the interval as it is. As soon as the verdict is clear, what is still under way is called off. In doubt
//! is a verdict
//!
//! - that there is not yet, from the first probe on;
//! - `ready` or `live`, after a worse finding;
//! - `ready` or `live`, beside a probe that has been silent for the confirm interval longer than the last answer took,
//!   of which one interval counts at the most.
//!
//! A better finding is no reason for haste, and nothing is worse than `down`.
//!
//! To wait for the time of the last answer puts off no verdict: by so much sooner after that answer does the next probe
//! start. So from the last answer of a target that hangs to the last finding of `fall` that prove it is never more than
//! `interval + fall × confirmInterval + timeout`, and `connectTimeout` takes the place of `timeout` for a target whose
//! packets go nowhere, unless a confirmation had its connection by then. And to wait keeps the peace of a target that
//! is slow as a rule: only one whose answers take longer than the interval and the confirm interval together, or now
//! and then the confirm interval longer than the one before, has company at such a probe, `fall` more at the most and
//! until the first of them is answered. With a hanging etcd (each answer takes 4 s) and the defaults, that is 4 probes
//! in 4 s.

use std::num::NonZeroU32;
use std::time::Duration;

use daymark_decision::{Grade, Kind, Thresholds};
use tokio::time::Instant;

use self::verdict::Verdict;
use super::settings::Settings;

mod verdict;

/// When to probe one target.
#[derive(Debug)]
pub(super) struct Schedule {
    pacing: Pacing,
    verdict: Verdict,
    /// How long the last answer took, of any status; the interval at the most.
    patience: Duration,
    under_way: Vec<UnderWay>,
    next_id: u64,
    last_start: Option<Instant>,
    /// When the next probe of the interval starts.
    next: Instant,
    /// When the one after the first starts, which came before its turn.
    second: Option<Instant>,
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

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    id: u64,
    started: Instant,
    /// Whether it was started because the verdict is missing or in doubt.
    confirms: bool,
}

impl Pacing {
    /// Where in its round of probes a target begins that is probed `offset` into each interval. Targets that all began
    /// at the same place would all make their fresh connections in the same interval.
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

impl Schedule {
    /// The first probe starts `first` after `now`, the second one of the interval `offset` after it, or an interval
    /// after the first where that is past.
    pub(super) fn new(pacing: Pacing, now: Instant, first: Duration, offset: Duration) -> Self {
        Self {
            pacing,
            verdict: Verdict::new(pacing.thresholds),
            patience: Duration::ZERO,
            under_way: Vec::new(),
            next_id: 0,
            last_start: None,
            next: now + first,
            second: Some(now + offset),
            held_until: None,
            prompted: None,
            since_fresh: pacing.phase(offset),
        }
    }

    /// When the next probe starts, maybe in the past; `None` while that hangs on a probe under way.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = match self.last_start.filter(|_| self.is_in_doubt()) {
            Some(last) if self.confirming() < self.verdict.wanted() as usize => last + self.pause(),
            None if self.under_way.is_empty() => self.next,
            _ => return None,
        };
        Some(self.held_until.map_or(due, |held| due.max(held)))
    }

    /// Starts a probe now.
    pub(super) fn start(&mut self, now: Instant) -> Start {
        let in_doubt = self.is_in_doubt();
        if !in_doubt {
            let second = self.second.take().filter(|second| *second > now);
            self.next = second.unwrap_or(now + self.pacing.interval);
        }
        let confirms = in_doubt || self.verdict.grade() == Grade::Unknown;
        let fresh = confirms || self.is_turn_of_a_fresh_one();
        let id = self.next_id;
        self.next_id += 1;
        self.under_way.push(UnderWay { id, started: now, confirms });
        self.last_start = Some(now);
        Start { id, fresh }
    }

    /// Takes what a probe found. True where the verdict is clear: every other probe under way is called off, and what
    /// it may still find is no observation.
    pub(super) fn finish(&mut self, id: u64, kind: &Kind, now: Instant) -> bool {
        let Some(at) = self.under_way.iter().position(|probe| probe.id == id) else { return false };
        let probe = self.under_way.swap_remove(at);
        // In haste, a host that lacks something would only lack more of it.
        self.held_until = kind.grade().is_none().then(|| probe.started + self.pacing.interval);
        if kind.grade() >= Some(Grade::Live) {
            self.patience = now.duration_since(probe.started).min(self.pacing.interval);
        }
        let clear = self.verdict.take(kind);
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

    /// Whether the next probe confirms. One under way is doubt enough, once it has been silent for the pause; but
    /// nothing worse can be found of a target that is down.
    fn is_in_doubt(&self) -> bool {
        self.verdict.grade() != Grade::Down && (self.verdict.is_doubtful() || !self.under_way.is_empty())
    }

    /// From one start to the next while the verdict is in doubt. Where silence alone is the reason, the first one waits
    /// for as long as the last answer took as well.
    fn pause(&self) -> Duration {
        let is_first_beside_silence = !self.verdict.is_doubtful() && self.confirming() == 0;
        let patience = if is_first_beside_silence { self.patience } else { Duration::ZERO };
        self.pacing.confirm_interval + patience
    }

    fn is_turn_of_a_fresh_one(&mut self) -> bool {
        self.since_fresh = (self.since_fresh + 1) % self.pacing.fresh_every;
        self.since_fresh == 0
    }

    fn confirming(&self) -> usize {
        self.under_way.iter().filter(|probe| probe.confirms).count()
    }
}

#[cfg(test)]
mod tests;
