//! Accepts TCP connections and serves each in a task of its own, within limits: in all, and for each client.
//!
//! This crate owns the tasks, and ends a connection that has to give way to a new one. It does not know the protocol of a
//! connection, or how long one may last.

mod activity;
mod admission;
mod recurrence;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

pub use self::activity::Activity;
use self::admission::{Admission, PastEvictions};
pub use self::admission::{ConnectionCounts, ConnectionLimits, Connections, ReachedLimit};
use self::recurrence::{QUIET_TIME, Recurrence};

/// The delay after a failed accept. If the process has no file descriptor left, the next accept would fail at once.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// An accepted connection.
struct Accepted {
    stream: TcpStream,
    client: SocketAddr,
    permit: OwnedSemaphorePermit,
}

/// Accepts connections until `stop` is cancelled, then waits for the open ones. `serve` ends them soon after `stop`.
///
/// The future of a connection that gives way to a new one is dropped. `serve` reports the activity of its connection, by which
/// idle ones give way first. `kind` names the connections in the log, such as `DNS`. Returns an error if the listener can no
/// longer be used.
pub async fn serve_connections<F>(
    listener: TcpListener,
    kind: &str,
    connections: &Connections,
    stop: &CancellationToken,
    serve: impl Fn(TcpStream, SocketAddr, Activity) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut failures = Recurrence::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            () = wait_until(connections.evictions_over_at()) => {
                log_past_evictions(kind, connections);
                continue;
            }
            accepted = accept(&listener, connections) => accepted,
        };
        while let Some(ended) = tasks.try_join_next() {
            log_panic(kind, ended);
        }
        let Accepted { stream, client, permit } = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => {
                connections.count_accept_failure();
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
        let admission = connections.admit(client.ip());
        log_reached_limit(kind, client, connections.limits(), admission.newly_reached);
        let connection = serve(stream, client, admission.activity.clone());
        tasks.spawn(serve_until_evicted(connection, admission, permit));
    }
    while let Some(ended) = tasks.join_next().await {
        log_panic(kind, ended);
    }
    Ok(())
}

/// Waits until there is room for a connection, then for a connection.
async fn accept(listener: &TcpListener, connections: &Connections) -> io::Result<Accepted> {
    // The semaphore is never closed.
    let permit = Arc::clone(connections.permits()).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, client) = listener.accept().await?;
    Ok(Accepted { stream, client, permit })
}

async fn wait_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn serve_until_evicted(
    connection: impl Future<Output = ()>,
    admission: Admission,
    _permit: OwnedSemaphorePermit,
) {
    tokio::select! {
        () = admission.evicted() => {}
        () = connection => {}
    }
}

fn log_reached_limit(kind: &str, client: SocketAddr, limits: ConnectionLimits, reached: Option<ReachedLimit>) {
    match reached {
        Some(ReachedLimit::PerClient) => warn!(
            "{kind} connections of {} are closed for its new ones, the longest idle first: it has reached the limit of {} \
             for one client",
            client.ip(),
            limits.per_client
        ),
        Some(ReachedLimit::All) => warn!(
            "{kind} connections are closed for new ones, the longest idle of the busiest client first: the limit of {} is \
             reached",
            limits.all
        ),
        None => {}
    }
}

fn log_past_evictions(kind: &str, connections: &Connections) {
    for PastEvictions { limit, count } in connections.past_evictions() {
        let limits = connections.limits();
        let within = match limit {
            ReachedLimit::PerClient => format!("of every client are within the limit of {}", limits.per_client),
            ReachedLimit::All => format!("are within the limit of {}", limits.all),
        };
        let quiet = QUIET_TIME.as_secs();
        warn!("{kind} connections {within} again: {count} were closed for new ones, none in the last {quiet} s");
    }
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
