//! The writer lease: of several hosts, only the one that holds it writes to remote providers.
//!
//! The core says until when this host holds the lease, by the host's own clock. Here the end is a moment of the process, which
//! a change of the wall clock does not move.

use daymark_decision::HostName;
use tokio::time::Instant;

/// The state of the writer lease, as this host knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterLease {
    /// There is no other host, so none is needed.
    NotNeeded,
    /// This host holds it.
    Held {
        /// Its end, unless it is extended.
        until: Instant,
    },
    /// Another host holds it.
    HeldElsewhere,
    /// No host is known to hold it, or not for long enough.
    Unclear,
}

impl WriterLease {
    /// The lease of the host `own` if `writer` holds it. `until` is its end if this host may write.
    pub fn of(own: &HostName, writer: Option<&HostName>, until: Option<Instant>) -> Self {
        match until {
            Some(until) => Self::Held { until },
            None if writer.is_some_and(|writer| writer != own) => Self::HeldElsewhere,
            None => Self::Unclear,
        }
    }

    /// Returns true if this host may write now.
    pub fn may_write(self) -> bool {
        match self {
            Self::NotNeeded => true,
            Self::Held { until } => Instant::now() < until,
            Self::HeldElsewhere | Self::Unclear => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daymark_decision::fixtures::host_name;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_writes_until_its_lease_ends_and_not_while_another_one_holds_it() {
        let own = host_name("dns-2");
        let other = host_name("dns-1");
        assert_eq!(WriterLease::of(&own, None, None), WriterLease::Unclear);
        assert_eq!(WriterLease::of(&own, Some(&own), None), WriterLease::Unclear, "not for long enough");
        assert_eq!(WriterLease::of(&own, Some(&other), None), WriterLease::HeldElsewhere);
        let lease = WriterLease::of(&own, Some(&own), Some(Instant::now() + Duration::from_secs(2)));
        assert!(lease.may_write());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!lease.may_write(), "nobody has extended it");
    }
}
