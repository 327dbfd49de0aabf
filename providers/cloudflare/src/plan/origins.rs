//! The origins of a Load Balancing pool: their switches, and in a pool of Daymark's own also the origins themselves.

use std::collections::BTreeSet;

use daymark_decision::{Answer, Family, PoolName};
use http::Method;
use serde_json::{Map, Value, json};

use super::origin::{existence_key, is_at, is_created, label, name_beside, target_of};
use super::{Action, DesiredTarget, Plan, PlannedEdit, Request, desired_targets, kept_families};
use crate::api::{CloudflareOrigin, CloudflarePool};
use crate::client::Call;
use crate::drift::{EntryHistory, NamedEntry, PublishedEntries, States};
use crate::finding::CloudflareFinding;

/// Plans the switches of a pool that belongs to the operator.
pub(crate) fn plan_switches(
    path: &str,
    observed: &CloudflarePool,
    answer: &Answer,
    published: &PublishedEntries,
) -> Plan {
    let Desired { targets, kept, plan } = Desired::new(observed, answer);
    if targets.is_empty() {
        return plan;
    }
    let mut draft = Draft::new(observed, &targets, &kept);
    draft.plan = plan;
    draft.switch(published);
    if draft.is_answered() {
        return draft.into_plan(&answer.pool, path, Map::new());
    }
    // The enabled origins stay: an answer that may be old is better than none.
    Plan { problems: vec![unanswerable(observed, &targets)], confirmed: draft.plan.confirmed, ..Plan::default() }
}

/// Plans a pool that is Daymark's own: the switches, the origins, and that the pool is enabled.
///
/// If both are needed, the switches come first and alone: whatever else Cloudflare may refuse, a dead node is out.
pub(crate) fn plan_own_pool(
    path: &str,
    observed: &CloudflarePool,
    answer: &Answer,
    published: &PublishedEntries,
) -> Plan {
    let pool = &answer.pool;
    let Desired { targets, kept, plan } = Desired::new(observed, answer);
    let mut switches = Draft::new(observed, &targets, &kept);
    switches.switch(published);
    let mut draft = Draft::new(observed, &targets, &kept);
    draft.plan = plan;
    draft.reconcile(&targets, published);
    let is_more = !draft.changes.is_empty() || !observed.is_enabled();
    draft.switch(published);
    if !draft.is_answered() && draft.has_weightless() {
        // The enabled origins stay: an answer that may be old is better than none.
        return Plan {
            problems: vec![unanswerable(observed, &targets)],
            confirmed: draft.plan.confirmed,
            ..Plan::default()
        };
    }
    let mut fields = Map::new();
    if !observed.is_enabled() {
        // Without its pool the name has no address at all, so this is never left alone.
        draft.plan.drift.push(format!("someone else has disabled the Cloudflare pool {}", observed.name()));
        draft.changes.push(format!("enable the Cloudflare pool {}", observed.name()));
        fields.insert("enabled".to_owned(), true.into());
    }
    let is_alone = is_more && switches.is_answered() && !switches.changes.is_empty();
    let plan = draft.into_plan(pool, path, fields);
    if !is_alone {
        return plan;
    }
    let switches = switches.into_plan(pool, path, Map::new());
    Plan { first: switches.first, then: plan.first, ..plan }
}

/// The body that creates a pool of Daymark's own.
pub(crate) fn new_pool(name: &str, description: &str, targets: &[DesiredTarget]) -> Value {
    let new_origin =
        |desired: &DesiredTarget| CloudflareOrigin::new(&desired.origin, desired.target.address, desired.is_in);
    let origins: Vec<CloudflareOrigin> = targets.iter().map(new_origin).collect();
    json!({ "name": name, "description": description, "enabled": true, "minimum_origins": 1, "origins": origins })
}

/// The targets whose origins are planned, and the origins that stay as they are.
struct Desired {
    targets: Vec<DesiredTarget>,
    /// The labels of the origins of families of which an earlier answer stays.
    kept: BTreeSet<String>,
    /// The problems so far.
    plan: Plan,
}

impl Desired {
    fn new(observed: &CloudflarePool, answer: &Answer) -> Self {
        let mut targets = desired_targets(answer);
        let origins = observed.origins();
        let address_of = |origin: &CloudflareOrigin| match target_of(origin, &targets) {
            Some(desired) => Some(desired.target.address),
            None => origin.address().parse().ok().filter(|_| is_created(origin)),
        };
        let is_of =
            |origin: &CloudflareOrigin, family| address_of(origin).is_some_and(|address| Family::of(address) == family);
        let enabled = |family| {
            let enabled = origins.iter().filter(|origin| origin.is_enabled() && is_of(origin, family));
            enabled.filter_map(address_of).collect()
        };
        let mut plan = Plan::default();
        let families = kept_families(answer, enabled, &mut plan);
        let is_kept = |origin: &&CloudflareOrigin| families.iter().any(|family| is_of(origin, *family));
        let kept = origins.iter().filter(is_kept).map(label).collect();
        targets.retain(|desired| !families.contains(&desired.target.family()));
        Self { targets, kept, plan }
    }
}

/// The desired origins of a pool, while they are planned.
struct Draft<'a> {
    origins: Vec<DraftOrigin<'a>>,
    /// The differences from the observed origins, as sentences.
    changes: Vec<String>,
    /// The entries to remember once the changes are made.
    entries: Vec<NamedEntry>,
    plan: Plan,
}

/// An origin, with the target that it belongs to.
struct DraftOrigin<'a> {
    origin: CloudflareOrigin,
    desired: Option<&'a DesiredTarget>,
    /// True if it stays as it is.
    is_kept: bool,
}

/// A contested switch, decided last.
struct ContestedSwitch<'a> {
    index: usize,
    desired: &'a DesiredTarget,
    entry: EntryHistory,
    drift: String,
}

impl<'a> Draft<'a> {
    fn new(observed: &CloudflarePool, targets: &'a [DesiredTarget], kept: &BTreeSet<String>) -> Self {
        let mut origins = Vec::new();
        for origin in observed.origins() {
            let is_kept = kept.contains(&label(&origin));
            let desired = if is_kept { None } else { target_of(&origin, targets) };
            origins.push(DraftOrigin { origin, desired, is_kept });
        }
        Self { origins, changes: Vec::new(), entries: Vec::new(), plan: Plan::default() }
    }

    /// Gives each target one origin: adds missing origins, moves those at another address, and removes those that Daymark has
    /// created and no target needs. Origins of others stay; one at the address of a target serves it.
    fn reconcile(&mut self, targets: &'a [DesiredTarget], published: &PublishedEntries) {
        let is_answered = self.is_answered();
        let existing: Vec<String> = self.origins.iter().map(|draft| existence_key(&draft.origin)).collect();
        let chosen: Vec<Option<String>> = targets.iter().map(|desired| self.origin_for(desired)).collect();
        for DraftOrigin { origin, desired, is_kept } in std::mem::take(&mut self.origins) {
            let label = label(&origin);
            let serves = chosen.iter().position(|chosen| chosen.as_deref() == Some(&label));
            if is_kept || !is_created(&origin) {
                self.origins.push(DraftOrigin { origin, desired, is_kept });
            } else if let Some(index) = serves {
                let origin = self.move_to_target(origin, &targets[index], published);
                self.origins.push(DraftOrigin { origin, desired: Some(&targets[index]), is_kept });
            } else if !self.remove(&origin, published) {
                self.origins.push(DraftOrigin { origin, desired: None, is_kept });
            }
        }
        for draft in self.origins.iter().filter(|draft| is_created(&draft.origin) && draft.desired.is_some()) {
            self.plan.confirm_exists(published, &existence_key(&draft.origin));
        }
        // Each target has an origin, in or out, so an absent origin belongs to no target.
        self.plan.confirm_absent(published, |key| existing.iter().any(|existing| existing == key), |_| false);
        for (desired, chosen) in targets.iter().zip(chosen) {
            // An origin that someone else keeps at another address does not answer for the node.
            let needs_another = !is_answered && desired.is_in && !self.has_origin_at(desired);
            if chosen.is_none() || needs_another {
                self.add(desired, is_answered, published);
            }
        }
    }

    fn has_origin_at(&self, desired: &DesiredTarget) -> bool {
        self.origins.iter().any(|draft| is_at(&draft.origin, desired))
    }

    /// Chooses the origin that serves a target, and returns its label.
    ///
    /// Addresses are unique in a pool, so an origin of someone else at the address comes first. Then come the two that
    /// Daymark creates for the target, and last another one of Daymark's at the address.
    fn origin_for(&self, desired: &DesiredTarget) -> Option<String> {
        let origins = || self.origins.iter().map(|draft| &draft.origin);
        let foreign = origins().find(|origin| is_at(origin, desired) && !is_created(origin));
        let beside = origins().find(|origin| is_at(origin, desired) && origin.name() == name_beside(desired));
        let created_for = origins().find(|origin| origin.name() == desired.origin);
        // An origin that was created for another target is needed there.
        let at_hand = self.origins.iter().find(|draft| {
            let is_free = draft.desired.is_none_or(|other| other.origin != draft.origin.name());
            is_created(&draft.origin) && is_at(&draft.origin, desired) && is_free
        });
        foreign.or(beside).or(created_for).or(at_hand.map(|draft| &draft.origin)).map(label)
    }

    /// Moves an origin to the address of its target, unless someone else moves it back again and again. Two updaters with one
    /// node at two addresses would move it without end; the pool has room for both.
    fn move_to_target(
        &mut self,
        mut origin: CloudflareOrigin,
        desired: &DesiredTarget,
        published: &PublishedEntries,
    ) -> CloudflareOrigin {
        let address = desired.target.address;
        let key = format!("{} is at {address}", origin.name());
        let drift = format!("someone else has moved the origin {} to {}", origin.name(), origin.address());
        let states = States { observed: is_at(&origin, desired), desired: true };
        match self.plan.compare(published, &key, states, || drift.clone()) {
            Action::Nothing => {}
            Action::Leave(_) => self.plan.leave(&drift),
            Action::Write(entry) => {
                self.changes.push(format!("move the origin {} to {address}", label(&origin)));
                self.entries.push(NamedEntry { key, entry });
                origin.move_to(address);
            }
        }
        origin
    }

    /// Removes an origin that Daymark has created and no target needs. Returns false if it stays.
    fn remove(&mut self, origin: &CloudflareOrigin, published: &PublishedEntries) -> bool {
        let key = existence_key(origin);
        let drift = format!("someone else has added the origin {}", label(origin));
        match self.plan.compare(published, &key, States { observed: true, desired: false }, || drift.clone()) {
            Action::Write(entry) => {
                self.changes.push(format!("remove the origin {} (no node needs it)", label(origin)));
                self.entries.push(NamedEntry { key, entry });
                return true;
            }
            Action::Leave(_) => self.plan.leave(&drift),
            Action::Nothing => {}
        }
        false
    }

    fn add(&mut self, desired: &'a DesiredTarget, is_answered: bool, published: &PublishedEntries) {
        let is_taken = self.origins.iter().any(|draft| draft.origin.name() == desired.origin);
        let name = if is_taken { name_beside(desired) } else { desired.origin.clone() };
        let origin = CloudflareOrigin::new(&name, desired.target.address, desired.is_in);
        let key = existence_key(&origin);
        let drift = format!("someone else has removed the origin {}", label(&origin));
        match self.plan.compare(published, &key, States { observed: false, desired: true }, || drift.clone()) {
            Action::Leave(_) if is_answered => self.plan.leave(&drift),
            action => {
                if let Some(entry) = self.plan.insist(action, &drift) {
                    let state = if desired.is_in { "enabled" } else { "disabled" };
                    self.changes.push(format!("add the origin {}, {state} ({})", label(&origin), desired.reason));
                    self.entries.push(NamedEntry { key, entry });
                    self.origins.push(DraftOrigin { origin, desired: Some(desired), is_kept: false });
                }
            }
        }
    }

    /// Sets the switch of every origin that belongs to a target.
    fn switch(&mut self, published: &PublishedEntries) {
        let mut contested = Vec::new();
        for index in 0..self.origins.len() {
            let DraftOrigin { origin, desired: Some(desired), .. } = &self.origins[index] else { continue };
            let desired = *desired;
            let key = label(origin);
            let drift = switch_drift(origin);
            let states = States { observed: origin.is_enabled(), desired: desired.is_in };
            match self.plan.compare(published, &key, states, || drift.clone()) {
                Action::Nothing => {}
                Action::Write(entry) => self.set_switch(index, desired, entry),
                Action::Leave(entry) => contested.push(ContestedSwitch { index, desired, entry, drift }),
            }
        }
        for ContestedSwitch { index, desired, entry, drift } in contested {
            // That the name has a node of the answer matters more than the end of the contest.
            if desired.is_in && !self.is_answered() {
                self.set_switch(index, desired, entry);
                self.plan.drift.push(drift);
            } else {
                self.plan.leave(&drift);
            }
        }
    }

    fn set_switch(&mut self, index: usize, desired: &DesiredTarget, entry: EntryHistory) {
        let origin = &mut self.origins[index].origin;
        origin.enable(desired.is_in);
        let verb = if desired.is_in { "enable" } else { "disable" };
        let key = label(origin);
        self.changes.push(format!("{verb} the origin {key} ({})", desired.reason));
        self.entries.push(NamedEntry { key, entry });
    }

    /// Returns true if an origin of a node of the answer is enabled and has a weight. An origin that Daymark has created counts
    /// only at the address of its target.
    fn is_answered(&self) -> bool {
        self.origins.iter().any(|DraftOrigin { origin, desired, .. }| {
            let answers = |desired: &&DesiredTarget| !is_created(origin) || is_at(origin, desired);
            let is_served = origin.is_enabled() && !origin.is_weightless();
            is_served && desired.filter(answers).is_some_and(|desired| desired.is_in)
        })
    }

    /// Returns true if an origin of a node of the answer has the weight 0.
    fn has_weightless(&self) -> bool {
        let is_in = |draft: &DraftOrigin| draft.desired.is_some_and(|desired| desired.is_in);
        self.origins.iter().any(|draft| is_in(draft) && draft.origin.is_weightless())
    }

    fn into_plan(self, pool: &PoolName, path: &str, fields: Map<String, Value>) -> Plan {
        let mut plan = Plan { is_complete: true, ..self.plan };
        if !self.changes.is_empty() {
            let mut body = fields;
            let origins: Vec<CloudflareOrigin> =
                self.origins.into_iter().map(|draft| draft.origin.writable()).collect();
            body.insert("origins".to_owned(), json!(origins));
            let request = Request {
                method: Method::PATCH,
                path: path.to_owned(),
                body: Some(Value::Object(body)),
                call: Call::WritePool,
            };
            plan.first.push(PlannedEdit::new(pool, request, self.changes, self.entries));
        }
        plan
    }
}

/// Describes the change of a switch by someone else.
fn switch_drift(origin: &CloudflareOrigin) -> String {
    let change = if origin.is_enabled() { "enabled" } else { "disabled" };
    format!("someone else has {change} the origin {}", label(origin))
}

fn unanswerable(observed: &CloudflarePool, targets: &[DesiredTarget]) -> CloudflareFinding {
    let observed_origins = observed.origins();
    let list = |labels: Vec<String>| if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    let in_answer = targets.iter().filter(|desired| desired.is_in).map(|desired| desired.target.to_string());
    let pool = observed.name().to_owned();
    let answer = list(in_answer.collect());
    let origins = list(observed_origins.iter().map(label).collect());
    let belongs = |origin| target_of(origin, targets).is_some_and(|desired| desired.is_in);
    if observed_origins.iter().any(belongs) {
        CloudflareFinding::OriginsWithoutWeight { pool, answer, origins }
    } else {
        CloudflareFinding::OriginsElsewhere { pool, answer, origins }
    }
}
