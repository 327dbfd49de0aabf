//! A stateful fake of Cloudflare's API, for the tests of Daymark.
//!
//! It serves plain HTTP on loopback. Requests change its [`Store`] as they would change Cloudflare's: pools, load balancers
//! and DNS records, behind tokens with scopes and a rate limit. A test edits the store as the dashboard does, reads the
//! recorded calls, and injects a [`Fault`] or an operator's edit into a chosen request. The fake knows nothing of Daymark.
//!
//! It implements only what is known of the service: from Cloudflare's `OpenAPI` document, its SDK of 2026-10, its docs, and
//! reports of people who use it, which the comments name. "Not verified" marks a behaviour that no source shows. It is stricter on purpose in two ways: it refuses read-only fields that
//! a client sends, and list parameters that it does not know. Error codes and messages are the service's if they are known;
//! a test should not depend on the texts.
//!
//! If the environment variable `CLOUDFLARE_OPENAPI` names Cloudflare's `OpenAPI` document, the fake validates each request
//! against it. Dropping a [`FakeCloudflare`] then panics if there are violations that the test has not taken.
//!
//! If `CLOUDFLARE_CALLS` names a directory, the fake writes each request there, without its token, for `tests/prism`.

#![expect(clippy::expect_used, reason = "a fake that cannot go on ends the test")]

mod api;
mod balancers;
mod envelope;
mod fake;
mod faults;
mod idn;
mod journal;
mod pools;
mod rate_limit;
mod records;
mod request;
mod server;
mod store;
mod tokens;
mod validate;
mod zones;

pub use fake::FakeCloudflare;
pub use faults::{Fault, RequestMatcher, When};
pub use rate_limit::RateLimit;
pub use server::RecordedCall;
pub use store::{
    DuplicateError, Example, FakeAccount, FakeToken, FakeTokenStatus, FakeZone, FakeZonePlan, FakeZoneType,
    PoolInUseError, Scope, Store, TokenLocation, UnauthorizedError,
};

/// The prefix of every path.
pub(crate) const BASE: &str = "/client/v4";
