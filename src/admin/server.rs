//! Serves HTTP/1.1 with bounds: on connections, on the time of each, on the size of a request and of the buffers.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use daymark_connections::{Activity, Connections, serve_connections};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::ErrorResponse;
use super::allowed_hosts::{self, AllowedHosts};

/// The size of the buffers of a connection, and so of the longest head of a request. hyper answers a longer one with 431.
const MAX_BUFFER_BYTES: usize = 16 * 1024;
/// The time that a client has to send the head of a request, also of the next one on its connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// The time that a client has to send the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// The size of the longest body that is accepted. A useful one holds one line of a reason.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The time after which a connection is closed, also while a client still reads its response.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that requests in progress have to end at the shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Serves until the shutdown; every connection has ended when it returns.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    allowed: AllowedHosts,
    connections: Connections,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let routes =
        routes.layer(middleware::from_fn(whole)).layer(middleware::from_fn_with_state(allowed, allowed_hosts::check));
    serve_connections(listener, "admin API", &connections, &shutdown, |stream, _, activity| {
        converse(stream, activity, routes.clone(), shutdown.clone())
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

async fn converse(stream: TcpStream, activity: Activity, routes: Router, shutdown: CancellationToken) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_BUFFER_BYTES);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(|request| {
        activity.set_answering();
        let response = routes.call(request);
        async {
            let response = response.await;
            activity.set_idle();
            response
        }
    });
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
