//! What a service manager is told (`sd_notify(3)`): that Daymark serves, reads its configuration again, ends, and is not stuck.
//!
//! Where no service manager asks for it, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`, nothing is told.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::watchdog::Watchdog;

/// Every part runs, or does so again after a reload.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is read again.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The shutdown has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells that Daymark is alive, twice in every time that the service manager allows, while no part is stuck; until the
/// shutdown.
pub async fn keep_alive(watchdog: Watchdog, shutdown: CancellationToken) {
    let Some(allowed) = sd_notify::watchdog_enabled() else { return shutdown.cancelled().await };
    let mut ticks = interval((allowed / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        if watchdog.stuck().is_empty() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!("the service manager cannot be told: {error}");
    }
}
