//! One entry of the override register: the newest operator's request for one node, and its state.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::name::{HostName, NodeName};
use crate::operator_override::{Override, OverrideKind};
use crate::peers::REACHABLE_FOR;
use crate::target::NodeKey;

/// A hybrid logical clock reading (Kulkarni and others, "Logical Physical Clocks", 2014). It orders all entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HybridTimestamp {
    /// Milliseconds since the Unix epoch by the host's clock, or one more than the newest reading the host knew.
    pub time: u64,
    /// The host, which breaks ties. `None` for a host that had no peers, and so no name.
    pub host: Option<HostName>,
}

/// The newest request for one node, as the hosts replicate it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverrideEntry {
    /// The time and host of the request.
    pub timestamp: HybridTimestamp,
    /// The other active drains of the pool that one host knew together with this one, and found harmless. At first they are those
    /// that the host of the request knew. At most [`OverrideEntry::MAX_CONTEXT`], the latest.
    pub causal_context: Vec<HybridTimestamp>,
    /// The number of times that a host replaced the context. The greatest one counts.
    #[serde(default)]
    pub context_revision: u32,
    /// True if the operator insisted.
    pub insist: bool,
    /// The present state of the request.
    pub state: OverrideState,
    /// True while its host has just started and knows the end by its own clock alone. Other hosts may know better.
    #[serde(default)]
    pub expiry_uncertain: bool,
}

/// The newest request for one node, with the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOverride {
    /// The node.
    pub key: NodeKey,
    /// The request.
    pub entry: OverrideEntry,
}

/// The state of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OverrideState {
    /// The override is active.
    Active(Override),
    /// An operator cleared it, or it has expired.
    Cleared,
    /// The hosts reverted the drain, because it and a drain on another host did not know of each other.
    Reverted(RevertedDrain),
}

/// A drain that the hosts reverted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevertedDrain {
    /// The drain.
    pub drain: Override,
    /// The node that was drained before it.
    pub node: NodeName,
    /// The host on which that node was drained.
    pub host: Option<HostName>,
}

impl fmt::Display for RevertedDrain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drain, node, host } = self;
        write!(f, "drained {drain}; reverted, because {node} was drained")?;
        if let Some(host) = host {
            write!(f, " on {host}")?;
        }
        f.write_str(" at the same time and no usable node would be left")
    }
}

impl OverrideEntry {
    /// The most drains in a causal context. An entry has to fit into one datagram.
    pub const MAX_CONTEXT: usize = 24;

    /// The override, if it is active.
    pub fn active(&self) -> Option<&Override> {
        match &self.state {
            OverrideState::Active(active) => Some(active),
            OverrideState::Cleared | OverrideState::Reverted(_) => None,
        }
    }

    /// The entry as the host `own` takes it over from its state file. See [`Override::restored`].
    pub(crate) fn restored(&self, own: Option<&HostName>, now: Moment) -> Self {
        // A host that had no peers when it wrote the file has a name now.
        let named = |timestamp: &HybridTimestamp| HybridTimestamp {
            host: timestamp.host.as_ref().or(own).cloned(),
            ..*timestamp
        };
        let state = match &self.state {
            OverrideState::Active(active) => OverrideState::Active(active.restored(own, now)),
            ended => ended.clone(),
        };
        Self {
            timestamp: named(&self.timestamp),
            causal_context: self.causal_context.iter().map(named).collect(),
            context_revision: self.context_revision,
            insist: self.insist,
            state,
            expiry_uncertain: false,
        }
    }

    /// The entry with its moments moved from a clock that shows `here` to one that shows `there`. The timestamp is no moment
    /// and stays.
    #[must_use]
    pub fn shifted(&self, here: Moment, there: Moment) -> Self {
        let state = match &self.state {
            OverrideState::Active(active) => OverrideState::Active(active.shifted(here, there)),
            OverrideState::Cleared => OverrideState::Cleared,
            OverrideState::Reverted(reverted) => OverrideState::Reverted(RevertedDrain {
                drain: reverted.drain.shifted(here, there),
                ..reverted.clone()
            }),
        };
        Self { state, ..self.clone() }
    }

    /// True if this entry replaces `other` on the same node.
    ///
    /// The greater timestamp wins. With equal timestamps, an ended entry stays ended. The remaining cases arise only after a
    /// host lost its memory; every host resolves them alike.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        let rank = |entry: &Self| match &entry.state {
            OverrideState::Active(active) => {
                (0, Some((active.kind, active.author.clone(), active.reason.clone())), None)
            }
            OverrideState::Cleared => (1, None, None),
            // Two hosts may have reverted it because of different drains.
            OverrideState::Reverted(reverted) => (2, None, Some((reverted.node.clone(), reverted.host.clone()))),
        };
        (&self.timestamp, rank(self)) > (&other.timestamp, rank(other))
    }

    /// Takes over the expiry from another host's copy of this entry, if that copy is certain or expires later. Returns true if it
    /// did.
    pub(crate) fn adopt_expiry(&mut self, other: &Self) -> bool {
        let (Some(own), Some(theirs)) = (self.active(), other.active()) else { return false };
        // A message under way makes the remaining time look a little longer.
        let expires_later = theirs.until > own.until.map(|until| until.after(REACHABLE_FOR));
        let is_better =
            self.timestamp == other.timestamp && self.expiry_uncertain && (!other.expiry_uncertain || expires_later);
        if is_better {
            self.state = other.state.clone();
            self.expiry_uncertain = other.expiry_uncertain;
        }
        is_better
    }

    /// Takes over the causal context of another host's copy of this drain, if it is the later one. Returns true if it did.
    ///
    /// Two contexts are never united: no host has found the drains of both harmless together.
    pub(crate) fn adopt_context(&mut self, other: &Self) -> bool {
        let is_same_drain = self.timestamp == other.timestamp && self.is_drain() && other.is_drain();
        let version = |entry: &Self| (entry.context_revision, entry.causal_context.clone());
        let is_later = is_same_drain && version(other) > version(self);
        if is_later {
            (self.context_revision, self.causal_context) = version(other);
        }
        is_later
    }

    /// Replaces the causal context by these drains, unless it has them all.
    pub(crate) fn extend_context(&mut self, known: &BTreeSet<HybridTimestamp>) {
        let known = Self::latest(known.range(..&self.timestamp).cloned().collect());
        if known.iter().any(|known| !self.causal_context.contains(known)) {
            self.causal_context = known;
            self.context_revision = self.context_revision.saturating_add(1);
        }
    }

    /// The latest timestamps in order, as many as a causal context may hold.
    pub(crate) fn latest(timestamps: BTreeSet<HybridTimestamp>) -> Vec<HybridTimestamp> {
        let surplus = timestamps.len().saturating_sub(Self::MAX_CONTEXT);
        timestamps.into_iter().skip(surplus).collect()
    }

    pub(crate) fn is_drain(&self) -> bool {
        self.active().is_some_and(|active| active.kind == OverrideKind::Drain)
    }
}
