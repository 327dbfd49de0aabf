//! Fixture: a fake of Cloudflare with one name, three nodes, and every way to publish it.

use std::collections::BTreeSet;
use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use daymark_cloudflare::{CallSettings, Cloudflare, CloudflareSettings, Manage, PublishMode, Served, TokenSource};
use daymark_decision::fixtures::pool_name;
use daymark_decision::{Decision, PoolName};
use daymark_fake_cloudflare::{Example, FakeCloudflare};
use daymark_provider::contract::{self, PublishedReader};
use daymark_provider::{ApplyError, RemoteProvider};
use serde_json::Value;
use tempfile::TempDir;

pub const NAME: &str = "lb.kube-cp.com";
pub const ONE: &str = "192.0.2.1";
pub const TWO: &str = "192.0.2.2";
pub const THREE: &str = "2001:db8::3";
/// Addresses without findings: those above are for documentation, which the checks report. Nothing connects to them.
pub const PUBLIC: [&str; 3] = ["203.0.112.1", "203.0.112.2", "2001:db7::3"];

pub struct Fixture {
    pub cloudflare: FakeCloudflare,
    pub ids: Example,
    files: TempDir,
}

impl Fixture {
    /// The zone kube-cp.com, with a Load Balancing pool `kube-cp` that has an origin for each node of the contract, all
    /// enabled, and a balancer.
    pub async fn new() -> Self {
        let cloudflare = FakeCloudflare::start().await;
        let ids = cloudflare.store().example();
        cloudflare.store().pool(&ids.pool)["origins"][2]["address"] = THREE.into();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("token"), cloudflare.token() + "\n").unwrap();
        Self { cloudflare, ids, files }
    }

    /// The same with public addresses.
    pub async fn public() -> Self {
        let fixture = Self::new().await;
        {
            let mut store = fixture.cloudflare.store();
            let origins = store.pool(&fixture.ids.pool)["origins"].as_array_mut().unwrap();
            origins.iter_mut().zip(PUBLIC).for_each(|(origin, address)| origin["address"] = address.into());
        }
        fixture
    }

    /// The fixture of [`Fixture::new`] without the pool and the balancer.
    pub async fn without_balancing() -> Self {
        let fixture = Self::new().await;
        {
            let mut store = fixture.cloudflare.store();
            store.zones.get_mut(&fixture.ids.zone).unwrap().balancers.clear();
            store.accounts.get_mut(&fixture.ids.account).unwrap().pools.clear();
        }
        fixture
    }

    pub fn records(&self) -> Cloudflare {
        self.provider(PublishMode::Records { zone: Some("kube-cp.com".to_owned()), ttl: None })
    }

    pub fn pools(&self) -> Cloudflare {
        self.provider(self.balancing("kube-cp", Manage::Origins))
    }

    pub fn whole(&self) -> Cloudflare {
        self.provider(self.balancing("daymark-lb", Manage::Full { ttl: 30 }))
    }

    pub fn balancing(&self, pool: &str, manage: Manage) -> PublishMode {
        PublishMode::LoadBalancing {
            account: self.ids.account.clone(),
            zone: Some("kube-cp.com".to_owned()),
            cloudflare_pools: vec![pool.to_owned()],
            manage,
        }
    }

    pub fn provider(&self, mode: PublishMode) -> Cloudflare {
        self.provider_of(mode, None)
    }

    pub fn provider_of(&self, mode: PublishMode, memory: Option<Value>) -> Cloudflare {
        Cloudflare::new(self.settings(mode), memory).unwrap()
    }

    /// The settings of a provider of the pool [`NAME`].
    pub fn settings(&self, mode: PublishMode) -> CloudflareSettings {
        CloudflareSettings {
            name: "cloudflare".to_owned(),
            calls: CallSettings {
                api: self.cloudflare.api(),
                token: TokenSource::File(self.files.path().join("token")),
                timeout: Duration::from_secs(30),
                share: 100,
            },
            owner: None,
            drift_interval: Duration::from_mins(5),
            pools: vec![Served { pool: pool_name(NAME), port: 6443, detection: Duration::from_secs(5) }],
            mode,
        }
    }

    pub fn write_token(&self, token: &str) {
        std::fs::write(self.files.path().join("token"), token).unwrap();
    }

    /// The pool `kube-cp`, or the one of this name.
    pub fn pool(&self, name: &str) -> Value {
        let store = self.cloudflare.store();
        let mut pools = store.accounts[&self.ids.account].pools.values();
        pools.find(|pool| pool["name"] == name).expect("a pool of this name").clone()
    }

    /// Changes the origin of this name as the dashboard does.
    pub fn edit_origin(&self, pool: &str, origin: &str, field: &str, value: impl Into<Value>) {
        let mut store = self.cloudflare.store();
        let id = pool.to_owned();
        let origins = store.pool(&id)["origins"].as_array_mut().unwrap();
        origins.iter_mut().find(|candidate| candidate["name"] == origin).expect("an origin of this name")[field] =
            value.into();
    }

    /// The addresses of the enabled origins of the pool of this name.
    pub fn enabled(&self, pool: &str) -> BTreeSet<IpAddr> {
        let pool = self.pool(pool);
        let origins = pool["origins"].as_array().unwrap().iter();
        origins
            .filter(|origin| origin.get("enabled") != Some(&false.into()))
            .map(|origin| origin["address"].as_str().unwrap().parse().unwrap())
            .collect()
    }

    /// The A and AAAA records of the name that an unproxied answer holds.
    pub fn resolved(&self) -> BTreeSet<IpAddr> {
        let store = self.cloudflare.store();
        let records = store.zones[&self.ids.zone].records.values();
        records
            .filter(|record| record["name"] == NAME)
            .filter_map(|record| record["content"].as_str()?.parse().ok())
            .collect()
    }

    /// The calls so far that write: method and path.
    pub fn writes(&self) -> Vec<String> {
        let calls = self.cloudflare.calls();
        calls.iter().filter(|call| call.method != "GET").map(|call| format!("{} {}", call.method, call.path)).collect()
    }
}

/// A decision that answers with these of the addresses.
pub fn decision(generation: u64, addresses: &[&str]) -> Decision {
    contract::decision(&pool_name(NAME), generation, addresses)
}

/// A decision that answers with every public address.
pub fn public(generation: u64) -> Decision {
    let nodes =
        ["node-1", "node-2", "node-3"].into_iter().zip(PUBLIC).map(|(node, address)| contract::node_in(node, address));
    Decision { answers: vec![contract::answer(&pool_name(NAME), generation, nodes)], generation }
}

pub fn addresses(list: &[&str]) -> BTreeSet<IpAddr> {
    list.iter().map(|address| address.parse().unwrap()).collect()
}

pub async fn publish(provider: &Cloudflare, generation: u64, addresses: &[&str]) {
    provider.apply(&decision(generation, addresses)).await.outcome.expect("it is published");
}

/// The message of an error, with its causes.
pub fn message_of(error: &ApplyError) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Reads the addresses of a name from its records.
pub struct ByRecords<'a>(pub &'a Fixture);

impl PublishedReader for ByRecords<'_> {
    async fn addresses(&self, _: &PoolName) -> BTreeSet<IpAddr> {
        self.0.resolved()
    }
}

/// Reads the addresses of a name from the enabled origins of this pool.
pub struct ByPool<'a>(pub &'a Fixture, pub &'static str);

impl PublishedReader for ByPool<'_> {
    async fn addresses(&self, _: &PoolName) -> BTreeSet<IpAddr> {
        self.0.enabled(self.1)
    }
}
