//! The kinds of values that only discovery has.

use schemars::Schema;

use super::{Kind, Words, pattern, quoted};
use crate::discovery::settings::AddressType;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum NodeSource {
    Nodes,
    Endpoints,
}

impl Words for NodeSource {
    const ALL: &'static [(&'static str, Self)] = &[("nodes", Self::Nodes), ("endpoints", Self::Endpoints)];
}

/// Which addresses of a Node are meant.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct AddressKind(pub(in crate::config) AddressType);

impl Words for AddressKind {
    const ALL: &'static [(&'static str, Self)] =
        &[("InternalIP", Self(AddressType::Internal)), ("ExternalIP", Self(AddressType::External))];
}

/// A label selector; whether it is a good one is the apiserver's to say.
#[derive(Debug)]
pub(in crate::config) struct LabelSelector(pub(in crate::config) String);

impl Kind for LabelSelector {
    fn allowed() -> String {
        "a label selector (such as node-role.kubernetes.io/control-plane)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let framed = text.trim() == text && (1..=512).contains(&text.len());
        if plain && framed { Ok(Self(text.to_owned())) } else { Err(format!("{} selects nothing", quoted(text))) }
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, "^[!-~]([ -~]{0,510}[!-~])?$");
    }
}
