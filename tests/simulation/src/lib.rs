//! Several hosts of Daymark in one process, on a simulated clock and network, with faults drawn from a seed.
//!
//! The decision engine, the gossip and the exchange between them are those of `daymark run`. Sockets, probes and the wall clock
//! are simulated: a [`Simulation`] moves from event to event, and everything random comes from the seed. So one number stands
//! for a whole history, which can be repeated.

#![allow(missing_docs, reason = "a test of the hosts; nothing is built on it")]

pub mod checks;
mod drains;
pub mod ending;
mod expiry;
pub mod faults;
pub mod host;
pub mod network;
pub mod simulation;
mod writers;

pub use checks::Violation;
pub use simulation::{Setup, Simulation};
