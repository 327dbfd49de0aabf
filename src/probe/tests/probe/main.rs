//! The probe against a fake apiserver, over real sockets on loopback.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic in a helper of tests is a failing test")]

mod auth;
mod files;
mod fixture;
mod identity;
mod outcomes;
mod protocol;
mod watching;
