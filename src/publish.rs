//! Publishes decisions to the providers.
//!
//! Each provider has a publisher of its own that shares nothing with the others. A provider that fails, hangs or panics delays
//! only itself. Each publisher takes the newest decision; it skips older ones that it had no time for.
//!
//! [`local`] publishes to a [`Provider`](daymark_provider::Provider), which answers in this process. [`remote`] publishes to a
//! [`RemoteProvider`](daymark_provider::RemoteProvider), with back-off, drift checks, checks for the operator, a memory, and the
//! writer [`lease`]. [`Progress`] is what status, metrics and alarms read. This module knows no concrete provider, and nothing
//! of the driver.

mod backoff;
pub mod lease;
pub mod local;
mod progress;
pub mod remote;

use std::any::Any;
use std::panic::AssertUnwindSafe;

use daymark_decision::{Answer, Decision};
use futures_util::FutureExt;
use tokio::sync::watch;

pub use self::lease::WriterLease;
pub use self::progress::Progress;

pub(crate) use self::backoff::Backoff;

/// The content of a decision that is worth another attempt.
#[derive(PartialEq, Eq)]
struct Revision {
    generation: u64,
    /// For each answer, true if every target has a verdict.
    has_verdicts: Vec<bool>,
}

impl Revision {
    fn of(decision: &Decision) -> Self {
        let has_verdicts = decision.answers.iter().map(Answer::has_verdicts).collect();
        Self { generation: decision.generation, has_verdicts }
    }
}

/// Calls `note` with the newest decision, and with every newer one, without end.
async fn follow(mut decisions: watch::Receiver<Decision>, note: impl Fn(&Decision)) {
    loop {
        note(&decisions.borrow_and_update());
        if decisions.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The panic of a provider.
#[derive(Debug, thiserror::Error)]
#[error("it has crashed: {message}")]
struct Panicked {
    /// The message of the panic; empty if it is no text.
    message: String,
}

/// Waits for the future. If it panics, returns that as an error: a defect of one provider stops no other.
async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|panic| Panicked::of(&*panic))
}

impl Panicked {
    fn of(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self { message: text.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests;
