//! Several hosts of Daymark in one process, on a clock and a network of their own, with faults drawn from a seed.
//!
//! What runs is what runs in `daymark run`: the decision engine, the gossip and what goes between them. Sockets, probes and
//! the wall clock are played: a [`World`] moves from event to event, and everything random comes from the seed,
//! so one number tells a whole story, and tells it again.

#![allow(missing_docs, reason = "a test of the hosts; nothing is built on it")]

mod drains;
pub mod ending;
pub mod faults;
pub mod host;
pub mod judge;
pub mod network;
mod timed;
pub mod world;
mod writers;

pub use judge::Violation;
pub use world::{Setup, World};
