//! The nodes of a pool as they are written: a list, or where else to look for them.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::super::key::Key;
use super::super::values::{AddressKind, BoundedDuration, LabelSelector, NodeSource, Text, duration_text};
use super::{HOUR, Nodes, RawNode};

pub(crate) const SELECTOR: &str = "node-role.kubernetes.io/control-plane";
pub(crate) const DISCOVERY_INTERVAL: Duration = Duration::from_mins(1);
pub(crate) const SHRINK_PAUSE: Duration = Duration::from_hours(1);

/// The nodes of a pool. The shape says which variant is meant, see [`SHAPES`](super::super::reader::SHAPES).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RawNodes {
    /// All of them.
    List(Nodes),
    /// Some, and how to find the others.
    Mapping(RawDiscovered),
}

/// Some nodes, and how to find the others.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RawDiscovered {
    /// The nodes that are asked first; they never leave the pool.
    #[schemars(length(min = 1))]
    pub(crate) seeds: Key<Nodes>,
    /// Finds further nodes by the Kubernetes API of the nodes that are known.
    pub(crate) from_kubernetes: Key<RawFromKubernetes>,
}

/// The way in which nodes are found by the Kubernetes API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "FromKubernetes")]
pub(crate) struct RawFromKubernetes {
    /// `nodes`: the Nodes that `selector` selects; `endpoints`: the endpoints of the Service `kubernetes`.
    #[serde(default)]
    #[schemars(extend("default" = "nodes"))]
    pub(crate) source: Key<Text<NodeSource>>,
    /// The label selector of the Nodes, with the source `nodes`.
    #[serde(default)]
    #[schemars(extend("default" = SELECTOR))]
    pub(crate) selector: Key<Text<LabelSelector>>,
    /// The type of the addresses of a Node that are taken, with the source `nodes`.
    #[serde(default)]
    #[schemars(extend("default" = "InternalIP"))]
    pub(crate) address_type: Key<Text<AddressKind>>,
    /// The time from one list to the next.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(DISCOVERY_INTERVAL)))]
    pub(crate) interval: Key<Text<BoundedDuration<1_000, HOUR>>>,
    /// The time for which a node must be missing from every list before it leaves. The last one that left must be gone as long.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(SHRINK_PAUSE)))]
    pub(crate) shrink_pause: Key<Text<BoundedDuration<1_000, { 168 * HOUR }>>>,
}

/// One schema for both shapes, so that an error in one shape is not reported as a missing other shape.
impl JsonSchema for RawNodes {
    fn schema_name() -> Cow<'static, str> {
        "Nodes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = RawDiscovered::json_schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["array", "object"]));
        schema.insert("items".to_owned(), generator.subschema_for::<Key<RawNode>>().to_value());
        schema.insert("minItems".to_owned(), 1.into());
        schema
    }
}
