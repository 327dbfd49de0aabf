//! A stateful fake of Cloudflare's API, for the tests of Daymark.
//!
//! It serves plain HTTP on loopback and holds a [`World`] that requests change as they change Cloudflare's: pools, load
//! balancers and DNS records, behind tokens with scopes and the limit on calls. A test edits the world as the dashboard
//! does, reads the calls that came, and plays a [`Fault`] or an operator's edit to a chosen request. It knows nothing of
//! Daymark.
//!
//! It does not pretend to be more than what is known of the service. On purpose it is stricter in two things: read-only
//! fields that a client sends are refused, and so are parameters of lists that it does not know. Error codes and messages
//! are the service's where they are known; a test should not depend on the texts.
//!
//! Where the environment variable `CLOUDFLARE_OPENAPI` names Cloudflare's `OpenAPI` document, each request is validated
//! against it, and the drop of a [`FakeCloudflare`] panics for violations that nobody has asked about.

#![expect(clippy::expect_used, reason = "a fake that cannot go on ends the test")]

mod api;
mod balancers;
mod envelope;
mod fake;
mod faults;
mod pools;
mod rate;
mod records;
mod request;
mod server;
mod tokens;
mod validate;
mod world;
mod zones;

pub use fake::{Call, FakeCloudflare};
pub use faults::{Fault, Matching, When};
pub use rate::Rate;
pub use world::{Account, Example, Plan, Scope, Status, Token, World, Zone};

/// What every path begins with.
pub(crate) const BASE: &str = "/client/v4";
