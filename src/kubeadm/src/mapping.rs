//! A mapping of a document, whose keys are read by their types. A value of another type is a slip, and is left out.

use super::position::{FilePosition, WithPosition};
use super::slip::{Slip, SlipKind};
use super::tree::type_name;
use daymark_yaml::{YamlEntry, YamlNode, YamlValue};

/// One mapping with its path.
#[derive(Debug)]
pub(crate) struct Mapping<'t> {
    /// The path of its key, empty for a whole document.
    path: String,
    /// The position of its key.
    pub(crate) position: FilePosition,
    entries: &'t [YamlEntry],
}

impl<'t> Mapping<'t> {
    /// The mapping of a whole document; `None` if the document is none.
    pub(crate) fn document(node: &'t YamlNode) -> Option<Self> {
        let YamlValue::Map(entries) = &node.value else { return None };
        Some(Self { path: String::new(), position: node.position(), entries })
    }

    /// The path of a key in this mapping.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The entry of a key. Of several, kubeadm's reader takes the last.
    pub(crate) fn entry(&self, key: &str) -> Option<&'t YamlEntry> {
        self.entries.iter().rfind(|entry| entry.key == key)
    }

    /// The mapping of a key. An empty value is an empty mapping.
    pub(crate) fn mapping(&self, key: &str, slips: &mut Vec<Slip>) -> Option<Mapping<'t>> {
        let entry = self.entry(key)?;
        let entries = match &entry.node.value {
            YamlValue::Map(entries) => entries.as_slice(),
            YamlValue::Empty => &[],
            _ => {
                slips.push(self.wrong_type(key, &entry.node, "a mapping"));
                return None;
            }
        };
        Some(Mapping { path: self.path_of(key), position: entry.position(), entries })
    }

    /// The text of a key.
    pub(crate) fn text(&self, key: &str, slips: &mut Vec<Slip>) -> Option<WithPosition<String>> {
        self.text_of(key, &self.entry(key)?.node, slips)
    }

    /// The port of a key.
    pub(crate) fn port(&self, key: &str, slips: &mut Vec<Slip>) -> Option<WithPosition<u16>> {
        let node = &self.entry(key)?.node;
        let port = match &node.value {
            YamlValue::Empty => return None,
            YamlValue::Whole(number) => u16::try_from(*number).ok().filter(|port| *port > 0),
            _ => None,
        };
        if port.is_none() {
            slips.push(self.wrong_type(key, node, "a port from 1 to 65535"));
        }
        Some(WithPosition { value: port?, position: node.position() })
    }

    /// The texts of a list; `None` without the key.
    pub(crate) fn texts(&self, key: &str, slips: &mut Vec<Slip>) -> Option<WithPosition<Vec<WithPosition<String>>>> {
        let entry = self.entry(key)?;
        let nodes = match &entry.node.value {
            YamlValue::List(nodes) => nodes.as_slice(),
            YamlValue::Empty => &[],
            _ => {
                slips.push(self.wrong_type(key, &entry.node, "a list with a hyphen before each entry"));
                return None;
            }
        };
        let path = format!("{key}[]");
        let value = nodes.iter().filter_map(|node| self.text_of(&path, node, slips)).collect();
        Some(WithPosition { value, position: entry.position() })
    }

    fn text_of(&self, key: &str, node: &YamlNode, slips: &mut Vec<Slip>) -> Option<WithPosition<String>> {
        match &node.value {
            YamlValue::Text(text) => return Some(WithPosition { value: text.clone(), position: node.position() }),
            YamlValue::Empty => {}
            _ => slips.push(self.wrong_type(key, node, "a text in quotes")),
        }
        None
    }

    fn wrong_type(&self, key: &str, node: &YamlNode, allowed: &'static str) -> Slip {
        Slip::new(node.position(), SlipKind::WrongType { path: self.path_of(key), is: type_name(&node.value), allowed })
    }
}
