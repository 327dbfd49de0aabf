//! The names of hosts, pools and nodes, and the rule of each.
//!
//! A name is checked when it is made or deserialized, so every name in the program keeps its rule.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::text::quoted;

/// The error for a text that is no name of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    /// The text, shortened, and its fault.
    pub fault: String,
    /// The allowed names, as a noun phrase.
    pub allowed: &'static str,
}

impl NameError {
    fn new(text: &str, fault: &str, allowed: &'static str) -> Self {
        Self { fault: format!("{} {fault}", quoted(text)), allowed }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {} is allowed", self.fault, self.allowed)
    }
}

impl std::error::Error for NameError {}

/// The text of a name. Its clones share it, and most comparisons in maps of targets are of a name with its clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct SharedText(Arc<str>);

impl Ord for SharedText {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for SharedText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The conversions that all three names share.
macro_rules! name_conversions {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}

name_conversions!(HostName, PoolName, NodeName);

/// The name of a host that runs Daymark: 1 to 63 letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct HostName(SharedText);

impl HostName {
    /// The most bytes of a host's name: those of a DNS label (RFC 1035, section 2.3.4).
    pub const MAX_BYTES: usize = 63;
    /// The allowed names, as a noun phrase.
    pub const ALLOWED: &'static str = "a name of 1 to 63 letters, digits, -, _ and .";

    /// Takes the name as it is.
    ///
    /// # Errors
    ///
    /// Fails if the text is not one of [`HostName::ALLOWED`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !is_plain || !(1..=Self::MAX_BYTES).contains(&text.len()) {
            return Err(NameError::new(text, "is not a valid name of a host", Self::ALLOWED));
        }
        Ok(Self(SharedText(text.into())))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0.0
    }
}

/// The name of a pool: a DNS name of RFC 1123, section 2.1, in lower case and without the final dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PoolName(SharedText);

impl PoolName {
    /// The most bytes of a pool's name, without the final dot.
    pub const MAX_BYTES: usize = 253;
    /// The allowed names, as a noun phrase.
    pub const ALLOWED: &'static str =
        "a DNS name (labels of 1 to 63 letters, digits and inner hyphens, 253 characters in all)";

    /// Takes a DNS name in any letter case, with or without the final dot.
    ///
    /// # Errors
    ///
    /// Fails if the text is not one of [`PoolName::ALLOWED`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.parse::<IpAddr>().is_ok() {
            return Err(NameError::new(text, "is an IP address, not a name", Self::ALLOWED));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if let Some(fault) = dns_fault(name) {
            return Err(NameError::new(text, &format!("is not a DNS name: {fault}"), Self::ALLOWED));
        }
        Ok(Self(SharedText(name.to_ascii_lowercase().into())))
    }

    /// The name, in lower case and without the final dot.
    pub fn as_str(&self) -> &str {
        &self.0.0
    }
}

/// The fault of a text that is no DNS name, as a sentence about "it".
fn dns_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("it is empty".to_owned());
    }
    if let Some(fault) = character_fault(name, "-.") {
        return Some(fault);
    }
    if name.len() > PoolName::MAX_BYTES {
        return Some(format!("it has {} characters", name.len()));
    }
    name.split('.').find_map(|label| match label {
        "" => Some("it has an empty label".to_owned()),
        _ if label.len() > 63 => Some(format!("its label {} has {} characters", quoted(label), label.len())),
        _ if label.starts_with('-') => Some(format!("its label {} begins with a hyphen", quoted(label))),
        _ if label.ends_with('-') => Some(format!("its label {} ends with a hyphen", quoted(label))),
        _ => None,
    })
}

/// The first character of a name that is no ASCII letter or digit and not among `others`, as a sentence about "it".
pub fn character_fault(name: &str, others: &str) -> Option<String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    Some(match name.chars().find(|c| !is_allowed(*c))? {
        '_' => "it has an underscore (_)".to_owned(),
        ' ' => "it has a space".to_owned(),
        other => format!("it has the character {}", quoted(other.encode_utf8(&mut [0; 4]))),
    })
}

/// The name of a node: 1 to 253 bytes without white space and control characters, and neither `.` nor `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct NodeName(SharedText);

impl NodeName {
    /// The most bytes of a node's name: those of a DNS subdomain name, which Kubernetes asks of the names of nodes (RFC 1123).
    pub const MAX_BYTES: usize = 253;
    /// The allowed names, as a noun phrase.
    pub const ALLOWED: &'static str = "a text of 1 to 253 bytes without white space that is neither . nor ..";

    /// Takes the name as it is.
    ///
    /// # Errors
    ///
    /// Fails if the text is not one of [`NodeName::ALLOWED`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        let has_space = text.chars().any(|c| c.is_whitespace() || c.is_control());
        // The path of the admin API holds the name, and there these two are steps to other paths (RFC 3986, section 5.2.4).
        let is_dots = text == "." || text == "..";
        if has_space || is_dots || !(1..=Self::MAX_BYTES).contains(&text.len()) {
            return Err(NameError::new(text, "is not a valid name of a node", Self::ALLOWED));
        }
        Ok(Self(SharedText(text.into())))
    }

    /// The least name in the order of names, for the start of a range.
    pub(crate) fn least() -> Self {
        Self(SharedText("!".into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0.0
    }
}

/// The name of a node that is known by its address only.
impl From<IpAddr> for NodeName {
    fn from(address: IpAddr) -> Self {
        Self(SharedText(address.to_string().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_host_has_1_to_63_plain_characters() {
        for name in ["a", "dns-1", "DNS_1.example.org", ".", "..", &"x".repeat(63)] {
            assert_eq!(HostName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "dns 1", "dns\n1", "dns/1", "dn\u{e4}s", "\0", &"x".repeat(64)] {
            assert!(HostName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_name_of_a_pool_is_a_dns_name_in_lower_case_without_the_final_dot() {
        let label = "x".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "x".repeat(61));
        for name in ["a", "lb.example.org", "1.example", "a-b.example", &longest] {
            assert_eq!(PoolName::new(name).unwrap().as_str(), name);
        }
        assert_eq!(PoolName::new("LB.Example.ORG.").unwrap().as_str(), "lb.example.org");
        assert_eq!(PoolName::new(&format!("{longest}.")).unwrap().as_str(), longest);
        let long_label = format!("{label}x.example.org");
        let too_long = format!("{longest}x");
        for name in ["", ".", "a..b", "a..", ".a", "-a", "a-.b", "a_b", "a b", "\u{e4}.org", &long_label, &too_long] {
            assert!(PoolName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_name_of_a_node_has_1_to_253_bytes_without_white_space_and_is_no_step_of_a_path() {
        for name in ["a", "kube-cp-1", "KUBE_1.example.org", "...", ".a", "n\u{e4}", "2001:db8::1", &"x".repeat(253)] {
            assert_eq!(NodeName::new(name).unwrap().as_str(), name);
        }
        for name in ["", ".", "..", "a b", "a\nb", "a\u{a0}b", "\0", "\u{7f}", &"x".repeat(254)] {
            assert!(NodeName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn no_name_of_a_node_is_before_the_least_one() {
        let names = (0..=u8::MAX).filter_map(|byte| NodeName::new(&char::from(byte).to_string()).ok());
        assert_eq!(names.min(), Some(NodeName::least()));
    }

    #[test]
    fn an_ip_address_is_no_name_of_a_pool() {
        for address in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(
                PoolName::new(address).unwrap_err().fault,
                format!("\"{address}\" is an IP address, not a name")
            );
        }
    }

    #[test]
    fn a_name_that_is_refused_is_quoted_on_one_line_with_the_names_that_are_allowed() {
        assert_eq!(
            HostName::new("dns\n1").unwrap_err().to_string(),
            "\"dns\\n1\" is not a valid name of a host; a name of 1 to 63 letters, digits, -, _ and . is allowed"
        );
        assert!(HostName::new(&"x".repeat(9_999)).unwrap_err().to_string().len() < 250);
    }

    #[test]
    fn names_keep_their_rule_when_they_are_deserialized() {
        assert_eq!(serde_json::from_str::<HostName>("\"dns-1\"").unwrap().as_str(), "dns-1");
        let error = serde_json::from_str::<HostName>("\"\"").unwrap_err().to_string();
        assert!(error.starts_with("\"\" is not a valid name of a host; "), "{error}");
        assert_eq!(serde_json::from_str::<PoolName>("\"LB.example.org.\"").unwrap().as_str(), "lb.example.org");
        let error = serde_json::from_str::<PoolName>("\"a_b\"").unwrap_err().to_string();
        assert!(error.starts_with("\"a_b\" is not a DNS name: it has an underscore (_); a DNS name ("), "{error}");
        assert_eq!(serde_json::from_str::<NodeName>("\"cp-1\"").unwrap().as_str(), "cp-1");
        let error = serde_json::from_str::<NodeName>("\"a b\"").unwrap_err().to_string();
        assert!(error.starts_with("\"a b\" is not a valid name of a node; "), "{error}");
    }
}
