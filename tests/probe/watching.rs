//! The loop of one target.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daymark::probe::{Prober, Settings, Trust, offset, watch};
use daymark_decision::{Kind, Observation};
use daymark_fake_apiserver::{Authority, Behaviour};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::scene::{LONG, NAME, Scene, thresholds};

/// An interval that no test waits for.
const NEVER: Duration = Duration::from_hours(1);

/// A watch under way, and what it hands on.
struct Watching {
    observations: mpsc::UnboundedReceiver<Observation>,
    beats: Arc<AtomicU64>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Watching {
    fn start(settings: Settings, target: IpAddr) -> Self {
        let (sender, observations) = mpsc::unbounded_channel();
        let beats = Arc::new(AtomicU64::new(0));
        let shutdown = CancellationToken::new();
        let beat = {
            let beats = Arc::clone(&beats);
            move || {
                beats.fetch_add(1, Ordering::Relaxed);
            }
        };
        let sink = move |observation| drop(sender.send(observation));
        let prober = Arc::new(Prober::new(settings));
        let task = tokio::spawn(watch(target, Duration::ZERO, prober, sink, beat, shutdown.clone()));
        Self { observations, beats, shutdown, task }
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
    let scene = Scene::new();
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    for index in 0..8 {
        let observation = watching.next().await;
        assert_eq!(observation.kind, Kind::Ready);
        assert_eq!(is_fresh(&observation), index == 0);
        assert!(observation.certificate.unwrap().names.contains(&NAME.to_owned()));
    }
    assert_eq!(scene.apiserver.connections(), 1);
    watching.stop().await;
}

#[tokio::test]
async fn one_probe_in_so_many_uses_a_fresh_connection() {
    let mut scene = Scene::new();
    scene.settings.fresh_every = NonZeroU32::new(3).unwrap();
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    let mut fresh = Vec::new();
    for _ in 0..7 {
        fresh.push(is_fresh(&watching.next().await));
    }
    assert_eq!(fresh, [true, false, false, true, false, false, true]);
    assert_eq!(scene.apiserver.connections(), 3);
    watching.stop().await;
}

#[tokio::test]
async fn an_end_of_the_kept_connection_is_a_reason_to_probe_now_and_no_failure() {
    let mut scene = Scene::new();
    scene.settings.interval = NEVER;
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    scene.apiserver.hang_up().await.unwrap();
    let observation = watching.next().await;
    assert_eq!(observation.kind, Kind::Ready);
    assert!(is_fresh(&observation));
    assert_eq!(scene.apiserver.connections(), 2);
    watching.stop().await;
}

#[tokio::test]
async fn a_killed_apiserver_is_found_without_waiting_for_the_interval() {
    let mut scene = Scene::new();
    scene.settings.interval = NEVER;
    scene.settings.confirm_interval = Duration::from_millis(10);
    scene.settings.thresholds = thresholds(1, 3);
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    scene.apiserver.set(Behaviour::Dead).await.unwrap();
    for _ in 0..3 {
        assert_eq!(watching.next().await.kind, Kind::Refused);
    }
    watching.stop().await;
}

#[tokio::test]
async fn a_silent_node_is_proved_by_overlapping_fresh_connections_beside_the_silent_request() {
    let mut scene = Scene::new();
    scene.settings.confirm_interval = Duration::from_millis(50);
    scene.settings.connect_timeout = Duration::from_millis(500);
    scene.settings.thresholds = thresholds(1, 3);
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    scene.apiserver.set(Behaviour::Silent).await.unwrap();
    watching.until(&Kind::ConnectTimeout).await;
    // The request on the kept connection would be silent for `LONG`, and is called off when the verdict is clear.
    for _ in 0..3 {
        assert_eq!(watching.next().await.kind, Kind::ConnectTimeout);
    }
    scene.apiserver.set(Behaviour::Ready).await.unwrap();
    watching.until(&Kind::Ready).await;
    watching.stop().await;
}

#[tokio::test]
async fn hanging_etcd_is_not_ready_and_never_a_time_out() {
    let mut scene = Scene::new();
    scene.settings.confirm_interval = Duration::from_millis(20);
    scene.settings.thresholds = thresholds(1, 3);
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    scene.apiserver.set(Behaviour::Slow { after: Duration::from_millis(400) }).await.unwrap();
    let not_ready = Kind::NotReady { failing: vec!["etcd".to_owned(), "etcd-readiness".to_owned()] };
    watching.until(&not_ready).await;
    for _ in 0..2 {
        assert_eq!(watching.next().await.kind, not_ready);
    }
    watching.stop().await;
}

#[tokio::test]
async fn a_changed_ca_takes_effect_on_a_kept_connection() {
    let scene = Scene::new();
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    assert!(!is_fresh(&watching.next().await));
    scene.write("new.crt", Authority::new("kubernetes").unwrap().pem());
    std::fs::rename(scene.file("new.crt"), scene.file("ca.crt")).unwrap();
    watching.until(&Kind::UntrustedCa).await;
    scene.write("ca.crt", scene.authority.pem());
    watching.until(&Kind::Ready).await;
    watching.stop().await;
}

#[tokio::test]
async fn a_target_that_shuts_down_is_told_on_the_kept_connection() {
    let scene = Scene::new();
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    assert_eq!(watching.next().await.kind, Kind::Ready);
    scene.apiserver.set(Behaviour::ShuttingDown).await.unwrap();
    watching.until(&Kind::ShuttingDown).await;
    assert_eq!(scene.apiserver.connections(), 1);
    watching.stop().await;
}

#[tokio::test]
async fn a_fault_of_our_own_is_handed_on_and_probing_goes_on() {
    let mut scene = Scene::new();
    scene.settings.trust = Trust::File(scene.file("later.crt"));
    scene.settings.confirm_interval = Duration::from_millis(10);
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    for _ in 0..2 {
        assert!(matches!(watching.next().await.kind, Kind::OwnFault { .. }));
    }
    scene.write("later.crt", scene.authority.pem());
    watching.until(&Kind::Ready).await;
    watching.stop().await;
}

#[tokio::test]
async fn every_round_beats() {
    let scene = Scene::new();
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    for _ in 0..5 {
        watching.next().await;
    }
    // Each probe is a round for its start and one for its end.
    assert!(watching.beats.load(Ordering::Relaxed) >= 9);
    watching.stop().await;
}

/// A server that accepts and says nothing, and a watch of it with three probes under way.
async fn three_probes_under_way() -> (Watching, Vec<TcpStream>) {
    let mut scene = Scene::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    scene.settings.port = listener.local_addr().unwrap().port();
    scene.settings.confirm_interval = Duration::from_millis(10);
    scene.settings.thresholds = thresholds(3, 3);
    // The CA file has been read by then, so the scene may go.
    let watching = Watching::start(scene.settings.clone(), scene.address());
    let mut accepted = Vec::new();
    for _ in 0..3 {
        accepted.push(timeout(LONG, listener.accept()).await.expect("no connection came").unwrap().0);
    }
    (watching, accepted)
}

async fn all_ended(accepted: Vec<TcpStream>) {
    for mut stream in accepted {
        let mut hello = Vec::new();
        // To the end of the stream; a reset is an end as well.
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
    let scene = Scene::new();
    let prober = Arc::new(scene.prober());
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
async fn a_place_late_in_a_long_interval_does_not_put_off_the_first_verdict() {
    let mut scene = Scene::new();
    scene.settings.interval = NEVER;
    scene.settings.confirm_interval = Duration::from_millis(10);
    scene.settings.thresholds = thresholds(2, 3);
    let prober = Arc::new(scene.prober());
    let shutdown = CancellationToken::new();
    let (sender, mut observations) = mpsc::unbounded_channel();
    let mut watches = tokio::task::JoinSet::new();
    for index in 0..3 {
        let sender = sender.clone();
        let sink = move |observation: Observation| drop(sender.send((index, observation.kind)));
        let offset = offset(NEVER, index, 3);
        watches.spawn(watch(scene.address(), offset, Arc::clone(&prober), sink, || (), shutdown.clone()));
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
    let mut scene = Scene::with(Behaviour::Unauthorized).await;
    scene.settings.confirm_interval = Duration::from_millis(50);
    scene.settings.connect_timeout = Duration::from_millis(500);
    scene.settings.thresholds = thresholds(1, 3);
    let mut watching = Watching::start(scene.settings.clone(), scene.address());
    // Beyond the three that make it live.
    for _ in 0..5 {
        assert_eq!(watching.next().await.kind, Kind::CannotJudge { status: 401 });
    }
    scene.apiserver.set(Behaviour::Silent).await.unwrap();
    // The request on the kept connection alone would be silent for `LONG`.
    watching.until(&Kind::ConnectTimeout).await;
    for _ in 0..2 {
        assert_eq!(watching.next().await.kind, Kind::ConnectTimeout);
    }
    watching.stop().await;
}
