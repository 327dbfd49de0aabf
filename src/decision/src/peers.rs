//! What the other hosts have said lately.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::moment::Moment;
use crate::quorum::{HostName, Vote};
use crate::target::Target;

/// A view counts for so long after it was received.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// All that one host says of the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The host.
    pub host: HostName,
    /// Which run of the host this is from; a later run has a greater one.
    pub incarnation: u64,
    /// Which view of that run this is; a later view has a greater one.
    pub sequence: u64,
    /// Its vote on each target.
    pub votes: BTreeMap<Target, Vote>,
    /// Whether it takes itself for blind, so that its votes do not count.
    pub abstains: bool,
}

/// The newest view of each other host, and when it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peers(BTreeMap<HostName, (Moment, View)>);

impl Peers {
    /// Keeps a view that is newer than the one of the same host; tells whether it was.
    pub(crate) fn take(&mut self, view: View, now: Moment) -> bool {
        let order = |view: &View| (view.incarnation, view.sequence);
        if self.0.get(&view.host).is_some_and(|(_, known)| order(known) >= order(&view)) {
            return false;
        }
        self.0.insert(view.host.clone(), (now, view));
        true
    }

    /// The views that count now.
    pub(crate) fn voting(&self, now: Moment) -> impl Iterator<Item = &View> {
        self.0.values().filter(move |(at, view)| is_fresh(*at, now) && !view.abstains).map(|(_, view)| view)
    }

    /// When the next fresh view becomes stale.
    pub(crate) fn next_stale(&self, now: Moment) -> Option<Moment> {
        self.0.values().filter(|(at, _)| is_fresh(*at, now)).map(|(at, _)| at.after(FRESH_FOR)).min()
    }
}

fn is_fresh(at: Moment, now: Moment) -> bool {
    now.since(at) < FRESH_FOR
}
