//! The status of one other host, in the form that the rest of Daymark shows and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{HostName, Moment, NodeKey, PoolName, Target, Vote};

use crate::entries::ConfigurationHash;

/// All that this host knows of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSummary {
    /// Its name.
    pub host: HostName,
    /// The time of its last sign of life, over any path; `None` before the first.
    pub last_seen: Option<Moment>,
    /// The time at which it last answered this host directly; `None` before the first.
    pub last_direct_contact: Option<Moment>,
    /// The time of a message to it and back.
    pub round_trip: Option<Duration>,
    /// Both clocks at the receipt of its last message.
    pub clocks: Option<ClockReading>,
    /// Its vote on each target.
    pub votes: Arc<BTreeMap<Target, Vote>>,
    /// Its votes do not count, because it is isolated.
    pub abstains: bool,
    /// The hosts that it reaches, itself included.
    pub reachable: BTreeSet<HostName>,
    /// The hash of its configuration of each pool.
    pub configuration: BTreeMap<PoolName, ConfigurationHash>,
    /// The hosts in its configuration; `None` before it has sent them.
    pub members: Option<BTreeSet<HostName>>,
    /// The overrides that are not on its disk.
    pub unsaved_overrides: BTreeSet<NodeKey>,
}

/// The clocks of two hosts at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The clock of the peer when it sent a message.
    pub peer: Moment,
    /// The clock of this host when that message arrived.
    pub own: Moment,
}
