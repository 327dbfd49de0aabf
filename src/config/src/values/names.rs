//! The names of pools, nodes, hosts and servers. The core has their rules.

use std::net::IpAddr;

use daymark_decision::{HostName, NameError, NodeName, PoolName};
use schemars::Schema;

use super::{TextFault, TextForm, pattern, pool_port};

/// Makes a name of the core a form of text. `$fault` says what is wrong with a text, and `$narrow` narrows the schema.
macro_rules! form_of_name {
    ($name:ty, $fault:expr, $narrow:expr) => {
        impl TextForm for $name {
            fn allowed() -> String {
                Self::ALLOWED.to_owned()
            }

            fn parse(text: &str) -> Result<Self, TextFault> {
                Self::new(text).map_err(|error| $fault(text, error))
            }

            fn narrow(schema: &mut Schema) {
                $narrow(schema);
            }
        }
    };
}

form_of_name!(HostName, rule_of_name, narrow_to_host);
form_of_name!(NodeName, rule_of_name, narrow_to_node);
form_of_name!(PoolName, port_or_rule, DnsName::narrow);

fn rule_of_name(_: &str, error: NameError) -> TextFault {
    error.into()
}

fn port_or_rule(text: &str, error: NameError) -> TextFault {
    pool_port(text).unwrap_or(error.into())
}

fn narrow_to_host(schema: &mut Schema) {
    pattern(schema, format!("^[0-9A-Za-z._-]{{1,{}}}$", HostName::MAX_BYTES));
}

fn narrow_to_node(schema: &mut Schema) {
    pattern(schema, r"^([^\s.]|[^\s.]\S|\.[^\s.]|\S{3,253})$");
}

/// A DNS name by the rule of [`PoolName`].
#[derive(Debug)]
pub(crate) struct DnsName(pub(crate) String);

impl TextForm for DnsName {
    fn allowed() -> String {
        PoolName::ALLOWED.to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        Ok(Self(PoolName::new(text)?.as_str().to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        let label = "[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?";
        let octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
        pattern(schema, format!(r"^{label}(\.{label})*\.?$"));
        // One for the final dot.
        schema.insert("maxLength".to_owned(), 254.into());
        schema.insert("not".to_owned(), serde_json::json!({"pattern": format!(r"^({octet}\.){{3}}{octet}$")}));
    }
}

/// A name or an address for which a certificate can be valid.
#[derive(Debug)]
pub(crate) struct ServerName(pub(crate) String);

impl TextForm for ServerName {
    fn allowed() -> String {
        "a DNS name or an IP address".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self(address.to_string())),
            Err(_) => DnsName::parse(text).map(|DnsName(name)| Self(name)),
        }
    }
}
