//! The pauses between failed attempts. It knows no provider and no decision.

use std::time::Duration;

use daymark_provider::ApplyError;

/// The first pause. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause if the cause is likely to pass.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// The shortest pause if only an operator can fix the cause.
const MIN_PAUSE_REFUSED: Duration = Duration::from_secs(10);
/// The longest pause if only an operator can fix the cause.
const MAX_PAUSE_REFUSED: Duration = Duration::from_mins(5);

/// The back-off after successive failures.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

/// The pauses after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pauses {
    /// The pause before the same decision is tried again.
    pub(crate) same: Duration,
    /// The pause before a changed decision is tried, which may avoid the cause.
    pub(crate) changed: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST_PAUSE }
    }
}

impl Backoff {
    /// The pauses after one more failure. A pause that the remote system asks for is respected.
    pub(crate) fn after(&mut self, fault: &ApplyError) -> Pauses {
        let whole = self.next;
        self.next = (whole * 2).min(MAX_PAUSE_REFUSED);
        let usual = jittered(whole.min(MAX_PAUSE));
        match fault {
            ApplyError::Refused(_) => Pauses { same: jittered(whole).max(MIN_PAUSE_REFUSED), changed: usual },
            ApplyError::Unavailable { pause, .. } | ApplyError::DriftUnchecked { pause, .. } => {
                let pause = usual.max(pause.unwrap_or_default());
                Pauses { same: pause, changed: pause }
            }
            ApplyError::Decision(_) | ApplyError::Superseded => Pauses { same: usual, changed: usual },
        }
    }
}

/// A random time between half the pause and the whole, so that hosts that failed together do not return together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(pause: Option<Duration>) -> ApplyError {
        ApplyError::Unavailable { source: "cut".into(), pause }
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
    fn the_pause_that_the_remote_system_asks_for_is_respected_also_with_a_changed_decision() {
        let asked = Duration::from_mins(5);
        assert_eq!(Backoff::default().after(&unavailable(Some(asked))), Pauses { same: asked, changed: asked });
    }

    #[test]
    fn what_only_an_operator_can_fix_is_tried_slowly_but_a_changed_decision_soon() {
        let mut backoff = Backoff::default();
        let refused = || ApplyError::Refused("no zone".into());
        for _ in 0..20 {
            let Pauses { same, changed } = backoff.after(&refused());
            assert!((Duration::from_secs(10)..=Duration::from_mins(5)).contains(&same), "{same:?}");
            assert!(changed <= Duration::from_secs(30), "{changed:?}");
        }
        assert!(backoff.after(&refused()).same >= Duration::from_secs(150));
    }
}
