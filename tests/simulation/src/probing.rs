//! The times at which a host probes one address, in the rhythm of the real schedule.
//!
//! A settled target is probed once an interval, at a phase of its own on each host. A doubtful one is confirmed by probes that
//! follow soon and overlap. After a refused connection they follow within milliseconds. When a node closes the kept connection,
//! the next probe starts at once. `src/probe/src/schedule.rs` has the rule in full; this one leaves out slow answers and
//! handshakes.

use daymark_decision::{Direction, Grade, Kind, ThresholdedGrade, Thresholds};

/// Milliseconds between two probes of a target whose grade is steady.
pub(crate) const PROBE_INTERVAL: u64 = 1_000;
/// Milliseconds between two probes of a target whose grade is about to change.
pub(crate) const CONFIRM_INTERVAL: u64 = 100;
/// Milliseconds until a probe of a target that does not answer times out.
pub(crate) const PROBE_TIMEOUT: u64 = 1_000;
/// Milliseconds from the silence of a node to the last observation that proves it.
pub(crate) const DETECTION: u64 = PROBE_INTERVAL + 3 * CONFIRM_INTERVAL + PROBE_TIMEOUT;
/// Milliseconds from a refused connection to the next probe, at least.
const REFUSAL_PAUSE: u64 = 12;

/// The probes of one address on one host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    /// The target is configured, and probed.
    pub(crate) is_active: bool,
    /// Rises whenever the time of the next probe is set anew.
    pub(crate) ticket: u64,
    /// Rises whenever the probes under way are called off.
    pub(crate) round: u64,
    verdict: ThresholdedGrade,
    under_way: u32,
    confirming: u32,
    next: u64,
    second: Option<u64>,
    last_start: Option<u64>,
    refusal_pause: Option<u64>,
    held_until: u64,
    prompted: Option<u64>,
}

/// A probe that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Start {
    pub(crate) at: u64,
    pub(crate) round: u64,
    confirms: bool,
}

impl Schedule {
    /// A schedule whose first probe starts at `first`, and whose rhythm begins at `second`.
    pub(crate) fn new(first: u64, second: u64, former: Self) -> Self {
        Self {
            is_active: true,
            ticket: former.ticket + 1,
            round: former.round + 1,
            next: first,
            second: Some(second),
            ..Self::default()
        }
    }

    /// The time of the next probe; `None` while it depends on one under way.
    pub(crate) fn due(&self, thresholds: Thresholds) -> Option<u64> {
        let doubt = self.doubt(thresholds);
        let is_in_doubt = self.verdict.grade() != Grade::Down && (doubt.is_some() || self.under_way > 0);
        let missing = doubt.unwrap_or(thresholds.fall.get());
        let due = match self.last_start.filter(|_| is_in_doubt) {
            Some(last) if self.confirming < missing => {
                last + self.refusal_pause.filter(|_| doubt.is_some()).unwrap_or(CONFIRM_INTERVAL)
            }
            None if self.under_way == 0 => self.next,
            _ => return None,
        };
        Some(due.max(self.held_until))
    }

    pub(crate) fn start(&mut self, now: u64, thresholds: Thresholds) -> Start {
        let is_in_doubt = self.verdict.grade() != Grade::Down
            && self.last_start.is_some()
            && (self.doubt(thresholds).is_some() || self.under_way > 0);
        if !is_in_doubt {
            self.next = self.second.take().filter(|second| *second > now).unwrap_or(now + PROBE_INTERVAL);
        }
        let confirms = is_in_doubt || self.verdict.grade() == Grade::Unknown;
        self.under_way += 1;
        self.confirming += u32::from(confirms);
        self.last_start = Some(now);
        Start { at: now, round: self.round, confirms }
    }

    /// Takes the result of a probe. `spread` milliseconds lengthen the pause after a refusal.
    pub(crate) fn finish(&mut self, start: Start, kind: &Kind, spread: u64, thresholds: Thresholds) {
        self.under_way -= 1;
        self.confirming -= u32::from(start.confirms);
        self.held_until = if kind.grade().is_none() { start.at + PROBE_INTERVAL } else { 0 };
        self.refusal_pause = (*kind == Kind::Refused).then_some(REFUSAL_PAUSE + spread);
        let Some(observed) = kind.grade() else { return };
        self.verdict.observe(observed, kind.is_decisive(), thresholds);
        if self.verdict.grade() != Grade::Unknown && observed >= self.verdict.grade() {
            self.round += 1;
            self.under_way = 0;
            self.confirming = 0;
        }
    }

    /// Brings the next probe forward, because the node has closed the kept connection.
    pub(crate) fn kept_has_ended(&mut self, now: u64) {
        let was_prompted = self.prompted.is_some_and(|prompted| now < prompted + PROBE_INTERVAL);
        if self.verdict.grade() >= Grade::Live && !was_prompted && now < self.next {
            self.prompted = Some(now);
            self.next = now;
        }
    }

    /// The number of observations that a doubtful verdict still needs.
    fn doubt(&self, thresholds: Thresholds) -> Option<u32> {
        let pending = self.verdict.pending(thresholds)?;
        let is_doubt = pending.direction == Direction::Worse || self.verdict.grade() == Grade::Unknown;
        is_doubt.then_some(pending.missing)
    }
}
