//! Serves HTTP/1.1 with bounds: on connections, on the time to send a request, on its size.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use daymark_connections::{AboveLimit, ConnectionLimit, serve_connections};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::ErrorResponse;

/// The connections that are served at once. More wait in the kernel.
const CONNECTIONS: usize = 256;
/// The time that a client has to send the head of a request, also of the next one on its connection. It is short because idle
/// clients can keep others waiting for that time, such as the one that asks `/livez`.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// The time that a client has to send the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// The size of the longest body that is accepted. A useful one holds one line of a reason.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The time after which a connection is closed, so that no client can keep it for ever.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(5);
/// The time that requests in progress have to end at the shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Serves until the shutdown; every connection has ended when it returns.
pub async fn serve(listener: TcpListener, routes: Router, shutdown: CancellationToken) -> io::Result<()> {
    let routes = routes.layer(middleware::from_fn(whole));
    let limit = ConnectionLimit::new(CONNECTIONS, AboveLimit::Waits);
    serve_connections(listener, "admin API", &limit, &shutdown, |stream, _| {
        converse(stream, routes.clone(), shutdown.clone())
    })
    .await
}

/// Lets a request in once all of it is there.
async fn whole(request: Request, next: Next) -> Result<Response, ErrorResponse> {
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await;
    let body = body.map_err(|_| ErrorResponse::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))?;
    let body =
        body.map_err(|error| ErrorResponse::new(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}")))?;
    Ok(next.run(Request::from_parts(head, Body::from(body))).await)
}

async fn converse(stream: TcpStream, routes: Router, shutdown: CancellationToken) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let service = TowerToHyperService::new(routes);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(CONNECTION_TIMEOUT, connection.as_mut()) => outcome,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(SHUTDOWN_GRACE, connection).await
        }
    };
    if let Ok(Err(error)) = outcome {
        debug!("a connection to the admin API ended: {error}");
    }
}
