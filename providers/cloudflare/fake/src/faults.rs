//! What is played to whom: faults, and operators who edit the world between two calls.

use std::time::Duration;

use crate::world::World;

/// What happens to one request instead of the plain answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends; nothing is done.
    CutBefore,
    /// It is done, then the connection ends without an answer.
    CutAfter,
    /// No answer until [`FakeCloudflare::release`](crate::FakeCloudflare::release), and nothing is done before. A client that goes away
    /// takes the request with it.
    StallBefore,
    /// It is done, but there is no answer until [`FakeCloudflare::release`](crate::FakeCloudflare::release).
    StallAfter,
    /// So long by tokio's time nothing happens, then it is done and answered. A client that goes away before takes the
    /// request with it.
    Slow(Duration),
    /// 429; nothing is done.
    TooMany {
        /// Seconds to say in `retry-after`.
        retry_after: Option<u64>,
    },
    /// This status, in the envelope; nothing is done.
    Status(u16),
    /// This status and a page of HTML; nothing is done.
    Html(u16),
    /// 200 and no body; it is done.
    Empty,
    /// 200 and the first half of the body; it is done.
    TornJson,
    /// 200, yet `success` is false and there are errors; nothing is done.
    ErrorAsSuccess,
    /// 200 and `success`, yet the result is null and there are errors; nothing is done.
    SuccessOfError,
}

/// Which request something is for.
#[derive(Clone, Debug)]
pub struct Matching {
    method: Option<&'static str>,
    path: String,
    nth: usize,
}

impl Matching {
    /// The next request.
    pub fn any() -> Self {
        Self { method: None, path: String::new(), nth: 1 }
    }

    /// The next request of this method, in capitals.
    pub fn method(method: &'static str) -> Self {
        Self { method: Some(method), ..Self::any() }
    }

    /// Only those whose path (with its query, without `/client/v4`) holds this.
    #[must_use]
    pub fn path(self, part: impl Into<String>) -> Self {
        Self { path: part.into(), ..self }
    }

    /// Not the next one but the `nth` from now, counted from 1. A request that meets what was played before
    /// this is not counted.
    #[must_use]
    pub fn nth(self, nth: usize) -> Self {
        Self { nth, ..self }
    }

    fn is(&self, method: &str, target: &str) -> bool {
        self.method.is_none_or(|wanted| wanted == method) && target.contains(&self.path)
    }
}

/// Things to play, each once, the first one that fits first.
pub(crate) struct Queue<T>(Vec<(Matching, T)>);

impl<T> Queue<T> {
    pub(crate) fn push(&mut self, matching: Matching, item: T) {
        self.0.push((matching, item));
    }

    /// Takes what is to be played to this request.
    pub(crate) fn take(&mut self, method: &str, target: &str) -> Option<T> {
        for (at, (matching, _)) in self.0.iter_mut().enumerate() {
            if !matching.is(method, target) {
                continue;
            }
            matching.nth = matching.nth.saturating_sub(1);
            if matching.nth == 0 {
                return Some(self.0.remove(at).1);
            }
        }
        None
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// What an operator does, and whether before or after the request is handled.
pub(crate) struct Edit {
    pub(crate) when: When,
    pub(crate) act: Box<dyn FnOnce(&mut World) + Send>,
}

/// When an operator acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Just before the request is handled.
    Before,
    /// Just after it has been handled, before it is answered.
    After,
}
