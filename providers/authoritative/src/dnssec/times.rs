//! The times of signatures, in seconds since the Unix epoch.

/// The time a signature is valid from its making on, in seconds: 7 days.
const VALIDITY_SECONDS: u64 = 7 * 86_400;
/// The most that is taken off the validity, so that not all signatures end at once: 12 hours.
const JITTER_SECONDS: u64 = 43_200;
/// A signature is renewed when it has a third of its validity left.
const RENEWAL_SECONDS: u64 = VALIDITY_SECONDS / 3;
/// The renewal of a signature must have failed if less than this is left of its validity, in seconds: 42 hours.
pub(crate) const OVERDUE_SECONDS: u64 = VALIDITY_SECONDS / 4;
/// A signature is valid from this time before its making on, in seconds, because clocks differ: 3 hours.
const CLOCK_ERROR_SECONDS: u64 = 10_800;

/// The times of one signature, or of all signatures of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignatureTimes {
    /// The making of the newest signature.
    newest: u64,
    /// The moment of the first renewal.
    renewal: u64,
    /// The end of the first signature that ends.
    pub(crate) first_end: u64,
}

impl SignatureTimes {
    /// The times of no signature.
    pub(super) const NONE: Self = Self { newest: 0, renewal: u64::MAX, first_end: u64::MAX };

    /// The times of a signature that is made now. `random` spreads the ends.
    pub(super) fn new(now: u64, random: u64) -> Self {
        let first_end = now + VALIDITY_SECONDS - random % JITTER_SECONDS;
        Self { newest: now, renewal: first_end - RENEWAL_SECONDS, first_end }
    }

    /// The times of a signature that could not be made. It is due at once.
    pub(super) fn failed(now: u64) -> Self {
        Self { newest: now, renewal: now, first_end: now }
    }

    /// The beginning of the validity of a signature.
    pub(super) fn valid_from(self) -> u64 {
        self.newest.saturating_sub(CLOCK_ERROR_SECONDS)
    }

    /// True if every signature serves at this moment and for a while. It does not if the clock was far ahead when it was made.
    pub(crate) fn is_fresh(self, now: u64) -> bool {
        now < self.renewal && self.newest <= now.saturating_add(CLOCK_ERROR_SECONDS / 2)
    }

    /// Takes in the times of one more signature.
    pub(super) fn add(&mut self, other: Self) {
        self.newest = self.newest.max(other.newest);
        self.renewal = self.renewal.min(other.renewal);
        self.first_end = self.first_end.min(other.first_end);
    }
}
