//! An operator's override of one node: drained or forced.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::name::HostName;

/// The kind of an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OverrideKind {
    /// Keeps the node out of the answer while another node of the pool is undrained.
    Drain,
    /// Treats the node as ready, whatever the probes find.
    Force,
}

impl OverrideKind {
    /// The state of a node under it: `drained` or `forced`.
    pub const fn participle(self) -> &'static str {
        match self {
            Self::Drain => "drained",
            Self::Force => "forced",
        }
    }
}

/// An operator's override of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Its kind.
    pub kind: OverrideKind,
    /// The operator's reason; may be empty.
    pub reason: String,
    /// The operator; may be empty.
    pub author: String,
    /// The time of the request.
    pub since: Moment,
    /// The time at which it expires; `None` if it holds until it is cleared.
    pub until: Option<Moment>,
    /// The host that took the request; `None` if it had no peers.
    #[serde(default)]
    pub host: Option<HostName>,
}

impl Override {
    /// The override with its moments moved from a clock that shows `here` to one that shows `there`.
    pub(crate) fn shifted(&self, here: Moment, there: Moment) -> Self {
        let shift = |at: Moment| if there > here { at.after(there.since(here)) } else { at.before(here.since(there)) };
        Self { since: shift(self.since), until: self.until.map(shift), ..self.clone() }
    }

    /// The override as the host `own` takes it over from its state file. If the clock was ahead when it was set, it lasts as long
    /// as it was meant to, from now on.
    pub(crate) fn restored(&self, own: Option<&HostName>, now: Moment) -> Self {
        let set_by_a_clock_ahead = self.since > now;
        let until =
            self.until.map(|until| if set_by_a_clock_ahead { now.after(until.since(self.since)) } else { until });
        Self { since: self.since.min(now), until, host: self.host.as_ref().or(own).cloned(), ..self.clone() }
    }
}

impl fmt::Display for Override {
    /// The end of a sentence that begins with `drained` or `forced`: `by ada on dns-1 since …: disk change`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.author.is_empty() {
            write!(f, "by {} ", self.author)?;
        }
        if let Some(host) = &self.host {
            write!(f, "on {host} ")?;
        }
        write!(f, "since {}", self.since)?;
        if let Some(until) = self.until {
            write!(f, " until {until}")?;
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}
