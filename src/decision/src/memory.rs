//! What survives a restart.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::health::Run;
use crate::moment::Moment;
use crate::observation::Kind;
use crate::penalty::Penalty;
use crate::target::{Grade, NodeName, PoolName, Target};
use crate::word::Word;

/// What survives a restart, as the state file keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// The newest generation that was given.
    pub generation: u64,
    /// What is known of each pool.
    pub pools: Vec<PoolMemory>,
}

/// What survives of one pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolMemory {
    /// The pool.
    pub pool: PoolName,
    /// The targets of the last good answer; empty where there never was one.
    pub good: BTreeSet<Target>,
    /// What is known of each target.
    pub targets: Vec<(Target, TargetMemory)>,
    /// What the hosts agreed on, where it is not what this host found itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<(Target, Grade)>,
    /// The best that any host found of each target, where it was better than that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<(Target, Grade)>,
    /// The newest word on each node, also where it is over.
    pub words: BTreeMap<NodeName, Word>,
}

/// What survives of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetMemory {
    pub(crate) grade: Grade,
    pub(crate) since: Moment,
    pub(crate) seen: Option<Kind>,
    pub(crate) penalty: Penalty,
    pub(crate) release: Moment,
    pub(crate) flapping: bool,
    /// Absent from the file of an older Daymark, and where no turn was under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<Run>,
}
