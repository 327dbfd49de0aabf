//! DNS records of a zone: creating, changing, listing, and the checks of each write.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::envelope::{ApiResponse, Outcome};
use crate::request::{FakeRequest, ListOptions, forbidden};
use crate::store::{FakeZone, FakeZonePlan, IdGenerator, Store, object};

const LIST_OPTIONS: ListOptions = ListOptions {
    filters: &["name", "type", "content", "comment", "comment.exact", "comment.startswith"],
    per_page: 100,
    max_per_page: 5_000_000,
};
const READ_ONLY: [&str; 6] = ["created_on", "modified_on", "proxiable", "meta", "zone_id", "zone_name"];

impl Store {
    /// Adds a DNS record, its missing fields as the API sets them. Returns its ID.
    ///
    /// # Panics
    /// There is no such zone, or the record is no object.
    pub fn add_record(&mut self, zone: &str, record: Value) -> String {
        let zone = self.zones.get_mut(zone).expect("a zone of that id");
        let (id, record) = new(object(record), zone, &mut self.ids);
        zone.records.insert(id.clone(), record);
        id
    }
}

/// Creates a record. Returns its ID and the record.
fn new(fields: Map<String, Value>, zone: &FakeZone, ids: &mut IdGenerator) -> (String, Value) {
    let id = ids.id();
    let now = ids.time();
    let mut record = completed(defaults(), fields, zone);
    record.insert("id".into(), id.clone().into());
    record.insert("created_on".into(), now.clone());
    record.insert("modified_on".into(), now);
    (id, Value::Object(record))
}

/// Answers for `/zones/{zone}/dns_records`.
pub(crate) fn collection(store: &mut Store, zone: &str, request: &FakeRequest) -> Outcome {
    let zone = store.zones.get_mut(zone).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    match request.method {
        Method::GET => {
            let records: Vec<_> = zone.records.values().filter(|record| matches(record, request)).cloned().collect();
            request.page(&LIST_OPTIONS, &records)
        }
        Method::POST => {
            let sent = writable(request, None)?;
            check(&completed(defaults(), sent.clone(), zone), None, zone)?;
            let (id, record) = new(sent, zone, &mut store.ids);
            zone.records.insert(id, record.clone());
            Ok(ApiResponse::of(record))
        }
        _ => Err(ApiResponse::no_route(&request.path)),
    }
}

/// Answers for `/zones/{zone}/dns_records/{record}`.
pub(crate) fn item(store: &mut Store, zone: &str, id: &str, request: &FakeRequest) -> Outcome {
    let zone = store.zones.get_mut(zone).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    let Some(Value::Object(old)) = zone.records.get(id) else {
        return Err(ApiResponse::refusal(StatusCode::NOT_FOUND, 81_044, "Record does not exist."));
    };
    match request.method {
        Method::GET => Ok(ApiResponse::of(Value::Object(old.clone()))),
        Method::PUT | Method::PATCH => {
            let base = if request.method == Method::PATCH { old.clone() } else { defaults() };
            let mut record = completed(base, writable(request, Some(id))?, zone);
            check(&record, Some(id), zone)?;
            for kept in ["id", "created_on"] {
                record.insert(kept.into(), old[kept].clone());
            }
            record.insert("modified_on".into(), store.ids.time());
            zone.records.insert(id.to_owned(), Value::Object(record.clone()));
            Ok(ApiResponse::of(Value::Object(record)))
        }
        Method::DELETE => {
            zone.records.remove(id);
            Ok(ApiResponse::of(json!({"id": id})))
        }
        _ => Err(ApiResponse::no_route(&request.path)),
    }
}

/// Returns true if the record passes every filter of the request.
fn matches(record: &Value, request: &FakeRequest) -> bool {
    let is = |field: &str, wanted: &str| record[field].as_str().unwrap_or_default() == wanted;
    request.query.iter().all(|(key, wanted)| match key.as_str() {
        "name" => is("name", &wanted.to_lowercase()),
        "type" | "content" => is(key, wanted),
        "comment" | "comment.exact" => is("comment", wanted),
        "comment.startswith" => record["comment"].as_str().unwrap_or_default().starts_with(wanted),
        _ => true,
    })
}

fn defaults() -> Map<String, Value> {
    let fields = [
        ("ttl", json!(1)),
        ("proxied", json!(false)),
        ("comment", Value::Null),
        ("tags", json!([])),
        ("meta", json!({})),
    ];
    fields.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// Applies `fields` to `base`: the name becomes complete and lower-case, the address takes its short form.
fn completed(mut base: Map<String, Value>, fields: Map<String, Value>, zone: &FakeZone) -> Map<String, Value> {
    base.extend(fields);
    let text = |key: &str| base.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = text("name").to_lowercase();
    let kind = text("type");
    let content = text("content");
    let name = match name.as_str() {
        "" => name,
        "@" => zone.name.clone(),
        _ if name == zone.name || name.ends_with(&format!(".{}", zone.name)) => name,
        _ => format!("{name}.{}", zone.name),
    };
    base.insert("name".into(), name.into());
    if let Ok(address) = content.parse::<Ipv6Addr>() {
        base.insert("content".into(), address.to_string().into());
    }
    base.insert("proxiable".into(), matches!(kind.as_str(), "A" | "AAAA" | "CNAME").into());
    if base["proxied"] == true {
        base.insert("ttl".into(), json!(1));
    }
    base
}

fn writable(request: &FakeRequest, id: Option<&str>) -> Result<Map<String, Value>, ApiResponse> {
    let fields = request.fields()?;
    match forbidden(&fields, &READ_ONLY, id) {
        Some(field) => Err(invalid(9_000, &format!("{field} is read-only."))),
        None => Ok(fields),
    }
}

/// Refuses what the service would refuse in the record as it would become.
fn check(record: &Map<String, Value>, id: Option<&str>, zone: &FakeZone) -> Result<(), ApiResponse> {
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text("name");
    let kind = text("type");
    let content = text("content");
    if name.is_empty() || kind.is_empty() {
        return Err(invalid(9_000, "DNS name and type are required."));
    }
    if kind == "A" && content.parse::<Ipv4Addr>().is_err() {
        return Err(invalid(9_005, "Content for A record must be a valid IPv4 address."));
    }
    if kind == "AAAA" && content.parse::<Ipv6Addr>().is_err() {
        return Err(invalid(9_006, "Content for AAAA record must be a valid IPv6 address."));
    }
    if record["proxied"] == true && record["proxiable"] == false {
        return Err(invalid(9_004, "This record type cannot be proxied."));
    }
    check_extras(record, zone.plan)?;
    let others = || zone.records.iter().filter(|(other, record)| Some(other.as_str()) != id && record["name"] == name);
    let other =
        |kinds: &[&str]| others().any(|(_, record)| record["type"].as_str().is_some_and(|k| kinds.contains(&k)));
    if others().any(|(_, record)| record["type"] == kind && record["content"] == content) {
        return Err(ApiResponse::refusal(StatusCode::BAD_REQUEST, 81_058, "An identical record already exists."));
    }
    if kind == "CNAME" && other(&["A", "AAAA", "CNAME"]) {
        let message = "An A, AAAA, or CNAME record with that host already exists.";
        return Err(ApiResponse::refusal(StatusCode::BAD_REQUEST, 81_053, message));
    }
    if ["A", "AAAA"].contains(&kind) && other(&["CNAME"]) {
        let message = "A CNAME record with that host already exists.";
        return Err(ApiResponse::refusal(StatusCode::BAD_REQUEST, 81_054, message));
    }
    Ok(())
}

/// Refuses the TTL, comment and tags that the plan does not allow.
fn check_extras(record: &Map<String, Value>, plan: FakeZonePlan) -> Result<(), ApiResponse> {
    let (min_ttl, max_comment) = match plan {
        FakeZonePlan::Free => (60, 100),
        FakeZonePlan::Enterprise => (30, 500),
    };
    let in_range = |ttl: u64| ttl == 1 || (min_ttl..=86_400).contains(&ttl);
    if !record["ttl"].as_u64().is_some_and(in_range) {
        let message = format!("TTL must be between {min_ttl} and 86400 seconds, or 1 for Automatic.");
        return Err(invalid(9_021, &message));
    }
    let comment = match &record["comment"] {
        Value::Null => "",
        comment => comment.as_str().ok_or_else(|| invalid(9_300, "The comment must be a string."))?,
    };
    if comment.chars().count() > max_comment || comment.contains('\n') {
        return Err(invalid(9_300, &format!("A comment has at most {max_comment} characters and one line.")));
    }
    if plan == FakeZonePlan::Free && record["tags"].as_array().is_none_or(|tags| !tags.is_empty()) {
        return Err(invalid(9_300, "The quota of tags, 0, is exceeded."));
    }
    Ok(())
}

fn invalid(code: u32, message: &str) -> ApiResponse {
    ApiResponse::chained(StatusCode::BAD_REQUEST, (1_004, "DNS Validation Error"), (code, message))
}
