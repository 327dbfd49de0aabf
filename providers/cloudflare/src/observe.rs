//! Observes the remote state of one pool.

use std::collections::BTreeMap;

use daymark_decision::{Answer, PoolName};
use parking_lot::Mutex;

use crate::api::{Balancer, CloudflarePool, CloudflareZone, Record, Reference, records_path};
use crate::client::{Call, Client};
use crate::drift::PublishedEntries;
use crate::fault::PoolFault;
use crate::finding::CloudflareFinding;
use crate::mark::Mark;
use crate::plan::balancer::{ObservedSetup, Setup};
use crate::plan::records::RecordSet;
use crate::plan::{Plan, balancer, origins, records};
use crate::settings::{CloudflareSettings, Manage, PublishMode, RECORD_TTL, RECORD_TTL_ENTERPRISE, is_id};

/// Reads the objects of Cloudflare that the settings name.
pub(crate) struct Observer {
    pub(crate) client: Client,
    pub(crate) settings: CloudflareSettings,
    pub(crate) mark: Mark,
    /// The TTLs of the names in seconds, as they were last read or are written.
    pub(crate) ttls: Mutex<BTreeMap<PoolName, u32>>,
    /// The zones that were looked up, by name or ID.
    pub(crate) zones: Mutex<BTreeMap<String, Vec<CloudflareZone>>>,
}

/// The remote state of one pool.
pub(crate) enum RemoteState<'a> {
    /// The DNS records of its name, and those that delegate it.
    Records { set: RecordSet<'a>, records: Vec<Record> },
    /// A Load Balancing pool whose origins Daymark switches.
    Origins { path: String, pool: CloudflarePool },
    /// A Load Balancing setup that is Daymark's own.
    Setup { setup: Setup<'a>, observed: ObservedSetup },
}

impl RemoteState<'_> {
    /// Plans the edits that lead from this state to the answer.
    pub(crate) fn plan(&self, answer: &Answer, published: &PublishedEntries) -> Plan {
        match self {
            Self::Records { set, records } => records::plan(set, answer, records, published),
            Self::Origins { path, pool } => origins::plan_switches(path, pool, answer, published),
            Self::Setup { setup, observed } => balancer::plan(setup, answer, observed, published),
        }
    }
}

impl Observer {
    pub(crate) fn new(client: Client, settings: CloudflareSettings) -> Self {
        let mark = Mark { owner: settings.owner.clone() };
        Self { client, settings, mark, ttls: Mutex::default(), zones: Mutex::default() }
    }

    /// Reads the remote state of the pool of this answer.
    pub(crate) async fn observe(&self, answer: &Answer) -> Result<RemoteState<'_>, PoolFault> {
        match &self.settings.mode {
            PublishMode::Records { ttl, .. } => {
                let found = self.zone(&answer.pool).await?;
                let nearer = found.nearer_finding(&answer.pool);
                let zone = found.zone;
                zone.ensure_writable()?;
                let path = records_path(&zone);
                let mut records = self.records(&path, answer.pool.as_str()).await?;
                records.extend(self.delegations(&answer.pool, &zone).await?);
                let ttl = record_ttl(*ttl, &zone);
                self.note_ttl(&answer.pool, Some(ttl));
                let set = RecordSet { path, ttl, mark: &self.mark, is_apex: zone.is_apex(&answer.pool), nearer };
                Ok(RemoteState::Records { set, records })
            }
            PublishMode::LoadBalancing { account, manage: Manage::Full { ttl }, .. } => {
                let found = self.zone(&answer.pool).await?;
                let nearer = found.nearer_finding(&answer.pool);
                let zone = found.zone;
                let setup = Setup {
                    pools: pools_path(account),
                    balancers: balancers_path(&zone),
                    name: self.cloudflare_pool_name(answer),
                    ttl: *ttl,
                    mark: &self.mark,
                    nearer,
                };
                let pool = if is_id(setup.name) {
                    Some(self.existing_pool(account, setup.name).await?)
                } else {
                    self.pools(account).await?.into_iter().find(|pool| pool.name() == setup.name)
                };
                let balancers = self.balancers(&zone).await?;
                let balancer = balancers.into_iter().find(|balancer| balancer.is_of(&answer.pool));
                self.note_ttl(&answer.pool, Some(*ttl));
                Ok(RemoteState::Setup { setup, observed: ObservedSetup { pool, balancer } })
            }
            PublishMode::LoadBalancing { account, manage: Manage::Origins, .. } => {
                let pool = self.existing_pool(account, self.cloudflare_pool_name(answer)).await?;
                let path = format!("{}/{}", pools_path(account), pool.id());
                Ok(RemoteState::Origins { path, pool })
            }
        }
    }

    /// Notes the TTL of a name for the status; `None` if it has none, as behind a proxied balancer.
    pub(crate) fn note_ttl(&self, pool: &PoolName, ttl: Option<u32>) {
        let mut ttls = self.ttls.lock();
        match ttl {
            Some(ttl) => ttls.insert(pool.clone(), ttl),
            None => ttls.remove(pool),
        };
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
        let known = pools.iter().map(|pool| pool.name().to_owned()).collect();
        Err(CloudflareFinding::PoolMissing { name: name.to_owned(), known }.into())
    }

    /// Reads every pool of the account.
    pub(crate) async fn pools(&self, account: &str) -> Result<Vec<CloudflarePool>, PoolFault> {
        Ok(self.client.list(Call::ReadPool, &pools_path(account), &[]).await?)
    }

    /// Reads the objects that use a pool.
    pub(crate) async fn references(&self, account: &str, pool: &CloudflarePool) -> Result<Vec<Reference>, PoolFault> {
        let path = format!("{}/{}/references", pools_path(account), pool.id());
        Ok(self.client.list(Call::ReadPool, &path, &[]).await?)
    }

    /// Reads every load balancer of a zone.
    pub(crate) async fn balancers(&self, zone: &CloudflareZone) -> Result<Vec<Balancer>, PoolFault> {
        Ok(self.client.list(Call::ReadBalancer, &balancers_path(zone), &[]).await?)
    }

    /// Reads the records of a name.
    pub(crate) async fn records(&self, path: &str, name: &str) -> Result<Vec<Record>, PoolFault> {
        Ok(self.client.list(Call::ReadRecords, path, &[("name", name)]).await?)
    }

    /// The name or ID of the Cloudflare pool of an answer.
    pub(crate) fn cloudflare_pool_name(&self, answer: &Answer) -> &str {
        let PublishMode::LoadBalancing { cloudflare_pools, .. } = &self.settings.mode else { return "" };
        let names = self.settings.pools.iter().zip(cloudflare_pools);
        names.filter(|(served, _)| served.pool == answer.pool).map(|(_, name)| name.as_str()).next().unwrap_or_default()
    }
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
