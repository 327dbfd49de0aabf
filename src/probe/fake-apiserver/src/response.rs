//! The responses of kube-apiserver. Their bodies are those of Kubernetes 1.36.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::behaviour::Behaviour;
use crate::shared::{Access, Shared};
use crate::socket::FakeClient;

/// The error that makes the server close a connection without a response.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without a response")]
pub(crate) struct CloseConnection;

/// The checks of `/readyz`, in the order of the response.
const CHECKS: [&str; 9] = [
    "ping",
    "log",
    "etcd",
    "etcd-readiness",
    "informer-sync",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/apiservice-registration-controller",
    "shutdown",
];

/// Answers one request, by the current behaviour.
pub(crate) async fn respond(
    request: Request<Incoming>,
    client: FakeClient,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, CloseConnection> {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let mut changes = shared.behaviour.subscribe();
    let behaviour = changes
        .wait_for(|behaviour| !behaviour.is_unresponsive() && *behaviour != Behaviour::NoAnswer)
        .await
        .map_err(|_| CloseConnection)?
        .clone();
    match &behaviour {
        Behaviour::Reset => {
            client.reset_on_close();
            return Err(CloseConnection);
        }
        Behaviour::Dead | Behaviour::ClosedEarly => return Err(CloseConnection),
        Behaviour::Slow { after } => {
            tokio::time::sleep(*after).await;
            // The behaviour may have changed during the delay. A silent host sends no response.
            changes.wait_for(|behaviour| !behaviour.is_unresponsive()).await.map_err(|_| CloseConnection)?;
        }
        _ => {}
    }
    Ok(response_of_every_path(&behaviour, request.uri().path())
        .or_else(|| (!is_authenticated(&request, &client, &shared)).then(unauthorized))
        .or_else(|| list(&request, &shared))
        .unwrap_or_else(|| by_path(&request, &behaviour)))
}

/// The response, if the behaviour has the same on every path.
fn response_of_every_path(behaviour: &Behaviour, path: &str) -> Option<Response<Full<Bytes>>> {
    Some(match behaviour {
        Behaviour::Unauthorized => unauthorized(),
        Behaviour::Forbidden => forbidden(path),
        Behaviour::Overloaded => {
            let message = "Too many requests, please try again later.";
            let mut response = status(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        Behaviour::Starting => {
            text(StatusCode::SERVICE_UNAVAILABLE, "the request may be made before all paths are up\n")
        }
        Behaviour::Redirect { location } => {
            let mut response = text(StatusCode::FOUND, "");
            response.headers_mut().extend(HeaderValue::from_str(location).ok().map(|to| (LOCATION, to)));
            response
        }
        Behaviour::Status(code) => text(StatusCode::from_u16(*code).unwrap_or(StatusCode::IM_A_TEAPOT), ""),
        _ => return None,
    })
}

/// A list of the API. `None` if the fake has no cluster or the path is not that of a list.
fn list(request: &Request<Incoming>, shared: &Shared) -> Option<Response<Full<Bytes>>> {
    let cluster = shared.cluster.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    let list = cluster.list(request.uri().path(), request.uri().query().unwrap_or_default())?;
    Some(json(list.status, list.body.to_string()))
}

fn by_path(request: &Request<Incoming>, behaviour: &Behaviour) -> Response<Full<Bytes>> {
    let verbose = request.uri().query().is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
    match request.uri().path() {
        "/readyz" => readyz(behaviour, verbose),
        "/livez" => checks("livez", &[], verbose),
        "/healthz" => checks("healthz", &[], verbose),
        "/version" => json(StatusCode::OK, r#"{"major":"1","minor":"36","gitVersion":"v1.36.0"}"#.to_owned()),
        path => forbidden(path),
    }
}

fn readyz(behaviour: &Behaviour, verbose: bool) -> Response<Full<Bytes>> {
    match behaviour {
        Behaviour::NotReady { failing } => {
            checks("readyz", &failing.iter().map(String::as_str).collect::<Vec<_>>(), verbose)
        }
        Behaviour::ShuttingDown => checks("readyz", &["shutdown"], verbose),
        Behaviour::Slow { .. } => checks("readyz", &["etcd", "etcd-readiness"], verbose),
        Behaviour::TooLarge => text(StatusCode::OK, "o".repeat(Behaviour::LARGE_BODY_BYTES)),
        _ => checks("readyz", &[], verbose),
    }
}

/// The list of checks, or `ok` if all pass and the request is not verbose.
fn checks(endpoint: &str, failing: &[&str], verbose: bool) -> Response<Full<Bytes>> {
    if failing.is_empty() && !verbose {
        return text(StatusCode::OK, "ok");
    }
    let known = CHECKS.iter().copied().filter(|&check| check != "shutdown" || endpoint == "readyz");
    let unknown = failing.iter().copied().filter(|check| !CHECKS.contains(check));
    let mut list = String::new();
    for check in known.chain(unknown) {
        if failing.contains(&check) {
            list.extend(["[-]", check, " failed: reason withheld\n"]);
        } else {
            list.extend(["[+]", check, " ok\n"]);
        }
    }
    if failing.is_empty() {
        return text(StatusCode::OK, format!("{list}{endpoint} check passed\n"));
    }
    text(StatusCode::INTERNAL_SERVER_ERROR, format!("{list}{endpoint} check failed\n"))
}

fn is_authenticated(request: &Request<Incoming>, client: &FakeClient, shared: &Shared) -> bool {
    match &*shared.access.lock().unwrap_or_else(PoisonError::into_inner) {
        Access::Anonymous => true,
        Access::ClientCertificate => client.has_certificate,
        Access::Token(token) => {
            let expected = format!("Bearer {token}");
            request.headers().get(AUTHORIZATION).is_some_and(|value| value.as_bytes() == expected.as_bytes())
        }
    }
}

fn unauthorized() -> Response<Full<Bytes>> {
    status(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
}

fn forbidden(path: &str) -> Response<Full<Bytes>> {
    let message = format!("forbidden: User \"system:anonymous\" cannot get path \"{path}\"");
    status(StatusCode::FORBIDDEN, "Forbidden", &message)
}

/// A `Status` of the Kubernetes API (`apimachinery/pkg/apis/meta/v1/types.go`).
fn status(code: StatusCode, reason: &str, message: &str) -> Response<Full<Bytes>> {
    // A URI path has no character that Rust and JSON quote differently.
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":{message:?},"reason":{reason:?},"code":{}}}"#,
        code.as_u16()
    );
    json(code, body)
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    response(status, "application/json", body.into())
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", body.into())
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}
