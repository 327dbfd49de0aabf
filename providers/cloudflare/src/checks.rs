//! Findings for the operator, from asking Cloudflare.

use std::time::Duration;

use daymark_decision::{Answer, Decision};
use daymark_provider::CLIENTS_NOTICE;
use tracing::info;

use crate::api::{Balancer, CloudflareOrigin, CloudflarePool, CloudflareZone, TokenStatus};
use crate::client::{Call, CallError};
use crate::fault::PoolFault;
use crate::observe::{Observer, record_ttl};
use crate::plan::origins::{label, target_of};
use crate::plan::{DesiredTarget, desired_targets};
use crate::public::is_public;
use crate::settings::{Manage, PublishMode, Served};

/// The ports on which Cloudflare's proxy passes HTTPS.
const PROXY_PORTS: [u16; 6] = [443, 2053, 2083, 2087, 2096, 8443];

impl Observer {
    /// Returns the findings as sentences that say what to do. `None` if Cloudflare cannot be asked now.
    pub(crate) async fn findings(&self, decision: &Decision, has_published: bool) -> Option<Vec<String>> {
        let source = &self.settings.calls.token;
        match self.client.get::<TokenStatus>(Call::VerifyToken, "/user/tokens/verify").await {
            Ok(token) if token.status == "active" => {}
            Ok(TokenStatus { status }) => {
                return Some(vec![format!(
                    "the token in {source} is {status}; create a new token, or activate this one"
                )]);
            }
            // Without a token nothing can be asked, and publishing reports that already.
            Err(CallError::Token { .. }) => return Some(Vec::new()),
            Err(error) => {
                let finding = lasting(&PoolFault::Call(error))?;
                // Only a user's token can be verified, not an account's. A token that has published is good enough.
                if !has_published {
                    return Some(vec![finding]);
                }
            }
        }
        match &self.settings.mode {
            PublishMode::Records { zone, ttl } => match self.zone_now(zone).await {
                Ok(zone) => Some(zone_findings(&zone, *ttl)),
                Err(fault) => Some(vec![lasting(&fault)?]),
            },
            PublishMode::LoadBalancing { account, zone, manage, .. } => {
                self.balancing_findings(account, zone.as_deref(), *manage, decision).await
            }
        }
    }

    async fn balancing_findings(
        &self,
        account: &str,
        zone: Option<&str>,
        manage: Manage,
        decision: &Decision,
    ) -> Option<Vec<String>> {
        // Daymark corrects a setup of its own, or publishing reports why it cannot.
        let is_own = manage != Manage::Origins;
        let mut findings = Vec::new();
        let pools = match self.pools(account).await {
            Ok(pools) => pools,
            Err(fault) => return Some(vec![lasting(&fault)?]),
        };
        let mut balancers = None;
        if let Some(zone) = zone {
            match self.zone_and_balancers(zone).await {
                Ok((zone, of_zone)) => {
                    findings.extend(inactive(&zone));
                    balancers = Some(of_zone);
                }
                Err(fault) => findings.push(lasting(&fault)?),
            }
        }
        for served in &self.settings.pools {
            let Some(answer) = decision.answer(&served.pool) else { continue };
            let name = self.cloudflare_pool_name(answer);
            // Publishing reports a missing pool.
            let Some(pool) = pools.iter().find(|pool| pool.name() == name || pool.id() == name) else { continue };
            findings.extend(pool_findings(pool, answer, is_own));
            if let Some(balancers) = &balancers {
                findings.extend(balancer_findings(served, pool, &pools, balancers, is_own));
            }
        }
        Some(findings)
    }

    async fn zone_and_balancers(&self, zone: &str) -> Result<(CloudflareZone, Vec<Balancer>), PoolFault> {
        let zone = self.zone_now(zone).await?;
        let balancers = self.balancers(&zone).await?;
        Ok((zone, balancers))
    }
}

/// A fault as a finding. `None` if it may pass without an operator.
fn lasting(fault: &PoolFault) -> Option<String> {
    (!fault.is_temporary()).then(|| fault.to_string())
}

fn zone_findings(zone: &CloudflareZone, configured: Option<u32>) -> Vec<String> {
    let ttl = record_ttl(configured, zone);
    let raised = configured.filter(|configured| *configured < ttl).map(|configured| {
        format!("the records have a TTL of {ttl}s, because the zone does not allow {configured}s; set `ttl` to {ttl}s or more")
    });
    inactive(zone).into_iter().chain(raised).collect()
}

/// Reports a zone whose name servers are not Cloudflare's yet.
fn inactive(zone: &CloudflareZone) -> Option<String> {
    let status = zone.status.as_deref().filter(|status| *status != "active")?;
    Some(format!(
        "the zone {} is {status}, so no resolver asks Cloudflare for its names; delegate it to Cloudflare's name servers at its registrar",
        zone.name
    ))
}

/// Findings about a pool. In a setup of Daymark's own (`is_own`), Daymark creates the origins and enables the pool.
fn pool_findings(pool: &CloudflarePool, answer: &Answer, is_own: bool) -> Vec<String> {
    let name = pool.name();
    let targets = desired_targets(answer);
    let origins = pool.origins();
    let mut findings = Vec::new();
    if !is_own && !pool.is_enabled() {
        findings.push(format!(
            "the Cloudflare pool {name} is disabled, so no load balancer answers with it; enable the pool"
        ));
    }
    if pool.has_monitor() {
        findings.push(format!(
            "the Cloudflare pool {name} has a monitor, which cannot verify a private CA and counts an origin of \
             unknown health as down; detach the monitor, because Daymark probes the nodes itself"
        ));
    }
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
fn balancer_findings(
    served: &Served,
    pool: &CloudflarePool,
    pools: &[CloudflarePool],
    balancers: &[Balancer],
    is_own: bool,
) -> Vec<String> {
    let Served { pool: name, port, detection } = served;
    let mut findings = Vec::new();
    let Some(balancer) = balancers.iter().find(|balancer| balancer.name() == name.as_str()) else {
        let missing =
            || format!("the zone has no load balancer {name}; create one with the Cloudflare pool {}", pool.name());
        return (!is_own).then(missing).into_iter().collect();
    };
    if !is_own && !balancer.uses(pool.id()) {
        findings
            .push(format!("the load balancer {name} does not use the Cloudflare pool {}; add it there", pool.name()));
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
