//! The findings about zones, pools and balancers that were read. Pure.

use std::time::Duration;

use daymark_decision::{Answer, PoolName};
use daymark_provider::CLIENTS_NOTICE;
use tracing::info;

use crate::api::{Balancer, CloudflareOrigin, CloudflarePool, CloudflareZone};
use crate::observe::record_ttl;
use crate::plan::origins::{label, target_of};
use crate::plan::{DesiredTarget, desired_targets};
use crate::public::is_public;
use crate::settings::Served;

/// The ports on which Cloudflare's proxy passes HTTPS.
const PROXY_PORTS: [u16; 6] = [443, 2053, 2083, 2087, 2096, 8443];

/// Findings about the zone of records.
pub(super) fn zone_findings(zone: &CloudflareZone, pool: &PoolName, configured: Option<u32>) -> Vec<String> {
    let ttl = record_ttl(configured, zone);
    let raised = configured.filter(|configured| *configured < ttl).map(|configured| {
        format!("the records have a TTL of {ttl}s, because the zone does not allow {configured}s; set `ttl` to {ttl}s or more")
    });
    zone.finding(pool).into_iter().chain(raised).collect()
}

/// Findings about a pool. In a setup of Daymark's own (`is_own`), Daymark creates the origins and enables the pool.
pub(super) fn pool_findings(pool: &CloudflarePool, answer: &Answer, is_own: bool) -> Vec<String> {
    let name = pool.name();
    let targets = desired_targets(answer);
    let origins = pool.origins();
    let mut findings = Vec::new();
    if !is_own && !pool.is_enabled() {
        findings.push(format!(
            "the Cloudflare pool {name} is disabled, so no load balancer answers with it; enable the pool"
        ));
    }
    for (field, noun) in [("monitor", "monitor"), ("monitor_group", "monitor group")] {
        if pool.is_monitored_by(field) {
            findings.push(format!(
                "the Cloudflare pool {name} has a {noun}, which cannot verify a private CA and counts an origin of \
                 unknown health as down; detach the {noun}, because Daymark probes the nodes itself"
            ));
        }
    }
    if pool.sheds_load() {
        findings.push(format!(
            "the Cloudflare pool {name} sheds load, so a part of the clients gets other addresses than those of its enabled \
             origins; set the percentages of `load_shedding` to 0"
        ));
    }
    findings.extend(count_findings(pool, &origins));
    for desired in &targets {
        findings.extend(origin_findings(name, &origins, desired, &targets, is_own));
    }
    let mut inner = Vec::new();
    for origin in &origins {
        if target_of(origin, &targets).is_none() {
            info!(
                "the origin {} of the Cloudflare pool {name} belongs to no node; Daymark leaves it as it is",
                label(origin)
            );
        } else if !origin.is_tunnelled() && origin.address().parse().is_ok_and(|address| !is_public(address)) {
            inner.push(label(origin));
        }
    }
    if !inner.is_empty() {
        findings.push(format!(
            "the Cloudflare pool {name} has origins whose address is not public: {}; no client on the Internet reaches them, \
             and Cloudflare refuses them if a monitor is attached; use public addresses",
            inner.join(", ")
        ));
    }
    findings
}

/// Reports a pool that answers with none of its enabled origins, or with fewer than are enabled.
fn count_findings(pool: &CloudflarePool, origins: &[CloudflareOrigin]) -> Vec<String> {
    let name = pool.name();
    let mut findings = Vec::new();
    let (weightless, served): (Vec<_>, Vec<_>) =
        origins.iter().filter(|origin| origin.is_enabled()).partition(|origin| origin.is_weightless());
    if !weightless.is_empty() {
        let labels: Vec<String> = weightless.into_iter().map(label).collect();
        findings.push(format!(
            "origins of the Cloudflare pool {name} have the weight 0, so Cloudflare never answers with them, enabled or not: {}; \
             give them a weight above 0",
            labels.join(", ")
        ));
    }
    let minimum = pool.minimum_origins();
    let count = served.len();
    if u64::try_from(count).is_ok_and(|count| count < minimum) {
        findings.push(format!(
            "the Cloudflare pool {name} counts as unhealthy with fewer than {minimum} enabled origins, and has {count}; set its \
             `minimum_origins` to 1"
        ));
    }
    findings
}

/// Reports a node without an origin, or with several.
fn origin_findings(
    pool: &str,
    origins: &[CloudflareOrigin],
    desired: &DesiredTarget,
    targets: &[DesiredTarget],
    is_own: bool,
) -> Option<String> {
    let target = &desired.target;
    let belongs = |origin: &&CloudflareOrigin| target_of(origin, targets).is_some_and(|owner| owner.target == *target);
    let labels: Vec<String> = origins.iter().filter(belongs).map(label).collect();
    match labels.as_slice() {
        [_] => None,
        [] if is_own => None,
        [] => Some(format!("no origin of the Cloudflare pool {pool} belongs to the node {target}; add one")),
        several => Some(format!(
            "several origins of the Cloudflare pool {pool} belong to the node {target}: {}; keep one of them",
            several.join(", ")
        )),
    }
}

/// Findings about the balancer of a name. In a setup of Daymark's own (`is_own`), Daymark creates it and corrects it.
pub(super) fn balancer_findings(
    served: &Served,
    pool: &CloudflarePool,
    pools: &[CloudflarePool],
    balancers: &[Balancer],
    is_own: bool,
) -> Vec<String> {
    let Served { pool: name, port, detection } = served;
    let mut findings = Vec::new();
    let Some(balancer) = balancers.iter().find(|balancer| balancer.is_of(name)) else {
        let missing =
            || format!("the zone has no load balancer {name}; create one with the Cloudflare pool {}", pool.name());
        return (!is_own).then(missing).into_iter().collect();
    };
    if !is_own {
        findings.extend(use_findings(name, pool, balancer));
    }
    for (is_set, field) in [(balancer.has_rules(), "rules"), (balancer.has_pool_sets(), "pool_sets")] {
        if is_set {
            findings.push(format!(
                "the load balancer {name} has `{field}`, which may choose other pools and origins than Daymark switches; remove \
                 them"
            ));
        }
    }
    if !is_own && balancer.is_proxied() && !PROXY_PORTS.contains(port) {
        let passed: Vec<String> = PROXY_PORTS.iter().map(ToString::to_string).collect();
        findings.push(format!(
            "the load balancer {name} is proxied, and Cloudflare's proxy does not pass port {port}, only {}; set it to DNS only",
            passed.join(", ")
        ));
    }
    let fallback = pools.iter().find(|pool| pool.id() == balancer.fallback_pool());
    if let Some(fallback) = fallback.filter(|pool| !pool.is_enabled()) {
        findings.push(format!(
            "the fallback pool {} of the load balancer {name} is disabled, so the name has no address when no pool is healthy; \
             enable it",
            fallback.name()
        ));
    }
    let ttl = Duration::from_secs(balancer.ttl().unwrap_or_default());
    if !balancer.is_proxied() && *detection + ttl > CLIENTS_NOTICE {
        findings.push(format!(
            "the load balancer {name} has a TTL of {}s, and a failure is detected within {}s, so clients may use a \
             dead node longer than the {}s after which they notice by themselves; shorten the TTL",
            ttl.as_secs(),
            detection.as_secs_f64(),
            CLIENTS_NOTICE.as_secs()
        ));
    }
    findings
}

/// Reports a balancer of the operator's that does not answer with the pool.
fn use_findings(name: &PoolName, pool: &CloudflarePool, balancer: &Balancer) -> Vec<String> {
    let mut findings = Vec::new();
    if !balancer.is_enabled() {
        findings.push(format!(
            "the load balancer {name} is disabled, so Cloudflare answers with the records of the name or not at all; enable it"
        ));
    }
    if !balancer.uses(pool.id()) {
        findings
            .push(format!("the load balancer {name} does not use the Cloudflare pool {}; add it there", pool.name()));
    } else if balancer.only_falls_back_to(pool.id()) {
        findings.push(format!(
            "the load balancer {name} uses the Cloudflare pool {} only as its fallback, whose switches Cloudflare ignores until no \
             other pool is healthy; add it to the default pools",
            pool.name()
        ));
    }
    findings
}
