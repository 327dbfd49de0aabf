//! Serves HTTP/1.1 with bounds: on connections, on the time to send a request, on its size.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::ErrorResponse;

/// How many connections are served at once; more wait in the kernel.
const CONNECTIONS: usize = 256;
/// How long a client may take to send the head of a request, also the next one on its connection. It is short, for as long
/// idle clients can keep the others, such as the one that asks `/livez`, from a place.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client may take to send the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest body, in bytes; the longest that makes sense has one line of a reason.
const LONGEST_BODY: usize = 16 * 1024;
/// How long one connection may last, so that no reader can hold a place for ever.
const LONGEST: Duration = Duration::from_mins(5);
/// How long requests under way may take at the shutdown.
const FAREWELL: Duration = Duration::from_secs(1);
/// The pause after `accept` fails, which it does when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until the shutdown; every connection has ended when it returns.
pub async fn serve(listener: TcpListener, routes: Router, shutdown: CancellationToken) -> io::Result<()> {
    let routes = routes.layer(middleware::from_fn(whole));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((place, listener.accept().await?))
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = accepted => match accepted {
                Ok((place, (stream, _))) => {
                    let conversation = converse(stream, routes.clone(), shutdown.clone());
                    connections.spawn(async move {
                        conversation.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!("the admin API cannot accept a connection: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Lets a request in once all of it is there.
async fn whole(request: Request, next: Next) -> Result<Response, ErrorResponse> {
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, LONGEST_BODY)).await;
    let body = body.map_err(|_| ErrorResponse::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))?;
    let body =
        body.map_err(|error| ErrorResponse::new(StatusCode::BAD_REQUEST, format!("no body can be read: {error}")))?;
    Ok(next.run(Request::from_parts(head, Body::from(body))).await)
}

async fn converse(stream: TcpStream, routes: Router, shutdown: CancellationToken) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let service = TowerToHyperService::new(routes);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(LONGEST, connection.as_mut()) => outcome,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(FAREWELL, connection).await
        }
    };
    if let Ok(Err(error)) = outcome {
        debug!("a connection to the admin API ended: {error}");
    }
}
