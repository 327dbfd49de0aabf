//! Brings decisions to one provider: the newest wins, and what fails is tried again with back-off.
//!
//! ```text
//! decisions ─> (first verdicts) ─> attempt ─> memory ─> wait: a change, drift to look for, or the end of the back-off
//!                                     └─ refusals begin or end, other targets, something was found ─> check, beside it
//! ```
//!
//! Where several hosts run one, only the one that writes has its providers called; the others stand by. A host that is not
//! the one any more ends what is under way before the next call that writes.
//!
//! Every provider has a publisher of its own, and shares nothing with the others: one that fails, hangs or panics is late by
//! itself.

mod backoff;
mod progress;

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{Answer, Decision, Target};
use daymark_provider::{Provider, PublishError};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub use self::progress::{Calls, Progress};

pub(crate) use self::backoff::Backoff;

use self::backoff::Pauses;
use crate::keeper::Saver;
use crate::role::Role;
use daymark_files::error_chain;

/// How long the first decision waits for the first verdicts, where something stands that is better than a guess.
const FIRST_VERDICTS: Duration = Duration::from_secs(30);
/// How long after an attempt the checks are asked for.
const CHECK_AFTER: Duration = Duration::from_secs(1);
/// How long until the checks are asked for again, where they could not be made.
const CHECK_AGAIN: Duration = Duration::from_mins(1);
/// How long an attempt may go on after the shutdown.
const LAST_ATTEMPT: Duration = Duration::from_secs(5);

/// Publishes each newest decision until the shutdown, or until no more can come.
pub async fn publish<P: Provider>(
    provider: Arc<P>,
    decisions: watch::Receiver<Decision>,
    progress: Progress,
    memory: Option<Saver<Value>>,
    role: watch::Receiver<Role>,
    shutdown: CancellationToken,
) {
    let turned = Notify::new();
    let publisher = Publisher {
        provider: &*provider,
        decisions: decisions.clone(),
        progress: &progress,
        memory,
        role: role.clone(),
        shutdown,
        turned: &turned,
        asked: None,
    };
    // A check may take long, and a change must not wait for it.
    tokio::select! {
        () = publisher.run() => {}
        () = check(&*provider, &progress, &turned) => {}
        () = follow(&*provider, decisions, &progress) => {}
        () = lend(&*provider, role) => {}
    }
}

struct Publisher<'a, P> {
    provider: &'a P,
    decisions: watch::Receiver<Decision>,
    progress: &'a Progress,
    memory: Option<Saver<Value>>,
    /// Whether this host is the one that writes.
    role: watch::Receiver<Role>,
    shutdown: CancellationToken,
    /// Told when the checks are to be made.
    turned: &'a Notify,
    asked: Option<Asked>,
}

/// When the checks were asked for, and how it stood then.
struct Asked {
    at: Instant,
    is_refused: bool,
    targets: BTreeSet<Target>,
}

/// When the next attempt may be made.
struct Next {
    /// With the same decision; `None`: never.
    same: Option<Instant>,
    /// With a changed one.
    changed: Instant,
}

impl<P: Provider> Publisher<'_, P> {
    async fn run(mut self) {
        self.first_verdicts().await;
        let mut backoff = Backoff::default();
        // Who has others may write only after it has taken over, also where it may at once.
        let mut stands_by = *self.role.borrow() != Role::Sole;
        while !self.shutdown.is_cancelled() {
            if stands_by || !self.role.borrow().may_write() {
                if !self.stand_by().await {
                    break;
                }
                (stands_by, backoff) = (false, Backoff::default());
            }
            let decision = self.decisions.borrow_and_update().clone();
            self.progress.wants(decision.generation);
            self.progress.begins();
            let Some(outcome) = self.attempt(&decision).await else { break };
            self.ask_for_checks(&outcome, &decision);
            let next = self.noted(outcome, decision.generation, &mut backoff);
            let memory = self.provider.memory();
            if let (Some(file), Some(memory)) = (&mut self.memory, &memory) {
                file.save(memory).await;
            }
            if !self.wait(&next, &news(&decision), memory.as_ref()).await {
                break;
            }
        }
        if let (Some(file), Some(memory)) = (&mut self.memory, self.provider.memory()) {
            file.finish(&memory).await;
        }
    }

    /// Waits until this host is the one that writes; `false` at the shutdown.
    async fn stand_by(&mut self) -> bool {
        let name = self.provider.name();
        self.progress.stands_by(true);
        debug!("provider {name}: another host writes, or none does");
        loop {
            let role = *self.role.borrow_and_update();
            if role.may_write() {
                break;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return false,
                changed = self.role.changed() => if changed.is_err() {
                    self.shutdown.cancelled().await;
                    return false;
                },
            }
        }
        info!("provider {name}: this host writes from now on");
        lend_once(self.provider, *self.role.borrow());
        self.progress.stands_by(false);
        // Another host may have written since, so what is remembered of what stands need not hold.
        self.provider.take_over().await;
        true
    }

    /// What stands elsewhere is better than a guess for want of verdicts, but not for ever.
    async fn first_verdicts(&mut self) {
        if self.provider.look_again().is_none() {
            return;
        }
        let judged = self.decisions.wait_for(|decision| decision.answers.iter().all(Answer::has_verdicts));
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            judged = timeout(FIRST_VERDICTS, judged) => if judged.is_err() {
                let (name, waited) = (self.provider.name(), FIRST_VERDICTS.as_secs());
                warn!("provider {name}: not every target has a verdict after {waited} s; it is told what is known");
            }
        }
    }

    /// How an attempt went; `None` where the shutdown has cut it short.
    async fn attempt(&self, decision: &Decision) -> Option<Result<(), PublishError>> {
        let too_late = async {
            self.shutdown.cancelled().await;
            sleep(LAST_ATTEMPT).await;
        };
        tokio::select! {
            outcome = caught(self.provider.publish(decision)) => Some(outcome.unwrap_or_else(|crash| {
                Err(PublishError::Unavailable { source: crash.into(), pause: None })
            })),
            () = too_late => None,
        }
    }

    /// Has the checks made where refusals begin or end, where there are other targets, and with each look as long as
    /// something is found: an operator who mends it is told so.
    fn ask_for_checks(&mut self, outcome: &Result<(), PublishError>, decision: &Decision) {
        let is_refused = match outcome {
            Ok(()) => false,
            Err(PublishError::Refused(_)) => true,
            // A world that is not to be reached has nothing to say of what is wrong in it.
            Err(_) => return,
        };
        let targets =
            decision.answers.iter().flat_map(|answer| &answer.reasons).map(|(target, _)| target.clone()).collect();
        let is_due = self.asked.as_ref().is_none_or(|asked| {
            let is_time = self.provider.look_again().is_some_and(|pause| asked.at.elapsed() >= pause);
            asked.is_refused != is_refused || asked.targets != targets || (is_time && self.progress.has_findings())
        });
        if is_due {
            self.asked = Some(Asked { at: Instant::now(), is_refused, targets });
            self.turned.notify_one();
        }
    }

    /// Takes note of an attempt, and tells when the next may be made.
    fn noted(&self, outcome: Result<(), PublishError>, generation: u64, backoff: &mut Backoff) -> Next {
        let (name, now) = (self.provider.name(), Instant::now());
        match outcome {
            Ok(()) => {
                debug!("provider {name} has published generation {generation}");
                self.progress.done(generation);
                *backoff = Backoff::default();
                Next { same: self.provider.look_again().map(|pause| now + pause), changed: now }
            }
            Err(PublishError::Superseded) => {
                debug!(
                    "provider {name}: generation {generation} is not sent any further: {}",
                    PublishError::Superseded
                );
                Next { same: Some(now), changed: now }
            }
            // Trying again makes neither newer nor fuller; the next decision will do.
            Err(fault @ (PublishError::Stale { .. } | PublishError::Empty(_))) => {
                error!("provider {name}: {fault}");
                self.progress.failed(fault.to_string());
                Next { same: None, changed: now }
            }
            Err(fault) => {
                let Pauses { same, changed } = backoff.after(&fault);
                let fault = error_chain(&fault);
                if self.shutdown.is_cancelled() {
                    warn!("provider {name}: {fault}");
                } else {
                    warn!("provider {name}: {fault}; again in {:.1} s", same.as_secs_f64());
                }
                self.progress.failed(fault);
                Next { same: Some(now + same), changed: now + changed }
            }
        }
    }

    /// Waits for the next attempt; `false` at the end.
    async fn wait(&mut self, next: &Next, tried: &News, memory: Option<&Value>) -> bool {
        loop {
            let is_changed = news(&self.decisions.borrow_and_update()) != *tried;
            let due = if is_changed { Some(next.changed) } else { next.same };
            let timer = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let attention = async {
                match (&mut self.memory, memory) {
                    (Some(file), Some(memory)) => {
                        file.needs_attention(memory).await;
                        file.save(memory).await;
                    }
                    _ => std::future::pending().await,
                }
            };
            let lost = async {
                if self.role.wait_for(|role| !role.may_write()).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => return false,
                () = lost => return true,
                changed = self.decisions.changed() => if changed.is_err() { return false },
                () = timer => return true,
                () = attention => {}
            }
        }
    }
}

/// What of a decision is worth an attempt: its generation, and which of its answers are no guesses any more.
type News = (u64, Vec<bool>);

fn news(decision: &Decision) -> News {
    (decision.generation, decision.answers.iter().map(Answer::has_verdicts).collect())
}

/// Checks whenever it is asked to; for ever.
async fn check(provider: &impl Provider, progress: &Progress, turned: &Notify) {
    loop {
        turned.notified().await;
        // What has just been refused is not asked for again in the same breath.
        sleep(CHECK_AFTER).await;
        let findings = loop {
            match caught(provider.check()).await {
                Ok(Some(findings)) => break findings,
                Ok(None) => sleep(CHECK_AGAIN).await,
                Err(crash) => break vec![format!("the check: {crash}")],
            }
        };
        let former = progress.found(findings.clone());
        for finding in findings.iter().filter(|it| !former.contains(it)) {
            warn!("provider {}: {finding}", provider.name());
        }
        for finding in former.iter().filter(|it| !findings.contains(it)) {
            info!("provider {}: no longer: {finding}", provider.name());
        }
    }
}

/// Takes note of every decision that is to be published, also while an attempt is under way; for ever.
async fn follow(provider: &impl Provider, mut decisions: watch::Receiver<Decision>, progress: &Progress) {
    loop {
        let newest = decisions.borrow_and_update().clone();
        progress.wants(newest.generation);
        provider.supersede(&newest);
        if decisions.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Tells how long this host may write, whenever that changes; for ever.
async fn lend(provider: &impl Provider, mut role: watch::Receiver<Role>) {
    loop {
        lend_once(provider, *role.borrow_and_update());
        if role.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn lend_once(provider: &impl Provider, role: Role) {
    match role {
        Role::Sole => {}
        Role::Writer { until } => provider.may_write(until),
        Role::Reader | Role::Unclear => provider.may_write(Instant::now()),
    }
}

/// What comes of it, or what it said when it crashed: a defect of one provider ends no other.
async fn caught<T>(doing: impl Future<Output = T>) -> Result<T, String> {
    let told = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("it has crashed: {}", text.unwrap_or_default())
    };
    AssertUnwindSafe(doing).catch_unwind().await.map_err(told)
}

#[cfg(test)]
mod tests;
