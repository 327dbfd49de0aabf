//! What kube-apiserver answers. Bodies are those of Kubernetes 1.36.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::behaviour::Behaviour;
use crate::conversation::Caller;
use crate::server::{Access, Shared};

/// The connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends without an answer")]
pub(crate) struct NoAnswer;

/// The checks of `/readyz`, in the order of the list.
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

/// The answer to one request, as the behaviour of the moment has it.
pub(crate) async fn to(
    request: Request<Incoming>,
    caller: Caller,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, NoAnswer> {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let mut changes = shared.behaviour.subscribe();
    let behaviour = changes
        .wait_for(|behaviour| !behaviour.is_still() && *behaviour != Behaviour::NoAnswer)
        .await
        .map_err(|_| NoAnswer)?
        .clone();
    match &behaviour {
        Behaviour::Reset => {
            caller.end_with_reset();
            return Err(NoAnswer);
        }
        Behaviour::Dead | Behaviour::ClosedEarly => return Err(NoAnswer),
        Behaviour::Slow { after } => {
            tokio::time::sleep(*after).await;
            // A machine that has died meanwhile says nothing more.
            changes.wait_for(|behaviour| !behaviour.is_still()).await.map_err(|_| NoAnswer)?;
        }
        _ => {}
    }
    Ok(everywhere(&behaviour, request.uri().path())
        .or_else(|| (!may_ask(&request, &caller, &shared)).then(unauthorized))
        .or_else(|| list(&request, &shared))
        .unwrap_or_else(|| by_path(&request, &behaviour)))
}

/// The answers that are the same on every path.
fn everywhere(behaviour: &Behaviour, path: &str) -> Option<Response<Full<Bytes>>> {
    Some(match behaviour {
        Behaviour::Unauthorized => unauthorized(),
        Behaviour::Forbidden => forbidden(path),
        Behaviour::Overloaded => {
            let message = "Too many requests, please try again later.";
            let mut answer = status(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            answer
        }
        Behaviour::Starting => {
            text(StatusCode::SERVICE_UNAVAILABLE, "the request may be made before all paths are up\n")
        }
        Behaviour::Redirect { location } => {
            let mut answer = text(StatusCode::FOUND, "");
            answer.headers_mut().extend(HeaderValue::from_str(location).ok().map(|to| (LOCATION, to)));
            answer
        }
        Behaviour::Status(code) => text(StatusCode::from_u16(*code).unwrap_or(StatusCode::IM_A_TEAPOT), ""),
        _ => return None,
    })
}

/// A list of the API, where the fake has a cluster.
fn list(request: &Request<Incoming>, shared: &Shared) -> Option<Response<Full<Bytes>>> {
    let cluster = shared.cluster.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    let (status, body) = cluster.list(request.uri().path(), request.uri().query().unwrap_or_default())?;
    Some(json(status, body.to_string()))
}

fn by_path(request: &Request<Incoming>, behaviour: &Behaviour) -> Response<Full<Bytes>> {
    let verbose = request.uri().query().is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
    match request.uri().path() {
        "/readyz" => readyz(behaviour, verbose),
        "/livez" => checked("livez", &[], verbose),
        "/healthz" => checked("healthz", &[], verbose),
        "/version" => json(StatusCode::OK, r#"{"major":"1","minor":"36","gitVersion":"v1.36.0"}"#.to_owned()),
        path => forbidden(path),
    }
}

fn readyz(behaviour: &Behaviour, verbose: bool) -> Response<Full<Bytes>> {
    match behaviour {
        Behaviour::NotReady { failing } => {
            checked("readyz", &failing.iter().map(String::as_str).collect::<Vec<_>>(), verbose)
        }
        Behaviour::ShuttingDown => checked("readyz", &["shutdown"], verbose),
        Behaviour::Slow { .. } => checked("readyz", &["etcd", "etcd-readiness"], verbose),
        Behaviour::TooLarge => text(StatusCode::OK, "o".repeat(Behaviour::LARGE)),
        _ => checked("readyz", &[], verbose),
    }
}

/// The list of checks, or `ok` where all pass and no list was asked for.
fn checked(endpoint: &str, failing: &[&str], verbose: bool) -> Response<Full<Bytes>> {
    if failing.is_empty() && !verbose {
        return text(StatusCode::OK, "ok");
    }
    let own = CHECKS.iter().copied().filter(|&check| check != "shutdown" || endpoint == "readyz");
    let more = failing.iter().copied().filter(|check| !CHECKS.contains(check));
    let mut list = String::new();
    for check in own.chain(more) {
        let (sign, result) =
            if failing.contains(&check) { ("[-]", " failed: reason withheld\n") } else { ("[+]", " ok\n") };
        list.extend([sign, check, result]);
    }
    if failing.is_empty() {
        return text(StatusCode::OK, format!("{list}{endpoint} check passed\n"));
    }
    text(StatusCode::INTERNAL_SERVER_ERROR, format!("{list}{endpoint} check failed\n"))
}

fn may_ask(request: &Request<Incoming>, caller: &Caller, shared: &Shared) -> bool {
    match &*shared.access.lock().unwrap_or_else(PoisonError::into_inner) {
        Access::Anonymous => true,
        Access::ClientCertificate => caller.has_certificate,
        Access::Token(token) => {
            let wanted = format!("Bearer {token}");
            request.headers().get(AUTHORIZATION).is_some_and(|given| given.as_bytes() == wanted.as_bytes())
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

/// A `Status` of the API: `apimachinery/pkg/apis/meta/v1/types.go`.
fn status(code: StatusCode, reason: &str, message: &str) -> Response<Full<Bytes>> {
    // A path may hold no character that needs more than a backslash in JSON, so Rust's quoting will do.
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":{message:?},"reason":{reason:?},"code":{}}}"#,
        code.as_u16()
    );
    json(code, body)
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    answer(status, "application/json", body.into())
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", body.into())
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    answer
}
