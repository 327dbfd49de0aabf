//! The shell of Daymark: everything with a socket, a clock or a file. The decisions are made in `daymark_decision`.

pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod complaint;
pub mod config;
pub mod discovery;
pub mod driver;
pub mod events;
mod family;
mod given;
pub mod keeper;
mod lines;
pub mod lock;
pub mod manifest;
pub mod metrics;
mod notify;
pub mod peers;
pub mod publish;
pub mod reload;
pub mod role;
pub mod signals;
pub mod state;
pub mod status;
pub mod sync;
pub mod watchdog;
pub mod zones;
