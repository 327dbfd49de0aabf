//! The server as its clients see it: every test asks a running server over a socket of the loopback.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests too")]

mod answers;
mod edns;
mod given;
mod hostile;
mod negative;
mod parent;
mod provider;
mod source;
mod support;
mod tcp;
