//! The probe loop of one target.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daymark_decision::fixtures::{node_name, quick_pool};
use daymark_decision::{Kind, Node, Observation};
use daymark_fake_apiserver::{Behaviour, FakeAuthority};
use daymark_probe::{ProbeSettings, ProbedPool, Prober, Supervisor, Trust, WatchOutputs, offset, watch};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, LONG, NAME, thresholds};

/// An interval that never ends within a test.
const NEVER: Duration = Duration::from_hours(1);

/// A running watch, with the observations and heartbeats that it sends.
struct Watching {
    observations: mpsc::UnboundedReceiver<Observation>,
    heartbeats: Arc<AtomicU64>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Watching {
    fn start(settings: ProbeSettings, target: IpAddr) -> Self {
        let (sender, observations) = mpsc::unbounded_channel();
        let heartbeats = Arc::new(AtomicU64::new(0));
        let shutdown = CancellationToken::new();
        let heartbeat = {
            let heartbeats = Arc::clone(&heartbeats);
            move || {
                heartbeats.fetch_add(1, Ordering::Relaxed);
            }
        };
        let sink = move |observation| drop(sender.send(observation));
        let prober = Arc::new(Prober::new(settings));
        let task = tokio::spawn(watch(target, Duration::ZERO, prober, sink, heartbeat, shutdown.clone()));
        Self { observations, heartbeats, shutdown, task }
    }

    async fn next(&mut self) -> Observation {
        timeout(LONG, self.observations.recv()).await.expect("no observation came").unwrap()
    }

    /// Takes observations until one is of this kind.
    async fn until(&mut self, kind: &Kind) {
        while self.next().await.kind != *kind {}
    }

    async fn stop(self) {
        self.shutdown.cancel();
        timeout(LONG, self.task).await.expect("it did not stop").unwrap();
    }
}

fn is_fresh(observation: &Observation) -> bool {
    let fresh = observation.timings.connect.is_some();
    assert_eq!(observation.timings.tls.is_some(), fresh);
    assert!(observation.timings.http.is_some());
    fresh
}

#[tokio::test]
async fn the_connection_is_kept_and_its_certificate_remembered() {
    let fixture = Fixture::new();
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    for index in 0..8 {
        let observation = watching.next().await;
        assert_eq!(observation.kind, Kind::Ready);
        assert_eq!(is_fresh(&observation), index == 0);
        assert!(observation.certificate.unwrap().names.contains(&NAME.to_owned()));
    }
    assert_eq!(fixture.apiserver.connections(), 1);
    watching.stop().await;
}

#[tokio::test]
async fn every_third_probe_uses_a_fresh_connection_if_so_configured() {
    let mut fixture = Fixture::new();
    fixture.settings.fresh_every = NonZeroU32::new(3).unwrap();
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    let mut fresh = Vec::new();
    for _ in 0..7 {
        fresh.push(is_fresh(&watching.next().await));
    }
    assert_eq!(fresh, [true, false, false, true, false, false, true]);
    assert_eq!(fixture.apiserver.connections(), 3);
    watching.stop().await;
}

#[tokio::test]
async fn a_closed_kept_connection_starts_a_probe_at_once_and_is_no_failure() {
    let mut fixture = Fixture::new();
    fixture.settings.interval = NEVER;
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    fixture.apiserver.close_connections().await.unwrap();
    let observation = watching.next().await;
    assert_eq!(observation.kind, Kind::Ready);
    assert!(is_fresh(&observation));
    assert_eq!(fixture.apiserver.connections(), 2);
    watching.stop().await;
}

#[tokio::test]
async fn a_killed_apiserver_is_noticed_before_the_interval_ends() {
    let mut fixture = Fixture::new();
    fixture.settings.interval = NEVER;
    fixture.settings.confirm_interval = Duration::from_millis(10);
    fixture.settings.thresholds = thresholds(1, 3);
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    fixture.apiserver.set(Behaviour::Dead).await.unwrap();
    for _ in 0..3 {
        assert_eq!(watching.next().await.kind, Kind::Refused);
    }
    watching.stop().await;
}

#[tokio::test]
async fn a_silent_node_is_proved_by_overlapping_fresh_connections_beside_the_silent_request() {
    let mut fixture = Fixture::new();
    fixture.settings.confirm_interval = Duration::from_millis(50);
    fixture.settings.connect_timeout = Duration::from_millis(500);
    fixture.settings.thresholds = thresholds(1, 3);
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    fixture.apiserver.set(Behaviour::Silent).await.unwrap();
    watching.until(&Kind::ConnectTimeout).await;
    // The request on the kept connection would wait for `LONG`; it is cancelled when the verdict is certain.
    for _ in 0..3 {
        assert_eq!(watching.next().await.kind, Kind::ConnectTimeout);
    }
    fixture.apiserver.set(Behaviour::Ready).await.unwrap();
    watching.until(&Kind::Ready).await;
    watching.stop().await;
}

#[tokio::test]
async fn a_hung_node_is_proved_by_handshakes_beside_the_silent_request() {
    let mut fixture = Fixture::new();
    fixture.settings.confirm_interval = Duration::from_millis(50);
    fixture.settings.tls_timeout = Duration::from_millis(500);
    fixture.settings.late_after = Duration::from_millis(100);
    fixture.settings.thresholds = thresholds(1, 3);
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    fixture.apiserver.set(Behaviour::TlsStall).await.unwrap();
    watching.until(&Kind::TlsStall).await;
    // The request on the kept connection would wait for `LONG`.
    for _ in 0..3 {
        assert_eq!(watching.next().await.kind, Kind::TlsStall);
    }
    fixture.apiserver.set(Behaviour::Ready).await.unwrap();
    watching.until(&Kind::Ready).await;
    watching.stop().await;
}

#[tokio::test]
async fn hanging_etcd_is_not_ready_and_never_a_time_out() {
    let mut fixture = Fixture::new();
    fixture.settings.confirm_interval = Duration::from_millis(20);
    fixture.settings.thresholds = thresholds(1, 3);
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    fixture.apiserver.set(Behaviour::Slow { after: Duration::from_millis(400) }).await.unwrap();
    let not_ready = Kind::NotReady { failing: vec!["etcd".to_owned(), "etcd-readiness".to_owned()] };
    watching.until(&not_ready).await;
    for _ in 0..2 {
        assert_eq!(watching.next().await.kind, not_ready);
    }
    watching.stop().await;
}

#[tokio::test]
async fn a_changed_ca_takes_effect_on_a_kept_connection() {
    let fixture = Fixture::new();
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    assert!(!is_fresh(&watching.next().await));
    fixture.write("new.crt", FakeAuthority::new("kubernetes").unwrap().pem());
    std::fs::rename(fixture.file("new.crt"), fixture.file("ca.crt")).unwrap();
    watching.until(&Kind::UntrustedCa).await;
    fixture.write("ca.crt", fixture.authority.pem());
    watching.until(&Kind::Ready).await;
    watching.stop().await;
}

#[tokio::test]
async fn a_shutdown_is_reported_on_the_kept_connection() {
    let fixture = Fixture::new();
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    fixture.apiserver.set(Behaviour::ShuttingDown).await.unwrap();
    watching.until(&Kind::ShuttingDown).await;
    assert_eq!(fixture.apiserver.connections(), 1);
    watching.stop().await;
}

#[tokio::test]
async fn a_local_error_is_reported_and_probing_goes_on() {
    let mut fixture = Fixture::new();
    fixture.settings.trust = Trust::File(fixture.file("later.crt"));
    fixture.settings.confirm_interval = Duration::from_millis(10);
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    for _ in 0..2 {
        assert!(matches!(watching.next().await.kind, Kind::LocalError { .. }));
    }
    fixture.write("later.crt", fixture.authority.pem());
    watching.until(&Kind::Ready).await;
    watching.stop().await;
}

#[tokio::test]
async fn every_round_sends_a_heartbeat() {
    let fixture = Fixture::new();
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    for _ in 0..5 {
        watching.next().await;
    }
    // Each probe takes two rounds: one for its start and one for its end.
    assert!(watching.heartbeats.load(Ordering::Relaxed) >= 9);
    watching.stop().await;
}

/// A server that accepts and sends nothing, and a watch with three unfinished probes of it.
async fn three_probes_under_way() -> (Watching, Vec<TcpStream>) {
    let mut fixture = Fixture::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    fixture.settings.port = listener.local_addr().unwrap().port();
    fixture.settings.confirm_interval = Duration::from_millis(10);
    fixture.settings.thresholds = thresholds(3, 3);
    // The fixture may be dropped, since the CA file has been read by then.
    let watching = Watching::start(fixture.settings.clone(), fixture.address());
    let mut accepted = Vec::new();
    for _ in 0..3 {
        accepted.push(timeout(LONG, listener.accept()).await.expect("no connection came").unwrap().0);
    }
    (watching, accepted)
}

async fn all_ended(accepted: Vec<TcpStream>) {
    for mut stream in accepted {
        let mut hello = Vec::new();
        // Reads to the end of the stream; a reset is an end as well.
        drop(timeout(LONG, stream.read_to_end(&mut hello)).await.expect("the connection is still open"));
    }
}

#[tokio::test]
async fn at_shutdown_every_connection_ends() {
    let (watching, accepted) = three_probes_under_way().await;
    watching.stop().await;
    all_ended(accepted).await;
}

#[tokio::test]
async fn a_watch_that_is_dropped_leaves_no_connection() {
    let (watching, accepted) = three_probes_under_way().await;
    watching.task.abort();
    all_ended(accepted).await;
}

#[tokio::test]
async fn many_targets_share_one_prober() {
    let fixture = Fixture::new();
    let prober = Arc::new(fixture.prober());
    let shutdown = CancellationToken::new();
    let (sender, mut observations) = mpsc::unbounded_channel();
    let mut watches = tokio::task::JoinSet::new();
    for last in 1..=100 {
        let sender = sender.clone();
        let sink = move |observation: Observation| drop(sender.send((last, observation.kind)));
        // The fake listens on one address of 127/8; the others refuse.
        let target = IpAddr::from([127, 0, 0, last]);
        watches.spawn(watch(target, Duration::ZERO, Arc::clone(&prober), sink, || (), shutdown.clone()));
    }
    let mut kinds = std::collections::BTreeMap::new();
    while kinds.len() < 100 {
        let (last, kind) = timeout(LONG, observations.recv()).await.expect("no observation came").unwrap();
        kinds.insert(last, kind);
    }
    assert_eq!(kinds.remove(&1), Some(Kind::Ready));
    assert!(kinds.values().all(|kind| *kind == Kind::Refused), "{kinds:?}");
    shutdown.cancel();
    watches.join_all().await;
}

#[tokio::test]
async fn a_late_offset_in_a_long_interval_does_not_delay_the_first_verdict() {
    let mut fixture = Fixture::new();
    fixture.settings.interval = NEVER;
    fixture.settings.confirm_interval = Duration::from_millis(10);
    fixture.settings.thresholds = thresholds(2, 3);
    let prober = Arc::new(fixture.prober());
    let shutdown = CancellationToken::new();
    let (sender, mut observations) = mpsc::unbounded_channel();
    let mut watches = tokio::task::JoinSet::new();
    for index in 0..3 {
        let sender = sender.clone();
        let sink = move |observation: Observation| drop(sender.send((index, observation.kind)));
        let offset = offset(NEVER, index, 3);
        watches.spawn(watch(fixture.address(), offset, Arc::clone(&prober), sink, || (), shutdown.clone()));
    }
    let mut found = [0; 3];
    while found != [2; 3] {
        let (index, kind) = timeout(LONG, observations.recv()).await.expect("no observation came").unwrap();
        assert_eq!(kind, Kind::Ready);
        found[index] += 1;
    }
    shutdown.cancel();
    watches.join_all().await;
}

#[tokio::test]
async fn a_live_target_that_falls_silent_is_proved_by_overlapping_fresh_connections() {
    let mut fixture = Fixture::with(Behaviour::Unauthorized).await;
    fixture.settings.confirm_interval = Duration::from_millis(50);
    fixture.settings.connect_timeout = Duration::from_millis(500);
    fixture.settings.thresholds = thresholds(1, 3);
    let mut watching = Watching::start(fixture.settings.clone(), fixture.address());
    // More than the three that make it live.
    for _ in 0..5 {
        assert_eq!(watching.next().await.kind, Kind::Unauthorized { status: 401, credentials: false });
    }
    fixture.apiserver.set(Behaviour::Silent).await.unwrap();
    // The request on the kept connection alone would wait for `LONG`.
    watching.until(&Kind::ConnectTimeout).await;
    for _ in 0..2 {
        assert_eq!(watching.next().await.kind, Kind::ConnectTimeout);
    }
    watching.stop().await;
}

#[tokio::test]
async fn a_watch_that_crashes_is_started_again_with_a_heartbeat_of_its_own() {
    let fixture = Fixture::new();
    let target = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let node = Node { name: node_name("cp-1"), addresses: vec![target], priority: 0, weight: 1 };
    let pool = quick_pool(NAME, vec![node]);
    let (sender, mut observations) = mpsc::unbounded_channel();
    let crashes = AtomicU64::new(0);
    let heartbeats = Arc::new(AtomicU64::new(0));
    let made = Arc::clone(&heartbeats);
    let mut supervisor = Supervisor::new(WatchOutputs {
        observe: Arc::new(move |_, observation| {
            assert!(crashes.fetch_add(1, Ordering::Relaxed) > 0, "a bug");
            let _ = sender.send(observation);
        }),
        heartbeat: Box::new(move |_, _| {
            made.fetch_add(1, Ordering::Relaxed);
            Box::new(|| {})
        }),
    });
    let settings = ProbeSettings { port: 1, ..fixture.settings.clone() };
    supervisor.configure([ProbedPool { pool: &pool, settings: &settings }]);
    supervisor.restart_next_crashed().await;
    assert_eq!(heartbeats.load(Ordering::Relaxed), 2);
    let observation = timeout(LONG, observations.recv()).await.unwrap().unwrap();
    assert_eq!(observation.kind, Kind::Refused);
    supervisor.stop().await;
}
