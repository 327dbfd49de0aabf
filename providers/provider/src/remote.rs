//! The trait of providers that write to a system elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use daymark_decision::{Decision, PoolName};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::ApplyError;

/// Publishes decisions by writing to a remote system.
///
/// The publisher calls it in this order:
///
/// ```text
/// (take_over, set_lease)  only with several hosts
/// apply                   with each new decision, and again after drift_interval
///   supersede, set_lease  at any time during apply
/// memory                  after each apply, saved for the next run
/// check                   after the first apply that reached the remote system, and when something may have changed
/// ```
#[async_trait]
pub trait RemoteProvider: Send + Sync + 'static {
    /// The name in logs, metrics and `daymark status`. It is unique within a run.
    fn name(&self) -> &str;

    /// The remote system as a proper name, such as `Cloudflare`.
    fn system(&self) -> &'static str;

    /// Observes the remote state and plans the edits that [`RemoteProvider::apply`] would make now. It writes nothing.
    async fn plan(&self, decision: &Decision) -> Pass;

    /// Makes the remote state match this decision: observes it, plans, writes what differs, and reads it back.
    ///
    /// The decision that is already published is applied again to find and repair drift. On an error every pool has addresses
    /// of its former answer or of this one, never none. An older generation than one tried before is refused.
    async fn apply(&self, decision: &Decision) -> Pass;

    /// Announces a newer decision, also during an [`RemoteProvider::apply`] of an older one. Writes of the older one that
    /// contradict it are left out, and that call returns [`ApplyError::Superseded`].
    fn supersede(&self, decision: &Decision);

    /// Sets the end of this host's writer lease. The last call counts. Without a call the host may always write.
    ///
    /// Every write checks the lease first. After its end, [`RemoteProvider::apply`] returns [`ApplyError::Superseded`].
    fn set_lease(&self, until: Instant);

    /// Takes over from another host that may have written until now. The memory of this one may be out of date, so a
    /// difference is no drift. Never called during [`RemoteProvider::apply`].
    async fn take_over(&self);

    /// The time after which the published decision is applied again, to find drift.
    fn drift_interval(&self) -> Duration;

    /// Looks for what an operator should know.
    async fn check(&self) -> CheckReport;

    /// The memory for the next run, saved with the state. `None` if there is nothing to remember.
    fn memory(&self) -> Option<Value>;

    /// The calls made so far, how many are left, and the TTLs of the published names.
    fn readings(&self) -> RemoteReadings;
}

/// The edits and the outcome of one plan or one apply.
#[derive(Debug)]
pub struct Pass {
    /// The edits in their order. If one failed, those that were made before it.
    pub edits: Vec<Edit>,
    /// `Ok` if every answer is published, or would be after these edits.
    pub outcome: Result<(), ApplyError>,
}

/// The outcome of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// The states that an operator should change, as sentences. Each is an alarm.
    pub findings: Vec<String>,
    /// The states that are no fault but may surprise, as sentences.
    pub notes: Vec<String>,
    /// True if the remote system could not be asked about everything now, so that there may be more.
    pub is_incomplete: bool,
}

/// One write to a remote system, planned or made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edit {
    /// The pool that it is made for.
    pub pool: PoolName,
    /// The operation, such as an HTTP method.
    pub method: String,
    /// The object that it is made on, such as a path below the base address of an API.
    pub path: String,
    /// The content that is sent, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The changes that it makes, one sentence each.
    pub changes: Vec<String>,
}

/// The readings of a remote provider, for the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteReadings {
    /// The calls since the start, by kind and outcome.
    pub calls: Vec<CallCount>,
    /// The calls that the remote system still allows in this window, as it last said.
    pub remaining: Option<u32>,
    /// The TTL in seconds of each published name, as it was last read or written.
    pub ttls: BTreeMap<PoolName, u32>,
}

/// The number of calls of one kind with one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// The kind of call, such as `readPool`.
    pub call: &'static str,
    /// The outcome, such as `ok` or `limited`.
    pub outcome: &'static str,
    /// The number of calls.
    pub count: u64,
}
