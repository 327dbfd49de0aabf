//! How far one provider is, for status, metrics and alarms.

use std::sync::Arc;

use daymark_api::ProviderStatus;
use daymark_cloudflare::Usage;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::os::clock::Clock;

/// What was called, how it went, and how often.
pub type Calls = Vec<(&'static str, &'static str, u64)>;

/// How far one provider is. Clones share it.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    clock: Clock,
    status: Mutex<ProviderStatus>,
    usage: Option<Box<dyn Fn() -> Usage + Send + Sync>>,
}

impl Progress {
    /// Nothing is published yet by a provider that answers by itself.
    pub fn of(name: &str, clock: Clock) -> Self {
        Self::new(name, clock, None)
    }

    /// Nothing is published yet by a provider that makes calls elsewhere, counted by `usage`.
    pub fn elsewhere(name: &str, clock: Clock, usage: impl Fn() -> Usage + Send + Sync + 'static) -> Self {
        Self::new(name, clock, Some(Box::new(usage)))
    }

    fn new(name: &str, clock: Clock, usage: Option<Box<dyn Fn() -> Usage + Send + Sync>>) -> Self {
        let status = Mutex::new(ProviderStatus { name: name.to_owned(), ..ProviderStatus::default() });
        Self(Arc::new(Inner { clock, status, usage }))
    }

    /// Whether what is published stands elsewhere, whatever becomes of this host.
    pub fn is_elsewhere(&self) -> bool {
        self.0.usage.is_some()
    }

    /// How far the provider is now.
    pub fn status(&self) -> ProviderStatus {
        let status = self.0.status.lock().clone();
        ProviderStatus { remaining: self.0.usage.as_ref().and_then(|usage| usage().remaining), ..status }
    }

    /// Its calls since the start.
    pub fn calls(&self) -> Calls {
        self.0.usage.as_ref().map(|usage| usage().calls).unwrap_or_default()
    }

    pub(super) fn wants(&self, generation: u64) {
        let mut status = self.0.status.lock();
        status.desired = generation;
        self.settle(&mut status);
    }

    pub(super) fn begins(&self) {
        self.0.status.lock().attempt_since = Some(self.now());
    }

    pub(super) fn done(&self, generation: u64) {
        let mut status = self.0.status.lock();
        (status.published, status.error, status.attempt_since) = (Some(generation), None, None);
        status.last_success = Some(self.now());
        self.settle(&mut status);
    }

    pub(super) fn failed(&self, fault: String) {
        let mut status = self.0.status.lock();
        (status.error, status.attempt_since) = (Some(fault), None);
    }

    pub(super) fn has_findings(&self) -> bool {
        !self.0.status.lock().findings.is_empty()
    }

    /// Keeps what the newest check has found, and gives what the one before had.
    pub(super) fn found(&self, findings: Vec<String>) -> Vec<String> {
        std::mem::replace(&mut self.0.status.lock().findings, findings)
    }

    /// Whether another host writes, or none does. What was published by then says nothing of what stands.
    pub(super) fn stands_by(&self, stands_by: bool) {
        let mut status = self.0.status.lock();
        status.standby = stands_by;
        (status.published, status.error, status.attempt_since) = (None, None, None);
        status.findings.clear();
        self.settle(&mut status);
    }

    fn settle(&self, status: &mut ProviderStatus) {
        if status.standby || status.published == Some(status.desired) {
            status.behind_since = None;
        } else {
            status.behind_since = status.behind_since.or_else(|| Some(self.now()));
        }
    }

    fn now(&self) -> Timestamp {
        self.0.clock.timestamp()
    }
}
