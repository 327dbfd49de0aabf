//! The faults of a text that is not of its form.

use std::net::Ipv4Addr;

use daymark_decision::{NameError, quoted};
use ipnet::IpNet;

/// The fault of a text that is not of its form. [`TextForm::allowed`](super::TextForm::allowed) says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextFault {
    #[error("{} is not {form}", quoted(text))]
    WrongForm { text: String, form: &'static str },
    #[error("{} is unknown", quoted(.0))]
    UnknownChoice(String),
    #[error("{} has no unit", quoted(.0))]
    NoUnit(String),
    #[error("{} is too short", quoted(.0))]
    TooShort(String),
    #[error("{} is too long", quoted(.0))]
    TooLong(String),
    #[error("{}", .0.fault)]
    Name(#[from] NameError),
    #[error("{} has a port, which belongs in `port` of the pool", quoted(.0))]
    PoolPort(String),
    #[error("{text} is an IPv4 address inside IPv6, so write {v4}")]
    MappedIpv4 { text: String, v4: Ipv4Addr },
    #[error("{text} is {range}")]
    NotOneMachine { text: String, range: &'static str },
    #[error("{text} has bits below its prefix, so write {network}")]
    BitsBelowPrefix { text: String, network: IpNet },
    #[error("{} has no port from 1 to 65535", quoted(.0))]
    NoPort(String),
    #[error("{} is IPv6 without brackets", quoted(.0))]
    NoBrackets(String),
    #[error("{} selects nothing", quoted(.0))]
    SelectsNothing(String),
    #[error("{0} is the name of the provider of that type")]
    ReservedName(String),
    #[error("{} is not a valid name of a provider: {character}", quoted(text))]
    ProviderCharacter { text: String, character: String },
    /// The text may be a password, so the message leaves it out.
    #[error("this is not {form}")]
    HiddenText { form: &'static str },
}

impl TextFault {
    /// The fault of a text that is not `form`, such as `a duration`.
    pub(super) fn wrong_form(text: &str, form: &'static str) -> Self {
        Self::WrongForm { text: text.to_owned(), form }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_text_is_a_message_that_shows_the_text_on_one_line() {
        let text = || "a\nb".to_owned();
        let name = daymark_decision::HostName::new("a\nb").unwrap_err();
        let shown = [
            (TextFault::wrong_form("a\nb", "a path"), r#""a\nb" is not a path"#),
            (TextFault::UnknownChoice(text()), r#""a\nb" is unknown"#),
            (TextFault::NoUnit(text()), r#""a\nb" has no unit"#),
            (TextFault::TooShort(text()), r#""a\nb" is too short"#),
            (TextFault::TooLong(text()), r#""a\nb" is too long"#),
            (TextFault::Name(name), r#""a\nb" is not a valid name of a host"#),
            (TextFault::PoolPort(text()), r#""a\nb" has a port, which belongs in `port` of the pool"#),
            (
                TextFault::MappedIpv4 { text: "::ffff:192.0.2.1".to_owned(), v4: Ipv4Addr::new(192, 0, 2, 1) },
                "::ffff:192.0.2.1 is an IPv4 address inside IPv6, so write 192.0.2.1",
            ),
            (
                TextFault::NotOneMachine { text: "0.0.0.0".to_owned(), range: "the unspecified address" },
                "0.0.0.0 is the unspecified address",
            ),
            (
                TextFault::BitsBelowPrefix {
                    text: "192.0.2.1/24".to_owned(),
                    network: "192.0.2.0/24".parse().unwrap(),
                },
                "192.0.2.1/24 has bits below its prefix, so write 192.0.2.0/24",
            ),
            (TextFault::NoPort(text()), r#""a\nb" has no port from 1 to 65535"#),
            (TextFault::NoBrackets(text()), r#""a\nb" is IPv6 without brackets"#),
            (TextFault::SelectsNothing(text()), r#""a\nb" selects nothing"#),
            (
                TextFault::ReservedName("authoritative".to_owned()),
                "authoritative is the name of the provider of that type",
            ),
            (
                TextFault::ProviderCharacter { text: text(), character: "it has a space".to_owned() },
                r#""a\nb" is not a valid name of a provider: it has a space"#,
            ),
            (TextFault::HiddenText { form: "a path" }, "this is not a path"),
        ];
        for (fault, message) in shown {
            assert_eq!(fault.to_string(), message);
        }
    }
}
