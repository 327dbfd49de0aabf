//! One question to one server, and the whole response: its flags, its sections and its size.
//!
//! A lookup gives addresses and hides the rest. Whoever judges a server needs the rest, such as the authority of an answer.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::FirstAnswer;
use hickory_resolver::net::{DnsHandle, NetError};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{IntoName, Name, RData, Record, RecordType};
use tokio::time::timeout;

use crate::{LookupFailure, Protocol};

/// The largest datagram that is asked for, in bytes (RFC 9715).
pub const MAX_DATAGRAM_BYTES: u16 = 1232;
/// The time for a response. A lost datagram is sent again within it.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The type of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// The name servers of a zone.
    Ns,
    /// The start of authority of a zone.
    Soa,
}

/// A question to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, with or without the final dot.
    pub name: String,
    /// The type.
    pub qtype: QuestionType,
    /// True to ask for recursion (RFC 1035, section 4.1.1, RD).
    pub recursion: bool,
}

/// A response: its header, its records and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerResponse {
    /// The response code.
    pub code: DnsCode,
    /// The server has authority for the answer (AA).
    pub authoritative: bool,
    /// The response is cut short (TC).
    pub truncated: bool,
    /// The server offers recursion (RA).
    pub recursion_available: bool,
    /// The records that answer.
    pub answers: Vec<ServerRecord>,
    /// The records of the authority section.
    pub authority: Vec<ServerRecord>,
    /// The records of the additional section.
    pub additional: Vec<ServerRecord>,
    /// The size of the message in bytes.
    pub bytes: usize,
}

/// One record of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRecord {
    /// The owner in lower case, without the final dot; the root is `.`.
    pub owner: String,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The data.
    pub data: RecordContent,
}

/// The data of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordContent {
    /// A or AAAA.
    Address(IpAddr),
    /// NS: the name of a server, in lower case and without the final dot.
    NameServer(String),
    /// SOA: the serial.
    Serial(u32),
    /// Any other record.
    Other,
}

/// A response code (RFC 6895, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsCode {
    /// NOERROR.
    Success,
    /// NXDOMAIN.
    NoSuchName,
    /// REFUSED.
    Refused,
    /// SERVFAIL.
    ServerFailure,
    /// Any other one, by its number.
    Other(u16),
}

/// Asks one server by one protocol, and waits 3 s at most. The ID and the question of the response are those of the query.
pub async fn query(
    question: &Question,
    server: SocketAddr,
    protocol: Protocol,
) -> Result<ServerResponse, LookupFailure> {
    let name = question.name.as_str().into_name().map_err(|_| LookupFailure::MalformedName)?;
    let asked = timeout(RESPONSE_TIMEOUT, exchange(request(name, question), server, protocol)).await;
    Ok(ServerResponse::new(&asked.map_err(|_| LookupFailure::Timeout)??))
}

/// Asks one server by UDP, and again by TCP if that gives no whole response.
pub async fn query_whole(question: &Question, server: SocketAddr) -> Result<ServerResponse, LookupFailure> {
    match query(question, server, Protocol::Udp).await {
        Ok(response) if !response.truncated => Ok(response),
        _ => query(question, server, Protocol::Tcp).await,
    }
}

async fn exchange(request: DnsRequest, server: SocketAddr, protocol: Protocol) -> Result<DnsResponse, NetError> {
    // The task of a connection ends with the last provider.
    let provider = TokioRuntimeProvider::new();
    let exchange = match protocol {
        Protocol::Udp => {
            UdpClientStream::builder(server, provider.clone()).with_timeout(Some(RESPONSE_TIMEOUT)).exchange()
        }
        Protocol::Tcp => TcpClientStream::exchange(server, None, RESPONSE_TIMEOUT, None, provider.clone()).await?,
    };
    exchange.send(request).first_answer().await
}

fn request(mut name: Name, question: &Question) -> DnsRequest {
    name.set_fqdn(true);
    let rtype = match question.qtype {
        QuestionType::A => RecordType::A,
        QuestionType::Aaaa => RecordType::AAAA,
        QuestionType::Ns => RecordType::NS,
        QuestionType::Soa => RecordType::SOA,
    };
    let mut options = DnsRequestOptions::default();
    options.recursion_desired = question.recursion;
    options.edns_payload_len = MAX_DATAGRAM_BYTES;
    DnsRequest::from_query(Query::query(name, rtype), options)
}

impl ServerResponse {
    fn new(response: &DnsResponse) -> Self {
        let records = |records: &[Record]| records.iter().map(ServerRecord::new).collect();
        Self {
            code: response.metadata.response_code.into(),
            authoritative: response.metadata.authoritative,
            truncated: response.metadata.truncation,
            recursion_available: response.metadata.recursion_available,
            answers: records(&response.answers),
            authority: records(&response.authorities),
            additional: records(&response.additionals),
            bytes: response.as_buffer().len(),
        }
    }

    /// The addresses that answer.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.answers.iter().filter_map(ServerRecord::address)
    }

    /// The serial of the SOA record that answers.
    pub fn serial(&self) -> Option<u32> {
        self.answers.iter().find_map(|record| match record.data {
            RecordContent::Serial(serial) => Some(serial),
            _ => None,
        })
    }
}

impl ServerRecord {
    fn new(record: &Record) -> Self {
        let data = match &record.data {
            RData::A(address) => RecordContent::Address(address.0.into()),
            RData::AAAA(address) => RecordContent::Address(address.0.into()),
            RData::NS(server) => RecordContent::NameServer(plain(&server.0)),
            RData::SOA(soa) => RecordContent::Serial(soa.serial),
            _ => RecordContent::Other,
        };
        Self { owner: plain(&record.name), ttl: record.ttl, data }
    }

    /// The address of an A or AAAA record.
    pub fn address(&self) -> Option<IpAddr> {
        match self.data {
            RecordContent::Address(address) => Some(address),
            _ => None,
        }
    }

    /// The name of the server of an NS record.
    pub fn name_server(&self) -> Option<&str> {
        match &self.data {
            RecordContent::NameServer(name) => Some(name),
            _ => None,
        }
    }
}

/// A name in lower case and without the final dot; the root is `.`.
fn plain(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').filter(|text| !text.is_empty()).map_or(text.clone(), str::to_owned)
}

impl From<ResponseCode> for DnsCode {
    fn from(code: ResponseCode) -> Self {
        match code {
            ResponseCode::NoError => Self::Success,
            ResponseCode::NXDomain => Self::NoSuchName,
            ResponseCode::Refused => Self::Refused,
            ResponseCode::ServFail => Self::ServerFailure,
            code => Self::Other(code.into()),
        }
    }
}

impl fmt::Display for DnsCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.pad("NOERROR"),
            Self::NoSuchName => f.pad("NXDOMAIN"),
            Self::Refused => f.pad("REFUSED"),
            Self::ServerFailure => f.pad("SERVFAIL"),
            Self::Other(code) => write!(f, "response code {code}"),
        }
    }
}

impl fmt::Display for QuestionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Ns => "NS",
            Self::Soa => "SOA",
        })
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::Message;
    use hickory_resolver::proto::rr::rdata::{A, NS};
    use tokio::net::UdpSocket;

    use super::*;

    /// A server that answers one query by what this makes of it.
    async fn server(respond: impl FnOnce(Message) -> Message + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            let response = respond(Message::from_vec(&buffer[..length]).unwrap());
            socket.send_to(&response.to_vec().unwrap(), client).await.unwrap();
        });
        address
    }

    fn question(recursion: bool) -> Question {
        Question { name: "LB.example.org".to_owned(), qtype: QuestionType::Ns, recursion }
    }

    #[tokio::test]
    async fn a_referral_has_its_servers_and_their_glue() {
        let address = server(|query| {
            assert!(!query.metadata.recursion_desired);
            let name = |text: &str| text.into_name().unwrap();
            let mut response = query.into_response();
            let servers = RData::NS(NS(name("NS1.lb.example.org.")));
            response.add_authority(Record::from_rdata(name("lb.example.org."), 300, servers));
            let glue = RData::A(A([192, 0, 2, 1].into()));
            response.add_additional(Record::from_rdata(name("ns1.lb.example.org."), 60, glue));
            response
        });
        let seen = query(&question(false), address.await, Protocol::Udp).await.unwrap();
        let record = |owner: &str, ttl, data| ServerRecord { owner: owner.to_owned(), ttl, data };
        let server = RecordContent::NameServer("ns1.lb.example.org".to_owned());
        assert_eq!(seen.authority, [record("lb.example.org", 300, server)]);
        let glue = RecordContent::Address([192, 0, 2, 1].into());
        assert_eq!(seen.additional, [record("ns1.lb.example.org", 60, glue)]);
        assert!(!seen.authoritative && !seen.truncated && !seen.recursion_available && seen.answers.is_empty());
        assert!(seen.bytes > 40, "{}", seen.bytes);
    }

    #[tokio::test]
    async fn a_refusal_is_a_response_and_no_error() {
        let address = server(|query| {
            assert!(query.metadata.recursion_desired);
            let mut response = query.into_response();
            response.metadata.response_code = ResponseCode::Refused;
            response
        });
        let seen = query(&question(true), address.await, Protocol::Udp).await.unwrap();
        assert_eq!(seen.code, DnsCode::Refused);
    }

    #[tokio::test]
    async fn a_closed_port_is_no_connection() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let failure = query(&question(false), closed, Protocol::Tcp).await.unwrap_err();
        assert!(matches!(failure, LookupFailure::Network(_)), "{failure:?}");
    }
}
