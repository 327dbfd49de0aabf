//! The loop of one target: it starts the probes that the schedule wants and hands on what they find.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{Grade, Observation};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::prober::{Probed, Prober};
use super::schedule::Schedule;

/// From the start of one watch of a prober to that of the next: so long do the first probes wait for each other.
const STAGGER: Duration = Duration::from_millis(10);

/// Where in the interval the target at `index` of `count` is probed: targets are spread over it.
pub fn offset(interval: Duration, index: usize, count: usize) -> Duration {
    let part = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
    interval.saturating_mul(part(index)) / part(count).max(1)
}

/// Probes one target until `shutdown`, `offset` into each interval, and hands each observation to `sink` in the order
/// in which they come. A fault of this host is handed on too; a probe that was called off is not.
///
/// The first probe does not wait for that: it starts 10 ms after the first one of the watch that was made with this
/// prober before, and at `offset` at the latest. So a long interval does not put off the first verdict.
///
/// `beat` is called each time round: at least once in the longer of the interval and the time-out of a probe.
///
/// Everything it opens and starts is its own: once it returns or is dropped, no connection and no probe is left.
pub fn watch(
    target: IpAddr,
    offset: Duration,
    prober: Arc<Prober>,
    sink: impl Fn(Observation) + Send,
    beat: impl Fn() + Send,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    // Here and not in the future, so that the order is that of the calls.
    let first = offset.min(STAGGER.saturating_mul(prober.next_place()));
    async move {
        let mut schedule = Schedule::new(prober.settings().into(), Instant::now(), first, offset);
        let mut kept: Option<Connection> = None;
        let mut under_way = FuturesUnordered::new();
        loop {
            beat();
            let due = schedule.due();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some((id, Probed { observation, kept: left })) = under_way.next() => {
                    if schedule.finish(id, &observation.kind, Instant::now()) {
                        under_way.clear();
                    }
                    kept = next_kept(kept, left, &observation);
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
                    under_way.push(async move { (start.id, prober.probe(target, on).await) });
                }
            }
        }
    }
}

/// The connection to keep, of the one kept so far and the one that a probe has left. A target that is down for some has
/// its kept connection given up: it may outlive what clients can still dial.
fn next_kept(so_far: Option<Connection>, left: Option<Connection>, observation: &Observation) -> Option<Connection> {
    match observation.kind.grade() {
        Some(Grade::Down) => None,
        _ => left.or(so_far),
    }
}

async fn ended(kept: Option<&mut Connection>) {
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
