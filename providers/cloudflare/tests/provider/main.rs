//! The provider against a fake of Cloudflare on a real socket: what it shows, what it leaves alone, and what it says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod checks;
mod hostile;
mod log;
mod looks;
mod memory;
mod pools;
mod quarrels;
mod records;
mod scene;
mod whole;
