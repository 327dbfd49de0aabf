//! Faults to inject into requests, and operators who edit the store between two calls.

use std::time::Duration;

use crate::store::Store;

/// A fault that one request meets instead of the plain response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends and the request is not handled.
    CutBefore,
    /// The request is handled, then the connection ends without a response.
    CutAfter,
    /// There is no response, and the request is not handled, until
    /// [`FakeCloudflare::release`](crate::FakeCloudflare::release). A client that disconnects takes the request with it.
    StallBefore,
    /// The request is handled, but there is no response until
    /// [`FakeCloudflare::release`](crate::FakeCloudflare::release).
    StallAfter,
    /// The request is handled and answered only after this time, by tokio's clock. A client that disconnects earlier takes
    /// the request with it.
    Slow(Duration),
    /// 429, and the request is not handled.
    TooMany {
        /// The seconds of the header `retry-after`.
        retry_after: Option<u64>,
    },
    /// This status in the envelope, and the request is not handled.
    Status(u16),
    /// This error in the envelope, and the request is not handled. [`Fault::BALANCING_NOT_ENABLED`] and the constants beside
    /// it are refusals that people report.
    Refusal {
        /// The status.
        status: u16,
        /// The code of the error.
        code: u32,
        /// The message of the error.
        message: &'static str,
    },
    /// This status and a page of HTML, and the request is not handled.
    Html(u16),
    /// 200 and no body, though the request is handled.
    Empty,
    /// 200 and the first half of the body, though the request is handled.
    TornJson,
    /// 200 with `success: false` and errors, and the request is not handled.
    ErrorAsSuccess,
    /// 200 with `success: true`, a null result and errors, and the request is not handled.
    SuccessOfError,
}

impl Fault {
    /// The refusal of a balancer in a zone without Load Balancing. Its status is not verified.
    pub const BALANCING_NOT_ENABLED: Self = Self::validation("load balancing not enabled for zone: validation failed");
    /// The refusal of a pool in an account without a subscription. Its status and exact text are not verified.
    pub const ACCESS_FAILED: Self = Self::validation("Access Failed: validation failed");
    /// The refusal of a pool with three origins under a quota of two. Reports show other quotas, and 0 without a
    /// subscription (hashicorp/terraform #17948).
    pub const TWO_ORIGINS: Self = Self::validation("the origin list length must be in range [1, 2]: validation failed");

    const fn validation(message: &'static str) -> Self {
        Self::Refusal { status: 400, code: 1002, message }
    }
}

/// Selects one request by method, path and position.
#[derive(Clone, Debug)]
pub struct RequestMatcher {
    method: Option<&'static str>,
    path: String,
    nth: usize,
}

impl RequestMatcher {
    /// The next request.
    pub fn any() -> Self {
        Self { method: None, path: String::new(), nth: 1 }
    }

    /// The next request of this method, in capitals.
    pub fn method(method: &'static str) -> Self {
        Self { method: Some(method), ..Self::any() }
    }

    /// Only a request whose path (with its query, without `/client/v4`) contains this.
    #[must_use]
    pub fn path(self, part: impl Into<String>) -> Self {
        Self { path: part.into(), ..self }
    }

    /// The `nth` matching request from now on, counted from 1. A request that meets an earlier fault or edit does not
    /// count.
    #[must_use]
    pub fn nth(self, nth: usize) -> Self {
        Self { nth, ..self }
    }

    fn is(&self, method: &str, target: &str) -> bool {
        self.method.is_none_or(|wanted| wanted == method) && target.contains(&self.path)
    }
}

/// A queue of faults or edits. Each is used once, by the first request that matches.
pub(crate) struct FaultQueue<T>(Vec<QueuedFault<T>>);

struct QueuedFault<T> {
    matcher: RequestMatcher,
    item: T,
}

impl<T> FaultQueue<T> {
    pub(crate) fn push(&mut self, matcher: RequestMatcher, item: T) {
        self.0.push(QueuedFault { matcher, item });
    }

    /// Takes the item for this request.
    pub(crate) fn take(&mut self, method: &str, target: &str) -> Option<T> {
        for (at, QueuedFault { matcher, .. }) in self.0.iter_mut().enumerate() {
            if !matcher.is(method, target) {
                continue;
            }
            matcher.nth = matcher.nth.saturating_sub(1);
            if matcher.nth == 0 {
                return Some(self.0.remove(at).item);
            }
        }
        None
    }
}

impl<T> Default for FaultQueue<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// An operator's edit of the store, before or after the request is handled.
pub(crate) struct ScheduledEdit {
    pub(crate) when: When,
    pub(crate) change: Box<dyn FnOnce(&mut Store) + Send>,
}

/// The time of an operator's edit, relative to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Just before the request is handled.
    Before,
    /// Just after the request is handled, before the response.
    After,
}
