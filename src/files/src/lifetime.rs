//! The lifetime that a JSON Web Token states (RFC 7519). Nothing is verified: the server that takes the token does that.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use zeroize::Zeroizing;

/// The time in which a token is valid, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Its start (`iat`, or else `nbf`); `None` if the token states none.
    pub start: Option<i64>,
    /// The time before which it is not accepted (`nbf`); `None` if the token states none.
    pub not_before: Option<i64>,
    /// Its end (`exp`).
    pub end: i64,
}

impl Lifetime {
    /// Reads the claims of a signed token. Any other token has no known end.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let claims = claims(token)?;
        let seconds = |claim| claims.get(claim).and_then(seconds);
        let not_before = seconds("nbf");
        Some(Self { start: seconds("iat").or(not_before), not_before, end: seconds("exp")? })
    }
}

/// The first claim of a time that is none: RFC 7519, section 2, demands a number. Servers refuse such a token.
pub(crate) fn malformed_claim(token: &str) -> Option<&'static str> {
    let claims = claims(token)?;
    let is_malformed = |claim: &&str| claims.get(claim).is_some_and(|value| !value.is_number() && !value.is_null());
    ["exp", "nbf", "iat"].into_iter().find(is_malformed)
}

/// The claims of a signed token; `None` for any other.
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (Some(_header), Some(claims), Some(_signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let claims = Zeroizing::new(BASE64URL_NOPAD.decode(claims.trim_end_matches('=').as_bytes()).ok()?);
    serde_json::from_slice(&claims).ok()
}

/// The whole seconds of a `NumericDate`, which may have a fraction.
fn seconds(date: &Value) -> Option<i64> {
    date.as_i64().or_else(|| {
        let since = Duration::try_from_secs_f64(date.as_f64()?).ok()?;
        i64::try_from(since.as_secs()).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(claims: &str) -> Option<Lifetime> {
        Lifetime::of(&format!("eyJhbGciOiJSUzI1NiJ9.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes())))
    }

    #[test]
    fn the_lifetime_of_a_token_is_that_of_its_claims() {
        let lifetime = |start, not_before, end| Some(Lifetime { start, not_before, end });
        assert_eq!(
            of(r#"{"iat": 1000, "nbf": 900, "exp": 4600, "sub": "ada"}"#),
            lifetime(Some(1000), Some(900), 4600)
        );
        assert_eq!(of(r#"{"nbf": 900, "exp": 4600.9}"#), lifetime(Some(900), Some(900), 4600));
        assert_eq!(of(r#"{"iat": "then", "exp": 4.6e3}"#), lifetime(None, None, 4600));
        assert_eq!(Lifetime::of("e30.eyJleHAiOjF9Cg==.c2ln"), lifetime(None, None, 1), "padding is accepted");
    }

    #[test]
    fn a_token_without_a_readable_end_has_none() {
        for claims in
            ["{}", r#"{"exp": "soon"}"#, r#"{"exp": null}"#, r#"{"exp": 1e300}"#, r#"{"exp": -1.5}"#, "[1]", "?"]
        {
            assert_eq!(of(claims), None, "{claims}");
        }
        for token in ["opaque", "abcdef.0123456789abcdef", "a.b.c.d.e", "a.***.c", "..", ""] {
            assert_eq!(Lifetime::of(token), None, "{token}");
        }
    }

    #[test]
    fn a_time_that_is_no_number_is_named() {
        let of = |claims: &str| malformed_claim(&format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes())));
        assert_eq!(of(r#"{"exp": "4600"}"#), Some("exp"));
        assert_eq!(of(r#"{"exp": 4600, "nbf": "900"}"#), Some("nbf"));
        assert_eq!(of(r#"{"exp": 4600, "iat": [900]}"#), Some("iat"));
        assert_eq!(of(r#"{"exp": 4600.5, "nbf": null}"#), None);
        assert_eq!(malformed_claim("opaque"), None);
    }
}
