use std::path::Path;
use std::time::Duration;

use daymark_decision::Memory;
use tokio::sync::watch;

use super::roster::{Listing, Sight};
use super::*;
use crate::config::Config;
use crate::driver::{self, Driver, Outputs};
use crate::keeper::Kept;
use crate::metrics::Metrics;
use crate::watchdog::Watchdog;

const MINUTE: Duration = Duration::from_mins(1);
/// Its nodes are asked for once in an hour, by a port at which nothing listens.
const SOUGHT: &str = "{seeds: [{name: cp-1, addresses: [127.0.0.1]}], fromKubernetes: {interval: 1h}}";

/// Discovery over a driver of its own, which is told lists by the test.
struct Bench {
    discovery: Discovery,
    pools: Vec<PoolConfig>,
    events: Events,
    board: Board,
    clock: Clock,
}

fn pools(nodes: &str) -> Vec<PoolConfig> {
    let text = format!(
        "pools: [{{name: lb.example.org, port: 1, nodes: {nodes}}}]\nproviders: [{{type: authoritative, nameservers: [{{name: \
         ns1.example.net}}]}}]\n"
    );
    Config::parse(&text, "test.yaml", Path::new("")).unwrap().pools
}

impl Bench {
    fn start() -> Self {
        let (clock, events, board, pools) = (Clock::start(), Events::default(), Board::default(), pools(SOUGHT));
        let membership = None;
        let policies = pools.iter().map(|it| it.pool.clone()).collect();
        let engine = daymark_decision::Engine::new(membership, policies, Memory::default(), clock.now());
        let watchdog_handle = Watchdog::default().watch("the driver", driver::PATIENCE);
        let newest = watch::channel(Kept::default()).0;
        let outputs = Outputs { newest, events: Events::default(), metrics: Metrics::default(), watchdog_handle };
        let (driver, handle) = Driver::new(engine, None, clock, outputs);
        tokio::spawn(driver.run());
        let tell = Tell { clock, events: events.clone(), board: board.clone() };
        let mut discovery = Discovery::new(Rosters::default(), None, handle, tell);
        discovery.configure(&pools);
        Self { discovery, pools, events, board, clock }
    }

    /// A minute later a list of these nodes comes, or a fault.
    async fn hear(&mut self, listed: Result<&[u8], &str>) -> bool {
        tokio::time::advance(MINUTE).await;
        let node = |n: &u8| (NodeName::new(&format!("cp-{n}")), [[127, 0, 0, *n].into()].into());
        let listing = |nodes: &[u8]| Listing { nodes: nodes.iter().map(node).collect(), ..Listing::default() };
        let asked = listed.map(|nodes| (listing(nodes), [127, 0, 0, 1].into())).map_err(str::to_owned);
        let sight = Sight { usable: [[127, 0, 0, 1].into()].into(), ..Sight::default() };
        self.discovery.take(Report { pool: self.pools[0].pool.name.clone(), number: 0, asked, sight })
    }

    fn nodes(&self) -> Vec<String> {
        self.discovery.pools(&self.pools)[0].pool.nodes.iter().map(|node| node.name.to_string()).collect()
    }

    fn sentences(&self) -> Vec<String> {
        self.events.all().into_iter().map(|event| event.message).collect()
    }

    fn status(&self) -> DiscoveryStatus {
        self.board.of(&self.pools[0].pool.name).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_for_an_hour_leaves_then_and_every_step_is_told() {
    let mut bench = Bench::start();
    assert!(bench.hear(Ok(&[1, 2, 3])).await);
    assert_eq!(bench.nodes(), ["cp-1", "cp-2", "cp-3"]);
    let since = bench.clock.now().after(MINUTE);
    for _ in 0..60 {
        assert!(!bench.hear(Ok(&[1, 2])).await);
    }
    let missing = bench.status().known[2].missing.clone().unwrap();
    let until = since.after(60 * MINUTE);
    let sentence =
        format!("missing since {since} from 60 lists, and stays until {until}, for one leaves at a time, and slowly");
    assert_eq!(missing.sentence, sentence);
    assert!(bench.hear(Ok(&[1, 2])).await);
    assert_eq!(bench.nodes(), ["cp-1", "cp-2"]);
    let told = bench.sentences();
    let expected = [
        "lb.example.org: cp-1 127.0.0.1 is found".to_owned(),
        "lb.example.org: cp-2 127.0.0.2 is found".to_owned(),
        "lb.example.org: cp-3 127.0.0.3 is found".to_owned(),
        "lb.example.org: cp-3 127.0.0.3 is missing from the list, and stays for now".to_owned(),
        format!("lb.example.org: cp-3 127.0.0.3 leaves, for it was in no list since {since}"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_is_silent_for_days_is_told_of_once_and_changes_nothing() {
    let mut bench = Bench::start();
    bench.hear(Ok(&[1, 2, 3])).await;
    let complete = bench.status().complete;
    for day in 0..3 {
        tokio::time::advance(Duration::from_hours(24)).await;
        assert!(!bench.hear(Err(&format!("127.0.0.1: silence, day {day}"))).await);
    }
    assert_eq!((bench.nodes().len(), bench.status().complete), (3, complete));
    assert_eq!(bench.status().trouble.as_deref(), Some("127.0.0.1: silence, day 2"));
    bench.hear(Ok(&[1, 2, 3])).await;
    let told = bench.sentences();
    let trouble =
        "lb.example.org: the nodes cannot be told for sure, and those that are known stay: 127.0.0.1: silence, day 0";
    assert_eq!(told[3..], [trouble, "lb.example.org: the nodes can be told again"]);
}

#[tokio::test(start_paused = true)]
async fn a_report_of_before_a_change_of_the_settings_has_no_effect() {
    let mut bench = Bench::start();
    bench.discovery.configure(&pools(&SOUGHT.replace("1h", "59m")));
    assert!(!bench.hear(Ok(&[1, 2])).await);
    assert_eq!(bench.nodes(), ["cp-1"]);
}

#[tokio::test(start_paused = true)]
async fn nodes_leave_with_the_discovery_that_found_them() {
    let mut bench = Bench::start();
    bench.hear(Ok(&[1, 2])).await;
    bench.pools = pools("[{name: cp-1, addresses: [127.0.0.1]}]");
    bench.discovery.configure(&bench.pools);
    assert_eq!(bench.nodes(), ["cp-1"]);
    let last = "lb.example.org: cp-2 127.0.0.2 leaves, for it is not looked for any more";
    assert_eq!(bench.sentences().last().unwrap(), last);
    assert_eq!(bench.board.of(&bench.pools[0].pool.name), None);
}
