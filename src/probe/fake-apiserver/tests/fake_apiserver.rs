//! Tests of the fake with plain HTTP clients.

#![expect(clippy::unwrap_used, reason = "a panic in a helper of tests is a failing test")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daymark_fake_apiserver::{
    Access, Behaviour, Cluster, ClusterNode, FakeApiserver, FakeApiserverError, FakeAuthority,
};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const NAME: &str = "lb.kube-cp.com";
const TEST_TIMEOUT: Duration = Duration::from_mins(1);

fn start() -> (FakeAuthority, FakeApiserver) {
    let authority = FakeAuthority::new("kubernetes").unwrap();
    let apiserver = FakeApiserver::start(SocketAddr::from(([127, 0, 0, 1], 0)), &authority, &[NAME]).unwrap();
    (authority, apiserver)
}

async fn connect(authority: &FakeAuthority, apiserver: &FakeApiserver, alpn: &[u8]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(apiserver.address()).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), stream).await.unwrap()
}

/// A response.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    status: StatusCode,
    body: String,
}

/// Requests each path over one HTTP/1.1 connection.
async fn get(authority: &FakeAuthority, apiserver: &FakeApiserver, paths: &[&str]) -> Vec<Received> {
    let tls = connect(authority, apiserver, b"http/1.1").await;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut answers = Vec::new();
    for path in paths {
        sender.ready().await.unwrap();
        let request = Request::get(*path).header("host", NAME).body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        answers.push(Received { status, body: String::from_utf8(body.to_vec()).unwrap() });
    }
    drop(sender);
    connection.await.unwrap().unwrap();
    answers
}

#[tokio::test]
async fn answers_are_those_of_kube_apiserver_over_one_connection() {
    let (authority, apiserver) = start();
    let paths = ["/readyz", "/readyz?verbose", "/livez", "/healthz", "/version", "/readyz/etcd", "/api"];
    let answers = get(&authority, &apiserver, &paths).await;
    assert_eq!(answers[0], Received { status: StatusCode::OK, body: "ok".to_owned() });
    assert!(
        answers[1].body.starts_with("[+]ping ok\n") && answers[1].body.ends_with("readyz check passed\n"),
        "{answers:?}"
    );
    assert!(answers[2..5].iter().all(|answer| answer.status == StatusCode::OK), "{answers:?}");
    for (Received { status, body }, path) in answers[5..].iter().zip(&paths[5..]) {
        assert_eq!(*status, StatusCode::FORBIDDEN);
        assert!(body.starts_with(r#"{"kind":"Status","#) && body.contains(&format!(r#"cannot get path \"{path}\""#)));
    }
    assert_eq!((apiserver.connections(), apiserver.requests()), (1, 7));
    apiserver.stop().await;
}

#[tokio::test]
async fn a_failing_check_is_listed_in_verbose_and_other_responses() {
    let (authority, apiserver) = start();
    apiserver.set(Behaviour::NotReady { failing: vec!["etcd".into(), "my-check".into()] }).await.unwrap();
    for Received { status, body } in get(&authority, &apiserver, &["/readyz", "/readyz?verbose"]).await {
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        for line in ["[+]ping ok", "[-]etcd failed: reason withheld", "[-]my-check failed: reason withheld"] {
            assert!(body.lines().any(|found| found == line), "{body}");
        }
        assert!(body.ends_with("readyz check failed\n"), "{body}");
    }
}

#[tokio::test]
async fn an_http2_connection_is_closed_after_each_response() {
    let (authority, apiserver) = start();
    let tls = connect(&authority, &apiserver, b"h2").await;
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get(format!("https://{NAME}/readyz")).body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
    // The sender is still alive, so it is the server that closes the connection.
    timeout(TEST_TIMEOUT, connection).await.expect("the server closes the connection").unwrap().unwrap();
    assert!(sender.is_closed());
}

#[tokio::test]
async fn a_dead_fake_refuses_connections_keeps_its_port_and_comes_back() {
    let (authority, apiserver) = start();
    let kept = connect(&authority, &apiserver, b"http/1.1").await;
    for _ in 0..3 {
        apiserver.set(Behaviour::Dead).await.unwrap();
        assert_eq!(TcpStream::connect(apiserver.address()).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        apiserver.set(Behaviour::Ready).await.unwrap();
        assert_eq!(get(&authority, &apiserver, &["/readyz"]).await[0].status, StatusCode::OK);
    }
    drop(kept);
}

#[tokio::test]
async fn silence_applies_to_open_connections_too_and_ends() {
    let (authority, apiserver) = start();
    let tls = connect(&authority, &apiserver, b"http/1.1").await;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.unwrap();
    let connection = tokio::spawn(connection);
    apiserver.set(Behaviour::Silent).await.unwrap();
    let request = || Request::get("/readyz").header("host", NAME).body(Empty::<Bytes>::new()).unwrap();
    let mut answer = std::pin::pin!(sender.send_request(request()));
    assert!(timeout(Duration::from_millis(100), answer.as_mut()).await.is_err());
    assert!(timeout(Duration::from_millis(100), TcpStream::connect(apiserver.address())).await.is_err());
    apiserver.set(Behaviour::Ready).await.unwrap();
    // Both sides send the dropped packets again.
    assert_eq!(timeout(TEST_TIMEOUT, answer).await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(get(&authority, &apiserver, &["/readyz"]).await[0].status, StatusCode::OK);
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stalled_handshake_continues_when_the_fake_is_ready() {
    let (authority, apiserver) = start();
    apiserver.set(Behaviour::TlsStall).await.unwrap();
    let mut handshake = std::pin::pin!(connect(&authority, &apiserver, b"http/1.1"));
    assert!(timeout(Duration::from_millis(100), handshake.as_mut()).await.is_err());
    apiserver.set(Behaviour::Ready).await.unwrap();
    timeout(TEST_TIMEOUT, handshake).await.expect("the handshake continues");
}

#[tokio::test]
async fn a_taken_address_is_an_error() {
    let (authority, apiserver) = start();
    assert!(matches!(
        FakeApiserver::start(apiserver.address(), &authority, &[NAME]),
        Err(FakeApiserverError::Listen { .. })
    ));
}

#[tokio::test]
async fn a_stopped_fake_frees_its_port() {
    let (authority, apiserver) = start();
    let address = apiserver.address();
    apiserver.stop().await;
    let again = FakeApiserver::start(address, &authority, &[NAME]).unwrap();
    assert_eq!(again.address(), address);
}

#[tokio::test]
async fn the_nodes_of_a_cluster_are_listed_page_by_page_to_those_who_may_see_them() {
    let (authority, apiserver) = start();
    let list = |path: &'static str| {
        let authority = &authority;
        let apiserver = &apiserver;
        async move { get(authority, apiserver, &[path]).await.remove(0) }
    };
    assert_eq!(list("/api/v1/nodes").await.status, StatusCode::FORBIDDEN, "a new fake has no cluster");
    let cluster = Cluster::default();
    apiserver.set_cluster(&cluster);
    let mut nodes: Vec<ClusterNode> =
        (1..=3).map(|n| ClusterNode::control_plane(&format!("cp-{n}"), [192, 0, 2, n].into())).collect();
    nodes[2].labels.clear();
    cluster.set_nodes(nodes);
    let Received { status, body } =
        list("/api/v1/nodes?labelSelector=node-role.kubernetes.io%2Fcontrol-plane&limit=1").await;
    assert!(status == StatusCode::OK && body.contains("cp-1") && !body.contains("cp-2"), "{body}");
    assert!(body.contains("\"continue\":\"1\"") && !body.contains("remainingItemCount"), "{body}");
    let Received { body, .. } = list("/api/v1/nodes?limit=1&continue=2").await;
    assert!(body.contains("cp-3") && !body.contains("continue"), "{body}");
    cluster.set_max_page_items(Some(2));
    let Received { body, .. } = list("/api/v1/nodes?limit=500").await;
    assert!(body.contains("cp-2") && !body.contains("cp-3") && body.contains("\"remainingItemCount\":1"), "{body}");
    cluster.set_endpoints(6443, vec![[192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap()]);
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name=kubernetes";
    let Received { body, .. } = list(slices).await;
    assert!(body.contains("192.0.2.1") && body.contains("2001:db8::1") && body.contains("\"port\":6443"), "{body}");
    assert_eq!(cluster.lists(), 4);
    cluster.forbid(true);
    assert_eq!(list(slices).await.status, StatusCode::FORBIDDEN);
    apiserver.require(Access::Token("secret".to_owned()));
    assert_eq!(list(slices).await.status, StatusCode::UNAUTHORIZED);
}
