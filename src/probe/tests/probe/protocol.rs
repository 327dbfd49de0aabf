//! The bytes of a probe: the request that a target receives, and answers that no apiserver gives.

use std::net::Ipv4Addr;
use std::sync::Arc;

use daymark_decision::Kind;
use daymark_fake_apiserver::Validity;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::fixture::{Fixture, NAME};

/// A TLS handshake and a request, as the target received them.
struct Received {
    server_name: Option<String>,
    alpn: Option<Vec<u8>>,
    request: String,
}

/// Accepts one connection and one request, sends this answer and closes the connection properly.
async fn answer_once(fixture: &mut Fixture, answer: Vec<u8>) -> JoinHandle<Received> {
    let identity = fixture.authority.issue(&[NAME, "10.10.1.1"], Validity::Current).unwrap();
    let certificate = CertificateDer::from_pem_slice(identity.certificate_pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    fixture.settings.port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut tls = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(tls.read_u8().await.unwrap());
        }
        // The probe may close the connection before the end of the answer.
        let _ = tls.write_all(&answer).await;
        let _ = tls.shutdown().await;
        let session = tls.get_ref().1;
        Received {
            server_name: session.server_name().map(str::to_owned),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            request: String::from_utf8(request).unwrap(),
        }
    })
}

async fn observe(answer: impl Into<Vec<u8>>) -> Kind {
    let mut fixture = Fixture::new();
    let target = answer_once(&mut fixture, answer.into()).await;
    let kind = fixture.probe().await.kind;
    target.await.unwrap();
    kind
}

#[tokio::test]
async fn a_target_receives_the_request_of_an_ordinary_client() {
    let mut fixture = Fixture::new();
    let target = answer_once(&mut fixture, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()).await;
    assert_eq!(fixture.probe().await.kind, Kind::Ready);
    let received = target.await.unwrap();
    assert_eq!(received.server_name.as_deref(), Some(NAME));
    assert_eq!(received.alpn.as_deref(), Some(&b"http/1.1"[..]));
    let port = fixture.settings.port;
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!("GET /readyz HTTP/1.1\r\nhost: {NAME}:{port}\r\nuser-agent: daymark/{version}\r\n\r\n");
    assert_eq!(received.request, expected);
}

#[tokio::test]
async fn an_address_as_server_name_is_no_sni() {
    // RFC 6066, section 3: literal addresses are not permitted there.
    let mut fixture = Fixture::new();
    fixture.settings.server_name = "10.10.1.1".to_owned();
    let target = answer_once(&mut fixture, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()).await;
    assert_eq!(fixture.probe().await.kind, Kind::Ready);
    let received = target.await.unwrap();
    assert_eq!(received.server_name, None);
    assert!(received.request.contains("host: 10.10.1.1:"), "{}", received.request);
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    assert_eq!(observe("HTTP/1.0 200 OK\r\n\r\nok").await, Kind::Ready);
}

#[tokio::test]
async fn a_body_cut_short_is_closed_early() {
    assert_eq!(observe("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok").await, Kind::ClosedEarly);
    assert_eq!(observe("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await, Kind::ClosedEarly);
}

#[tokio::test]
async fn a_head_cut_short_is_closed_early() {
    assert_eq!(observe("HTTP/1.1 200 OK\r\ncontent-").await, Kind::ClosedEarly);
}

#[tokio::test]
async fn malformed_chunks_are_not_http() {
    assert_eq!(observe("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await, Kind::NotHttp);
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_too_large() {
    let head = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "x".repeat(1_000_000));
    assert_eq!(observe(head).await, Kind::TooLarge { limit: 64 * 1024 });
}

#[tokio::test]
async fn a_body_of_the_limit_is_read_and_one_byte_more_is_not() {
    let answer = |size: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n{}", "x".repeat(size));
    assert_eq!(observe(answer(64 * 1024)).await, Kind::Ready);
    assert_eq!(observe(answer(64 * 1024 + 1)).await, Kind::TooLarge { limit: 64 * 1024 });
}

#[tokio::test]
async fn a_location_with_control_characters_is_not_repeated() {
    let kind = observe("HTTP/1.1 302 Found\r\nlocation: \x1b[31mred\r\ncontent-length: 0\r\n\r\n").await;
    // The library may accept or refuse such a header; in both cases it must not reach a terminal.
    assert!(matches!(kind, Kind::NotHttp | Kind::Redirect { status: 302, location: None }), "{kind}");
}

#[tokio::test]
async fn a_few_interim_responses_are_skipped_and_a_flood_of_them_is_not_http() {
    let after = |count: usize| format!("{}HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count));
    assert_eq!(observe(after(5)).await, Kind::Ready);
    assert_eq!(observe(after(6)).await, Kind::NotHttp);
    assert_eq!(observe(after(1_000_000)).await, Kind::NotHttp);
}
