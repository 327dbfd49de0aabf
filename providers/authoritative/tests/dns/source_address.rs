//! The source address of responses. It must be the address that was asked, or the client drops the response.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use daymark_decision::fixtures::pool_name;
use daymark_provider::contract;
use quinn_udp::{Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::support::{A, POOL, TestQuery, TestServer, pool_zone, receive, settings, within_timeout};

/// A server on a wildcard address.
fn server_on(wildcard: &str) -> TestServer {
    let mut settings = settings(vec![pool_zone()]);
    settings.listen = vec![wildcard.parse().unwrap()];
    let server = TestServer::start(&settings);
    server.publish_decision(&contract::decision(&pool_name(POOL), 7, &["192.0.2.1"]));
    server
}

/// Asserts that each address of a server answers a query that was sent to it. The client socket accepts any source address.
async fn assert_answers_from(server: &TestServer, client: &str, asked: &[IpAddr]) {
    let client = UdpSocket::bind(client).await.unwrap();
    for &address in asked {
        let asked = SocketAddr::new(address, server.address.port());
        client.send_to(&TestQuery::new(POOL, A).bytes(), asked).await.unwrap();
        let (_, from) = within_timeout(client.recv_from(&mut [0; 512])).await.unwrap();
        assert_eq!(from, asked, "the address that answers is the one asked");
    }
}

/// The local address from which this host reaches another. `None` if there is no route.
async fn own_address(wildcard: &str, other: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(wildcard).await.unwrap();
    socket.connect(other).await.ok()?;
    Some(socket.local_addr().unwrap().ip())
}

#[tokio::test]
async fn a_server_on_every_ipv4_address_answers_from_the_one_that_was_asked() {
    let server = server_on("0.0.0.0:0");
    let mut asked: Vec<IpAddr> =
        ["127.0.0.2", "127.0.0.3", "127.0.0.1"].into_iter().map(|ip| ip.parse().unwrap()).collect();
    asked.extend(own_address("0.0.0.0:0", "192.0.2.200:53").await);
    assert_answers_from(&server, "127.0.0.1:0", &asked).await;
}

#[tokio::test]
async fn a_server_on_every_ipv6_address_answers_from_the_one_that_was_asked() {
    let server = server_on("[::]:0");
    let mut asked: Vec<IpAddr> = vec!["::1".parse().unwrap()];
    asked.extend(own_address("[::]:0", "[2001:db8::1]:53").await);
    assert_answers_from(&server, "[::1]:0", &asked).await;
}

#[tokio::test]
async fn a_query_to_the_broadcast_address_is_answered_from_an_address_of_the_host() {
    let server = server_on("0.0.0.0:0");
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.set_broadcast(true).unwrap();
    client.send_to(&TestQuery::new(POOL, A).bytes(), ("127.255.255.255", server.address.port())).await.unwrap();
    let (_, from) = within_timeout(client.recv_from(&mut [0; 512])).await.unwrap();
    assert_eq!(from, SocketAddr::new([127, 0, 0, 1].into(), server.address.port()));
}

/// A link-local address of this host, with the number of its interface. `None` if there is none.
fn link_local_address() -> Option<SocketAddrV6> {
    let addresses = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    let lines = addresses.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let link_local = lines.filter_map(|fields| {
        let address = Ipv6Addr::from(u128::from_str_radix(fields[0], 16).ok()?);
        let interface = u32::from_str_radix(fields[1], 16).ok()?;
        Some(SocketAddrV6::new(address, 0, 0, interface))
    });
    link_local.into_iter().find(|address| address.ip().is_unicast_link_local())
}

#[tokio::test]
async fn a_query_to_a_link_local_address_is_answered_from_it() {
    // A host without IPv6 on its network has none.
    let Some(mut asked) = link_local_address() else { return };
    let server = server_on("[::]:0");
    asked.set_port(server.address.port());
    let client = UdpSocket::bind(SocketAddrV6::new(*asked.ip(), 0, 0, asked.scope_id())).await.unwrap();
    client.send_to(&TestQuery::new(POOL, A).bytes(), asked).await.unwrap();
    let (_, from) = within_timeout(client.recv_from(&mut [0; 512])).await.unwrap();
    assert_eq!(from, SocketAddr::V6(asked));
}

#[tokio::test]
async fn a_connected_client_receives_the_response() {
    let server = server_on("0.0.0.0:0");
    for address in ["127.0.0.2", "127.0.0.3"] {
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect((address, server.address.port())).await.unwrap();
        client.send(&TestQuery::new(POOL, A).id(7).bytes()).await.unwrap();
        assert_eq!(receive(&client).await[..2], [0, 7]);
    }
}

#[tokio::test]
async fn datagrams_that_the_kernel_joins_are_answered_one_by_one() {
    for (wildcard, address) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1")] {
        let server = server_on(wildcard);
        let client = UdpSocket::bind(wildcard).await.unwrap();
        client.connect((address, server.address.port())).await.unwrap();
        let state = UdpSocketState::new((&client).into()).unwrap();
        // If the kernel supports it, the datagrams stay joined on the loopback device until they reach the server.
        let together = u16::try_from(state.max_gso_segments().min(10)).unwrap();
        let length = TestQuery::new(POOL, A).bytes().len();
        let contents: Vec<u8> = (0..together).flat_map(|id| TestQuery::new(POOL, A).id(id).bytes()).collect();
        let transmit = Transmit {
            destination: client.peer_addr().unwrap(),
            ecn: None,
            contents: &contents,
            segment_size: Some(length),
            src_ip: None,
        };
        client.async_io(Interest::WRITABLE, || state.try_send((&client).into(), &transmit)).await.unwrap();
        for id in 0..together {
            assert_eq!(receive(&client).await[..2], id.to_be_bytes());
        }
    }
}
