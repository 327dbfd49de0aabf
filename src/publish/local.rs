//! The publisher of one provider that answers in this process.

use std::sync::Arc;

use daymark_decision::Decision;
use daymark_provider::{ApplyError, Provider};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::backoff::Backoff;
use super::{Progress, Revision, catch_panic, follow};

/// Publishes each newest decision at once, until the shutdown or the last decision.
pub async fn publish<P: Provider + ?Sized>(
    provider: Arc<P>,
    decisions: watch::Receiver<Decision>,
    progress: Progress,
    shutdown: CancellationToken,
) {
    let publisher = LocalPublisher { provider: &*provider, decisions: decisions.clone(), progress: &progress };
    tokio::select! {
        () = publisher.run() => {}
        () = follow(decisions, |newest| progress.desire(newest.generation)) => {}
        () = shutdown.cancelled() => {}
    }
}

struct LocalPublisher<'a, P: ?Sized> {
    provider: &'a P,
    decisions: watch::Receiver<Decision>,
    progress: &'a Progress,
}

impl<P: Provider + ?Sized> LocalPublisher<'_, P> {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let decision = self.decisions.borrow_and_update().clone();
            self.progress.desire(decision.generation);
            self.progress.begin();
            if let Some(retry_at) = self.attempt(&decision, &mut backoff).await {
                sleep_until(retry_at).await;
                continue;
            }
            let tried = Revision::of(&decision);
            if self.decisions.wait_for(|newest| Revision::of(newest) != tried).await.is_err() {
                return;
            }
        }
    }

    /// Publishes a decision. Returns the time of another attempt with it, after a panic.
    async fn attempt(&self, decision: &Decision, backoff: &mut Backoff) -> Option<Instant> {
        let name = self.provider.name();
        let generation = decision.generation;
        match catch_panic(async { self.provider.publish(decision) }).await {
            Ok(Ok(())) => {
                debug!("provider {name} has published generation {generation}");
                self.progress.succeed(generation);
                *backoff = Backoff::default();
                None
            }
            // Another attempt would not help. The next decision will.
            Ok(Err(fault)) => {
                error!("provider {name}: {fault}");
                self.progress.fail(fault.to_string());
                None
            }
            Err(panic) => {
                let fault = ApplyError::Unavailable { source: panic.into(), pause: None };
                let pause = backoff.after(&fault).same;
                let fault = daymark_files::error_chain(&fault);
                warn!("provider {name}: {fault}; next attempt in {:.1} s", pause.as_secs_f64());
                self.progress.fail(fault);
                Some(Instant::now() + pause)
            }
        }
    }
}
