//! The provider against a fake of Cloudflare on a real socket: its writes, what it leaves alone, and its messages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod checks;
mod contention;
mod drift_checks;
mod fixture;
mod hostile;
mod log;
mod memory;
mod pools;
mod records;
mod whole;
