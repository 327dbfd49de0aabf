//! The whole program, from its command line to its DNS answers: the real binary with real configuration files, on loopback
//! addresses, tested by independent clients. Nothing here uses an internal interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a panic in a helper of tests is a failing test, and it tells what it saw"
)]

mod admin;
mod answers;
mod bad_input;
mod client;
mod cloudflare;
mod commands;
#[cfg(feature = "demo")]
mod demo;
mod descriptors;
mod discovery;
mod disk;
mod dnskey;
mod doctor;
mod ending;
mod freebind;
mod hosts;
mod init;
mod keygen;
mod last_good;
mod logging;
mod manifests;
mod mends;
mod parent;
mod ping;
mod providers;
mod reload;
mod restart;
mod rollout;
mod servers;
mod service;
mod state;
mod support;
mod sync;
mod take_over;
