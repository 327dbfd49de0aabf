//! TCP connections: several queries on one, and the limits of their number and duration.

use std::time::Duration;

use daymark_authoritative::ServerSettings;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{
    A, AAAA, Connection, POOL, TestQuery, TestServer, addresses, decision, ips, pool_zone, settings, within_timeout,
};

/// A server with a short idle timeout.
fn server_with_short_timeout(change: impl FnOnce(&mut ServerSettings)) -> TestServer {
    let mut settings = settings(vec![pool_zone()]);
    settings.tcp_idle_timeout = Duration::from_secs(1);
    change(&mut settings);
    let server = TestServer::start(&settings);
    server.publish_decision(&decision(1, &[(POOL, &["192.0.2.1"])]));
    server
}

#[tokio::test]
async fn a_connection_answers_one_query_after_the_other() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let mut connection = server.connect().await;
    for rtype in [A, AAAA, A] {
        let response = connection.query(&TestQuery::new(POOL, rtype)).await;
        assert_eq!(response.answers.len(), usize::from(rtype == A));
    }
}

#[tokio::test]
async fn queries_sent_at_once_are_answered_in_their_order() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let mut connection = server.connect().await;
    let all: Vec<u8> = (0..500).flat_map(|id| TestQuery::new(POOL, A).id(id).framed()).collect();
    connection.0.write_all(&all).await.unwrap();
    for id in 0..500_u16 {
        assert_eq!(connection.receive().await[..2], id.to_be_bytes());
    }
}

#[tokio::test]
async fn a_query_may_come_in_pieces() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let mut connection = server.connect().await;
    connection.0.set_nodelay(true).unwrap();
    let query = TestQuery::new(POOL, A).framed();
    for byte in &query {
        connection.0.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(connection.receive().await[..2], query[2..4]);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = server_with_short_timeout(|_| {});
    server.connect().await.assert_closed().await;
    let mut used = server.connect().await;
    used.query(&TestQuery::new(POOL, A)).await;
    used.assert_closed().await;
}

#[tokio::test]
async fn an_incomplete_length_and_an_incomplete_query_are_closed_like_an_idle_connection() {
    let server = server_with_short_timeout(|_| {});
    for part in [&[0][..], &[0, 32, 0x12, 0x34]] {
        let mut connection = server.connect().await;
        connection.0.write_all(part).await.unwrap();
        connection.assert_closed().await;
    }
}

#[tokio::test]
async fn a_client_that_sends_byte_after_byte_is_closed() {
    let server = server_with_short_timeout(|_| {});
    let mut connection = server.connect().await;
    connection.0.write_all(&[0xff, 0xff]).await.unwrap();
    within_timeout(async {
        // Sends a byte every 10 ms, well within the idle timeout.
        while timeout(Duration::from_millis(10), connection.0.readable()).await.is_err() {
            if connection.0.write_all(&[0]).await.is_err() {
                break;
            }
        }
    })
    .await;
    connection.assert_closed().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed() {
    let server = server_with_short_timeout(|_| {});
    let mut connection = server.connect().await;
    let framed = TestQuery::new(POOL, A).framed().repeat(1000);
    // Writes until the buffers of both sides are full, then until the server closes the connection.
    within_timeout(async { while connection.0.write_all(&framed).await.is_ok() {} }).await;
    assert_eq!(addresses(&server.query(POOL, A).await), ips(&["192.0.2.1"]));
}

#[tokio::test]
async fn a_message_without_a_response_closes_the_connection() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let response = TestQuery::new(POOL, A).flags(0x8000).bytes();
    for message in [&[][..], &[0; 11], &response] {
        let mut connection = server.connect().await;
        connection.send(message).await;
        connection.assert_closed().await;
    }
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_the_others_stay_open() {
    let server = server_with_short_timeout(|settings| {
        settings.max_tcp_connections = 2;
        settings.tcp_idle_timeout = Duration::from_mins(1);
    });
    let mut open = [server.connect().await, server.connect().await];
    for connection in &mut open {
        connection.query(&TestQuery::new(POOL, A)).await;
    }
    for _ in 0..5 {
        server.connect().await.assert_closed().await;
        assert_eq!(addresses(&server.query(POOL, A).await), ips(&["192.0.2.1"]), "UDP is not affected");
    }
    let [first, mut second] = open;
    assert_eq!(second.query(&TestQuery::new(POOL, A)).await.answers.len(), 1);
    drop(first);
    within_timeout(async { while !accepts_connection(&server).await {} }).await;
}

/// Returns `true` if a new connection gets a response.
async fn accepts_connection(server: &TestServer) -> bool {
    let Ok(stream) = TcpStream::connect(server.address).await else { return false };
    let mut connection = Connection(stream);
    let framed = TestQuery::new(POOL, A).framed();
    connection.0.write_all(&framed).await.is_ok() && connection.0.readable().await.is_ok() && {
        let mut length = [0; 2];
        matches!(connection.0.peek(&mut length).await, Ok(1..))
    }
}

#[tokio::test]
async fn stopping_ends_open_connections_and_frees_the_port() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let address = server.address;
    let mut connection = server.connect().await;
    connection.query(&TestQuery::new(POOL, A)).await;
    assert!(server.stop().await.is_ok());
    connection.assert_closed().await;
    drop(tokio::net::UdpSocket::bind(address).await.expect("the port is free"));
}
