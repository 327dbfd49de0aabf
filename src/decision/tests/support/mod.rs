//! What the tests of the core share.

#![allow(dead_code, reason = "each test binary uses a part")]

pub mod build;
pub mod naive;
pub mod script;

use std::time::Duration;

use daymark_decision::Moment;

/// How long a target that fell at these moments has to wait: ten seconds for each fall beyond the first, each former one
/// halved for every ten minutes since and in a straight line between, five minutes at the most.
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
