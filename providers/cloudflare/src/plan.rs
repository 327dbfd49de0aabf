//! From what is observed and what is desired to edits. Pure: it makes no call and knows no clock.

use std::fmt;

use daymark_decision::PoolName;
use serde::Serialize;
use serde_json::Value;

use crate::client::Call;

/// One call that changes something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edit {
    /// The pool that it is made for.
    pub pool: PoolName,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, below the base address of the API.
    pub path: String,
    /// The JSON body, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// What it changes, one sentence a change.
    pub changes: Vec<String>,
    #[serde(skip)]
    pub(crate) call: Call,
}

impl fmt::Display for Edit {
    /// What it changes, as sentences.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.changes.join("; "))
    }
}
