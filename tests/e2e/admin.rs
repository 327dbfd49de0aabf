//! The admin API from a client's side: health, metrics, status, events, overrides, and clients that misbehave.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use daymark_decision::Moment;
use daymark_fake_apiserver::Behaviour;
use serde::Deserialize;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::dns::{AAAA, ask, lines, look_up};
use crate::support::nodes::{Nodes, Plan};
use crate::support::{Daymark, LONG, POOL, http, http_to_host, until};

fn running(count: u8) -> (Nodes, Daymark) {
    let nodes = Nodes::start(count);
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    daymark.answers(&nodes.addresses(), "ready");
    (nodes, daymark)
}

#[test]
fn health_is_reported_in_the_form_of_the_apiserver() {
    let (_nodes, daymark) = running(1);
    assert_eq!(daymark.get("/livez"), (200, "livez check passed\n".to_owned()));
    let ready = "[+]listeners ok\n[+]answer of authoritative ok\n[+]driver ok\nreadyz check passed\n";
    assert_eq!(daymark.get("/readyz"), (200, ready.to_owned()));
    let (code, body) = daymark.get("/nothing");
    assert_eq!(code, 404);
    assert!(body.contains("/api/v1/status"), "{body}");
}

#[test]
fn every_metric_is_exported_as_open_metrics() {
    let (nodes, daymark) = running(2);
    nodes.set(1, Behaviour::Dead);
    daymark.answers(&nodes.addresses()[..1], "ready");
    assert_eq!(ask(daymark.dns, "elsewhere.example", AAAA).unwrap().code, 5);
    lines("kdig", daymark.dns, &["+tcp", POOL, "A"]);
    let (code, text) = daymark.get("/metrics");
    assert_eq!(code, 200);
    let up = nodes.addresses()[0];
    let down = nodes.addresses()[1];
    let up = format!("pool=\"{POOL}\",node=\"cp-1\",address=\"{up}\"");
    let down = format!("pool=\"{POOL}\",node=\"cp-2\",address=\"{down}\"");
    for wanted in [
        format!("daymark_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        format!("daymark_target_grade{{{up},grade=\"ready\"}} 1"),
        format!("daymark_target_grade{{{up},grade=\"down\"}} 0"),
        format!("daymark_target_grade{{{down},grade=\"down\"}} 1"),
        format!("daymark_target_in_answer{{{down}}} 0"),
        format!("daymark_probes_total{{{up},outcome=\"ready\"}} "),
        format!("daymark_probes_total{{{down},outcome=\"refused\"}} "),
        format!("daymark_probe_duration_seconds_bucket{{le=\"+Inf\",{up},phase=\"http\"}} "),
        format!("daymark_probe_duration_seconds_count{{{up},phase=\"connect\"}} "),
        format!("daymark_probe_duration_seconds_sum{{{up},phase=\"tls\"}} "),
        format!("daymark_target_certificate_not_after_timestamp_seconds{{{up}}} 4733510400"),
        format!("daymark_pool_ca_not_after_timestamp_seconds{{pool=\"{POOL}\",ca=\"CN=kubernetes\"}} 4733510400"),
        format!("daymark_pool_answer_addresses{{pool=\"{POOL}\"}} 1"),
        format!("daymark_pool_generation{{pool=\"{POOL}\"}} "),
        format!("daymark_pool_basis{{pool=\"{POOL}\",family=\"ipv4\",basis=\"lastKnownGood\"}} 0"),
        format!("daymark_pool_ttl_seconds{{pool=\"{POOL}\"}} "),
        "daymark_dns_queries_total{transport=\"udp\",rcode=\"REFUSED\"} 1".to_owned(),
        "daymark_dns_queries_total{transport=\"tcp\",rcode=\"NOERROR\"} 1".to_owned(),
        "daymark_dns_rate_limited_total{action=\"dropped\"} 0".to_owned(),
        "daymark_tcp_connections_open{server=\"dns\"} 0".to_owned(),
        "daymark_tcp_connections_open{server=\"admin\"} 1".to_owned(),
        "daymark_provider_published_generation{provider=\"authoritative\"} ".to_owned(),
        "daymark_provider_behind_seconds{provider=\"authoritative\"} ".to_owned(),
        "daymark_provider_last_success_timestamp_seconds{provider=\"authoritative\"} ".to_owned(),
        "daymark_state_writable 1".to_owned(),
        "daymark_log_lines_lost_total 0".to_owned(),
        "daymark_stuck_tasks 0".to_owned(),
    ] {
        assert!(text.lines().any(|line| line.starts_with(&wanted)), "{wanted} is in {text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    let families: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for name in samples.map(|line| line.split(['{', ' ']).next().unwrap()) {
        assert!(families.iter().any(|family| name.starts_with(family)), "{name} is of a family that is described");
    }
}

#[test]
fn status_and_events_have_the_present_and_the_past_with_their_reasons() {
    let (nodes, daymark) = running(2);
    let not_ready = Behaviour::NotReady { failing: vec!["etcd".to_owned()] };
    nodes.set(0, not_ready);
    daymark.answers(&nodes.addresses()[1..], "ready");
    let status = daymark.json("/api/v1/status");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["alarms"], Value::Array(Vec::new()));
    let pool = &status["pools"][0];
    assert_eq!((&pool["name"], &pool["basis"]), (&POOL.into(), &"ready".into()));
    let target = &pool["targets"][0];
    assert_eq!(
        (&target["node"], &target["grade"], &target["answerStatus"]),
        (&"cp-1".into(), &"live".into(), &"out".into())
    );
    assert_eq!(target["observed"]["certificate"]["names"], serde_json::json!([POOL]));
    let events = daymark.json("/api/v1/events");
    let events = events.as_array().unwrap();
    let numbers: Vec<_> = events.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    let last = events.iter().rfind(|event| event["event"] == "answer").unwrap();
    assert_eq!(last["old"].as_array().unwrap().len(), 2);
    assert_eq!(last["new"], serde_json::json!([nodes.addresses()[1]]));
    assert!(last["message"].as_str().unwrap().contains("500: failing checks: etcd"), "{last}");
}

#[test]
fn an_override_needs_the_token_and_is_refused_if_it_is_invalid() {
    let (nodes, daymark) = running(2);
    let token = nodes.token();
    let send = |method, node: &str, token, body| {
        let path = format!("/api/v1/pools/{POOL}/nodes/{node}/override");
        http(daymark.admin, method, &path, token, body)
    };
    let right = Some(token.as_str());
    let drain = r#"{"kind": "drain", "for": "10m", "reason": "disk change", "author": "ada"}"#;
    for wrong in [None, Some("wrong"), Some("")] {
        let (code, body) = send("PUT", "cp-1", wrong, drain);
        assert_eq!(code, 401, "{body}");
        assert!(body.contains("the admin token was refused"), "{body}");
        assert_eq!(send("DELETE", "cp-1", wrong, "").0, 401);
    }
    for (bad, message) in [
        ("drain", "the body is not an override: "),
        ("{}", "kind: is missing; drain or force is needed"),
        (r#"{"kind": "explode"}"#, "kind: \"explode\" is not valid; drain or force is allowed"),
        (
            r#"{"kind": "drain", "until": "10m"}"#,
            "until: is not a known key; kind, for, reason, author and insist are allowed",
        ),
        (r#"{"kind": "drain", "for": "10 parsecs"}"#, "for: "),
        (r#"{"kind": "drain", "for": "0s"}"#, "for: "),
        (r#"{"kind": "drain", "reason": "two\nlines"}"#, "reason: one line"),
    ] {
        let (code, body) = send("PUT", "cp-1", right, bad);
        assert_eq!(code, 400, "{bad}: {body}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert!(problem["error"].as_str().unwrap().contains(message), "{bad}: {body}");
    }
    let (code, body) = send("PUT", "cp-9", right, drain);
    assert_eq!(code, 404);
    assert!(body.contains(&format!("pool {POOL} has no node cp-9; its nodes are cp-1, cp-2")), "{body}");
    assert_eq!(http(daymark.admin, "PUT", "/api/v1/pools/no/nodes/cp-1/override", right, drain).0, 404);
    daymark.answers(&nodes.addresses(), "ready");

    let (code, body) = send("PUT", "cp-1", right, drain);
    assert_eq!(code, 200, "{body}");
    let reply: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(reply["saved"], true);
    let active_override = &reply["pools"][0]["targets"][0]["override"];
    let moment = |key: &str| Moment::deserialize(&active_override[key]).unwrap();
    assert_eq!(moment("until").since(moment("since")), Duration::from_mins(10));
    daymark.answers(&nodes.addresses()[1..], "ready");
    let (code, body) = send("PUT", "cp-2", right, drain);
    assert_eq!(code, 409);
    assert!(body.contains(&format!("cp-2 is the last undrained node of pool {POOL}")), "{body}");
    assert_eq!(send("DELETE", "cp-1", right, "").0, 200);
    assert_eq!(send("DELETE", "cp-1", right, "").0, 404, "there is none any more");
    daymark.answers(&nodes.addresses(), "ready");

    nodes.set(1, Behaviour::Dead);
    daymark.answers(&nodes.addresses()[..1], "ready");
    let (code, body) = send("PUT", "cp-1", right, drain);
    assert_eq!(code, 409);
    assert!(body.contains("is ready or live; drain cp-1 with --insist if you must"), "{body}");
    let insist = r#"{"kind": "drain", "insist": true}"#;
    assert_eq!(send("PUT", "cp-1", right, insist).0, 200);
}

#[test]
fn an_override_expires() {
    let (nodes, daymark) = running(2);
    let path = format!("/api/v1/pools/{POOL}/nodes/cp-1/override");
    let (code, body) = http(daymark.admin, "PUT", &path, Some(&nodes.token()), r#"{"kind": "drain", "for": "2s"}"#);
    assert_eq!(code, 200, "{body}");
    daymark.logs("cp-1 is no longer drained or forced");
    daymark.answers(&nodes.addresses(), "ready");
}

#[test]
fn slow_and_idle_clients_of_the_admin_api_delay_neither_dns_nor_the_next_client() {
    let (nodes, daymark) = running(2);
    let mut idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(daymark.admin).unwrap()).collect();
    for slow in idle.iter_mut().take(20) {
        slow.write_all(b"GET /metrics HTTP/1.1\r\nHo").unwrap();
    }
    for _ in 0..100 {
        assert_eq!(look_up(daymark.dns).len(), 2);
    }
    // DNS is asked instead of the API: its answer follows the nodes.
    nodes.set(0, Behaviour::Dead);
    until("the answer follows", || (look_up(daymark.dns).len() == 1).then_some(()));
    // The first idle connection is closed after its time limit.
    idle[0].set_read_timeout(Some(LONG)).unwrap();
    let mut rest = Vec::new();
    let _ = idle[0].read_to_end(&mut rest);
    drop(idle);
    daymark.answers(&nodes.addresses()[1..], "ready");
}

/// Connects from one of many addresses of this host, with a small buffer for what comes back.
fn connect_from(client: u16, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let [high, low] = client.to_be_bytes();
    socket.bind(&SocketAddr::from(([127, 1, high, low], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_write_timeout(Some(LONG)).unwrap();
    socket.into()
}

/// The most memory that the process has used so far, in kilobytes.
fn peak_kilobytes(daymark: &Daymark) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daymark.process.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn unfinished_heads_of_many_clients_take_no_memory_and_keep_liveness_in_reach() {
    let (_nodes, daymark) = running(2);
    let before = peak_kilobytes(&daymark);
    let head = format!("GET /livez HTTP/1.1\r\nX: {}", "x".repeat(400_000));
    let clients: Vec<TcpStream> = (1..=256)
        .map(|client| {
            let mut stream = connect_from(client, daymark.admin);
            // The server may close the connection in the middle of it.
            let _ = stream.write_all(head.as_bytes());
            stream
        })
        .collect();
    assert_eq!(daymark.get("/livez").0, 200);
    let grown = peak_kilobytes(&daymark) - before;
    assert!(grown < 16 * 1024, "{} clients have cost {grown} kB", clients.len());
}

#[test]
fn clients_that_never_read_keep_liveness_in_reach() {
    let (_nodes, daymark) = running(2);
    let mut readers = Vec::new();
    for client in (1..=300).chain([1; 300]) {
        let mut stream = connect_from(client, daymark.admin);
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
        let _ = stream.write_all(request.as_bytes());
        readers.push(stream);
        if readers.len() % 100 == 0 {
            assert_eq!(daymark.get("/livez").0, 200, "beside {} clients", readers.len());
        }
    }
    assert_eq!(daymark.get("/metrics").0, 200);
}

#[test]
fn a_page_that_rebinds_its_name_to_this_host_learns_and_changes_nothing() {
    let nodes = Nodes::start(2);
    let daymark =
        Daymark::run(&nodes.write(&Plan { admin_keys: ", allowedHosts: [dns-1.example.net]", ..nodes.plan() }));
    daymark.answers(&nodes.addresses(), "ready");
    let token = nodes.token();
    let order = format!("/api/v1/pools/{POOL}/nodes/cp-1/override");
    let send = |host, method, path: &str| {
        http_to_host(daymark.admin, host, method, path, Some(&token), r#"{"kind": "drain"}"#)
    };
    for (method, path) in [("GET", "/api/v1/status"), ("GET", "/metrics"), ("PUT", order.as_str())] {
        let (code, body) = send("evil.example:9353", method, path);
        assert_eq!(code, 421, "{body}");
        assert!(body.contains("the names in `admin.allowedHosts` are allowed"), "{body}");
    }
    for good in ["dns-1.example.net:9353", "DNS-1.example.net", "localhost:9353", "[::1]"] {
        assert_eq!(send(good, "GET", "/api/v1/status").0, 200, "{good}");
    }
    daymark.answers(&nodes.addresses(), "ready");
}

#[test]
fn the_listener_of_the_metrics_serves_nothing_else_but_health() {
    let nodes = Nodes::start(1);
    let mut daymark =
        Daymark::run(&nodes.write(&Plan { admin_keys: ", metricsListen: \"127.0.0.1:0\"", ..nodes.plan() }));
    daymark.answers(&nodes.addresses(), "ready");
    let metrics = daymark.address_after("the metrics alone are served on ");
    for path in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(http(metrics, "GET", path, None, "").0, 200, "{path}");
    }
    let order = format!("/api/v1/pools/{POOL}/nodes/cp-1/override");
    for (method, path) in [("GET", "/api/v1/status"), ("GET", "/api/v1/events"), ("PUT", order.as_str())] {
        let (code, body) = http(metrics, method, path, Some(&nodes.token()), r#"{"kind": "drain"}"#);
        assert_eq!((code, body.contains("the paths are /livez, /readyz and /metrics")), (404, true), "{body}");
    }
}
