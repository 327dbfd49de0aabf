//! The loop that queries for the nodes of one pool, again and again. It does not know what a list changes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::{Grade, NodeName, PoolName};
use daymark_probe::Prober;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::query::{Deadlines, GradedAddress, ListAnswer, QueryError, query, query_order};
use crate::rules::PoolView;
use crate::settings::DiscoverySettings;

/// The longest time that one apiserver may take for its list.
const APISERVER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time that one query may take, over all apiservers.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// One target of a pool, as discovery needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    /// Its node.
    pub node: NodeName,
    /// Its address.
    pub address: IpAddr,
    /// Its grade on this host.
    pub grade: Grade,
    /// True if an override is on its node.
    pub has_override: bool,
}

/// Gives the present targets of a pool; `None` if nothing can tell them.
pub type ViewTargets = Arc<dyn Fn(PoolName) -> BoxFuture<'static, Option<Vec<TargetView>>> + Send + Sync>;

/// The result of one query.
#[derive(Debug)]
pub(crate) struct FinderReport {
    pub(crate) pool: PoolName,
    /// The number of the finder that made the query.
    pub(crate) finder: u64,
    pub(crate) answer: Result<ListAnswer, QueryError>,
    /// The state of the pool when the list came.
    pub(crate) view: PoolView,
}

/// The queries for one pool.
pub(crate) struct Finder {
    pub(crate) pool: PoolName,
    pub(crate) number: u64,
    pub(crate) settings: DiscoverySettings,
    pub(crate) prober: Prober,
    pub(crate) targets: ViewTargets,
    pub(crate) reports: mpsc::Sender<FinderReport>,
}

impl Finder {
    /// Queries until nobody takes a report any more.
    pub(crate) async fn run(self) {
        for round in 0.. {
            // If nothing can tell the targets, there is no driver that would take new nodes either.
            if let Some(before) = (self.targets)(self.pool.clone()).await {
                let graded = before.iter().map(|target| GradedAddress { address: target.address, grade: target.grade });
                let apiservers = query_order(graded.collect(), round);
                let deadlines = Deadlines { each: APISERVER_TIMEOUT, all: Instant::now() + QUERY_TIMEOUT };
                let answer = query(&self.prober, &self.settings.source, &apiservers, deadlines).await;
                // The view from the time when the list has come.
                if let Some(after) = (self.targets)(self.pool.clone()).await {
                    let report = FinderReport {
                        pool: self.pool.clone(),
                        finder: self.number,
                        answer,
                        view: PoolView::of(&after),
                    };
                    if self.reports.send(report).await.is_err() {
                        return;
                    }
                }
            }
            sleep(self.settings.interval).await;
        }
    }
}

impl PoolView {
    fn of(targets: &[TargetView]) -> Self {
        let usable = targets.iter().filter(|target| target.grade >= Grade::Live);
        let overridden = targets.iter().filter(|target| target.has_override);
        Self {
            usable: usable.map(|target| target.address).collect(),
            overridden: overridden.map(|target| target.node.clone()).collect(),
        }
    }
}
