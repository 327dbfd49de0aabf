//! Answers queries by TCP (RFC 7766).
//!
//! The number of connections is limited, in all and for each client. Above a limit the longest idle connection gives way to
//! the new one. A connection is idle until a whole query has arrived. The server also closes a connection if its client takes
//! too long to send a query or to read a response. One timeout covers clients that are idle, that send byte by byte, and that
//! never read.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use daymark_connections::{Activity, Connections, serve_connections};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::counters::DnsTransport;
use crate::responder::Responder;

/// The time in which a query that was under way at a stop arrives.
const LAST_QUERY_GRACE: Duration = Duration::from_millis(200);
/// The time that a client has to read a response after a stop.
const LAST_RESPONSE_GRACE: Duration = Duration::from_secs(1);

/// The limits of connections: of their number and of their times.
#[derive(Clone, Debug)]
pub(crate) struct TcpLimits {
    /// The open ones, with the limits of their number.
    pub(crate) connections: Connections,
    /// The time a client has to send a whole query, and again to read the whole response.
    pub(crate) idle_timeout: Duration,
}

/// Accepts connections until `stop` is cancelled, then closes the open ones.
///
/// Returns an error if the listener can no longer be used.
pub(crate) async fn serve(
    listener: TcpListener,
    responder: &Arc<Responder>,
    limits: &TcpLimits,
    stop: &CancellationToken,
) -> io::Result<()> {
    let idle_timeout = limits.idle_timeout;
    serve_connections(listener, "DNS", &limits.connections, stop, |stream, client, activity| {
        let responder = Arc::clone(responder);
        let stop = stop.clone();
        async move {
            let connection = async {
                stream.set_nodelay(true)?;
                serve_stream(stream, &responder, &activity, idle_timeout, &stop).await
            };
            if let Err(error) = connection.await {
                debug!("the connection of {client} was closed: {error}");
            }
        }
    })
    .await
}

/// Answers the queries of one connection, in their order. A stop ends it a moment later, so that no query under way is lost and no response is cut.
pub(crate) async fn serve_stream(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    responder: &Responder,
    activity: &Activity,
    idle_timeout: Duration,
    stop: &CancellationToken,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut query = Vec::new();
    let mut response = Vec::new();
    let mut framed = Vec::new();
    // They begin with the stop, whatever the client sends after it.
    let mut last_query = pin!(after_stop(stop, LAST_QUERY_GRACE));
    let mut last_response = pin!(after_stop(stop, LAST_RESPONSE_GRACE));
    loop {
        let read = tokio::select! {
            biased;
            () = &mut last_query => break,
            read = timeout(idle_timeout, read_query(&mut stream, &mut query)) => read??,
        };
        if read == ReadOutcome::EndOfStream {
            break;
        }
        activity.set_answering();
        // A client that sends a message without a response is broken or hostile, so its connection is closed.
        let outcome = responder.served.load().respond(&query, DnsTransport::Tcp, &mut response);
        let Some(outcome) = outcome else { return Ok(()) };
        responder.counters.count(DnsTransport::Tcp, outcome);
        framed.clear();
        // The responder limits responses to 65,535 bytes.
        framed.extend_from_slice(&u16::try_from(response.len()).unwrap_or(u16::MAX).to_be_bytes());
        framed.extend_from_slice(&response);
        tokio::select! {
            written = timeout(idle_timeout, stream.write_all(&framed)) => written??,
            () = &mut last_response => break,
        }
        activity.set_idle();
    }
    Ok(())
}

/// Waits for a stop, and then for as long as a client may take until its connection is closed.
async fn after_stop(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    sleep(grace).await;
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
async fn read_query(stream: &mut (impl AsyncRead + Unpin), query: &mut Vec<u8>) -> io::Result<ReadOutcome> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(ReadOutcome::EndOfStream),
        read => read?,
    };
    query.resize(u16::from_be_bytes(length).into(), 0);
    stream.read_exact(query).await?;
    Ok(ReadOutcome::Query)
}
