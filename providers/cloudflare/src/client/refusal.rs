//! The message about a refused call: Cloudflare's errors, and what the operator can do.

use std::fmt;

use super::Call;
use super::api_error::{ApiError, Listed};
use crate::settings::TokenSource;

/// The codes for a malformed header `Authorization`: "invalid request headers" and the errors inside it.
const MALFORMED: [u32; 3] = [6003, 6103, 6111];
/// The codes, besides HTTP 401 and 403, for a token that is not accepted or lacks a permission.
const UNAUTHORISED: [u32; 5] = [9103, 9106, 9109, 10000, 10001];
/// The codes for a record that another one of the same name rules out, or that exists already.
const CONFLICT: [u32; 6] = [81053, 81054, 81055, 81056, 81057, 81058];
/// The codes for a path or an object that Cloudflare does not know.
const UNKNOWN_OBJECT: [u32; 2] = [7000, 7003];
/// The code for more records than the plan of the zone allows.
const RECORD_QUOTA: u32 = 81045;
/// The code for a pool or a balancer that is not valid. It has many texts.
const INVALID: u32 = 1002;

/// The owner of the object that a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectOwner {
    /// The zone of this ID.
    Zone(String),
    /// The account of this ID.
    Account(String),
    /// The user of the token.
    User,
}

/// A refusal, as a sentence.
pub(super) struct RefusedCall<'a> {
    pub(super) call: Call,
    pub(super) owner: &'a ObjectOwner,
    pub(super) status: u16,
    pub(super) errors: &'a [ApiError],
    pub(super) token: &'a TokenSource,
}

/// The action that an operator can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advice {
    MalformedToken,
    OtherLocation,
    UnknownToken,
    Permission,
    NotFound,
    NoLoadBalancing,
    Endpoints,
    Quota,
    Addresses,
    Duplicate,
    Silence,
    Ttl,
    Conflict,
    Comment,
    Other,
}

impl ObjectOwner {
    /// The owner of the object at a path, such as `/zones/{zone}/dns_records`.
    pub(super) fn of(path: &str) -> Self {
        let mut parts = path.trim_start_matches('/').split('/');
        match (parts.next(), parts.next()) {
            (Some("zones"), Some(id)) => Self::Zone(id.to_owned()),
            (Some("accounts"), Some(id)) => Self::Account(id.to_owned()),
            _ => Self::User,
        }
    }
}

impl ApiError {
    pub(super) fn has_any(&self, codes: &[u32]) -> bool {
        codes.contains(&self.code) || self.error_chain.iter().any(|error| error.has_any(codes))
    }

    fn says(&self, words: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase();
        words.iter().any(|words| message.contains(words)) || self.error_chain.iter().any(|error| error.says(words))
    }
}

impl RefusedCall<'_> {
    fn advice(&self) -> Advice {
        let Self { call, status, errors, .. } = self;
        let has = |codes: &[u32]| errors.iter().any(|error| error.has_any(codes));
        let says = |words: &[&str]| errors.iter().any(|error| error.says(words));
        let is_about_pools = has(&[INVALID]);
        match call.permission() {
            _ if has(&MALFORMED) => Advice::MalformedToken,
            _ if says(&["from location"]) => Advice::OtherLocation,
            _ if is_about_pools && says(&["not enabled", "access failed"]) => Advice::NoLoadBalancing,
            _ if *status == 404 || has(&UNKNOWN_OBJECT) => Advice::NotFound,
            None if matches!(status, 400 | 401 | 403) || has(&UNAUTHORISED) => Advice::UnknownToken,
            Some(_) if matches!(status, 401 | 403) || has(&UNAUTHORISED) => Advice::Permission,
            _ if is_about_pools && says(&["origin list length"]) => Advice::Endpoints,
            _ if has(&CONFLICT) => Advice::Conflict,
            _ if has(&[RECORD_QUOTA]) || says(&["quota", "exceeded", "maximum number"]) => Advice::Quota,
            _ if says(&["ttl ", "ttl.", "time to live"]) => Advice::Ttl,
            _ if says(&["comment"]) => Advice::Comment,
            _ if is_about_pools && says(&["private", "reserved"]) => Advice::Addresses,
            _ if is_about_pools && says(&["must be unique"]) => Advice::Duplicate,
            _ if errors.is_empty() => Advice::Silence,
            _ => Advice::Other,
        }
    }

    fn permission_text(&self) -> String {
        let Self { call, owner, token, .. } = self;
        let permission = call.permission().unwrap_or_default();
        let (of, noun) = match owner {
            ObjectOwner::Zone(id) => (format!(" for the zone {id}"), "zone"),
            ObjectOwner::Account(id) => (format!(" for the account {id}"), "account"),
            ObjectOwner::User => {
                return format!(
                    "the token in {token} lacks the permission \"{permission}\", or is not valid; correct the token"
                );
            }
        };
        format!(
            "the token in {token} lacks the permission \"{permission}\"{of}, or is not valid, or may not see this {noun}; \
             correct the token, or `{noun}`"
        )
    }
}

impl fmt::Display for RefusedCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, status, errors, token, .. } = self;
        write!(f, "Cloudflare refuses {call} (HTTP {status}){}; ", Listed(errors))?;
        match self.advice() {
            Advice::MalformedToken => write!(
                f,
                "the token in {token} is malformed; check it for quotes and newlines, and check that it is not a global API key"
            ),
            Advice::OtherLocation => write!(
                f,
                "the token in {token} is restricted to addresses that this host does not have; add the host's address to the \
                 token's client IP address filtering"
            ),
            Advice::UnknownToken => write!(
                f,
                "the token in {token} is not accepted, because it is unknown, expired or revoked; create a new one"
            ),
            Advice::Permission => f.write_str(&self.permission_text()),
            Advice::NotFound => f.write_str(
                "check the zone, the account and the pool in the configuration, and check that the token may see them",
            ),
            Advice::NoLoadBalancing => f.write_str(
                "the account has no Load Balancing for this zone; order it, or set `mode: records`, which every plan has",
            ),
            Advice::Endpoints => f.write_str(
                "the account's Load Balancing has fewer endpoints than the pool needs; order more of them, or take nodes out of \
                 the pool's `nodes`",
            ),
            Advice::Quota => f.write_str("delete objects that are not needed, or choose a plan that allows more"),
            Advice::Addresses => f.write_str(
                "Cloudflare refuses such an address in a pool with a monitor; detach the monitor, or use public addresses in \
                 `nodes`",
            ),
            Advice::Duplicate => f.write_str("remove one of the origins with the same address from the pool"),
            Advice::Silence => f.write_str("it gives no reason; check the token's permissions, the IDs and the plan"),
            Advice::Ttl => f.write_str("set the provider's `ttl` to a value that the zone's plan allows"),
            Advice::Conflict => f.write_str("another record of the name rules this one out; delete that record"),
            Advice::Comment => f.write_str(
                "Daymark knows its records by their comments; use a zone that allows comments of 100 characters",
            ),
            Advice::Other => f.write_str("correct what Cloudflare names, in the configuration or at Cloudflare"),
        }
    }
}

#[cfg(test)]
mod tests;
