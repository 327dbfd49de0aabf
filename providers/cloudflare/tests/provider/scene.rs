//! A world with one name, three nodes, and every way to publish it.

use std::collections::BTreeSet;
use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use daymark_cloudflare::{CallSettings, Cloudflare, Manage, Mode, Served, Settings, TokenSource};
use daymark_decision::{Decision, PoolName};
use daymark_fake_cloudflare::{Example, FakeCloudflare};
use daymark_provider::contract::{self, Observed};
use daymark_provider::{Provider, PublishError};
use serde_json::Value;
use tempfile::TempDir;

pub const NAME: &str = "lb.kube-cp.com";
pub const ONE: &str = "192.0.2.1";
pub const TWO: &str = "192.0.2.2";
pub const THREE: &str = "2001:db8::3";
/// Addresses of which the checks have nothing to say: those above are for documentation. Nothing connects there.
pub const PUBLIC: [&str; 3] = ["203.0.112.1", "203.0.112.2", "2001:db7::3"];

pub struct Scene {
    pub cloudflare: FakeCloudflare,
    pub ids: Example,
    files: TempDir,
}

impl Scene {
    /// The zone kube-cp.com, with a Load Balancing pool `kube-cp` that has an origin for each node of the contract, all
    /// enabled, and a balancer.
    pub async fn new() -> Self {
        let cloudflare = FakeCloudflare::start().await;
        let ids = cloudflare.world().example();
        cloudflare.world().pool(&ids.pool)["origins"][2]["address"] = THREE.into();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("token"), cloudflare.token() + "\n").unwrap();
        Self { cloudflare, ids, files }
    }

    /// The same with public addresses.
    pub async fn public() -> Self {
        let scene = Self::new().await;
        {
            let mut world = scene.cloudflare.world();
            let origins = world.pool(&scene.ids.pool)["origins"].as_array_mut().unwrap();
            origins.iter_mut().zip(PUBLIC).for_each(|(origin, address)| origin["address"] = address.into());
        }
        scene
    }

    /// The world of [`Scene::new`] without the pool and the balancer.
    pub async fn without_balancing() -> Self {
        let scene = Self::new().await;
        {
            let mut world = scene.cloudflare.world();
            world.zones.get_mut(&scene.ids.zone).unwrap().balancers.clear();
            world.accounts.get_mut(&scene.ids.account).unwrap().pools.clear();
        }
        scene
    }

    pub fn records(&self) -> Cloudflare {
        self.provider(Mode::Records { zone: "kube-cp.com".to_owned(), ttl: None })
    }

    pub fn pools(&self) -> Cloudflare {
        self.provider(self.balancing("kube-cp", Manage::Origins))
    }

    pub fn whole(&self) -> Cloudflare {
        self.provider(self.balancing("daymark-lb", Manage::Full { ttl: 30 }))
    }

    pub fn balancing(&self, pool: &str, manage: Manage) -> Mode {
        Mode::LoadBalancing {
            account: self.ids.account.clone(),
            zone: Some("kube-cp.com".to_owned()),
            cloudflare_pools: vec![pool.to_owned()],
            manage,
        }
    }

    pub fn provider(&self, mode: Mode) -> Cloudflare {
        self.provider_of(mode, None)
    }

    pub fn provider_of(&self, mode: Mode, memory: Option<Value>) -> Cloudflare {
        let settings = Settings {
            name: "cloudflare".to_owned(),
            calls: CallSettings {
                api: self.cloudflare.api(),
                token: TokenSource::File(self.files.path().join("token")),
                timeout: Duration::from_secs(30),
                share: 100,
            },
            drift_interval: Duration::from_mins(5),
            pools: vec![Served { pool: PoolName::new(NAME), port: 6443, detection: Duration::from_secs(5) }],
            mode,
        };
        Cloudflare::new(settings, memory).unwrap()
    }

    pub fn write_token(&self, token: &str) {
        std::fs::write(self.files.path().join("token"), token).unwrap();
    }

    /// The pool `kube-cp`, or the one of this name.
    pub fn pool(&self, name: &str) -> Value {
        let world = self.cloudflare.world();
        let mut pools = world.accounts[&self.ids.account].pools.values();
        pools.find(|pool| pool["name"] == name).expect("a pool of this name").clone()
    }

    /// Changes the origin of this name as the dashboard does.
    pub fn edit_origin(&self, pool: &str, origin: &str, field: &str, value: impl Into<Value>) {
        let mut world = self.cloudflare.world();
        let id = pool.to_owned();
        let origins = world.pool(&id)["origins"].as_array_mut().unwrap();
        origins.iter_mut().find(|it| it["name"] == origin).expect("an origin of this name")[field] = value.into();
    }

    /// The addresses of the enabled origins of the pool of this name.
    pub fn enabled(&self, pool: &str) -> BTreeSet<IpAddr> {
        let pool = self.pool(pool);
        let origins = pool["origins"].as_array().unwrap().iter();
        origins
            .filter(|it| it.get("enabled") != Some(&false.into()))
            .map(|it| it["address"].as_str().unwrap().parse().unwrap())
            .collect()
    }

    /// The A and AAAA records of the name that an unproxied answer holds.
    pub fn resolved(&self) -> BTreeSet<IpAddr> {
        let world = self.cloudflare.world();
        let records = world.zones[&self.ids.zone].records.values();
        records.filter(|it| it["name"] == NAME).filter_map(|it| it["content"].as_str()?.parse().ok()).collect()
    }

    /// The calls that write, so far: method and path.
    pub fn writes(&self) -> Vec<String> {
        let calls = self.cloudflare.calls();
        calls.iter().filter(|it| it.method != "GET").map(|it| format!("{} {}", it.method, it.path)).collect()
    }
}

/// A decision that answers with these of the addresses.
pub fn decision(generation: u64, addresses: &[&str]) -> Decision {
    contract::decision(&PoolName::new(NAME), generation, addresses)
}

/// A decision that answers with every public address.
pub fn public(generation: u64) -> Decision {
    let nodes = ["node-1", "node-2", "node-3"].into_iter().zip(PUBLIC).map(|(node, address)| (node, address, true));
    Decision { answers: vec![contract::answer(&PoolName::new(NAME), generation, nodes)], generation }
}

pub fn addresses(list: &[&str]) -> BTreeSet<IpAddr> {
    list.iter().map(|it| it.parse().unwrap()).collect()
}

pub async fn publish(provider: &Cloudflare, generation: u64, addresses: &[&str]) {
    provider.publish(&decision(generation, addresses)).await.expect("it is published");
}

/// Why a publication failed, with its causes.
pub fn sentence(error: &PublishError) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What a name has by its records.
pub struct ByRecords<'a>(pub &'a Scene);

impl Observed for ByRecords<'_> {
    async fn addresses(&self, _: &PoolName) -> BTreeSet<IpAddr> {
        self.0.resolved()
    }
}

/// What a name has by the origins of this pool.
pub struct ByPool<'a>(pub &'a Scene, pub &'static str);

impl Observed for ByPool<'_> {
    async fn addresses(&self, _: &PoolName) -> BTreeSet<IpAddr> {
        self.0.enabled(self.1)
    }
}
