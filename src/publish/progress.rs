//! The progress of one provider, for status, metrics and alarms.

use std::sync::Arc;

use daymark_api::{ProviderStatus, ProviderTtl};
use daymark_decision::Moment;
use daymark_provider::{CallCount, CheckReport, RemoteReadings};
use parking_lot::Mutex;

use crate::os::clock::Clock;

/// The progress of one provider. Clones share it.
#[derive(Clone)]
pub struct Progress(Arc<ProgressState>);

struct ProgressState {
    clock: Clock,
    status: Mutex<ProviderStatus>,
    readings: Option<ReadRemote>,
}

/// Reads a remote provider.
type ReadRemote = Box<dyn Fn() -> RemoteReadings + Send + Sync>;

impl Progress {
    /// The progress of a provider that answers in this process. Nothing is published yet.
    pub fn local(name: &str, clock: Clock) -> Self {
        Self::new(name, clock, None)
    }

    /// The progress of a remote provider, read by `read`. Nothing is published yet.
    pub fn remote(name: &str, clock: Clock, read: impl Fn() -> RemoteReadings + Send + Sync + 'static) -> Self {
        Self::new(name, clock, Some(Box::new(read)))
    }

    fn new(name: &str, clock: Clock, readings: Option<ReadRemote>) -> Self {
        let status = Mutex::new(ProviderStatus { name: name.to_owned(), ..ProviderStatus::default() });
        Self(Arc::new(ProgressState { clock, status, readings }))
    }

    /// Returns true if the published answer stands in a remote system, independently of this host.
    pub fn is_remote(&self) -> bool {
        self.0.readings.is_some()
    }

    /// The present status of the provider.
    pub fn status(&self) -> ProviderStatus {
        let status = self.0.status.lock().clone();
        let Some(read) = &self.0.readings else { return status };
        let RemoteReadings { remaining, ttls, .. } = read();
        let ttls = ttls.into_iter().map(|(pool, ttl_seconds)| ProviderTtl { pool, ttl_seconds }).collect();
        ProviderStatus { remaining, ttls, ..status }
    }

    /// The calls of the provider since the start.
    pub fn calls(&self) -> Vec<CallCount> {
        self.0.readings.as_ref().map(|read| read().calls).unwrap_or_default()
    }

    pub(super) fn desire(&self, generation: u64) {
        let mut status = self.0.status.lock();
        status.desired = generation;
        self.update_behind(&mut status);
    }

    pub(super) fn begin(&self) {
        self.0.status.lock().attempt_since = Some(self.now());
    }

    pub(super) fn succeed(&self, generation: u64) {
        let mut status = self.0.status.lock();
        status.published = Some(generation);
        status.error = None;
        status.attempt_since = None;
        status.last_success = Some(self.now());
        self.update_behind(&mut status);
    }

    pub(super) fn fail(&self, fault: String) {
        let mut status = self.0.status.lock();
        status.error = Some(fault);
        status.attempt_since = None;
    }

    pub(super) fn has_findings(&self) -> bool {
        !self.0.status.lock().findings.is_empty()
    }

    /// The findings of the newest check.
    pub(super) fn findings(&self) -> Vec<String> {
        self.0.status.lock().findings.clone()
    }

    /// Stores the report of the newest check.
    pub(super) fn replace_report(&self, CheckReport { findings, notes, .. }: CheckReport) {
        let mut status = self.0.status.lock();
        status.findings = findings;
        status.notes = notes;
    }

    /// Begins or ends the standby, while this host does not write. It knows nothing of the published answer then.
    pub(super) fn set_standby(&self, is_standby: bool) {
        let mut status = self.0.status.lock();
        status.standby = is_standby;
        status.published = None;
        status.error = None;
        status.attempt_since = None;
        status.findings.clear();
        status.notes.clear();
        self.update_behind(&mut status);
    }

    fn update_behind(&self, status: &mut ProviderStatus) {
        if status.standby || status.published == Some(status.desired) {
            status.behind_since = None;
        } else {
            status.behind_since = status.behind_since.or_else(|| Some(self.now()));
        }
    }

    fn now(&self) -> Moment {
        self.0.clock.now()
    }
}
