//! The YAML text as a tree whose every key and value knows its line. Owns the bounds on size, depth and aliases; knows
//! nothing of the keys of Daymark.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Spanned};

use super::findings::Position;

/// A configuration has a few hundred lines; whatever is beyond this is the wrong file.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// One value of the file, or of a flag.
#[derive(Debug)]
pub(super) struct YamlNode {
    pub(super) value: Value,
    /// The position of its first character; a flag has none.
    pub(super) position: Option<Position>,
    /// The flag from which it came, which findings name in place of its key path.
    pub(super) label: Option<String>,
}

/// A value, before it is known what it should be.
#[derive(Debug)]
pub(super) enum Value {
    Empty,
    Bool(bool),
    Whole(i128),
    Fraction(f64),
    Text(String),
    List(Vec<YamlNode>),
    Map(Vec<YamlEntry>),
}

/// One key with its value.
#[derive(Debug)]
pub(super) struct YamlEntry {
    pub(super) key: String,
    pub(super) position: Option<Position>,
    pub(super) node: YamlNode,
}

/// The text is no YAML, so there is no tree.
pub(super) struct NotYaml {
    pub(super) position: Option<Position>,
    pub(super) message: String,
}

/// Reads one YAML document.
pub(super) fn parse(text: &str) -> Result<YamlNode, NotYaml> {
    if text.len() > MAX_BYTES {
        return Err(NotYaml { position: None, message: too_large() });
    }
    serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options()).map(YamlNode::from).map_err(|error| {
        let error = error.without_snippet();
        let position = error.location().and_then(position);
        NotYaml { position, message: reason(error) }
    })
}

/// The error of a file beyond [`MAX_BYTES`].
pub(super) fn too_large() -> String {
    format!("is too large; at most {} KiB are allowed", MAX_BYTES >> 10)
}

impl YamlNode {
    /// A value that a flag gave.
    pub(super) fn flag(label: impl Into<String>, value: Value) -> Self {
        Self { value, position: None, label: Some(label.into()) }
    }

    /// The value of a key, if this is a mapping that has it.
    pub(super) fn entry(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// A mapping that no one wrote: it only holds what flags gave.
    pub(super) fn map(entries: Vec<YamlEntry>) -> Self {
        Self { value: Value::Map(entries), position: None, label: None }
    }
}

impl YamlEntry {
    /// An entry that a flag gave, without a position.
    pub(super) fn new(key: &str, node: YamlNode) -> Self {
        Self { key: key.to_owned(), position: None, node }
    }
}

impl From<Spanned<Value>> for YamlNode {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { position: position(spanned.referenced), value: spanned.value, label: None }
    }
}

/// Bounds far above any real file and far below what would hurt, and YAML 1.2: `yes` is a text and `010` as well.
/// Duplicate keys pass, to be reported together with everything else.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 100_000,
            max_events: 250_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    }
}

fn position(location: Location) -> Option<Position> {
    (location.line() > 0).then(|| Position { line: location.line(), column: location.column() })
}

/// The library's own words, on one line and without the location, which the finding says already.
fn reason(error: &Error) -> String {
    const BOUNDS: &str =
        "is nested too deeply, has too many values, or repeats them by too many aliases; a simpler document is needed";
    match error {
        Error::MultipleDocuments { .. } => return "holds more than one YAML document; one is allowed".to_owned(),
        Error::Budget { .. } => return BOUNDS.to_owned(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            return "has an alias that refers to itself; an alias of an earlier, complete value is allowed".to_owned();
        }
        _ => {}
    }
    let message = error.to_string();
    // This error comes wrapped, with the locations of both ends of the alias.
    if message.starts_with("alias replay") {
        return BOUNDS.to_owned();
    }
    let words = message.split_once(" at line ").map_or(message.as_str(), |(words, _)| words);
    format!("is not valid YAML: {}", words.split_whitespace().collect::<Vec<_>>().join(" "))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Empty)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Whole(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Fraction(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element::<Spanned<Value>>()? {
            list.push(element.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<Value>, Spanned<Value>>()? {
            entries.push(YamlEntry {
                position: position(key.referenced),
                key: key_text(key.value),
                node: value.into(),
            });
        }
        Ok(Value::Map(entries))
    }
}

/// Every key of Daymark is a text; another one is unknown, and only has to be named.
fn key_text(key: Value) -> String {
    match key {
        Value::Text(text) => text,
        Value::Bool(value) => value.to_string(),
        Value::Whole(value) => value.to_string(),
        Value::Fraction(value) => value.to_string(),
        Value::Empty => "null".to_owned(),
        Value::List(_) => "[…]".to_owned(),
        Value::Map(_) => "{…}".to_owned(),
    }
}
