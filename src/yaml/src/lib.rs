//! YAML as a tree whose every key and value knows its position. Owns the bounds on depth and aliases; knows no key, and does not bound
//! the size of a text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
pub use serde_saphyr::Error;
use serde_saphyr::{Location, Spanned};

/// A position in a file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePosition {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl FilePosition {
    /// The position of something about the file as a whole.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for FilePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One value of a file, or of a flag.
#[derive(Debug)]
pub struct YamlNode {
    /// The value.
    pub value: YamlValue,
    /// The position of its first character; a flag has none.
    pub position: Option<FilePosition>,
    /// The flag from which it came, which findings name in place of its key path.
    pub label: Option<String>,
}

/// A value, before it is known what it should be.
#[derive(Debug)]
pub enum YamlValue {
    /// No value.
    Empty,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Whole(i128),
    /// Any other number.
    Fraction(f64),
    /// A text.
    Text(String),
    /// A sequence.
    List(Vec<YamlNode>),
    /// A mapping, in the order of the file, with the keys that it has twice.
    Map(Vec<YamlEntry>),
}

/// One key with its value.
#[derive(Debug)]
pub struct YamlEntry {
    /// The key.
    pub key: String,
    /// The position of the key; a flag has none.
    pub position: Option<FilePosition>,
    /// The value.
    pub node: YamlNode,
}

/// Reads one YAML document. One without content is [`YamlValue::Empty`].
///
/// # Errors
///
/// Fails if the text is no YAML, has several documents, or goes beyond the bounds.
pub fn parse(text: &str) -> Result<YamlNode, Error> {
    serde_saphyr::from_str_with_options::<Spanned<YamlValue>>(text, options()).map(YamlNode::from)
}

/// The position of an error, if it has one.
pub fn error_position(error: &Error) -> Option<FilePosition> {
    error.without_snippet().location().and_then(position)
}

/// The library's own words, on one line and without the position.
pub fn error_words(error: &Error) -> String {
    let message = error.without_snippet().to_string();
    let words = message.split_once(" at line ").map_or(message.as_str(), |(words, _)| words);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl YamlNode {
    /// Its position, or the start of the file if it has none.
    pub fn position(&self) -> FilePosition {
        self.position.unwrap_or(FilePosition::START)
    }

    /// A value that a flag gave.
    pub fn flag(label: impl Into<String>, value: YamlValue) -> Self {
        Self { value, position: None, label: Some(label.into()) }
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Self> {
        let YamlValue::Map(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// A mapping that no one wrote: it only holds what flags gave.
    pub fn map(entries: Vec<YamlEntry>) -> Self {
        Self { value: YamlValue::Map(entries), position: None, label: None }
    }
}

impl YamlEntry {
    /// The position of its key, or the start of the file if it has none.
    pub fn position(&self) -> FilePosition {
        self.position.unwrap_or(FilePosition::START)
    }

    /// An entry that a flag gave, without a position.
    pub fn new(key: &str, node: YamlNode) -> Self {
        Self { key: key.to_owned(), position: None, node }
    }
}

impl From<Spanned<YamlValue>> for YamlNode {
    fn from(spanned: Spanned<YamlValue>) -> Self {
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

fn position(location: Location) -> Option<FilePosition> {
    (location.line() > 0).then(|| FilePosition { line: location.line(), column: location.column() })
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = YamlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Empty)
    }

    fn visit_bool<E>(self, value: bool) -> Result<YamlValue, E> {
        Ok(YamlValue::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<YamlValue, E> {
        Ok(YamlValue::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<YamlValue, E> {
        Ok(YamlValue::Whole(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<YamlValue, E> {
        Ok(YamlValue::Whole(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<YamlValue, E> {
        Ok(YamlValue::Fraction(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<YamlValue, E> {
        Ok(YamlValue::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<YamlValue, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element::<Spanned<YamlValue>>()? {
            list.push(element.into());
        }
        Ok(YamlValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<YamlValue, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<YamlValue>, Spanned<YamlValue>>()? {
            entries.push(YamlEntry {
                position: position(key.referenced),
                key: key_text(key.value),
                node: value.into(),
            });
        }
        Ok(YamlValue::Map(entries))
    }
}

/// Every known key is a text; another one only has to be named.
fn key_text(key: YamlValue) -> String {
    match key {
        YamlValue::Text(text) => text,
        YamlValue::Bool(value) => value.to_string(),
        YamlValue::Whole(value) => value.to_string(),
        YamlValue::Fraction(value) => value.to_string(),
        YamlValue::Empty => "null".to_owned(),
        YamlValue::List(_) => "[…]".to_owned(),
        YamlValue::Map(_) => "{…}".to_owned(),
    }
}
