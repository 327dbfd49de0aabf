//! Load balancers of a zone: creating, changing, listing, and the checks of each write.

use http::Method;
use serde_json::{Map, Value, json};

use crate::envelope::{ApiResponse, Outcome};
use crate::idn;
use crate::request::{FakeRequest, ListOptions, forbidden};
use crate::store::{FakeAccount, FakeZone, IdGenerator, Store, object};

const LIST_OPTIONS: ListOptions = ListOptions { filters: &[], per_page: 50, max_per_page: 1_000 };
/// The number of balancers that a zone without an Enterprise plan may have.
const MAX_BALANCERS: usize = 20;
const READ_ONLY: [&str; 4] = ["created_on", "modified_on", "zone_name", "networks"];
const POLICIES: [&str; 8] =
    ["off", "geo", "random", "dynamic_latency", "proximity", "least_outstanding_requests", "least_connections", ""];

impl Store {
    /// Adds a load balancer, its missing fields as the API sets them. Returns its ID.
    ///
    /// # Panics
    /// There is no such zone, or the balancer is no object.
    pub fn add_balancer(&mut self, zone: &str, balancer: Value) -> String {
        let zone = self.zones.get_mut(zone).expect("a zone of that id");
        let (id, balancer) = new(object(balancer), zone, &mut self.ids);
        zone.balancers.insert(id.clone(), balancer);
        id
    }
}

/// Creates a balancer. Returns its ID and the balancer.
fn new(fields: Map<String, Value>, zone: &FakeZone, ids: &mut IdGenerator) -> (String, Value) {
    let id = ids.id();
    let now = ids.time();
    let mut balancer = defaults();
    balancer.extend(fields);
    balancer.insert("id".into(), id.clone().into());
    balancer.insert("zone_name".into(), zone.name.clone().into());
    balancer.insert("created_on".into(), now.clone());
    finish(&mut balancer, now);
    (id, Value::Object(balancer))
}

/// Answers for `/zones/{zone}/load_balancers`.
pub(crate) fn collection(store: &mut Store, zone: &str, request: &FakeRequest) -> Outcome {
    let zone = store.zones.get_mut(zone).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    match request.method {
        Method::GET => {
            let balancers: Vec<_> = zone.balancers.values().cloned().collect();
            request.page(&LIST_OPTIONS, &balancers)
        }
        Method::POST => {
            let fields = writable(request, None)?;
            if zone.balancers.len() >= MAX_BALANCERS {
                return Err(ApiResponse::invalid("the limit of 20 load balancers is reached"));
            }
            check(&fields, &fields, None, zone, &store.accounts[&zone.account])?;
            let (id, balancer) = new(fields, zone, &mut store.ids);
            zone.balancers.insert(id, balancer.clone());
            Ok(ApiResponse::of(balancer))
        }
        _ => Err(ApiResponse::no_route(&request.path)),
    }
}

/// Answers for `/zones/{zone}/load_balancers/{balancer}`.
pub(crate) fn item(store: &mut Store, zone: &str, id: &str, request: &FakeRequest) -> Outcome {
    let zone = store.zones.get_mut(zone).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    let Some(Value::Object(old)) = zone.balancers.get(id) else { return Err(ApiResponse::not_found("load balancer")) };
    match request.method {
        Method::GET => Ok(ApiResponse::of(Value::Object(old.clone()))),
        Method::PUT | Method::PATCH => {
            let sent = writable(request, Some(id))?;
            let mut balancer = if request.method == Method::PATCH { old.clone() } else { defaults() };
            balancer.extend(sent.clone());
            check(&balancer, &sent, Some(id), zone, &store.accounts[&zone.account])?;
            for kept in ["id", "created_on", "zone_name"] {
                balancer.insert(kept.into(), old[kept].clone());
            }
            finish(&mut balancer, store.ids.time());
            zone.balancers.insert(id.to_owned(), Value::Object(balancer.clone()));
            Ok(ApiResponse::of(Value::Object(balancer)))
        }
        Method::DELETE => {
            zone.balancers.remove(id);
            Ok(ApiResponse::of(json!({"id": id})))
        }
        _ => Err(ApiResponse::no_route(&request.path)),
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

/// Sets the fields that the service sets itself. A proxied balancer has no TTL of its own.
fn finish(balancer: &mut Map<String, Value>, now: Value) {
    if balancer["proxied"] == true {
        balancer.remove("ttl");
    } else {
        balancer.entry("ttl").or_insert(json!(30));
    }
    balancer.insert("modified_on".into(), now);
}

fn writable(request: &FakeRequest, id: Option<&str>) -> Result<Map<String, Value>, ApiResponse> {
    let fields = request.fields()?;
    match forbidden(&fields, &READ_ONLY, id) {
        Some(field) => Err(ApiResponse::invalid(&format!("{field} is read-only"))),
        None => Ok(fields),
    }
}

/// Refuses what the service would refuse in the balancer as it would become. `sent` holds the fields of the request.
fn check(
    balancer: &Map<String, Value>,
    sent: &Map<String, Value>,
    id: Option<&str>,
    zone: &FakeZone,
    account: &FakeAccount,
) -> Result<(), ApiResponse> {
    let name = balancer.get("name").and_then(Value::as_str).unwrap_or_default();
    if !idn::is_in(&idn::to_ascii(name), &zone.ascii_name()) {
        return Err(ApiResponse::invalid("name must be a name in the zone"));
    }
    if zone.balancers.iter().any(|(other, balancer)| Some(other.as_str()) != id && balancer["name"] == name) {
        return Err(ApiResponse::invalid("name must be unique"));
    }
    let default = balancer.get("default_pools").and_then(Value::as_array).filter(|pools| !pools.is_empty());
    let Some((default, fallback)) = default.zip(balancer.get("fallback_pool")) else {
        return Err(ApiResponse::invalid("default_pools and fallback_pool are required"));
    };
    let is_missing = |pool: &&Value| pool.as_str().is_none_or(|id| !account.pools.contains_key(id));
    if let Some(pool) = default.iter().chain([fallback]).find(is_missing) {
        return Err(ApiResponse::refusal(http::StatusCode::BAD_REQUEST, 1003, &format!("pool {pool} does not exist")));
    }
    if balancer.get("steering_policy").is_some_and(|policy| !policy.as_str().is_some_and(|p| POLICIES.contains(&p))) {
        return Err(ApiResponse::invalid("steering_policy is not one of the policies"));
    }
    if balancer.get("proxied") == Some(&json!(true)) && sent.contains_key("ttl") {
        return Err(ApiResponse::invalid("ttl must not be set on a proxied load balancer"));
    }
    Ok(())
}
