//! The publisher and the Cloudflare provider together, against a fake of Cloudflare on a real socket, with time that only
//! the test advances.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod faults;
#[path = "../../providers/cloudflare/tests/provider/fixture.rs"]
#[allow(dead_code, reason = "the provider's own tests use more of it")]
mod fixture;
mod others;
mod publisher;
mod rest;
