//! The metrics of the CAs and of the credentials of the probes.

use std::collections::BTreeMap;

use daymark_api::PoolStatus;
use daymark_decision::Moment;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{PoolLabels, seconds};

/// The metrics of these ends, by pool.
#[derive(Clone, Default)]
pub(super) struct ExpiryMetrics {
    authority_end: Family<AuthorityLabels, Gauge>,
    credentials_end: Family<PoolLabels, Gauge>,
    credentials_expiring: Family<PoolLabels, Gauge>,
    file_errors: Family<PoolLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AuthorityLabels {
    pool: String,
    ca: String,
}

impl ExpiryMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "pool_ca_not_after_timestamp_seconds",
            "Expiry of a CA of the pool's file, in Unix time; the earliest of those with the same name",
            self.authority_end.clone(),
        );
        all.register(
            "pool_credentials_not_after_timestamp_seconds",
            "Expiry of the client certificate or the token of the pool's probes, in Unix time",
            self.credentials_end.clone(),
        );
        all.register(
            "pool_credentials_expiring",
            "1 if the client certificate or the token of the pool's probes has expired, soon will, or has not begun",
            self.credentials_expiring.clone(),
        );
        all.register(
            "pool_probe_file_error",
            "1 if a CA or credential file of the pool's probes cannot be used any more; the last good version stays in use",
            self.file_errors.clone(),
        );
    }

    pub(super) fn fill(&self, pools: &[PoolStatus]) {
        self.authority_end.clear();
        self.credentials_end.clear();
        self.credentials_expiring.clear();
        self.file_errors.clear();
        for pool in pools {
            self.fill_authorities(pool);
            let of = PoolLabels { pool: pool.name.to_string() };
            self.file_errors.get_or_create(&of).set(pool.probe_file_error.is_some().into());
            if let Some(credentials) = &pool.credentials {
                self.credentials_end.get_or_create(&of).set(seconds(credentials.not_after));
                self.credentials_expiring.get_or_create(&of).set(credentials.warning.is_some().into());
            }
        }
    }

    fn fill_authorities(&self, pool: &PoolStatus) {
        let mut ends: BTreeMap<&str, Moment> = BTreeMap::new();
        for authority in &pool.authorities {
            let end = ends.entry(&authority.name).or_insert(authority.not_after);
            *end = authority.not_after.min(*end);
        }
        for (ca, end) in ends {
            let of = AuthorityLabels { pool: pool.name.to_string(), ca: ca.to_owned() };
            self.authority_end.get_or_create(&of).set(seconds(end));
        }
    }
}
