//! Daymark's decision core: from observations of apiservers to the answers of names.
//!
//! Everything in this crate is synchronous and deterministic. It reads no clock, opens no socket or file, starts no task,
//! takes no lock and draws no random number: time is an argument ([`Moment`]), and the same inputs at the same times give
//! an equal [`Decision`]. What it depends on, in its `Cargo.toml`, is the proof.
//!
//! The [`Engine`] composes small parts, one noun a file, and decides nothing itself:
//!
//! ```text
//! Observation ─> Health ─> Votes ─> verdict ─> Selection ─> Answer
//!  (one probe)  (thresholds) (quorum)  (grade)  (hold, overrides, steering)
//! ```

mod answer;
mod candidacy;
mod change;
mod command;
mod engine;
mod health;
mod hold;
mod listening;
mod memory;
mod moment;
mod observation;
mod overrides;
mod peers;
mod penalty;
mod policy;
mod pool;
mod quorum;
mod reason;
mod refusal;
mod selection;
mod target;
mod ttl;
mod word;

pub use answer::{Answer, Basis, Decision, Member, Order};
pub use candidacy::Candidacy;
pub use change::{Cause, Change};
pub use command::Command;
pub use engine::Engine;
pub use health::Health;
pub use memory::{Memory, PoolMemory, TargetMemory};
pub use moment::Moment;
pub use observation::{Certificate, Kind, Observation, Timings};
pub use overrides::{Override, OverrideKind};
pub use peers::View;
pub use policy::{Mode, Node, Pace, Pool, Steering, Thresholds, TtlRange};
pub use quorum::{HostName, Membership, Standing, Vote};
pub use reason::{Lack, Place, Reason};
pub use refusal::Refusal;
pub use target::{Grade, NodeName, PoolName, Target};
pub use word::{Fate, Stamp, Undone, Word};
