use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::http::Request;
use daymark_authoritative::{KeyRole, RateLimitCounts, ZoneKeyStatus, ZoneSignatures};
use daymark_config::Config;
use daymark_connections::Connections;
use daymark_decision::fixtures::pool_name;
use daymark_decision::{Decision, Engine, Kind, Memory, Observation, Target, Timings};
use daymark_probe::Prober;
use daymark_provider::{CallCount, InMemory, RemoteReadings, contract};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::descriptors::ADMIN_CONNECTIONS;
use crate::driver::Outputs;
use crate::driver::{self, Driver, DriverWithHandle};
use crate::metrics::QueryCount;
use crate::publish;
use crate::state::DecidedState;
use crate::watchdog::WatchdogHandle;

struct Bench {
    routes: Router,
    admin: Admin,
    newest: watch::Receiver<DecidedState>,
    pools: Vec<daymark_decision::Pool>,
    _token_dir: tempfile::TempDir,
}

const POOL: &str = "
pools:
  - name: lb.example.org
    nodes:
      - {name: cp-1, addresses: [192.0.2.1]}
      - {name: cp-2, addresses: [192.0.2.2]}
    probe: {rise: 1, fall: 1}
providers:
  - {type: authoritative, nameservers: [{name: ns1.example.net}]}
";

fn bench() -> Bench {
    let config = Config::parse(POOL, "test.yaml", std::path::Path::new("")).unwrap();
    let pools: Vec<_> = config.pools.iter().map(|config| config.pool.clone()).collect();
    let (clock, events, metrics, watchdog) =
        (Clock::start(), Events::default(), Metrics::default(), Watchdog::default());
    let membership = None;
    let engine = Engine::new(membership, pools.clone(), Memory::default(), clock.now());
    let (sender, newest) = watch::channel(DecidedState::default());
    let watchdog_handle = watchdog.watch("the driver", driver::DRIVER_TIMEOUT);
    let outputs = Outputs { decisions: sender, events: events.clone(), metrics: metrics.clone(), watchdog_handle };
    let DriverWithHandle { driver, handle } = Driver::with_handle(engine, None, clock, outputs);
    tokio::spawn(driver.run());

    let usage = || RemoteReadings {
        calls: vec![CallCount { call: "readPool", outcome: "limited", count: 3 }],
        remaining: Some(50),
        ..RemoteReadings::default()
    };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "secret\n").unwrap();
    let admin = Admin {
        statuses: DiscoveryStatuses::default(),
        expiries: PoolExpiries::default(),
        driver: handle,
        clock,
        events,
        metrics,
        watchdog,
        providers: vec![Progress::local("memory", clock), Progress::remote("cloudflare", clock, usage)],
        state: StateHealth::default(),
        refused: Refused::default(),
        dns: Arc::new(|| DnsReadings {
            queries: vec![QueryCount { transport: "udp", rcode: "NOERROR".to_owned(), count: 42 }],
            copied: 41,
            rate_limited: Some(RateLimitCounts { dropped: 5, slipped: 6, log_only: 7 }),
            signatures: vec![ZoneSignatures {
                zone: "lb.example.org".to_owned(),
                keys: vec![
                    ZoneKeyStatus { tag: 31589, role: KeyRole::Combined, is_active: true },
                    ZoneKeyStatus { tag: 258, role: KeyRole::ZoneSigning, is_active: false },
                ],
                expires_at: UNIX_EPOCH + Duration::from_secs(1_796_515_201),
            }],
        }),
        servers: vec![ConnectionServer { name: "admin", connections: Connections::new(ADMIN_CONNECTIONS) }],
        key_file: None,
        token: AdminToken::in_file(&dir.path().join("token")),
    };
    Bench { routes: routes(admin.clone()), admin, newest, pools, _token_dir: dir }
}

impl Bench {
    async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn put(&self, node: &str, body: &Value) -> (StatusCode, String) {
        self.write("PUT", node, "Bearer secret", body.to_string()).await
    }

    async fn write(&self, method: &str, node: &str, secret: &str, body: String) -> (StatusCode, String) {
        let path = format!("/api/v1/pools/lb.example.org/nodes/{node}/override");
        let request = Request::builder().method(method).uri(path).header("authorization", secret);
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn see(&mut self, index: usize, kind: Kind) {
        let target: Target = self.pools[0].targets().nth(index).unwrap();
        let timings = Timings { http: Some(Duration::from_millis(3)), ..Timings::default() };
        self.admin.driver.observe(target, Observation { kind, timings, certificate: None }).unwrap();
        // The reply to a later question comes after the observation is taken in.
        self.admin.driver.status().await.unwrap();
    }

    fn decision(&self) -> Decision {
        self.newest.borrow().decision.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_of_the_probes_is_an_alarm_and_a_metric() {
    let bench = bench();
    let dir = tempfile::tempdir().unwrap();
    let claims = data_encoding::BASE64URL_NOPAD.encode(br#"{"iat": 1000, "exp": 4600}"#);
    std::fs::write(dir.path().join("token"), format!("e30.{claims}.c2ln")).unwrap();
    let text = POOL.replace("{rise: 1", "{insecure: true, auth: {tokenFile: token}, rise: 1");
    let pools = Config::parse(&text, "test.yaml", dir.path()).unwrap().pools;
    let probers = pools.into_iter().map(|pool| (pool.pool.name, Arc::new(Prober::new(pool.probe))));
    bench.admin.expiries.set(&probers.collect());
    let status: Value = serde_json::from_str(&bench.get("/api/v1/status").await.1).unwrap();
    assert_eq!(status["pools"][0]["credentials"]["notAfter"], "1970-01-01T01:16:40.000Z");
    let alarms = status["alarms"].to_string();
    assert!(alarms.contains("expired at 1970-01-01T01:16:40Z, so nodes refuse the credentials"), "{alarms}");
    let metrics = bench.get("/metrics").await.1;
    for line in [
        "daymark_pool_credentials_not_after_timestamp_seconds{pool=\"lb.example.org\"} 4600",
        "daymark_pool_credentials_expiring{pool=\"lb.example.org\"} 1",
    ] {
        assert!(metrics.lines().any(|of| of == line), "{line} is in {metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn livez_fails_while_a_part_is_stuck_and_names_it() {
    let bench = bench();
    assert_eq!(bench.get("/livez").await, (StatusCode::OK, "livez check passed\n".to_owned()));
    let stuck: WatchdogHandle =
        bench.admin.watchdog.watch("probe of lb.example.org cp-1 192.0.2.1", Duration::from_secs(5));
    tokio::time::sleep(Duration::from_secs(9)).await;
    let (code, text) = bench.get("/livez").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "[-]probe of lb.example.org cp-1 192.0.2.1 is stuck: no heartbeat for 9 s\nlivez check failed\n");
    let (_, status) = bench.get("/api/v1/status").await;
    assert!(status.contains("cp-1 192.0.2.1 is stuck"), "{status}");
    stuck.heartbeat();
    assert_eq!(bench.get("/livez").await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn readyz_does_not_wait_for_a_provider_elsewhere() {
    let mut bench = bench();
    bench.admin.providers.remove(0);
    let (code, text) = Bench { routes: routes(bench.admin.clone()), ..bench }.get("/readyz").await;
    assert_eq!((code, text.as_str()), (StatusCode::OK, "[+]listeners ok\n[+]driver ok\nreadyz check passed\n"));
}

#[tokio::test(start_paused = true)]
async fn readyz_fails_until_an_answer_is_published() {
    let bench = bench();
    let (code, text) = bench.get("/readyz").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("[-]provider memory has published no answer yet"), "{text}");

    let decision = contract::decision(&pool_name("lb.example.org"), 7, &["192.0.2.1"]);
    let (_sender, decisions) = watch::channel(decision);
    let progress = bench.admin.providers[0].clone();
    let stop = CancellationToken::new();
    let provider = Arc::new(InMemory::default());
    let task = tokio::spawn(publish::local::publish(provider, decisions, progress, stop.clone()));
    while bench.admin.providers[0].status().published.is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (code, text) = bench.get("/readyz").await;
    assert_eq!((code, text.lines().last()), (StatusCode::OK, Some("readyz check passed")));
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_override_needs_the_token() {
    let bench = bench();
    let body = json!({"kind": "drain"}).to_string();
    for secret in ["", "Bearer", "Bearer wrong", "secret"] {
        let (code, text) = bench.write("PUT", "cp-1", secret, body.clone()).await;
        assert_eq!(code, StatusCode::UNAUTHORIZED, "{text}");
        assert_eq!(bench.write("DELETE", "cp-1", secret, String::new()).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(bench.decision().answers[0].members.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_is_drained_forced_and_let_be_again() {
    let mut bench = bench();
    bench.see(0, Kind::Ready).await;
    bench.see(1, Kind::Ready).await;
    let order = json!({"kind": "drain", "for": "10m", "reason": "disk", "author": "ada"});
    assert_eq!(bench.put("cp-2", &order).await.0, StatusCode::OK);
    assert_eq!(bench.decision().answers[0].members.len(), 1);
    let (_, status) = bench.get("/api/v1/status").await;
    assert!(status.contains("out: drained by ada since"), "{status}");

    let (code, text) = bench.put("cp-1", &json!({"kind": "drain"})).await;
    assert_eq!(code, StatusCode::CONFLICT);
    assert!(text.contains("cp-1 is the last undrained node of pool lb.example.org"), "{text}");

    assert_eq!(bench.put("cp-2", &json!({"kind": "force"})).await.0, StatusCode::OK);
    assert_eq!(bench.write("DELETE", "cp-2", "Bearer secret", String::new()).await.0, StatusCode::OK);
    let (code, text) = bench.write("DELETE", "cp-2", "Bearer secret", String::new()).await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(text.contains("cp-2 of pool lb.example.org is neither drained nor forced"), "{text}");

    let (_, events) = bench.get("/api/v1/events").await;
    let events: Vec<Event> = serde_json::from_str(&events).unwrap();
    assert!(events.iter().any(|event| event.message.contains("cp-2 is no longer drained or forced")), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bad_override_is_refused_with_a_message_and_changes_nothing() {
    let bench = bench();
    let faults = [
        (json!({}), "kind: is missing; drain or force is needed"),
        (json!({"kind": "sleep"}), "kind: \\\"sleep\\\" is not valid; drain or force is allowed"),
        (
            json!({"kind": "drain", "untill": "1h"}),
            "untill: is not a known key; kind, for, reason, author and insist are allowed",
        ),
        (json!({"kind": "drain", "for": "10"}), "for: \\\"10\\\" has no unit"),
        (json!({"kind": "drain", "for": "0s"}), "is too short"),
        (json!({"kind": "drain", "reason": "two\nlines"}), "reason: one line of at most 200 bytes is allowed"),
        (json!({"kind": "drain", "author": "x".repeat(201)}), "author: one line"),
    ];
    for (body, message) in faults {
        let (code, text) = bench.put("cp-1", &body).await;
        assert_eq!(code, StatusCode::BAD_REQUEST, "{body}");
        assert!(text.contains(message), "{text}");
    }
    let (code, text) = bench.put("cp-9", &json!({"kind": "drain"})).await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(text.contains("has no node cp-9; its nodes are cp-1, cp-2"), "{text}");
    let (code, text) = bench.put("cp%201", &json!({"kind": "drain"})).await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(text.contains("cp 1") && text.contains("is not a valid name of a node; a text of 1 to 253"), "{text}");
    let bad_pool = Request::put("/api/v1/pools/no_pool/nodes/cp-1/override").header("authorization", "Bearer secret");
    let (code, text) = bench.send(bad_pool.body(Body::from(json!({"kind": "drain"}).to_string())).unwrap()).await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(text.contains("there is no pool no_pool; the pools are lb.example.org"), "{text}");
    assert!(
        bench.admin.driver.status().await.unwrap()[0].targets.iter().all(|target| target.active_override.is_none())
    );
}

#[tokio::test(start_paused = true)]
async fn the_metrics_contain_everything_that_is_promised() {
    let mut bench = bench();
    bench.see(0, Kind::Ready).await;
    bench.see(1, Kind::Refused).await;
    let (code, text) = bench.get("/metrics").await;
    assert_eq!(code, StatusCode::OK);
    let lines = [
        "daymark_build_info{version=\"0.1.0\"} 1",
        "daymark_probes_total{pool=\"lb.example.org\",node=\"cp-2\",address=\"192.0.2.2\",outcome=\"refused\"} 1",
        "daymark_target_grade{pool=\"lb.example.org\",node=\"cp-2\",address=\"192.0.2.2\",grade=\"down\"} 1",
        "daymark_target_grade{pool=\"lb.example.org\",node=\"cp-2\",address=\"192.0.2.2\",grade=\"ready\"} 0",
        "daymark_target_in_answer{pool=\"lb.example.org\",node=\"cp-1\",address=\"192.0.2.1\"} 1",
        "daymark_pool_answer_addresses{pool=\"lb.example.org\"} 1",
        "daymark_pool_basis{pool=\"lb.example.org\",family=\"ipv4\",basis=\"lastKnownGood\"} 0",
        "daymark_provider_behind_seconds{provider=\"memory\"} 0",
        "daymark_provider_calls_total{provider=\"cloudflare\",call=\"readPool\",outcome=\"limited\"} 3",
        "daymark_provider_calls_remaining{provider=\"cloudflare\"} 50",
        "daymark_dns_queries_total{transport=\"udp\",rcode=\"NOERROR\"} 42",
        "daymark_dns_copied_responses_total 41",
        "daymark_dns_signatures_not_after_timestamp_seconds{zone=\"lb.example.org\"} 1796515201",
        "daymark_dns_zone_key{zone=\"lb.example.org\",tag=\"31589\",role=\"csk\",state=\"active\"} 1",
        "daymark_dns_zone_key{zone=\"lb.example.org\",tag=\"258\",role=\"zsk\",state=\"published\"} 1",
        "daymark_dns_rate_limited_total{action=\"dropped\"} 5",
        "daymark_dns_rate_limited_total{action=\"slipped\"} 6",
        "daymark_dns_rate_limited_total{action=\"logOnly\"} 7",
        "daymark_tcp_connections_open{server=\"admin\"} 0",
        "daymark_tcp_connections_evicted_total{server=\"admin\",limit=\"all\"} 0",
        "daymark_tcp_connections_evicted_total{server=\"admin\",limit=\"perClient\"} 0",
        "daymark_tcp_accept_failures_total{server=\"admin\"} 0",
        "daymark_pool_refused_credentials_targets{pool=\"lb.example.org\"} 0",
        "daymark_state_writable 1",
        "daymark_config_refused 0",
        "daymark_stuck_tasks 0",
        "daymark_crashes_total 0",
    ];
    for expected in lines {
        assert!(text.lines().any(|line| line == expected), "{expected} is missing in\n{text}");
    }
    let phase = "pool=\"lb.example.org\",node=\"cp-1\",address=\"192.0.2.1\",phase=\"http\"";
    assert!(text.contains(&format!("daymark_probe_duration_seconds_count{{{phase}}} 1")), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test(start_paused = true)]
async fn scrapes_at_the_same_time_are_all_complete() {
    let mut bench = bench();
    bench.see(0, Kind::Ready).await;
    let readings = || Readings {
        driver: None,
        providers: Vec::new(),
        now: bench.admin.clock.now(),
        dns: DnsReadings::default(),
        servers: Vec::new(),
        state_failures: 0,
        state_writable: true,
        config_refused: false,
        stuck: 0,
        crashes: 0,
        lost_lines: 0,
    };
    let driver = bench.admin.read_driver().await.unwrap();
    let whole = bench.admin.metrics.encode(&Readings { driver: Some(driver), ..readings() }).unwrap();
    let pools = bench.admin.pools().await.unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let driver = Some(DriverReadings { pools: pools.clone(), hosts: None });
                    let text = bench.admin.metrics.encode(&Readings { driver, ..readings() }).unwrap();
                    assert_eq!(text.lines().count(), whole.lines().count(), "{text}");
                }
            });
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_scrape_of_a_stuck_driver_answers_at_once_with_what_it_said_before() {
    let mut bench = bench();
    bench.see(0, Kind::Ready).await;
    let (_, before) = bench.get("/metrics").await;
    let (handle, _stuck) = Handle::stuck();
    bench.admin.driver = handle;
    bench.routes = routes(bench.admin.clone());
    tokio::time::advance(driver::DRIVER_TIMEOUT * 2).await;
    let since = tokio::time::Instant::now();
    let (code, text) = bench.get("/metrics").await;
    assert_eq!((code, since.elapsed()), (StatusCode::OK, READ_TIMEOUT));
    let grade = "daymark_target_grade{pool=\"lb.example.org\",node=\"cp-1\",address=\"192.0.2.1\",grade=\"ready\"} 1";
    assert!(before.contains(grade) && text.contains(grade), "{text}");
    let (code, text) = bench.get("/readyz").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("[-]the driver does not answer"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_key_file_that_cannot_be_used_any_more_is_an_alarm() {
    let mut bench = bench();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gossip.key");
    let secret: Vec<u8> = (0..32_u8).map(|n| n.wrapping_mul(37)).collect();
    std::fs::write(&path, data_encoding::BASE64.encode(&secret)).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let keys = Arc::new(crate::peers::keyfile::watch(&path));
    bench.admin.key_file = Some(Arc::clone(&keys));
    keys.current().unwrap();
    let is_alarm = |alarm: &String| alarm.starts_with("the file of the gossip keys cannot be used any more: ");
    assert!(!bench.admin.status().await.unwrap().alarms.iter().any(is_alarm));
    std::fs::remove_file(&path).unwrap();
    keys.current().unwrap();
    let alarms = bench.admin.status().await.unwrap().alarms;
    assert!(alarms.iter().any(is_alarm), "{alarms:?}");
}

#[tokio::test(start_paused = true)]
async fn signatures_that_were_not_renewed_in_time_are_an_alarm() {
    let mut bench = bench();
    let readings = (bench.admin.dns)();
    let is_alarm = |alarm: &String| alarm.starts_with("lb.example.org: signatures are not renewed: ");
    for (hours_left, expected) in [(43, false), (41, true)] {
        let mut signatures = readings.signatures.clone();
        signatures[0].expires_at =
            UNIX_EPOCH + Duration::from_millis(bench.admin.clock.now().as_millis()) + Duration::from_hours(hours_left);
        bench.admin.dns = Arc::new(move || DnsReadings { signatures: signatures.clone(), ..DnsReadings::default() });
        let alarms = bench.admin.status().await.unwrap().alarms;
        assert_eq!(alarms.iter().any(is_alarm), expected, "{alarms:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_leaves_no_metric_behind() {
    let mut bench = bench();
    bench.see(0, Kind::Ready).await;
    bench.see(1, Kind::Ready).await;
    let mut fewer = bench.pools.clone();
    fewer[0].nodes.truncate(1);
    bench.admin.driver.reserve_reload().await.unwrap().reload(fewer, std::collections::BTreeMap::new()).await;
    let (_, text) = bench.get("/metrics").await;
    assert!(!text.contains("192.0.2.2"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_not_there_says_which_are() {
    let (code, text) = bench().get("/api/v2").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(text.contains("the paths are /livez, /readyz, /metrics"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_refusal_of_a_request_without_the_token_names_the_scheme() {
    let bench = bench();
    let request = Request::delete("/api/v1/pools/lb.example.org/nodes/cp-1/override").body(Body::empty()).unwrap();
    let response = bench.routes.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    let (code, _) = bench.write("PUT", "cp-1", "bearer secret", json!({"kind": "force"}).to_string()).await;
    assert_eq!(code, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_a_path_does_not_take_is_a_problem_that_says_which_it_takes() {
    for (method, path, allowed) in [
        ("POST", "/livez", "GET,HEAD"),
        ("DELETE", "/api/v1/status", "GET,HEAD"),
        ("GET", "/api/v1/pools/lb.example.org/nodes/cp-1/override", "PUT,DELETE"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = bench().routes.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], allowed);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.error, format!("{path} does not allow {method}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_in_a_path_that_is_no_text_is_a_problem_too() {
    let bench = bench();
    for method in ["PUT", "DELETE"] {
        let (code, text) = bench.write(method, "%ff", "Bearer secret", json!({"kind": "drain"}).to_string()).await;
        let problem: Problem = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!((code, problem.error.as_str()), (StatusCode::BAD_REQUEST, "Invalid URL: Invalid UTF-8 in `node`"));
        let (code, _) = bench.write(method, "%ff", "Bearer wrong", String::new()).await;
        assert_eq!(code, StatusCode::UNAUTHORIZED, "who may not write learns nothing");
    }
}
