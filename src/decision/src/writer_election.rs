//! The writer's lease: the right to write to a provider that only one of several hosts may write to.
//!
//! [`Engine::writer`](crate::Engine::writer) elects a host by what this host knows of the others. Two hosts that know
//! different things could elect different writers for a moment. [`WriterElection`] turns the election into a lease that no
//! two hosts hold at once, by two rules:
//!
//! 1. A host must have been elected for seven seconds before it gets a lease.
//! 2. A lease expires two seconds after the last election that confirmed it, also in a process that was stopped meanwhile.
//!
//! The rules hold if clocks tick alike and messages arrive within two seconds.

use std::time::Duration;

use crate::moment::Moment;
use crate::peers::REACHABLE_FOR;

/// The time a host must have been elected before it may write.
///
/// After [`REACHABLE_FOR`], nothing counts any more that the former writer last received from the others. Two more seconds
/// cover messages that were under way.
const PROBATION: Duration = Duration::from_secs(REACHABLE_FOR.as_secs() + 2);
/// The length of a lease. Elections confirm it twice a second.
const LEASE: Duration = Duration::from_secs(2);

/// The election of this host as the writer over time.
#[derive(Clone, Debug, Default)]
pub struct WriterElection {
    tenure: Option<Tenure>,
}

/// An unbroken time in which every election chose this host.
#[derive(Clone, Copy, Debug)]
struct Tenure {
    since: Moment,
    confirmed: Moment,
}

impl WriterElection {
    /// Takes in the result of an election. Returns the end of the writer's lease, or `None` if this host holds none.
    pub fn confirm(&mut self, is_elected: bool, now: Moment) -> Option<Moment> {
        if !is_elected {
            self.tenure = None;
            return None;
        }
        // An expired tenure begins anew, because another host may have written since.
        let unbroken = self.tenure.filter(|tenure| now.since(tenure.confirmed) <= LEASE);
        let since = unbroken.map_or(now, |tenure| tenure.since);
        self.tenure = Some(Tenure { since, confirmed: now });
        (now.since(since) >= PROBATION).then(|| now.after(LEASE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_begins_after_seven_seconds_and_expires_unless_it_is_confirmed() {
        let at = Moment::from_millis;
        let mut election = WriterElection::default();
        assert_eq!(election.confirm(false, at(0)), None);
        for millis in (100..7_100).step_by(500) {
            assert_eq!(election.confirm(true, at(millis)), None);
        }
        assert_eq!(election.confirm(true, at(7_100)), Some(at(9_100)));
        assert_eq!(election.confirm(true, at(9_100)), Some(at(11_100)), "it is confirmed");
        assert_eq!(election.confirm(false, at(9_200)), None);
        assert_eq!(election.confirm(true, at(9_201)), None, "it begins anew");
        for millis in (9_701..16_201).step_by(500) {
            assert_eq!(election.confirm(true, at(millis)), None);
        }
        assert_eq!(election.confirm(true, at(16_201)), Some(at(18_201)));
        assert_eq!(election.confirm(true, at(18_202)), None, "an expired lease begins anew as well");
    }
}
