//! Answers queries by TCP (RFC 7766).
//!
//! The number of connections is limited. The server closes a connection if its client takes too long to send a query or to read
//! a response. One timeout covers clients that are idle, that send byte by byte, and that never read.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::bind::is_fatal;
use crate::counters::Transport;
use crate::responder::Responder;

/// The delay after a failed accept. If the process has no file descriptor left, the next accept would fail at once.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The limits of connections.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits {
    /// One permit for each connection.
    pub(crate) permits: Arc<Semaphore>,
    /// The time a client has to send a whole query, and again to read the whole response.
    pub(crate) idle_timeout: Duration,
}

/// Accepts connections until `stop` is cancelled, then closes the open ones.
///
/// Returns an error if the listener can no longer be used.
pub(crate) async fn serve(
    listener: TcpListener,
    responder: &Arc<Responder>,
    limits: &ConnectionLimits,
    stop: &CancellationToken,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    let mut is_failing = false;
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        while let Some(ended) = connections.try_join_next() {
            log_panic(ended);
        }
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => {
                // Log the first failure only: the log records changes.
                if !std::mem::replace(&mut is_failing, true) {
                    warn!("DNS connections are not accepted any more: {error}");
                }
                stop.run_until_cancelled(sleep(ACCEPT_RETRY_DELAY)).await;
                continue;
            }
        };
        if std::mem::take(&mut is_failing) {
            warn!("DNS connections are accepted again");
        }
        let Ok(permit) = Arc::clone(&limits.permits).try_acquire_owned() else {
            debug!("the connection of {client} was closed: the limit of open connections is reached");
            continue;
        };
        let responder = Arc::clone(responder);
        let idle_timeout = limits.idle_timeout;
        let stop = stop.clone();
        connections.spawn(async move {
            let _permit = permit;
            let connection = serve_connection(stream, &responder, idle_timeout);
            if let Some(Err(error)) = stop.run_until_cancelled(connection).await {
                debug!("the connection of {client} was closed: {error}");
            }
        });
    }
    while let Some(ended) = connections.join_next().await {
        log_panic(ended);
    }
    Ok(())
}

/// Logs the panic of a connection's task. Other connections are not affected.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!("a connection failed: {error}");
    }
}

/// Answers the queries of one connection, in their order.
async fn serve_connection(stream: TcpStream, responder: &Responder, idle_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut query = Vec::new();
    let mut response = Vec::new();
    let mut framed = Vec::new();
    while timeout(idle_timeout, read_query(&mut stream, &mut query)).await?? == ReadOutcome::Query {
        // A client that sends a message without a response is broken or hostile, so its connection is closed.
        if !responder.respond(&query, Transport::Tcp, &mut response) {
            return Ok(());
        }
        framed.clear();
        // The responder limits responses to 65,535 bytes.
        framed.extend_from_slice(&u16::try_from(response.len()).unwrap_or(u16::MAX).to_be_bytes());
        framed.extend_from_slice(&response);
        timeout(idle_timeout, stream.write_all(&framed)).await??;
    }
    Ok(())
}

/// The outcome of reading from a connection.
#[derive(PartialEq, Eq)]
enum ReadOutcome {
    /// A whole query was read.
    Query,
    /// The client closed the connection.
    EndOfStream,
}

/// Reads one query, after its length (RFC 1035, section 4.2.2).
async fn read_query(stream: &mut BufReader<TcpStream>, query: &mut Vec<u8>) -> io::Result<ReadOutcome> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(ReadOutcome::EndOfStream),
        read => read?,
    };
    query.resize(u16::from_be_bytes(length).into(), 0);
    stream.read_exact(query).await?;
    Ok(ReadOutcome::Query)
}
