//! The findings about zones, pools and balancers that were read. Pure.

use std::time::Duration;

use daymark_decision::{Answer, PoolName};
use daymark_provider::CLIENTS_NOTICE;
use tracing::info;

use crate::api::{Balancer, CloudflareOrigin, CloudflarePool, CloudflareZone};
use crate::finding::{CloudflareFinding, PROXY_PORTS};
use crate::observe::record_ttl;
use crate::plan::origin::{label, target_of};
use crate::plan::{DesiredTarget, desired_targets};
use crate::public::is_public;
use crate::settings::Served;

/// Findings about the zone of records.
pub(super) fn zone_findings(zone: &CloudflareZone, pool: &PoolName, configured: Option<u32>) -> Vec<CloudflareFinding> {
    let ttl = record_ttl(configured, zone);
    let raised = configured.filter(|configured| *configured < ttl);
    let raised = raised.map(|configured| CloudflareFinding::TtlRaised { ttl, configured });
    zone.findings(pool).into_iter().chain(raised).collect()
}

/// Findings about a pool. In a setup of Daymark's own (`is_own`), Daymark creates the origins and enables the pool.
pub(super) fn pool_findings(pool: &CloudflarePool, answer: &Answer, is_own: bool) -> Vec<CloudflareFinding> {
    let name = pool.name().to_owned();
    let mut findings = Vec::new();
    if !is_own && !pool.is_enabled() {
        findings.push(CloudflareFinding::PoolDisabled { name: name.clone() });
    }
    for (field, monitor) in [("monitor", "monitor"), ("monitor_group", "monitor group")] {
        if pool.is_monitored_by(field) {
            findings.push(CloudflareFinding::PoolMonitored { name: name.clone(), monitor });
        }
    }
    if pool.sheds_load() {
        findings.push(CloudflareFinding::PoolShedsLoad { name: name.clone() });
    }
    let origins = pool.origins();
    let minimum = pool.minimum_origins();
    let count = origins.iter().filter(|origin| origin.is_enabled() && !origin.is_weightless()).count();
    if minimum > 1 && u64::try_from(count).is_ok_and(|count| count < minimum) {
        findings.push(CloudflareFinding::PoolBelowMinimum { name: name.clone(), minimum, count });
    }
    findings.extend(origin_findings(&name, &origins, &desired_targets(answer), is_own));
    findings
}

/// Reports origins that do not answer for their node, and nodes without an origin or with several.
fn origin_findings(
    name: &str,
    origins: &[CloudflareOrigin],
    targets: &[DesiredTarget],
    is_own: bool,
) -> Vec<CloudflareFinding> {
    let pool = || name.to_owned();
    let mut findings: Vec<CloudflareFinding> =
        targets.iter().filter_map(|desired| count_finding(name, origins, desired, targets, is_own)).collect();
    let (of_nodes, others): (Vec<_>, Vec<_>) = origins.iter().partition(|origin| target_of(origin, targets).is_some());
    for other in others {
        info!(
            "the origin {} of the Cloudflare pool {name} belongs to no node; Daymark leaves it as it is",
            label(other)
        );
    }
    let labels = |is_meant: &dyn Fn(&CloudflareOrigin) -> bool| -> Vec<String> {
        of_nodes.iter().filter(|origin| is_meant(origin)).map(|origin| label(origin)).collect()
    };
    let weightless = labels(&|origin| origin.is_enabled() && origin.is_weightless());
    if !weightless.is_empty() {
        findings.push(CloudflareFinding::OriginWeightless { pool: pool(), origins: weightless });
    }
    let is_private = |address| !is_public(address);
    let private = labels(&|origin| !origin.is_tunnelled() && origin.address().parse().is_ok_and(is_private));
    if !private.is_empty() {
        findings.push(CloudflareFinding::OriginPrivate { pool: pool(), origins: private });
    }
    findings
}

/// Reports a node without an origin, or with several.
fn count_finding(
    pool: &str,
    origins: &[CloudflareOrigin],
    desired: &DesiredTarget,
    targets: &[DesiredTarget],
    is_own: bool,
) -> Option<CloudflareFinding> {
    let target = &desired.target;
    let belongs = |origin: &&CloudflareOrigin| target_of(origin, targets).is_some_and(|owner| owner.target == *target);
    let labels: Vec<String> = origins.iter().filter(belongs).map(label).collect();
    let pool = pool.to_owned();
    match labels.len() {
        0 if !is_own => Some(CloudflareFinding::OriginMissing { pool, target: target.clone() }),
        0 | 1 => None,
        _ => Some(CloudflareFinding::OriginTwice { pool, target: target.clone(), origins: labels }),
    }
}

/// Findings about the balancer of a name. In a setup of Daymark's own (`is_own`), Daymark creates it and corrects it.
pub(super) fn balancer_findings(
    served: &Served,
    pool: &CloudflarePool,
    pools: &[CloudflarePool],
    balancer: Option<&Balancer>,
    is_own: bool,
) -> Vec<CloudflareFinding> {
    let Served { pool: name, port, detection } = served;
    let name = || name.clone();
    let Some(balancer) = balancer else {
        let missing = CloudflareFinding::BalancerMissing { name: name(), pool: pool.name().to_owned() };
        return (!is_own).then_some(missing).into_iter().collect();
    };
    let mut findings = Vec::new();
    if !is_own {
        findings.extend(use_findings(&served.pool, pool, balancer));
    }
    for (is_set, field) in [(balancer.has_rules(), "rules"), (balancer.has_pool_sets(), "pool_sets")] {
        if is_set {
            findings.push(CloudflareFinding::BalancerOverridden { name: name(), field });
        }
    }
    if !is_own && balancer.is_proxied() && !PROXY_PORTS.contains(port) {
        findings.push(CloudflareFinding::BalancerProxied { name: name(), port: *port });
    }
    let fallback = pools.iter().find(|pool| pool.id() == balancer.fallback_pool());
    if let Some(fallback) = fallback.filter(|pool| !pool.is_enabled()) {
        findings.push(CloudflareFinding::FallbackDisabled { name: name(), pool: fallback.name().to_owned() });
    }
    let ttl = Duration::from_secs(balancer.ttl().unwrap_or_default());
    if !balancer.is_proxied() && *detection + ttl > CLIENTS_NOTICE {
        findings.push(CloudflareFinding::BalancerTtl { name: name(), ttl, detection: *detection });
    }
    findings
}

/// Reports a balancer of the operator's that does not answer with the pool.
fn use_findings(name: &PoolName, pool: &CloudflarePool, balancer: &Balancer) -> Vec<CloudflareFinding> {
    let mut findings = Vec::new();
    if !balancer.is_enabled() {
        findings.push(CloudflareFinding::BalancerDisabled { name: name.clone() });
    }
    let pool_name = pool.name().to_owned();
    if !balancer.uses(pool.id()) {
        findings.push(CloudflareFinding::BalancerUnused { name: name.clone(), pool: pool_name });
    } else if !balancer.answers_with(pool.id()) {
        findings.push(CloudflareFinding::BalancerFallsBack { name: name.clone(), pool: pool_name });
    }
    findings
}
