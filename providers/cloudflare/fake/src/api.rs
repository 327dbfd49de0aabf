//! Routes each request to the endpoint that answers it, and says which scope the endpoint needs.

use http::Method;

use crate::envelope::{ApiResponse, Outcome};
use crate::request::FakeRequest;
use crate::store::{Scope, Store};
use crate::{balancers, pools, records, tokens, zones};

/// Handles one request completely before it returns.
pub(crate) fn answer(store: &mut Store, request: &FakeRequest) -> ApiResponse {
    route(store, request).unwrap_or_else(|refusal| refusal)
}

fn route(store: &mut Store, request: &FakeRequest) -> Outcome {
    let token = tokens::bearer(&request.headers)?;
    let parts: Vec<_> = request.path.split('/').skip(1).collect();
    match parts[..] {
        ["user", "tokens", "verify"] => return tokens::verify(store, token, None),
        ["accounts", account, "tokens", "verify"] => return tokens::verify(store, token, Some(account)),
        _ => (),
    }
    let scope = scope(&parts, &request.method).ok_or_else(|| ApiResponse::no_route(&request.path))?;
    tokens::require(store, token, scope)?;
    tokens::reach(store, token, &parts, &request.path)?;
    match parts[..] {
        ["zones"] => zones::collection(store, token, request),
        ["zones", zone] => zones::item(store, zone, request),
        ["zones", zone, "load_balancers"] => balancers::collection(store, zone, request),
        ["zones", zone, "load_balancers", id] => balancers::item(store, zone, id, request),
        ["zones", zone, "dns_records"] => records::collection(store, zone, request),
        ["zones", zone, "dns_records", id] => records::item(store, zone, id, request),
        ["accounts", account, _, "pools"] => pools::collection(store, account, request),
        ["accounts", account, _, "pools", id] => pools::item(store, account, id, request),
        ["accounts", account, _, "pools", id, "references"] => pools::references(store, account, id, request),
        ["accounts", account, _, "pools", id, "health"] => pools::health(store, account, id, request),
        _ => Err(ApiResponse::no_route(&request.path)),
    }
}

/// The scope that a path needs. A path without an endpoint has none.
fn scope(parts: &[&str], method: &Method) -> Option<Scope> {
    let (read, write) = match parts {
        ["zones"] | ["zones", _] => (Scope::ZoneRead, Scope::ZoneRead),
        ["zones", _, "load_balancers", ..] => (Scope::BalancersRead, Scope::BalancersWrite),
        ["zones", _, "dns_records", ..] => (Scope::DnsRead, Scope::DnsWrite),
        ["accounts", _, "load_balancers", "pools", ..] => (Scope::PoolsRead, Scope::PoolsWrite),
        _ => return None,
    };
    Some(if method == Method::GET { read } else { write })
}
