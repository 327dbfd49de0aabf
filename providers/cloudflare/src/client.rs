//! Makes the calls of Cloudflare's API: token, paging, envelope, rate limits, and the kinds of failures.
//!
//! A call is made once. The caller tries again, after the pause that [`CallError::retry`] asks for. The client itself waits
//! only until the provider's share allows a call. It knows no pool, record or plan.

mod api_error;
mod budget;
mod call;
mod envelope;
mod error;
mod ratelimit;
mod refusal;
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daymark_files::{Token, client_tls, system_roots};
use daymark_provider::{CallCount, RemoteReadings};
use daymark_resolver::SystemResolver;
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::{Request, Response};
use rustls::RootCertStore;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::settings::CallSettings;
use budget::{Block, Budget};
use envelope::{Reply, ResultInfo};
use token::ApiToken;

pub use api_error::ApiError;
pub use call::Call;
pub use error::{BuildError, CallError, Retry};
pub use refusal::ObjectOwner;
#[cfg(test)]
pub(crate) use token::NoToken;

/// The timeout of connecting, within the timeout of the call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest response that is read, in bytes.
const MAX_BODY_BYTES: usize = 4 << 20;
/// The longest list that is read, in pages.
const MAX_PAGES: usize = 100;

/// The kind and the outcome of calls that are counted together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct CallKind {
    call: &'static str,
    outcome: &'static str,
}

/// Makes the calls of one provider.
pub(crate) struct Client {
    http: reqwest::Client,
    settings: CallSettings,
    token: ApiToken,
    budget: Budget,
    calls: Mutex<BTreeMap<CallKind, u64>>,
}

/// The permission of the provider's share to make one call.
pub(crate) struct Permit(());

impl Client {
    /// Sets up a client. It makes no call and reads no file yet.
    pub(crate) fn new(settings: &CallSettings) -> Result<Self, BuildError> {
        // Without TLS nothing is verified, so a machine without CA certificates is good enough.
        let roots = if is_plain(settings) { Arc::new(RootCertStore::empty()) } else { system_roots()? };
        Self::trusting(roots, settings)
    }

    fn trusting(roots: impl Into<Arc<RootCertStore>>, settings: &CallSettings) -> Result<Self, BuildError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(client_tls(roots)?)
            .user_agent(concat!("daymark/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(SystemResolver::new()))
            .connect_timeout(settings.timeout.min(CONNECT_TIMEOUT))
            .timeout(settings.timeout);
        // An API without TLS is a fake on this machine, which no proxy reaches.
        let http = if is_plain(settings) { http.no_proxy() } else { http };
        Ok(Self {
            http: http.build()?,
            settings: settings.clone(),
            token: ApiToken::new(settings.token.clone())?,
            budget: Budget::new(settings.share),
            calls: Mutex::default(),
        })
    }

    /// Reads one object.
    pub(crate) async fn get<T: DeserializeOwned>(&self, call: Call, path: &str) -> Result<T, CallError> {
        let permit = self.permit(call).await?;
        Ok(self.once(permit, call, Method::GET, path, &[], None).await?.result)
    }

    /// Reads every page of a list. If the list changes in between, an entry may be missing or come twice.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        call: Call,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, CallError> {
        let unreadable = |detail| CallError::Unreadable { call, status: 200, detail };
        let mut all = Vec::new();
        let mut last = Value::Null;
        for page in 1..=MAX_PAGES {
            let Reply { result, raw, info } = self.page::<T>(call, path, query, page).await?;
            let count = result.len();
            all.extend(result);
            let is_followed = info.is_followed(page, count, all.len(), call.page_size());
            let repeats = page > 1 && (raw == last || info.page.is_some_and(|reported| reported != page));
            match (repeats, is_followed, count) {
                (true, ..) => return Err(unreadable(format!("page {page} of the list repeats another page"))),
                (false, true, 0) => return Err(unreadable(format!("page {page} is empty, but the list goes on"))),
                (false, true, _) => last = raw,
                (false, false, _) => return Ok(all),
            }
        }
        Err(unreadable(format!("the list does not end after {MAX_PAGES} pages")))
    }

    /// Waits until the share allows a call.
    pub(crate) async fn permit(&self, call: Call) -> Result<Permit, CallError> {
        self.budget.permit().await.map_err(|block| limited(call, block))?;
        Ok(Permit(()))
    }

    /// Writes, and returns the result, `null` if there is none. The caller gets the permit first: that may take long, and the
    /// caller then checks if the write is still wanted.
    pub(crate) async fn write(
        &self,
        permit: Permit,
        call: Call,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        Ok(self.once(permit, call, method, path, &[], body).await?.result)
    }

    /// Returns true if the share has calls to spare for reads that can wait, so that writes never wait for them.
    pub(crate) fn has_spare(&self) -> bool {
        self.budget.has_spare()
    }

    /// The pause before a pass, so that it does not wait in the middle. Zero if it may begin.
    pub(crate) fn pause(&self) -> Duration {
        self.budget.pause()
    }

    /// The time until which Cloudflare refuses every call. `None` if it refuses none.
    pub(crate) fn blocked_until(&self) -> Option<Timestamp> {
        self.budget.blocked_until()
    }

    /// Makes no call until this time, but no longer than Cloudflare usually refuses calls.
    pub(crate) fn block_until(&self, until: Timestamp) {
        self.budget.block_until(until);
    }

    /// The calls made so far, and how many are left.
    pub(crate) fn usage(&self) -> RemoteReadings {
        let count =
            |(kind, count): (&CallKind, &u64)| CallCount { call: kind.call, outcome: kind.outcome, count: *count };
        let calls = self.calls.lock().iter().map(count).collect();
        RemoteReadings { calls, remaining: self.budget.remaining(), ..RemoteReadings::default() }
    }

    async fn page<T: DeserializeOwned>(
        &self,
        call: Call,
        path: &str,
        query: &[(&str, &str)],
        page: usize,
    ) -> Result<Reply<Vec<T>>, CallError> {
        let number = page.to_string();
        let size = call.page_size().map(|size| size.to_string());
        let mut query = query.to_vec();
        query.extend(size.as_deref().map(|size| ("per_page", size)));
        query.extend((page > 1).then_some(("page", number.as_str())));
        let permit = self.permit(call).await?;
        self.once(permit, call, Method::GET, path, &query, None).await
    }

    /// Makes one call, and counts it.
    async fn once<T: DeserializeOwned>(
        &self,
        Permit(()): Permit,
        call: Call,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Reply<T>, CallError> {
        let token = self.token.current().map_err(|source| CallError::Token { call, source })?;
        let mut request = self.http.request(method, format!("{}{path}", self.settings.api));
        request = request.header(AUTHORIZATION, token.header());
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut request = request.build().map_err(|error| self.broken(call, error))?;
        if !query.is_empty() {
            request.url_mut().query_pairs_mut().extend_pairs(query);
        }
        let answer = self.exchange(call, path, request, &token).await;
        let outcome = answer.as_ref().map_or_else(CallError::outcome, |_| "ok");
        *self.calls.lock().entry(CallKind { call: call.as_str(), outcome }).or_default() += 1;
        answer
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        call: Call,
        path: &str,
        request: Request,
        token: &Token,
    ) -> Result<Reply<T>, CallError> {
        let mut response = self.http.execute(request).await.map_err(|error| self.broken(call, error))?;
        if let Some(report) = ratelimit::ratelimit(response.headers()) {
            self.budget.record(report);
        }
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(limited(call, self.budget.block(ratelimit::retry_after(response.headers()))));
        }
        let body = self.body(call, &mut response).await?;
        envelope::read(call, path, status, &body, token, self.token.source())
    }

    async fn body(&self, call: Call, response: &mut Response) -> Result<Vec<u8>, CallError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(call, error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY_BYTES {
                let detail = format!("it is larger than {MAX_BODY_BYTES} bytes");
                return Err(CallError::Unreadable { call, status: response.status().as_u16(), detail });
            }
        }
        Ok(body)
    }

    fn broken(&self, call: Call, error: reqwest::Error) -> CallError {
        match error.without_url() {
            error if error.is_timeout() && !error.is_connect() => {
                CallError::TimedOut { call, limit: self.settings.timeout }
            }
            source => CallError::Unreachable { call, source },
        }
    }
}

impl ResultInfo {
    /// Returns true if more pages follow this one, which has `count` entries. `read` entries of the list are read so far.
    fn is_followed(&self, page: usize, count: usize, read: usize, requested: Option<usize>) -> bool {
        match (self.total_pages, self.total_count) {
            (Some(pages), _) => page < pages,
            (None, Some(total)) => read < total,
            (None, None) => self.per_page.or(requested).is_some_and(|size| count >= size),
        }
    }
}

fn limited(call: Call, block: Block) -> CallError {
    CallError::Limited { call, rest: block.rest, until: block.until }
}

fn is_plain(settings: &CallSettings) -> bool {
    settings.api.starts_with("http://")
}

#[cfg(test)]
mod tests;
