//! What is wrong between this host and others, from when it is found until it is over, so that each is told once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daymark_api::{EventKind, PeerMismatch};
use daymark_decision::{HostName, Moment};

/// What was not seen again for so long is over. Names are resolved more often than that.
const LASTS: Duration = Duration::from_mins(1);
/// How often to look.
const EVERY: Duration = Duration::from_secs(1);

type Of = (HostName, PeerMismatch);

/// What is wrong now.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// What single datagrams and lookups have shown, and when they did last.
    seen: BTreeMap<Of, Moment>,
    told: BTreeSet<Of>,
    looked: Moment,
}

impl Complaints {
    /// Takes note of what a datagram or a lookup shows.
    pub(super) fn see(&mut self, host: HostName, complaint: PeerMismatch, now: Moment) {
        // Why a name leads nowhere is told in ever other words.
        let same = |(of, known): &&Of| *of == host && is_unresolved(known) && is_unresolved(&complaint);
        let known = self.seen.keys().find(same).cloned();
        self.seen.insert(known.unwrap_or((host, complaint)), now);
    }

    /// Whether it is time to look again.
    pub(super) fn is_due(&mut self, now: Moment) -> bool {
        let is_due = now.since(self.looked) >= EVERY;
        if is_due {
            self.looked = now;
        }
        is_due
    }

    /// Compares what is wrong now with what was told, and tells the difference.
    ///
    /// `said` is what differs in what the hosts say; of one that is not `heard`, what differed last still does. A host that is
    /// `there` is understood, whatever else comes from its address.
    pub(super) fn look(
        &mut self,
        said: BTreeSet<Of>,
        heard: &BTreeSet<HostName>,
        there: &BTreeSet<HostName>,
        now: Moment,
    ) -> Vec<EventKind> {
        self.seen.retain(|(host, complaint), at| {
            now.since(*at) < LASTS && !(is_of_datagrams(complaint) && there.contains(host))
        });
        let is_unheard = |(host, complaint): &&Of| is_said(complaint) && !heard.contains(host);
        let mut wrong = said;
        wrong.extend(self.told.iter().filter(is_unheard).cloned());
        wrong.extend(self.seen.keys().cloned());
        let what = |(host, complaint): &Of, begins| EventKind::Mismatch {
            host: host.clone(),
            mismatch: complaint.clone(),
            begins,
        };
        let over = self.told.difference(&wrong).map(|of| what(of, false));
        let whats = over.chain(wrong.difference(&self.told).map(|of| what(of, true))).collect();
        self.told = wrong;
        whats
    }

    /// What is wrong, as it was told.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Of> {
        self.told.iter()
    }
}

fn is_unresolved(complaint: &PeerMismatch) -> bool {
    matches!(complaint, PeerMismatch::Unresolved { .. })
}

/// Whether it is of what a host says of itself.
fn is_said(complaint: &PeerMismatch) -> bool {
    matches!(complaint, PeerMismatch::Members { .. } | PeerMismatch::Configuration { .. })
}

/// Whether datagrams have shown it that its host may not have sent.
fn is_of_datagrams(complaint: &PeerMismatch) -> bool {
    use PeerMismatch::{Addressee, Key, Name, Version};
    matches!(complaint, Key | Addressee | Version | Name { .. })
}

#[cfg(test)]
mod tests {
    use daymark_decision::PoolName;

    use super::*;

    fn hosts(names: &[&str]) -> BTreeSet<HostName> {
        names.iter().map(|name| HostName::new(name)).collect()
    }

    fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1_000)
    }

    fn sentences(whats: Vec<EventKind>) -> Vec<String> {
        whats.into_iter().map(|what| what.to_string()).collect()
    }

    #[test]
    fn what_datagrams_show_is_told_once_and_once_when_its_host_is_understood() {
        let (mut complaints, host, none) = (Complaints::default(), HostName::new("dns-2"), BTreeSet::new());
        for secs in 100..110 {
            complaints.see(host.clone(), PeerMismatch::Key, at(secs));
            let told = sentences(complaints.look(BTreeSet::new(), &none, &none, at(secs)));
            assert_eq!(told.len(), usize::from(secs == 100), "{told:?}");
        }
        let there = hosts(&["dns-2"]);
        complaints.see(host.clone(), PeerMismatch::Key, at(110));
        let told = sentences(complaints.look(BTreeSet::new(), &there, &there, at(110)));
        assert!(told.len() == 1 && told[0].starts_with("no longer so: what comes from the address of host dns-2"));
        complaints.see(host, PeerMismatch::Key, at(111));
        assert_eq!(complaints.look(BTreeSet::new(), &there, &there, at(111)), [], "anyone can forge an address");
    }

    #[test]
    fn what_is_not_seen_again_is_over() {
        let (mut complaints, none) = (Complaints::default(), BTreeSet::new());
        complaints.see(HostName::new("dns-9"), PeerMismatch::UnknownPeer, at(100));
        assert_eq!(complaints.look(BTreeSet::new(), &none, &none, at(100)).len(), 1);
        assert_eq!(complaints.look(BTreeSet::new(), &none, &none, at(159)), []);
        assert_eq!(complaints.look(BTreeSet::new(), &none, &none, at(160)).len(), 1);
    }

    #[test]
    fn a_name_that_leads_nowhere_for_changing_reasons_is_told_once() {
        let (mut complaints, none) = (Complaints::default(), BTreeSet::new());
        for secs in 100..200 {
            let why = ["it timed out", "nobody answers"][usize::try_from(secs).unwrap() / 3 % 2].to_owned();
            complaints.see(HostName::new("dns-2"), PeerMismatch::Unresolved { error: why }, at(secs));
            let told = complaints.look(BTreeSet::new(), &none, &none, at(secs));
            assert_eq!(told.len(), usize::from(secs == 100), "{told:?}");
        }
        assert_eq!(complaints.look(BTreeSet::new(), &none, &none, at(259)).len(), 1, "it is over");
    }

    #[test]
    fn what_a_silent_host_has_said_last_is_not_mended() {
        let (mut complaints, none, heard) = (Complaints::default(), BTreeSet::new(), hosts(&["dns-2"]));
        let differs = (HostName::new("dns-2"), PeerMismatch::Configuration { pool: PoolName::new("lb.example.org") });
        assert_eq!(complaints.look([differs].into(), &heard, &heard, at(1)).len(), 1);
        assert_eq!(complaints.look(BTreeSet::new(), &none, &none, at(2)), []);
        let told = sentences(complaints.look(BTreeSet::new(), &heard, &heard, at(3)));
        assert_eq!(told, ["no longer so: host dns-2 has another configuration of lb.example.org than this host"]);
    }
}
