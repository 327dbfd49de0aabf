//! The fake as a test holds it, and what all its connections share.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::BASE;
use crate::faults::{Edit, Fault, Matching, Queue, When};
use crate::server;
use crate::validate::Schema;
use crate::world::{Scope, Status, World};

/// A Cloudflare of one's own. Its tasks run in the runtime that starts it and end when it is dropped.
///
/// # Panics
/// When dropped after requests that break the schema, unless [`FakeCloudflare::violations`] has handed them over.
pub struct FakeCloudflare {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Call {
    /// When, by tokio's time.
    pub at: Instant,
    /// The method, in capitals.
    pub method: String,
    /// The path and query, without `/client/v4`, decoded.
    pub path: String,
    /// The body; null where there was none, a string where it was no JSON.
    pub body: Value,
    /// The status answered, once it is; a connection that was cut has none.
    pub status: Option<u16>,
    /// The fault played to it.
    pub fault: Option<Fault>,
}

/// What all connections share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) world: Mutex<World>,
    pub(crate) calls: Mutex<Vec<Call>>,
    pub(crate) busy: AtomicUsize,
    pub(crate) faults: Mutex<Queue<Fault>>,
    pub(crate) edits: Mutex<Queue<Edit>>,
    /// Changes whenever the stalled are let go.
    pub(crate) releases: watch::Sender<()>,
    pub(crate) schema: Option<&'static Schema>,
    pub(crate) violations: Mutex<Vec<String>>,
}

impl FakeCloudflare {
    /// Starts on a free port of loopback, with an empty world but for a token of every scope.
    ///
    /// # Panics
    /// There is no port to be had, or the schema cannot be read.
    pub async fn start() -> Self {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port of loopback")
    }

    /// As [`FakeCloudflare::start`], on this address. The error is the system's, about the address.
    ///
    /// # Panics
    /// The schema cannot be read.
    pub async fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { schema: Schema::of_environment(), ..Shared::default() });
        shared.world.lock().add_token(Scope::ALL);
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// The base address of the API.
    pub fn api(&self) -> String {
        format!("http://{}{BASE}", self.address)
    }

    /// A token that is accepted now: the first active one.
    ///
    /// # Panics
    /// There is none.
    pub fn token(&self) -> String {
        let world = self.world();
        let mut tokens = world.tokens.iter().filter(|(_, token)| token.status == Status::Active);
        tokens.next().expect("an active token").0.clone()
    }

    /// What it holds, to look at and to edit. Requests wait while the guard is held.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock()
    }

    /// Every request so far, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().clone()
    }

    /// How many requests have come and are not answered.
    pub fn busy(&self) -> usize {
        self.shared.busy.load(Ordering::SeqCst)
    }

    /// Plays a fault to one request. What is played first is met first. A request that the limit on calls refuses meets
    /// none.
    pub fn play(&self, fault: Fault, matching: Matching) {
        self.shared.faults.lock().push(matching, fault);
    }

    /// Forgets the faults that are still to be played.
    pub fn mend(&self) {
        *self.shared.faults.lock() = Queue::default();
    }

    /// Has an operator edit the world just before or after one request is handled, with nothing in between. A request
    /// that is not handled, because of a fault, counts for nothing here.
    pub fn edit(&self, when: When, matching: Matching, act: impl FnOnce(&mut World) + Send + 'static) {
        self.shared.edits.lock().push(matching, Edit { when, act: Box::new(act) });
    }

    /// Lets the stalled requests go on.
    pub fn release(&self) {
        self.shared.releases.send_replace(());
    }

    /// Hands over the requests so far that break the schema, with what is wrong. Empty where there is no schema.
    pub fn violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.violations.lock())
    }
}

impl Drop for FakeCloudflare {
    fn drop(&mut self) {
        self.task.abort();
        let violations = self.violations();
        let is_fine = violations.is_empty() || std::thread::panicking();
        assert!(is_fine, "requests that break Cloudflare's schema:\n{}", violations.join("\n"));
    }
}
