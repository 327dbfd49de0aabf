//! Whether this host is the one that writes, where only one of several may.
//!
//! The core says until when it may, by the host's own clock. Here that is a moment of the process, which no one can set.

use daymark_decision::HostName;
use tokio::sync::watch;
use tokio::time::Instant;

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

    /// The role of the host `own` where `writer` is the one that writes, and this host may until then.
    pub fn of(own: &HostName, writer: Option<&HostName>, until: Option<Instant>) -> Self {
        match until {
            Some(until) => Self::Writer { until },
            None if writer.is_some_and(|writer| writer != own) => Self::Reader,
            None => Self::Unclear,
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_writes_until_its_leave_lapses_and_reads_while_another_one_writes() {
        let (own, other) = (HostName::new("dns-2"), HostName::new("dns-1"));
        assert_eq!(Role::of(&own, None, None), Role::Unclear);
        assert_eq!(Role::of(&own, Some(&own), None), Role::Unclear, "not for long enough");
        assert_eq!(Role::of(&own, Some(&other), None), Role::Reader);
        let role = Role::of(&own, Some(&own), Some(Instant::now() + Duration::from_secs(2)));
        assert!(role.may_write());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!role.may_write(), "nobody has confirmed it");
    }
}
