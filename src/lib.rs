//! The shell of Daymark: everything with a socket, a clock or a file. The decisions are made in `daymark_decision`.

pub mod config;
pub mod probe;
