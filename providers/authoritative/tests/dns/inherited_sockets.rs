//! Inherited sockets: bound before the server starts, as a service manager does.

use std::net::{SocketAddr, TcpStream, UdpSocket};

use daymark_authoritative::{InheritedSockets, ServerSettings};
use socket2::{Domain, Socket, Type};

use crate::support::{A, Connection, POOL, TestQuery, TestServer, decision, pool_zone, receive, settings};

/// Binds both sockets of one address, without the options that the server needs.
fn bind_sockets(wildcard: &str) -> InheritedSockets {
    let wildcard: SocketAddr = wildcard.parse().unwrap();
    let bind = |at: SocketAddr, kind| {
        let socket = Socket::new(Domain::for_address(at), kind, None).unwrap();
        if at.is_ipv6() {
            socket.set_only_v6(true).unwrap();
        }
        socket.bind(&at.into()).map(|()| socket)
    };
    let sockets = (0..16).find_map(|_| {
        let udp: UdpSocket = bind(wildcard, Type::DGRAM).unwrap().into();
        let at = udp.local_addr().unwrap();
        // Another process may have the port by TCP.
        let tcp = bind(at, Type::STREAM).ok()?;
        tcp.listen(8).unwrap();
        Some(InheritedSockets { udp: vec![udp], tcp: vec![tcp.into()] })
    });
    sockets.expect("a port is free by both transports")
}

fn listen(addresses: &[SocketAddr]) -> ServerSettings {
    ServerSettings { listen: addresses.to_vec(), ..settings(vec![pool_zone()]) }
}

#[tokio::test]
async fn queries_that_wait_in_inherited_sockets_are_answered_from_the_address_they_were_sent_to() {
    for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1")] {
        let inherited = bind_sockets(wildcard);
        let at = inherited.udp[0].local_addr().unwrap();
        let client = UdpSocket::bind(wildcard).unwrap();
        client.connect((asked, at.port())).unwrap();
        client.send(&TestQuery::new(POOL, A).id(7).bytes()).unwrap();
        client.set_nonblocking(true).unwrap();
        let stream = TcpStream::connect((asked, at.port())).unwrap();
        stream.set_nonblocking(true).unwrap();

        let server = TestServer::start_with_sockets(&listen(&[at]), inherited);
        assert_eq!(server.local_addrs(), [at]);
        server.publish_decision(&decision(7, &[(POOL, &["192.0.2.1"])]));
        let client = tokio::net::UdpSocket::from_std(client).unwrap();
        assert_eq!(receive(&client).await[..2], [0, 7]);
        let mut connection = Connection(tokio::net::TcpStream::from_std(stream).unwrap());
        assert_eq!(connection.query(&TestQuery::new(POOL, A)).await.answers.len(), 1);
    }
}

#[tokio::test]
async fn every_socket_of_a_group_is_read_by_any_number_of_workers() {
    let mut one = listen(&["127.0.0.1:0".parse().unwrap()]);
    one.udp_workers = 3.try_into().unwrap();
    let former = TestServer::start(&one);
    let at = former.address;
    let group = former.clone_sockets().unwrap();
    assert_eq!((group.udp.len(), group.tcp.len()), (3, 1));
    former.stop().await.unwrap();
    for workers in [1, 2, 3, 4] {
        let sockets = InheritedSockets {
            udp: group.udp.iter().map(|socket| socket.try_clone().unwrap()).collect(),
            tcp: group.tcp.iter().map(|listener| listener.try_clone().unwrap()).collect(),
        };
        let settings = ServerSettings { udp_workers: workers.try_into().unwrap(), ..listen(&[at]) };
        let server = TestServer::start_with_sockets(&settings, sockets);
        server.publish_decision(&decision(7, &[(POOL, &["192.0.2.1"])]));
        // Each client has another port, so the kernel gives them to all sockets.
        for _ in 0..40 {
            assert_eq!(server.query(POOL, A).await.answers.len(), 1);
        }
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn sockets_that_were_not_inherited_are_bound() {
    let mut inherited = bind_sockets("127.0.0.1:0");
    let at = inherited.udp[0].local_addr().unwrap();
    inherited.tcp.clear();
    let server = TestServer::start_with_sockets(&listen(&[at, "127.0.0.1:0".parse().unwrap()]), inherited);
    assert_eq!((server.local_addrs().len(), server.local_addrs()[0]), (2, at));
    server.publish_decision(&decision(7, &[(POOL, &["192.0.2.1"])]));
    assert_eq!(server.query(POOL, A).await.answers.len(), 1);
    assert_eq!(server.connect().await.query(&TestQuery::new(POOL, A)).await.answers.len(), 1);
}
