//! Whole configuration files and flags, read as a user gives them, and the errors and warnings that they cause.

#![allow(clippy::unwrap_used, reason = "a panic in a helper of tests is a failing test")]

mod support;

mod bounds;
mod cloudflare;
mod dnssec;
mod examples;
mod faults;
mod flags;
mod good;
mod peers;
mod schema;
