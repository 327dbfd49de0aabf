//! The times at which one target is probed. Pure: it starts nothing itself, and each time is an argument.
//!
//! A settled target is probed once an interval, one probe at a time. If a verdict is in doubt, probes on fresh connections
//! follow each other at the confirm interval and overlap, as many as the verdict still needs. They leave the rhythm of the
//! interval as it is. When the verdict is settled, the probes still under way are called off. A verdict is in doubt if
//!
//! - there is none yet, from the first probe on;
//! - it is `ready` or `live`, and the last observation was worse;
//! - it is `ready` or `live`, and a probe has been silent for the confirm interval longer than the last answer took (at
//!   most one interval of that counts).
//!
//! A better observation is no reason for haste, and nothing is worse than `down`.
//!
//! After a refused connection there is nothing to wait for, so the next probe follows within milliseconds. The `fall` probes
//! that prove a refusal still take at least 24 ms from the first start to the last: a listener that only changes hands is back
//! by then. Two of them are at least 10 ms apart, and each pause is drawn up to a third longer, so that many hosts do not try in
//! step. With the defaults these are pauses of 12 to 16 ms, and a killed node is down 24 to 32 ms after the first refusal. A
//! target that goes on refusing is down, and thus back at the interval.
//!
//! A process that is stopped accepts connections and says nothing. A handshake of it fails by `tlsTimeout`. That alone would
//! take a node out that pauses for a second, such as a virtual machine on the move. So the handshake of a confirmation gets
//! longer: it fails no sooner than `lateAfter + tlsTimeout` after the target should have answered. That is the time that the
//! last answer took, after the start of the first probe without an answer.
//!
//! *Worst and best case.* A target answers each probe in `a`. One starts at 0 s and is answered; the process stops at `s`. The
//! next one starts at 1 s, and confirmations follow at 1.1, 1.2 and 1.3 s, each plus `a`. Their handshakes fail together at 3 s
//! plus `a`.
//!
//! - `s` is at least `a`, so the target is out at most 3 s after it stopped: `interval + lateAfter + tlsTimeout`.
//! - `s` is at most 1 s plus `a`, or that probe were answered. So a process that goes on within 2 s, `lateAfter + tlsTimeout`,
//!   is never out.
//! - Only a probe shows life, so the two bounds are one interval apart, whatever the rule: half a second of it is lost on
//!   average, and the median is 2.5 s.
//! - The fresh probe of the interval has `tlsTimeout` alone. It is one failure of the `fall`, and the others end as above.
//! - If the confirmations alone take longer than `lateAfter`, they count: `fall × confirmInterval`.
//!
//! A target whose handshake works and whose answer does not come has the whole `timeout`. From its last answer to the last
//! observation that proves it down, never more than `interval + fall × confirmInterval + timeout` pass. For a target whose
//! packets get lost, `connectTimeout` takes the place of `timeout`, unless a confirmation had its connection by then. Waiting for
//! the time of the last answer delays no verdict: the next probe starts by that much sooner after that answer.
//!
//! The wait also spares a target that is always slow. A probe of it gets others beside it only if its answers take longer than
//! the interval and the confirm interval together, or now and then the confirm interval longer than the one before. Then there
//! are at most `fall` more, until the first of them is answered. Example: with a hanging etcd each answer takes 4 s, which with
//! the defaults makes 4 probes in 4 s.

use std::num::NonZeroU32;
use std::time::Duration;

use daymark_decision::{Grade, Kind, Thresholds};
use tokio::time::Instant;

use self::verdict::Verdict;
use crate::settings::ProbeSettings;

mod verdict;

/// The shortest time from the first to the last start of the `fall` probes that prove a refusal.
const REFUSAL_SPAN: Duration = Duration::from_millis(24);
/// The shortest pause after a refusal.
const MIN_REFUSAL_PAUSE: Duration = Duration::from_millis(10);
/// The part of a pause after a refusal by which it is drawn longer at most.
const REFUSAL_SPREAD: f64 = 1.0 / 3.0;

/// The times at which one target is probed.
#[derive(Debug)]
pub(super) struct Schedule {
    pacing: Pacing,
    verdict: Verdict,
    /// The time that the last answer took, of any status; at most the interval.
    last_answer_took: Duration,
    /// The time from the last start to the next, if the last observation was a refusal.
    refusal_pause: Option<Duration>,
    under_way: Vec<UnderWay>,
    next_id: u64,
    last_start: Option<Instant>,
    /// The start of the first probe since the last answer.
    unanswered_since: Option<Instant>,
    /// The start of the next probe of the interval.
    next: Instant,
    /// The start of the probe after the first, which came before its time.
    second: Option<Instant>,
    /// No probe starts before this time, because this host could not probe.
    held_until: Option<Instant>,
    /// The last time that an ended connection brought a probe forward.
    prompted: Option<Instant>,
    /// The number of probes of the interval since one of them was fresh.
    since_fresh: u32,
}

/// The part of the settings that the schedule follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacing {
    pub(super) interval: Duration,
    pub(super) confirm_interval: Duration,
    pub(super) late_after: Duration,
    pub(super) tls_timeout: Duration,
    pub(super) fresh_every: NonZeroU32,
    pub(super) thresholds: Thresholds,
}

/// A probe to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) id: u64,
    /// True if it must not use the kept connection.
    pub(super) fresh: bool,
    /// The time until which its handshake may last, beyond the usual limit; `None`: there is only the usual one.
    pub(super) handshake_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    id: u64,
    started: Instant,
    /// True if it was started because the verdict is missing or in doubt.
    confirms: bool,
}

impl Pacing {
    /// The first position in the cycle of `fresh_every` probes, for a target that is probed `offset` into each interval. If all
    /// targets began at the same position, they would all make their fresh connections in the same interval.
    fn phase(&self, offset: Duration) -> u32 {
        let round = self.fresh_every.get();
        let phase = offset.as_nanos() * u128::from(round) / self.interval.as_nanos().max(1);
        u32::try_from(phase).map_or(0, |phase| phase % round)
    }

    /// The time from the start of a refused probe to the start of the one that confirms it. `spread` is in `0.0..1.0`.
    fn after_refusal(&self, spread: f64) -> Duration {
        let gaps = self.thresholds.fall.get().saturating_sub(1).max(1);
        let pause = (REFUSAL_SPAN / gaps).max(MIN_REFUSAL_PAUSE);
        pause.mul_f64(1.0 + spread * REFUSAL_SPREAD).min(self.confirm_interval)
    }
}

impl From<&ProbeSettings> for Pacing {
    fn from(settings: &ProbeSettings) -> Self {
        Self {
            interval: settings.interval,
            confirm_interval: settings.confirm_interval,
            late_after: settings.late_after,
            tls_timeout: settings.tls_timeout,
            fresh_every: settings.fresh_every,
            thresholds: settings.thresholds,
        }
    }
}

impl Schedule {
    /// A schedule that starts the first probe `first` after `now`. The second one starts `offset` after `now`, or an interval
    /// after the first if that is past.
    pub(super) fn new(pacing: Pacing, now: Instant, first: Duration, offset: Duration) -> Self {
        Self {
            pacing,
            verdict: Verdict::new(pacing.thresholds),
            last_answer_took: Duration::ZERO,
            refusal_pause: None,
            under_way: Vec::new(),
            next_id: 0,
            last_start: None,
            unanswered_since: None,
            next: now + first,
            second: Some(now + offset),
            held_until: None,
            prompted: None,
            since_fresh: pacing.phase(offset),
        }
    }

    /// The start of the next probe, maybe in the past; `None` while it depends on a probe under way.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = match self.last_start.filter(|_| self.is_in_doubt()) {
            Some(last) if self.confirming() < self.verdict.missing() as usize => last + self.pause(),
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
        let unanswered_since = *self.unanswered_since.get_or_insert(now);
        let is_unknown = self.verdict.grade() == Grade::Unknown;
        let confirms = in_doubt || is_unknown;
        // A target without a verdict is not taken out by one, so it needs no patience.
        let is_patient = in_doubt && !is_unknown;
        let silence = self.last_answer_took + self.pacing.late_after + self.pacing.tls_timeout;
        let handshake_until = is_patient.then(|| unanswered_since + silence);
        let fresh = confirms || self.is_fresh_due();
        let id = self.next_id;
        self.next_id += 1;
        self.under_way.push(UnderWay { id, started: now, confirms });
        self.last_start = Some(now);
        Start { id, fresh, handshake_until }
    }

    /// Takes the result of a probe. True if the verdict is settled: then every other probe under way is called off, and its result
    /// is no observation. `spread`, in `0.0..1.0`, is drawn for each call and lengthens the pause after a refusal.
    pub(super) fn finish(&mut self, id: u64, kind: &Kind, now: Instant, spread: f64) -> bool {
        let Some(at) = self.under_way.iter().position(|probe| probe.id == id) else { return false };
        let probe = self.under_way.swap_remove(at);
        // A host that lacks a resource would only lack more of it in haste.
        self.held_until = kind.grade().is_none().then(|| probe.started + self.pacing.interval);
        if kind.grade() >= Some(Grade::Live) {
            self.last_answer_took = now.duration_since(probe.started).min(self.pacing.interval);
        }
        let is_refusal = matches!(kind, Kind::Refused | Kind::Reset);
        self.refusal_pause = is_refusal.then(|| self.pacing.after_refusal(spread));
        let clear = self.verdict.observe(kind);
        if clear {
            self.under_way.clear();
        }
        if kind.grade() != Some(Grade::Down) {
            self.unanswered_since = self.under_way.iter().map(|probe| probe.started).min();
        }
        clear
    }

    /// Brings the next probe forward to now, because the target ended the kept connection while it was idle. This works at most
    /// once an interval, or a target that ends every connection would be probed without a pause.
    pub(super) fn kept_has_ended(&mut self, now: Instant) {
        let prompted_lately = self.prompted.is_some_and(|prompted| now < prompted + self.pacing.interval);
        if !prompted_lately && now < self.next {
            self.prompted = Some(now);
            self.next = now;
        }
    }

    /// True if the next probe confirms. A probe under way is doubt enough when it has been silent for the pause; but nothing is
    /// worse than `down`.
    fn is_in_doubt(&self) -> bool {
        self.verdict.grade() != Grade::Down && (self.verdict.is_in_doubt() || !self.under_way.is_empty())
    }

    /// The time from one start to the next while the verdict is in doubt. If silence is the only reason, the first one also waits
    /// for as long as the last answer took.
    fn pause(&self) -> Duration {
        if let Some(pause) = self.refusal_pause.filter(|_| self.verdict.is_in_doubt()) {
            return pause;
        }
        let is_first_beside_silence = !self.verdict.is_in_doubt() && self.confirming() == 0;
        let extra = if is_first_beside_silence { self.last_answer_took } else { Duration::ZERO };
        self.pacing.confirm_interval + extra
    }

    fn is_fresh_due(&mut self) -> bool {
        self.since_fresh = (self.since_fresh + 1) % self.pacing.fresh_every;
        self.since_fresh == 0
    }

    fn confirming(&self) -> usize {
        self.under_way.iter().filter(|probe| probe.confirms).count()
    }
}

#[cfg(test)]
mod tests;
