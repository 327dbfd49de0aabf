//! A running server, and a client that says exactly which bytes it sends.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daymark_authoritative::{Authoritative, Given, MasterFile, Nameserver, ServeError, Settings, ZoneSettings};
use daymark_decision::{Answer, Decision, PoolName};
use daymark_provider::{Provider, contract};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const DS: u16 = 43;
pub(crate) const ANY: u16 = 255;

/// The pool of most tests, and its zone.
pub(crate) const LB: &str = "lb.example.org";

/// A bound on what a test waits for, never reached where the server works.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("it comes soon")
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    server: Arc<Authoritative>,
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Deref for Running {
    type Target = Authoritative;

    fn deref(&self) -> &Authoritative {
        &self.server
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    pub(crate) fn start(settings: &Settings) -> Self {
        Self::start_with(settings, Given::default())
    }

    /// One that has these sockets already.
    pub(crate) fn start_with(settings: &Settings, given: Given) -> Self {
        let server = Arc::new(Authoritative::bind(settings, given).expect("the server binds"));
        let (address, stop) = (server.local_addrs()[0], CancellationToken::new());
        let (serving, until) = (Arc::clone(&server), stop.clone());
        let task = Some(tokio::spawn(async move { serving.serve(until).await }));
        Self { server, address, stop, task }
    }

    /// One that serves the zone of the pool `LB`, with these addresses.
    pub(crate) async fn with(addresses: &[&str]) -> Self {
        let server = Self::start(&settings(vec![own_zone()]));
        server.show(&contract::decision(&PoolName::new(LB), 7, addresses)).await;
        server
    }

    pub(crate) async fn show(&self, decision: &Decision) {
        self.publish(decision).await.expect("it is published");
    }

    pub(crate) async fn stopped(mut self) -> Result<(), ServeError> {
        self.stop.cancel();
        soon(self.task.take().expect("it runs")).await.expect("the server does not panic")
    }

    /// The response to a datagram.
    pub(crate) async fn udp(&self, query: &[u8]) -> Vec<u8> {
        let client = self.client().await;
        client.send(query).await.unwrap();
        receive(&client).await
    }

    /// Sends datagrams that get no response. A question after them does, and its response is the first to come.
    pub(crate) async fn ignores(&self, datagrams: &[&[u8]]) {
        let client = self.client().await;
        for datagram in datagrams {
            client.send(datagram).await.unwrap();
        }
        client.send(&Ask::new(LB, A).id(0xd1ff).bytes()).await.unwrap();
        assert_eq!(receive(&client).await[..2], [0xd1, 0xff], "only the question gets a response");
    }

    /// A socket that talks to the server alone.
    pub(crate) async fn client(&self) -> UdpSocket {
        let local = if self.address.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
        let client = UdpSocket::bind(local).await.unwrap();
        client.connect(self.address).await.unwrap();
        client
    }

    /// The response to a question by UDP.
    pub(crate) async fn ask(&self, name: &str, rtype: u16) -> Message {
        self.send(&Ask::new(name, rtype)).await
    }

    /// The response to a question by UDP, decoded.
    pub(crate) async fn send(&self, ask: &Ask) -> Message {
        Message::from_vec(&self.udp(&ask.bytes()).await).expect("the response is a message")
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(soon(TcpStream::connect(self.address)).await.expect("it connects"))
    }
}

pub(crate) async fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut response = vec![0; 65_535];
    let length = soon(client.recv(&mut response)).await.unwrap();
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
        let length = soon(self.0.read_u16()).await.expect("a response comes");
        let mut message = vec![0; length.into()];
        soon(self.0.read_exact(&mut message)).await.unwrap();
        message
    }

    pub(crate) async fn ask(&mut self, ask: &Ask) -> Message {
        self.send(&ask.bytes()).await;
        Message::from_vec(&self.receive().await).unwrap()
    }

    /// Waits until the server has closed it; nothing comes before.
    pub(crate) async fn is_closed(&mut self) {
        match soon(self.0.read_u8()).await {
            Err(_end_or_reset) => {}
            Ok(byte) => panic!("{byte} came instead of the end"),
        }
    }
}

/// A question, byte by byte.
#[derive(Clone)]
pub(crate) struct Ask {
    id: u16,
    flags: u16,
    /// In wire form.
    pub(crate) name: Vec<u8>,
    rtype: u16,
    class: u16,
    opts: Vec<Vec<u8>>,
}

impl Ask {
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

    /// With EDNS of version 0 and without flags.
    pub(crate) fn edns(self, payload: u16) -> Self {
        self.opt(payload, 0, 0, &[])
    }

    pub(crate) fn opt(mut self, payload: u16, version: u8, flags: u16, options: &[u8]) -> Self {
        let length = u16::try_from(options.len()).unwrap();
        let fixed = [&[0, 0, 41][..], &payload.to_be_bytes(), &[0, version], &flags.to_be_bytes()].concat();
        self.opts.push([&fixed, &length.to_be_bytes()[..], options].concat());
        self
    }

    /// With its length before it, as a connection has it.
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

/// Zones on a free port of the loopback.
pub(crate) fn settings(zones: Vec<ZoneSettings>) -> Settings {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    Settings { listen, zones, max_tcp_connections: 100, tcp_idle: Duration::from_mins(1) }
}

/// The zone of the pool `LB`, with one nameserver in it and one outside.
pub(crate) fn own_zone() -> ZoneSettings {
    let inside = nameserver("ns1.lb.example.org", &["192.0.2.53", "2001:db8::53"]);
    ZoneSettings::of_pool(&PoolName::new(LB), &[inside, nameserver("ns2.example.net", &[])])
}

pub(crate) fn nameserver(name: &str, addresses: &[&str]) -> Nameserver {
    Nameserver { name: name.to_owned(), addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect() }
}

/// A zone with static records.
pub(crate) fn zone(apex: &str, pools: &[&str], text: &str) -> ZoneSettings {
    ZoneSettings {
        apex: apex.to_owned(),
        pools: pools.iter().map(|pool| PoolName::new(pool)).collect(),
        nameservers: vec![nameserver("ns.example.net", &[])],
        master_file: Some(MasterFile { path: PathBuf::from("zone.db"), text: text.to_owned() }),
    }
}

/// One decision with these answers, each with its addresses.
pub(crate) fn decision(generation: u64, answers: &[(&str, &[&str])]) -> Decision {
    let answers = answers.iter().map(|(pool, addresses)| answer(pool, addresses));
    Decision { answers: answers.collect(), generation }
}

pub(crate) fn answer(pool: &str, addresses: &[&str]) -> Answer {
    contract::decision(&PoolName::new(pool), 1, addresses).answers.remove(0)
}

/// The addresses of the answer section, in order.
pub(crate) fn addresses(message: &Message) -> Vec<IpAddr> {
    message.answers.iter().filter_map(|record| record.data.ip_addr()).collect()
}

pub(crate) fn ips(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|ip| ip.parse().unwrap()).collect()
}

pub(crate) fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
    ips(addresses).into_iter().collect()
}

/// Each record as a line: name, TTL, type and data.
pub(crate) fn lines(records: &[Record]) -> Vec<String> {
    let line = |record: &Record| format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data);
    records.iter().map(line).collect()
}

/// Asserts that a response is of our own zone, has no answer, and says for how long that may be kept.
pub(crate) fn assert_negative(message: &Message, code: ResponseCode, zone: &str, ttl: u32) {
    assert_eq!(message.metadata.response_code, code);
    assert!(message.metadata.authoritative);
    assert!(message.answers.is_empty(), "{:?}", message.answers);
    let [soa] = &message.authorities[..] else { panic!("one SOA record: {:?}", message.authorities) };
    assert_eq!((soa.name.to_string(), soa.ttl, soa.record_type()), (format!("{zone}."), ttl, RecordType::SOA));
    let RData::SOA(soa) = &soa.data else { panic!("an SOA record: {soa}") };
    assert_eq!(soa.minimum, ttl, "MINIMUM");
}
