//! What a service manager is told (sd_notify(3)): that Daymark serves, reads its configuration again, ends, and is not stuck.
//!
//! Where no service manager asks for it, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`, nothing is told.

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
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

/// Tells that Daymark is alive, twice in every time that the service manager allows, while no part is stuck; for ever.
pub async fn keep_alive(watchdog: Watchdog) {
    let Some(allowed) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut ticks = interval((allowed / 2).max(std::time::Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
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
