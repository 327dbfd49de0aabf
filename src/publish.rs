//! Brings decisions to a provider: the newest wins, and a failure is tried again with back-off.

use std::sync::Arc;
use std::time::Duration;

use daymark_decision::Decision;
use daymark_provider::{Provider, PublishError};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::fault::chain;
use crate::status::ProviderStatus;

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How far one provider is. Clones share it.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Mutex<ProviderStatus>>);

impl Progress {
    /// Nothing is published yet.
    pub fn of(name: &str) -> Self {
        let status = ProviderStatus { name: name.to_owned(), desired: 0, published: None, fault: None };
        Self(Arc::new(Mutex::new(status)))
    }

    /// How far the provider is now.
    pub fn status(&self) -> ProviderStatus {
        self.0.lock().clone()
    }

    fn wants(&self, generation: u64) {
        self.0.lock().desired = generation;
    }

    fn done(&self, generation: u64) {
        let mut status = self.0.lock();
        (status.published, status.fault) = (Some(generation), None);
    }

    fn failed(&self, fault: String) {
        self.0.lock().fault = Some(fault);
    }
}

/// Publishes each newest decision until the shutdown, or until no more can come.
pub async fn publish(
    provider: Arc<impl Provider>,
    mut decisions: watch::Receiver<Decision>,
    progress: Progress,
    shutdown: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let decision = decisions.borrow_and_update().clone();
        progress.wants(decision.generation);
        let failed = match provider.publish(&decision).await {
            Ok(()) => {
                debug!("provider {} has published generation {}", provider.name(), decision.generation);
                progress.done(decision.generation);
                pause = FIRST_PAUSE;
                false
            }
            // Trying again makes neither newer nor fuller; the next decision will do.
            Err(fault @ (PublishError::Stale { .. } | PublishError::Empty(_))) => {
                error!("provider {}: {fault}", provider.name());
                progress.failed(fault.to_string());
                false
            }
            Err(fault) => {
                let fault = chain(&fault);
                warn!("provider {}: {fault}; again in {pause:?}", provider.name());
                progress.failed(fault);
                true
            }
        };
        let retry = async {
            if failed {
                tokio::time::sleep(pause).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = decisions.changed() => if changed.is_err() { return },
            () = retry => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests;
