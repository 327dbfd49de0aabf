//! Probing: asks each target for its readiness, as a client would reach it.
//!
//! - [`Supervisor`] keeps one watch for each target of every pool.
//! - [`watch()`] is the loop of one target; its schedule is pure.
//! - [`Prober`] makes one probe: TCP, TLS, one HTTP request, and the observation that follows from it.
//!
//! It does not know other hosts or answers, nor what an observation means for its target: the decision crate does.

mod answer;
mod certificate;
mod connection;
mod credentials;
mod expiry;
mod failure;
mod prober;
mod schedule;
mod settings;
mod supervisor;
mod watch;

pub use self::expiry::{Expiries, Expiry};
pub use self::prober::Prober;
pub use self::settings::{Auth, ProbeSettings, Trust};
pub use self::supervisor::{ProbedPool, Supervisor, WatchOutputs};
pub use self::watch::{offset, watch};
