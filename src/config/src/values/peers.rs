//! The kinds of values that have to do with the peers.

use std::net::SocketAddr;

use schemars::Schema;

use super::{DnsName, HostAddress, TextFault, TextForm, pattern};
use crate::PeerAddress;

/// The default port of a peer.
pub(crate) const PEER_PORT: u16 = 7946;

/// The name that all hosts of one configuration share.
#[derive(Debug)]
pub(crate) struct ClusterName(pub(crate) String);

impl TextForm for ClusterName {
    fn allowed() -> String {
        "a name of 1 to 64 letters, digits, -, _ and .".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        if !is_plain(text, 64) {
            return Err(TextFault::wrong_form(text, "a valid name of a cluster"));
        }
        Ok(Self(text.to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, "^[0-9A-Za-z._-]{1,64}$");
    }
}

/// The address on which DNS is served.
#[derive(Debug)]
pub(crate) enum ServeAddress {
    /// A given address.
    At(SocketAddr),
    /// The address of this host among the members, with this port. So the file can be the same on every host.
    Own(u16),
}

impl TextForm for ServeAddress {
    fn allowed() -> String {
        "an IP address or self with a port (such as 192.0.2.11:53, [::]:53 or self:53)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let parsed = match text.strip_prefix("self:") {
            Some(port) => port.parse().ok().map(Self::Own),
            None => text.parse().ok().map(Self::At),
        };
        parsed.ok_or_else(|| TextFault::wrong_form(text, "an address to listen on"))
    }
}

fn is_plain(text: &str, most: usize) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    plain && (1..=most).contains(&text.len())
}

impl TextForm for PeerAddress {
    fn allowed() -> String {
        format!(
            "an IP address or a DNS name, with a port unless it is {PEER_PORT} (such as 192.0.2.11, [2001:db8::11]:{PEER_PORT} \
             or dns-1.example.org)"
        )
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let HostAndPort { host, port } = split(text)?;
        let port = match port {
            None => PEER_PORT,
            Some(port) => number(port).ok_or_else(|| TextFault::NoPort(text.to_owned()))?,
        };
        // A text that ends in a number is an address with a slip in it: no top-level domain does (RFC 1123, section 2.1).
        let top = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        if host.contains(':') || is_number(top) {
            let HostAddress(address) = HostAddress::parse(host)?;
            return Ok(Self::Ip(SocketAddr::new(address, port)));
        }
        let DnsName(host) = DnsName::parse(host)?;
        Ok(Self::Name { host, port })
    }

    /// Leaves it to the reader to tell an address from a port.
    fn narrow(schema: &mut Schema) {
        let label = "[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?";
        pattern(schema, format!(r"^(\[[0-9A-Fa-f:.]+\]|{label}(\.{label})*\.?)(:[0-9]{{1,5}})?$"));
    }
}

/// The two parts of the address of a host.
struct HostAndPort<'a> {
    /// A name or an address, without brackets.
    host: &'a str,
    port: Option<&'a str>,
}

fn split(text: &str) -> Result<HostAndPort<'_>, TextFault> {
    let wrong = || TextFault::wrong_form(text, "an address of a host");
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
        return match port.strip_prefix(':') {
            _ if !host.contains(':') => Err(wrong()),
            None if !port.is_empty() => Err(wrong()),
            port => Ok(HostAndPort { host, port }),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(TextFault::NoBrackets(text.to_owned())),
        Some((host, port)) => Ok(HostAndPort { host, port: Some(port) }),
        None => Ok(HostAndPort { host: text, port: None }),
    }
}

fn number(port: &str) -> Option<u16> {
    port.parse().ok().filter(|number| is_number(port) && *number > 0)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
