//! The shell of Daymark: everything with a socket, a clock or a file. The decisions are made in `daymark_decision`.

mod admin;
mod app;
pub mod cli;
mod driver;
#[cfg(test)]
mod error_messages;
mod events;
mod expiries;
mod manifest;
mod metrics;
mod node_discovery;
pub mod os;
mod peers;
pub mod publish;
mod reload;
mod state;
mod sync;
mod watchdog;
mod zones;
