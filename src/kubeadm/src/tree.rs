//! The tree of a document of kubeadm: where its values were before the slips were mended, and its duplicate keys.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use daymark_decision::escaped;
use daymark_yaml::{FilePosition, YamlEntry, YamlNode, YamlValue, error_position, error_words};

/// The text is no YAML, so there is no tree.
#[derive(Debug)]
pub(crate) struct NotATree {
    pub(crate) position: FilePosition,
    pub(crate) message: String,
}

/// Reads one YAML document. A document without content is [`YamlValue::Empty`].
pub(crate) fn parse(text: &str) -> Result<YamlNode, NotATree> {
    daymark_yaml::parse(text).map_err(|error| NotATree {
        position: error_position(&error).unwrap_or(FilePosition::START),
        message: escaped(&error_words(&error)),
    })
}

/// The type of a value with its article, for a message.
pub(crate) fn type_name(value: &YamlValue) -> &'static str {
    match value {
        YamlValue::Empty => "empty",
        YamlValue::Bool(_) => "a boolean",
        YamlValue::Whole(_) | YamlValue::Fraction(_) => "a number",
        YamlValue::Text(_) => "a text",
        YamlValue::List(_) => "a list",
        YamlValue::Map(_) => "a mapping",
    }
}

/// Gives every key and value another position.
pub(crate) fn relocate(node: &mut YamlNode, moved: &impl Fn(FilePosition) -> FilePosition) {
    node.position = Some(moved(node.position()));
    match &mut node.value {
        YamlValue::List(list) => list.iter_mut().for_each(|node| relocate(node, moved)),
        YamlValue::Map(entries) => {
            for entry in entries {
                entry.position = Some(moved(entry.position()));
                relocate(&mut entry.node, moved);
            }
        }
        _ => {}
    }
}

/// A key that its mapping has already.
#[derive(Debug)]
pub(crate) struct DuplicateEntry<'t> {
    pub(crate) entry: &'t YamlEntry,
    pub(crate) first_line: u64,
}

/// The keys that their mapping has already, in the order of the file.
pub(crate) fn duplicates(node: &YamlNode) -> Vec<DuplicateEntry<'_>> {
    let mut found = Vec::new();
    match &node.value {
        YamlValue::List(list) => found.extend(list.iter().flat_map(duplicates)),
        YamlValue::Map(entries) => {
            let mut firsts = BTreeMap::new();
            for entry in entries {
                match firsts.entry(&entry.key) {
                    Entry::Vacant(vacant) => drop(vacant.insert(entry.position().line)),
                    Entry::Occupied(first) => found.push(DuplicateEntry { entry, first_line: *first.get() }),
                }
                found.extend(duplicates(&entry.node));
            }
        }
        _ => {}
    }
    found
}
