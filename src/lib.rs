//! The shell of Daymark: everything with a socket, a clock or a file. The decisions are made in `daymark_decision`.

mod admin;
mod admin_client;
mod app;
mod cli;
mod descriptors;
mod doctor;
mod driver;
#[cfg(test)]
mod error_messages;
mod events;
mod expiries;
mod init;
mod last_good;
mod manifest;
mod metrics;
mod node_discovery;
mod os;
mod peers;
mod ping;
mod publish;
mod reload;
mod start;
mod state;
mod sync;
mod watchdog;
mod zones;

pub use self::cli::main;
// The publisher of a remote provider, for the tests of tests/cloudflare.
pub use self::os::clock::Clock;
pub use self::publish::{Progress, WriterLease, remote};
