//! A simulation of several Daymark hosts in one process, with faults drawn from a seed.
//!
//! The hosts run the decision engine and the gossip of `daymark run`. Sockets, probes and the wall clock are simulated: a
//! [`Cluster`] steps from event to event. All random numbers come from the seed, so the same seed gives the same run.
//!
//! - [`setup`]: the shape of a cluster.
//! - [`cluster`]: hosts, nodes and the queue of events.
//! - [`network`]: the paths between them.
//! - [`fault`] and [`remaining_fault`]: the faults that a run injects.
//! - [`invariants`]: the rules that are checked after each event, and at the end.
//! - [`run`](mod@run): one run of a seed.

#![allow(missing_docs, reason = "a test of the hosts; nothing is built on it")]

pub mod cluster;
pub mod fault;
pub mod host;
pub mod invariants;
pub mod network;
mod probing;
pub mod remaining_fault;
pub mod run;
pub mod setup;

pub use cluster::{Cluster, ClusterSize};
pub use run::{Violation, run};
pub use setup::Setup;
