//! TCP connections: several queries on one, and the limits of their number and duration.

use std::net::SocketAddr;
use std::time::Duration;

use daymark_authoritative::ServerSettings;
use daymark_connections::ConnectionLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
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

/// A server with these limits, whose connections stay open for a minute.
fn server_with_limits(limits: ConnectionLimits) -> TestServer {
    server_with_short_timeout(|settings| {
        settings.tcp_connections = limits;
        settings.tcp_idle_timeout = Duration::from_mins(1);
    })
}

/// Opens a connection from this local address, and has one query answered over it.
async fn connect_from(server: &TestServer, address: &str) -> Connection {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    let mut connection = Connection(within_timeout(socket.connect(server.address)).await.unwrap());
    assert_answered(&mut connection).await;
    connection
}

async fn assert_answered(connection: &mut Connection) {
    assert_eq!(connection.query(&TestQuery::new(POOL, A)).await.answers.len(), 1);
}

#[tokio::test]
async fn a_client_above_its_limit_loses_its_longest_idle_connection_and_others_lose_none() {
    let server = server_with_limits(ConnectionLimits { all: 100, per_client: 2 });
    let mut other = connect_from(&server, "127.0.0.2").await;
    let mut first = connect_from(&server, "127.0.0.1").await;
    let mut second = connect_from(&server, "127.0.0.1").await;
    assert_answered(&mut first).await;
    let mut third = connect_from(&server, "127.0.0.1").await;
    second.assert_closed().await;
    for connection in [&mut other, &mut first, &mut third] {
        assert_answered(connection).await;
    }
    assert_eq!(addresses(&server.query(POOL, A).await), ips(&["192.0.2.1"]), "UDP is not affected");
    let counts = server.connections().counts();
    assert_eq!((counts.open, counts.evicted_by_client_limit, counts.evicted_by_limit), (3, 1, 0));
}

#[tokio::test]
async fn a_client_that_fills_the_server_with_idle_connections_shuts_no_other_out() {
    let server = server_with_limits(ConnectionLimits { all: 256, per_client: 32 });
    let mut idle = Vec::new();
    for _ in 0..256 {
        idle.push(server.connect().await);
    }
    let mut others = Vec::new();
    for last in 2..=225 {
        others.push(connect_from(&server, &format!("127.0.0.{last}")).await);
    }
    for connection in &mut idle[..224] {
        connection.assert_closed().await;
    }
    others.push(connect_from(&server, "127.0.0.226").await);
    idle[224].assert_closed().await;
    for connection in &mut others {
        assert_answered(connection).await;
    }
    let counts = server.connections().counts();
    assert_eq!((counts.open, counts.evicted_by_client_limit, counts.evicted_by_limit), (256, 224, 1));
}

#[tokio::test]
async fn a_client_that_never_pauses_does_not_keep_the_server_from_stopping() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let mut connection = server.connect().await;
    let query = TestQuery::new(POOL, A).bytes();
    connection.send(&query).await;
    connection.receive().await;
    let asking = tokio::spawn(async move {
        let framed = [&u16::try_from(query.len()).unwrap().to_be_bytes(), &query[..]].concat();
        // Until the server has closed the connection.
        while connection.0.write_all(&framed).await.is_ok() && connection.0.read_u16().await.is_ok() {
            let mut response = vec![0; query.len() + 16];
            if connection.0.read_exact(&mut response).await.is_err() {
                break;
            }
        }
    });
    server.stop().await.unwrap();
    within_timeout(asking).await.unwrap();
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
