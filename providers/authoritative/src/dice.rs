//! Random numbers for the order of a response: without a lock, and not for secrets.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

/// `SplitMix64` over a shared counter: every roll takes the next number of one sequence.
pub(crate) struct Dice(AtomicU64);

impl Dice {
    /// Dice that roll differently in every process.
    pub(crate) fn new() -> Self {
        Self::seeded(RandomState::new().hash_one(0))
    }

    /// Dice that always roll the same.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `sides`; 0 where there are none.
    pub(crate) fn roll(&self, sides: u64) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The high half of the product is below `sides` and as even as 64 bits allow.
        u64::try_from((u128::from(z) * u128::from(sides)) >> 64).unwrap_or(0)
    }
}
