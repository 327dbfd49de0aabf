//! The interfaces to the operating system: clock, log, service manager, signals, descriptors and sockets.
//!
//! These modules know nothing of pools, providers or peers.

pub(crate) mod blocking;
pub mod clock;
pub mod crashes;
pub mod descriptors;
pub(crate) mod handover;
pub(crate) mod log_writer;
pub(crate) mod notify;
pub mod signals;
pub(crate) mod sockets;
