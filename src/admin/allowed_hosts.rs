//! Refuses requests whose `Host` header is a foreign name: DNS rebinding makes a browser send its user's requests here.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use daymark_decision::quoted;

use super::ErrorResponse;

/// The names under which clients may reach the admin API. IP addresses and `localhost` are always allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Arc<[String]>);

impl AllowedHosts {
    /// These names, in any case and without a port.
    pub fn new(names: &[String]) -> Self {
        Self(names.into())
    }

    fn allows(&self, value: &HeaderValue) -> bool {
        let Some(authority) = value.to_str().ok().and_then(|text| Authority::from_str(text).ok()) else { return false };
        let host = authority.host();
        let host = host.strip_suffix('.').unwrap_or(host);
        let ip = host.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(host);
        let names = self.0.iter().map(String::as_str).chain(["localhost"]);
        IpAddr::from_str(ip).is_ok()
            || names.into_iter().any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(host))
    }
}

/// Refuses a request with a foreign `Host` header. One without the header is no browser's.
pub(super) async fn check(
    State(allowed): State<AllowedHosts>,
    request: Request,
    next: Next,
) -> Result<Response, ErrorResponse> {
    match request.headers().get_all(header::HOST).iter().find(|host| !allowed.allows(host)) {
        Some(host) => Err(ErrorResponse::new(StatusCode::MISDIRECTED_REQUEST, refusal(host))),
        None => Ok(next.run(request).await),
    }
}

fn refusal(host: &HeaderValue) -> String {
    format!(
        "the Host header {} is refused; an IP address, localhost and the names in `admin.allowedHosts` are allowed",
        quoted(&String::from_utf8_lossy(host.as_bytes()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_localhost_and_the_configured_names_are_allowed() {
        let allowed = AllowedHosts::new(&["daymark.example.org.".to_owned(), "dns-1".to_owned()]);
        for good in [
            "127.0.0.1",
            "192.0.2.7:9353",
            "[::1]:9353",
            "[2001:db8::1]",
            "localhost:9353",
            "LocalHost",
            "daymark.example.org:9353",
            "DAYMARK.example.org.",
            "dns-1:1",
        ] {
            assert!(allowed.allows(&HeaderValue::from_static(good)), "{good}");
        }
        for bad in
            ["evil.example", "evil.example:9353", "localhost.evil.example", "127.0.0.1.evil.example", "dns-11", ""]
        {
            assert!(!allowed.allows(&HeaderValue::from_static(bad)), "{bad}");
        }
        assert!(!allowed.allows(&HeaderValue::from_bytes(b"\xff").unwrap()));
    }

    #[test]
    fn a_refusal_shows_bytes_that_are_no_text_as_one_plain_sign() {
        let refusal = refusal(&HeaderValue::from_bytes(b"ev\xffil").unwrap());
        assert!(refusal.starts_with("the Host header \"ev\u{fffd}il\" is refused; "), "{refusal}");
    }
}
