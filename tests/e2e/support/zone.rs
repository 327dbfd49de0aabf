//! A fake of Cloudflare with one zone, fake nodes, and a configuration that publishes them there.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use daymark_fake_cloudflare::{FakeCloudflare, FakeZonePlan, Scope, Store};
use tokio::runtime::Runtime;

use super::nodes::{Nodes, Plan};

/// Fake nodes, one zone at Cloudflare, and a configuration that publishes them there.
pub(crate) struct ZoneFixture {
    pub(crate) nodes: Nodes,
    pub(crate) zone: Zone,
    pub(crate) plan: Plan,
}

impl ZoneFixture {
    pub(crate) fn new(count: u8) -> Self {
        let nodes = Nodes::start(count);
        let zone = Zone::new();
        // A probe of a silent node takes longer than any test.
        let plan = Plan { provider: zone.provider(&nodes, "cloudflare"), timeout: "1m", ..nodes.plan() };
        Self { nodes, zone, plan }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.nodes.write(&self.plan)
    }
}

/// A fake of Cloudflare with one zone and a token that may write its records.
pub(crate) struct Zone {
    pub(crate) cloudflare: FakeCloudflare,
    pub(crate) id: String,
    _runtime: Runtime,
}

impl Zone {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let cloudflare = runtime.block_on(FakeCloudflare::start());
        let mut store = cloudflare.store();
        let account = store.add_account();
        let id = store.add_zone(&account, "kube-cp.com", FakeZonePlan::Free);
        store.add_token([Scope::ZoneRead, Scope::DnsWrite, Scope::DnsRead]);
        drop(store);
        Self { cloudflare, id, _runtime: runtime }
    }

    /// Makes the entry of the provider in the configuration, and writes its token to a file beside it.
    pub(crate) fn provider(&self, nodes: &Nodes, name: &str) -> String {
        let token = format!("{name}.token");
        fs::write(nodes.path(&token), self.cloudflare.token()).unwrap();
        let api = self.cloudflare.api();
        format!(
            "  - {{type: cloudflare, name: {name}, mode: records, zone: kube-cp.com, tokenFile: {token}, api: \"{api}\"}}\n"
        )
    }

    pub(crate) fn store<T>(&self, act: impl FnOnce(&mut Store) -> T) -> T {
        act(&mut self.cloudflare.store())
    }

    /// The addresses in the records of the zone.
    pub(crate) fn addresses(&self) -> BTreeSet<IpAddr> {
        self.store(|store| {
            store.zones[&self.id]
                .records
                .values()
                .map(|record| record["content"].as_str().unwrap().parse().unwrap())
                .collect()
        })
    }

    pub(crate) fn writes(&self) -> usize {
        self.cloudflare.calls().iter().filter(|call| call.method != "GET").count()
    }
}
