//! Calls of Cloudflare's API: who calls, paging, the envelope, limits, and what kind of failure it was.
//!
//! A call is made once. Whoever calls tries again, after the pause that [`CallError::retry`] asks for; only for the share
//! of calls that is ours does the client itself wait. It knows no pool, no record and no plan.

mod budget;
mod call;
mod error;
mod token;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::settings::CallSettings;

pub use call::Call;
pub use error::{BuildError, CallError, Retry};

/// How often calls were made, and what Cloudflare says of what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls since the start: what was called ([`Call::as_str`]), how it went, and how often.
    pub calls: Vec<(&'static str, &'static str, u64)>,
    /// How many calls Cloudflare still allows in this window, as it last said.
    pub remaining: Option<u32>,
}

/// Makes the calls of one provider.
pub(crate) struct Client {}

impl Client {
    /// Sets up a client. Nothing is called yet.
    pub(crate) fn new(settings: &CallSettings) -> Result<Self, BuildError> {
        todo!("{settings:?}")
    }

    /// Reads one object.
    pub(crate) async fn get<T: DeserializeOwned>(&self, call: Call, path: &str) -> Result<T, CallError> {
        todo!("{call:?} {path}")
    }

    /// Reads every page of a list.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        call: Call,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, CallError> {
        todo!("{call:?} {path} {query:?}")
    }

    /// Writes, and gives the result: `null` where there is none.
    pub(crate) async fn write(
        &self,
        call: Call,
        method: http::Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        todo!("{call:?} {method} {path} {body:?}")
    }

    /// Whether enough of the share is left for calls that can wait, so that writes never wait for them.
    pub(crate) fn has_spare(&self) -> bool {
        todo!()
    }

    /// What was used so far.
    pub(crate) fn usage(&self) -> Usage {
        todo!()
    }
}
