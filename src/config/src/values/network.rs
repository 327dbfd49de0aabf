//! The kinds of values of the rate limit.

use daymark_authoritative::RateLimitMode;
use ipnet::IpNet;
use schemars::Schema;

use super::{HostAddress, NamedChoice, TextFault, TextForm, pattern};

impl NamedChoice for RateLimitMode {
    const ALL: &'static [(&'static str, Self)] =
        &[("enforce", Self::Enforce), ("logOnly", Self::LogOnly), ("disabled", Self::Disabled)];
}

/// A network, or the address of one machine.
#[derive(Debug)]
pub(crate) struct NetworkText(pub(crate) IpNet);

impl TextForm for NetworkText {
    fn allowed() -> String {
        "a network (such as 192.0.2.0/24 or 2001:db8::/32) or an IP address".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        if !text.contains('/') {
            return HostAddress::parse(text).map(|HostAddress(address)| Self(address.into()));
        }
        let network: IpNet = text.parse().map_err(|_| TextFault::wrong_form(text, "a network"))?;
        if network.trunc() != network {
            return Err(TextFault::BitsBelowPrefix { text: text.to_owned(), network: network.trunc() });
        }
        Ok(Self(network))
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$");
    }
}
