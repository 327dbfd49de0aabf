//! The metrics of several hosts.

use std::sync::atomic::AtomicU64;

use daymark_decision::Standing;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::status::{HostsStatus, PeerStatus};

type Float = Gauge<f64, AtomicU64>;
type NoLabels = [(String, String); 0];

/// The metrics of several hosts. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct HostMetrics {
    datagrams: Family<DirectionLabels, Counter>,
    bytes: Family<DirectionLabels, Counter>,
    refused: Family<ReasonLabels, Counter>,
    standing: Family<StandingLabels, Gauge>,
    blind: Gauge,
    writes: Family<NoLabels, Gauge>,
    heard: Family<PeerLabels, Gauge>,
    age: Family<PeerLabels, Float>,
    round_trip: Family<PeerLabels, Float>,
    clock_ahead: Family<PeerLabels, Float>,
    differs: Family<PoolLabels, Gauge>,
    grade: Family<GradeLabels, Gauge>,
    complaint: Family<ComplaintLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DirectionLabels {
    direction: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StandingLabels {
    standing: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PeerLabels {
    peer: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolLabels {
    peer: String,
    pool: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ComplaintLabels {
    peer: String,
    complaint: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct GradeLabels {
    peer: String,
    pool: String,
    node: String,
    address: String,
    grade: &'static str,
}

impl HostMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        all.register("gossip_datagrams", "Datagrams of the hosts by direction", self.datagrams.clone());
        all.register("gossip_bytes", "Bytes in datagrams of the hosts by direction, sealed", self.bytes.clone());
        all.register("gossip_refused", "Datagrams of the hosts that came to nothing, by reason", self.refused.clone());
        all.register("standing", "1 for who decides: quorum, alone or listening", self.standing.clone());
        all.register("blind", "1 while this host finds no target that can be used", self.blind.clone());
        all.register(
            "writes",
            "1 while this host may write to the provider that only one host may write to; absent where there is none",
            self.writes.clone(),
        );
        all.register("peer_heard", "1 while the host is heard", self.heard.clone());
        all.register("peer_age_seconds", "Time since the host said anything", self.age.clone());
        all.register("peer_round_trip_seconds", "Time to the host and back", self.round_trip.clone());
        all.register(
            "peer_clock_ahead_seconds",
            "How far the host's clock is ahead of this one's",
            self.clock_ahead.clone(),
        );
        all.register("peer_configuration_differs", "1 where the host has another configuration", self.differs.clone());
        all.register("peer_target_grade", "1 for the grade that the host gives the target", self.grade.clone());
        all.register("peer_complaint", "1 while something is wrong with the host", self.complaint.clone());
    }

    pub(super) fn count(&self, direction: &'static str, bytes: usize) {
        let direction = DirectionLabels { direction };
        self.datagrams.get_or_create(&direction).inc();
        self.bytes.get_or_create(&direction).inc_by(bytes as u64);
    }

    pub(super) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Shows this; `None` where there are no other hosts.
    pub(super) fn fill(&self, hosts: Option<&HostsStatus>) {
        self.heard.clear();
        self.age.clear();
        self.round_trip.clear();
        self.clock_ahead.clear();
        self.differs.clear();
        self.grade.clear();
        self.complaint.clear();
        self.writes.clear();
        let Some(hosts) = hosts else { return };
        for standing in [Standing::Quorum, Standing::Alone, Standing::Listening] {
            let is_it = standing == hosts.standing;
            self.standing.get_or_create(&StandingLabels { standing: standing.as_str() }).set(is_it.into());
        }
        self.blind.set(hosts.blind.into());
        if hosts.is_writing {
            self.writes.get_or_create(&[]).set(hosts.may_write.into());
        }
        hosts.peers.iter().for_each(|peer| self.fill_peer(peer));
        for complaint in &hosts.complaints {
            let (peer, complaint) = (complaint.host.to_string(), complaint.complaint.label());
            self.complaint.get_or_create(&ComplaintLabels { peer, complaint }).set(1);
        }
    }

    fn fill_peer(&self, peer: &PeerStatus) {
        let of = PeerLabels { peer: peer.host.to_string() };
        self.heard.get_or_create(&of).set(peer.heard.into());
        for (gauge, value) in
            [(&self.age, peer.age), (&self.round_trip, peer.round_trip), (&self.clock_ahead, peer.clock_ahead)]
        {
            if let Some(value) = value {
                gauge.get_or_create(&of).set(value);
            }
        }
        // A pool that only one of both has is in one of the two.
        for pool in peer.configuration.keys().chain(&peer.differs) {
            let labels = PoolLabels { peer: of.peer.clone(), pool: pool.to_string() };
            self.differs.get_or_create(&labels).set(peer.differs.contains(pool).into());
        }
        // What a silent host saw is not what it sees.
        for target in peer.targets.iter().filter(|_| peer.heard) {
            let labels = GradeLabels {
                peer: of.peer.clone(),
                pool: target.pool.to_string(),
                node: target.node.to_string(),
                address: target.address.to_string(),
                grade: target.grade.as_str(),
            };
            self.grade.get_or_create(&labels).set(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use daymark_decision::{Grade, HostName, PoolName};
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::cli::tests::peer_status;

    fn text(peer: PeerStatus) -> String {
        of(peer, Some(true))
    }

    /// `may_write`: whether this host may write; `None` where it has nothing that only one host may write to.
    fn of(peer: PeerStatus, may_write: Option<bool>) -> String {
        let (metrics, mut all, mut text) = (HostMetrics::default(), Registry::default(), String::new());
        metrics.register(&mut all);
        metrics.fill(Some(&HostsStatus {
            own: HostName::new("dns-1"),
            members: 2,
            standing: Standing::Quorum,
            blind: false,
            writer: None,
            is_writing: may_write.is_some(),
            may_write: may_write.unwrap_or_default(),
            complaints: Vec::new(),
            peers: vec![peer],
        }));
        encode(&mut text, &all).unwrap();
        text
    }

    #[test]
    fn a_pool_that_only_this_host_has_differs() {
        let differs = vec![PoolName::new("lb.example.org")];
        let shown = text(PeerStatus { differs, ..peer_status("dns-2", true, Grade::Ready) });
        assert!(shown.contains("peer_configuration_differs{peer=\"dns-2\",pool=\"lb.example.org\"} 1"), "{shown}");
    }

    #[test]
    fn whether_a_host_may_write_is_told_where_only_one_may() {
        for (may_write, line) in [(Some(true), "\nwrites{} 1\n"), (Some(false), "\nwrites{} 0\n")] {
            let shown = of(peer_status("dns-2", true, Grade::Ready), may_write);
            assert!(shown.contains(line), "{shown}");
        }
        let shown = of(peer_status("dns-2", true, Grade::Ready), None);
        assert!(!shown.contains("\nwrites"), "{shown}");
    }

    #[test]
    fn what_a_silent_host_saw_last_is_no_grade_of_now() {
        let has_grade = |heard| text(peer_status("dns-2", heard, Grade::Down)).contains("grade=\"down\"} 1");
        assert!(has_grade(true) && !has_grade(false));
    }
}
