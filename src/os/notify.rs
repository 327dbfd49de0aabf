//! Notifications to the service manager (`sd_notify(3)`): Daymark is ready, reloads, stops, or is alive.
//!
//! The service manager requests them by `NOTIFY_SOCKET` and `WATCHDOG_USEC`. Without these variables nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::watchdog::Watchdog;

/// Reports that every task runs, after the start or after a reload.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// Reports that the configuration is read again.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// Reports that the shutdown has started.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Reports that Daymark is alive while no task is stuck, until the shutdown. The interval is half the service manager's timeout.
pub async fn keep_alive(watchdog: Watchdog, shutdown: CancellationToken) {
    let Some(timeout) = sd_notify::watchdog_enabled() else { return shutdown.cancelled().await };
    let mut ticks = interval((timeout / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        if watchdog.stuck_tasks().is_empty() {
            send(&[NotifyState::Watchdog]);
        }
    }
}

fn send(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!("the service manager cannot be notified: {error}");
    }
}
