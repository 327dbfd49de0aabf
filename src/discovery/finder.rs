//! Asks for the nodes of one pool again and again.

use std::cmp::Reverse;
use std::net::IpAddr;

use daymark_decision::{Grade, PoolName};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::ask::ask;
use super::roster::{Listing, Sight};
use super::settings::Settings;
use crate::driver::{Gone, Handle};
use crate::probe::Prober;
use crate::status::TargetStatus;

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
            let asked = ask(&prober, &settings.source, &in_turn(grades, round)).await;
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

/// Every address of the pool, the best first, and those of one grade in turn.
fn in_turn(mut targets: Vec<(Grade, IpAddr)>, round: usize) -> Vec<IpAddr> {
    let first = round % targets.len().max(1);
    targets.rotate_left(first);
    targets.sort_by_key(|(grade, _)| Reverse(*grade));
    targets.into_iter().map(|(_, address)| address).collect()
}

fn sight(targets: &[TargetStatus]) -> Sight {
    let usable = targets.iter().filter(|it| it.grade >= Grade::Live).map(|it| it.address).collect();
    let ordered = targets.iter().filter(|it| it.order.is_some()).map(|it| it.node.clone()).collect();
    Sight { usable, ordered }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_ones_are_asked_first_and_in_turn() {
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let grades = [Grade::Down, Grade::Ready, Grade::Unknown, Grade::Ready];
        let targets: Vec<_> = grades.into_iter().zip((1..).map(address)).collect();
        assert_eq!(in_turn(targets.clone(), 0), [2, 4, 1, 3].map(address));
        assert_eq!(in_turn(targets.clone(), 2), [4, 2, 1, 3].map(address));
        assert_eq!(in_turn(targets, 6), [4, 2, 1, 3].map(address));
        assert_eq!(in_turn(Vec::new(), 1), [] as [IpAddr; 0]);
    }
}
