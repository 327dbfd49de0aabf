//! Load balancers of a zone: what a write makes of them, and what is refused.

use http::Method;
use serde_json::{Map, Value, json};

use crate::envelope::{Answer, Outcome};
use crate::request::{Listing, Request, forbidden};
use crate::world::{Account, Mint, World, Zone};

const LISTING: Listing = Listing { filters: &[], per_page: 50, most_per_page: 1_000 };
/// Balancers that a zone without an Enterprise plan may have.
const MOST: usize = 20;
const READ_ONLY: [&str; 4] = ["created_on", "modified_on", "zone_name", "networks"];
const POLICIES: [&str; 8] =
    ["off", "geo", "random", "dynamic_latency", "proximity", "least_outstanding_requests", "least_connections", ""];

/// A balancer that did not exist before, with its id.
pub(crate) fn new(fields: Map<String, Value>, zone: &Zone, mint: &mut Mint) -> (String, Value) {
    let (id, now) = (mint.id(), mint.time());
    let mut balancer = defaults();
    balancer.extend(fields);
    balancer.insert("id".into(), id.clone().into());
    balancer.insert("zone_name".into(), zone.name.clone().into());
    balancer.insert("created_on".into(), now.clone());
    finish(&mut balancer, now);
    (id, Value::Object(balancer))
}

/// Answers for `/zones/{zone}/load_balancers`.
pub(crate) fn collection(world: &mut World, zone: &str, request: &Request) -> Outcome {
    let zone = world.zones.get_mut(zone).ok_or_else(|| Answer::no_route(&request.path))?;
    match request.method {
        Method::GET => {
            let balancers: Vec<_> = zone.balancers.values().cloned().collect();
            request.page(&LISTING, &balancers)
        }
        Method::POST => {
            let fields = writable(request, None)?;
            if zone.balancers.len() >= MOST {
                return Err(Answer::invalid("the limit of 20 load balancers is reached"));
            }
            check(&fields, &fields, None, zone, &world.accounts[&zone.account])?;
            let (id, balancer) = new(fields, zone, &mut world.mint);
            zone.balancers.insert(id, balancer.clone());
            Ok(Answer::of(balancer))
        }
        _ => Err(Answer::no_route(&request.path)),
    }
}

/// Answers for `/zones/{zone}/load_balancers/{balancer}`.
pub(crate) fn item(world: &mut World, zone: &str, id: &str, request: &Request) -> Outcome {
    let zone = world.zones.get_mut(zone).ok_or_else(|| Answer::no_route(&request.path))?;
    let Some(Value::Object(old)) = zone.balancers.get(id) else { return Err(Answer::not_found("load balancer")) };
    match request.method {
        Method::GET => Ok(Answer::of(Value::Object(old.clone()))),
        Method::PUT | Method::PATCH => {
            let sent = writable(request, Some(id))?;
            let mut balancer = if request.method == Method::PATCH { old.clone() } else { defaults() };
            balancer.extend(sent.clone());
            check(&balancer, &sent, Some(id), zone, &world.accounts[&zone.account])?;
            for kept in ["id", "created_on", "zone_name"] {
                balancer.insert(kept.into(), old[kept].clone());
            }
            finish(&mut balancer, world.mint.time());
            zone.balancers.insert(id.to_owned(), Value::Object(balancer.clone()));
            Ok(Answer::of(Value::Object(balancer)))
        }
        Method::DELETE => {
            zone.balancers.remove(id);
            Ok(Answer::of(json!({"id": id})))
        }
        _ => Err(Answer::no_route(&request.path)),
    }
}

fn defaults() -> Map<String, Value> {
    let fields = [
        ("description", json!("")),
        ("enabled", json!(true)),
        ("proxied", json!(false)),
        ("steering_policy", json!("off")),
        ("session_affinity", json!("none")),
    ];
    fields.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// Sets what the service sets itself. A proxied balancer has no TTL of its own.
fn finish(balancer: &mut Map<String, Value>, now: Value) {
    if balancer["proxied"] == true {
        balancer.remove("ttl");
    } else {
        balancer.entry("ttl").or_insert(json!(30));
    }
    balancer.insert("modified_on".into(), now);
}

fn writable(request: &Request, id: Option<&str>) -> Result<Map<String, Value>, Answer> {
    let fields = request.fields()?;
    match forbidden(&fields, &READ_ONLY, id) {
        Some(field) => Err(Answer::invalid(&format!("{field} is read-only"))),
        None => Ok(fields),
    }
}

/// Refuses what the service would, in the balancer as it would become; `sent` is what the request says of it.
fn check(
    balancer: &Map<String, Value>,
    sent: &Map<String, Value>,
    id: Option<&str>,
    zone: &Zone,
    account: &Account,
) -> Result<(), Answer> {
    let name = balancer.get("name").and_then(Value::as_str).unwrap_or_default();
    if name != zone.name && !name.ends_with(&format!(".{}", zone.name)) {
        return Err(Answer::invalid("name must be a name in the zone"));
    }
    if zone.balancers.iter().any(|(other, balancer)| Some(other.as_str()) != id && balancer["name"] == name) {
        return Err(Answer::invalid("name must be unique"));
    }
    let default = balancer.get("default_pools").and_then(Value::as_array).filter(|pools| !pools.is_empty());
    let Some((default, fallback)) = default.zip(balancer.get("fallback_pool")) else {
        return Err(Answer::invalid("default_pools and fallback_pool are required"));
    };
    let is_missing = |pool: &&Value| pool.as_str().is_none_or(|id| !account.pools.contains_key(id));
    if let Some(pool) = default.iter().chain([fallback]).find(is_missing) {
        return Err(Answer::refusal(http::StatusCode::BAD_REQUEST, 1003, &format!("pool {pool} does not exist")));
    }
    if balancer.get("steering_policy").is_some_and(|policy| !policy.as_str().is_some_and(|p| POLICIES.contains(&p))) {
        return Err(Answer::invalid("steering_policy is not one of the policies"));
    }
    if balancer.get("proxied") == Some(&json!(true)) && sent.contains_key("ttl") {
        return Err(Answer::invalid("ttl must not be set on a proxied load balancer"));
    }
    Ok(())
}
