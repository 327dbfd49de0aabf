//! The origins of a Load Balancing pool: which are to be enabled, and in a pool of Daymark's own also which there are.

use daymark_decision::{PoolName, Target};
use http::Method;
use serde_json::{Map, Value, json};

use super::{Edit, Plan, THERE, Todo, Wanted};
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

/// The name of the origin that Daymark makes for a target beside one of its usual name, which someone else keeps at another
/// address.
fn name_beside(wanted: &Wanted) -> String {
    format!("{}-{}", wanted.origin, wanted.target.address.to_string().replace(['.', ':'], "-"))
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

/// Whether Daymark has made an origin, which counts only in a pool of its own.
fn is_made(origin: &Origin) -> bool {
    origin.name().starts_with(ORIGIN_MARK)
}

/// The key of an origin in the ledger.
fn presence(origin: &Origin) -> String {
    format!("{}{THERE}", label(origin))
}

/// What sentences call an origin.
pub(crate) fn label(origin: &Origin) -> String {
    format!("{} ({})", origin.name(), origin.address())
}

/// Plans the switches of a pool that is the operator's.
pub(crate) fn switches(pool: &PoolName, path: &str, seen: &CloudflarePool, targets: &[Wanted], shown: &Shown) -> Plan {
    let mut draft = Draft::of(seen, targets);
    draft.switch(shown);
    if draft.is_answered() {
        return draft.into_plan(pool, path, Map::new());
    }
    // Whatever is enabled now stays so: an answer that may be old is better than none.
    Plan { problems: vec![unanswerable(seen, targets)], agreed: draft.plan.agreed, ..Plan::default() }
}

/// Plans a pool that is Daymark's own: the switches, and then its origins, and that it is enabled itself.
///
/// The switches come first and alone where they can: whatever else Cloudflare may refuse, a dead node is out.
pub(crate) fn whole(pool: &PoolName, path: &str, seen: &CloudflarePool, targets: &[Wanted], shown: &Shown) -> Plan {
    let mut quick = Draft::of(seen, targets);
    quick.switch(shown);
    let mut draft = Draft::of(seen, targets);
    draft.reconcile(targets, shown);
    let is_more = !draft.changes.is_empty() || !seen.is_enabled();
    draft.switch(shown);
    let mut others = Map::new();
    if !seen.is_enabled() {
        // Without its pool the name has no address at all, so this is never left alone.
        draft.plan.drift.push(format!("someone else has disabled the Cloudflare pool {}", seen.name()));
        draft.changes.push(format!("enable the Cloudflare pool {}", seen.name()));
        others.insert("enabled".to_owned(), true.into());
    }
    if !is_more || !quick.is_answered() || quick.changes.is_empty() {
        return draft.into_plan(pool, path, others);
    }
    let whole = draft.into_plan(pool, path, others);
    let quick = quick.into_plan(pool, path, Map::new());
    Plan { first: quick.first, then: whole.first, ..whole }
}

/// The body that makes a pool of Daymark's own.
pub(crate) fn new_pool(name: &str, description: &str, targets: &[Wanted]) -> Value {
    let origins: Vec<Origin> = targets.iter().map(|it| Origin::new(&it.origin, it.target.address, it.is_in)).collect();
    json!({ "name": name, "description": description, "enabled": true, "minimum_origins": 1, "origins": origins })
}

/// The origins as they are to be, each with the target that it belongs to.
struct Draft<'a> {
    origins: Vec<(Origin, Option<&'a Wanted>)>,
    /// What differs from what was seen, as sentences.
    changes: Vec<String>,
    /// What to remember once the changes are made.
    entries: Vec<(String, Entry)>,
    plan: Plan,
}

impl<'a> Draft<'a> {
    fn of(seen: &CloudflarePool, targets: &'a [Wanted]) -> Self {
        let with_target = |origin: Origin| {
            let target = target_of(&origin, targets);
            (origin, target)
        };
        let origins = seen.origins().into_iter().map(with_target).collect();
        Self { origins, changes: Vec::new(), entries: Vec::new(), plan: Plan::default() }
    }

    /// Gives each target one origin: adds what is missing, moves what has another address, and takes out what Daymark made
    /// and no target needs. Origins of others stay as they are; one that has the address of a target serves it.
    fn reconcile(&mut self, targets: &'a [Wanted], shown: &Shown) {
        let is_answered = self.is_answered();
        let seen: Vec<String> = self.origins.iter().map(|(origin, _)| presence(origin)).collect();
        let chosen: Vec<Option<String>> = targets.iter().map(|it| self.origin_for(it)).collect();
        let target_of_label =
            |label: &str| chosen.iter().position(|it| it.as_deref() == Some(label)).map(|index| &targets[index]);
        for (origin, target) in std::mem::take(&mut self.origins) {
            let chosen = target_of_label(&label(&origin));
            if !is_made(&origin) {
                self.origins.push((origin, target));
            } else if let Some(target) = chosen {
                let origin = self.at_its_address(origin, target, shown);
                self.origins.push((origin, Some(target)));
            } else if !self.removes(&origin, shown) {
                self.origins.push((origin, None));
            }
        }
        for (origin, _) in self.origins.iter().filter(|(origin, target)| is_made(origin) && target.is_some()) {
            self.plan.judge(shown, &presence(origin), (true, true), String::new);
        }
        // Each target has an origin, in or out.
        self.plan.judge_gone(shown, |key| seen.contains(&key.to_owned()), |_| false);
        for (target, chosen) in targets.iter().zip(chosen) {
            // An origin that is left at the address of someone else answers for no node of ours.
            let is_left = !is_answered && target.is_in && !self.has_origin_at(target);
            if chosen.is_none() || is_left {
                self.add(target, is_answered, shown);
            }
        }
    }

    fn has_origin_at(&self, wanted: &Wanted) -> bool {
        self.origins.iter().any(|(origin, _)| origin.address().parse() == Ok(wanted.target.address))
    }

    /// The origin that is to serve a target, by its label: one of someone else at the address, since addresses are unique in
    /// a pool; or the one that Daymark made for it, beside a contested one or not; or another of Daymark's at the address.
    fn origin_for(&self, wanted: &Wanted) -> Option<String> {
        let has_address = |origin: &Origin| origin.address().parse() == Ok(wanted.target.address);
        let origins = || self.origins.iter().map(|(origin, _)| origin);
        let foreign = origins().find(|it| has_address(it) && !is_made(it));
        let beside = origins().find(|it| has_address(it) && it.name() == name_beside(wanted));
        let made_for = origins().find(|it| it.name() == wanted.origin);
        // Not one that was made for another target, which needs it itself.
        let at_hand = self.origins.iter().find(|(it, target)| {
            is_made(it) && has_address(it) && target.is_none_or(|target| target.origin != it.name())
        });
        foreign.or(beside).or(made_for).or(at_hand.map(|(origin, _)| origin)).map(label)
    }

    /// The origin, moved to the address of its target. Never against the will of someone else: who has one origin at two
    /// addresses would move it for ever, and has room for two.
    fn at_its_address(&mut self, mut origin: Origin, wanted: &Wanted, shown: &Shown) -> Origin {
        let address = wanted.target.address;
        let key = format!("{} is at {address}", origin.name());
        let drift = format!("someone else has moved the origin {} to {}", origin.name(), origin.address());
        match self.plan.judge(shown, &key, (origin.address().parse() == Ok(address), true), || drift.clone()) {
            Todo::Nothing => {}
            Todo::Leave(_) => self.plan.leave(&drift),
            Todo::Change(entry) => {
                self.changes.push(format!("move the origin {} to {address}", label(&origin)));
                self.entries.push((key, entry));
                origin.move_to(address);
            }
        }
        origin
    }

    /// Whether an origin that Daymark made for no target of now is taken out.
    fn removes(&mut self, origin: &Origin, shown: &Shown) -> bool {
        let key = presence(origin);
        let drift = format!("someone else has added the origin {}", label(origin));
        match self.plan.judge(shown, &key, (true, false), || drift.clone()) {
            Todo::Change(entry) => {
                self.changes.push(format!("remove the origin {} (no node needs it)", label(origin)));
                self.entries.push((key, entry));
                return true;
            }
            Todo::Leave(_) => self.plan.leave(&drift),
            Todo::Nothing => {}
        }
        false
    }

    fn add(&mut self, wanted: &'a Wanted, is_answered: bool, shown: &Shown) {
        let Wanted { target, is_in, why, origin } = wanted;
        let is_taken = self.origins.iter().any(|(other, _)| other.name() == origin);
        let name = if is_taken { name_beside(wanted) } else { origin.clone() };
        let origin = Origin::new(&name, target.address, *is_in);
        let key = presence(&origin);
        let drift = format!("someone else has removed the origin {}", label(&origin));
        match self.plan.judge(shown, &key, (false, true), || drift.clone()) {
            Todo::Leave(_) if is_answered => self.plan.leave(&drift),
            todo => {
                if let Some(entry) = self.plan.insist(todo, &drift) {
                    let state = if *is_in { "enabled" } else { "disabled" };
                    self.changes.push(format!("add the origin {}, {state} ({why})", label(&origin)));
                    self.entries.push((key, entry));
                    self.origins.push((origin, Some(wanted)));
                }
            }
        }
    }

    /// Sets the switches of every origin that belongs to a target.
    fn switch(&mut self, shown: &Shown) {
        let mut left = Vec::new();
        for index in 0..self.origins.len() {
            let (origin, Some(wanted)) = &self.origins[index] else { continue };
            let (wanted, key, drift) = (*wanted, label(origin), drift_of(origin));
            let states = (origin.is_enabled(), wanted.is_in);
            match self.plan.judge(shown, &key, states, || drift.clone()) {
                Todo::Nothing => {}
                Todo::Change(entry) => self.set(index, wanted, entry),
                Todo::Leave(entry) => left.push((index, wanted, entry, drift)),
            }
        }
        for (index, wanted, entry, drift) in left {
            // Peace matters less than that a node of the answer is answered at all.
            if wanted.is_in && !self.is_answered() {
                self.set(index, wanted, entry);
                self.plan.drift.push(drift);
            } else {
                self.plan.leave(&drift);
            }
        }
    }

    fn set(&mut self, index: usize, wanted: &Wanted, entry: Entry) {
        let (origin, _) = &mut self.origins[index];
        origin.enable(wanted.is_in);
        let verb = if wanted.is_in { "enable" } else { "disable" };
        self.changes.push(format!("{verb} the origin {} ({})", label(origin), wanted.why));
        self.entries.push((label(origin), entry));
    }

    /// Whether an origin is enabled that is to be. One that Daymark made counts only at its target's address.
    fn is_answered(&self) -> bool {
        self.origins.iter().any(|(origin, target)| {
            let is_at_home =
                |wanted: &&Wanted| !is_made(origin) || origin.address().parse() == Ok(wanted.target.address);
            origin.is_enabled() && target.filter(is_at_home).is_some_and(|wanted| wanted.is_in)
        })
    }

    fn into_plan(self, pool: &PoolName, path: &str, others: Map<String, Value>) -> Plan {
        let mut plan = Plan { is_whole: true, ..self.plan };
        if !self.changes.is_empty() {
            let mut body = others;
            let origins: Vec<Origin> = self.origins.into_iter().map(|(origin, _)| origin.writable()).collect();
            body.insert("origins".to_owned(), json!(origins));
            plan.first.push(Edit {
                pool: pool.clone(),
                method: Method::PATCH,
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
