//! Connections: many queries on one, and none held for longer or in greater number than allowed.

use std::time::Duration;

use daymark_authoritative::Settings;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{A, AAAA, Ask, Connection, LB, Running, addresses, decision, ips, own_zone, settings, soon};

/// A server that closes a slow connection soon.
async fn impatient(change: impl FnOnce(&mut Settings)) -> Running {
    let mut settings = settings(vec![own_zone()]);
    settings.tcp_idle = Duration::from_secs(1);
    change(&mut settings);
    let server = Running::start(&settings);
    server.show(&decision(1, &[(LB, &["192.0.2.1"])])).await;
    server
}

#[tokio::test]
async fn a_connection_answers_one_query_after_the_other() {
    let server = Running::with(&["192.0.2.1"]).await;
    let mut connection = server.connect().await;
    for rtype in [A, AAAA, A] {
        let response = connection.ask(&Ask::new(LB, rtype)).await;
        assert_eq!(response.answers.len(), usize::from(rtype == A));
    }
}

#[tokio::test]
async fn queries_sent_at_once_are_answered_in_their_order() {
    let server = Running::with(&["192.0.2.1"]).await;
    let mut connection = server.connect().await;
    let all: Vec<u8> = (0..500).flat_map(|id| Ask::new(LB, A).id(id).framed()).collect();
    connection.0.write_all(&all).await.unwrap();
    for id in 0..500_u16 {
        assert_eq!(connection.receive().await[..2], id.to_be_bytes());
    }
}

#[tokio::test]
async fn a_query_may_come_in_pieces() {
    let server = Running::with(&["192.0.2.1"]).await;
    let mut connection = server.connect().await;
    connection.0.set_nodelay(true).unwrap();
    let query = Ask::new(LB, A).framed();
    for byte in &query {
        connection.0.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(connection.receive().await[..2], query[2..4]);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = impatient(|_| {}).await;
    server.connect().await.is_closed().await;
    let mut used = server.connect().await;
    used.ask(&Ask::new(LB, A)).await;
    used.is_closed().await;
}

#[tokio::test]
async fn half_a_length_and_half_a_query_are_waited_for_no_longer_than_idleness() {
    let server = impatient(|_| {}).await;
    for part in [&[0][..], &[0, 32, 0x12, 0x34]] {
        let mut connection = server.connect().await;
        connection.0.write_all(part).await.unwrap();
        connection.is_closed().await;
    }
}

#[tokio::test]
async fn a_client_that_sends_byte_after_byte_is_closed() {
    let server = impatient(|_| {}).await;
    let mut connection = server.connect().await;
    connection.0.write_all(&[0xff, 0xff]).await.unwrap();
    soon(async {
        // The pace of the bytes: each comes well before the connection would be idle.
        while timeout(Duration::from_millis(10), connection.0.readable()).await.is_err() {
            if connection.0.write_all(&[0]).await.is_err() {
                break;
            }
        }
    })
    .await;
    connection.is_closed().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed() {
    let server = impatient(|_| {}).await;
    let mut connection = server.connect().await;
    let framed = Ask::new(LB, A).framed().repeat(1000);
    // Until the buffers of both sides are full, and then until the server closes.
    soon(async { while connection.0.write_all(&framed).await.is_ok() {} }).await;
    assert_eq!(addresses(&server.ask(LB, A).await), ips(&["192.0.2.1"]));
}

#[tokio::test]
async fn what_deserves_no_response_ends_a_connection() {
    let server = Running::with(&["192.0.2.1"]).await;
    let response = Ask::new(LB, A).flags(0x8000).bytes();
    for message in [&[][..], &[0; 11], &response] {
        let mut connection = server.connect().await;
        connection.send(message).await;
        connection.is_closed().await;
    }
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_the_others_go_on() {
    let server = impatient(|settings| {
        settings.max_tcp_connections = 2;
        settings.tcp_idle = Duration::from_mins(1);
    })
    .await;
    let mut open = [server.connect().await, server.connect().await];
    for connection in &mut open {
        connection.ask(&Ask::new(LB, A)).await;
    }
    for _ in 0..5 {
        server.connect().await.is_closed().await;
        assert_eq!(addresses(&server.ask(LB, A).await), ips(&["192.0.2.1"]), "UDP goes on");
    }
    let [first, mut second] = open;
    assert_eq!(second.ask(&Ask::new(LB, A)).await.answers.len(), 1);
    drop(first);
    soon(async { while !answers(&server).await {} }).await;
}

/// Whether a new connection is answered.
async fn answers(server: &Running) -> bool {
    let Ok(stream) = TcpStream::connect(server.address).await else { return false };
    let mut connection = Connection(stream);
    let framed = Ask::new(LB, A).framed();
    connection.0.write_all(&framed).await.is_ok() && connection.0.readable().await.is_ok() && {
        let mut length = [0; 2];
        matches!(connection.0.peek(&mut length).await, Ok(1..))
    }
}

#[tokio::test]
async fn stopping_ends_open_connections_and_frees_the_port() {
    let server = Running::with(&["192.0.2.1"]).await;
    let address = server.address;
    let mut connection = server.connect().await;
    connection.ask(&Ask::new(LB, A)).await;
    assert!(server.stopped().await.is_ok());
    connection.is_closed().await;
    drop(tokio::net::UdpSocket::bind(address).await.expect("the port is free"));
}
