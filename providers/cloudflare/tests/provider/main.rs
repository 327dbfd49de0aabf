//! The provider against a fake of Cloudflare on a real socket: its writes, what it leaves alone, and its messages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod balancers;
mod checks;
mod contention;
mod drift_checks;
mod fixture;
mod hostile;
mod log;
mod marks;
mod memory;
mod pools;
mod records;
mod tokens;
mod whole;
mod zones;
