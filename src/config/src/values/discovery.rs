//! The kinds of values that only discovery has.

use schemars::Schema;

use super::{NamedChoice, TextFault, TextForm, pattern};
use daymark_discovery::AddressType;

/// The objects of Kubernetes that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeSource {
    Nodes,
    Endpoints,
}

impl NamedChoice for NodeSource {
    const ALL: &'static [(&'static str, Self)] = &[("nodes", Self::Nodes), ("endpoints", Self::Endpoints)];
}

/// The kind of addresses of a Node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressKind(pub(crate) AddressType);

impl NamedChoice for AddressKind {
    const ALL: &'static [(&'static str, Self)] =
        &[("InternalIP", Self(AddressType::Internal)), ("ExternalIP", Self(AddressType::External))];
}

/// A label selector. Only the apiserver can tell if it selects anything.
#[derive(Debug)]
pub(crate) struct LabelSelector(pub(crate) String);

impl TextForm for LabelSelector {
    fn allowed() -> String {
        "a label selector (such as node-role.kubernetes.io/control-plane)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let framed = text.trim() == text && (1..=512).contains(&text.len());
        if plain && framed { Ok(Self(text.to_owned())) } else { Err(TextFault::SelectsNothing(text.to_owned())) }
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, "^[!-~]([ -~]{0,510}[!-~])?$");
    }
}
