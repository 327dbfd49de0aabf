//! One query for every pool, for a command that runs a single pass.

use std::mem;
use std::time::Duration;

use daymark_api::DiscoveryEvent;
use daymark_decision::{Engine, Grade, Moment, PoolName};
use daymark_probe::Prober;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::query::{Deadlines, GradedAddress, query, query_order};
use crate::rules::PoolView;
use crate::{DiscoveredPools, DiscoveryPool};

/// The longest time for one apiserver, so that one that hangs is not the only one that is asked.
const APISERVER_TIMEOUT: Duration = Duration::from_millis(2500);

/// The messages of one pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PassReport {
    /// The changes.
    pub events: Vec<String>,
    /// The failures that no earlier pass has reported.
    pub failures: Vec<String>,
}

/// Queries once for the nodes of each pool, at most until the deadline, and applies the lists. `engine` has the pools as they
/// are known before.
pub async fn discover_once(
    discovered: &mut DiscoveredPools,
    pools: &[DiscoveryPool<'_>],
    engine: &Engine,
    now: Moment,
    deadline: Instant,
) -> PassReport {
    let queries = pools.iter().map(|DiscoveryPool { pool, probe, settings }| async move {
        let targets = engine.healths().filter(|(target, _)| target.pool == pool.name);
        let graded = targets.map(|(target, health)| GradedAddress { address: target.address, grade: health.grade() });
        let apiservers = query_order(graded.collect(), 0);
        let deadlines = Deadlines { each: APISERVER_TIMEOUT, all: deadline };
        let prober = Prober::new((*probe).clone());
        let answer = query(&prober, &settings.source, &apiservers, deadlines).await;
        (&pool.name, settings.shrink_pause, answer)
    });
    let mut report = PassReport::default();
    for (pool, pause, answer) in join_all(queries).await {
        let nodes = discovered.0.entry(pool.clone()).or_default();
        let failure = match answer {
            Err(error) => Some(error.to_string()),
            Ok(answer) => {
                let outcome = nodes.apply(&answer.listing, &view(engine, pool), pause, now);
                report.events.extend(outcome.events.iter().map(|event| format!("{pool}: {event}")));
                outcome.doubt
            }
        };
        // One message when a failure begins, and one when it ends.
        match (mem::replace(&mut nodes.failure_reported, failure.is_some()), failure) {
            (false, Some(error)) => report.failures.push(format!("{pool}: {}", DiscoveryEvent::Failing { error })),
            (true, None) => report.events.push(format!("{pool}: {}", DiscoveryEvent::Recovered)),
            _ => {}
        }
    }
    report
}

/// The state of a pool, as the engine remembers it.
fn view(engine: &Engine, pool: &PoolName) -> PoolView {
    let usable = engine.healths().filter(|(target, health)| target.pool == *pool && health.grade() >= Grade::Live);
    let overridden = engine.overrides().filter(|(key, _)| key.pool == *pool);
    PoolView {
        usable: usable.map(|(target, _)| target.address).collect(),
        overridden: overridden.map(|(key, _)| key.node.clone()).collect(),
    }
}
