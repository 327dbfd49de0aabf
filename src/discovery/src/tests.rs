use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use daymark_decision::fixtures::{node_name, quick_pool};
use daymark_decision::{Grade, Node, Thresholds};
use daymark_probe::Trust;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::*;
use crate::query::{ListAnswer, QueryError};
use crate::rules::{Listing, PoolView};

const MINUTE: Duration = Duration::from_mins(1);

/// The settings of a probe to a port at which nothing listens.
pub(crate) fn probe_settings() -> daymark_probe::ProbeSettings {
    daymark_probe::ProbeSettings {
        pool: "lb.example.org".to_owned(),
        port: 1,
        path: "/readyz".to_owned(),
        server_name: "lb.example.org".to_owned(),
        interval: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        tls_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        confirm_interval: Duration::from_secs(1),
        late_after: Duration::from_secs(1),
        fresh_every: NonZeroU32::MIN,
        thresholds: Thresholds { rise: NonZeroU32::MIN, fall: NonZeroU32::MIN },
        trust: Trust::Nothing,
        auth: None,
    }
}

/// A pool with these nodes in its configuration.
pub(crate) fn pool(nodes: Vec<Node>) -> Pool {
    quick_pool("lb.example.org", nodes)
}

/// Discovery of one pool, to which the test gives the lists. Its own queries are an hour apart.
struct Fixture {
    discovery: Discovery,
    pool: Pool,
    settings: DiscoverySettings,
    events: Arc<Mutex<Vec<String>>>,
    statuses: DiscoveryStatuses,
    started: Instant,
}

impl Fixture {
    fn start() -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let statuses = DiscoveryStatuses::default();
        let started = Instant::now();
        let log = events.clone();
        let surroundings = Surroundings {
            now: Box::new(move || moment(started)),
            targets: Arc::new(|_| {
                let node = node_name("cp-1");
                let address = [127, 0, 0, 1].into();
                let target = TargetView { node, address, grade: Grade::Ready, has_override: false };
                Box::pin(async move { Some(vec![target]) })
            }),
            record: Box::new(move |pool, event| log.lock().push(format!("{pool}: {event}"))),
            statuses: statuses.clone(),
        };
        let seed = Node { name: node_name("cp-1"), addresses: vec![[127, 0, 0, 1].into()], priority: 0, weight: 1 };
        let settings = DiscoverySettings {
            source: DiscoverySource::Endpoints,
            interval: Duration::from_hours(1),
            shrink_pause: 60 * MINUTE,
        };
        let discovery = Discovery::new(DiscoveredPools::default(), surroundings);
        let mut fixture = Self { discovery, pool: pool(vec![seed]), settings, events, statuses, started };
        fixture.configure();
        fixture
    }

    fn configure(&mut self) {
        let probe = probe_settings();
        self.discovery.configure([DiscoveryPool { pool: &self.pool, probe: &probe, settings: &self.settings }]);
    }

    /// Applies a list of these nodes, or a failure, a minute later.
    async fn list(&mut self, listed: Result<&[u8], &str>) -> bool {
        tokio::time::advance(MINUTE).await;
        let listing = |nodes: &[u8]| {
            let nodes = nodes.iter().map(|n| (node_name(&format!("cp-{n}")), [[127, 0, 0, *n].into()].into()));
            Listing { nodes: nodes.collect(), ..Listing::default() }
        };
        let answer = listed.map(|nodes| ListAnswer { listing: listing(nodes), apiserver: [127, 0, 0, 1].into() });
        let answer = answer.map_err(QueryError::for_test);
        let view = PoolView { usable: [[127, 0, 0, 1].into()].into(), ..PoolView::default() };
        self.discovery.apply(FinderReport { pool: self.pool.name.clone(), finder: 0, answer, view })
    }

    fn nodes(&self) -> Vec<String> {
        let pool = self.discovery.discovered().complete(&self.pool);
        pool.nodes.iter().map(|node| node.name.to_string()).collect()
    }

    fn messages(&self) -> Vec<String> {
        self.events.lock().clone()
    }

    fn status(&self) -> DiscoveryStatus {
        self.statuses.of(&self.pool.name).unwrap()
    }
}

/// The time of the test, which begins on a day in 2026.
fn moment(started: Instant) -> Moment {
    Moment::from_millis(1_795_341_600_000).after(started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_for_an_hour_leaves_then_and_every_step_is_reported() {
    let mut fixture = Fixture::start();
    assert!(fixture.list(Ok(&[1, 2, 3])).await);
    assert_eq!(fixture.nodes(), ["cp-1", "cp-2", "cp-3"]);
    let since = moment(fixture.started).after(MINUTE);
    for _ in 0..60 {
        assert!(!fixture.list(Ok(&[1, 2])).await);
    }
    let missing = fixture.status().known[2].missing.clone().unwrap();
    let until = since.after(60 * MINUTE);
    let message = format!(
        "missing since {since} from 60 lists, and stays until {until}, because only one address leaves at a time"
    );
    assert_eq!(missing.message, message);
    assert!(fixture.list(Ok(&[1, 2])).await);
    assert_eq!(fixture.nodes(), ["cp-1", "cp-2"]);
    let expected = [
        "lb.example.org: cp-1 127.0.0.1 is new".to_owned(),
        "lb.example.org: cp-2 127.0.0.2 is new".to_owned(),
        "lb.example.org: cp-3 127.0.0.3 is new".to_owned(),
        "lb.example.org: cp-3 127.0.0.3 is missing from the list and stays for now".to_owned(),
        format!("lb.example.org: cp-3 127.0.0.3 leaves, because no list has had it since {since}"),
    ];
    assert_eq!(fixture.messages(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_is_silent_for_days_is_reported_once_and_changes_nothing() {
    let mut fixture = Fixture::start();
    fixture.list(Ok(&[1, 2, 3])).await;
    let complete = fixture.status().last_complete;
    for day in 0..3 {
        tokio::time::advance(Duration::from_hours(24)).await;
        assert!(!fixture.list(Err(&format!("127.0.0.1: silence, day {day}"))).await);
    }
    assert_eq!((fixture.nodes().len(), fixture.status().last_complete), (3, complete));
    assert_eq!(fixture.status().failure.as_deref(), Some("127.0.0.1: silence, day 2"));
    fixture.list(Ok(&[1, 2, 3])).await;
    let failing = "lb.example.org: discovery is failing, and the known nodes stay: 127.0.0.1: silence, day 0";
    assert_eq!(fixture.messages()[3..], [failing, "lb.example.org: discovery works again"]);
}

#[tokio::test(start_paused = true)]
async fn a_report_from_before_a_change_of_the_settings_has_no_effect() {
    let mut fixture = Fixture::start();
    fixture.settings.interval = Duration::from_mins(59);
    fixture.configure();
    assert!(!fixture.list(Ok(&[1, 2])).await);
    assert_eq!(fixture.nodes(), ["cp-1"]);
}

#[tokio::test(start_paused = true)]
async fn nodes_leave_with_the_discovery_that_found_them() {
    let mut fixture = Fixture::start();
    fixture.list(Ok(&[1, 2])).await;
    fixture.discovery.configure([]);
    assert_eq!(fixture.nodes(), ["cp-1"]);
    let last = "lb.example.org: cp-2 127.0.0.2 leaves, because discovery is turned off";
    assert_eq!(fixture.messages().last().unwrap(), last);
    assert_eq!(fixture.statuses.of(&fixture.pool.name), None);
}

#[tokio::test(start_paused = true)]
async fn a_finder_that_crashes_is_started_again() {
    let mut fixture = Fixture::start();
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    fixture.discovery.surroundings.targets = Arc::new(move |_| {
        *count.lock() += 1;
        assert!(*count.lock() > 1, "a bug");
        Box::pin(async { Some(Vec::new()) })
    });
    // Other settings start the finder anew, with these targets.
    fixture.settings.shrink_pause = MINUTE;
    fixture.configure();
    while *asked.lock() < 2 {
        assert!(!fixture.discovery.next_change().await, "it has crashed, or was aborted for the new one");
    }
    assert_eq!(fixture.status().seeds.len(), 1, "nothing else is forgotten");
}
