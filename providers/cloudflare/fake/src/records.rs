//! DNS records of a zone: creating, changing, listing, and the checks of each write.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::envelope::{ApiResponse, ErrorText, Outcome};
use crate::idn;
use crate::request::{FakeRequest, ListOptions, forbidden};
use crate::store::{DuplicateError, FakeZone, FakeZonePlan, FakeZoneType, IdGenerator, NewObject, Store, object};

const LIST_OPTIONS: ListOptions = ListOptions {
    filters: &["name", "type", "content", "comment", "comment.exact", "comment.startswith", "shadowing_name"],
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
        let NewObject { id, object: record } = new(object(record), zone, &mut self.ids);
        zone.records.insert(id.clone(), record);
        id
    }
}

/// Creates a record.
fn new(fields: Map<String, Value>, zone: &FakeZone, ids: &mut IdGenerator) -> NewObject {
    let id = ids.id();
    let now = ids.time();
    let mut record = completed(defaults(), fields, zone);
    record.insert("id".into(), id.clone().into());
    record.insert("created_on".into(), now.clone());
    record.insert("modified_on".into(), now);
    NewObject { id, object: Value::Object(record) }
}

/// Answers for `/zones/{zone}/dns_records`.
pub(crate) fn collection(store: &mut Store, zone: &str, request: &FakeRequest) -> Outcome {
    let zone = store.zones.get_mut(zone).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    let fractional = store.fractional_ttl;
    match request.method {
        Method::GET => {
            check_shadowing_name(zone, request)?;
            let selected = zone.records.values().filter(|record| matches(record, zone, request));
            let records: Vec<_> = selected.map(|record| rendered(record, fractional)).collect();
            request.page(&LIST_OPTIONS, &records)
        }
        Method::POST => {
            let sent = writable(request, None)?;
            check(&completed(defaults(), sent.clone(), zone), None, zone, store.duplicate_record)?;
            let NewObject { id, object: record } = new(sent, zone, &mut store.ids);
            let answer = ApiResponse::of(rendered(&record, fractional));
            zone.records.insert(id, record);
            Ok(answer)
        }
        _ => Err(ApiResponse::no_route(&request.path)),
    }
}

/// Answers for `/zones/{zone}/dns_records/{record}`.
pub(crate) fn item(store: &mut Store, zone: &str, id: &str, request: &FakeRequest) -> Outcome {
    let zone = store.zones.get_mut(zone).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    let fractional = store.fractional_ttl;
    let Some(Value::Object(old)) = zone.records.get(id) else {
        return Err(ApiResponse::refusal(StatusCode::NOT_FOUND, 81_044, "Record does not exist."));
    };
    match request.method {
        Method::GET => Ok(ApiResponse::of(rendered(&zone.records[id], fractional))),
        Method::PUT | Method::PATCH => {
            let base = if request.method == Method::PATCH { old.clone() } else { defaults() };
            let mut record = completed(base, writable(request, Some(id))?, zone);
            check(&record, Some(id), zone, store.duplicate_record)?;
            for kept in ["id", "created_on"] {
                record.insert(kept.into(), old[kept].clone());
            }
            record.insert("modified_on".into(), store.ids.time());
            let record = Value::Object(record);
            let answer = ApiResponse::of(rendered(&record, fractional));
            zone.records.insert(id.to_owned(), record);
            Ok(answer)
        }
        Method::DELETE => {
            zone.records.remove(id);
            Ok(ApiResponse::of(json!({"id": id})))
        }
        _ => Err(ApiResponse::no_route(&request.path)),
    }
}

/// Renders the record, its TTL with a fraction if the store says so.
fn rendered(record: &Value, fractional_ttl: bool) -> Value {
    let mut record = record.clone();
    if let Some(ttl) = record["ttl"].as_f64().filter(|_| fractional_ttl) {
        record["ttl"] = json!(ttl);
    }
    record
}

/// Refuses a `shadowing_name` that is not below the zone. The SDK says that the apex is not accepted; the code of the
/// refusal is not verified.
fn check_shadowing_name(zone: &FakeZone, request: &FakeRequest) -> Result<(), ApiResponse> {
    let apex = zone.ascii_name();
    let is_below = |name: &str| name != apex && idn::is_in(name, &apex);
    match request.parameter("shadowing_name") {
        Some(name) if !is_below(&idn::to_ascii(name)) => {
            Err(invalid(9_000, "shadowing_name must be a subdomain of the zone."))
        }
        _ => Ok(()),
    }
}

/// Returns true if the record passes every filter of the request.
///
/// A name in Unicode finds nothing, as in cloudflare-go #688: records have their names in Punycode.
fn matches(record: &Value, zone: &FakeZone, request: &FakeRequest) -> bool {
    let is = |field: &str, wanted: &str| record[field].as_str().unwrap_or_default() == wanted;
    request.query.iter().all(|(key, wanted)| match key.as_str() {
        "name" => is("name", &wanted.to_lowercase()),
        "type" | "content" => is(key, wanted),
        "comment" | "comment.exact" => is("comment", wanted),
        // The NS records at the name or above it, but not at the apex.
        "shadowing_name" => {
            let name = record["name"].as_str().unwrap_or_default();
            is("type", "NS") && name != zone.ascii_name() && idn::is_in(&idn::to_ascii(wanted), name)
        }
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

/// Applies `fields` to `base`: the name becomes complete and Punycode, the address takes its short form, the TTL is whole.
///
/// A name outside the zone is taken as relative to it.
fn completed(mut base: Map<String, Value>, fields: Map<String, Value>, zone: &FakeZone) -> Map<String, Value> {
    base.extend(fields);
    let text = |key: &str| base.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = text("name");
    let name = if name.is_empty() { name } else { idn::to_ascii(&name) };
    let apex = zone.ascii_name();
    let kind = text("type");
    let content = text("content");
    let name = match name.as_str() {
        "" => name,
        "@" => apex,
        _ if idn::is_in(&name, &apex) => name,
        _ => format!("{name}.{apex}"),
    };
    base.insert("name".into(), name.into());
    if let Ok(address) = content.parse::<Ipv6Addr>() {
        base.insert("content".into(), address.to_string().into());
    }
    base.insert("proxiable".into(), matches!(kind.as_str(), "A" | "AAAA" | "CNAME").into());
    if base["proxied"] == true {
        base.insert("ttl".into(), json!(1));
    } else if let Some(ttl) = whole(&base["ttl"]) {
        base.insert("ttl".into(), ttl.into());
    }
    base
}

/// The value of a number without a fraction: `60` and `60.0` are the same.
fn whole(number: &Value) -> Option<u64> {
    let as_float = || number.as_f64().filter(|value| value.fract() == 0.0 && (0.0..1e9).contains(value));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, positive and small")]
    number.as_u64().or_else(|| as_float().map(|value| value as u64))
}

fn writable(request: &FakeRequest, id: Option<&str>) -> Result<Map<String, Value>, ApiResponse> {
    let fields = request.fields()?;
    match forbidden(&fields, &READ_ONLY, id) {
        Some(field) => Err(invalid(9_000, &format!("{field} is read-only."))),
        None => Ok(fields),
    }
}

/// Refuses what the service would refuse in the record as it would become.
fn check(
    record: &Map<String, Value>,
    id: Option<&str>,
    zone: &FakeZone,
    duplicate: DuplicateError,
) -> Result<(), ApiResponse> {
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
    check_extras(record, zone)?;
    check_neighbours(record, id, zone, duplicate)
}

/// Refuses a record that the other records of its name exclude. A load balancer of that name excludes nothing.
///
/// NS records at the apex exclude nothing either: the zone keeps them, and answers with its own (octodns-cloudflare #12).
fn check_neighbours(
    record: &Map<String, Value>,
    id: Option<&str>,
    zone: &FakeZone,
    duplicate: DuplicateError,
) -> Result<(), ApiResponse> {
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text("name");
    let kind = text("type");
    let content = text("content");
    let refused = |code: u32, message: &str| Err(ApiResponse::refusal(StatusCode::BAD_REQUEST, code, message));
    let others = || zone.records.iter().filter(|(other, record)| Some(other.as_str()) != id && record["name"] == name);
    let other =
        |kinds: &[&str]| others().any(|(_, record)| record["type"].as_str().is_some_and(|k| kinds.contains(&k)));
    if others().any(|(_, record)| record["type"] == kind && record["content"] == content) {
        return match duplicate {
            DuplicateError::Identical => refused(81_058, "An identical record already exists."),
            DuplicateError::Exists => refused(81_057, "The record already exists."),
        };
    }
    if kind == "CNAME" && other(&["A", "AAAA", "CNAME"]) {
        return refused(81_053, "An A, AAAA, or CNAME record with that host already exists.");
    }
    if ["A", "AAAA"].contains(&kind) && other(&["CNAME"]) {
        return refused(81_054, "A CNAME record with that host already exists.");
    }
    if name == zone.ascii_name() {
        return Ok(());
    }
    if kind == "NS" && others().any(|(_, record)| record["type"] != "NS") {
        return refused(81_055, "non-NS records already exists with that host.");
    }
    if kind != "NS" && other(&["NS"]) {
        return refused(81_056, "NS records with that host already exist.");
    }
    Ok(())
}

/// Refuses the TTL, comment and tags that the plan or the type of the zone does not allow.
///
/// Code 9313 is from STRRL/cloudflare-tunnel-ingress-controller #139 and #168. The other codes for comments and tags, and
/// that of a comment in a secondary zone, are not verified.
fn check_extras(record: &Map<String, Value>, zone: &FakeZone) -> Result<(), ApiResponse> {
    let plan = zone.plan;
    let min_ttl = if plan == FakeZonePlan::Enterprise { 30 } else { 60 };
    let max_comment = if plan == FakeZonePlan::Free { 100 } else { 500 };
    let in_range = |ttl: u64| ttl == 1 || (min_ttl..=86_400).contains(&ttl);
    if !record["ttl"].as_u64().is_some_and(in_range) {
        let message = format!("TTL must be between {min_ttl} and 86400 seconds, or 1 for Automatic.");
        return Err(invalid(9_021, &message));
    }
    let comment = match &record["comment"] {
        Value::Null => "",
        comment => comment.as_str().ok_or_else(|| invalid(9_300, "The comment must be a string."))?,
    };
    if comment.chars().count() > max_comment {
        let message = format!("DNS record comment exceeds the maximum length of {max_comment} characters.");
        return Err(ApiResponse::refusal(StatusCode::BAD_REQUEST, 9_313, &message));
    }
    if comment.contains('\n') {
        return Err(invalid(9_300, "A comment has one line."));
    }
    if !comment.is_empty() && zone.zone_type == FakeZoneType::Secondary {
        return Err(invalid(9_300, "Records of a secondary zone have no comments."));
    }
    if plan == FakeZonePlan::Free && record["tags"].as_array().is_none_or(|tags| !tags.is_empty()) {
        return Err(invalid(9_300, "The quota of tags, 0, is exceeded."));
    }
    Ok(())
}

fn invalid(code: u32, message: &str) -> ApiResponse {
    let error = ErrorText { code: 1_004, message: "DNS Validation Error" };
    ApiResponse::chained(StatusCode::BAD_REQUEST, error, ErrorText { code, message })
}
