//! The loop that makes the remote state of one pool match its answer.

use std::collections::BTreeSet;

use daymark_decision::{Answer, PoolName};
use daymark_provider::{Edit, RemoteProvider};
use tracing::{info, warn};

use crate::client::Permit;
use crate::drift::NamedEntry;
use crate::fault::PoolFault;
use crate::plan::{Plan, PlannedEdit, problem};
use crate::provider::{Cloudflare, is_without_verdict};

/// The number of rounds of one pass: enough to create a whole setup, and a few more.
const MAX_ROUNDS: usize = 6;

impl Cloudflare {
    /// Observes, plans, writes and observes again, until the answer is published or cannot be.
    ///
    /// Adds the edits that were made to `edits`, and those without a response to `unconfirmed`.
    pub(crate) async fn reconcile(
        &self,
        answer: &Answer,
        is_drift_check: bool,
        edits: &mut Vec<Edit>,
        unconfirmed: &mut Vec<PlannedEdit>,
    ) -> Result<(), PoolFault> {
        if is_without_verdict(answer) {
            return Err(PoolFault::NoVerdict);
        }
        // After a pause this answer could be old. The publisher waits instead, and begins with the newest.
        let pause = self.observer.client.pause();
        if !pause.is_zero() {
            return Err(PoolFault::Throttled(pause));
        }
        let mut tried = Vec::new();
        let mut refusal = None;
        let mut reported = BTreeSet::new();
        for round in 0..MAX_ROUNDS {
            let plan = self.observe_and_plan(answer, is_drift_check && round == 0).await?;
            edits.extend(self.confirm(&answer.pool, &plan, unconfirmed));
            let next = untried(&plan, &tried);
            if next.is_empty() {
                self.remember(&answer.pool, &plan.postponed);
                if plan.is_complete {
                    self.tracker.lock().prune(&answer.pool, &plan.compared_keys(), is_drift_check);
                }
                return self.conclude(&plan, refusal);
            }
            for drift in plan.drift.iter().filter(|drift| reported.insert((*drift).clone())) {
                warn!("provider {}: {}: {drift}; Daymark repairs it", self.name(), answer.pool);
            }
            for planned in next {
                let permit = self.permit(&planned, answer).await?;
                tried.push(planned.clone());
                match self.write(permit, &planned).await {
                    Ok(()) => edits.push(planned.edit),
                    Err(fault) if fault.is_temporary() => {
                        self.recheck_soon();
                        unconfirmed.push(planned);
                        return Err(fault);
                    }
                    Err(fault) => refusal = refusal.or(Some(fault)),
                }
            }
        }
        Err(PoolFault::NotConfirmed("each edit makes another one necessary".to_owned()))
    }

    async fn observe_and_plan(&self, answer: &Answer, is_drift_check: bool) -> Result<Plan, PoolFault> {
        self.ensure_current(answer)?;
        let remote = self.observer.observe(answer).await.inspect_err(|fault| self.forget_missing(fault))?;
        let published = self.tracker.lock().of(&answer.pool, is_drift_check);
        let plan = remote.plan(answer, &published);
        self.remember(&answer.pool, &plan.confirmed);
        self.remember(&answer.pool, &plan.unused);
        Ok(plan)
    }

    /// Takes the unconfirmed edits of this pool, and returns those that Cloudflare has made. The others are planned anew.
    fn confirm(&self, pool: &PoolName, plan: &Plan, unconfirmed: &mut Vec<PlannedEdit>) -> Vec<Edit> {
        let (of_pool, others): (Vec<_>, Vec<_>) =
            std::mem::take(unconfirmed).into_iter().partition(|planned| planned.edit.pool == *pool);
        *unconfirmed = others;
        let is_left = |edit: &PlannedEdit| plan.first.iter().chain(&plan.then).any(|planned| planned.is_like(edit));
        let mut made = Vec::new();
        for planned in of_pool.into_iter().filter(|planned| !is_left(planned)) {
            info!("provider {}: {pool}: {planned}; Cloudflare's response to it was lost", self.name());
            self.remember(pool, &planned.entries);
            made.push(planned.edit);
        }
        made
    }

    /// Waits until the share of calls allows an edit, and then checks that the answer is still current.
    async fn permit(&self, planned: &PlannedEdit, answer: &Answer) -> Result<Permit, PoolFault> {
        let permit = self.observer.client.permit(planned.call).await;
        let permit = permit.map_err(PoolFault::Call).inspect_err(|fault| self.forget_missing(fault))?;
        self.ensure_current(answer)?;
        Ok(permit)
    }

    async fn write(&self, permit: Permit, planned: &PlannedEdit) -> Result<(), PoolFault> {
        let PlannedEdit { edit, method, call, entries } = planned;
        let written = self.observer.client.write(permit, *call, method.clone(), &edit.path, edit.body.as_ref()).await;
        written.map_err(PoolFault::Call).inspect_err(|fault| self.forget_missing(fault))?;
        info!("provider {}: {}: {planned}", self.name(), edit.pool);
        self.remember(&edit.pool, entries);
        Ok(())
    }

    /// The outcome once no edit is left to try. A refused edit does not matter if someone else has made the change meanwhile.
    fn conclude(&self, plan: &Plan, refusal: Option<PoolFault>) -> Result<(), PoolFault> {
        let left = plan.first.iter().chain(&plan.then).next();
        if let Some(fault) = refusal.filter(|_| left.is_some()).or_else(|| problem(&plan.problems)) {
            return Err(fault);
        }
        match left {
            Some(planned) => {
                self.recheck_soon();
                Err(PoolFault::NotConfirmed(planned.to_string()))
            }
            None => Ok(()),
        }
    }

    fn remember(&self, pool: &PoolName, entries: &[NamedEntry]) {
        let mut tracker = self.tracker.lock();
        for entry in entries {
            tracker.remember(pool, entry);
        }
    }

    /// Looks the zones up again next time if something was refused: they may exist under new IDs.
    fn forget_missing(&self, fault: &PoolFault) {
        if matches!(fault, PoolFault::Call(error) if error.is_refused()) {
            self.observer.forget_zones();
        }
    }
}

/// The edits to make now: those of the first that were not tried, and then the later ones.
fn untried(plan: &Plan, tried: &[PlannedEdit]) -> Vec<PlannedEdit> {
    let left = |edits: &[PlannedEdit]| -> Vec<PlannedEdit> {
        edits.iter().filter(|edit| !tried.iter().any(|former| former.is_like(edit))).cloned().collect()
    };
    let first = left(&plan.first);
    if first.is_empty() && plan.then_is_safe { left(&plan.then) } else { first }
}
