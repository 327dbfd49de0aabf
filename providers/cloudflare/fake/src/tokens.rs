//! Authentication: the `Authorization` header, tokens and their scopes.

use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use crate::envelope::{ApiResponse, Outcome};
use crate::store::{FakeToken, FakeTokenStatus, Scope, Store};

/// Returns the token of a request if it is well-formed. It may still be unknown. A global key (37 hex digits) in its place
/// gets an error of its own, as at the service.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiResponse> {
    let malformed = |cause| ApiResponse::chained(StatusCode::BAD_REQUEST, (6_003, "Invalid request headers"), cause);
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
pub(crate) fn require(store: &Store, token: &str, scope: Scope) -> Result<(), ApiResponse> {
    let may = |token: &&FakeToken| token.status == FakeTokenStatus::Active && has(token, scope);
    match store.tokens.get(token).filter(may) {
        Some(_) => Ok(()),
        None => Err(ApiResponse::refusal(StatusCode::FORBIDDEN, 10_000, "Authentication error")),
    }
}

/// Answers for `/user/tokens/verify`, which reports every token that exists.
pub(crate) fn verify(store: &Store, token: &str) -> Outcome {
    let status = match store.tokens.get(token) {
        Some(token) => token.status,
        None => return Err(ApiResponse::refusal(StatusCode::UNAUTHORIZED, 1_000, "Invalid API Token")),
    };
    let status = match status {
        FakeTokenStatus::Active => "active",
        FakeTokenStatus::Disabled => "disabled",
        FakeTokenStatus::Expired => "expired",
    };
    // The service gives the id of the token, which is not its value.
    Ok(ApiResponse::of(json!({"id": "ed17574386854bf78a67040be0a770b0", "status": status})))
}

fn has(token: &FakeToken, scope: Scope) -> bool {
    let wider = match scope {
        Scope::PoolsRead => Scope::PoolsWrite,
        Scope::BalancersRead => Scope::BalancersWrite,
        Scope::DnsRead => Scope::DnsWrite,
        other => other,
    };
    token.scopes.contains(&scope) || token.scopes.contains(&wider)
}
