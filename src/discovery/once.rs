//! One look for the nodes of every pool, for a pass that does not stay.

use std::collections::BTreeSet;
use std::mem;
use std::net::IpAddr;

use daymark_decision::{Engine, Grade, Moment, PoolName};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::ask::ask;
use super::news::News;
use super::rosters::Rosters;
use crate::config::PoolConfig;
use crate::probe::Prober;

/// What one look has shown, as sentences.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What has changed.
    pub news: Vec<String>,
    /// Why the nodes of a pool cannot be told for sure, where an earlier look has not told that they cannot.
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
        let roster = rosters.0.entry(pool.clone()).or_default();
        let trouble = match asked {
            Err(fault) => Some(fault),
            Ok((listing, _)) => {
                let outcome = roster.take(&listing, &usable(engine, pool), pause, now);
                look.news.extend(outcome.news.iter().map(|news| format!("{pool}: {news}")));
                outcome.doubt
            }
        };
        // One sentence when it begins, and one when it is over.
        match (mem::replace(&mut roster.trouble_told, trouble.is_some()), trouble) {
            (false, Some(why)) => look.troubles.push(format!("{pool}: {}", News::Trouble { why })),
            (true, None) => look.news.push(format!("{pool}: {}", News::TroubleOver)),
            _ => {}
        }
    }
    look
}

/// The addresses that clients can use, as far as is remembered.
fn usable(engine: &Engine, pool: &PoolName) -> BTreeSet<IpAddr> {
    let usable = engine.healths().filter(|(target, health)| target.pool == *pool && health.grade() >= Grade::Live);
    usable.map(|(target, _)| target.address).collect()
}
