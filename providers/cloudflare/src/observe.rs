//! Observes the remote state of one pool.

use daymark_decision::Answer;
use parking_lot::Mutex;

use crate::api::{Balancer, CloudflarePool, CloudflareZone, Record, ZonePlan};
use crate::client::{Call, Client, Retry};
use crate::drift::PublishedEntries;
use crate::fault::PoolFault;
use crate::plan::balancer::{ObservedSetup, Setup};
use crate::plan::{Plan, balancer, origins, records};
use crate::settings::{CloudflareSettings, Manage, PublishMode, RECORD_TTL, RECORD_TTL_ENTERPRISE, is_id};

/// Reads the objects of Cloudflare that the settings name.
pub(crate) struct Observer {
    pub(crate) client: Client,
    pub(crate) settings: CloudflareSettings,
    /// The zone, once it is found.
    zone: Mutex<Option<CloudflareZone>>,
}

/// The remote state of one pool.
pub(crate) enum RemoteState<'a> {
    /// The DNS records of its name.
    Records { path: String, ttl: u32, records: Vec<Record> },
    /// A Load Balancing pool whose origins Daymark switches.
    Origins { path: String, pool: CloudflarePool },
    /// A Load Balancing setup that is Daymark's own.
    Setup { setup: Setup<'a>, observed: ObservedSetup },
}

impl RemoteState<'_> {
    /// Plans the edits that lead from this state to the answer.
    pub(crate) fn plan(&self, answer: &Answer, published: &PublishedEntries) -> Plan {
        match self {
            Self::Records { path, ttl, records } => records::plan(path, *ttl, answer, records, published),
            Self::Origins { path, pool } => origins::plan_switches(path, pool, answer, published),
            Self::Setup { setup, observed } => balancer::plan(setup, answer, observed, published),
        }
    }
}

impl Observer {
    pub(crate) fn new(client: Client, settings: CloudflareSettings) -> Self {
        Self { client, settings, zone: Mutex::new(None) }
    }

    /// Reads the remote state of the pool of this answer.
    pub(crate) async fn observe(&self, answer: &Answer) -> Result<RemoteState<'_>, PoolFault> {
        match &self.settings.mode {
            PublishMode::Records { zone, ttl } => {
                let zone = self.zone(zone).await?;
                let path = format!("/zones/{}/dns_records", zone.id);
                let records = self.records(&path, answer.pool.as_str()).await?;
                Ok(RemoteState::Records { path, ttl: record_ttl(*ttl, &zone), records })
            }
            PublishMode::LoadBalancing { account, zone, manage: Manage::Full { ttl }, .. } => {
                let zone = self.zone(zone.as_deref().unwrap_or_default()).await?;
                let setup = Setup {
                    pools: pools_path(account),
                    balancers: balancers_path(&zone),
                    name: self.cloudflare_pool_name(answer),
                    ttl: *ttl,
                };
                let pool = if is_id(setup.name) {
                    Some(self.existing_pool(account, setup.name).await?)
                } else {
                    self.pools(account).await?.into_iter().find(|pool| pool.name() == setup.name)
                };
                let balancers = self.balancers(&zone).await?;
                let balancer = balancers.into_iter().find(|balancer| balancer.name() == answer.pool.as_str());
                Ok(RemoteState::Setup { setup, observed: ObservedSetup { pool, balancer } })
            }
            PublishMode::LoadBalancing { account, manage: Manage::Origins, .. } => {
                let pool = self.existing_pool(account, self.cloudflare_pool_name(answer)).await?;
                let path = format!("{}/{}", pools_path(account), pool.id());
                Ok(RemoteState::Origins { path, pool })
            }
        }
    }

    /// Reads a pool of the account by its ID or its name. Fails if there is none.
    pub(crate) async fn existing_pool(&self, account: &str, name: &str) -> Result<CloudflarePool, PoolFault> {
        if is_id(name) {
            return Ok(self.client.get(Call::ReadPool, &format!("{}/{name}", pools_path(account))).await?);
        }
        let pools = self.pools(account).await?;
        if let Some(pool) = pools.iter().find(|pool| pool.name() == name) {
            return Ok(pool.clone());
        }
        let names: Vec<&str> = pools.iter().map(CloudflarePool::name).collect();
        let known = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
        Err(PoolFault::Blocked(format!("the account has no Cloudflare pool {name}; {known}")))
    }

    /// Reads every pool of the account.
    pub(crate) async fn pools(&self, account: &str) -> Result<Vec<CloudflarePool>, PoolFault> {
        Ok(self.client.list(Call::ReadPool, &pools_path(account), &[]).await?)
    }

    /// Reads every load balancer of a zone.
    pub(crate) async fn balancers(&self, zone: &CloudflareZone) -> Result<Vec<Balancer>, PoolFault> {
        Ok(self.client.list(Call::ReadBalancer, &balancers_path(zone), &[]).await?)
    }

    /// The zone by its ID or its name. It is looked up once.
    pub(crate) async fn zone(&self, zone: &str) -> Result<CloudflareZone, PoolFault> {
        let known = self.zone.lock().clone();
        match known {
            Some(zone) => Ok(zone),
            None => self.zone_now(zone).await,
        }
    }

    /// Looks the zone up now.
    pub(crate) async fn zone_now(&self, zone: &str) -> Result<CloudflareZone, PoolFault> {
        let found = self.find_zone(zone).await?;
        *self.zone.lock() = Some(found.clone());
        Ok(found)
    }

    /// Looks the zone up again next time, because it may be another one now.
    pub(crate) fn forget_zone(&self) {
        *self.zone.lock() = None;
    }

    async fn find_zone(&self, zone: &str) -> Result<CloudflareZone, PoolFault> {
        if is_id(zone) {
            let unread =
                CloudflareZone { id: zone.to_owned(), name: String::new(), status: None, plan: ZonePlan::default() };
            // Its plan and its status are useful, but a token that may not read them is good enough.
            return match self.client.get(Call::ReadZone, &format!("/zones/{zone}")).await {
                Ok(found) => Ok(found),
                Err(error) if error.retry() == Retry::Operator => Ok(unread),
                Err(error) => Err(error.into()),
            };
        }
        let mut query = vec![("name", zone)];
        // Two accounts may have a zone of the same name.
        if let PublishMode::LoadBalancing { account, .. } = &self.settings.mode {
            query.push(("account.id", account));
        }
        let found: Vec<CloudflareZone> = self.client.list(Call::ReadZone, "/zones", &query).await?;
        select_zone(zone, found.into_iter().filter(|found| found.name.eq_ignore_ascii_case(zone)).collect())
    }

    async fn records(&self, path: &str, name: &str) -> Result<Vec<Record>, PoolFault> {
        Ok(self.client.list(Call::ReadRecords, path, &[("name", name)]).await?)
    }

    /// The name or ID of the Cloudflare pool of an answer.
    pub(crate) fn cloudflare_pool_name(&self, answer: &Answer) -> &str {
        let PublishMode::LoadBalancing { cloudflare_pools, .. } = &self.settings.mode else { return "" };
        let names = self.settings.pools.iter().zip(cloudflare_pools);
        names.filter(|(served, _)| served.pool == answer.pool).map(|(_, name)| name.as_str()).next().unwrap_or_default()
    }
}

/// Selects the zone of a name: the active one, if there are several.
fn select_zone(name: &str, mut zones: Vec<CloudflareZone>) -> Result<CloudflareZone, PoolFault> {
    if zones.iter().any(CloudflareZone::is_active) {
        zones.retain(CloudflareZone::is_active);
    }
    let ids: Vec<&str> = zones.iter().map(|zone| zone.id.as_str()).collect();
    if ids.len() > 1 {
        let ids = ids.join(", ");
        return Err(PoolFault::Blocked(format!(
            "the token sees several zones {name}; set `zone` to the ID of the right one: {ids}"
        )));
    }
    zones.pop().ok_or_else(|| {
        PoolFault::Blocked(format!(
            "the token sees no zone {name}; check the name, and check that the token has the permission {} for this \
             zone",
            Call::ReadZone.permission().unwrap_or_default()
        ))
    })
}

fn pools_path(account: &str) -> String {
    format!("/accounts/{account}/load_balancers/pools")
}

fn balancers_path(zone: &CloudflareZone) -> String {
    format!("/zones/{}/load_balancers", zone.id)
}

/// The TTL of records in seconds: the configured one, or the least that the zone allows if that is more.
pub(crate) fn record_ttl(configured: Option<u32>, zone: &CloudflareZone) -> u32 {
    let least = if zone.is_enterprise() { RECORD_TTL_ENTERPRISE } else { RECORD_TTL };
    configured.unwrap_or(least).max(least)
}
