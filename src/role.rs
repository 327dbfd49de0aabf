//! Whether this host is the one that writes, where only one of several may.
//!
//! The core says who writes by what this host has heard. Here that becomes a role that two hosts do not hold at once where
//! clocks tick alike: it must stand a while before it counts, and it lapses by itself where the driver does not confirm it,
//! such as in a process that was stopped and goes on much later.

use std::time::Duration;

use daymark_decision::{HostName, Moment};
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a host must be the one that writes before it does. The former one knows by then, where it can be told: what a
/// host hears goes over with the next beat, which is half a second away at the most.
pub const STANDS_FOR: Duration = Duration::from_secs(2);
/// How long a host may write after the driver has last confirmed it, which it does twice a second.
const LASTS: Duration = Duration::from_secs(2);

/// Whether this host writes where only one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// There is no other host.
    Sole,
    /// This host writes, until then, and longer where it is said again.
    Writer {
        /// Until when.
        until: Instant,
    },
    /// Another host writes.
    Reader,
    /// No host is known to write, or not for long enough.
    Unclear,
}

impl Role {
    /// The role of a host that has no others, for ever.
    pub fn sole() -> watch::Receiver<Self> {
        watch::channel(Self::Sole).1
    }

    /// Whether this host may write now.
    pub fn may_write(self) -> bool {
        match self {
            Self::Sole => true,
            Self::Writer { until } => Instant::now() < until,
            Self::Reader | Self::Unclear => false,
        }
    }
}

/// Makes a role of who is the one that writes.
#[derive(Debug, Default)]
pub struct Candidate {
    /// Since when this host is the one, and when that was confirmed last.
    stood: Option<(Moment, Moment)>,
}

impl Candidate {
    /// The role of the host `own` where `writer` is the one that writes `now`.
    pub fn role(&mut self, own: &HostName, writer: Option<&HostName>, now: Moment) -> Role {
        if writer != Some(own) {
            self.stood = None;
            return if writer.is_some() { Role::Reader } else { Role::Unclear };
        }
        // What lapsed begins anew: others may have written since.
        let since = self.stood.filter(|(_, last)| now.since(*last) <= LASTS).map_or(now, |(since, _)| since);
        self.stood = Some((since, now));
        if now.since(since) < STANDS_FOR { Role::Unclear } else { Role::Writer { until: Instant::now() + LASTS } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::default().after(Duration::from_millis(ms))
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_counts_once_it_has_stood_and_lapses_unless_it_is_confirmed() {
        let (own, other) = (HostName::new("dns-2"), HostName::new("dns-1"));
        let mut candidate = Candidate::default();
        assert_eq!(candidate.role(&own, None, at(0)), Role::Unclear);
        assert_eq!(candidate.role(&own, Some(&own), at(100)), Role::Unclear);
        assert_eq!(candidate.role(&own, Some(&own), at(2_099)), Role::Unclear);
        let role = candidate.role(&own, Some(&own), at(2_100));
        assert!(role.may_write());
        tokio::time::advance(LASTS).await;
        assert!(!role.may_write(), "nobody has confirmed it");
        assert!(candidate.role(&own, Some(&own), at(4_100)).may_write(), "now it is confirmed");
        assert_eq!(candidate.role(&own, Some(&other), at(4_200)), Role::Reader);
        assert_eq!(candidate.role(&own, Some(&own), at(4_201)), Role::Unclear, "it begins anew");
        assert!(candidate.role(&own, Some(&own), at(6_201)).may_write());
        assert_eq!(candidate.role(&own, Some(&own), at(8_202)), Role::Unclear, "so does what has lapsed");
    }
}
