//! What goes over the wire: what a target hears, and answers that no apiserver gives.

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

use crate::scene::{NAME, Scene};

/// What the target heard.
struct Heard {
    server_name: Option<String>,
    alpn: Option<Vec<u8>>,
    request: String,
}

/// Takes one connection and one request, gives this answer and ends the connection in order.
async fn answer_once(scene: &mut Scene, answer: Vec<u8>) -> JoinHandle<Heard> {
    let identity = scene.authority.issue(&[NAME, "10.10.1.1"], Validity::Current).unwrap();
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
    scene.settings.port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut tls = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(tls.read_u8().await.unwrap());
        }
        // The probe may have had enough before the end.
        let _ = tls.write_all(&answer).await;
        let _ = tls.shutdown().await;
        let session = tls.get_ref().1;
        Heard {
            server_name: session.server_name().map(str::to_owned),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            request: String::from_utf8(request).unwrap(),
        }
    })
}

async fn observe(answer: impl Into<Vec<u8>>) -> Kind {
    let mut scene = Scene::new();
    let target = answer_once(&mut scene, answer.into()).await;
    let kind = scene.probe().await.kind;
    target.await.unwrap();
    kind
}

#[tokio::test]
async fn a_target_hears_what_a_client_of_the_name_would_say() {
    let mut scene = Scene::new();
    let target = answer_once(&mut scene, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()).await;
    assert_eq!(scene.probe().await.kind, Kind::Ready);
    let heard = target.await.unwrap();
    assert_eq!(heard.server_name.as_deref(), Some(NAME));
    assert_eq!(heard.alpn.as_deref(), Some(&b"http/1.1"[..]));
    let port = scene.settings.port;
    let version = env!("CARGO_PKG_VERSION");
    let wanted = format!("GET /readyz HTTP/1.1\r\nhost: {NAME}:{port}\r\nuser-agent: daymark/{version}\r\n\r\n");
    assert_eq!(heard.request, wanted);
}

#[tokio::test]
async fn an_address_as_server_name_is_no_sni() {
    // RFC 6066, section 3: literal addresses are not permitted there.
    let mut scene = Scene::new();
    scene.settings.server_name = "10.10.1.1".to_owned();
    let target = answer_once(&mut scene, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()).await;
    assert_eq!(scene.probe().await.kind, Kind::Ready);
    let heard = target.await.unwrap();
    assert_eq!(heard.server_name, None);
    assert!(heard.request.contains("host: 10.10.1.1:"), "{}", heard.request);
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
async fn chunks_that_are_none_are_not_http() {
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
    // Whether the library takes such a header or not, it goes to no terminal.
    assert!(matches!(kind, Kind::NotHttp | Kind::Redirect { status: 302, location: None }), "{kind}");
}
