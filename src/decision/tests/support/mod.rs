//! Support for the tests of the core: builders, a naive model, and the language of the scenarios.

#![allow(dead_code, reason = "each test binary uses only some of it")]

pub mod build;
pub mod naive;
pub mod script;

use std::time::Duration;

use daymark_decision::Moment;

/// The wait of a target after its falls at these moments.
///
/// Each fall beyond the first adds ten seconds. The sum halves every ten minutes, in a straight line between. The wait is five
/// minutes at most.
pub fn penalty_wait(falls: &[Moment]) -> Duration {
    let mut level = 0_u64;
    let mut last = falls[0];
    for fall in falls {
        let mut elapsed = fall.as_millis() - last.as_millis();
        while elapsed >= 600_000 {
            level /= 2;
            elapsed -= 600_000;
        }
        level = level - (level / 2) * elapsed / 600_000 + 1_000;
        last = *fall;
    }
    Duration::from_millis(((level - 1_000) * 10).min(300_000))
}
