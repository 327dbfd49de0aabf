//! One look for the nodes of every pool, for a pass that does not stay.

use std::mem;
use std::time::Duration;

use daymark_decision::{Engine, Grade, Moment, PoolName};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::ask::{ask, in_turn};
use super::news::News;
use super::roster::Sight;
use super::rosters::Rosters;
use crate::config::PoolConfig;
use daymark_probe::Prober;

/// How long one apiserver may take to give its list: one that hangs must not be all that was asked.
const SHARE: Duration = Duration::from_millis(2500);

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
    let sought = pools.iter().filter_map(|config| Some((config, config.discovery.as_ref()?)));
    let asks = sought.map(|(config, settings)| async move {
        let targets = engine.healths().filter(|(target, _)| target.pool == config.pool.name);
        let apiservers = in_turn(targets.map(|(target, health)| (health.grade(), target.address)).collect(), 0);
        let prober = Prober::new(config.probe.clone());
        let asked = ask(&prober, &settings.source, &apiservers, (SHARE, deadline)).await;
        (&config.pool.name, settings.shrink_pause, asked)
    });
    let mut look = Look::default();
    for (pool, pause, asked) in join_all(asks).await {
        let roster = rosters.0.entry(pool.clone()).or_default();
        let trouble = match asked {
            Err(fault) => Some(fault),
            Ok((listing, _)) => {
                let outcome = roster.take(&listing, &sight(engine, pool), pause, now);
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

/// What is remembered of the nodes.
fn sight(engine: &Engine, pool: &PoolName) -> Sight {
    let usable = engine.healths().filter(|(target, health)| target.pool == *pool && health.grade() >= Grade::Live);
    let ordered = engine.overrides().filter(|(of, ..)| *of == pool);
    Sight {
        usable: usable.map(|(target, _)| target.address).collect(),
        ordered: ordered.map(|(_, node, _)| node.clone()).collect(),
    }
}
