//! Zones, which are only looked at.

use http::Method;
use serde_json::{Value, json};

use crate::envelope::{Answer, Outcome};
use crate::request::{Listing, Request};
use crate::world::{Plan, World, Zone};

const LISTING: Listing = Listing { filters: &["name", "account.id"], per_page: 20, most_per_page: 50 };

/// Answers for `/zones`.
pub(crate) fn collection(world: &World, request: &Request) -> Outcome {
    if request.method != Method::GET {
        return Err(Answer::no_route(&request.path));
    }
    let passes = |name: &str, actual: &str| request.parameter(name).is_none_or(|wanted| wanted == actual);
    let wanted = world.zones.iter().filter(|(_, z)| passes("name", &z.name) && passes("account.id", &z.account));
    let zones: Vec<_> = wanted.map(|(id, zone)| shown(id, zone)).collect();
    request.page(&LISTING, &zones)
}

/// Answers for `/zones/{zone}`.
pub(crate) fn item(world: &World, id: &str, request: &Request) -> Outcome {
    let zone = world.zones.get(id).filter(|_| request.method == Method::GET);
    zone.map(|zone| Answer::of(shown(id, zone))).ok_or_else(|| Answer::no_route(&request.path))
}

fn shown(id: &str, zone: &Zone) -> Value {
    let plan = match zone.plan {
        Plan::Free => "free",
        Plan::Enterprise => "enterprise",
    };
    json!({
        "id": id, "name": zone.name, "status": zone.status, "paused": false, "type": "full",
        "account": {"id": zone.account, "name": "Daymark"}, "plan": {"legacy_id": plan},
    })
}
