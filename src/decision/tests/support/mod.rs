//! What the tests of the core share.

#![allow(dead_code, reason = "each test binary uses a part")]

pub mod build;
pub mod script;
