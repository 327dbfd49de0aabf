//! A publisher under test while time stands still, unless the test advances it.
//!
//! Tokio's paused time would jump ahead whenever every task waits, also for a socket. A blocking task that never ends
//! prevents that. A call then takes no time, and only waiting for time does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use daymark::{Clock, Progress, WriterLease, remote};
use daymark_cloudflare::Cloudflare;
use daymark_decision::Decision;
use daymark_fake_cloudflare::{FakeCloudflare, Fault};
use daymark_provider::{CheckReport, Pass, RemoteProvider, RemoteReadings};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The step by which time is advanced.
const STEP: Duration = Duration::from_millis(50);
/// The step when much time passes.
const LONG_STEP: Duration = Duration::from_millis(500);
/// The real time that a call may take on a busy machine before a test fails.
const SETTLE_TIMEOUT: Duration = Duration::from_mins(1);

/// Time that stands still.
pub struct Frozen(#[allow(dead_code, reason = "its drop ends the blocking task")] std::sync::mpsc::Sender<()>);

/// Stops the time of this test.
pub fn freeze() -> Frozen {
    tokio::time::pause();
    let (keep, kept) = std::sync::mpsc::channel();
    // Ends when the other end is dropped.
    tokio::task::spawn_blocking(move || kept.recv().is_ok());
    Frozen(keep)
}

/// A publisher with its provider.
pub struct PublisherFixture {
    provider: Arc<Watched>,
    decisions: watch::Sender<Decision>,
    pub progress: Progress,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The provider, with the number of its calls in progress.
struct Watched {
    inner: Cloudflare,
    busy: AtomicUsize,
}

impl PublisherFixture {
    /// Starts to publish.
    pub fn begin(provider: Cloudflare, first: Decision) -> Self {
        let provider = Arc::new(Watched { inner: provider, busy: AtomicUsize::new(0) });
        let (decisions, newest) = watch::channel(first);
        let progress = Progress::local("cloudflare", Clock::start());
        let stop = CancellationToken::new();
        // The lease of a host without others never changes.
        let (_, lease) = watch::channel(WriterLease::NotNeeded);
        let inputs = remote::Inputs { decisions: newest, lease, memory: None, shutdown: stop.clone() };
        let task = tokio::spawn(remote::publish(provider.clone(), inputs, progress.clone()));
        Self { provider, decisions, progress, stop, task }
    }

    /// Gives the publisher a newer decision.
    pub fn decide(&self, decision: Decision) {
        self.decisions.send_replace(decision);
    }

    /// Returns true if the newest decision is published.
    pub fn is_published(&self) -> bool {
        let status = self.progress.status();
        status.published == Some(self.decisions.borrow().generation) && status.error.is_none()
    }

    /// Lets time pass. Every call that does not wait for time completes first.
    pub async fn pass(&self, cloudflare: &FakeCloudflare, time: Duration) {
        let end = Instant::now() + time;
        let step = (time / 200).clamp(STEP, LONG_STEP);
        self.settle(cloudflare).await;
        while Instant::now() < end {
            tokio::time::advance(step).await;
            self.settle(cloudflare).await;
        }
    }

    /// Lets time pass until the condition holds, up to a limit.
    pub async fn until(&self, cloudflare: &FakeCloudflare, limit: Duration, holds: impl Fn() -> bool) {
        let end = Instant::now() + limit;
        self.settle(cloudflare).await;
        while !holds() {
            assert!(Instant::now() < end, "it never holds; {:?}", self.progress.status());
            self.pass(cloudflare, STEP).await;
        }
    }

    /// Ends the publisher at once, in the middle of its work.
    pub fn kill(self) {
        self.task.abort();
    }

    /// Ends the publisher. Returns the memory for the next run.
    pub async fn end(self) -> Option<Value> {
        self.stop.cancel();
        self.task.await.expect("the publisher ends");
        self.provider.inner.memory()
    }

    /// Waits until the provider is idle or waits for time itself.
    async fn settle(&self, cloudflare: &FakeCloudflare) {
        let begun = std::time::Instant::now();
        for attempt in 0.. {
            tokio::task::yield_now().await;
            // Tasks that the time has woken run first.
            if attempt > 10 && (self.provider.busy.load(Ordering::SeqCst) == 0 || waits_for_time(cloudflare)) {
                return;
            }
            assert!(begun.elapsed() < SETTLE_TIMEOUT, "the provider never rests");
        }
    }
}

/// Returns true if every call in progress waits until time has passed.
fn waits_for_time(cloudflare: &FakeCloudflare) -> bool {
    let hangs = |fault| matches!(fault, Fault::StallBefore | Fault::StallAfter | Fault::Slow(_));
    let busy = cloudflare.busy();
    let calls = cloudflare.calls();
    let waiting = calls.iter().filter(|call| call.status.is_none() && call.fault.is_some_and(hangs));
    busy > 0 && waiting.count() >= busy
}

impl Watched {
    async fn counted<T>(&self, work: impl Future<Output = T>) -> T {
        self.busy.fetch_add(1, Ordering::SeqCst);
        let done = work.await;
        self.busy.fetch_sub(1, Ordering::SeqCst);
        done
    }
}

#[async_trait]
impl RemoteProvider for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn system(&self) -> &'static str {
        self.inner.system()
    }

    async fn plan(&self, decision: &Decision) -> Pass {
        self.counted(self.inner.plan(decision)).await
    }

    async fn apply(&self, decision: &Decision) -> Pass {
        self.counted(self.inner.apply(decision)).await
    }

    fn supersede(&self, decision: &Decision) {
        self.inner.supersede(decision);
    }

    fn set_lease(&self, until: Instant) {
        self.inner.set_lease(until);
    }

    async fn take_over(&self) {
        self.counted(self.inner.take_over()).await;
    }

    fn drift_interval(&self) -> Duration {
        self.inner.drift_interval()
    }

    async fn check(&self) -> CheckReport {
        self.counted(self.inner.check()).await
    }

    fn memory(&self) -> Option<Value> {
        self.inner.memory()
    }

    fn readings(&self) -> RemoteReadings {
        self.inner.readings()
    }
}
