//! A YAML document as a tree whose every key and value knows its position. Owns the bounds on depth and aliases; knows none of
//! kubeadm's keys.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use daymark_decision::escaped;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::position::FilePosition;

/// One value of a document.
#[derive(Debug)]
pub(crate) struct TreeNode {
    pub(crate) value: TreeValue,
    /// The position of its first character.
    pub(crate) position: FilePosition,
}

/// A value, before it is known what it should be.
#[derive(Debug)]
pub(crate) enum TreeValue {
    Empty,
    Bool(bool),
    Whole(i128),
    Fraction,
    Text(String),
    List(Vec<TreeNode>),
    Map(Vec<TreeEntry>),
}

/// One key with its value.
#[derive(Debug)]
pub(crate) struct TreeEntry {
    pub(crate) key: String,
    pub(crate) position: FilePosition,
    pub(crate) node: TreeNode,
}

/// The text is no YAML, so there is no tree.
#[derive(Debug)]
pub(crate) struct NotATree {
    pub(crate) position: FilePosition,
    pub(crate) message: String,
}

/// Reads one YAML document. A document without content is [`TreeValue::Empty`].
pub(crate) fn parse(text: &str) -> Result<TreeNode, NotATree> {
    let parsed = serde_saphyr::from_str_with_options::<Spanned<TreeValue>>(text, options());
    parsed.map(TreeNode::from).map_err(|error| {
        let error = error.without_snippet();
        let location = error.location().filter(|location| location.line() > 0);
        let words = error.to_string();
        let message = words.split_once(" at line ").map_or(words.as_str(), |(words, _)| words);
        NotATree {
            position: location.map_or(FilePosition::START, position),
            message: escaped(&message.split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    })
}

impl TreeValue {
    /// The type with its article, for a message.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Bool(_) => "a boolean",
            Self::Whole(_) | Self::Fraction => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl TreeNode {
    /// Gives every key and value another position.
    pub(crate) fn relocate(&mut self, moved: &impl Fn(FilePosition) -> FilePosition) {
        self.position = moved(self.position);
        match &mut self.value {
            TreeValue::List(list) => list.iter_mut().for_each(|node| node.relocate(moved)),
            TreeValue::Map(entries) => {
                for entry in entries {
                    entry.position = moved(entry.position);
                    entry.node.relocate(moved);
                }
            }
            _ => {}
        }
    }

    /// The keys that their mapping has already, in the order of the file.
    pub(crate) fn duplicates(&self) -> Vec<DuplicateEntry<'_>> {
        let mut duplicates = Vec::new();
        match &self.value {
            TreeValue::List(list) => duplicates.extend(list.iter().flat_map(Self::duplicates)),
            TreeValue::Map(entries) => {
                let mut firsts = BTreeMap::new();
                for entry in entries {
                    match firsts.entry(&entry.key) {
                        Entry::Vacant(vacant) => drop(vacant.insert(entry.position.line)),
                        Entry::Occupied(first) => duplicates.push(DuplicateEntry { entry, first_line: *first.get() }),
                    }
                    duplicates.extend(entry.node.duplicates());
                }
            }
            _ => {}
        }
        duplicates
    }
}

/// A key that its mapping has already.
#[derive(Debug)]
pub(crate) struct DuplicateEntry<'t> {
    pub(crate) entry: &'t TreeEntry,
    pub(crate) first_line: u64,
}

impl From<Spanned<TreeValue>> for TreeNode {
    fn from(spanned: Spanned<TreeValue>) -> Self {
        Self { position: position(spanned.referenced), value: spanned.value }
    }
}

/// Bounds far above any real file and far below what would hurt. Duplicate keys pass, to be reported with everything else.
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

fn position(location: Location) -> FilePosition {
    FilePosition { line: location.line().max(1), column: location.column().max(1) }
}

impl<'de> Deserialize<'de> for TreeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = TreeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<TreeValue, E> {
        Ok(TreeValue::Empty)
    }

    fn visit_bool<E>(self, value: bool) -> Result<TreeValue, E> {
        Ok(TreeValue::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<TreeValue, E> {
        Ok(TreeValue::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<TreeValue, E> {
        Ok(TreeValue::Whole(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<TreeValue, E> {
        Ok(TreeValue::Whole(value))
    }

    fn visit_f64<E>(self, _: f64) -> Result<TreeValue, E> {
        Ok(TreeValue::Fraction)
    }

    fn visit_str<E>(self, value: &str) -> Result<TreeValue, E> {
        Ok(TreeValue::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TreeValue, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element::<Spanned<TreeValue>>()? {
            list.push(element.into());
        }
        Ok(TreeValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TreeValue, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<TreeValue>, Spanned<TreeValue>>()? {
            entries.push(TreeEntry {
                position: position(key.referenced),
                key: key_text(key.value),
                node: value.into(),
            });
        }
        Ok(TreeValue::Map(entries))
    }
}

/// Every key of kubeadm is a text; another one is of no use here.
fn key_text(key: TreeValue) -> String {
    match key {
        TreeValue::Text(text) => text,
        other => other.type_name().to_owned(),
    }
}
