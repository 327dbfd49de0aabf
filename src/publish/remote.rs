//! The publisher of one remote provider.
//!
//! ```text
//! decision ─> first verdicts ─> attempt ─> memory ─> wait for a change, the next drift check, or the end of the back-off
//!                                  └─> check, beside it: when refusals begin or end, when targets change, while it finds any
//! ```
//!
//! Of several hosts only the one with the writer lease calls its provider; the others stand by. A host that loses the lease
//! ends its attempt before the next write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{Answer, Decision, Target};
use daymark_files::error_chain;
use daymark_provider::{ApplyError, CheckReport, RemoteProvider};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::backoff::{Backoff, Pauses};
use super::{Progress, Revision, WriterLease, catch_panic, follow};
use crate::state::StateWriter;

/// The time that the first decision waits for the first verdicts. Until then the published answer of the last run stays.
const FIRST_VERDICTS_TIMEOUT: Duration = Duration::from_secs(30);
/// The interval between checks while nothing changes, because someone may change a setting at the remote system.
const CHECK_INTERVAL: Duration = Duration::from_hours(1);
/// The least time between checks because of edits, so that a node that flaps does not use up the calls.
const CHECK_AFTER_EDITS: Duration = Duration::from_mins(4);
/// The pause between an attempt and the check after it.
const CHECK_AFTER: Duration = Duration::from_secs(1);
/// The pause before another check if the remote system could not be asked.
const CHECK_RETRY: Duration = Duration::from_mins(1);
/// The time that an attempt may take after the shutdown.
const LAST_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The inputs of the publisher of one remote provider.
pub struct Inputs {
    /// The newest decision.
    pub decisions: watch::Receiver<Decision>,
    /// The writer lease of this host.
    pub lease: watch::Receiver<WriterLease>,
    /// The writer of the provider's memory, if state is kept.
    pub memory: Option<StateWriter<Value>>,
    /// Cancelled at the shutdown.
    pub shutdown: CancellationToken,
}

/// Publishes each newest decision until the shutdown or the last decision.
pub async fn publish<P: RemoteProvider + ?Sized>(provider: Arc<P>, inputs: Inputs, progress: Progress) {
    let provider = &*provider;
    let Inputs { decisions, lease, memory, shutdown } = inputs;
    let check_requests = Notify::new();
    let publisher = RemotePublisher {
        provider,
        decisions: decisions.clone(),
        progress: &progress,
        memory,
        lease: lease.clone(),
        shutdown,
        check_requests: &check_requests,
        last_request: None,
        has_edited: false,
    };
    let note = |newest: &Decision| {
        progress.desire(newest.generation);
        provider.supersede(newest);
    };
    // A check may take long, and no change must wait for it.
    tokio::select! {
        () = publisher.run() => {}
        () = check(provider, &progress, &check_requests) => {}
        () = follow(decisions, note) => {}
        () = pass_lease_on(provider, lease) => {}
    }
}

struct RemotePublisher<'a, P: ?Sized> {
    provider: &'a P,
    decisions: watch::Receiver<Decision>,
    progress: &'a Progress,
    memory: Option<StateWriter<Value>>,
    lease: watch::Receiver<WriterLease>,
    shutdown: CancellationToken,
    /// Notified when a check is due.
    check_requests: &'a Notify,
    last_request: Option<CheckRequest>,
    /// True if something was written since then.
    has_edited: bool,
}

/// The last request for a check, with the state at that time.
struct CheckRequest {
    at: Instant,
    is_refused: bool,
    targets: BTreeSet<Target>,
}

/// The times of the next attempt.
struct NextAttempt {
    /// The time of the next attempt with the same decision; `None` if there is none.
    same: Option<Instant>,
    /// The time of the next attempt with a changed decision.
    changed: Instant,
}

impl<P: RemoteProvider + ?Sized> RemotePublisher<'_, P> {
    async fn run(mut self) {
        self.await_first_verdicts().await;
        let mut backoff = Backoff::default();
        // Among several hosts, also the first to write takes over from the writer of an earlier run.
        let mut is_standby = *self.lease.borrow() != WriterLease::NotNeeded;
        while !self.shutdown.is_cancelled() {
            if is_standby || !self.lease.borrow().may_write() {
                if !self.stand_by().await {
                    break;
                }
                is_standby = false;
                backoff = Backoff::default();
            }
            let decision = self.decisions.borrow_and_update().clone();
            self.progress.desire(decision.generation);
            self.progress.begin();
            let Some(outcome) = self.attempt(&decision).await else { break };
            self.request_check(&outcome, &decision);
            let next = self.record(outcome, decision.generation, &mut backoff);
            let memory = self.provider.memory();
            if let (Some(file), Some(memory)) = (&mut self.memory, &memory) {
                file.save(memory).await;
            }
            if !self.wait(&next, &Revision::of(&decision), memory.as_ref()).await {
                break;
            }
        }
        if let (Some(file), Some(memory)) = (&mut self.memory, self.provider.memory()) {
            file.finish(&memory).await;
        }
    }

    /// Waits until this host has the lease, and takes over. Returns false at the shutdown.
    async fn stand_by(&mut self) -> bool {
        let name = self.provider.name();
        self.progress.set_standby(true);
        debug!("provider {name}: standby, this host does not have the writer lease");
        loop {
            let lease = *self.lease.borrow_and_update();
            if lease.may_write() {
                break;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return false,
                changed = self.lease.changed() => if changed.is_err() {
                    self.shutdown.cancelled().await;
                    return false;
                },
            }
        }
        info!("provider {name}: this host has the writer lease now");
        pass_lease(self.provider, *self.lease.borrow());
        self.progress.set_standby(false);
        // Another host may have written since, so the provider's memory may be out of date.
        self.provider.take_over().await;
        true
    }

    /// Waits for the first verdicts, but not for ever: the published answer of the last run is better than one without them.
    async fn await_first_verdicts(&mut self) {
        let first_verdicts = self.decisions.wait_for(|decision| decision.answers.iter().all(Answer::has_verdicts));
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            outcome = timeout(FIRST_VERDICTS_TIMEOUT, first_verdicts) => if outcome.is_err() {
                let name = self.provider.name();
                let waited = FIRST_VERDICTS_TIMEOUT.as_secs();
                warn!("provider {name}: some targets have no verdict after {waited} s; Daymark publishes what is known");
            }
        }
    }

    /// Applies a decision. `None` if the shutdown cut it short.
    async fn attempt(&mut self, decision: &Decision) -> Option<Result<(), ApplyError>> {
        let timeout = async {
            self.shutdown.cancelled().await;
            sleep(LAST_ATTEMPT_TIMEOUT).await;
        };
        tokio::select! {
            pass = catch_panic(self.provider.apply(decision)) => Some(match pass {
                Ok(pass) => {
                    self.has_edited |= !pass.edits.is_empty();
                    pass.outcome
                }
                Err(panic) => Err(ApplyError::Unavailable { source: panic.into(), pause: None }),
            }),
            () = timeout => None,
        }
    }

    /// Requests a check when refusals begin or end, when the targets change, after edits if the last check is long enough ago, and
    /// after [`CHECK_INTERVAL`]. While there are findings, also with each drift check, so that an operator sees when they are gone.
    fn request_check(&mut self, outcome: &Result<(), ApplyError>, decision: &Decision) {
        let is_refused = match outcome {
            Ok(()) => false,
            Err(ApplyError::Refused(_)) => true,
            // A remote system that cannot be reached cannot be checked.
            Err(_) => return,
        };
        let reasons = decision.answers.iter().flat_map(|answer| &answer.reasons);
        let targets = reasons.map(|known| known.target.clone()).collect();
        let is_due = self.last_request.as_ref().is_none_or(|last| {
            let interval = match (self.has_edited, self.progress.has_findings()) {
                (true, _) => CHECK_AFTER_EDITS,
                (false, true) => self.provider.drift_interval(),
                (false, false) => CHECK_INTERVAL,
            };
            last.is_refused != is_refused || last.targets != targets || last.at.elapsed() >= interval
        });
        if is_due {
            self.last_request = Some(CheckRequest { at: Instant::now(), is_refused, targets });
            self.has_edited = false;
            self.check_requests.notify_one();
        }
    }

    /// Records the outcome of an attempt, and returns the times of the next one.
    fn record(&self, outcome: Result<(), ApplyError>, generation: u64, backoff: &mut Backoff) -> NextAttempt {
        let name = self.provider.name();
        let now = Instant::now();
        match outcome {
            Ok(()) => {
                debug!("provider {name} has published generation {generation}");
                self.progress.succeed(generation);
                *backoff = Backoff::default();
                NextAttempt { same: Some(now + self.provider.drift_interval()), changed: now }
            }
            Err(superseded @ ApplyError::Superseded) => {
                debug!("provider {name}: generation {generation}: {superseded}");
                NextAttempt { same: Some(now), changed: now }
            }
            // Another attempt would not help. The next decision will.
            Err(ApplyError::Decision(fault)) => {
                error!("provider {name}: {fault}");
                self.progress.fail(fault.to_string());
                NextAttempt { same: None, changed: now }
            }
            Err(fault) => {
                let Pauses { same, changed } = backoff.after(&fault);
                let fault = error_chain(&fault);
                if self.shutdown.is_cancelled() {
                    warn!("provider {name}: {fault}");
                } else {
                    warn!("provider {name}: {fault}; next attempt in {:.1} s", same.as_secs_f64());
                }
                self.progress.fail(fault);
                NextAttempt { same: Some(now + same), changed: now + changed }
            }
        }
    }

    /// Waits for the next attempt. Returns false at the shutdown or after the last decision.
    async fn wait(&mut self, next: &NextAttempt, tried: &Revision, memory: Option<&Value>) -> bool {
        loop {
            let is_changed = Revision::of(&self.decisions.borrow_and_update()) != *tried;
            let due = if is_changed { Some(next.changed) } else { next.same };
            let timer = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let save = async {
                match (&mut self.memory, memory) {
                    (Some(file), Some(memory)) => {
                        file.needs_attention(memory).await;
                        file.save(memory).await;
                    }
                    _ => std::future::pending().await,
                }
            };
            let lease_lost = async {
                if self.lease.wait_for(|lease| !lease.may_write()).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => return false,
                () = lease_lost => return true,
                changed = self.decisions.changed() => if changed.is_err() { return false },
                () = timer => return true,
                () = save => {}
            }
        }
    }
}

/// Makes each check that is requested, without end.
async fn check<P: RemoteProvider + ?Sized>(provider: &P, progress: &Progress, requests: &Notify) {
    loop {
        requests.notified().await;
        // A system that has just refused an attempt is not asked again at once.
        sleep(CHECK_AFTER).await;
        loop {
            let report = match catch_panic(provider.check()).await {
                Ok(report) => report,
                Err(panic) => CheckReport { findings: vec![format!("the check: {panic}")], ..CheckReport::default() },
            };
            let is_incomplete = report.is_incomplete;
            record(provider.name(), progress, report);
            if !is_incomplete {
                break;
            }
            sleep(CHECK_RETRY).await;
        }
    }
}

/// Records and logs the report of a check. What could not be asked now is as it was.
fn record(name: &str, progress: &Progress, report: CheckReport) {
    let mut findings = report.findings.clone();
    let former = progress.findings();
    if report.is_incomplete {
        findings.extend(former.iter().filter(|finding| !report.findings.contains(finding)).cloned());
    }
    for finding in findings.iter().filter(|finding| !former.contains(finding)) {
        warn!("provider {name}: {finding}");
    }
    for finding in former.iter().filter(|finding| !findings.contains(finding)) {
        info!("provider {name}: resolved: {finding}");
    }
    progress.replace_report(CheckReport { findings, ..report });
}

/// Passes each change of the lease on to the provider, without end.
async fn pass_lease_on<P: RemoteProvider + ?Sized>(provider: &P, mut lease: watch::Receiver<WriterLease>) {
    loop {
        pass_lease(provider, *lease.borrow_and_update());
        if lease.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn pass_lease<P: RemoteProvider + ?Sized>(provider: &P, lease: WriterLease) {
    match lease {
        WriterLease::NotNeeded => {}
        WriterLease::Held { until } => provider.set_lease(until),
        WriterLease::HeldElsewhere | WriterLease::Unclear => provider.set_lease(Instant::now()),
    }
}
