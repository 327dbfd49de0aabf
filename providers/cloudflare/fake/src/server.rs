//! The HTTP server: reads requests, injects faults and writes responses. The `api` module handles the requests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api;
use crate::envelope::ApiResponse;
use crate::faults::{Fault, FaultQueue, ScheduledEdit, When};
use crate::journal;
use crate::request::FakeRequest;
use crate::store::Store;
use crate::validate::Schema;

/// One request that the fake received.
#[derive(Clone, Debug)]
pub struct RecordedCall {
    /// The time of its arrival, by tokio's clock.
    pub at: Instant,
    /// The method, in capitals.
    pub method: String,
    /// The path and query, without `/client/v4`, decoded.
    pub path: String,
    /// The body: null if there was none, a string if it was not JSON.
    pub body: Value,
    /// The status of the response. `None` before the response, and for a connection that was cut.
    pub status: Option<u16>,
    /// The fault that was injected into it.
    pub fault: Option<Fault>,
}

/// The state that all connections share.
#[derive(Default)]
pub(crate) struct SharedStore {
    pub(crate) store: Mutex<Store>,
    pub(crate) calls: Mutex<Vec<RecordedCall>>,
    pub(crate) busy: AtomicUsize,
    pub(crate) faults: Mutex<FaultQueue<Fault>>,
    pub(crate) edits: Mutex<FaultQueue<ScheduledEdit>>,
    /// Changes with every release of the stalled requests.
    pub(crate) releases: watch::Sender<()>,
    pub(crate) schema: Option<&'static Schema>,
    pub(crate) violations: Mutex<Vec<String>>,
}

/// Serves until its task is aborted; the connections end with it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<SharedStore>) {
    let mut connections = JoinSet::new();
    loop {
        // Only a lack of descriptors fails here. The test then fails because it gets no answer.
        let Ok((stream, _)) = listener.accept().await else { return };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| handle(&shared, request));
            // A connection that a fault cut ends in an error, as intended.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// The connection is to end without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

/// Counts a request as busy until it is dropped.
struct Busy<'a>(&'a SharedStore);

impl<'a> Busy<'a> {
    fn new(shared: &'a SharedStore) -> Self {
        shared.busy.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Writes a request to the journal when it is dropped: also if its client leaves, or its connection is cut.
struct Journaled<'a> {
    request: &'a FakeRequest,
    status: Option<u16>,
}

impl Journaled<'_> {
    fn answered(mut self, status: StatusCode) {
        self.status = Some(status.as_u16());
    }
}

impl Drop for Journaled<'_> {
    fn drop(&mut self) {
        journal::write(self.request, self.status);
    }
}

async fn handle(shared: &SharedStore, request: http::Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
    // Subscribed before it counts as busy: a test that sees it can release it.
    let released = shared.releases.subscribe();
    let _busy = Busy::new(shared);
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let request = FakeRequest::new(parts, body);
    if let Some(schema) = shared.schema {
        shared.violations.lock().extend(schema.violations(&request));
    }
    let quota = shared.store.lock().rate_limit.take(Instant::now());
    let fault =
        if quota.blocked { None } else { shared.faults.lock().take(request.method.as_str(), &request.target()) };
    let call = note(shared, &request, fault);
    let journaled = Journaled { request: &request, status: None };
    let mut response =
        if quota.blocked { too_many(quota.retry_after) } else { inject(shared, &request, fault, released).await? };
    journaled.answered(response.status());
    let headers = response.headers_mut();
    headers.insert("ratelimit", text(&format!("\"default\";r={};t={}", quota.left, quota.reset)));
    headers.insert("ratelimit-policy", text(&format!("\"default\";q={};w=300", quota.limit)));
    shared.calls.lock()[call].status = Some(response.status().as_u16());
    Ok(response)
}

/// Records the call. Returns its index.
fn note(shared: &SharedStore, request: &FakeRequest, fault: Option<Fault>) -> usize {
    let mut calls = shared.calls.lock();
    let method = request.method.to_string();
    let path = request.target();
    calls.push(RecordedCall { at: Instant::now(), method, path, body: request.json(), status: None, fault });
    calls.len() - 1
}

async fn inject(
    shared: &SharedStore,
    request: &FakeRequest,
    fault: Option<Fault>,
    released: watch::Receiver<()>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let Some(fault) = fault else { return Ok(whole(&apply(shared, request))) };
    Ok(match fault {
        Fault::CutBefore => return Err(Cut),
        Fault::CutAfter => {
            apply(shared, request);
            return Err(Cut);
        }
        Fault::StallBefore => {
            stall(released).await;
            whole(&apply(shared, request))
        }
        Fault::StallAfter => {
            let answer = apply(shared, request);
            stall(released).await;
            whole(&answer)
        }
        Fault::Slow(time) => {
            tokio::time::sleep(time).await;
            whole(&apply(shared, request))
        }
        Fault::TooMany { retry_after } => too_many(retry_after),
        Fault::Status(status) => whole(&ApiResponse::refusal(code(status), 10_013, "an unknown error occurred")),
        Fault::Refusal { status, code: number, message } => whole(&ApiResponse::refusal(code(status), number, message)),
        Fault::Html(status) => page(status),
        Fault::Empty => {
            apply(shared, request);
            json_response(StatusCode::OK, Bytes::new())
        }
        Fault::TornJson => {
            let body = apply(shared, request).body.to_string().into_bytes();
            json_response(StatusCode::OK, Bytes::copy_from_slice(&body[..body.len() / 2]))
        }
        Fault::ErrorAsSuccess => json_response(StatusCode::OK, spoiled(false)),
        Fault::SuccessOfError => json_response(StatusCode::OK, spoiled(true)),
    })
}

/// Waits until [`FakeCloudflare::release`](crate::FakeCloudflare::release).
async fn stall(mut released: watch::Receiver<()>) {
    // It cannot fail: the sender lives longer than any request.
    drop(released.changed().await);
}

/// Handles the request together with the operator's edit. Nothing else comes in between.
fn apply(shared: &SharedStore, request: &FakeRequest) -> ApiResponse {
    let edit = shared.edits.lock().take(request.method.as_str(), &request.target());
    let mut store = shared.store.lock();
    let Some(ScheduledEdit { when, change }) = edit else { return api::answer(&mut store, request) };
    if when == When::Before {
        change(&mut store);
        return api::answer(&mut store, request);
    }
    let answer = api::answer(&mut store, request);
    change(&mut store);
    answer
}

fn whole(answer: &ApiResponse) -> Response<Full<Bytes>> {
    json_response(answer.status, answer.body.to_string().into())
}

fn too_many(retry_after: Option<u64>) -> Response<Full<Bytes>> {
    let message = "Please wait and consider throttling your request speed";
    let mut response = whole(&ApiResponse::refusal(StatusCode::TOO_MANY_REQUESTS, 971, message));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn page(status: u16) -> Response<Full<Bytes>> {
    let html = format!("<!DOCTYPE html>\n<html><head><title>{status}</title></head><body>cloudflare</body></html>\n");
    let mut response = json_response(code(status), html.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=UTF-8"));
    response
}

/// A body with errors and no result, and this value of `success`.
fn spoiled(success: bool) -> Bytes {
    let errors = json!([{"code": 10_013, "message": "an unknown error occurred"}]);
    json!({"success": success, "errors": errors, "messages": [], "result": null}).to_string().into()
}

fn json_response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a test injects a status of three digits")
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("digits and ASCII signs are a header value")
}
