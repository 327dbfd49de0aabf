//! Discovery inside the running program: with its state file, the driver's grades and the history.
//!
//! The rules and the queries are in the crate `daymark_discovery`.

use std::collections::BTreeSet;
use std::sync::Arc;

use daymark_api::EventKind;
use daymark_config::PoolConfig;
use daymark_decision::PoolName;
use daymark_discovery::{DiscoveredPools, Discovery, DiscoveryPool, DiscoveryStatuses, Surroundings, TargetView};

use crate::driver::Handle;
use crate::events::Events;
use crate::os::clock::Clock;
use crate::state::StateWriter;

/// Discovery that keeps the discovered nodes in the state file.
pub struct PersistentDiscovery {
    discovery: Discovery,
    writer: Option<StateWriter<DiscoveredPools>>,
    /// True if the nodes of a pool have changed since [`PersistentDiscovery::changed`] last returned.
    has_changed: bool,
}

/// The nodes that are known at the start, and the writer of the state file.
pub struct DiscoveryState {
    /// The discovered nodes.
    pub discovered: DiscoveredPools,
    /// The writer; `None` if no state is kept.
    pub writer: Option<StateWriter<DiscoveredPools>>,
}

impl PersistentDiscovery {
    /// Knows the nodes of the state, and queries for nothing yet.
    pub fn new(
        state: DiscoveryState,
        driver: Handle,
        clock: Clock,
        events: Events,
        statuses: DiscoveryStatuses,
    ) -> Self {
        let surroundings = Surroundings {
            now: Box::new(move || clock.now()),
            targets: Arc::new(move |pool| {
                let driver = driver.clone();
                Box::pin(async move { targets(&driver, &pool).await })
            }),
            record: Box::new(move |pool, change| {
                events.record(clock.now(), EventKind::Discovery { pool: pool.clone(), change });
            }),
            statuses,
        };
        Self { discovery: Discovery::new(state.discovered, surroundings), writer: state.writer, has_changed: false }
    }

    /// Finds the nodes of those of these pools that have discovery.
    pub fn configure(&mut self, pools: &[PoolConfig]) {
        self.discovery.configure(with_discovery(pools));
    }

    /// The pools with the discovered nodes.
    pub fn pools(&self, pools: &[PoolConfig]) -> Vec<PoolConfig> {
        complete(self.discovery.discovered(), pools)
    }

    /// Waits until the nodes of a pool have changed and are saved. Nothing is lost if this is dropped.
    pub async fn changed(&mut self) {
        while !std::mem::take(&mut self.has_changed) {
            let discovered = self.discovery.discovered().clone();
            tokio::select! {
                has_changed = self.discovery.next_change() => self.has_changed |= has_changed,
                () = attention(&mut self.writer, &discovered) => {}
            }
            self.save().await;
        }
    }

    /// Begins to save the discovered nodes, and waits for it for a short while.
    pub async fn save(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.save(self.discovery.discovered()).await;
        }
    }

    /// Ends every finder, and saves.
    pub async fn stop(self) {
        let discovered = self.discovery.stop().await;
        if let Some(mut writer) = self.writer {
            writer.finish(&discovered).await;
        }
    }
}

/// The pools that have discovery.
pub fn with_discovery(pools: &[PoolConfig]) -> impl Iterator<Item = DiscoveryPool<'_>> {
    pools.iter().filter_map(|config| {
        let settings = config.discovery.as_ref()?;
        Some(DiscoveryPool { pool: &config.pool, probe: &config.probe, settings })
    })
}

/// The names of the pools that have discovery.
pub fn enabled(pools: &[PoolConfig]) -> BTreeSet<PoolName> {
    with_discovery(pools).map(|discovery| discovery.pool.name.clone()).collect()
}

/// The pools with their discovered nodes after those of the configuration.
pub fn complete(discovered: &DiscoveredPools, pools: &[PoolConfig]) -> Vec<PoolConfig> {
    pools.iter().map(|config| PoolConfig { pool: discovered.complete(&config.pool), ..config.clone() }).collect()
}

async fn targets(driver: &Handle, pool: &PoolName) -> Option<Vec<TargetView>> {
    let pools = driver.status().await.ok()?;
    let targets = pools.into_iter().filter(|status| status.name == *pool).flat_map(|status| status.targets);
    let views = targets.map(|target| TargetView {
        node: target.node,
        address: target.address,
        grade: target.grade,
        has_override: target.active_override.is_some(),
    });
    Some(views.collect())
}

/// Waits until the disk needs attention.
async fn attention(writer: &mut Option<StateWriter<DiscoveredPools>>, discovered: &DiscoveredPools) {
    match writer {
        Some(writer) => writer.needs_attention(discovered).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use daymark_config::Config;

    fn config(nodes: &str) -> Vec<PoolConfig> {
        let text = format!(
            "pools: [{{name: lb.example.org, nodes: {nodes}}}]\nproviders: [{{type: authoritative, nameservers: [{{name: \
             ns1.example.net}}]}}]\n"
        );
        Config::parse(&text, "test.yaml", Path::new("")).unwrap().pools
    }

    #[test]
    fn a_discovered_node_has_the_defaults_of_a_configured_one() {
        let state = r#"{"lb.example.org": {"known": {"b": {"192.0.2.2": {"since": "2026-11-22T10:00:00.000Z"}}}, "agreedCount": 1, "lastComplete": null}}"#;
        let discovered: DiscoveredPools = serde_json::from_str(state).unwrap();
        let pools = config("{seeds: [{name: a, addresses: [192.0.2.1]}], fromKubernetes: {}}");
        let written = config("[{name: b, addresses: [192.0.2.2]}]");
        assert_eq!(complete(&discovered, &pools)[0].pool.nodes[1], written[0].pool.nodes[0]);
    }
}
