//! The longest time that a failure of a node lasts for clients, by the sums of `daymark check`. It looks at nothing.

use std::time::Duration;

use daymark_config::budget::{PoolReport, report};
use daymark_config::{Config, ProviderConfig};

use super::diagnosis::{Diagnosis, DoctorSection, Symptom};

/// The time after which the node controller turns a node `NotReady` (`node-monitor-grace-period`).
const NODE_MONITOR_GRACE_PERIOD: Duration = Duration::from_secs(50);

/// Judges the worst case of each pool.
pub(super) fn judge(config: &Config) -> Vec<Diagnosis> {
    report(config).pools.iter().flat_map(|pool| judge_pool(config, pool)).collect()
}

fn judge_pool(config: &Config, pool: &PoolReport) -> Vec<Diagnosis> {
    let mut late: Vec<String> = if pool.is_served { pool.warnings() } else { Vec::new() };
    let modes = config.providers.iter().filter_map(|provider| match provider {
        ProviderConfig::Cloudflare(settings)
            if settings.pools.iter().any(|served| served.pool.as_str() == pool.name) =>
        {
            Some(&settings.mode)
        }
        ProviderConfig::Cloudflare(_) | ProviderConfig::Authoritative(_) => None,
    });
    let by_cloudflare: Vec<String> = modes.filter_map(|mode| pool.cloudflare_warning(mode)).collect();
    if late.is_empty() && by_cloudflare.is_empty() {
        let found = [&pool.silent, &pool.hung, &pool.stuck].map(daymark_config::budget::Sum::total).into_iter().max();
        let total = found.unwrap_or_default() + if pool.is_served { pool.ttl_max } else { Duration::ZERO };
        let what = if pool.is_served { "the answer is right in every cache" } else { "a dead node is found" };
        let message = format!(
            "at worst {what} after {}s, and nodes turn NotReady after {}s",
            total.as_secs_f64(),
            NODE_MONITOR_GRACE_PERIOD.as_secs()
        );
        return vec![Diagnosis::ok(DoctorSection::Failover, &pool.name, message)];
    }
    let mended =
        late.drain(..).map(|warning| format!("{warning}; lower `ttl.max`, `probe.interval` or `probe.timeout`"));
    mended
        .chain(by_cloudflare)
        .map(|message| Diagnosis::warn(DoctorSection::Failover, &pool.name, Symptom::SlowFailover, message))
        .collect()
}
