//! A running server, and a client that controls every byte that it sends.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daymark_authoritative::{
    Authoritative, InheritedSockets, MasterFile, Nameserver, ServeError, ServerSettings, ZoneSettings,
};
use daymark_decision::fixtures::pool_name;
use daymark_decision::{Answer, Decision};
use daymark_provider::{Provider, contract};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::common::server_settings;

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const DS: u16 = 43;
pub(crate) const ANY: u16 = 255;

/// The pool of most tests. It is also the apex of its zone.
pub(crate) const POOL: &str = "lb.example.org";

/// Fails the test if a future does not finish within a minute. With a correct server it always does.
pub(crate) async fn within_timeout<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("the future finishes within a minute")
}

/// A server that runs until it is dropped.
pub(crate) struct TestServer {
    server: Arc<Authoritative>,
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Deref for TestServer {
    type Target = Authoritative;

    fn deref(&self) -> &Authoritative {
        &self.server
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl TestServer {
    pub(crate) fn start(settings: &ServerSettings) -> Self {
        Self::start_with_sockets(settings, InheritedSockets::default())
    }

    /// Starts a server with inherited sockets.
    pub(crate) fn start_with_sockets(settings: &ServerSettings, mut inherited: InheritedSockets) -> Self {
        let server = Arc::new(Authoritative::bind(settings, &mut inherited).expect("the server binds"));
        let address = server.local_addrs()[0];
        let stop = CancellationToken::new();
        let serving = Arc::clone(&server);
        let stopped = stop.clone();
        let task = Some(tokio::spawn(async move { serving.serve(stopped).await }));
        Self { server, address, stop, task }
    }

    /// Starts a server of the zone of `POOL`, with these addresses as its answer.
    pub(crate) fn with_addresses(addresses: &[&str]) -> Self {
        let server = Self::start(&settings(vec![pool_zone()]));
        server.publish_decision(&contract::decision(&pool_name(POOL), 7, addresses));
        server
    }

    pub(crate) fn publish_decision(&self, decision: &Decision) {
        self.publish(decision).expect("the decision is published");
    }

    /// Stops the server, and returns its result.
    pub(crate) async fn stop(mut self) -> Result<(), ServeError> {
        self.stop.cancel();
        within_timeout(self.task.take().expect("the server runs")).await.expect("the server does not panic")
    }

    /// Sends a datagram, and returns the response.
    pub(crate) async fn udp(&self, query: &[u8]) -> Vec<u8> {
        let client = self.client().await;
        client.send(query).await.unwrap();
        receive(&client).await
    }

    /// Asserts that datagrams get no response. The response to a query after them must be the first to arrive.
    pub(crate) async fn assert_ignores(&self, datagrams: &[&[u8]]) {
        let client = self.client().await;
        for datagram in datagrams {
            client.send(datagram).await.unwrap();
        }
        client.send(&TestQuery::new(POOL, A).id(0xd1ff).bytes()).await.unwrap();
        assert_eq!(receive(&client).await[..2], [0xd1, 0xff], "only the query gets a response");
    }

    /// A socket that is connected to the server.
    pub(crate) async fn client(&self) -> UdpSocket {
        let local = if self.address.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
        let client = UdpSocket::bind(local).await.unwrap();
        client.connect(self.address).await.unwrap();
        client
    }

    /// Asks a question by UDP.
    pub(crate) async fn query(&self, name: &str, rtype: u16) -> Message {
        self.send(&TestQuery::new(name, rtype)).await
    }

    /// Sends a query by UDP.
    pub(crate) async fn send(&self, query: &TestQuery) -> Message {
        Message::from_vec(&self.udp(&query.bytes()).await).expect("the response is a message")
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(within_timeout(TcpStream::connect(self.address)).await.expect("the client connects"))
    }
}

pub(crate) async fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut response = vec![0; 65_535];
    let length = within_timeout(client.recv(&mut response)).await.unwrap();
    response.truncate(length);
    response
}

/// A connection to a server.
pub(crate) struct Connection(pub(crate) TcpStream);

impl Connection {
    pub(crate) async fn send(&mut self, message: &[u8]) {
        let length = u16::try_from(message.len()).unwrap();
        self.0.write_all(&[&length.to_be_bytes(), message].concat()).await.unwrap();
    }

    pub(crate) async fn receive(&mut self) -> Vec<u8> {
        let length = within_timeout(self.0.read_u16()).await.expect("a response arrives");
        let mut message = vec![0; length.into()];
        within_timeout(self.0.read_exact(&mut message)).await.unwrap();
        message
    }

    pub(crate) async fn query(&mut self, query: &TestQuery) -> Message {
        self.send(&query.bytes()).await;
        Message::from_vec(&self.receive().await).unwrap()
    }

    /// Asserts that the server closes the connection without sending anything.
    pub(crate) async fn assert_closed(&mut self) {
        match within_timeout(self.0.read_u8()).await {
            Err(_end_or_reset) => {}
            Ok(byte) => panic!("the server sent {byte} instead of closing the connection"),
        }
    }
}

/// A query whose bytes a test controls.
#[derive(Clone)]
pub(crate) struct TestQuery {
    id: u16,
    flags: u16,
    /// The name in wire format.
    pub(crate) name: Vec<u8>,
    rtype: u16,
    class: u16,
    opts: Vec<Vec<u8>>,
}

impl TestQuery {
    pub(crate) fn new(name: &str, rtype: u16) -> Self {
        let labels = name.split('.').filter(|label| !label.is_empty());
        let mut wire: Vec<u8> =
            labels.flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat()).collect();
        wire.push(0);
        Self { id: 0x1234, flags: 0, name: wire, rtype, class: 1, opts: Vec::new() }
    }

    pub(crate) fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    pub(crate) fn flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    pub(crate) fn class(mut self, class: u16) -> Self {
        self.class = class;
        self
    }

    pub(crate) fn name(mut self, wire: &[u8]) -> Self {
        self.name = wire.to_vec();
        self
    }

    /// Adds an OPT record of version 0 without flags.
    pub(crate) fn edns(self, payload: u16) -> Self {
        self.opt(payload, 0, 0, &[])
    }

    pub(crate) fn opt(mut self, payload: u16, version: u8, flags: u16, options: &[u8]) -> Self {
        let length = u16::try_from(options.len()).unwrap();
        let fixed = [&[0, 0, 41][..], &payload.to_be_bytes(), &[0, version], &flags.to_be_bytes()].concat();
        self.opts.push([&fixed, &length.to_be_bytes()[..], options].concat());
        self
    }

    /// The query after its length, as it is sent by TCP.
    pub(crate) fn framed(&self) -> Vec<u8> {
        let bytes = self.bytes();
        [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes[..]].concat()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let additionals = u16::try_from(self.opts.len()).unwrap();
        let mut bytes: Vec<u8> =
            [self.id, self.flags, 1, 0, 0, additionals].into_iter().flat_map(u16::to_be_bytes).collect();
        bytes.extend(&self.name);
        bytes.extend([self.rtype, self.class].into_iter().flat_map(u16::to_be_bytes));
        bytes.extend(self.opts.concat());
        bytes
    }
}

/// Settings of a server on a free port of the loopback address.
pub(crate) fn settings(zones: Vec<ZoneSettings>) -> ServerSettings {
    server_settings("127.0.0.1:0", zones, 100)
}

/// The zone of `POOL`, with one nameserver in the zone and one outside.
pub(crate) fn pool_zone() -> ZoneSettings {
    let inside = nameserver("ns1.lb.example.org", &["192.0.2.53", "2001:db8::53"]);
    ZoneSettings::for_pool(&pool_name(POOL), &[inside, nameserver("ns2.example.net", &[])])
}

pub(crate) fn nameserver(name: &str, addresses: &[&str]) -> Nameserver {
    Nameserver { name: name.to_owned(), addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect() }
}

/// A zone with static records.
pub(crate) fn zone(apex: &str, pools: &[&str], text: &str) -> ZoneSettings {
    ZoneSettings {
        apex: apex.to_owned(),
        pools: pools.iter().map(|pool| pool_name(pool)).collect(),
        nameservers: vec![nameserver("ns.example.net", &[])],
        master_file: Some(MasterFile {
            path: PathBuf::from("zone.db"),
            text: text.to_owned(),
            included: BTreeMap::new(),
        }),
        signing: None,
    }
}

/// A decision with the addresses of each pool.
pub(crate) fn decision(generation: u64, answers: &[(&str, &[&str])]) -> Decision {
    let answers = answers.iter().map(|(pool, addresses)| answer(pool, addresses));
    Decision { answers: answers.collect(), generation }
}

pub(crate) fn answer(pool: &str, addresses: &[&str]) -> Answer {
    contract::decision(&pool_name(pool), 1, addresses).answers.remove(0)
}

/// The addresses of the answer section, in their order.
pub(crate) fn addresses(message: &Message) -> Vec<IpAddr> {
    message.answers.iter().filter_map(|record| record.data.ip_addr()).collect()
}

pub(crate) fn ips(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|ip| ip.parse().unwrap()).collect()
}

pub(crate) fn address_set(addresses: &[&str]) -> BTreeSet<IpAddr> {
    ips(addresses).into_iter().collect()
}

/// Each record as a line: name, TTL, type and data.
pub(crate) fn lines(records: &[Record]) -> Vec<String> {
    let line = |record: &Record| format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data);
    records.iter().map(line).collect()
}

/// Asserts that a response is authoritative, has no answer, and has an SOA record with this negative TTL.
pub(crate) fn assert_negative(message: &Message, code: ResponseCode, zone: &str, ttl: u32) {
    assert_eq!(message.metadata.response_code, code);
    assert!(message.metadata.authoritative);
    assert!(message.answers.is_empty(), "{:?}", message.answers);
    let [soa] = &message.authorities[..] else { panic!("one SOA record: {:?}", message.authorities) };
    assert_eq!((soa.name.to_string(), soa.ttl, soa.record_type()), (format!("{zone}."), ttl, RecordType::SOA));
    let RData::SOA(soa) = &soa.data else { panic!("an SOA record: {soa}") };
    assert_eq!(soa.minimum, ttl, "MINIMUM");
}
