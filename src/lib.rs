//! The shell of Daymark: everything with a socket, a clock or a file. The decisions are made in `daymark_decision`.

pub mod admin;
pub mod app;
pub mod cli;
pub mod discovery;
pub mod driver;
pub mod events;
pub mod manifest;
pub mod metrics;
pub mod os;
pub mod peers;
pub mod publish;
pub mod reload;
pub mod state;
pub mod sync;
pub mod watchdog;
pub mod zones;
