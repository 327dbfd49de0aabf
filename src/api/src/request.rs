//! The body of a request, and that of an answer that is no success.

use daymark_decision::OverrideKind;
use serde::{Deserialize, Serialize};

use crate::PoolStatus;

/// The body of a request that sets an override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverrideRequest {
    /// `drain` or `force`.
    pub kind: OverrideKind,
    /// Its length, such as `10m`; without it, it holds until it is cleared.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
    /// The reason; one line.
    #[serde(default)]
    pub reason: String,
    /// The author; one line.
    #[serde(default)]
    pub author: String,
    /// Drain the node even if no usable node is left.
    #[serde(default)]
    pub insist: bool,
}

/// The answer to an override that was set or cleared: it is active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverrideReply {
    /// True if the change is on the disk of this host, so that its restart keeps it.
    pub saved: bool,
    /// The reason for which it is not saved, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Every pool with the change.
    pub pools: Vec<PoolStatus>,
}

/// The body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The error, as a sentence.
    pub error: String,
}
