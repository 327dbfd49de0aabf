//! A process that has no file descriptor left. The limit holds for the whole process, so the test has a binary of its own.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests too")]

mod common;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use daymark_authoritative::{Authoritative, InheritedSockets};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use self::common::server_settings;

/// The number of UDP queries while there is no descriptor. A server that does not pause fails to accept more often than that.
const QUERIES: usize = 500;
/// A question for the root. It is in no zone, so the response is REFUSED.
const QUERY: [u8; 17] = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];

#[tokio::test]
async fn without_a_descriptor_a_connection_waits_and_datagrams_are_answered() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let settings = server_settings("127.0.0.1:0", Vec::new(), 9);
    let server = Arc::new(Authoritative::bind(&settings, &mut InheritedSockets::default()).unwrap());
    let address = server.local_addrs()[0];
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let serving = tokio::spawn(async move { server.serve(stopped).await });
    let by_udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    by_udp.connect(address).await.unwrap();
    ask(&by_udp).await;

    let by_tcp = TcpSocket::new_v4().unwrap();
    let taken = take_all_descriptors();
    // The kernel completes the handshake although the server cannot accept the connection.
    let mut connection = by_tcp.connect(address).await.unwrap();
    connection.write_all(&[&[0, 17], &QUERY[..]].concat()).await.unwrap();
    while warnings.count() == 0 {
        ask(&by_udp).await;
    }
    for _ in 0..QUERIES {
        ask(&by_udp).await;
    }
    assert!(warnings.count() < QUERIES, "the server pauses after a failure");

    drop(taken);
    let mut response = [0; 4];
    within_timeout(connection.read_exact(&mut response)).await.unwrap();
    assert_eq!(response, [0, 17, 0, 7]);
    stop.cancel();
    assert!(serving.await.unwrap().is_ok());
}

/// Fails the test if a future does not finish within a minute. With a correct server it always does.
async fn within_timeout<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), future).await.expect("the future finishes within a minute")
}

async fn ask(client: &UdpSocket) {
    client.send(&QUERY).await.unwrap();
    assert_eq!(within_timeout(client.recv(&mut [0; 512])).await.unwrap(), QUERY.len());
}

/// Opens files until no more can be opened.
fn take_all_descriptors() -> Vec<File> {
    // A low limit, so that it is reached quickly.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), ..limit }).unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken
}

/// A subscriber that counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Warnings {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
