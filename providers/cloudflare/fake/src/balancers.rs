//! Load balancers of a zone: creating, changing, listing, and the checks of each write.

use http::Method;
use serde_json::{Map, Value, json};

use crate::envelope::{ApiResponse, Outcome};
use crate::idn;
use crate::request::{FakeRequest, ListOptions, forbidden};
use crate::store::{FakeAccount, FakeZone, IdGenerator, NewObject, Store, object};

const LIST_OPTIONS: ListOptions = ListOptions { filters: &[], per_page: 50, max_per_page: 1_000 };
/// The number of balancers that a zone without an Enterprise plan may have.
const MAX_BALANCERS: usize = 20;
const READ_ONLY: [&str; 3] = ["created_on", "modified_on", "zone_name"];
const POLICIES: [&str; 8] =
    ["off", "geo", "random", "dynamic_latency", "proximity", "least_outstanding_requests", "least_connections", ""];

impl Store {
    /// Adds a load balancer, its missing fields as the API sets them. Returns its ID.
    ///
    /// # Panics
    /// There is no such zone, or the balancer is no object.
    pub fn add_balancer(&mut self, zone: &str, balancer: Value) -> String {
        let zone = self.zones.get_mut(zone).expect("a zone of that id");
        let NewObject { id, object: balancer } = new(object(balancer), zone, &mut self.ids);
        zone.balancers.insert(id.clone(), balancer);
        id
    }
}

/// Creates a balancer.
fn new(fields: Map<String, Value>, zone: &FakeZone, ids: &mut IdGenerator) -> NewObject {
    let id = ids.id();
    let now = ids.time();
    let mut balancer = defaults();
    balancer.extend(fields);
    balancer.insert("id".into(), id.clone().into());
    balancer.insert("zone_name".into(), zone.name.clone().into());
    balancer.insert("created_on".into(), now.clone());
    finish(&mut balancer, now);
    NewObject { id, object: Value::Object(balancer) }
}

/// Answers for `/zones/{zone}/load_balancers`.
pub(crate) fn collection(store: &mut Store, zone: &str, request: &FakeRequest) -> Outcome {
    let zone = store.zones.get_mut(zone).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    match request.method {
        Method::GET => {
            let balancers: Vec<_> =
                zone.balancers.values().map(|balancer| with_ttl(balancer.clone(), store.fractional_ttl)).collect();
            request.page(&LIST_OPTIONS, &balancers)
        }
        Method::POST => {
            let fields = writable(request, None)?;
            if zone.balancers.len() >= MAX_BALANCERS {
                return Err(ApiResponse::invalid("the limit of 20 load balancers is reached"));
            }
            check(&fields, &fields, None, zone, &store.accounts[&zone.account])?;
            let NewObject { id, object: balancer } = new(fields, zone, &mut store.ids);
            zone.balancers.insert(id, balancer.clone());
            Ok(ApiResponse::of(with_ttl(balancer, store.fractional_ttl)))
        }
        _ => Err(ApiResponse::no_route(&request.path)),
    }
}

/// Answers for `/zones/{zone}/load_balancers/{balancer}`.
pub(crate) fn item(store: &mut Store, zone: &str, id: &str, request: &FakeRequest) -> Outcome {
    let zone = store.zones.get_mut(zone).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    let Some(Value::Object(old)) = zone.balancers.get(id) else { return Err(ApiResponse::not_found("load balancer")) };
    match request.method {
        Method::GET => Ok(ApiResponse::of(with_ttl(Value::Object(old.clone()), store.fractional_ttl))),
        Method::PUT | Method::PATCH => {
            let sent = writable(request, Some(id))?;
            let mut balancer = if request.method == Method::PATCH { old.clone() } else { defaults() };
            balancer.extend(sent.clone());
            check(&balancer, &sent, Some(id), zone, &store.accounts[&zone.account])?;
            for kept in ["id", "created_on", "zone_name"] {
                balancer.insert(kept.into(), old[kept].clone());
            }
            finish(&mut balancer, store.ids.time());
            let balancer = Value::Object(balancer);
            zone.balancers.insert(id.to_owned(), balancer.clone());
            Ok(ApiResponse::of(with_ttl(balancer, store.fractional_ttl)))
        }
        Method::DELETE => {
            zone.balancers.remove(id);
            Ok(ApiResponse::of(json!({"id": id})))
        }
        _ => Err(ApiResponse::no_route(&request.path)),
    }
}

/// Renders the TTL with a fraction if the store says so.
fn with_ttl(mut balancer: Value, fractional: bool) -> Value {
    if let Some(ttl) = balancer["ttl"].as_f64().filter(|_| fractional) {
        balancer["ttl"] = json!(ttl);
    }
    balancer
}

/// The pools that any field of the balancer sends traffic to: also by place, by pool set and by rule.
pub(crate) fn pools_of(balancer: &Value) -> Vec<&str> {
    let by_place = ["region_pools", "country_pools", "pop_pools"].map(|field| &balancer[field]);
    let by_place = by_place.into_iter().filter_map(Value::as_object).flat_map(Map::values);
    let lists = ["default_pools", "pools"].map(|field| &balancer[field]).into_iter().chain(by_place);
    let listed = lists.filter_map(Value::as_array).flatten();
    let own = listed.chain([&balancer["fallback_pool"]]).filter_map(Value::as_str);
    let parts = ["rules", "pool_sets"].map(|field| &balancer[field]).into_iter().filter_map(Value::as_array).flatten();
    own.chain(parts.flat_map(|part| pools_of(&part["overrides"]))).collect()
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
    if !zone.has_load_balancing {
        return Err(ApiResponse::invalid("load balancing not enabled for zone"));
    }
    let name = balancer.get("name").and_then(Value::as_str).unwrap_or_default();
    if !idn::is_in(&idn::to_ascii(name), &zone.ascii_name()) {
        return Err(ApiResponse::invalid("name must be a name in the zone"));
    }
    if zone.balancers.iter().any(|(other, balancer)| Some(other.as_str()) != id && balancer["name"] == name) {
        return Err(ApiResponse::invalid("name must be unique"));
    }
    let default = balancer.get("default_pools").and_then(Value::as_array).filter(|pools| !pools.is_empty());
    if default.is_none() || !balancer.get("fallback_pool").is_some_and(Value::is_string) {
        return Err(ApiResponse::invalid("default_pools and fallback_pool are required"));
    }
    let whole = Value::Object(balancer.clone());
    if let Some(pool) = pools_of(&whole).into_iter().find(|pool| !account.pools.contains_key(*pool)) {
        return Err(ApiResponse::refusal(http::StatusCode::BAD_REQUEST, 1003, &format!("pool {pool} does not exist")));
    }
    check_fields(&whole)?;
    if balancer.get("steering_policy").is_some_and(|policy| !policy.as_str().is_some_and(|p| POLICIES.contains(&p))) {
        return Err(ApiResponse::invalid("steering_policy is not one of the policies"));
    }
    if balancer.get("proxied") == Some(&json!(true)) && sent.contains_key("ttl") {
        return Err(ApiResponse::invalid("ttl must not be set on a proxied load balancer"));
    }
    Ok(())
}

/// Refuses values outside the SDK's types and ranges. The texts are not verified.
fn check_fields(balancer: &Value) -> Result<(), ApiResponse> {
    let is_one_of = |value: &Value, allowed: &[&str]| {
        value.is_null() || value.as_str().is_some_and(|value| allowed.contains(&value))
    };
    let affinity = balancer["session_affinity"].as_str().unwrap_or("none");
    let session_ttl = if affinity == "header" { 30..=3_600 } else { 1_800..=604_800 };
    let strategy = &balancer["location_strategy"];
    let is_list = |field: &str| balancer[field].is_null() || balancer[field].is_array();
    let fits = [
        ("session_affinity", ["none", "cookie", "ip_cookie", "header"].contains(&affinity)),
        (
            "session_affinity_ttl",
            balancer["session_affinity_ttl"].as_u64().is_none_or(|ttl| session_ttl.contains(&ttl)),
        ),
        ("location_strategy.mode", is_one_of(&strategy["mode"], &["pop", "resolver_ip"])),
        ("location_strategy.prefer_ecs", is_one_of(&strategy["prefer_ecs"], &["always", "never", "proximity", "geo"])),
        ("enabled", balancer["enabled"].is_null() || balancer["enabled"].is_boolean()),
        ("rules", is_list("rules")),
        ("pool_sets", is_list("pool_sets")),
        ("networks", is_list("networks")),
    ];
    match fits.into_iter().find(|(_, fits)| !fits) {
        Some((name, _)) => Err(ApiResponse::invalid(&format!("{name} must be a value that the API knows"))),
        None => Ok(()),
    }
}
