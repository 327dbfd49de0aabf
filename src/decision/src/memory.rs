//! The state that survives a restart.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::name::{NodeName, PoolName};
use crate::observation::Kind;
use crate::override_entry::OverrideEntry;
use crate::penalty::Penalty;
use crate::target::{Grade, Target};
use crate::thresholded_grade::{Streak, ThresholdedGrade};

/// The state that survives a restart, in the form of the state file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// The newest generation.
    pub generation: u64,
    /// The state of each pool.
    pub pools: Vec<PoolMemory>,
}

/// The state of one pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolMemory {
    /// The pool.
    pub pool: PoolName,
    /// The targets of the last known good answer; empty if there never was one.
    pub last_known_good: BTreeSet<Target>,
    /// The state of each target.
    pub targets: Vec<TargetMemory>,
    /// The verdicts that differ from this host's own grades.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<RememberedGrade>,
    /// The best grade that any host gave each target, if it is better than the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub minority: Vec<RememberedGrade>,
    /// The targets that only a penalty keeps from `ready`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub flapping: BTreeSet<Target>,
    /// The newest override entry of each node, also if it has ended.
    pub overrides: BTreeMap<NodeName, OverrideEntry>,
}

/// The state of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetMemory {
    /// The target.
    pub target: Target,
    /// Its health.
    pub health: HealthMemory,
}

/// A grade of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedGrade {
    /// The target.
    pub target: Target,
    /// Its grade.
    pub grade: Grade,
}

/// The health of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthMemory {
    pub(crate) grade: Grade,
    pub(crate) since: Moment,
    pub(crate) observed: Option<Kind>,
    pub(crate) penalty: Penalty,
    pub(crate) ready_after: Moment,
    pub(crate) flapping: bool,
    /// Absent if no transition was under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) streak: Option<Streak>,
    /// The grade without its penalty. Absent if it is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undamped: Option<ThresholdedGrade>,
    /// Absent if the target has not announced a shutdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shutdown_grade: Option<Grade>,
}
