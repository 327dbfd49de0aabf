//! One look for the nodes of every pool, for a pass that does not stay.

use std::net::IpAddr;

use daymark_decision::{Engine, Grade, Moment, PoolName};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::ask::ask;
use super::news::News;
use super::roster::Sight;
use super::rosters::Rosters;
use crate::config::PoolConfig;
use crate::probe::Prober;

/// What one look has shown, as sentences.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What has changed.
    pub news: Vec<String>,
    /// Why the nodes of a pool cannot be told for sure.
    pub troubles: Vec<String>,
}

/// Asks once for the nodes of each pool, until the deadline at the longest, and takes in what comes. `engine` has the pools
/// as they are known so far.
pub async fn look(
    rosters: &mut Rosters,
    pools: &[PoolConfig],
    engine: &Engine,
    now: Moment,
    deadline: Instant,
) -> Look {
    let known = rosters.pools(pools);
    let sought = known.iter().filter_map(|config| Some((config, config.discovery.as_ref()?)));
    let asks = sought.map(|(config, settings)| async move {
        let apiservers: Vec<IpAddr> = config.pool.targets().map(|(target, _)| target.address).collect();
        let prober = Prober::new(config.probe.clone());
        let asked = timeout_at(deadline, ask(&prober, &settings.source, &apiservers)).await;
        let asked = asked.unwrap_or_else(|_| Err("no list came in time".to_owned()));
        (&config.pool.name, settings.shrink_pause, asked)
    });
    let mut look = Look::default();
    for (pool, pause, asked) in join_all(asks).await {
        let trouble = match asked {
            Err(fault) => Some(fault),
            Ok((listing, _)) => {
                let roster = rosters.0.entry(pool.clone()).or_default();
                let outcome = roster.take(&listing, &sight(engine, pool), pause, now);
                look.news.extend(outcome.news.iter().map(|news| format!("{pool}: {news}")));
                outcome.doubt
            }
        };
        look.troubles.extend(trouble.map(|why| format!("{pool}: {}", News::Trouble { why })));
    }
    look
}

/// What is remembered of the nodes.
fn sight(engine: &Engine, pool: &PoolName) -> Sight {
    let usable = engine.healths().filter(|(target, health)| target.pool == *pool && health.grade() >= Grade::Live);
    let ordered = engine.overrides().filter(|(of, ..)| *of == pool);
    Sight {
        usable: usable.map(|(target, _)| target.address).collect(),
        ordered: ordered.map(|(_, node, _)| node.clone()).collect(),
    }
}
