//! Probing: a schedule a target, the transport, and the way from an outcome to an observation.

mod settings;

pub use settings::{Auth, Settings, Trust};
