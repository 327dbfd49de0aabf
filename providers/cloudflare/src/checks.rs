//! What an operator should look at, found by asking Cloudflare.

use std::time::Duration;

use daymark_decision::{Answer, Decision};
use daymark_provider::CLIENTS_NOTICE;
use tracing::info;

use crate::api::{Balancer, CloudflarePool, Origin, TokenStatus, Zone};
use crate::client::{Call, CallError};
use crate::fault::Fault;
use crate::plan::origins::{label, target_of};
use crate::plan::{Wanted, wanted};
use crate::public::is_public;
use crate::settings::{Manage, Mode, RECORD_TTL, Served};
use crate::world::{World, record_ttl};

/// The ports that Cloudflare's proxy passes HTTPS on.
const PROXY_PORTS: [u16; 6] = [443, 2053, 2083, 2087, 2096, 8443];

impl World {
    /// What is wrong or doubtful, as sentences that say what to do; `None` where Cloudflare cannot be asked now.
    pub(crate) async fn findings(&self, decision: &Decision, has_published: bool) -> Option<Vec<String>> {
        let source = &self.settings.calls.token;
        match self.client.get::<TokenStatus>(Call::VerifyToken, "/user/tokens/verify").await {
            Ok(token) if token.status == "active" => {}
            Ok(TokenStatus { status }) => {
                return Some(vec![format!("the token in {source} is {status}; make a new one, or activate it again")]);
            }
            // Without a token nothing can be asked, and publishing says so already.
            Err(CallError::Token { .. }) => return Some(Vec::new()),
            Err(error) => {
                let finding = lasting(&Fault::Call(error))?;
                // Tokens of an account cannot be verified as those of a user can; one that has published is good enough.
                if !has_published {
                    return Some(vec![finding]);
                }
            }
        }
        match &self.settings.mode {
            Mode::Records { zone, ttl } => match self.zone_now(zone).await {
                Ok(zone) => Some(zone_findings(&zone, *ttl)),
                Err(fault) => Some(vec![lasting(&fault)?]),
            },
            Mode::LoadBalancing { account, zone, manage, .. } => {
                self.pool_findings(account, zone.as_deref(), *manage, decision).await
            }
        }
    }

    async fn pool_findings(
        &self,
        account: &str,
        zone: Option<&str>,
        manage: Manage,
        decision: &Decision,
    ) -> Option<Vec<String>> {
        // What Daymark keeps by itself, it sets right, or says in publishing why it cannot.
        let is_kept = manage != Manage::Origins;
        let mut findings = Vec::new();
        let pools = match self.pools(account).await {
            Ok(pools) => pools,
            Err(fault) => return Some(vec![lasting(&fault)?]),
        };
        let balancers = match zone {
            Some(zone) => match self.zone_and_balancers(zone).await {
                Ok((zone, balancers)) => {
                    findings.extend(inactive(&zone));
                    Some(balancers)
                }
                Err(fault) => {
                    findings.push(lasting(&fault)?);
                    None
                }
            },
            None => None,
        };
        for served in &self.settings.pools {
            let Some(answer) = decision.answer(&served.pool) else { continue };
            let called = self.cloudflare_pool_name(answer);
            // That it is missing is what publishing says.
            let Some(pool) = pools.iter().find(|it| it.name() == called || it.id() == called) else { continue };
            findings.extend(judge_pool(pool, answer, is_kept));
            if let Some(balancers) = &balancers {
                findings.extend(judge_balancers(served, pool, &pools, balancers, is_kept));
            }
        }
        Some(findings)
    }

    async fn zone_and_balancers(&self, zone: &str) -> Result<(Zone, Vec<Balancer>), Fault> {
        let zone = self.zone_now(zone).await?;
        let balancers = self.balancers(&zone).await?;
        Ok((zone, balancers))
    }
}

/// A fault as a finding; `None` where it may pass without the operator.
fn lasting(fault: &Fault) -> Option<String> {
    (!fault.is_passing()).then(|| fault.to_string())
}

fn zone_findings(zone: &Zone, asked: Option<u32>) -> Vec<String> {
    let ttl = record_ttl(asked, zone);
    let raised = asked.filter(|asked| *asked < ttl).map(|asked| {
        format!("the zone takes no TTL of {asked}s, only from {RECORD_TTL}s on, so the records have {ttl}s")
    });
    inactive(zone).into_iter().chain(raised).collect()
}

/// A zone whose name servers are not Cloudflare's yet.
fn inactive(zone: &Zone) -> Option<String> {
    let status = zone.status.as_deref().filter(|status| *status != "active")?;
    Some(format!(
        "the zone {} is {status}: nobody asks Cloudflare for its names until its registrar delegates to Cloudflare's servers",
        zone.name
    ))
}

/// `is_kept`: whether Daymark keeps its origins, and that it is enabled.
fn judge_pool(pool: &CloudflarePool, answer: &Answer, is_kept: bool) -> Vec<String> {
    let (name, targets, origins) = (pool.name(), wanted(answer), pool.origins());
    let mut findings = Vec::new();
    if !is_kept && !pool.is_enabled() {
        findings
            .push(format!("the Cloudflare pool {name} is disabled, and a balancer does not answer with it; enable it"));
    }
    if pool.has_monitor() {
        findings.push(format!(
            "the Cloudflare pool {name} has a monitor: an origin whose health Cloudflare does not know counts as down, and its \
             monitors cannot verify a CA of your own; detach it, for Daymark judges the nodes"
        ));
    }
    for Wanted { target, .. } in &targets {
        let belongs = |origin: &&Origin| target_of(origin, &targets).is_some_and(|it| it.target == *target);
        match origins.iter().filter(belongs).map(label).collect::<Vec<_>>().as_slice() {
            [] if is_kept => {}
            [] => {
                findings.push(format!("no origin of the Cloudflare pool {name} belongs to the node {target}; add one"));
            }
            [_] => {}
            several => findings.push(format!(
                "several origins of the Cloudflare pool {name} belong to the node {target}: {}; leave one",
                several.join(", ")
            )),
        }
    }
    let mut inside = Vec::new();
    for origin in &origins {
        if target_of(origin, &targets).is_none() {
            info!(
                "the origin {} of the Cloudflare pool {name} belongs to no node, and is left as it is",
                label(origin)
            );
        } else if !origin.is_tunnelled() && origin.address().parse().is_ok_and(|it| !is_public(it)) {
            inside.push(label(origin));
        }
    }
    if !inside.is_empty() {
        findings.push(format!(
            "the Cloudflare pool {name} has origins whose address is not public: {}; Cloudflare refuses such an address where a \
             monitor is attached, and no client on the Internet reaches it",
            inside.join(", ")
        ));
    }
    findings
}

/// `is_kept`: whether Daymark keeps that it is there, in front of the pool, and DNS only.
fn judge_balancers(
    served: &Served,
    pool: &CloudflarePool,
    pools: &[CloudflarePool],
    all: &[Balancer],
    is_kept: bool,
) -> Vec<String> {
    let Served { pool: name, port, detection } = served;
    let mut findings = Vec::new();
    let Some(balancer) = all.iter().find(|it| it.name() == name.as_str()) else {
        let missing =
            || format!("the zone has no load balancer {name}; make one with the Cloudflare pool {}", pool.name());
        return (!is_kept).then(missing).into_iter().collect();
    };
    if !is_kept && !balancer.uses(pool.id()) {
        findings
            .push(format!("the load balancer {name} does not use the Cloudflare pool {}; add it there", pool.name()));
    }
    if !is_kept && balancer.is_proxied() && !PROXY_PORTS.contains(port) {
        let passed: Vec<String> = PROXY_PORTS.iter().map(ToString::to_string).collect();
        findings.push(format!(
            "the load balancer {name} is proxied, and Cloudflare's proxy does not pass port {port}, only {}; set it to DNS only",
            passed.join(", ")
        ));
    }
    let fallback = pools.iter().find(|it| it.id() == balancer.fallback_pool());
    if let Some(fallback) = fallback.filter(|it| !it.is_enabled()) {
        findings.push(format!(
            "the fallback pool {} of the load balancer {name} is disabled, so without a healthy pool the name has no address; \
             enable it",
            fallback.name()
        ));
    }
    let ttl = Duration::from_secs(balancer.ttl().unwrap_or_default());
    if !balancer.is_proxied() && *detection + ttl > CLIENTS_NOTICE {
        findings.push(format!(
            "the load balancer {name} has a TTL of {}s: with up to {}s to find a failure, clients may keep a dead node longer \
             than the {}s after which they notice by themselves; shorten it",
            ttl.as_secs(),
            detection.as_secs_f64(),
            CLIENTS_NOTICE.as_secs()
        ));
    }
    findings
}
