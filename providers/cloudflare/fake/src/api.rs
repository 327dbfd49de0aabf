//! From a request to the endpoint that answers it, and the scope that each needs.

use http::Method;

use crate::envelope::{Answer, Outcome};
use crate::request::Request;
use crate::world::{Scope, World};
use crate::{balancers, pools, records, tokens, zones};

/// Handles one request. Whatever the answer says, it has been done once this returns.
pub(crate) fn answer(world: &mut World, request: &Request) -> Answer {
    route(world, request).unwrap_or_else(|refusal| refusal)
}

fn route(world: &mut World, request: &Request) -> Outcome {
    let token = tokens::bearer(&request.headers)?;
    let parts: Vec<_> = request.path.split('/').skip(1).collect();
    if parts == ["user", "tokens", "verify"] {
        return tokens::verify(world, token);
    }
    let scope = scope(&parts, &request.method).ok_or_else(|| Answer::no_route(&request.path))?;
    tokens::require(world, token, scope)?;
    match parts[..] {
        ["zones"] => zones::collection(world, request),
        ["zones", zone] => zones::item(world, zone, request),
        ["zones", zone, "load_balancers"] => balancers::collection(world, zone, request),
        ["zones", zone, "load_balancers", id] => balancers::item(world, zone, id, request),
        ["zones", zone, "dns_records"] => records::collection(world, zone, request),
        ["zones", zone, "dns_records", id] => records::item(world, zone, id, request),
        ["accounts", account, _, "pools"] => pools::collection(world, account, request),
        ["accounts", account, _, "pools", id] => pools::item(world, account, id, request),
        ["accounts", account, _, "pools", id, "health"] => pools::health(world, account, id, request),
        _ => Err(Answer::no_route(&request.path)),
    }
}

/// The scope that a path needs; none for a path that leads nowhere.
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
