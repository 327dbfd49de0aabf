//! The handle that a test holds.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::BASE;
use crate::faults::{Fault, FaultQueue, RequestMatcher, ScheduledEdit, When};
use crate::server::{self, RecordedCall, SharedStore};
use crate::store::{FakeTokenStatus, Scope, Store};
use crate::validate::Schema;

/// A running fake. Its tasks run in the runtime that starts it and end when it is dropped.
///
/// # Panics
/// When it is dropped after requests that violate the schema, unless [`FakeCloudflare::violations`] has returned them.
pub struct FakeCloudflare {
    address: SocketAddr,
    shared: Arc<SharedStore>,
    task: JoinHandle<()>,
}

impl FakeCloudflare {
    /// Starts on a free port of loopback, with a store that holds nothing but a token of every scope.
    ///
    /// # Panics
    /// No port is free, or the schema cannot be read.
    pub async fn start() -> Self {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port of loopback")
    }

    /// Starts as [`FakeCloudflare::start`] does, but on this address. The error is the system's, about the address.
    ///
    /// # Panics
    /// The schema cannot be read.
    pub async fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(SharedStore { schema: Schema::of_environment(), ..SharedStore::default() });
        shared.store.lock().add_token(Scope::ALL);
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// The base address of the API.
    pub fn api(&self) -> String {
        format!("http://{}{BASE}", self.address)
    }

    /// The first active token.
    ///
    /// # Panics
    /// There is none.
    pub fn token(&self) -> String {
        let store = self.store();
        let mut tokens = store.tokens.iter().filter(|(_, token)| token.status == FakeTokenStatus::Active);
        tokens.next().expect("an active token").0.clone()
    }

    /// The store, to read and to edit. Requests wait while the guard is held.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock()
    }

    /// Every request so far, in the order of arrival.
    pub fn calls(&self) -> Vec<RecordedCall> {
        self.shared.calls.lock().clone()
    }

    /// The number of requests that have arrived and are not answered.
    pub fn busy(&self) -> usize {
        self.shared.busy.load(Ordering::SeqCst)
    }

    /// Injects a fault into one request. Faults are injected in the order of these calls. A request that the rate limit
    /// refuses gets none.
    pub fn inject(&self, fault: Fault, matcher: RequestMatcher) {
        self.shared.faults.lock().push(matcher, fault);
    }

    /// Drops the faults that no request has met yet.
    pub fn clear_faults(&self) {
        *self.shared.faults.lock() = FaultQueue::default();
    }

    /// Has an operator edit the store just before or after one request is handled, with nothing in between. A request that
    /// a fault keeps from being handled does not count.
    pub fn edit(&self, when: When, matcher: RequestMatcher, change: impl FnOnce(&mut Store) + Send + 'static) {
        self.shared.edits.lock().push(matcher, ScheduledEdit { when, change: Box::new(change) });
    }

    /// Lets the stalled requests continue.
    pub fn release(&self) {
        self.shared.releases.send_replace(());
    }

    /// Takes the violations of the schema so far, one line each. Empty without a schema.
    pub fn violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.violations.lock())
    }
}

impl Drop for FakeCloudflare {
    fn drop(&mut self) {
        self.task.abort();
        let violations = self.violations();
        let is_fine = violations.is_empty() || std::thread::panicking();
        assert!(is_fine, "requests that violate Cloudflare's schema:\n{}", violations.join("\n"));
    }
}
