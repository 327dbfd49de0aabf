//! Who may ask: the `Authorization` header, tokens and their scopes.

use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use crate::envelope::{Answer, Outcome};
use crate::world::{Scope, Status, Token, World};

/// The token of a request, in the form that it must have; whether it exists is not known yet. A global key (37 hex
/// digits) in its place is told apart, as the service does.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Answer> {
    let malformed = |cause| Answer::chained(StatusCode::BAD_REQUEST, (6_003, "Invalid request headers"), cause);
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if token.len() == 37 && token.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(malformed((6_103, "Invalid format for X-Auth-Key header")));
    }
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Err(malformed((6_111, "Invalid format for Authorization header")));
    }
    Ok(token)
}

/// Refuses a token that is unknown, not active, or without the scope.
pub(crate) fn require(world: &World, token: &str, scope: Scope) -> Result<(), Answer> {
    let may = |token: &&Token| token.status == Status::Active && has(token, scope);
    match world.tokens.get(token).filter(may) {
        Some(_) => Ok(()),
        None => Err(Answer::refusal(StatusCode::FORBIDDEN, 10_000, "Authentication error")),
    }
}

/// Answers for `/user/tokens/verify`, which tells of every token that exists.
pub(crate) fn verify(world: &World, token: &str) -> Outcome {
    let status = match world.tokens.get(token) {
        Some(token) => token.status,
        None => return Err(Answer::refusal(StatusCode::UNAUTHORIZED, 1_000, "Invalid API Token")),
    };
    let status = match status {
        Status::Active => "active",
        Status::Disabled => "disabled",
        Status::Expired => "expired",
    };
    // The service gives the id of the token, which is not its value.
    Ok(Answer::of(json!({"id": "ed17574386854bf78a67040be0a770b0", "status": status})))
}

fn has(token: &Token, scope: Scope) -> bool {
    let wider = match scope {
        Scope::PoolsRead => Scope::PoolsWrite,
        Scope::BalancersRead => Scope::BalancersWrite,
        Scope::DnsRead => Scope::DnsWrite,
        other => other,
    };
    token.scopes.contains(&scope) || token.scopes.contains(&wider)
}
