//! The configuration from outside: whole files and flags, and what is said of them.

#![allow(clippy::unwrap_used, reason = "what a test cannot read, it reports by ending")]

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
