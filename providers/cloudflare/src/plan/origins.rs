//! The origins of a Load Balancing pool: which are to be enabled, and in a pool of Daymark's own also which there are.

use daymark_decision::{PoolName, Target};
use serde_json::{Map, Value, json};

use super::{Edit, Plan, Todo, Wanted};
use crate::api::{CloudflarePool, Origin};
use crate::client::Call;
use crate::ledger::{Entry, Shown};

/// What begins the name of every origin that Daymark makes.
const ORIGIN_MARK: &str = "daymark-";

/// The name of the origin that Daymark makes for a target, by its family and its number among the node's `earlier` ones.
pub(crate) fn name<'a>(target: &Target, earlier: impl Iterator<Item = &'a Target>) -> String {
    let is_like = |it: &&Target| it.node == target.node && it.address.is_ipv6() == target.address.is_ipv6();
    let family = if target.address.is_ipv6() { "ipv6" } else { "ipv4" };
    match earlier.filter(is_like).count() {
        0 => format!("{ORIGIN_MARK}{}-{family}", target.node),
        earlier => format!("{ORIGIN_MARK}{}-{family}-{}", target.node, earlier + 1),
    }
}

/// The target that an origin belongs to: by name first, and by address where no name fits.
///
/// An origin with the name of a node belongs to the node's target of the same address. Where no address is the same, as
/// with nodes that are probed inside and reached from outside by another one, it belongs to that of the same family, or else
/// to the first.
pub(crate) fn target_of<'a>(origin: &Origin, targets: &'a [Wanted]) -> Option<&'a Wanted> {
    let address = origin.address().parse().ok();
    let has_address = |it: &&Wanted| Some(it.target.address) == address;
    let is_of_family = |it: &&Wanted| address.is_some_and(|address| address.is_ipv6() == it.target.address.is_ipv6());
    let of_node = || targets.iter().filter(|it| it.target.node.as_str() == origin.name());
    let made_for = targets.iter().find(|it| it.origin == origin.name());
    made_for
        .or_else(|| of_node().find(has_address))
        .or_else(|| of_node().find(is_of_family))
        .or_else(|| of_node().next())
        .or_else(|| targets.iter().find(has_address))
}

/// What sentences call an origin.
pub(crate) fn label(origin: &Origin) -> String {
    format!("{} ({})", origin.name(), origin.address())
}

/// Plans the switches of a pool that is the operator's.
pub(crate) fn switches(pool: &PoolName, path: &str, seen: &CloudflarePool, targets: &[Wanted], shown: &Shown) -> Plan {
    let mut draft = Draft::of(seen);
    draft.switch(targets, shown);
    if draft.is_answered(targets) {
        return draft.into_plan(pool, path, Map::new());
    }
    // Whatever is enabled now stays so: an answer that may be old is better than none.
    Plan { problems: vec![unanswerable(seen, targets)], agreed: draft.plan.agreed, ..Plan::default() }
}

/// Plans a pool that is Daymark's own: its origins, their switches, and that it is enabled itself.
pub(crate) fn whole(pool: &PoolName, path: &str, seen: &CloudflarePool, targets: &[Wanted], shown: &Shown) -> Plan {
    let mut draft = Draft::of(seen);
    draft.reconcile(targets, shown);
    draft.switch(targets, shown);
    let mut others = Map::new();
    let disabled = format!("someone else has disabled the Cloudflare pool {}", seen.name());
    match draft.plan.judge(shown, "the pool is enabled", (seen.is_enabled(), true), || disabled.clone()) {
        Todo::Nothing => {}
        Todo::Change(entry) => {
            draft.changes.push(format!("enable the Cloudflare pool {}", seen.name()));
            draft.entries.push(("the pool is enabled".to_owned(), entry));
            others.insert("enabled".to_owned(), true.into());
        }
        Todo::Leave(_) => draft.plan.leave(&disabled),
    }
    draft.into_plan(pool, path, others)
}

/// The body that makes a pool of Daymark's own.
pub(crate) fn new_pool(name: &str, description: &str, targets: &[Wanted]) -> Value {
    let origins: Vec<Origin> = targets.iter().map(|it| Origin::new(&it.origin, it.target.address, it.is_in)).collect();
    json!({ "name": name, "description": description, "enabled": true, "minimum_origins": 1, "origins": origins })
}

/// The origins as they are to be.
struct Draft {
    origins: Vec<Origin>,
    /// What differs from what was seen, as sentences.
    changes: Vec<String>,
    /// What to remember once the changes are made.
    entries: Vec<(String, Entry)>,
    plan: Plan,
}

impl Draft {
    fn of(seen: &CloudflarePool) -> Self {
        Self { origins: seen.origins(), changes: Vec::new(), entries: Vec::new(), plan: Plan::default() }
    }

    /// Adds what is missing, moves what has another address, and takes out what Daymark made for a target that is no more.
    /// Origins of others stay as they are.
    fn reconcile(&mut self, targets: &[Wanted], shown: &Shown) {
        for origin in std::mem::take(&mut self.origins) {
            if let Some(origin) = self.kept(origin, targets, shown) {
                self.origins.push(origin);
            }
        }
        for wanted @ Wanted { target, is_in, why, origin } in targets {
            let is_there = self.origins.iter().any(|it| target_of(it, targets) == Some(wanted));
            let origin = Origin::new(origin, target.address, *is_in);
            let key = format!("{} is there", origin.name());
            let drift = format!("someone else has removed the origin {}", label(&origin));
            match self.plan.judge(shown, &key, (is_there, true), || drift.clone()) {
                Todo::Nothing => {}
                // A node of the answer is not left out for the sake of peace.
                Todo::Leave(_) if !is_in => self.plan.leave(&drift),
                Todo::Change(entry) | Todo::Leave(entry) => {
                    let state = if *is_in { "enabled" } else { "disabled" };
                    self.changes.push(format!("add the origin {}, {state} ({why})", label(&origin)));
                    self.entries.push((key, entry));
                    self.origins.push(origin);
                }
            }
        }
    }

    /// An origin that stays, at its right address.
    fn kept(&mut self, mut origin: Origin, targets: &[Wanted], shown: &Shown) -> Option<Origin> {
        match target_of(&origin, targets) {
            Some(Wanted { target, origin: made, .. }) if origin.name() == made => {
                let key = format!("{} has its address", origin.name());
                let is_right = origin.address().parse() == Ok(target.address);
                let drift = format!("someone else has moved the origin {} to {}", origin.name(), origin.address());
                match self.plan.judge(shown, &key, (is_right, true), || drift.clone()) {
                    Todo::Nothing => {}
                    Todo::Change(entry) => {
                        self.changes.push(format!("move the origin {} to {}", label(&origin), target.address));
                        self.entries.push((key, entry));
                        origin.move_to(target.address);
                    }
                    Todo::Leave(_) => self.plan.leave(&drift),
                }
            }
            None if origin.name().starts_with(ORIGIN_MARK) => {
                let key = format!("{} is there", origin.name());
                let drift = format!("someone else has added the origin {}", label(&origin));
                match self.plan.judge(shown, &key, (true, false), || drift.clone()) {
                    Todo::Nothing => {}
                    Todo::Change(entry) => {
                        self.changes.push(format!("remove the origin {} (no node has it)", label(&origin)));
                        self.entries.push((key, entry));
                        return None;
                    }
                    Todo::Leave(_) => self.plan.leave(&drift),
                }
            }
            _ => {}
        }
        Some(origin)
    }

    /// Sets the switches of every origin that belongs to a target.
    fn switch(&mut self, targets: &[Wanted], shown: &Shown) {
        let mut left = Vec::new();
        for index in 0..self.origins.len() {
            let origin = &self.origins[index];
            let Some(wanted) = target_of(origin, targets) else { continue };
            let (key, drift) = (label(origin), drift_of(origin));
            let states = (origin.is_enabled(), wanted.is_in);
            match self.plan.judge(shown, &key, states, || drift.clone()) {
                Todo::Nothing => {}
                Todo::Change(entry) => self.set(index, wanted, entry),
                Todo::Leave(entry) => left.push((index, wanted, entry, drift)),
            }
        }
        for (index, wanted, entry, drift) in left {
            // Peace matters less than that a node of the answer is answered at all.
            if wanted.is_in && !self.is_answered(targets) {
                self.set(index, wanted, entry);
            } else {
                self.plan.leave(&drift);
            }
        }
    }

    fn set(&mut self, index: usize, wanted: &Wanted, entry: Entry) {
        let origin = &mut self.origins[index];
        origin.enable(wanted.is_in);
        let verb = if wanted.is_in { "enable" } else { "disable" };
        self.changes.push(format!("{verb} the origin {} ({})", label(origin), wanted.why));
        self.entries.push((label(origin), entry));
    }

    /// Whether an origin is enabled that is to be.
    fn is_answered(&self, targets: &[Wanted]) -> bool {
        self.origins.iter().any(|it| it.is_enabled() && target_of(it, targets).is_some_and(|wanted| wanted.is_in))
    }

    fn into_plan(self, pool: &PoolName, path: &str, others: Map<String, Value>) -> Plan {
        let mut plan = self.plan;
        if !self.changes.is_empty() {
            let mut body = others;
            let origins: Vec<Origin> = self.origins.into_iter().map(Origin::writable).collect();
            body.insert("origins".to_owned(), json!(origins));
            plan.first.push(Edit {
                pool: pool.clone(),
                method: "PATCH",
                path: path.to_owned(),
                body: Some(Value::Object(body)),
                changes: self.changes,
                call: Call::WritePool,
                entries: self.entries,
            });
        }
        plan
    }
}

/// What someone else has done to the switch of an origin, where it is not as it was left.
fn drift_of(origin: &Origin) -> String {
    let done = if origin.is_enabled() { "enabled" } else { "disabled" };
    format!("someone else has {done} the origin {}", label(origin))
}

fn unanswerable(seen: &CloudflarePool, targets: &[Wanted]) -> String {
    let names = |list: Vec<String>| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    let origins = names(seen.origins().iter().map(label).collect());
    let wanted = names(targets.iter().filter(|it| it.is_in).map(|it| it.target.to_string()).collect());
    format!(
        "no origin of the Cloudflare pool {} belongs to a node that is to be answered with, so nothing is changed there; give \
         the origins the names or the addresses of the nodes (to be answered: {wanted}; origins: {origins})",
        seen.name()
    )
}
