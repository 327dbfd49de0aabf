//! How long to wait after a failure. Knows no provider and no decision.

use std::time::Duration;

use daymark_provider::PublishError;

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause where the world is at fault.
const LONGEST: Duration = Duration::from_secs(30);
/// The shortest and the longest pause where only the operator can mend it.
const REFUSED: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(5));

/// Counts failures in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

/// How long to wait after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pauses {
    /// Before the same decision is tried again.
    pub(crate) same: Duration,
    /// Before a changed one is tried, which may be what the operator has mended.
    pub(crate) changed: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The pauses after one more failure. What the world asks for is kept.
    pub(crate) fn after(&mut self, fault: &PublishError) -> Pauses {
        let (shortest, longest) = REFUSED;
        let whole = self.next;
        self.next = (whole * 2).min(longest);
        let usual = jittered(whole.min(LONGEST));
        match fault {
            PublishError::Refused(_) => Pauses { same: jittered(whole).max(shortest), changed: usual },
            PublishError::Unavailable { pause, .. } | PublishError::Unlooked { pause, .. } => {
                let pause = usual.max(pause.unwrap_or_default());
                Pauses { same: pause, changed: pause }
            }
            PublishError::Stale { .. } | PublishError::Empty(_) | PublishError::Superseded => {
                Pauses { same: usual, changed: usual }
            }
        }
    }
}

/// Between the half and the whole of a pause, so that those who failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(pause: Option<Duration>) -> PublishError {
        PublishError::Unavailable { source: "cut".into(), pause }
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_differ() {
        let mut backoff = Backoff::default();
        for whole in [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000] {
            let Pauses { same, changed } = backoff.after(&unavailable(None));
            let whole = Duration::from_millis(whole);
            assert!(same >= whole / 2 && same <= whole && changed == same, "{same:?} of {whole:?}");
        }
        let drawn: Vec<_> = (0..20).map(|_| backoff.after(&unavailable(None)).same).collect();
        assert!(drawn.iter().any(|pause| *pause != drawn[0]), "{drawn:?}");
    }

    #[test]
    fn the_pause_that_the_world_asks_for_is_kept_also_by_a_changed_decision() {
        let asked = Duration::from_mins(5);
        assert_eq!(Backoff::default().after(&unavailable(Some(asked))), Pauses { same: asked, changed: asked });
    }

    #[test]
    fn what_only_the_operator_can_mend_is_tried_slowly_but_a_changed_decision_soon() {
        let (mut backoff, refused) = (Backoff::default(), || PublishError::Refused("no zone".into()));
        for _ in 0..20 {
            let Pauses { same, changed } = backoff.after(&refused());
            assert!((Duration::from_secs(10)..=Duration::from_mins(5)).contains(&same), "{same:?}");
            assert!(changed <= Duration::from_secs(30), "{changed:?}");
        }
        assert!(backoff.after(&refused()).same >= Duration::from_secs(150));
    }
}
