//! A Load Balancing setup that is Daymark's own: the pool, and the balancer in front of it.

use daymark_decision::{Answer, PoolName};
use http::Method;
use serde_json::{Map, Value, json};

use super::{Edit, Plan, Todo, Wanted, origins, wanted};
use crate::MARK;
use crate::api::{Balancer, CloudflarePool};
use crate::client::Call;
use crate::ledger::{Entry, Shown};

/// What stands for the ID of a pool that is yet to be made.
const NEW_POOL: &str = "(the ID of the new pool)";
/// The key in the ledger of the pool and the balancer as a whole: one without the other gives no address.
const SETUP_THERE: &str = "the setup is there";

/// What is seen of one setup.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) pool: Option<CloudflarePool>,
    pub(crate) balancer: Option<Balancer>,
}

/// Where a setup is, and how it is to be.
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
}

/// Plans the pool and its balancer. Where something of either name is not Daymark's, nothing is planned at all.
pub(crate) fn plan(setup: &Setup, answer: &Answer, seen: &Seen, shown: &Shown) -> Plan {
    let name = &answer.pool;
    if seen.pool.as_ref().is_some_and(|pool| !pool.is_ours(name)) {
        return refused(format!(
            "the Cloudflare pool {} is there already and is not Daymark's for {name}; make its description \"{}\" to hand it \
             over, choose another name, or set `manage: origins`",
            setup.name,
            description(name)
        ));
    }
    if seen.balancer.as_ref().is_some_and(|balancer| !balancer.is_ours(name)) {
        return refused(format!(
            "the zone has a load balancer {name} that is not Daymark's; make its description \"{}\" to hand it over, or set \
             `manage: origins`",
            description(name)
        ));
    }
    let targets = wanted(answer);
    let mut plan = seen.pool.as_ref().map_or_else(Plan::default, |pool| {
        let path = format!("{}/{}", setup.pools, pool.id());
        origins::whole(name, &path, pool, &targets, shown)
    });
    let Some(entries) = plan.makes(shown, &missing(setup, name, seen)) else { return plan };
    if seen.pool.is_none() {
        plan.first.push(new_pool(setup, name, &targets, entries.clone()));
    }
    plan.then_is_safe = seen.pool.is_some();
    let pool = seen.pool.as_ref().map_or(NEW_POOL, CloudflarePool::id);
    match &seen.balancer {
        Some(balancer) => keep(setup, name, pool, balancer, shown, &mut plan),
        None => plan.then.push(new_balancer(setup, name, pool, entries)),
    }
    plan
}

/// What there is none of.
fn missing(setup: &Setup, pool: &PoolName, seen: &Seen) -> Vec<String> {
    let cloudflare_pool = seen.pool.is_none().then(|| format!("the Cloudflare pool {}", setup.name));
    let balancer = seen.balancer.is_none().then(|| format!("the load balancer {pool}"));
    cloudflare_pool.into_iter().chain(balancer).collect()
}

impl Plan {
    /// What to remember once what is missing is made; `None` where it is not made now.
    ///
    /// Without it the name has no address, so it is made however often someone else deletes it, but after longer and longer
    /// pauses.
    fn makes(&mut self, shown: &Shown, missing: &[String]) -> Option<Vec<(String, Entry)>> {
        let drift = format!("someone else has deleted {}", missing.join(" and "));
        let entry = match self.judge(shown, SETUP_THERE, (missing.is_empty(), true), || drift.clone()) {
            Todo::Nothing => return Some(Vec::new()),
            Todo::Change(entry) => entry,
            Todo::Leave(entry) => match entry.once_more() {
                Ok(entry) => {
                    self.drift.push(drift);
                    entry
                }
                Err(waiting) => {
                    self.waiting.push((SETUP_THERE.to_owned(), waiting));
                    self.problems.push(format!(
                        "{drift} again and again, and without it the name has no address; it is made anew after longer and \
                         longer pauses; find out who deletes it, or stop Daymark if it is to be gone"
                    ));
                    return None;
                }
            },
        };
        Some(vec![(SETUP_THERE.to_owned(), entry)])
    }
}

/// What the description of everything is that is made for a pool.
fn description(pool: &PoolName) -> String {
    format!("{MARK} for {pool}")
}

fn refused(problem: String) -> Plan {
    Plan { problems: vec![problem], ..Plan::default() }
}

fn new_pool(setup: &Setup, pool: &PoolName, targets: &[Wanted], entries: Vec<(String, Entry)>) -> Edit {
    let mut changes = vec![format!("make the Cloudflare pool {}", setup.name)];
    changes.extend(targets.iter().map(|it| {
        let state = if it.is_in { "enabled" } else { "disabled" };
        format!("give it the origin {} ({}), {state} ({})", it.origin, it.target.address, it.why)
    }));
    Edit {
        pool: pool.clone(),
        method: Method::POST,
        path: setup.pools.clone(),
        body: Some(origins::new_pool(setup.name, &description(pool), targets)),
        changes,
        call: Call::WritePool,
        entries,
    }
}

fn new_balancer(setup: &Setup, pool: &PoolName, cloudflare_pool: &str, entries: Vec<(String, Entry)>) -> Edit {
    let body = json!({
        "name": pool.as_str(),
        "description": description(pool),
        "default_pools": [cloudflare_pool],
        "fallback_pool": cloudflare_pool,
        "proxied": false,
        "ttl": setup.ttl,
        "steering_policy": "off",
    });
    Edit {
        pool: pool.clone(),
        method: Method::POST,
        path: setup.balancers.clone(),
        body: Some(body),
        changes: vec![format!(
            "make the load balancer {pool}, DNS only, in front of the Cloudflare pool {}",
            setup.name
        )],
        call: Call::WriteBalancer,
        entries,
    }
}

/// The fields of a balancer that Daymark keeps, and whether the name has an address of the answer without it.
fn right_fields(setup: &Setup, cloudflare_pool: &str) -> [(&'static str, Value, bool); 6] {
    [
        ("enabled", json!(true), false),
        ("proxied", json!(false), false),
        ("default_pools", json!([cloudflare_pool]), true),
        ("fallback_pool", json!(cloudflare_pool), true),
        ("ttl", json!(setup.ttl), true),
        // Any other may answer from `region_pools`, `country_pools` or `pop_pools`, which make no difference with this one.
        ("steering_policy", json!("off"), true),
    ]
}

/// Sets right what differs in a balancer of Daymark's own.
fn keep(setup: &Setup, pool: &PoolName, cloudflare_pool: &str, seen: &Balancer, shown: &Shown, plan: &mut Plan) {
    let mut body = Map::new();
    let (mut changes, mut entries): (Vec<String>, Vec<(String, Entry)>) = (Vec::new(), Vec::new());
    for (field, value, can_wait) in right_fields(setup, cloudflare_pool) {
        let key = format!("the balancer's {field} is {value}");
        let drift = format!("someone else has set `{field}` of the load balancer {pool} to {}", seen.field(field));
        let is_right = is_same(seen.field(field), &value);
        match plan.judge(shown, &key, (is_right, true), || drift.clone()) {
            Todo::Leave(_) if can_wait => plan.leave(&drift),
            todo => {
                if let Some(entry) = plan.insist(todo, &drift) {
                    changes.push(format!("set `{field}` of the load balancer {pool} to {value}"));
                    entries.push((key, entry));
                    body.insert(field.to_owned(), value);
                }
            }
        }
    }
    if !body.is_empty() {
        plan.then.push(Edit {
            pool: pool.clone(),
            method: Method::PATCH,
            path: format!("{}/{}", setup.balancers, seen.id()),
            body: Some(Value::Object(body)),
            changes,
            call: Call::WriteBalancer,
            entries,
        });
    }
}

/// Whether a field is as it should be. One that is absent has its default: `enabled` is true and `proxied` false. The
/// schema's numbers may come with a fraction of zero.
fn is_same(seen: &Value, right: &Value) -> bool {
    match (seen, right) {
        (Value::Null, Value::Bool(_)) => true,
        (Value::Number(seen), Value::Number(right)) => seen.as_f64() == right.as_f64(),
        _ => seen == right,
    }
}
