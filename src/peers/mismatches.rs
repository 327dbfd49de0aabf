//! The mismatches between this host and the others: finds them, and reports each when it begins and when it ends.
//!
//! A mismatch is a difference between the setups of two hosts, mostly a mistake in one of their configurations. There are two
//! kinds:
//!
//! - Datagrams and lookups of names *show* a mismatch, for example another gossip key. It is over when nothing has shown it for
//!   [`SHOWN_FOR`]. Anyone can forge the address from which a datagram comes. So it is also over once this host and the other
//!   understand each other.
//! - Entries in the gossip *state* a mismatch: other members, or another configuration of a pool. It is over when the entries
//!   are equal. While the other host is unreachable, its last entries count.
//!
//! This module does not know how mismatches are shown to people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daymark_api::PeerMismatch;
use daymark_decision::{HostName, Membership, Moment, PoolName};
use daymark_gossip::{ConfigurationHash, PeerSummary};

/// The time after which a mismatch is over if no datagram or lookup shows it again. Names are resolved more often.
const SHOWN_FOR: Duration = Duration::from_mins(1);
/// The time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A mismatch with one host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostMismatch {
    pub(crate) host: HostName,
    pub(crate) mismatch: PeerMismatch,
}

/// The beginning or the end of a mismatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MismatchChange {
    pub(crate) of: HostMismatch,
    pub(crate) begins: bool,
}

/// The other hosts at the time of a check.
#[derive(Debug, Default)]
pub(crate) struct OtherHosts {
    /// The mismatches that the entries of reachable hosts state.
    pub(crate) stated: BTreeSet<HostMismatch>,
    /// The hosts whose entries are fresh, over any path.
    pub(crate) reachable: BTreeSet<HostName>,
    /// The hosts that answer this one directly.
    pub(crate) answering: BTreeSet<HostName>,
}

/// All present mismatches.
#[derive(Debug, Default)]
pub(crate) struct Mismatches {
    /// The time at which a datagram or lookup last showed each.
    last_shown: BTreeMap<HostMismatch, Moment>,
    reported: BTreeSet<HostMismatch>,
    checked_at: Moment,
}

impl Mismatches {
    /// Records a mismatch that a datagram or a lookup shows.
    pub(crate) fn show(&mut self, host: HostName, mismatch: PeerMismatch, now: Moment) {
        // The reason why a name does not resolve changes from lookup to lookup. The first one is kept.
        let is_same =
            |known: &&HostMismatch| known.host == host && is_unresolved(&known.mismatch) && is_unresolved(&mismatch);
        let known = self.last_shown.keys().find(is_same).cloned();
        self.last_shown.insert(known.unwrap_or(HostMismatch { host, mismatch }), now);
    }

    /// Tells if it is time for a check, and notes that it is made now.
    pub(crate) fn is_due(&mut self, now: Moment) -> bool {
        let is_due = now.since(self.checked_at) >= CHECK_INTERVAL;
        if is_due {
            self.checked_at = now;
        }
        is_due
    }

    /// Compares the present mismatches with the reported ones. Returns those that have ended, and then those that have begun.
    pub(crate) fn check(&mut self, others: OtherHosts, now: Moment) -> Vec<MismatchChange> {
        self.last_shown.retain(|of, shown| {
            let is_refuted = is_forgeable(&of.mismatch) && others.answering.contains(&of.host);
            now.since(*shown) < SHOWN_FOR && !is_refuted
        });
        let mut present = others.stated;
        let unreachable =
            self.reported.iter().filter(|of| is_stated(&of.mismatch) && !others.reachable.contains(&of.host));
        present.extend(unreachable.cloned());
        present.extend(self.last_shown.keys().cloned());
        let ended = self.reported.difference(&present).map(|of| MismatchChange { of: of.clone(), begins: false });
        let begun = present.difference(&self.reported).map(|of| MismatchChange { of: of.clone(), begins: true });
        let changes = ended.chain(begun).collect();
        self.reported = present;
        changes
    }

    /// The present mismatches as they were reported.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &HostMismatch> {
        self.reported.iter()
    }
}

/// Finds the mismatches that a peer's entries state.
pub(crate) fn compare(
    own: &Membership,
    configuration: &BTreeMap<PoolName, ConfigurationHash>,
    peer: &PeerSummary,
) -> Vec<HostMismatch> {
    let mut mismatches = Vec::new();
    if let Some(members) = peer.members.as_ref().filter(|members| **members != own.members) {
        let missing = own.members.difference(members).cloned().collect();
        let extra = members.difference(&own.members).cloned().collect();
        mismatches.push(PeerMismatch::Members { missing, extra });
    }
    let pools = differing_pools(configuration, &peer.configuration);
    mismatches.extend(pools.into_iter().map(|pool| PeerMismatch::Configuration { pool }));
    mismatches.into_iter().map(|mismatch| HostMismatch { host: peer.host.clone(), mismatch }).collect()
}

/// The pools whose configurations differ. There is none if the peer has not sent its hashes yet.
pub(crate) fn differing_pools(
    own: &BTreeMap<PoolName, ConfigurationHash>,
    peer: &BTreeMap<PoolName, ConfigurationHash>,
) -> Vec<PoolName> {
    if peer.is_empty() {
        return Vec::new();
    }
    let pools: BTreeSet<&PoolName> = peer.keys().chain(own.keys()).collect();
    pools.into_iter().filter(|pool| peer.get(*pool) != own.get(*pool)).cloned().collect()
}

fn is_unresolved(mismatch: &PeerMismatch) -> bool {
    matches!(mismatch, PeerMismatch::Unresolved { .. })
}

/// Tells if the entries of a host state the mismatch.
fn is_stated(mismatch: &PeerMismatch) -> bool {
    matches!(mismatch, PeerMismatch::Members { .. } | PeerMismatch::Configuration { .. })
}

/// Tells if datagrams with a forged address could have shown the mismatch.
fn is_forgeable(mismatch: &PeerMismatch) -> bool {
    use PeerMismatch::{Addressee, Key, Name, Version};
    matches!(mismatch, Key | Addressee | Version | Name { .. })
}

#[cfg(test)]
mod tests {
    use daymark_decision::fixtures::{host_name, pool_name};

    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1_000)
    }

    fn host() -> HostName {
        host_name("dns-2")
    }

    /// The only other host, reachable and answering.
    fn answering() -> OtherHosts {
        OtherHosts { reachable: [host()].into(), answering: [host()].into(), ..OtherHosts::default() }
    }

    fn change(mismatch: PeerMismatch, begins: bool) -> MismatchChange {
        MismatchChange { of: HostMismatch { host: host(), mismatch }, begins }
    }

    #[test]
    fn a_mismatch_that_datagrams_show_is_reported_once_and_ends_when_its_host_answers() {
        let mut mismatches = Mismatches::default();
        for secs in 100..110 {
            mismatches.show(host(), PeerMismatch::Key, at(secs));
            let changes = mismatches.check(OtherHosts::default(), at(secs));
            assert_eq!(changes.len(), usize::from(secs == 100), "{changes:?}");
        }
        mismatches.show(host(), PeerMismatch::Key, at(110));
        assert_eq!(mismatches.check(answering(), at(110)), [change(PeerMismatch::Key, false)]);
        mismatches.show(host(), PeerMismatch::Key, at(111));
        assert_eq!(mismatches.check(answering(), at(111)), [], "anyone can forge an address");
    }

    #[test]
    fn a_mismatch_that_is_not_shown_again_ends_after_a_minute() {
        let mut mismatches = Mismatches::default();
        mismatches.show(host_name("dns-9"), PeerMismatch::UnknownPeer, at(100));
        assert_eq!(mismatches.check(OtherHosts::default(), at(100)).len(), 1);
        assert_eq!(mismatches.check(OtherHosts::default(), at(159)), []);
        assert_eq!(mismatches.check(OtherHosts::default(), at(160)).len(), 1);
    }

    #[test]
    fn a_name_that_does_not_resolve_for_changing_reasons_is_reported_once() {
        let mut mismatches = Mismatches::default();
        for secs in 100..200 {
            let error = ["it timed out", "nobody answers"][usize::try_from(secs).unwrap() / 3 % 2].to_owned();
            mismatches.show(host(), PeerMismatch::Unresolved { error }, at(secs));
            let changes = mismatches.check(OtherHosts::default(), at(secs));
            assert_eq!(changes.len(), usize::from(secs == 100), "{changes:?}");
        }
        assert_eq!(mismatches.check(OtherHosts::default(), at(259)).len(), 1, "it ends");
    }

    #[test]
    fn the_last_entries_of_an_unreachable_host_count() {
        let mut mismatches = Mismatches::default();
        let differs = PeerMismatch::Configuration { pool: pool_name("lb.example.org") };
        let stated = [HostMismatch { host: host(), mismatch: differs.clone() }].into();
        let changes = mismatches.check(OtherHosts { stated, ..answering() }, at(1));
        assert_eq!(changes, [change(differs.clone(), true)]);
        assert_eq!(mismatches.check(OtherHosts::default(), at(2)), []);
        assert_eq!(mismatches.check(answering(), at(3)), [change(differs, false)]);
    }
}
