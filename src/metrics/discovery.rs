//! The metrics of discovery.

use daymark_api::PoolStatus;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics of discovery. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct DiscoveryMetrics {
    last_list: Family<DiscoveryLabels, Gauge>,
    nodes: Family<DiscoveryLabels, Gauge>,
    missing: Family<DiscoveryLabels, Gauge>,
    failing: Family<DiscoveryLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DiscoveryLabels {
    pool: String,
}

impl DiscoveryMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "discovery_last_list_timestamp_seconds",
            "Time of the last complete list of nodes, in Unix time",
            self.last_list.clone(),
        );
        all.register("discovery_nodes", "Nodes known by discovery", self.nodes.clone());
        all.register(
            "discovery_missing_addresses",
            "Addresses that are missing from the lists and stay for now",
            self.missing.clone(),
        );
        all.register("discovery_failing", "1 while discovery is failing", self.failing.clone());
    }

    pub(super) fn fill(&self, pools: &[PoolStatus]) {
        for gauge in [&self.last_list, &self.nodes, &self.missing, &self.failing] {
            gauge.clear();
        }
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for (pool, discovery) in pools.iter().filter_map(|pool| Some((pool, pool.discovery.as_ref()?))) {
            let of = DiscoveryLabels { pool: pool.name.to_string() };
            if let Some(at) = discovery.last_complete {
                self.last_list.get_or_create(&of).set(i64::try_from(at.as_secs()).unwrap_or(i64::MAX));
            }
            self.nodes.get_or_create(&of).set(whole(discovery.nodes()));
            self.missing.get_or_create(&of).set(whole(discovery.missing().count()));
            self.failing.get_or_create(&of).set(discovery.failure.is_some().into());
        }
    }
}
