//! The kinds of values a key can have: each knows what it allows and how the schema says so. A value is judged alone here;
//! what depends on other keys or on files is judged in [`typed`](super::typed).

mod cloudflare;
mod discovery;
mod fault;
mod names;
mod network;
mod peers;
mod ping;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use daymark_authoritative::{DenialOfExistence, KeyRole};
use daymark_decision::{Mode, quoted};
use http::uri::PathAndQuery;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde_json::Value;

use super::key::{Key, Located};

pub(super) use daymark_decision::duration_text;

pub(super) use self::cloudflare::{
    ApiBase, CloudflareManage, CloudflareMode, HexId, OwnerText, PoolText, ProviderName, Variable, ZoneText,
};
pub(super) use self::discovery::{AddressKind, LabelSelector, NodeSource};
pub(super) use self::fault::TextFault;
pub(super) use self::names::{DnsName, ServerName};
pub(super) use self::network::NetworkText;
pub(super) use self::peers::{ClusterName, PEER_PORT, ServeAddress};
pub(super) use self::ping::PingUrl;

/// A kind of text.
pub(super) trait TextForm: Sized {
    /// The allowed values, as a noun phrase.
    fn allowed() -> String;

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// Fails if the text is not one of [`TextForm::allowed`].
    fn parse(text: &str) -> Result<Self, TextFault>;

    /// Narrows the schema beyond `type: string`.
    fn narrow(_schema: &mut Schema) {}
}

/// Gives the schema a pattern. It may be wider than [`TextForm::parse`], which alone decides.
fn pattern(schema: &mut Schema, pattern: impl Into<Value>) {
    schema.insert("pattern".to_owned(), pattern.into());
}

/// A value that is written as a text.
#[derive(Debug)]
pub(super) struct Text<T>(pub(super) T);

impl<T> Key<Text<T>> {
    /// The value of the text, with its location.
    pub(super) fn text(self) -> Option<Located<T>> {
        self.present().map(|text| text.map(|Text(value)| value))
    }
}

impl<'de, T: TextForm> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: TextForm> Visitor<'_> for TextVisitor<T> {
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&T::allowed())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
        T::parse(text).map(Text).map_err(|fault| E::custom(format!("{fault}; {} is allowed", T::allowed())))
    }
}

impl<T: TextForm> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({"type": "string", "title": T::allowed()});
        T::narrow(&mut schema);
        schema
    }
}

/// A whole number from `MIN` to `MAX`, held as a `T` that can hold both.
#[derive(Debug)]
pub(super) struct Whole<T, const MIN: u64, const MAX: u64>(pub(super) T);

impl<'de, T: TryFrom<u64>, const MIN: u64, const MAX: u64> Deserialize<'de> for Whole<T, MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor(PhantomData))
    }
}

struct WholeVisitor<T, const MIN: u64, const MAX: u64>(PhantomData<T>);

impl<T: TryFrom<u64>, const MIN: u64, const MAX: u64> Visitor<'_> for WholeVisitor<T, MIN, MAX> {
    type Value = Whole<T, MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let side = if number > MAX { "large" } else { "small" };
        match T::try_from(number) {
            Ok(value) if (MIN..=MAX).contains(&number) => Ok(Whole(value)),
            _ => Err(E::custom(format!("{number} is too {side}; a whole number from {MIN} to {MAX} is allowed"))),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.parse::<u64>().is_err() {
            return Err(E::invalid_type(Unexpected::Str(text), &self));
        }
        let text = quoted(text);
        Err(E::custom(format!("is the text {text}; a whole number from {MIN} to {MAX}, without quotes, is allowed")))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Err(E::custom(format!("{number} is too small; a whole number from {MIN} to {MAX} is allowed")))
    }
}

impl<T, const MIN: u64, const MAX: u64> JsonSchema for Whole<T, MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Whole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

/// A duration from `MIN` to `MAX` milliseconds.
#[derive(Debug)]
pub(super) struct BoundedDuration<const MIN: u64, const MAX: u64>(pub(super) Duration);

impl<const MIN: u64, const MAX: u64> TextForm for BoundedDuration<MIN, MAX> {
    fn allowed() -> String {
        let [min, max] = [MIN, MAX].map(|bound| duration_text(Duration::from_millis(bound)));
        format!("a duration with its unit (ms, s, m or h) from {min} to {max}")
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let milliseconds = match text.strip_prefix(digits).unwrap_or_default() {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "" => return Err(TextFault::NoUnit(text.to_owned())),
            _ => return Err(TextFault::wrong_form(text, "a duration")),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TextFault::wrong_form(text, "a duration"));
        }
        let number = digits.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(milliseconds);
        if number < MIN {
            return Err(TextFault::TooShort(text.to_owned()));
        }
        if number > MAX {
            return Err(TextFault::TooLong(text.to_owned()));
        }
        Ok(Self(Duration::from_millis(number)))
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, "^[0-9]+(ms|s|m|h)$");
    }
}

/// The fault of the name or an address of a pool that ends in a port.
fn pool_port(text: &str) -> Option<TextFault> {
    let (host, port) = text.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_bare_ipv6 = host.contains(':') && !host.ends_with(']');
    (is_port && !is_bare_ipv6).then(|| TextFault::PoolPort(text.to_owned()))
}

/// The address of one machine.
#[derive(Debug)]
pub(super) struct HostAddress(pub(super) IpAddr);

impl TextForm for HostAddress {
    fn allowed() -> String {
        "the IPv4 or IPv6 address of one machine".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let no_address = || pool_port(text).unwrap_or_else(|| TextFault::wrong_form(text, "an IP address"));
        let address = text.parse::<IpAddr>().map_err(|_| no_address())?;
        if let IpAddr::V6(v6) = address
            && let Some(v4) = v6.to_ipv4_mapped()
        {
            return Err(TextFault::MappedIpv4 { text: text.to_owned(), v4 });
        }
        let range = match address {
            _ if address.is_unspecified() => "the unspecified address",
            _ if address.is_multicast() => "a multicast address",
            IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
            _ => return Ok(Self(address)),
        };
        Err(TextFault::NotOneMachine { text: text.to_owned(), range })
    }

    fn narrow(schema: &mut Schema) {
        let formats = serde_json::json!([{"format": "ipv4"}, {"format": "ipv6"}]);
        schema.insert("anyOf".to_owned(), formats);
    }
}

/// An address and port to listen on.
#[derive(Debug)]
pub(super) struct ListenText(pub(super) SocketAddr);

impl TextForm for ListenText {
    fn allowed() -> String {
        "an IP address with a port (such as 127.0.0.1:9353 or [::]:53)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        text.parse().map(Self).map_err(|_| TextFault::wrong_form(text, "an address to listen on"))
    }
}

/// The path of a file or a directory.
#[derive(Debug)]
pub(super) struct FilePath(pub(super) PathBuf);

impl TextForm for FilePath {
    fn allowed() -> String {
        "the path of a file or directory".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        // One with a line break is a slip, and would tear what is said of it.
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(TextFault::wrong_form(text, "a path"));
        }
        Ok(Self(text.into()))
    }
}

/// The path and query of a request (RFC 9112, section 3.2.1).
#[derive(Debug)]
pub(super) struct RequestPath(pub(super) String);

impl TextForm for RequestPath {
    fn allowed() -> String {
        "a path that begins with / (such as /readyz or /readyz?exclude=etcd)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let plain = text.starts_with('/') && !text.contains('#') && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain || text.parse::<PathAndQuery>().is_err() {
            return Err(TextFault::wrong_form(text, "the path of a request"));
        }
        Ok(Self(text.to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, r#"^/[!-"$-~]*$"#);
    }
}

/// A kind of text with a few allowed values.
trait NamedChoice: Copy + 'static {
    const ALL: &'static [(&'static str, Self)];
}

impl<T: NamedChoice> TextForm for T {
    fn allowed() -> String {
        let words: Vec<&str> = T::ALL.iter().map(|(word, _)| *word).collect();
        format!("one of {}", words.join(", "))
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let known = T::ALL.iter().find(|(word, _)| *word == text);
        known.map(|(_, value)| *value).ok_or_else(|| TextFault::UnknownChoice(text.to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        schema.remove("title");
        schema.insert("enum".to_owned(), T::ALL.iter().map(|(word, _)| *word).collect());
    }
}

impl NamedChoice for Mode {
    const ALL: &'static [(&'static str, Self)] =
        &[("all", Self::All), ("failover", Self::Failover), ("weighted", Self::Weighted)];
}

impl NamedChoice for DenialOfExistence {
    const ALL: &'static [(&'static str, Self)] = &[("nsec", Self::Nsec), ("nsec3", Self::Nsec3)];
}

impl NamedChoice for KeyRole {
    const ALL: &'static [(&'static str, Self)] =
        &[("csk", Self::Combined), ("ksk", Self::KeySigning), ("zsk", Self::ZoneSigning)];
}

impl<T: JsonSchema> JsonSchema for Key<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
