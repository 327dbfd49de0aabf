//! A Load Balancing setup that is Daymark's own: the pool, and the balancer in front of it.

use daymark_decision::{Answer, PoolName};
use serde_json::{Map, Value, json};

use super::{Edit, Plan, Todo, Wanted, origins, wanted};
use crate::MARK;
use crate::api::{Balancer, CloudflarePool};
use crate::client::Call;
use crate::ledger::{Entry, Shown};

/// What stands for the ID of a pool that is yet to be made.
const NEW_POOL: &str = "(the ID of the new pool)";

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

/// Plans the pool and its balancer.
pub(crate) fn plan(setup: &Setup, answer: &Answer, seen: &Seen, shown: &Shown) -> Plan {
    let targets = wanted(answer);
    let mut plan = match &seen.pool {
        Some(pool) if pool.is_ours() => {
            let path = format!("{}/{}", setup.pools, pool.id());
            origins::whole(&answer.pool, &path, pool, &targets, shown)
        }
        Some(_) => {
            return refused(format!(
                "the Cloudflare pool {} is there already and is not Daymark's; begin its description with \"{MARK}\" to hand \
                 it over, choose another name, or set `manage: origins`",
                setup.name
            ));
        }
        None => Plan { first: vec![new_pool(setup, &answer.pool, &targets)], ..Plan::default() },
    };
    plan.then_is_safe = seen.pool.is_some();
    let pool = seen.pool.as_ref().map_or(NEW_POOL, CloudflarePool::id);
    match &seen.balancer {
        Some(balancer) if balancer.is_ours() => keep(setup, &answer.pool, pool, balancer, shown, &mut plan),
        Some(_) => plan.problems.push(format!(
            "the zone has a load balancer {} that is not Daymark's; begin its description with \"{MARK}\" to hand it over, or \
             set `manage: origins`",
            answer.pool
        )),
        None => plan.then.push(new_balancer(setup, &answer.pool, pool)),
    }
    plan
}

/// What the description of everything begins with that is made for a pool.
fn description(pool: &PoolName) -> String {
    format!("{MARK} for {pool}")
}

fn refused(problem: String) -> Plan {
    Plan { problems: vec![problem], ..Plan::default() }
}

fn new_pool(setup: &Setup, pool: &PoolName, targets: &[Wanted]) -> Edit {
    let mut changes = vec![format!("make the Cloudflare pool {}", setup.name)];
    changes.extend(targets.iter().map(|it| {
        let state = if it.is_in { "enabled" } else { "disabled" };
        format!("with the origin {} ({}), {state} ({})", it.origin, it.target.address, it.why)
    }));
    Edit {
        pool: pool.clone(),
        method: "POST",
        path: setup.pools.clone(),
        body: Some(origins::new_pool(setup.name, &description(pool), targets)),
        changes,
        call: Call::WritePool,
        entries: Vec::new(),
    }
}

fn new_balancer(setup: &Setup, pool: &PoolName, cloudflare_pool: &str) -> Edit {
    let mut body = right_fields(setup, cloudflare_pool);
    body.insert("name".to_owned(), pool.as_str().into());
    body.insert("description".to_owned(), description(pool).into());
    body.insert("steering_policy".to_owned(), "off".into());
    Edit {
        pool: pool.clone(),
        method: "POST",
        path: setup.balancers.clone(),
        body: Some(Value::Object(body)),
        changes: vec![format!(
            "make the load balancer {pool}, DNS only, in front of the Cloudflare pool {}",
            setup.name
        )],
        call: Call::WriteBalancer,
        entries: Vec::new(),
    }
}

/// The fields of a balancer that Daymark keeps.
fn right_fields(setup: &Setup, cloudflare_pool: &str) -> Map<String, Value> {
    let fields = json!({
        "default_pools": [cloudflare_pool],
        "fallback_pool": cloudflare_pool,
        "proxied": false,
        "ttl": setup.ttl,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Sets right what differs in a balancer of Daymark's own.
fn keep(setup: &Setup, pool: &PoolName, cloudflare_pool: &str, seen: &Balancer, shown: &Shown, plan: &mut Plan) {
    let mut body = Map::new();
    let (mut changes, mut entries): (Vec<String>, Vec<(String, Entry)>) = (Vec::new(), Vec::new());
    let mut right = right_fields(setup, cloudflare_pool);
    // The API gives `enabled` only since it can be changed there.
    if seen.field("enabled") == &Value::Bool(false) {
        right.insert("enabled".to_owned(), true.into());
    }
    for (field, value) in right {
        let key = format!("the balancer's {field}");
        let drift = format!("someone else has set `{field}` of the load balancer {pool} to {}", seen.field(&field));
        let is_right = is_same(seen.field(&field), &value);
        match plan.judge(shown, &key, (is_right, true), || drift.clone()) {
            Todo::Nothing => {}
            Todo::Change(entry) => {
                changes.push(format!("set `{field}` of the load balancer {pool} to {value}"));
                entries.push((key, entry));
                body.insert(field, value);
            }
            Todo::Leave(_) => plan.leave(&drift),
        }
    }
    if !body.is_empty() {
        plan.then.push(Edit {
            pool: pool.clone(),
            method: "PATCH",
            path: format!("{}/{}", setup.balancers, seen.id()),
            body: Some(Value::Object(body)),
            changes,
            call: Call::WriteBalancer,
            entries,
        });
    }
}

/// Whether two values are the same; the schema's numbers may come with a fraction of zero, and an absent flag is false.
fn is_same(seen: &Value, right: &Value) -> bool {
    match (seen, right) {
        (Value::Null, Value::Bool(false)) => true,
        (Value::Number(seen), Value::Number(right)) => seen.as_f64() == right.as_f64(),
        _ => seen == right,
    }
}
