//! The tasks of a running Daymark, each with a name, and the ways in which they end.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use daymark_authoritative::{Authoritative, PreparedSockets};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The error of a task. It ends Daymark.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The task failed.
    #[error("{task} failed")]
    Failed {
        /// Its name.
        task: Cow<'static, str>,
        /// Its error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The task ended before the shutdown.
    #[error("{task} ended before the shutdown")]
    Ended {
        /// Its name.
        task: Cow<'static, str>,
    },
    /// The task panicked.
    #[error("a task has crashed")]
    Crashed(#[source] JoinError),
}

/// The running tasks. None is detached: [`Tasks::next_end`] joins every one.
#[derive(Debug, Default)]
pub(super) struct Tasks(JoinSet<End>);

/// The end of a task.
#[derive(Debug)]
struct End {
    task: Cow<'static, str>,
    outcome: Result<(), Box<dyn Error + Send + Sync>>,
}

impl Tasks {
    /// Spawns a task that cannot fail.
    pub(super) fn spawn(
        &mut self,
        task: impl Into<Cow<'static, str>>,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = task.into();
        self.0.spawn(async move {
            future.await;
            End { task, outcome: Ok(()) }
        });
    }

    /// Spawns a task that may fail.
    pub(super) fn spawn_fallible<E: Error + Send + Sync + 'static>(
        &mut self,
        task: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = Cow::Borrowed(task);
        self.0.spawn(async move {
            let outcome = future.await.map_err(Into::into);
            End { task, outcome }
        });
    }

    /// Serves DNS until the shutdown, from sockets that are prepared already or are prepared now.
    pub(super) fn serve_dns(
        &mut self,
        server: Arc<Authoritative>,
        prepared: Option<PreparedSockets>,
        stop: CancellationToken,
    ) {
        self.spawn_fallible("the DNS server", async move {
            match prepared {
                Some(prepared) => server.serve_prepared(prepared, stop).await,
                None => server.serve(stop).await,
            }
        });
    }

    /// Waits for the next task to end. `None` if all have ended. An end before the shutdown is an error.
    pub(super) async fn next_end(&mut self, is_stopping: impl Fn() -> bool) -> Option<Result<(), TaskError>> {
        let End { task, outcome } = match self.0.join_next().await? {
            Ok(end) => end,
            Err(crash) => return Some(Err(TaskError::Crashed(crash))),
        };
        Some(match outcome {
            Err(source) => Err(TaskError::Failed { task, source }),
            Ok(()) if is_stopping() => Ok(()),
            Ok(()) => Err(TaskError::Ended { task }),
        })
    }
}
