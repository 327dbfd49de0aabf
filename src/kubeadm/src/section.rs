//! A mapping of a document, whose keys are read by their types. A value of another type is a slip, and is left out.

use super::position::{FilePosition, Located};
use super::slip::{Slip, SlipKind};
use super::tree::{TreeEntry, TreeNode, TreeValue};

/// One mapping with its path.
#[derive(Debug)]
pub(crate) struct Section<'t> {
    /// The path of its key, empty for a whole document.
    path: String,
    /// The position of its key.
    pub(crate) position: FilePosition,
    entries: &'t [TreeEntry],
}

impl<'t> Section<'t> {
    /// The mapping of a whole document; `None` if the document is none.
    pub(crate) fn document(node: &'t TreeNode) -> Option<Self> {
        let TreeValue::Map(entries) = &node.value else { return None };
        Some(Self { path: String::new(), position: node.position, entries })
    }

    /// The path of a key in this mapping.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The entry of a key. Of several, kubeadm's reader takes the last.
    pub(crate) fn entry(&self, key: &str) -> Option<&'t TreeEntry> {
        self.entries.iter().rfind(|entry| entry.key == key)
    }

    /// The mapping of a key. An empty value is an empty mapping.
    pub(crate) fn section(&self, key: &str, slips: &mut Vec<Slip>) -> Option<Section<'t>> {
        let entry = self.entry(key)?;
        let entries = match &entry.node.value {
            TreeValue::Map(entries) => entries.as_slice(),
            TreeValue::Empty => &[],
            other => return self.wrong_type(key, entry.node.position, other, "a mapping", slips),
        };
        Some(Section { path: self.path_of(key), position: entry.position, entries })
    }

    /// The text of a key.
    pub(crate) fn text(&self, key: &str, slips: &mut Vec<Slip>) -> Option<Located<String>> {
        let node = &self.entry(key)?.node;
        match &node.value {
            TreeValue::Text(text) => Some(Located { value: text.clone(), position: node.position }),
            TreeValue::Empty => None,
            other => self.wrong_type(key, node.position, other, "a text in quotes", slips),
        }
    }

    /// The port of a key.
    pub(crate) fn port(&self, key: &str, slips: &mut Vec<Slip>) -> Option<Located<u16>> {
        let node = &self.entry(key)?.node;
        let port = match &node.value {
            TreeValue::Empty => return None,
            TreeValue::Whole(number) => u16::try_from(*number).ok().filter(|port| *port > 0),
            _ => None,
        };
        match port {
            Some(value) => Some(Located { value, position: node.position }),
            None => self.wrong_type(key, node.position, &node.value, "a number from 1 to 65535", slips),
        }
    }

    /// The texts of a list; `None` without the key.
    pub(crate) fn texts(&self, key: &str, slips: &mut Vec<Slip>) -> Option<Located<Vec<Located<String>>>> {
        let entry = self.entry(key)?;
        let nodes = match &entry.node.value {
            TreeValue::List(nodes) => nodes.as_slice(),
            TreeValue::Empty => &[],
            other => {
                return self.wrong_type(
                    key,
                    entry.node.position,
                    other,
                    "a list with a hyphen before each entry",
                    slips,
                );
            }
        };
        let mut value = Vec::new();
        for node in nodes {
            match &node.value {
                TreeValue::Text(text) => value.push(Located { value: text.clone(), position: node.position }),
                other => {
                    self.wrong_type(&format!("{key}[]"), node.position, other, "a text in quotes", slips).unwrap_or(())
                }
            }
        }
        Some(Located { value, position: entry.position })
    }

    fn wrong_type<T>(
        &self,
        key: &str,
        position: FilePosition,
        value: &TreeValue,
        allowed: &'static str,
        slips: &mut Vec<Slip>,
    ) -> Option<T> {
        let is = if matches!(value, TreeValue::Whole(_)) && allowed.starts_with("a number") {
            "another number"
        } else {
            value.type_name()
        };
        slips.push(Slip::new(position, SlipKind::WrongType { path: self.path_of(key), is, allowed }));
        None
    }
}
