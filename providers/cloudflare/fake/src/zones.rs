//! Zones, read-only.

use http::Method;
use serde_json::{Value, json};

use crate::envelope::{ApiResponse, Outcome};
use crate::request::{FakeRequest, ListOptions};
use crate::store::{FakeZone, FakeZonePlan, Store};

const LIST_OPTIONS: ListOptions = ListOptions { filters: &["name", "account.id"], per_page: 20, max_per_page: 50 };

/// Answers for `/zones`.
pub(crate) fn collection(store: &Store, request: &FakeRequest) -> Outcome {
    if request.method != Method::GET {
        return Err(ApiResponse::no_route(&request.path));
    }
    let passes = |name: &str, actual: &str| request.parameter(name).is_none_or(|value| value == actual);
    let selected = store.zones.iter().filter(|(_, z)| passes("name", &z.name) && passes("account.id", &z.account));
    let zones: Vec<_> = selected.map(|(id, zone)| rendered(id, zone)).collect();
    request.page(&LIST_OPTIONS, &zones)
}

/// Answers for `/zones/{zone}`.
pub(crate) fn item(store: &Store, id: &str, request: &FakeRequest) -> Outcome {
    let zone = store.zones.get(id).filter(|_| request.method == Method::GET);
    zone.map(|zone| ApiResponse::of(rendered(id, zone))).ok_or_else(|| ApiResponse::no_route(&request.path))
}

fn rendered(id: &str, zone: &FakeZone) -> Value {
    let plan = match zone.plan {
        FakeZonePlan::Free => "free",
        FakeZonePlan::Enterprise => "enterprise",
    };
    json!({
        "id": id, "name": zone.name, "status": zone.status, "paused": false, "type": "full",
        "account": {"id": zone.account, "name": "Daymark"}, "plan": {"legacy_id": plan},
    })
}
