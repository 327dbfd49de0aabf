//! Daymark's decision core: it turns observations of apiservers into the answers of names.
//!
//! Everything in this crate is synchronous and deterministic. It reads no clock, opens no socket or file, starts no task,
//! takes no lock and draws no random number. Time is an argument ([`Moment`]), and the same inputs at the same times give an
//! equal [`Decision`].
//!
//! The [`Engine`] only connects the steps. Each step has a file of its own:
//!
//! ```text
//! Observation ─> Health ─> Votes ─> verdict ─> Selection ─> Answer
//!  (one probe)  (thresholds) (quorum)  (grade)  (overrides, last known good, steering)
//! ```

// Numbers come from state files and other hosts. Arithmetic on them stops at the ends, and neither panics nor wraps.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod answer;
mod awaited;
mod change;
mod command;
mod duration;
mod engine;
mod families;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
mod health;
mod last_known_good;
mod memory;
mod moment;
mod name;
mod observation;
mod operator_override;
mod override_entry;
mod overrides;
mod peers;
mod penalty;
mod policy;
mod pool;
mod pool_verdicts;
mod quorum;
mod reason;
mod refusal;
mod selection;
mod starting;
mod target;
mod text;
mod thresholded_grade;
mod ttl;
mod writer_election;

pub use answer::{Answer, Basis, Decision, Member, Order};
pub use change::Change;
pub use command::Command;
pub use duration::{duration_text, optional_milliseconds};
pub use engine::Engine;
pub use health::Health;
pub use memory::{HealthMemory, Memory, PoolMemory, RememberedGrade, TargetMemory};
pub use moment::Moment;
pub use name::{HostName, NameError, NodeName, PoolName, character_fault};
pub use observation::{Certificate, Kind, Observation, Timings};
pub use operator_override::{Override, OverrideKind};
pub use override_entry::{HybridTimestamp, NodeOverride, OverrideEntry, OverrideState, RevertedDrain};
pub use peers::PeerView;
pub use policy::{Mode, Node, Pool, ProbeTiming, Steering, Thresholds, TtlRange};
pub use quorum::{Membership, QuorumState, Vote, is_majority};
pub use reason::{AnswerStatus, Cause, NotReadyReason, Reason, TargetReason};
pub use refusal::Refusal;
pub use target::{Family, Grade, NodeKey, Target};
pub use text::{escaped, escaped_json, escaped_lines, quoted, shortened};
pub use thresholded_grade::{Direction, PendingTransition, ThresholdedGrade};
pub use writer_election::WriterElection;
