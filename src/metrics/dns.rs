//! The metrics of the DNS server.

use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use daymark_authoritative::{RateLimitCounts, ZoneSignatures};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The values of the DNS server since its start.
#[derive(Clone, Debug, Default)]
pub struct DnsReadings {
    /// Queries by transport and RCODE.
    pub queries: Vec<QueryCount>,
    /// Responses that were copied from the table of finished responses.
    pub copied: u64,
    /// Responses above the rate limit. `None` if this host serves no DNS.
    pub rate_limited: Option<RateLimitCounts>,
    /// The signatures of each signed zone.
    pub signatures: Vec<ZoneSignatures>,
}

/// The queries of one transport that were answered with one RCODE.
#[derive(Clone, Debug)]
pub struct QueryCount {
    /// The transport: `udp` or `tcp`.
    pub transport: &'static str,
    /// The mnemonic of the RCODE.
    pub rcode: String,
    /// The number of queries.
    pub count: u64,
}

/// The metrics of the DNS server.
#[derive(Clone, Default)]
pub(super) struct DnsMetrics {
    queries: Family<QueryLabels, Counter>,
    copied: Counter,
    rate_limited: Family<ActionLabels, Counter>,
    signatures_end: Family<ZoneLabels, Gauge>,
    keys: Family<ZoneKeyLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct QueryLabels {
    transport: &'static str,
    rcode: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ActionLabels {
    action: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ZoneLabels {
    zone: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ZoneKeyLabels {
    zone: String,
    tag: u32,
    role: String,
    state: &'static str,
}

impl DnsMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        let help = "DNS queries by transport and RCODE; some of their responses may be withheld by the rate limit";
        all.register("dns_queries", help, self.queries.clone());
        let help = "Responses that were copied from the table of finished responses; the engine answers all others";
        all.register("dns_copied_responses", help, self.copied.clone());
        all.register(
            "dns_rate_limited",
            "Responses above the rate limit by action: dropped; slipped, which are sent truncated; logOnly, which are sent",
            self.rate_limited.clone(),
        );
        all.register(
            "dns_signatures_not_after_timestamp_seconds",
            "End of the first signature of the zone that ends, in Unix time",
            self.signatures_end.clone(),
        );
        all.register(
            "dns_zone_key",
            "1 for each key of a signed zone, by tag, role and state: active or published",
            self.keys.clone(),
        );
    }

    pub(super) fn fill(&self, readings: &DnsReadings) {
        for counted in &readings.queries {
            let query = QueryLabels { transport: counted.transport, rcode: counted.rcode.clone() };
            self.queries.get_or_create(&query).inner().store(counted.count, Ordering::Relaxed);
        }
        self.copied.inner().store(readings.copied, Ordering::Relaxed);
        self.fill_signatures(&readings.signatures);
        let Some(RateLimitCounts { dropped, slipped, log_only }) = readings.rate_limited else { return };
        for (action, count) in [("dropped", dropped), ("slipped", slipped), ("logOnly", log_only)] {
            self.rate_limited.get_or_create(&ActionLabels { action }).inner().store(count, Ordering::Relaxed);
        }
    }

    fn fill_signatures(&self, zones: &[ZoneSignatures]) {
        self.signatures_end.clear();
        self.keys.clear();
        for ZoneSignatures { zone, keys, expires_at } in zones {
            let end = expires_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let of = ZoneLabels { zone: zone.clone() };
            self.signatures_end.get_or_create(&of).set(i64::try_from(end).unwrap_or(i64::MAX));
            for key in keys {
                let of = ZoneKeyLabels {
                    zone: zone.clone(),
                    tag: key.tag.into(),
                    role: key.role.to_string(),
                    state: if key.is_active { "active" } else { "published" },
                };
                self.keys.get_or_create(&of).set(1);
            }
        }
    }
}
