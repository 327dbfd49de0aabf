//! The two kinds of providers, which publish decisions.
//!
//! A [`Provider`] answers by itself. Publishing changes something in this process, is done at once, and cannot fail for a
//! reason outside. The authoritative DNS server is one.
//!
//! A [`RemoteProvider`] writes to a system elsewhere, such as Cloudflare. It observes what stands there, plans the edits that
//! lead to the decision, and applies them. Calls take time and fail, someone else may change the same objects, and of several
//! hosts only the one with the writer lease may write. So this trait has more: a plan without writes, drift checks, a memory
//! for the next run, checks for the operator, and readings for the status.
//!
//! Both publish whole answers, the newest decision last. Neither is ever told "nothing": unknown is not empty, and both refuse
//! an empty answer. They know nothing of probes, thresholds or peers. The publisher decides when to call them, and how often
//! after a failure.
//!
//! To add a provider, implement one of the traits and run its suite of [`contract`]. [`InMemory`] and [`InMemoryRemote`] are
//! implementations for tests of the code above a provider.

pub mod contract;
mod error;
mod in_memory;
mod remote;

use std::time::Duration;

use daymark_decision::Decision;

pub use error::{ApplyError, DecisionError, validate};
pub use in_memory::{InMemory, InMemoryRemote};
pub use remote::{CallCount, CheckReport, Edit, Pass, RemoteProvider, RemoteReadings};

/// The time after which clients notice a silent node by themselves: client-go pings after 30 s without reads and gives up
/// 15 s later. At 50 s (`node-monitor-grace-period`) nodes turn `NotReady`.
pub const CLIENTS_NOTICE: Duration = Duration::from_secs(45);

/// Publishes decisions by answering in this process.
pub trait Provider: Send + Sync + 'static {
    /// The name in logs, metrics and `daymark status`, such as `authoritative`. It is unique within a run.
    fn name(&self) -> &str;

    /// Publishes this decision whole. Every answer stands when it returns `Ok`.
    ///
    /// Publishing the same generation again changes nothing. On an error the former decision stands.
    fn publish(&self, decision: &Decision) -> Result<(), DecisionError>;
}
