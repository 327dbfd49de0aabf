//! Sockets that are bound before the server is there, as a service manager binds them.

use std::net::{SocketAddr, TcpStream, UdpSocket};

use daymark_authoritative::{Given, Settings};
use socket2::{Domain, Socket, Type};

use crate::support::{A, Ask, Connection, LB, Running, decision, own_zone, receive, settings};

/// Both sockets of one address, with nothing set that the server needs.
fn given(wildcard: &str) -> (Given, SocketAddr) {
    let wildcard: SocketAddr = wildcard.parse().unwrap();
    let bound = |at: SocketAddr, kind| {
        let socket = Socket::new(Domain::for_address(at), kind, None).unwrap();
        if at.is_ipv6() {
            socket.set_only_v6(true).unwrap();
        }
        socket.bind(&at.into()).map(|()| socket)
    };
    let tries = (0..16).find_map(|_| {
        let udp: UdpSocket = bound(wildcard, Type::DGRAM).unwrap().into();
        let at = udp.local_addr().unwrap();
        // Another process may have the port by TCP.
        let tcp = bound(at, Type::STREAM).ok()?;
        tcp.listen(8).unwrap();
        Some((Given { udp: vec![udp], tcp: vec![tcp.into()] }, at))
    });
    tries.expect("a port is free by both")
}

fn listen(addresses: &[SocketAddr]) -> Settings {
    Settings { listen: addresses.to_vec(), ..settings(vec![own_zone()]) }
}

#[tokio::test]
async fn what_waits_in_given_sockets_is_answered_from_where_it_was_sent_to() {
    for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1")] {
        let (given, at) = given(wildcard);
        let client = UdpSocket::bind(wildcard).unwrap();
        client.connect((asked, at.port())).unwrap();
        client.send(&Ask::new(LB, A).id(7).bytes()).unwrap();
        client.set_nonblocking(true).unwrap();
        let stream = TcpStream::connect((asked, at.port())).unwrap();
        stream.set_nonblocking(true).unwrap();

        let server = Running::start_with(&listen(&[at]), given);
        assert_eq!(server.local_addrs(), [at]);
        server.show(&decision(7, &[(LB, &["192.0.2.1"])])).await;
        let client = tokio::net::UdpSocket::from_std(client).unwrap();
        assert_eq!(receive(&client).await[..2], [0, 7]);
        let mut connection = Connection(tokio::net::TcpStream::from_std(stream).unwrap());
        assert_eq!(connection.ask(&Ask::new(LB, A)).await.answers.len(), 1);
    }
}

#[tokio::test]
async fn what_is_not_given_is_bound_beside_what_is() {
    let (mut given, at) = given("127.0.0.1:0");
    given.tcp.clear();
    let server = Running::start_with(&listen(&[at, "127.0.0.1:0".parse().unwrap()]), given);
    assert_eq!((server.local_addrs().len(), server.local_addrs()[0]), (2, at));
    server.show(&decision(7, &[(LB, &["192.0.2.1"])])).await;
    assert_eq!(server.ask(LB, A).await.answers.len(), 1);
    assert_eq!(server.connect().await.ask(&Ask::new(LB, A)).await.answers.len(), 1);
}
