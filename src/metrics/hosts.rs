//! The metrics of several hosts.

use std::sync::atomic::AtomicU64;

use daymark_api::{HostsStatus, PeerStatus};
use daymark_decision::QuorumState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Float = Gauge<f64, AtomicU64>;

/// The metrics of several hosts. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct HostMetrics {
    datagrams: Family<DirectionLabels, Counter>,
    bytes: Family<DirectionLabels, Counter>,
    rejected: Family<ReasonLabels, Counter>,
    quorum_state: Family<QuorumStateLabels, Gauge>,
    isolated: Gauge,
    writer: Family<NoLabels, Gauge>,
    reachable: Family<PeerLabels, Gauge>,
    last_contact: Family<PeerLabels, Float>,
    round_trip: Family<PeerLabels, Float>,
    clock_ahead: Family<PeerLabels, Float>,
    differs: Family<PeerPoolLabels, Gauge>,
    grade: Family<PeerGradeLabels, Gauge>,
    mismatch: Family<MismatchLabels, Gauge>,
}

/// The labels of a metric that is one series or none.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NoLabels {}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DirectionLabels {
    direction: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct QuorumStateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PeerLabels {
    peer: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PeerPoolLabels {
    peer: String,
    pool: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MismatchLabels {
    peer: String,
    mismatch: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PeerGradeLabels {
    peer: String,
    pool: String,
    node: String,
    address: String,
    grade: &'static str,
}

impl HostMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        all.register("gossip_datagrams", "Gossip datagrams by direction", self.datagrams.clone());
        all.register("gossip_bytes", "Bytes in sealed gossip datagrams by direction", self.bytes.clone());
        all.register(
            "gossip_rejected",
            "Gossip datagrams that were rejected or not sent, by reason",
            self.rejected.clone(),
        );
        all.register(
            "quorum_state",
            "1 for the state of the quorum: quorum, noQuorum or starting",
            self.quorum_state.clone(),
        );
        all.register("isolated", "1 while this host reaches no target", self.isolated.clone());
        all.register(
            "writer",
            "1 while this host holds the writer lease; absent without a provider that only one host may write to",
            self.writer.clone(),
        );
        all.register("peer_reachable", "1 while the host is reachable", self.reachable.clone());
        all.register(
            "peer_last_contact_seconds",
            "Time since the last sign of life of the host",
            self.last_contact.clone(),
        );
        all.register("peer_round_trip_seconds", "Round-trip time to the host", self.round_trip.clone());
        all.register("peer_clock_ahead_seconds", "Lead of the host's clock over this host's", self.clock_ahead.clone());
        all.register(
            "peer_configuration_differs",
            "1 if the configuration of the pool differs on the host",
            self.differs.clone(),
        );
        all.register("peer_target_grade", "1 for the grade that the host gives the target", self.grade.clone());
        all.register("peer_mismatch", "1 while there is a mismatch with the host", self.mismatch.clone());
    }

    pub(super) fn count(&self, direction: &'static str, bytes: usize) {
        let direction = DirectionLabels { direction };
        self.datagrams.get_or_create(&direction).inc();
        self.bytes.get_or_create(&direction).inc_by(bytes as u64);
    }

    pub(super) fn reject(&self, reason: &'static str) {
        self.rejected.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Fills the gauges; `hosts` is `None` for a host without peers.
    pub(super) fn fill(&self, hosts: Option<&HostsStatus>) {
        self.reachable.clear();
        self.last_contact.clear();
        self.round_trip.clear();
        self.clock_ahead.clear();
        self.differs.clear();
        self.grade.clear();
        self.mismatch.clear();
        self.writer.clear();
        let Some(hosts) = hosts else { return };
        for state in QuorumState::ALL {
            let is_present = state == hosts.quorum_state;
            self.quorum_state.get_or_create(&QuorumStateLabels { state: state.as_str() }).set(is_present.into());
        }
        self.isolated.set(hosts.isolated.into());
        if hosts.can_write {
            self.writer.get_or_create(&NoLabels {}).set(hosts.holds_writer_lease.into());
        }
        hosts.peers.iter().for_each(|peer| self.fill_peer(peer));
        for status in &hosts.mismatches {
            let labels = MismatchLabels { peer: status.host.to_string(), mismatch: status.mismatch.label() };
            self.mismatch.get_or_create(&labels).set(1);
        }
    }

    fn fill_peer(&self, peer: &PeerStatus) {
        let of = PeerLabels { peer: peer.host.to_string() };
        self.reachable.get_or_create(&of).set(peer.reachable.into());
        for (gauge, value) in [
            (&self.last_contact, peer.last_contact.map(|age| age.as_secs_f64())),
            (&self.round_trip, peer.round_trip.map(|time| time.as_secs_f64())),
            (&self.clock_ahead, peer.clock_ahead.map(|lead| lead.as_secs_f64())),
        ] {
            if let Some(value) = value {
                gauge.get_or_create(&of).set(value);
            }
        }
        // A pool that only one of both has is in one of the two.
        for pool in peer.configuration.keys().chain(&peer.differs) {
            let labels = PeerPoolLabels { peer: of.peer.clone(), pool: pool.to_string() };
            self.differs.get_or_create(&labels).set(peer.differs.contains(pool).into());
        }
        // The last grades of an unreachable host are out of date.
        for target in peer.targets.iter().filter(|_| peer.reachable) {
            let labels = PeerGradeLabels {
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
    use daymark_decision::Grade;
    use daymark_decision::fixtures::{host_name, pool_name};
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::cli::tests::peer_status;

    fn text(peer: PeerStatus) -> String {
        of(peer, Some(true))
    }

    /// `may_write` is true if this host may write, and `None` if it has no provider that only one host may write to.
    fn of(peer: PeerStatus, may_write: Option<bool>) -> String {
        let metrics = HostMetrics::default();
        let mut all = Registry::default();
        let mut text = String::new();
        metrics.register(&mut all);
        metrics.fill(Some(&HostsStatus {
            own: host_name("dns-1"),
            members: 2,
            quorum_state: QuorumState::Quorum,
            isolated: false,
            writer: None,
            can_write: may_write.is_some(),
            holds_writer_lease: may_write.unwrap_or_default(),
            mismatches: Vec::new(),
            peers: vec![peer],
        }));
        encode(&mut text, &all).unwrap();
        text
    }

    #[test]
    fn a_pool_that_only_this_host_has_differs() {
        let differs = vec![pool_name("lb.example.org")];
        let shown = text(PeerStatus { differs, ..peer_status("dns-2", true, Grade::Ready) });
        assert!(shown.contains("peer_configuration_differs{peer=\"dns-2\",pool=\"lb.example.org\"} 1"), "{shown}");
    }

    #[test]
    fn the_writer_lease_is_a_metric_if_only_one_host_may_write() {
        for (may_write, line) in [(Some(true), "\nwriter{} 1\n"), (Some(false), "\nwriter{} 0\n")] {
            let shown = of(peer_status("dns-2", true, Grade::Ready), may_write);
            assert!(shown.contains(line), "{shown}");
        }
        let shown = of(peer_status("dns-2", true, Grade::Ready), None);
        assert!(!shown.contains("\nwriter"), "{shown}");
    }

    #[test]
    fn the_last_grades_of_an_unreachable_host_are_no_metric() {
        let has_grade = |reachable| text(peer_status("dns-2", reachable, Grade::Down)).contains("grade=\"down\"} 1");
        assert!(has_grade(true) && !has_grade(false));
    }
}
