//! The loop of one target: starts the probes that the schedule wants and hands on their observations.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{Grade, Observation};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connection::ProbeConnection;
use super::prober::{Probed, Prober};
use super::schedule::Schedule;

/// The pause between the first probes of one prober, so that they do not all start at once.
const FIRST_PROBE_PAUSE: Duration = Duration::from_millis(10);

/// The time within the interval at which the target at `index` of `count` is probed. Targets are spread over the interval.
pub fn offset(interval: Duration, index: usize, count: usize) -> Duration {
    let part = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
    interval.saturating_mul(part(index)) / part(count).max(1)
}

/// Probes one target until `shutdown`, `offset` into each interval, and hands each observation to `sink` in the order
/// in which they come. A local error is handed on too; a probe that
/// was called off is not.
///
/// The first probe does not wait for `offset`: it starts 10 ms after the first one of the watch that was made with this prober
/// before, and at `offset` at the latest. So a long interval does not put off the first verdict.
///
/// `heartbeat` is called each time round: at least once in the longer of the interval and the timeout of a probe.
///
/// When it returns or is dropped, no connection and no probe is left.
pub fn watch(
    target: IpAddr,
    offset: Duration,
    prober: Arc<Prober>,
    sink: impl Fn(Observation) + Send,
    heartbeat: impl Fn() + Send,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    // Taken here and not in the future, so that the order is that of the calls.
    let first = offset.min(FIRST_PROBE_PAUSE.saturating_mul(prober.next_watch()));
    async move {
        let mut schedule = Schedule::new(prober.settings().into(), Instant::now(), first, offset);
        let mut kept: Option<ProbeConnection> = None;
        let mut under_way = FuturesUnordered::new();
        loop {
            heartbeat();
            let due = schedule.due();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some((id, Probed { observation, kept: returned })) = under_way.next() => {
                    if schedule.finish(id, &observation.kind, Instant::now(), fastrand::f64()) {
                        under_way.clear();
                    }
                    kept = next_kept(kept, returned, &observation);
                    sink(observation);
                }
                () = ended(kept.as_mut()), if kept.is_some() => {
                    kept = None;
                    schedule.kept_has_ended(Instant::now());
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let start = schedule.start(Instant::now());
                    let on = if start.fresh { None } else { kept.take() };
                    let prober = &*prober;
                    under_way.push(async move { (start.id, prober.probe(target, on, start.handshake_until).await) });
                }
            }
        }
    }
}

/// Chooses the connection to keep: the one that the probe returned, or else the one kept so far.
///
/// If the target is down, its kept connection is given up: it may still work after new connections have begun to fail.
fn next_kept(
    so_far: Option<ProbeConnection>,
    returned: Option<ProbeConnection>,
    observation: &Observation,
) -> Option<ProbeConnection> {
    match observation.kind.grade() {
        Some(Grade::Down) => None,
        _ => returned.or(so_far),
    }
}

async fn ended(kept: Option<&mut ProbeConnection>) {
    if let Some(kept) = kept {
        kept.ended().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_spread_evenly_over_the_interval() {
        let interval = Duration::from_secs(1);
        assert_eq!(offset(interval, 0, 4), Duration::ZERO);
        assert_eq!(offset(interval, 1, 4), Duration::from_millis(250));
        assert_eq!(offset(interval, 3, 4), Duration::from_millis(750));
        assert_eq!(offset(interval, 0, 0), Duration::ZERO);
    }
}
