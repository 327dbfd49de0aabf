//! A Load Balancing setup that is Daymark's own: the pool, and the balancer in front of it.

use daymark_decision::{Answer, PoolName};
use http::Method;
use serde_json::{Map, Value, json};

use super::{Action, DesiredTarget, Plan, PlannedEdit, Request, desired_targets, origins};
use crate::api::{Balancer, CloudflarePool};
use crate::client::Call;
use crate::drift::{NamedEntry, PublishedEntries, States};
use crate::finding::CloudflareFinding;
use crate::mark::{FoundMark, Mark};

/// The placeholder for the ID of a pool that is not created yet.
const NEW_POOL: &str = "(the ID of the new pool)";
/// The key of the entry for pool and balancer together: one without the other gives no address.
const SETUP_EXISTS: &str = "the setup exists";

/// The observed objects of one setup.
#[derive(Debug)]
pub(crate) struct ObservedSetup {
    pub(crate) pool: Option<CloudflarePool>,
    pub(crate) balancer: Option<Balancer>,
}

/// The paths and the desired properties of one setup.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    /// The path of the pools of the account.
    pub(crate) pools: String,
    /// The path of the balancers of the zone.
    pub(crate) balancers: String,
    /// The name of the Cloudflare pool.
    pub(crate) name: &'a str,
    /// The TTL of the balancer in seconds.
    pub(crate) ttl: u32,
    pub(crate) mark: &'a Mark,
    /// The finding about a nearer zone, which answers for the name instead.
    pub(crate) nearer: Option<CloudflareFinding>,
}

/// Plans the pool and its balancer. If an object of either name is not Daymark's, it plans nothing at all.
pub(crate) fn plan(setup: &Setup, answer: &Answer, observed: &ObservedSetup, published: &PublishedEntries) -> Plan {
    let name = &answer.pool;
    let is_foreign = |description: Option<&str>| !setup.mark.is_on(description, name);
    let mark = setup.mark.description(name);
    if let Some(pool) = observed.pool.as_ref().filter(|pool| is_foreign(pool.description())) {
        let belonging = setup.belonging(pool.description(), name);
        return refused(CloudflareFinding::PoolForeign { name: setup.name.to_owned(), belonging, mark });
    }
    if let Some(balancer) = observed.balancer.as_ref().filter(|balancer| is_foreign(balancer.description())) {
        let belonging = setup.belonging(balancer.description(), name);
        return refused(CloudflareFinding::BalancerForeign { name: name.clone(), belonging, mark });
    }
    if let Some(nearer) = setup.nearer.as_ref().filter(|_| observed.balancer.is_none()) {
        return refused(nearer.clone());
    }
    let targets = desired_targets(answer);
    let mut plan = observed.pool.as_ref().map_or_else(Plan::default, |pool| {
        let path = format!("{}/{}", setup.pools, pool.id());
        origins::plan_own_pool(&path, pool, answer, published)
    });
    plan.problems.extend(setup.nearer.clone());
    let Some(entries) = plan.create(published, &missing(setup, name, observed)) else { return plan };
    if observed.pool.is_none() {
        plan.first.push(new_pool(setup, name, &targets, entries.clone()));
    }
    plan.then_is_safe = observed.pool.is_some();
    let pool = observed.pool.as_ref().map_or(NEW_POOL, CloudflarePool::id);
    match &observed.balancer {
        Some(balancer) => correct(setup, name, pool, balancer, published, &mut plan),
        None => plan.then.push(new_balancer(setup, name, pool, entries)),
    }
    plan
}

/// The objects that do not exist.
fn missing(setup: &Setup, pool: &PoolName, observed: &ObservedSetup) -> Vec<String> {
    let cloudflare_pool = observed.pool.is_none().then(|| format!("the Cloudflare pool {}", setup.name));
    let balancer = observed.balancer.is_none().then(|| format!("the load balancer {pool}"));
    cloudflare_pool.into_iter().chain(balancer).collect()
}

impl Plan {
    /// The entries to remember once the missing objects are created. `None` if they are not created in this pass.
    ///
    /// The setup is essential, since the name has no address without it. So Daymark creates it again however often someone
    /// else deletes it, but after longer and longer pauses.
    fn create(&mut self, published: &PublishedEntries, missing: &[String]) -> Option<Vec<NamedEntry>> {
        let drift = format!("someone else has deleted {}", missing.join(" and "));
        let states = States { observed: missing.is_empty(), desired: true };
        let entry = match self.compare(published, SETUP_EXISTS, states, || drift.clone()) {
            Action::Nothing => return Some(Vec::new()),
            Action::Write(entry) => entry,
            Action::Leave(entry) => match entry.retry() {
                Ok(entry) => {
                    self.drift.push(drift);
                    entry
                }
                Err(skipped) => {
                    self.postponed.push(NamedEntry { key: SETUP_EXISTS.to_owned(), entry: skipped });
                    self.problems.push(CloudflareFinding::DeletedAgain { drift });
                    return None;
                }
            },
        };
        Some(vec![NamedEntry { key: SETUP_EXISTS.to_owned(), entry }])
    }
}

impl Setup<'_> {
    /// The owner of an object that is not this Daymark's, as the end of a sentence.
    fn belonging(&self, description: Option<&str>, pool: &PoolName) -> String {
        match FoundMark::read(description).filter(|mark| !self.mark.is(mark)) {
            Some(other) => format!("belongs to {other}"),
            None => format!("is not Daymark's for {pool}"),
        }
    }
}

fn refused(problem: CloudflareFinding) -> Plan {
    Plan { problems: vec![problem], ..Plan::default() }
}

fn new_pool(setup: &Setup, pool: &PoolName, targets: &[DesiredTarget], entries: Vec<NamedEntry>) -> PlannedEdit {
    let mut changes = vec![format!("create the Cloudflare pool {}", setup.name)];
    changes.extend(targets.iter().map(|DesiredTarget { target, is_in, reason, origin }| {
        let state = if *is_in { "enabled" } else { "disabled" };
        format!("add the origin {origin} ({}), {state} ({reason})", target.address)
    }));
    let request = Request {
        method: Method::POST,
        path: setup.pools.clone(),
        body: Some(origins::new_pool(setup.name, &setup.mark.description(pool), targets)),
        call: Call::WritePool,
    };
    PlannedEdit::new(pool, request, changes, entries)
}

fn new_balancer(setup: &Setup, pool: &PoolName, cloudflare_pool: &str, entries: Vec<NamedEntry>) -> PlannedEdit {
    let body = json!({
        "name": pool.as_str(),
        "description": setup.mark.description(pool),
        "default_pools": [cloudflare_pool],
        "fallback_pool": cloudflare_pool,
        "proxied": false,
        "ttl": setup.ttl,
        "steering_policy": "off",
    });
    let changes = vec![format!("create the load balancer {pool}, DNS only, with the Cloudflare pool {}", setup.name)];
    let request =
        Request { method: Method::POST, path: setup.balancers.clone(), body: Some(body), call: Call::WriteBalancer };
    PlannedEdit::new(pool, request, changes, entries)
}

/// A field of a balancer that Daymark keeps at one value.
struct BalancerField {
    name: &'static str,
    value: Value,
    /// True if the name has an address of the answer also with another value.
    can_wait: bool,
}

fn fixed_fields(setup: &Setup, cloudflare_pool: &str) -> [BalancerField; 6] {
    let essential = |name, value| BalancerField { name, value, can_wait: false };
    let other = |name, value| BalancerField { name, value, can_wait: true };
    [
        essential("enabled", json!(true)),
        essential("proxied", json!(false)),
        other("default_pools", json!([cloudflare_pool])),
        other("fallback_pool", json!(cloudflare_pool)),
        other("ttl", json!(setup.ttl)),
        // Another policy may answer from `region_pools`, `country_pools` or `pop_pools`, which have no effect with this one.
        other("steering_policy", json!("off")),
    ]
}

/// Plans to correct the fields that differ in a balancer of Daymark's own.
fn correct(
    setup: &Setup,
    pool: &PoolName,
    cloudflare_pool: &str,
    observed: &Balancer,
    published: &PublishedEntries,
    plan: &mut Plan,
) {
    let mut body = Map::new();
    let mut changes = Vec::new();
    let mut entries = Vec::new();
    for BalancerField { name, value, can_wait } in fixed_fields(setup, cloudflare_pool) {
        let key = format!("the balancer's {name} is {value}");
        let drift = format!("someone else has set `{name}` of the load balancer {pool} to {}", observed.field(name));
        let states = States { observed: is_same(observed.field(name), &value), desired: true };
        match plan.compare(published, &key, states, || drift.clone()) {
            Action::Leave(_) if can_wait => plan.leave(&drift),
            action => {
                if let Some(entry) = plan.insist(action, &drift) {
                    changes.push(format!("set `{name}` of the load balancer {pool} to {value}"));
                    entries.push(NamedEntry { key, entry });
                    body.insert(name.to_owned(), value);
                }
            }
        }
    }
    if !body.is_empty() {
        let request = Request {
            method: Method::PATCH,
            path: format!("{}/{}", setup.balancers, observed.id()),
            body: Some(Value::Object(body)),
            call: Call::WriteBalancer,
        };
        plan.then.push(PlannedEdit::new(pool, request, changes, entries));
    }
}

/// Returns true if a field has the desired value. An absent field has its default: `enabled` is true and `proxied` false.
/// Cloudflare may write an integer with a fraction of zero.
fn is_same(observed: &Value, desired: &Value) -> bool {
    match (observed, desired) {
        (Value::Null, Value::Bool(_)) => true,
        (Value::Number(observed), Value::Number(desired)) => observed.as_f64() == desired.as_f64(),
        _ => observed == desired,
    }
}
