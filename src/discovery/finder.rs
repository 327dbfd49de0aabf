//! Asks for the nodes of one pool again and again.

use std::net::IpAddr;
use std::time::Duration;

use daymark_decision::{Grade, PoolName};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::ask::{ask, in_turn};
use super::roster::{Listing, Sight};
use super::settings::Settings;
use crate::driver::{Gone, Handle};
use crate::status::TargetStatus;
use daymark_probe::Prober;

/// How long one apiserver may take to give its list.
const SHARE: Duration = Duration::from_secs(10);
/// How long all of them may take that are asked at one time.
const ROUND: Duration = Duration::from_secs(30);

/// What came of one ask.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) pool: PoolName,
    /// Which finder it is of.
    pub(super) number: u64,
    /// The list and who gave it, or why there is none.
    pub(super) asked: Result<(Listing, IpAddr), String>,
    /// What is known of the nodes beside it.
    pub(super) sight: Sight,
}

/// Asks until no one takes a report any more.
pub(super) async fn find(
    (pool, number): (PoolName, u64),
    settings: Settings,
    prober: Prober,
    driver: Handle,
    reports: mpsc::Sender<Report>,
) {
    for round in 0.. {
        // Where the driver does not answer, there is no one to tell of nodes either.
        if let Ok(before) = targets(&driver, &pool).await {
            let grades = before.iter().map(|it| (it.grade, it.address)).collect();
            let asked = ask(&prober, &settings.source, &in_turn(grades, round), (SHARE, Instant::now() + ROUND)).await;
            // As it is once the list has come.
            if let Ok(after) = targets(&driver, &pool).await {
                let report = Report { pool: pool.clone(), number, asked, sight: sight(&after) };
                if reports.send(report).await.is_err() {
                    return;
                }
            }
        }
        sleep(settings.interval).await;
    }
}

async fn targets(driver: &Handle, pool: &PoolName) -> Result<Vec<TargetStatus>, Gone> {
    let pools = driver.status().await?;
    Ok(pools.into_iter().filter(|it| it.name == *pool).flat_map(|it| it.targets).collect())
}

fn sight(targets: &[TargetStatus]) -> Sight {
    let usable = targets.iter().filter(|it| it.grade >= Grade::Live).map(|it| it.address).collect();
    let ordered = targets.iter().filter(|it| it.active_override.is_some()).map(|it| it.node.clone()).collect();
    Sight { usable, ordered }
}
