//! Authentication: the `Authorization` header, tokens and their scopes.

use std::net::IpAddr;

use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use crate::envelope::{ApiResponse, ErrorText, Outcome};
use crate::store::{FakeToken, FakeTokenStatus, Scope, Store, TokenLocation, UnauthorizedError};

/// Returns the token of a request if it is well-formed. It may still be unknown. A global key (37 hex digits) in its place
/// gets an error of its own, as at the service.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiResponse> {
    let error = ErrorText { code: 6_003, message: "Invalid request headers" };
    let malformed = |code, message| ApiResponse::chained(StatusCode::BAD_REQUEST, error, ErrorText { code, message });
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if token.len() == 37 && token.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(malformed(6_103, "Invalid format for X-Auth-Key header"));
    }
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Err(malformed(6_111, "Invalid format for Authorization header"));
    }
    Ok(token)
}

/// Refuses a token that is unknown, not active, used from an address that it does not allow, or without the scope.
pub(crate) fn require(store: &Store, token: &str, scope: Scope) -> Result<(), ApiResponse> {
    let active = |token: &&FakeToken| token.status == FakeTokenStatus::Active;
    let token = store.tokens.get(token).filter(active).ok_or_else(|| unauthorized(store))?;
    match token.location {
        TokenLocation::Allowed if has(token, scope) => Ok(()),
        TokenLocation::Allowed => Err(unauthorized(store)),
        TokenLocation::Refused(address) | TokenLocation::RefusedButVerified(address) => Err(wrong_location(address)),
    }
}

/// Refuses a path below an account or zone that the token does not reach: one that does not exist, or that is not of the
/// account that owns the token.
///
/// An ID that is not 32 hexadecimal digits finds no endpoint, as people who give a zone's name report
/// (timothymiller/cloudflare-ddns #152).
pub(crate) fn reach(store: &Store, token: &str, parts: &[&str], path: &str) -> Result<(), ApiResponse> {
    let [kind, id, ..] = parts else { return Ok(()) };
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ApiResponse::no_route(path));
    }
    let account = match *kind {
        "zones" => store.zones.get(*id).map(|zone| zone.account.as_str()),
        _ => store.accounts.contains_key(*id).then_some(*id),
    };
    match account {
        Some(account) if owner(store, token).is_none_or(|owner| owner == account) => Ok(()),
        _ => Err(unauthorized(store)),
    }
}

/// The account that owns the token. A token of a user has none.
pub(crate) fn owner<'a>(store: &'a Store, token: &str) -> Option<&'a str> {
    store.tokens.get(token)?.account.as_deref()
}

/// Answers for `/user/tokens/verify`, and for `/accounts/{account}/tokens/verify` if an account is given.
///
/// Each endpoint reports the status of every token of its own kind, and refuses those of the other. For a user's token at
/// an account's endpoint no source shows the answer: not verified.
pub(crate) fn verify(store: &Store, token: &str, account: Option<&str>) -> Outcome {
    let token = store.tokens.get(token).filter(|token| token.account.as_deref() == account);
    let token = token.ok_or_else(|| ApiResponse::refusal(StatusCode::UNAUTHORIZED, 1_000, "Invalid API Token"))?;
    if let TokenLocation::Refused(address) = token.location {
        return Err(wrong_location(address));
    }
    let status = match token.status {
        FakeTokenStatus::Active => "active",
        FakeTokenStatus::Disabled => "disabled",
        FakeTokenStatus::Expired => "expired",
    };
    // The service gives the id of the token, which is not its value.
    Ok(ApiResponse::of(json!({"id": "ed17574386854bf78a67040be0a770b0", "status": status})))
}

fn unauthorized(store: &Store) -> ApiResponse {
    let (code, message) = match store.unauthorized {
        UnauthorizedError::Authentication => (10_000, "Authentication error"),
        UnauthorizedError::Resource => (9_109, "Unauthorized to access requested resource"),
    };
    ApiResponse::refusal(StatusCode::FORBIDDEN, code, message)
}

fn wrong_location(address: IpAddr) -> ApiResponse {
    let message = format!("Cannot use the access token from location: {address}");
    ApiResponse::refusal(StatusCode::FORBIDDEN, 9_109, &message)
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
