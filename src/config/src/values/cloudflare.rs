//! The kinds of values that only a Cloudflare provider has.

use std::net::IpAddr;

use daymark_cloudflare::{MAX_OWNER_CHARS, is_id, is_owner};
use daymark_decision::character_fault;
use http::Uri;
use schemars::Schema;
use serde_json::json;

use super::{DnsName, NamedChoice, TextFault, TextForm, pattern};

/// The name of the authoritative provider, which no other provider may have.
const AUTHORITATIVE: &str = "authoritative";

/// The objects that a Cloudflare provider writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloudflareMode {
    Records,
    LoadBalancing,
}

impl NamedChoice for CloudflareMode {
    const ALL: &'static [(&'static str, Self)] = &[("records", Self::Records), ("loadBalancing", Self::LoadBalancing)];
}

/// The parts of a Load Balancing setup that Daymark manages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloudflareManage {
    Origins,
    Full,
}

impl NamedChoice for CloudflareManage {
    const ALL: &'static [(&'static str, Self)] = &[("origins", Self::Origins), ("full", Self::Full)];
}

/// The name of a provider, which is also part of the name of a file.
#[derive(Debug)]
pub(crate) struct ProviderName(pub(crate) String);

impl TextForm for ProviderName {
    fn allowed() -> String {
        format!("a name of 1 to 63 letters, digits and -, other than {AUTHORITATIVE}")
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        if text == AUTHORITATIVE {
            return Err(TextFault::ReservedName(text.to_owned()));
        }
        if let Some(character) = character_fault(text, "-") {
            return Err(TextFault::ProviderCharacter { text: text.to_owned(), character });
        }
        if !(1..=63).contains(&text.len()) {
            return Err(TextFault::wrong_form(text, "a valid name of a provider"));
        }
        Ok(Self(text.to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, "^[0-9A-Za-z-]{1,63}$");
        schema.insert("not".to_owned(), json!({"const": AUTHORITATIVE}));
    }
}

/// The owner in the mark of what a provider creates.
#[derive(Debug)]
pub(crate) struct OwnerText(pub(crate) String);

impl TextForm for OwnerText {
    fn allowed() -> String {
        format!("1 to {MAX_OWNER_CHARS} letters, digits, -, _ and . without a dot at the end")
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        if !is_owner(text) {
            return Err(TextFault::wrong_form(text, "an owner"));
        }
        Ok(Self(text.to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        let earlier = MAX_OWNER_CHARS - 1;
        pattern(schema, format!("^[0-9A-Za-z._-]{{0,{earlier}}}[0-9A-Za-z_-]$"));
    }
}

/// The name of an environment variable (POSIX.1-2017, section 8.1).
#[derive(Debug)]
pub(crate) struct Variable(pub(crate) String);

impl TextForm for Variable {
    fn allowed() -> String {
        "the name of an environment variable (letters, digits and _)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if text.is_empty() || !plain || text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(TextFault::HiddenText { form: "a valid name of an environment variable" });
        }
        Ok(Self(text.to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, "^[A-Za-z_][0-9A-Za-z_]*$");
    }
}

/// An ID of Cloudflare, in lower case.
#[derive(Debug)]
pub(crate) struct HexId(pub(crate) String);

impl TextForm for HexId {
    fn allowed() -> String {
        "an ID of 32 hexadecimal digits".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        if !is_id(text) {
            return Err(TextFault::wrong_form(text, "an ID"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, "^[0-9A-Fa-f]{32}$");
    }
}

/// A zone of Cloudflare: its name, or its ID. A text that could be both is taken as an ID, because no zone has a name of 32 digits.
#[derive(Debug)]
pub(crate) struct ZoneText(pub(crate) String);

impl TextForm for ZoneText {
    fn allowed() -> String {
        "a DNS name or an ID of 32 hexadecimal digits".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let DnsName(name) = DnsName::parse(text)?;
        Ok(Self(name))
    }

    fn narrow(schema: &mut Schema) {
        DnsName::narrow(schema);
    }
}

/// The name or the ID of a Cloudflare pool.
#[derive(Debug)]
pub(crate) struct PoolText(pub(crate) String);

impl TextForm for PoolText {
    fn allowed() -> String {
        "the name (letters, digits, - and _) or the ID of a Cloudflare pool".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if text.is_empty() || !plain {
            return Err(TextFault::wrong_form(text, "a Cloudflare pool"));
        }
        Ok(Self(text.to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, "^[0-9A-Za-z_-]+$");
    }
}

/// The base address of an API, without a final slash. Only towards this host itself may it do without TLS: the token is a
/// part of every call.
#[derive(Debug)]
pub(crate) struct ApiBase(pub(crate) String);

impl TextForm for ApiBase {
    fn allowed() -> String {
        "an https address without user, query and fragment, or an http one of a loopback address".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let form = "the base address of an API";
        let wrong = || {
            // The text before an @ may be a password.
            if text.contains('@') { TextFault::HiddenText { form } } else { TextFault::wrong_form(text, form) }
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_safe = uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && is_loopback);
        if !is_safe || host.is_empty() || text.contains(['?', '#', '@']) {
            return Err(wrong());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        let loopback = r"(127(\.[0-9]{1,3}){3}|\[::1\])";
        pattern(schema, format!(r"^(https://[^\s?#@/]|http://{loopback}([:/]|$))[^\s?#@]*$"));
    }
}
