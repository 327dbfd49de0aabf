//! Finding the nodes of a pool by Kubernetes itself, and forgetting them slowly.
//!
//! The rules are in [`roster`], which is pure; [`listing`] knows the API, and [`mod@ask`] reaches it. [`Discovery`] has one
//! finder a pool, takes in what they report, keeps it in the state and tells what has changed. It does not know how the
//! pools are probed and answered: who asks it applies what it knows.

pub mod ask;
pub mod board;
mod finder;
pub mod listing;
pub mod news;
pub mod once;
pub mod roster;
pub mod rosters;
pub mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use daymark_decision::{NodeName, PoolName};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use self::board::{Board, DiscoveryStatus, KnownStatus, MissingStatus};
use self::finder::Report;
use self::news::{Held, News};
use self::roster::Roster;
use self::rosters::{Rosters, is_sought};
use self::settings::Settings;
use crate::config::PoolConfig;
use crate::driver::Handle;
use crate::events::{EventKind, Events};
use crate::keeper::Saver;
use crate::os::clock::Clock;
use daymark_probe::{self as probe, Prober};

/// How many reports may wait.
const QUEUE: usize = 16;

/// Finds the nodes of every pool that wants it.
pub struct Discovery {
    rosters: Rosters,
    finders: BTreeMap<PoolName, Finder>,
    next_number: u64,
    /// Whether a pool has other nodes since the last time that this was told.
    has_changed: bool,
    tasks: JoinSet<()>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    saver: Option<Saver<Rosters>>,
    driver: Handle,
    tell: Tell,
}

/// Whom it tells what.
pub struct Tell {
    /// The time of what is told.
    pub clock: Clock,
    /// The history.
    pub events: Events,
    /// What is shown to operators.
    pub board: Board,
}

/// The finder of one pool, and what it has shown.
struct Finder {
    number: u64,
    settings: Settings,
    probe: probe::Settings,
    task: AbortHandle,
    seeds: BTreeSet<IpAddr>,
    asked: Option<IpAddr>,
    trouble: Option<String>,
    held: BTreeMap<(NodeName, IpAddr), Held>,
}

impl Discovery {
    /// Knows what is in the rosters, and asks for nothing yet. What it finds goes to `saver`, where state is kept.
    pub fn new(rosters: Rosters, saver: Option<Saver<Rosters>>, driver: Handle, tell: Tell) -> Self {
        Self {
            rosters,
            finders: BTreeMap::new(),
            next_number: 0,
            has_changed: false,
            tasks: JoinSet::new(),
            reports: mpsc::channel(QUEUE),
            saver,
            driver,
            tell,
        }
    }

    /// Looks for the nodes of these pools and no others. A finder whose settings are the same goes on undisturbed; what was
    /// found for a pool that wants it no more leaves.
    pub fn configure(&mut self, pools: &[PoolConfig]) {
        let mut former = std::mem::take(&mut self.finders);
        for PoolConfig { pool, probe, discovery } in pools {
            let Some(settings) = discovery else { continue };
            let mut finder = match former.remove(&pool.name) {
                Some(finder) if finder.settings == *settings && finder.probe == *probe => finder,
                former => self.start(&pool.name, settings, probe, former),
            };
            finder.seeds = pool.targets().map(|(target, _)| target.address).collect();
            self.finders.insert(pool.name.clone(), finder);
        }
        for finder in former.values() {
            finder.task.abort();
        }
        // Those that have ended are joined; they cannot fail but by a panic, which has told its story.
        while self.tasks.try_join_next().is_some() {}
        let forgotten: Vec<PoolName> = self.rosters.0.keys().filter(|it| !is_sought(pools, it)).cloned().collect();
        for pool in forgotten {
            let nodes = self.rosters.0.remove(&pool).unwrap_or_default().nodes();
            for (node, addresses) in nodes {
                self.record(&pool, News::TurnedOff { node, addresses: addresses.into_iter().collect() });
            }
        }
        self.show();
    }

    /// These pools with the nodes that are known.
    pub fn pools(&self, pools: &[PoolConfig]) -> Vec<PoolConfig> {
        self.rosters.pools(pools)
    }

    /// Waits until something new is known, and kept, that changes the nodes of a pool. Nothing is lost where this is dropped.
    pub async fn changed(&mut self) {
        while !std::mem::take(&mut self.has_changed) {
            tokio::select! {
                Some(report) = self.reports.1.recv() => self.has_changed |= self.take(report),
                () = attention(&mut self.saver, &self.rosters) => {}
            }
            self.save().await;
        }
    }

    /// Begins to save what is known, and waits for it for a short while.
    pub async fn save(&mut self) {
        if let Some(saver) = &mut self.saver {
            saver.save(&self.rosters).await;
        }
    }

    /// Ends every finder, and saves.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        if let Some(saver) = &mut self.saver {
            saver.finish(&self.rosters).await;
        }
    }

    fn start(
        &mut self,
        pool: &PoolName,
        settings: &Settings,
        probe: &probe::Settings,
        former: Option<Finder>,
    ) -> Finder {
        if let Some(former) = &former {
            former.task.abort();
        }
        let number = self.next_number;
        self.next_number += 1;
        let (driver, reports, prober) = (self.driver.clone(), self.reports.0.clone(), Prober::new(probe.clone()));
        let task = self.tasks.spawn(finder::find((pool.clone(), number), settings.clone(), prober, driver, reports));
        // What is wrong is not over because the settings are others.
        let trouble = former.and_then(|former| former.trouble);
        let (settings, probe) = (settings.clone(), probe.clone());
        let (seeds, held) = (BTreeSet::new(), BTreeMap::new());
        Finder { number, settings, probe, task, seeds, asked: None, trouble, held }
    }

    /// Takes a report in; tells whether the pool has other nodes now.
    fn take(&mut self, Report { pool, number, asked, sight }: Report) -> bool {
        // One of a finder that has ended since.
        let Some(finder) = self.finders.get_mut(&pool).filter(|finder| finder.number == number) else { return false };
        let now = self.tell.clock.now();
        let (mut news, trouble) = match asked {
            Err(fault) => (Vec::new(), Some(fault)),
            Ok((listing, from)) => {
                let roster = self.rosters.0.entry(pool.clone()).or_default();
                let outcome = roster.take(&listing, &sight, finder.settings.shrink_pause, now);
                (finder.asked, finder.held) = (Some(from), outcome.held);
                (outcome.news, outcome.doubt)
            }
        };
        // One sentence when it begins, and one when it is over.
        match (&finder.trouble, &trouble) {
            (None, Some(why)) => news.push(News::Trouble { why: why.clone() }),
            (Some(_), None) => news.push(News::TroubleOver),
            _ => {}
        }
        finder.trouble = trouble;
        let has_changed = news.iter().any(News::changes_nodes);
        for news in news {
            self.record(&pool, news);
        }
        self.show();
        has_changed
    }

    fn record(&self, pool: &PoolName, news: News) {
        self.tell.events.record(self.tell.clock.now(), EventKind::Discovery { pool: pool.clone(), news });
    }

    fn show(&self) {
        let of = |(pool, finder): (&PoolName, &Finder)| (pool.clone(), finder.status(self.rosters.0.get(pool)));
        self.tell.board.show(self.finders.iter().map(of).collect());
    }
}

impl Finder {
    fn status(&self, roster: Option<&Roster>) -> DiscoveryStatus {
        let known = roster.into_iter().flat_map(Roster::known).map(|(node, address, known)| KnownStatus {
            node: node.clone(),
            address,
            since: known.since,
            missing: known
                .missing
                .map(|missing| MissingStatus::new(missing, self.held.get(&(node.clone(), address)).copied())),
        });
        DiscoveryStatus {
            source: self.settings.source.to_string(),
            asked: self.asked,
            seeds: self.seeds.clone(),
            complete: roster.and_then(Roster::complete),
            trouble: self.trouble.clone(),
            known: known.collect(),
        }
    }
}

/// Waits until the disk needs attention.
async fn attention(saver: &mut Option<Saver<Rosters>>, rosters: &Rosters) {
    match saver {
        Some(saver) => saver.needs_attention(rosters).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
