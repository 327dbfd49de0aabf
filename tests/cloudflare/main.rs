//! The publisher and the Cloudflare provider together, against a fake of Cloudflare on a real socket, on time that the
//! test alone moves.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod faults;
mod others;
mod rest;
#[path = "../../providers/cloudflare/tests/provider/scene.rs"]
#[allow(dead_code, reason = "the provider's own tests use more of it")]
mod scene;
mod stage;
