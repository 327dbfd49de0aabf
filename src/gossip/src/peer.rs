//! What is known of another host, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{HostName, Moment, PoolName, Target, Vote};

use crate::facts::Digest;

/// What is known of another host, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub host: HostName,
    /// When it said anything last, over whatever way; `None` for never.
    pub said: Option<Moment>,
    /// When this host and it have last heard each other without a third; `None` for never.
    pub heard: Option<Moment>,
    /// The time to it and back.
    pub round_trip: Option<Duration>,
    /// Its clock and this host's, when its last message came.
    pub clocks: Option<(Moment, Moment)>,
    /// What it votes on each target.
    pub votes: Arc<BTreeMap<Target, Vote>>,
    /// Whether it takes itself for blind.
    pub abstains: bool,
    /// Whom it hears, itself included.
    pub hears: BTreeSet<HostName>,
    /// With which configuration of each pool it works.
    pub configuration: BTreeMap<PoolName, Digest>,
    /// Which hosts are configured there; `None` where it has not said yet.
    pub members: Option<BTreeSet<HostName>>,
}
