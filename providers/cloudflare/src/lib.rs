//! Publishes answers through Cloudflare: by which origins of a Load Balancing pool are enabled, or by plain DNS records.
//!
//! ```text
//! Decision ─┐
//! observed ─┴─ plan (pure) ─> edits ─> client ─> Cloudflare, and read again until nothing is left to edit
//! ```
//!
//! One pass reads what stands, plans, writes only what differs, and reads back. Nothing is written that is not Daymark's:
//! the switch of origins that belong to a target, or what bears its [mark](MARK). Between passes it remembers what it has
//! shown, to tell a change of the answer from a change by someone else.

mod api;
mod checks;
mod client;
mod fault;
mod ledger;
mod plan;
mod public;
mod settings;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use daymark_decision::{Answer, Basis, Decision, PoolName};
use daymark_provider::{Provider, PublishError, admit};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::client::{Client, Permit};
use crate::fault::{Fault, outcome};
use crate::ledger::Ledger;
use crate::plan::{Plan, wanted};
use crate::world::World;

pub use client::{BuildError, CallError, Usage};
pub use plan::Edit;
pub use public::is_public;
pub use settings::{
    API, BALANCER_TTL, CallSettings, Manage, Mode, RECORD_TTL, RECORD_TTL_ENTERPRISE, Served, Settings, TokenSource,
    is_id,
};

/// What begins the comment or the description of everything that is Daymark's.
pub const MARK: &str = "managed by daymark";

/// How often one pass reads, at the most: what it takes to make a whole setup, and some.
const ROUNDS: usize = 6;
/// After a write whose fate is unclear, what stands is looked at again so soon: it may be applied late.
const SOON: Duration = Duration::from_secs(30);
/// How many passes after such a write.
const UNCLEAR_PASSES: u8 = 2;

/// The provider.
pub struct Cloudflare {
    world: World,
    state: tokio::sync::Mutex<State>,
    ledger: Mutex<Ledger>,
    /// The newest decision that there is, also while an older one is being published.
    newest: Mutex<Decision>,
    /// Until when this host may write; `None`: always.
    may_write_until: Mutex<Option<Instant>>,
    /// How many more passes are to follow soon. Written only within a pass.
    unclear: AtomicU8,
}

/// Held for a whole pass: there is one at a time.
#[derive(Default)]
struct State {
    published: u64,
    /// The newest generation that was tried: some of it may stand, so no older one is written over it.
    tried: u64,
    /// What was shown and read back, pool by pool.
    standing: BTreeMap<PoolName, Standing>,
    /// The pools that were met in this run.
    met: BTreeSet<PoolName>,
    /// Edits whose answer was lost, and which may have been made.
    lost: Vec<Edit>,
}

/// What stands of one pool.
struct Standing {
    shape: Shape,
    /// When it is to be looked at again.
    look_at: Instant,
}

/// What of an answer shows at Cloudflare.
type Shape = Vec<(IpAddr, bool)>;

/// What the next run must know.
#[derive(Default, Serialize, Deserialize)]
struct Memory {
    #[serde(flatten)]
    ledger: Ledger,
    /// Until when Cloudflare refuses every call. A run that does not know it would be refused for longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blocked_until: Option<Timestamp>,
}

/// What one pass did, or would do.
#[derive(Debug)]
pub struct Pass {
    /// The edits, in their order; where one failed, those that were made.
    pub edits: Vec<Edit>,
    /// Whether every answer stands, or would.
    pub outcome: Result<(), PublishError>,
}

impl Cloudflare {
    /// A provider that remembers what [`Provider::memory`] gave in an earlier run; a memory that it does not understand is
    /// none. Nothing is called yet.
    pub fn new(settings: Settings, memory: Option<Value>) -> Result<Self, BuildError> {
        let client = Client::new(&settings.calls)?;
        let memory = memory.map(serde_json::from_value).transpose().unwrap_or_else(|error| {
            warn!("provider {}: what an earlier run remembers cannot be used: {error}", settings.name);
            None
        });
        let Memory { mut ledger, blocked_until } = memory.unwrap_or_default();
        ledger.keep_pools(|pool| settings.pools.iter().any(|served| served.pool == *pool));
        if let Some(until) = blocked_until {
            client.block_until(until);
        }
        Ok(Self {
            world: World::new(client, settings),
            state: tokio::sync::Mutex::default(),
            ledger: Mutex::new(ledger),
            newest: Mutex::default(),
            may_write_until: Mutex::default(),
            unclear: AtomicU8::new(0),
        })
    }

    /// Makes Cloudflare show this decision, and tells what that took. See [`Provider::publish`].
    pub async fn pass(&self, decision: &Decision) -> Pass {
        let mut state = self.state.lock().await;
        let mut edits = Vec::new();
        if let Err(refusal) = admit(decision, state.tried) {
            return Pass { edits, outcome: Err(refusal) };
        }
        state.tried = decision.generation;
        self.supersede(decision);
        // The same decision again is asked for to look at everything; else each pool has its own time.
        let is_same = decision.generation == state.published;
        let (mut faults, mut unlooked) = (Vec::new(), Vec::new());
        for answer in self.answers(decision) {
            let standing = state.standing.get(&answer.pool).filter(|it| it.shape == shape(answer));
            let is_look = standing.is_some();
            if standing.is_some_and(|it| !is_same && Instant::now() < it.look_at) {
                continue;
            }
            if is_look && self.world.client.blocked_until().is_none() && !self.world.client.has_spare() {
                unlooked.push((answer.pool.clone(), Fault::Unlooked));
                continue;
            }
            state.standing.remove(&answer.pool);
            // The first pass of a run looks at what stood while there was none.
            let is_look = state.met.insert(answer.pool.clone()) || is_look;
            match self.show(answer, is_look, &mut edits, &mut state.lost).await {
                Ok(()) => {
                    let look_at = Instant::now() + self.world.settings.drift_interval;
                    state.standing.insert(answer.pool.clone(), Standing { shape: shape(answer), look_at });
                }
                Err(Fault::Superseded) => return Pass { edits, outcome: Err(PublishError::Superseded) },
                Err(fault) => faults.push((answer.pool.clone(), fault)),
            }
        }
        if faults.is_empty() {
            state.published = decision.generation;
            let left = self.unclear.load(Ordering::Relaxed);
            self.unclear
                .store(if unlooked.is_empty() { left.saturating_sub(1) } else { left.max(1) }, Ordering::Relaxed);
        }
        // What is new is published all the same, and the look follows soon.
        if is_same {
            faults.append(&mut unlooked);
        }
        Pass { edits, outcome: outcome(faults) }
    }

    /// The edits that [`Cloudflare::pass`] would make now. Only reads.
    pub async fn plan(&self, decision: &Decision) -> Pass {
        self.supersede(decision);
        let (mut edits, mut faults) = (Vec::new(), Vec::new());
        for answer in self.answers(decision) {
            let shown = self.ledger.lock().of(&answer.pool, true);
            let planned = if is_guess(answer) { Err(Fault::Guess) } else { self.world.plan(answer, &shown).await };
            match planned {
                Ok(mut plan) => {
                    // By then the first stands, so what it changes is not changed again.
                    for edit in &mut plan.then {
                        edit.changes.retain(|change| !plan.first.iter().any(|it| it.changes.contains(change)));
                    }
                    edits.extend(plan.first.into_iter().chain(plan.then));
                    faults.extend(problem(&plan.problems).map(|fault| (answer.pool.clone(), fault)));
                }
                Err(fault) => faults.push((answer.pool.clone(), fault)),
            }
        }
        Pass { edits, outcome: outcome(faults) }
    }

    /// How often calls were made, and how many are left.
    pub fn usage(&self) -> Usage {
        self.world.client.usage()
    }

    /// The answers of the pools that this provider publishes.
    fn answers<'a>(&'a self, decision: &'a Decision) -> impl Iterator<Item = &'a Answer> {
        self.world.settings.pools.iter().filter_map(|served| decision.answer(&served.pool))
    }

    /// Makes Cloudflare show one answer: reads, plans, writes and reads again, until it stands or cannot.
    async fn show(
        &self,
        answer: &Answer,
        is_look: bool,
        edits: &mut Vec<Edit>,
        lost: &mut Vec<Edit>,
    ) -> Result<(), Fault> {
        if is_guess(answer) {
            return Err(Fault::Guess);
        }
        // Whoever waits here would wake up with an answer that may be old by then.
        if let Some(pause) = Some(self.world.client.pause()).filter(|it| !it.is_zero()) {
            return Err(Fault::Paced(pause));
        }
        let (mut tried, mut failed, mut said) = (Vec::new(), None, BTreeSet::new());
        for round in 0..ROUNDS {
            self.may_go_on(answer)?;
            let shown = self.ledger.lock().of(&answer.pool, is_look && round == 0);
            let plan = self.world.plan(answer, &shown).await.inspect_err(|fault| self.mind(fault))?;
            self.remember(&answer.pool, &plan.agreed);
            self.remember(&answer.pool, &plan.idle);
            edits.extend(self.found(&answer.pool, &plan, lost));
            let next = untried(&plan, &tried);
            if next.is_empty() {
                self.remember(&answer.pool, &plan.waiting);
                if plan.is_whole {
                    self.ledger.lock().prune(&answer.pool, &plan.judged(), is_look);
                }
                return self.verdict(&plan, failed);
            }
            for drift in plan.drift.iter().filter(|drift| said.insert((*drift).clone())) {
                warn!("provider {}: {}: {drift}; it is set right again", self.name(), answer.pool);
            }
            for edit in next {
                let permit = self.permit(&edit, answer).await?;
                tried.push(edit.clone());
                match self.make(permit, &edit).await {
                    Ok(()) => edits.push(edit),
                    Err(fault) if fault.is_passing() => {
                        self.unclear.store(UNCLEAR_PASSES, Ordering::Relaxed);
                        lost.push(edit);
                        return Err(fault);
                    }
                    Err(fault) => failed = failed.or(Some(fault)),
                }
            }
        }
        Err(Fault::ReadsBack("come to rest".to_owned()))
    }

    /// Ends a pass whose answer shows otherwise than the newest one, or that is another host's by now.
    fn may_go_on(&self, answer: &Answer) -> Result<(), Fault> {
        if self.may_write_until.lock().is_some_and(|until| until <= Instant::now()) {
            return Err(Fault::Superseded);
        }
        let newest = self.newest.lock();
        let is_old = newest.answer(&answer.pool).is_some_and(|newest| shape(newest) != shape(answer));
        if is_old { Err(Fault::Superseded) } else { Ok(()) }
    }

    /// Those of the lost edits that are not to be made any more, for they were made. What is still to be made is planned anew.
    fn found(&self, pool: &PoolName, plan: &Plan, lost: &mut Vec<Edit>) -> Vec<Edit> {
        let (of_pool, others) = std::mem::take(lost).into_iter().partition(|edit| edit.pool == *pool);
        *lost = others;
        let is_planned = |edit: &Edit| plan.first.iter().chain(&plan.then).any(|it| it.is_like(edit));
        let made: Vec<Edit> = Vec::into_iter(of_pool).filter(|edit| !is_planned(edit)).collect();
        for edit in &made {
            info!("provider {}: {pool}: {edit}; Cloudflare's answer to it was lost", self.name());
            self.remember(pool, &edit.entries);
        }
        made
    }

    /// Waits until the share allows an edit. By then it may not be wanted any more.
    async fn permit(&self, edit: &Edit, answer: &Answer) -> Result<Permit, Fault> {
        let permit = self.world.client.permit(edit.call).await;
        let permit = permit.map_err(Fault::Call).inspect_err(|fault| self.mind(fault))?;
        self.may_go_on(answer)?;
        Ok(permit)
    }

    async fn make(&self, permit: Permit, edit: &Edit) -> Result<(), Fault> {
        let client = &self.world.client;
        let made = client.write(permit, edit.call, edit.method.clone(), &edit.path, edit.body.as_ref()).await;
        made.map_err(Fault::Call).inspect_err(|fault| self.mind(fault))?;
        info!("provider {}: {}: {edit}", self.name(), edit.pool);
        self.remember(&edit.pool, &edit.entries);
        Ok(())
    }

    /// What nothing more can be done about in this pass. What someone else has done meanwhile, as it should be, is no fault.
    fn verdict(&self, plan: &Plan, failed: Option<Fault>) -> Result<(), Fault> {
        let left = plan.first.iter().chain(&plan.then).next();
        if let Some(fault) = failed.filter(|_| left.is_some()).or_else(|| problem(&plan.problems)) {
            return Err(fault);
        }
        match left {
            Some(edit) => {
                self.unclear.store(UNCLEAR_PASSES, Ordering::Relaxed);
                Err(Fault::ReadsBack(edit.to_string()))
            }
            None => Ok(()),
        }
    }

    fn remember(&self, pool: &PoolName, entries: &[(String, ledger::Entry)]) {
        let mut ledger = self.ledger.lock();
        for (key, entry) in entries {
            ledger.remember(pool, key, *entry);
        }
    }

    /// What is not found may have been made anew under another ID.
    fn mind(&self, fault: &Fault) {
        if matches!(fault, Fault::Call(error) if error.is_not_found()) {
            self.world.forget_zone();
        }
    }
}

impl Provider for Cloudflare {
    fn name(&self) -> &str {
        &self.world.settings.name
    }

    async fn publish(&self, decision: &Decision) -> Result<(), PublishError> {
        self.pass(decision).await.outcome
    }

    fn supersede(&self, decision: &Decision) {
        let mut newest = self.newest.lock();
        if newest.generation <= decision.generation {
            newest.clone_from(decision);
        }
    }

    fn may_write(&self, until: Instant) {
        *self.may_write_until.lock() = Some(until);
    }

    async fn take_over(&self) {
        let mut state = self.state.lock().await;
        state.standing.clear();
        state.lost.clear();
        *self.ledger.lock() = Ledger::default();
        // The last call of the host before may be applied after ours.
        self.unclear.store(UNCLEAR_PASSES, Ordering::Relaxed);
    }

    fn look_again(&self) -> Option<Duration> {
        let usual = self.world.settings.drift_interval;
        Some(if self.unclear.load(Ordering::Relaxed) > 0 { usual.min(SOON) } else { usual })
    }

    async fn check(&self) -> Option<Vec<String>> {
        let has_published = self.state.lock().await.published > 0;
        let newest = self.newest.lock().clone();
        self.world.findings(&newest, has_published).await
    }

    fn memory(&self) -> Option<Value> {
        let ledger = self.ledger.lock().clone();
        serde_json::to_value(Memory { ledger, blocked_until: self.world.client.blocked_until() }).ok()
    }
}

/// Whether an answer was chosen though nothing is known yet. Something stands at Cloudflare, and that is more than a guess.
fn is_guess(answer: &Answer) -> bool {
    answer.basis == Basis::Bootstrap && !answer.has_verdicts()
}

fn shape(answer: &Answer) -> Shape {
    wanted(answer).into_iter().map(|it| (it.target.address, it.is_in)).collect()
}

/// The edits to make now: those of the first that were not tried, and then the later ones.
fn untried(plan: &Plan, tried: &[Edit]) -> Vec<Edit> {
    let left = |edits: &[Edit]| -> Vec<Edit> {
        edits.iter().filter(|edit| !tried.iter().any(|it| it.is_like(edit))).cloned().collect()
    };
    let first = left(&plan.first);
    if first.is_empty() && plan.then_is_safe { left(&plan.then) } else { first }
}

fn problem(problems: &[String]) -> Option<Fault> {
    (!problems.is_empty()).then(|| Fault::Problem(problems.join("; ")))
}
