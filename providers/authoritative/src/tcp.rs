//! Answers queries over connections (RFC 7766).
//!
//! A connection holds one place of a limited number. It gives it back when its client is done, or slower than allowed at
//! sending a query or at taking a response: idle, dribbling and never reading are one and the same here.

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

use crate::bind::is_dead;
use crate::counts::Transport;
use crate::respond::Responder;

/// How long to wait after a connection could not be accepted: with no descriptor left, the next try fails as fast.
const PAUSE: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// One permit a connection.
    pub(crate) places: Arc<Semaphore>,
    /// For how long a client may take to send a whole query, and to take a whole response.
    pub(crate) idle: Duration,
}

/// Accepts connections until it is stopped, or until the socket is dead; then ends those that are open.
pub(crate) async fn serve(
    listener: TcpListener,
    responder: &Arc<Responder>,
    limits: &Limits,
    stop: &CancellationToken,
) -> io::Result<()> {
    let mut open = JoinSet::new();
    let mut is_failing = false;
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        while let Some(ended) = open.try_join_next() {
            report(ended);
        }
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_dead(&error) => return Err(error),
            Err(error) => {
                // Once, and not at every try: the log is for what changes.
                if !std::mem::replace(&mut is_failing, true) {
                    warn!("DNS connections are not accepted any more: {error}");
                }
                stop.run_until_cancelled(sleep(PAUSE)).await;
                continue;
            }
        };
        if std::mem::take(&mut is_failing) {
            warn!("DNS connections are accepted again");
        }
        let Ok(place) = Arc::clone(&limits.places).try_acquire_owned() else {
            debug!("the connection of {client} was closed, since as many as allowed are open");
            continue;
        };
        let (responder, idle, stop) = (Arc::clone(responder), limits.idle, stop.clone());
        open.spawn(async move {
            let _place = place;
            if let Some(Err(error)) = stop.run_until_cancelled(converse(stream, &responder, idle)).await {
                debug!("the connection of {client} was closed: {error}");
            }
        });
    }
    while let Some(ended) = open.join_next().await {
        report(ended);
    }
    Ok(())
}

/// Says where a connection ended by a defect of ours. Its client is gone; the others are served on.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!("a connection failed: {error}");
    }
}

/// Answers one query after the other, in their order.
async fn converse(stream: TcpStream, responder: &Responder, idle: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut query, mut response, mut framed) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        match timeout(idle, read(&mut stream, &mut query)).await?? {
            Received::Query => {}
            Received::End => return Ok(()),
        }
        // Who sends what deserves no answer has lost the thread, or never had it.
        if !responder.respond(&query, Transport::Tcp, &mut response) {
            return Ok(());
        }
        framed.clear();
        // A response has at most as many bytes as its length can say; the responder keeps to that.
        framed.extend_from_slice(&u16::try_from(response.len()).unwrap_or(u16::MAX).to_be_bytes());
        framed.extend_from_slice(&response);
        timeout(idle, stream.write_all(&framed)).await??;
    }
}

/// What came.
enum Received {
    Query,
    End,
}

/// Reads one query with the length before it (RFC 1035, section 4.2.2).
async fn read(stream: &mut BufReader<TcpStream>, query: &mut Vec<u8>) -> io::Result<Received> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Received::End),
        read => read?,
    };
    query.resize(u16::from_be_bytes(length).into(), 0);
    stream.read_exact(query).await?;
    Ok(Received::Query)
}
