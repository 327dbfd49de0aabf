//! The names of a certificate, compared with the name that a client verifies as Go's `VerifyHostname` does.

use std::net::IpAddr;

use rustls::pki_types::ServerName;

use crate::names::AlternativeName;

/// True if one of the names is valid for the server. The common name does not count (RFC 9525, section 2).
pub(crate) fn is_valid_for(names: &[AlternativeName], server: &ServerName<'_>) -> bool {
    match server {
        ServerName::DnsName(server) => {
            let server = server.as_ref().to_ascii_lowercase();
            names.iter().any(|name| matches!(name, AlternativeName::Dns(pattern) if is_match(pattern, &server)))
        }
        ServerName::IpAddress(server) => {
            let server = IpAddr::from(*server);
            names.iter().any(|name| matches!(name, AlternativeName::Ip(bytes) if address(bytes) == Some(server)))
        }
        _ => false,
    }
}

/// RFC 9525, section 6.3: a wildcard is the whole first label, and stands for exactly one label.
fn is_match(pattern: &str, server: &str) -> bool {
    let server = server.strip_suffix('.').unwrap_or(server);
    let pattern = pattern.to_ascii_lowercase();
    if !is_pattern(&pattern) {
        return false;
    }
    match pattern.strip_prefix("*.") {
        Some(rest) => server.split_once('.').is_some_and(|(first, parent)| !first.is_empty() && parent == rest),
        None => pattern == server,
    }
}

fn is_pattern(pattern: &str) -> bool {
    let rest = pattern.strip_prefix("*.").unwrap_or(pattern);
    !rest.is_empty() && rest.split('.').all(|label| !label.is_empty() && !label.contains('*'))
}

/// RFC 5280, section 4.2.1.6: 4 or 16 bytes in network order.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from);
    v4().or_else(v6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        assert!(is_match("*.kube-cp.com", "lb.kube-cp.com"));
        assert!(is_match("*.Kube-CP.com", "lb.kube-cp.com."));
        assert!(!is_match("*.kube-cp.com", "kube-cp.com"));
        assert!(!is_match("*.kube-cp.com", "a.lb.kube-cp.com"));
        assert!(!is_match("*", "com"));
        assert!(!is_match("l*.kube-cp.com", "lb.kube-cp.com"));
        assert!(!is_match("lb.*.com", "lb.kube-cp.com"));
        assert!(!is_match("*.", "lb."));
    }
}
