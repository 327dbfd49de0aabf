//! Load Balancing pools of an account: creating, changing, listing, and the checks of each write.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::balancers;
use crate::envelope::{ApiResponse, Outcome};
use crate::request::{FakeRequest, ListOptions, forbidden};
use crate::store::{FakeAccount, FakeZone, IdGenerator, NewObject, PoolInUseError, Store, object};

const LIST_OPTIONS: ListOptions = ListOptions { filters: &["monitor"], per_page: 50, max_per_page: 1_000 };
/// The number of pools that an account without an Enterprise plan may have.
const MAX_POOLS: usize = 20;
const READ_ONLY: [&str; 5] = ["created_on", "modified_on", "disabled_at", "healthy", "networks"];
const ORIGIN_READ_ONLY: [&str; 3] = ["disabled_at", "healthy", "failure_reason"];

impl Store {
    /// Adds a pool, its missing fields as the API sets them. Returns its ID.
    ///
    /// # Panics
    /// There is no such account, or the pool is no object.
    pub fn add_pool(&mut self, account: &str, pool: Value) -> String {
        let NewObject { id, object: pool } = new(object(pool), &mut self.ids);
        self.accounts.get_mut(account).expect("an account of that id").pools.insert(id.clone(), pool);
        id
    }
}

/// Creates a pool.
fn new(fields: Map<String, Value>, ids: &mut IdGenerator) -> NewObject {
    let id = ids.id();
    let now = ids.time();
    let mut pool = defaults();
    pool.extend(fields);
    pool.insert("id".into(), id.clone().into());
    pool.insert("created_on".into(), now.clone());
    finish(&mut pool, &Map::new(), now);
    NewObject { id, object: Value::Object(pool) }
}

/// Answers for `/accounts/{account}/load_balancers/pools`.
pub(crate) fn collection(store: &mut Store, account: &str, request: &FakeRequest) -> Outcome {
    let account = store.accounts.get_mut(account).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    match request.method {
        Method::GET => {
            let has_monitor = |pool: &&Value| request.parameter("monitor").is_none_or(|id| pool["monitor"] == id);
            let selected = account.pools.values().filter(has_monitor);
            let pools: Vec<_> = selected.map(|pool| with_health(rendered(pool))).collect();
            request.page(&LIST_OPTIONS, &pools)
        }
        Method::POST => {
            let fields = writable(request, None)?;
            if account.pools.len() >= MAX_POOLS {
                return Err(ApiResponse::invalid("the limit of 20 pools is reached"));
            }
            check(&fields, None, account)?;
            let NewObject { id, object: pool } = new(fields, &mut store.ids);
            let answer = ApiResponse::of(rendered(&pool));
            account.pools.insert(id, pool);
            Ok(answer)
        }
        _ => Err(ApiResponse::no_route(&request.path)),
    }
}

/// Answers for `/accounts/{account}/load_balancers/pools/{pool}`.
pub(crate) fn item(store: &mut Store, account: &str, id: &str, request: &FakeRequest) -> Outcome {
    let account = store.accounts.get_mut(account).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    let Some(Value::Object(old)) = account.pools.get(id) else { return Err(ApiResponse::not_found("pool")) };
    match request.method {
        Method::GET => Ok(ApiResponse::of(rendered(&account.pools[id]))),
        Method::PUT | Method::PATCH => {
            let old = old.clone();
            let mut pool = if request.method == Method::PATCH { old.clone() } else { defaults() };
            pool.extend(writable(request, Some(id))?);
            check(&pool, Some(id), account)?;
            // A PUT does not remove the fields that a client cannot send.
            for kept in ["id", "created_on", "networks"] {
                if let Some(value) = old.get(kept) {
                    pool.insert(kept.into(), value.clone());
                }
            }
            finish(&mut pool, &old, store.ids.time());
            let answer = ApiResponse::of(rendered(&Value::Object(pool.clone())));
            account.pools.insert(id.to_owned(), Value::Object(pool));
            Ok(answer)
        }
        Method::DELETE if users(&store.zones, id).next().is_some() => Err(match store.pool_in_use {
            PoolInUseError::PreconditionFailed => {
                let message = "This object is referenced by other objects, delete them first.";
                ApiResponse::refusal(StatusCode::PRECONDITION_FAILED, 1005, message)
            }
            PoolInUseError::ValidationFailed => ApiResponse::invalid("the pool is still referenced"),
        }),
        Method::DELETE => {
            account.pools.remove(id);
            Ok(ApiResponse::of(json!({"id": id})))
        }
        _ => Err(ApiResponse::no_route(&request.path)),
    }
}

/// Answers for `/accounts/{account}/load_balancers/pools/{pool}/references`: the balancers that use the pool, and the
/// monitors that it uses. The document's example has the types; that of a monitor group is not verified.
pub(crate) fn references(store: &Store, account: &str, id: &str, request: &FakeRequest) -> Outcome {
    let account = store.accounts.get(account).filter(|_| request.method == Method::GET);
    let account = account.ok_or_else(|| ApiResponse::no_route(&request.path))?;
    let pool = account.pools.get(id).ok_or_else(|| ApiResponse::not_found("pool"))?;
    let reference = |direction: &str, kind: &str, id: &Value, name: &Value| json!({"reference_type": direction, "resource_type": kind, "resource_id": id, "resource_name": name});
    let mut found: Vec<_> = users(&store.zones, id)
        .map(|balancer| reference("referrer", "load_balancer", &balancer["id"], &balancer["name"]))
        .collect();
    for kind in ["monitor", "monitor_group"] {
        if pool[kind].as_str().is_some_and(|id| !id.is_empty()) {
            found.push(reference("referral", kind, &pool[kind], &json!(kind)));
        }
    }
    Ok(ApiResponse::of(Value::Array(found)))
}

/// Answers for `/accounts/{account}/load_balancers/pools/{pool}/health`.
pub(crate) fn health(store: &Store, account: &str, id: &str, request: &FakeRequest) -> Outcome {
    let account = store.accounts.get(account).filter(|_| request.method == Method::GET);
    let account = account.ok_or_else(|| ApiResponse::no_route(&request.path))?;
    if !account.pools.contains_key(id) {
        return Err(ApiResponse::not_found("pool"));
    }
    let health = account.health.get(id).cloned().unwrap_or_else(|| json!({}));
    Ok(ApiResponse::of(json!({"pool_id": id, "pop_health": health})))
}

fn defaults() -> Map<String, Value> {
    let fields = [
        ("description", json!("")),
        ("enabled", json!(true)),
        ("minimum_origins", json!(1)),
        ("check_regions", Value::Null),
        ("notification_email", json!("")),
    ];
    fields.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// Sets the fields that the service sets itself: defaults of origins, and the times.
fn finish(pool: &mut Map<String, Value>, old: &Map<String, Value>, now: Value) {
    let before = old.get("origins").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for origin in pool.get_mut("origins").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(origin) = origin.as_object_mut() else { continue };
        origin.entry("enabled").or_insert(json!(true));
        origin.entry("weight").or_insert(json!(1));
        let before = before.iter().find(|other| other["address"] == origin["address"]);
        update_disabled_at(origin, before.and_then(Value::as_object), &now);
    }
    update_disabled_at(pool, Some(old), &now);
    pool.insert("modified_on".into(), now);
}

/// Sets `disabled_at` on a disabled entity and removes it from an enabled one.
fn update_disabled_at(entity: &mut Map<String, Value>, before: Option<&Map<String, Value>>, now: &Value) {
    if entity.get("enabled") == Some(&Value::Bool(false)) {
        let since = before.and_then(|before| before.get("disabled_at")).unwrap_or(now);
        entity.insert("disabled_at".into(), since.clone());
    } else {
        entity.remove("disabled_at");
    }
}

/// Renders the pool: origins come sorted by name, in whatever order they were written.
fn rendered(pool: &Value) -> Value {
    let mut pool = pool.clone();
    if let Some(origins) = pool["origins"].as_array_mut() {
        origins.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    }
    pool
}

/// Adds the fields that only the list has.
fn with_health(mut pool: Value) -> Value {
    for origin in pool["origins"].as_array_mut().into_iter().flatten() {
        origin["healthy"] = json!(true);
        origin["failure_reason"] = json!("No failures");
    }
    pool["healthy"] = json!(true);
    pool
}

/// The balancers of all zones that send traffic to the pool by any of their fields.
fn users<'a>(zones: &'a BTreeMap<String, FakeZone>, pool: &str) -> impl Iterator<Item = &'a Value> {
    let all = zones.values().flat_map(|zone| zone.balancers.values());
    all.filter(move |balancer| balancers::pools_of(balancer).contains(&pool))
}

/// The fields of the request. Refuses a field that is the service's own.
fn writable(request: &FakeRequest, id: Option<&str>) -> Result<Map<String, Value>, ApiResponse> {
    let fields = request.fields()?;
    let origins = fields.get("origins").and_then(Value::as_array).into_iter().flatten();
    let of_origin = origins.filter_map(Value::as_object).find_map(|origin| forbidden(origin, &ORIGIN_READ_ONLY, None));
    match forbidden(&fields, &READ_ONLY, id).or(of_origin) {
        Some(field) => Err(ApiResponse::invalid(&format!("{field} is read-only"))),
        None => Ok(fields),
    }
}

/// Refuses what the service would refuse in the pool as it would become.
fn check(pool: &Map<String, Value>, id: Option<&str>, account: &FakeAccount) -> Result<(), ApiResponse> {
    let name = pool.get("name").and_then(Value::as_str).unwrap_or_default();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_allowed) {
        return Err(ApiResponse::invalid("name must hold only letters, digits, hyphens and underscores"));
    }
    if account.pools.iter().any(|(other, pool)| Some(other.as_str()) != id && pool["name"] == name) {
        return Err(ApiResponse::invalid("name must be unique"));
    }
    let origins = pool.get("origins").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if !account.has_load_balancing {
        return Err(ApiResponse::invalid("Access Failed"));
    }
    if !(1..=account.max_origins).contains(&origins.len()) {
        let message = format!("the origin list length must be in range [1, {}]", account.max_origins);
        return Err(ApiResponse::invalid(&message));
    }
    check_fields(pool)?;
    let has = |field: &str| pool.get(field).and_then(Value::as_str).is_some_and(|id| !id.is_empty());
    let monitored = has("monitor") || has("monitor_group");
    let mut endpoints = BTreeSet::new();
    for origin in origins {
        check_origin(origin, monitored)?;
        // One address can be used for several ports and networks (cloudflare-docs #31583).
        let port = origin["port"].as_u64().unwrap_or_default();
        if !endpoints.insert((origin["address"].as_str(), port, origin["virtual_network_id"].as_str())) {
            return Err(ApiResponse::invalid("origin addresses must be unique"));
        }
    }
    Ok(())
}

/// Refuses values outside the SDK's types. The texts are not verified.
fn check_fields(pool: &Map<String, Value>) -> Result<(), ApiResponse> {
    let field = |path: &str| pool.get(path).filter(|value| !value.is_null());
    let inside = |parent: &str, name: &str| field(parent).and_then(|parent| parent.get(name));
    let is_one_of = |value: Option<&Value>, allowed: &[&str]| {
        value.is_none_or(|value| value.as_str().is_some_and(|value| allowed.contains(&value)))
    };
    let is_percent = |value: Option<&Value>| {
        value.is_none_or(|value| value.as_f64().is_some_and(|percent| (0.0..=100.0).contains(&percent)))
    };
    let policies = ["random", "hash", "least_outstanding_requests", "least_connections"];
    let sources = field("health_sources").map_or(Some(&[][..]), |sources| sources.as_array().map(Vec::as_slice));
    let sources_fit =
        |sources: &[Value]| sources.iter().all(|source| is_one_of(Some(source), &["local", "regional", "global"]));
    let fits = [
        ("minimum_origins", field("minimum_origins").is_none_or(Value::is_u64)),
        ("origin_steering", is_one_of(inside("origin_steering", "policy"), &policies)),
        (
            "load_shedding",
            is_percent(inside("load_shedding", "default_percent"))
                && is_percent(inside("load_shedding", "session_percent"))
                && is_one_of(inside("load_shedding", "default_policy"), &["random", "hash"])
                && is_one_of(inside("load_shedding", "session_policy"), &["hash"]),
        ),
        ("health_sources", sources.is_some_and(sources_fit)),
        ("notification_filter", field("notification_filter").is_none_or(Value::is_object)),
        ("latitude and longitude", field("latitude").is_some() == field("longitude").is_some()),
    ];
    match fits.into_iter().find(|(_, fits)| !fits) {
        Some((name, _)) => Err(ApiResponse::invalid(&format!("{name} must be a value that the API knows"))),
        None => Ok(()),
    }
}

fn check_origin(origin: &Value, monitored: bool) -> Result<(), ApiResponse> {
    if origin["name"].as_str().is_none_or(str::is_empty) {
        return Err(ApiResponse::invalid("origin name is required"));
    }
    let Some(address) = origin["address"].as_str().filter(|address| !address.is_empty()) else {
        return Err(ApiResponse::invalid("origin address is required"));
    };
    let own_network = origin.get("virtual_network_id").is_some_and(|id| !id.is_null());
    if monitored && !own_network && address.parse().is_ok_and(|address| !is_public(address)) {
        return Err(ApiResponse::invalid(&format!("address {address} is private or reserved")));
    }
    if origin.get("enabled").is_some_and(|enabled| !enabled.is_boolean()) {
        return Err(ApiResponse::invalid("origin enabled must be a boolean"));
    }
    let in_range = |weight: &Value| weight.as_f64().is_some_and(|weight| (0.0..=1.0).contains(&weight));
    if !origin.get("weight").is_none_or(in_range) {
        return Err(ApiResponse::invalid("origin weight must be between 0 and 1"));
    }
    Ok(())
}

/// Returns true for an address that is neither private nor reserved nor for documentation.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let shared = Ipv4Addr::new(100, 64, 0, 0).to_bits() >> 22;
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || address.to_bits() >> 22 == shared
                || address.octets()[0] == 0
                || address.octets()[0] >= 224)
        }
        IpAddr::V6(address) => {
            let documentation = address.segments()[..2] == [0x2001, 0xdb8];
            // IANA has assigned global unicast addresses only from 2000::/3 (RFC 4291, section 2.4).
            address.segments()[0] >> 13 == 1 && !documentation
        }
    }
}
