//! The client against a scripted server, so that the test decides every byte of a response.

mod script;

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::settings::TokenSource;
use script::{Script, ScriptedResponse, reply, request};

const TOKEN: &str = "s3cret-token";
const NO_RESULT: &str = r#"{"success":true,"errors":[],"messages":[],"result":null}"#;

/// The log of this thread, for a test to read.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures the log until the guard is dropped.
    pub(super) fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A client of a script, and its token file.
struct Fixture {
    script: Script,
    client: Client,
    directory: TempDir,
}

impl Fixture {
    async fn new(answers: impl IntoIterator<Item = ScriptedResponse>) -> Self {
        let script = Script::start(answers.into_iter().collect()).await;
        let directory = tempfile::tempdir().unwrap();
        let client = Client::new(&settings(&script.api, directory.path().join("token"))).unwrap();
        let fixture = Self { script, client, directory };
        fixture.write_token(TOKEN);
        fixture
    }

    fn write_token(&self, token: &str) {
        std::fs::write(self.directory.path().join("token"), token).unwrap();
    }

    async fn get(&self) -> Result<Value, CallError> {
        self.client.get(Call::ReadPool, "/pools/1").await
    }

    async fn list(&self) -> Result<Vec<u32>, CallError> {
        self.client.list(Call::ReadRecords, "/zones/1/dns_records", &[("name", "lb.kube-cp.com")]).await
    }

    /// The first line of every request.
    fn requests(&self) -> Vec<String> {
        self.script.requests().iter().map(|text| text.lines().next().unwrap().to_owned()).collect()
    }
}

fn settings(api: &str, token: PathBuf) -> CallSettings {
    CallSettings { api: api.to_owned(), token: TokenSource::File(token), timeout: Duration::from_secs(30), share: 50 }
}

fn count(call: &'static str, outcome: &'static str, count: u64) -> CallCount {
    CallCount { call, outcome, count }
}

fn ok(result: &Value) -> ScriptedResponse {
    reply(200, "", &json!({"success": true, "errors": [], "messages": [], "result": result}).to_string())
}

/// A page of a list of numbers.
fn page(numbers: std::ops::Range<u32>, info: &Value) -> ScriptedResponse {
    let numbers = numbers.collect::<Vec<_>>();
    reply(200, "", &json!({"success": true, "errors": [], "result": numbers, "result_info": info}).to_string())
}

/// The text of an error and its causes, as `Display` and `Debug` show it.
fn full_text(error: &CallError) -> String {
    let cause = std::iter::successors(error.source(), |&cause| cause.source());
    format!("{error} {error:?} {}", cause.map(|cause| format!("{cause} {cause:?}")).collect::<String>())
}

#[tokio::test]
async fn a_read_asks_once_with_the_token_and_our_name_and_gives_the_result() {
    let fixture = Fixture::new([ok(&json!({"id": "1"}))]).await;
    assert_eq!(fixture.get().await.unwrap(), json!({"id": "1"}));
    let requests = &fixture.script.requests()[..];
    let [requests] = requests else { panic!("{requests:?}") };
    assert!(requests.starts_with("GET /client/v4/pools/1 HTTP/1.1\r\n"), "{requests}");
    assert!(requests.contains("\r\nauthorization: Bearer s3cret-token\r\n"), "{requests}");
    assert!(requests.contains(&format!("\r\nuser-agent: daymark/{}\r\n", env!("CARGO_PKG_VERSION"))), "{requests}");
}

#[tokio::test]
async fn a_write_sends_its_body_as_json_and_gives_what_results() {
    let fixture = Fixture::new([ok(&json!({"id": "1"})), reply(200, "", NO_RESULT)]).await;
    let body = json!({"origins": [{"name": "a", "weight": 0.1}]});
    let permit = || fixture.client.permit(Call::WritePool);
    let first = permit().await.unwrap();
    let second = permit().await.unwrap();
    let written = fixture.client.write(first, Call::WritePool, Method::PATCH, "/pools/1", Some(&body)).await.unwrap();
    let deleted = fixture.client.write(second, Call::WritePool, Method::DELETE, "/pools/2", None).await.unwrap();
    assert_eq!((written, deleted), (json!({"id": "1"}), Value::Null));
    assert_eq!(fixture.requests(), ["PATCH /client/v4/pools/1 HTTP/1.1", "DELETE /client/v4/pools/2 HTTP/1.1"]);
    let requests = fixture.script.requests();
    assert!(requests[0].contains("content-type: application/json"), "{}", requests[0]);
    assert!(requests[0].ends_with(&format!("\r\n\r\n{body}")), "{}", requests[0]);
    assert!(requests[1].ends_with("\r\n\r\n"), "{}", requests[1]);
}

#[tokio::test]
async fn every_page_of_a_list_is_read_until_the_list_says_that_it_ends() {
    for (infos, ends) in [
        ([json!({"total_pages": 3}), json!({"total_pages": 3}), json!({"total_pages": 3, "page": 3})], 210),
        ([json!({"total_count": 210}), json!({"total_count": 210, "page": 2}), json!({"total_count": 210})], 210),
        ([json!({"per_page": 100}), json!(null), json!({"per_page": 100})], 210),
        ([json!(null), json!(null), json!({"total_pages": 3})], 300),
        ([json!(null), json!(null), json!(null)], 200),
    ] {
        let pages = [page(0..100, &infos[0]), page(100..200, &infos[1]), page(200..ends, &infos[2])];
        let fixture = Fixture::new(pages).await;
        assert_eq!(fixture.list().await.unwrap(), (0..ends).collect::<Vec<_>>(), "{infos:?}");
        let first = "GET /client/v4/zones/1/dns_records?name=lb.kube-cp.com&per_page=100";
        let expected = ["", "&page=2", "&page=3"].map(|page| format!("{first}{page} HTTP/1.1"));
        assert_eq!(fixture.requests(), expected, "{infos:?}");
    }
}

#[tokio::test]
async fn a_list_without_pages_is_asked_for_as_such() {
    let fixture = Fixture::new([page(0..120, &Value::Null)]).await;
    let pools = fixture.client.list::<u32>(Call::ReadPool, "/pools", &[]).await.unwrap();
    assert_eq!((pools.len(), fixture.requests()), (120, vec!["GET /client/v4/pools HTTP/1.1".to_owned()]));
}

#[tokio::test]
async fn a_query_is_encoded() {
    let fixture = Fixture::new([page(0..0, &Value::Null)]).await;
    let query = [("comment.startswith", "managed by daymark & co=ö")];
    fixture.client.list::<u32>(Call::ReadZone, "/zones", &query).await.unwrap();
    let encoded = "comment.startswith=managed+by+daymark+%26+co%3D%C3%B6&per_page=50";
    assert_eq!(fixture.requests(), [format!("GET /client/v4/zones?{encoded} HTTP/1.1")]);
}

#[tokio::test]
async fn a_list_that_repeats_or_never_ends_is_a_failure_to_be_tried_again() {
    let all = json!({"total_count": 300});
    for (pages, message) in [
        (vec![page(0..100, &all), page(0..100, &all)], "page 2 of the list repeats another page"),
        (
            vec![page(0..100, &json!({"total_pages": 2})), page(0..100, &json!({"total_pages": 2}))],
            "repeats another page",
        ),
        (vec![page(0..100, &all), page(7..107, &json!({"page": 1, "total_count": 300}))], "repeats another page"),
        (vec![page(0..100, &all), page(0..0, &all)], "page 2 is empty, but the list goes on"),
        (vec![page(0..0, &all)], "page 1 is empty, but"),
        ((0..101).map(|n| page(n..n + 1, &json!({"total_pages": 1_000}))).collect(), "does not end after 100 pages"),
    ] {
        let calls = pages.len().min(100);
        let fixture = Fixture::new(pages).await;
        let failure = fixture.list().await.unwrap_err();
        assert!(failure.to_string().contains(message), "{failure}");
        assert_eq!((failure.retry(), fixture.requests().len()), (Retry::BackOff, calls));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let fixture = Fixture::new([reply(302, "location: /client/v4/elsewhere\r\n", ""), ok(&json!(1))]).await;
    let failure = fixture.get().await.unwrap_err();
    assert!(failure.to_string().contains("(HTTP 302)"), "{failure}");
    assert_eq!(fixture.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let endless = format!("HTTP/1.1 200 x\r\nconnection: close\r\n\r\n{}", "x".repeat(MAX_BODY_BYTES + 1));
    let fixture = Fixture::new([ScriptedResponse::Bytes(endless.into())]).await;
    let failure = fixture.get().await.unwrap_err();
    assert!(failure.to_string().contains("it is larger than 4194304 bytes"), "{failure}");
    assert_eq!(failure.retry(), Retry::BackOff);
}

#[tokio::test]
async fn a_cut_is_distinguished_from_no_connection_and_both_are_tried_again() {
    let half = ScriptedResponse::Bytes(b"HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\n{\"success\":".to_vec());
    let fixture = Fixture::new([half]).await;
    for _ in 0..2 {
        let cut = fixture.get().await.unwrap_err();
        assert_eq!(cut.to_string(), "the connection broke while reading Load Balancing pools");
        assert!(cut.source().is_some());
        assert_eq!(cut.retry(), Retry::BackOff);
    }
    assert_eq!(fixture.requests().len(), 2, "a call is made once");

    // Bound, so that no other process listens there, but not listening.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = format!("http://{}", taken.local_addr().unwrap());
    let client = Client::new(&settings(&nobody, fixture.directory.path().join("token"))).unwrap();
    let refused = client.get::<Value>(Call::ReadZone, "/zones/1").await.unwrap_err();
    assert_eq!(refused.to_string(), "no connection to Cloudflare for reading the zone");
    assert_eq!(refused.retry(), Retry::BackOff);
    assert!(!full_text(&refused).contains("http://"), "{}", full_text(&refused));
    assert_eq!(client.usage().calls, [count("readZone", "unreachable", 1)]);
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_does_not_end_is_given_up_in_time() {
    for begun in ["", "HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\n{"] {
        let fixture = Fixture::new([ScriptedResponse::Stall(begun.into())]).await;
        let mut settings = settings(&fixture.script.api, fixture.directory.path().join("token"));
        settings.timeout = Duration::from_millis(50);
        let client = Client::new(&settings).unwrap();
        let failure = client.get::<Value>(Call::ReadPool, "/pools/1").await.unwrap_err();
        assert_eq!(failure.to_string(), "no response from Cloudflare within 50ms while reading Load Balancing pools");
        assert_eq!(failure.retry(), Retry::BackOff);
        assert_eq!(client.usage().calls, [count("readPool", "timedOut", 1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_five_seconds_of_the_time_for_a_call() {
    // The TLS handshake is never answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), TOKEN).unwrap();
    let settings = settings(&format!("https://{}", silent.local_addr().unwrap()), directory.path().join("token"));
    let client = Client::trusting(RootCertStore::empty(), &settings).unwrap();
    let start = Instant::now();
    let failure = client.get::<Value>(Call::ReadZone, "/zones/1").await.unwrap_err();
    assert_eq!(failure.to_string(), "no connection to Cloudflare for reading the zone");
    assert_eq!(start.elapsed().as_secs(), 5, "of 30");
}

#[tokio::test]
async fn after_too_many_calls_none_is_made_until_cloudflare_allows_it() {
    for (headers, seconds) in [("retry-after: 17\r\n", 17), ("", 300)] {
        let fixture = Fixture::new([reply(429, headers, "<html>"), ok(&json!(1))]).await;
        let limited = fixture.get().await.unwrap_err();
        assert_eq!(limited.retry(), Retry::After(Duration::from_secs(seconds)));
        let CallError::Limited { until, .. } = limited else { panic!("{limited}") };
        let message = limited.to_string();
        assert!(
            message.starts_with("Cloudflare refuses reading Load Balancing pools, like every call, until"),
            "{message}"
        );
        // To the second, as in 2026-11-22T23:40:51Z.
        assert!(message.contains(&format!(" until {}Z,", until.strftime("%Y-%m-%dT%H:%M:%S"))), "{message}");

        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds - 1)).await;
        assert!(!fixture.client.has_spare());
        let Retry::After(rest) = fixture.list().await.unwrap_err().retry() else { panic!("not limited") };
        assert!(rest <= Duration::from_secs(1), "{rest:?}");
        assert_eq!(fixture.requests().len(), 1, "nothing reaches the network");

        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::time::resume();
        assert_eq!(fixture.get().await.unwrap(), json!(1));
        assert_eq!(fixture.client.usage().calls, [count("readPool", "limited", 1), count("readPool", "ok", 1)]);
    }
}

#[tokio::test]
async fn what_cloudflare_says_is_left_is_heeded_also_on_a_failure() {
    let little = "ratelimit: \"default\";r=3;t=30\r\nratelimit-policy: \"default\";q=1200;w=300\r\n";
    let fixture = Fixture::new([reply(500, little, "")]).await;
    assert!(fixture.client.has_spare());
    fixture.get().await.unwrap_err();
    assert!(!fixture.client.has_spare());
    assert_eq!(fixture.client.usage().remaining, Some(3));
}

#[tokio::test]
async fn calls_are_counted_by_what_became_of_them() {
    let refused = r#"{"success":false,"errors":[{"code":1,"message":"no"}],"result":null}"#;
    let fixture = Fixture::new([
        ok(&json!(1)),
        reply(400, "", refused),
        reply(502, "", ""),
        reply(200, "", "<html>"),
        ok(&json!(1)),
    ])
    .await;
    for _ in 0..4 {
        let _ = fixture.get().await;
    }
    fixture.list().await.unwrap_err();
    fixture.list().await.unwrap_err();
    let outcomes = [
        count("readPool", "busy", 1),
        count("readPool", "ok", 1),
        count("readPool", "refused", 1),
        count("readPool", "unreadable", 1),
        count("readRecords", "unreachable", 1),
        count("readRecords", "unreadable", 1),
    ];
    assert_eq!(fixture.client.usage(), RemoteReadings { calls: outcomes.to_vec(), ..RemoteReadings::default() });
}

#[tokio::test]
async fn a_call_without_a_token_is_not_made() {
    let fixture = Fixture::new([]).await;
    fixture.write_token("");
    let failure = fixture.get().await.unwrap_err();
    assert_eq!(failure.to_string(), "no token for reading Load Balancing pools");
    assert!(failure.source().unwrap().to_string().ends_with(" is empty; a token is needed"));
    assert_eq!(failure.retry(), Retry::Operator);
    assert_eq!((fixture.requests(), fixture.client.usage()), (Vec::new(), RemoteReadings::default()));
}

#[tokio::test]
async fn a_new_token_is_used_by_the_next_call() {
    let fixture = Fixture::new([ok(&json!(1)), ok(&json!(1))]).await;
    fixture.get().await.unwrap();
    fixture.write_token("another-token\n");
    fixture.get().await.unwrap();
    let requests = fixture.script.requests();
    assert!(
        requests[0].contains("Bearer s3cret-token\r\n") && requests[1].contains("Bearer another-token\r\n"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn the_token_is_in_no_log_and_no_error_even_where_it_is_echoed() {
    let (log, guard) = Log::capture();
    let echo = format!(r#"{{"success":false,"errors":[{{"code":1,"message":"Bearer {TOKEN}"}}],"result":null}}"#);
    let answers = [ok(&json!(1)), reply(403, "", &echo), reply(200, "", &format!("<p>{TOKEN}")), reply(500, "", &echo)];
    let fixture = Fixture::new(answers).await;
    fixture.get().await.unwrap();
    let mut message = String::new();
    for _ in 0..4 {
        message += &full_text(&fixture.get().await.unwrap_err());
    }
    drop(guard);
    assert_eq!(message.matches("[token]").count(), 6, "three echoes as they are shown, and their Debug: {message}");
    assert!(!message.contains("s3cret"), "{message}");
    assert!(!log.text().contains("s3cret"), "{}", log.text());
}

#[tokio::test]
async fn cloudflare_is_verified_by_its_certificate() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], signing_key.into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            // A client that does not trust it ends the handshake.
            let Ok(mut connection) = acceptor.accept(connection).await else { continue };
            request(&mut connection).await;
            let ScriptedResponse::Bytes(answer) = ok(&json!(1)) else { unreachable!() };
            connection.write_all(&answer).await.unwrap();
            connection.shutdown().await.unwrap();
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), TOKEN).unwrap();
    let call = async |roots, host| {
        let settings = settings(&format!("https://{host}:{port}"), directory.path().join("token"));
        Client::trusting(roots, &settings).unwrap().get::<u8>(Call::ReadZone, "/zones/1").await
    };
    assert_eq!(call(roots.clone(), "localhost").await.unwrap(), 1);
    for failure in [call(roots, "127.0.0.1").await, call(RootCertStore::empty(), "localhost").await] {
        let failure = failure.unwrap_err();
        assert!(full_text(&failure).contains("invalid peer certificate"), "{}", full_text(&failure));
    }
    server.abort();
}
