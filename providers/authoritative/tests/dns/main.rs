//! Black-box tests of the server: each asks a running server over the loopback device.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests too")]

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod dnssec;
mod edns;
mod hostile;
mod inherited_sockets;
mod negative;
mod parent;
mod provider;
mod rate_limit;
mod source_address;
mod support;
mod tcp;
mod unbound;
