//! What stands at Cloudflare now, read for one pool.

use daymark_decision::Answer;
use parking_lot::Mutex;

use crate::api::{Balancer, CloudflarePool, Record, Zone};
use crate::client::{Call, Client};
use crate::fault::Fault;
use crate::ledger::Shown;
use crate::plan::balancer::{Seen, Setup};
use crate::plan::{Plan, balancer, origins, records, wanted};
use crate::settings::{Manage, Mode, RECORD_TTL, RECORD_TTL_ENTERPRISE, Settings, is_id};

/// Reads what stands, and plans on it.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    /// The zone, once it is found.
    zone: Mutex<Option<Zone>>,
}

impl World {
    pub(crate) fn new(client: Client, settings: Settings) -> Self {
        Self { client, settings, zone: Mutex::new(None) }
    }

    /// What it takes to show an answer.
    pub(crate) async fn plan(&self, answer: &Answer, shown: &Shown) -> Result<Plan, Fault> {
        match &self.settings.mode {
            Mode::Records { zone, ttl } => {
                let zone = self.zone(zone).await?;
                let path = format!("/zones/{}/dns_records", zone.id);
                let seen = self.records(&path, answer.pool.as_str()).await?;
                Ok(records::plan(&path, record_ttl(*ttl, &zone), answer, &seen, shown))
            }
            Mode::LoadBalancing { account, zone, manage: Manage::Full { ttl }, .. } => {
                let zone = self.zone(zone.as_deref().unwrap_or_default()).await?;
                let setup = Setup {
                    pools: pools(account),
                    balancers: format!("/zones/{}/load_balancers", zone.id),
                    name: self.cloudflare_pool_name(answer),
                    ttl: *ttl,
                };
                let pool = if is_id(setup.name) {
                    Some(self.existing_pool(account, setup.name).await?)
                } else {
                    self.pools(account).await?.into_iter().find(|it| it.name() == setup.name)
                };
                let balancer = self.balancers(&zone).await?.into_iter().find(|it| it.name() == answer.pool.as_str());
                Ok(balancer::plan(&setup, answer, &Seen { pool, balancer }, shown))
            }
            Mode::LoadBalancing { account, manage: Manage::Origins, .. } => {
                let pool = self.existing_pool(account, self.cloudflare_pool_name(answer)).await?;
                let path = format!("{}/{}", pools(account), pool.id());
                Ok(origins::switches(&answer.pool, &path, &pool, &wanted(answer), shown))
            }
        }
    }

    /// A pool of the account by its ID or its name, which must be there.
    pub(crate) async fn existing_pool(&self, account: &str, name: &str) -> Result<CloudflarePool, Fault> {
        if is_id(name) {
            return Ok(self.client.get(Call::ReadPool, &format!("{}/{name}", pools(account))).await?);
        }
        let pools = self.pools(account).await?;
        if let Some(pool) = pools.iter().find(|it| it.name() == name) {
            return Ok(pool.clone());
        }
        let names: Vec<&str> = pools.iter().map(CloudflarePool::name).collect();
        let known = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
        Err(Fault::Problem(format!("the account has no Cloudflare pool {name}; {known}")))
    }

    /// Every pool of the account.
    pub(crate) async fn pools(&self, account: &str) -> Result<Vec<CloudflarePool>, Fault> {
        Ok(self.client.list(Call::ReadPool, &pools(account), &[]).await?)
    }

    /// Every load balancer of a zone.
    pub(crate) async fn balancers(&self, zone: &Zone) -> Result<Vec<Balancer>, Fault> {
        Ok(self.client.list(Call::ReadBalancer, &format!("/zones/{}/load_balancers", zone.id), &[]).await?)
    }

    /// The zone by its ID or its name; it is looked for once.
    pub(crate) async fn zone(&self, zone: &str) -> Result<Zone, Fault> {
        let known = self.zone.lock().clone();
        match known {
            Some(zone) => Ok(zone),
            None => self.zone_now(zone).await,
        }
    }

    /// The zone as it is now.
    pub(crate) async fn zone_now(&self, zone: &str) -> Result<Zone, Fault> {
        let found = self.find_zone(zone).await?;
        *self.zone.lock() = Some(found.clone());
        Ok(found)
    }

    /// Looks for the zone anew the next time, for it may be another one now.
    pub(crate) fn forget_zone(&self) {
        *self.zone.lock() = None;
    }

    async fn find_zone(&self, zone: &str) -> Result<Zone, Fault> {
        if is_id(zone) {
            let unread =
                Zone { id: zone.to_owned(), name: String::new(), status: None, plan: crate::api::Plan::default() };
            // Its plan and its state are good to know, and no reason to stop where the token may not read them.
            return match self.client.get(Call::ReadZone, &format!("/zones/{zone}")).await {
                Ok(found) => Ok(found),
                Err(error) if error.retry() == crate::client::Retry::Operator => Ok(unread),
                Err(error) => Err(error.into()),
            };
        }
        let mut query = vec![("name", zone)];
        // Two accounts may have a zone of the same name.
        if let Mode::LoadBalancing { account, .. } = &self.settings.mode {
            query.push(("account.id", account));
        }
        let found: Vec<Zone> = self.client.list(Call::ReadZone, "/zones", &query).await?;
        the_one(zone, found.into_iter().filter(|it| it.name.eq_ignore_ascii_case(zone)).collect())
    }

    async fn records(&self, path: &str, name: &str) -> Result<Vec<Record>, Fault> {
        Ok(self.client.list(Call::ReadRecords, path, &[("name", name)]).await?)
    }

    /// What Cloudflare calls the pool of an answer.
    pub(crate) fn cloudflare_pool_name(&self, answer: &Answer) -> &str {
        let Mode::LoadBalancing { cloudflare_pools, .. } = &self.settings.mode else { return "" };
        let names = self.settings.pools.iter().zip(cloudflare_pools);
        names.filter(|(served, _)| served.pool == answer.pool).map(|(_, name)| name.as_str()).next().unwrap_or_default()
    }
}

/// The zone of a name: the one that is in use, where there are several.
fn the_one(name: &str, mut zones: Vec<Zone>) -> Result<Zone, Fault> {
    if zones.iter().any(Zone::is_active) {
        zones.retain(Zone::is_active);
    }
    let ids: Vec<&str> = zones.iter().map(|it| it.id.as_str()).collect();
    if ids.len() > 1 {
        let ids = ids.join(", ");
        return Err(Fault::Problem(format!(
            "the token sees several zones {name}, and which is meant cannot be known; give the ID of one as `zone`: {ids}"
        )));
    }
    zones.pop().ok_or_else(|| {
        Fault::Problem(format!(
            "the token sees no zone {name}; check the name, and that the token includes the zone with the permission {}",
            Call::ReadZone.permission()
        ))
    })
}

fn pools(account: &str) -> String {
    format!("/accounts/{account}/load_balancers/pools")
}

/// The TTL of records: what is asked for, as far as the zone allows it.
pub(crate) fn record_ttl(asked: Option<u32>, zone: &Zone) -> u32 {
    let least = if zone.is_enterprise() { RECORD_TTL_ENTERPRISE } else { RECORD_TTL };
    asked.unwrap_or(least).max(least)
}
