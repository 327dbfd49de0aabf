//! Zones, read-only.
//!
//! Sources: the SDK of 2026-10 for types, statuses and filters; cloudflare-go #347, dnscontrol #2341 and ddclient #831 for
//! names, which come in Unicode and can be asked for in both forms.

use http::Method;
use serde_json::{Value, json};

use crate::envelope::{ApiResponse, Outcome};
use crate::idn;
use crate::request::{FakeRequest, ListOptions};
use crate::store::{FakeZone, FakeZonePlan, FakeZoneType, Store};
use crate::tokens;

const LIST_OPTIONS: ListOptions =
    ListOptions { filters: &["name", "account.id", "account.name", "status", "type"], per_page: 20, max_per_page: 50 };

/// Answers for `/zones`: the zones that the token reaches and that pass every filter.
pub(crate) fn collection(store: &Store, token: &str, request: &FakeRequest) -> Outcome {
    if request.method != Method::GET {
        return Err(ApiResponse::no_route(&request.path));
    }
    let owner = tokens::owner(store, token);
    let reached = store.zones.iter().filter(|(_, zone)| owner.is_none_or(|owner| owner == zone.account));
    let selected = reached.filter(|(_, zone)| passes(store, zone, request));
    let zones: Vec<_> = selected.map(|(id, zone)| rendered(store, id, zone)).collect();
    request.page(&LIST_OPTIONS, &zones)
}

/// Answers for `/zones/{zone}`.
pub(crate) fn item(store: &Store, id: &str, request: &FakeRequest) -> Outcome {
    let zone = store.zones.get(id).filter(|_| request.method == Method::GET);
    zone.map(|zone| ApiResponse::of(rendered(store, id, zone))).ok_or_else(|| ApiResponse::no_route(&request.path))
}

/// Returns true if the zone passes every filter. Without the filter `type`, internal zones do not.
fn passes(store: &Store, zone: &FakeZone, request: &FakeRequest) -> bool {
    let is = |name: &str, actual: &str| request.parameter(name).is_none_or(|wanted| wanted == actual);
    let zone_type = type_of(zone);
    let is_of_type = match request.parameter("type") {
        Some(types) => types.split(',').any(|wanted| wanted == zone_type),
        None => zone.zone_type != FakeZoneType::Internal,
    };
    is_of_type
        && request.parameter("name").is_none_or(|wanted| idn::to_ascii(wanted) == zone.ascii_name())
        && is("account.id", &zone.account)
        && is("account.name", account_name(store, zone))
        && is("status", zone.status)
}

fn rendered(store: &Store, id: &str, zone: &FakeZone) -> Value {
    let plan = match zone.plan {
        FakeZonePlan::Free => "free",
        FakeZonePlan::Pro => "pro",
        FakeZonePlan::Enterprise => "enterprise",
    };
    json!({
        "id": id, "name": idn::to_unicode(&zone.name), "status": zone.status, "paused": zone.paused,
        "type": type_of(zone), "account": {"id": zone.account, "name": account_name(store, zone)},
        "plan": {"legacy_id": plan},
    })
}

fn account_name<'a>(store: &'a Store, zone: &FakeZone) -> &'a str {
    store.accounts.get(&zone.account).map_or("", |account| account.name.as_str())
}

fn type_of(zone: &FakeZone) -> &'static str {
    match zone.zone_type {
        FakeZoneType::Full => "full",
        FakeZoneType::Partial => "partial",
        FakeZoneType::Secondary => "secondary",
        FakeZoneType::Internal => "internal",
    }
}
