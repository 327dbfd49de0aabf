//! Whole configuration files and flags, read as a user gives them, and the errors and warnings that they cause.

#![allow(clippy::unwrap_used, reason = "a panic in a helper of tests is a failing test")]

#[path = "config/support.rs"]
mod support;

#[path = "config/bounds.rs"]
mod bounds;
#[path = "config/cloudflare.rs"]
mod cloudflare;
#[path = "config/examples.rs"]
mod examples;
#[path = "config/faults.rs"]
mod faults;
#[path = "config/flags.rs"]
mod flags;
#[path = "config/good.rs"]
mod good;
#[path = "config/peers.rs"]
mod peers;
#[path = "config/schema.rs"]
mod schema;
