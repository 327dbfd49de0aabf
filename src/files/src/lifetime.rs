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
    /// Its end (`exp`).
    pub end: i64,
}

impl Lifetime {
    /// Reads the claims of a signed token. Any other token has no known end.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (Some(_header), Some(claims), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let claims = Zeroizing::new(BASE64URL_NOPAD.decode(claims.trim_end_matches('=').as_bytes()).ok()?);
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let seconds = |claim| claims.get(claim).and_then(seconds);
        Some(Self { start: seconds("iat").or_else(|| seconds("nbf")), end: seconds("exp")? })
    }
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
        let lifetime = |start, end| Some(Lifetime { start, end });
        assert_eq!(of(r#"{"iat": 1000, "nbf": 900, "exp": 4600, "sub": "ada"}"#), lifetime(Some(1000), 4600));
        assert_eq!(of(r#"{"nbf": 900, "exp": 4600.9}"#), lifetime(Some(900), 4600));
        assert_eq!(of(r#"{"iat": "then", "exp": 4.6e3}"#), lifetime(None, 4600));
        assert_eq!(Lifetime::of("e30.eyJleHAiOjF9Cg==.c2ln"), lifetime(None, 1), "padding is accepted");
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
}
