//! Probing: a schedule a target, the transport, and the way from an outcome to an observation.
//!
//! [`watch()`] is the loop of one target, [`Prober`] one probe. Neither knows of pools, hosts or answers: what an
//! observation means for its target is the core's to say.

mod answer;
mod certificate;
mod connection;
mod failure;
mod material;
mod prober;
mod schedule;
mod settings;
mod watch;

pub use prober::Prober;
pub use settings::{Auth, Settings, Trust};
pub use watch::{offset, watch};
