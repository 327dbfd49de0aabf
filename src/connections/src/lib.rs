//! Accepts TCP connections and serves each in a task of its own, up to a limit.
//!
//! This crate owns the tasks. It does not know the protocol of a connection, or how long one may last.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

/// The delay after a failed accept. If the process has no file descriptor left, the next accept would fail at once.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The time without a failed accept after which the failures are over.
const QUIET_TIME: Duration = Duration::from_secs(10);

/// The limit of the connections that are served at once. Its clones share one limit.
#[derive(Clone, Debug)]
pub struct ConnectionLimit {
    /// One permit for each connection.
    permits: Arc<Semaphore>,
    above_limit: AboveLimit,
}

/// The treatment of a connection above the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AboveLimit {
    /// It waits in the queue of the kernel until another connection ends.
    Waits,
    /// It is closed.
    IsClosed,
}

impl ConnectionLimit {
    /// A limit of `max` connections, or of the most that tokio can count.
    pub fn new(max: usize, above_limit: AboveLimit) -> Self {
        Self { permits: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))), above_limit }
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<Accepted> {
        let mut permit = None;
        if self.above_limit == AboveLimit::Waits {
            permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        }
        let (stream, client) = listener.accept().await?;
        let permit = permit.or_else(|| Arc::clone(&self.permits).try_acquire_owned().ok());
        Ok(Accepted { stream, client, permit })
    }
}

/// The failures to accept, which the log has once when they begin and once when they are over. A process that runs out of
/// descriptors may accept every other connection.
#[derive(Debug, Default)]
struct AcceptFailures {
    count: u64,
    last: Option<Instant>,
}

impl AcceptFailures {
    /// Counts a failure. True if it is the first.
    fn begin(&mut self, now: Instant) -> bool {
        self.count += 1;
        self.last.replace(now).is_none()
    }

    /// The number of failures, if they are over at this success.
    fn end(&mut self, now: Instant) -> Option<u64> {
        self.last.take_if(|last| now.duration_since(*last) >= QUIET_TIME)?;
        Some(std::mem::take(&mut self.count))
    }
}

struct Accepted {
    stream: TcpStream,
    client: SocketAddr,
    /// `None` above the limit.
    permit: Option<OwnedSemaphorePermit>,
}

/// Accepts connections until `stop` is cancelled, then waits for the open ones. `serve` ends them soon after `stop`.
///
/// `kind` names the connections in the log, such as `DNS`. Returns an error if the listener can no longer be used.
pub async fn serve_connections<F>(
    listener: TcpListener,
    kind: &str,
    limit: &ConnectionLimit,
    stop: &CancellationToken,
    serve: impl Fn(TcpStream, SocketAddr) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut failures = AcceptFailures::default();
    while let Some(accepted) = stop.run_until_cancelled(limit.accept(&listener)).await {
        while let Some(ended) = connections.try_join_next() {
            log_panic(kind, ended);
        }
        let Accepted { stream, client, permit } = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => {
                if failures.begin(Instant::now()) {
                    warn!("{kind} connections are not accepted any more: {error}");
                }
                stop.run_until_cancelled(sleep(ACCEPT_RETRY_DELAY)).await;
                continue;
            }
        };
        if let Some(count) = failures.end(Instant::now()) {
            warn!("{kind} connections are accepted again, after {count} failures");
        }
        let Some(permit) = permit else {
            debug!("the {kind} connection of {client} was closed: the limit of open connections is reached");
            continue;
        };
        let connection = serve(stream, client);
        connections.spawn(async move {
            let _permit = permit;
            connection.await;
        });
    }
    while let Some(ended) = connections.join_next().await {
        log_panic(kind, ended);
    }
    Ok(())
}

/// Logs the panic of a connection's task. Other connections are not affected.
fn log_panic(kind: &str, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!("a connection failed ({kind}): {error}");
    }
}

/// Returns `true` if no later use of the socket can succeed.
pub fn is_fatal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK))
}

#[cfg(test)]
mod tests;
