//! A configuration and responses for the tests of the judgements.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use daymark_config::Config;
use daymark_resolver::{DnsCode, RecordContent, ServerRecord, ServerResponse};

use super::diagnosis::{Diagnosis, Level};
use super::name_servers::{PoolSeen, Response, ServerSeen, TransportSeen};
use super::setup::{DelegatedZone, SetupServer};

pub(super) const POOL: &str = "lb.example.org";

/// A pool with the nodes 10.10.1.1, 10.10.1.2 and 10.10.1.3, and these lines at the end of the file.
pub(super) fn config(lines: &str) -> Config {
    let text = format!(
        "pools:\n  - name: {POOL}\n    nodes:\n      - {{name: a, addresses: [10.10.1.1]}}\n      - {{name: b, addresses: \
         [10.10.1.2]}}\n      - {{name: c, addresses: [10.10.1.3]}}\nproviders:\n  - type: authoritative\n    listen: \
         [\"192.0.2.1:53\"]\n    nameservers: [{{name: ns1.{POOL}, addresses: [192.0.2.1]}}]\n{lines}"
    );
    Config::parse(&text, "test.yaml", Path::new("")).unwrap()
}

/// The zone of that pool, with two servers in it.
pub(super) fn zone() -> DelegatedZone {
    let server = |n: u8| SetupServer { name: format!("ns{n}.{POOL}"), addresses: vec![IpAddr::from([192, 0, 2, n])] };
    DelegatedZone {
        apex: POOL.to_owned(),
        servers: vec![server(1), server(2)],
        pools: vec![POOL.to_owned()],
        has_file: false,
    }
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A response with authority and these records as its answer.
pub(super) fn response(answers: Vec<ServerRecord>) -> ServerResponse {
    ServerResponse {
        code: DnsCode::Success,
        authoritative: true,
        truncated: false,
        recursion_available: false,
        answers,
        authority: Vec::new(),
        additional: Vec::new(),
        bytes: 100,
    }
}

pub(super) fn record(owner: &str, data: RecordContent) -> ServerRecord {
    ServerRecord { owner: owner.to_owned(), ttl: 5, data }
}

/// A response with these addresses of the pool.
#[expect(clippy::unnecessary_wraps, reason = "it is what a query gives")]
pub(super) fn answer(addresses: &[&str]) -> Response {
    let record = |text: &&str| record(POOL, RecordContent::Address(text.parse().unwrap()));
    Ok(response(addresses.iter().map(record).collect()))
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a query gives")]
pub(super) fn code(code: DnsCode) -> Response {
    Ok(ServerResponse { code, authoritative: false, ..response(Vec::new()) })
}

/// A server that answers with a serial and these addresses, and refuses recursion.
pub(super) fn server(n: u8, serial: u32, addresses: &[&str]) -> ServerSeen {
    let transport = || TransportSeen {
        soa: Ok(response(vec![record(POOL, RecordContent::Serial(serial))])),
        pools: vec![PoolSeen { pool: POOL.to_owned(), a: answer(addresses), aaaa: answer(&[]) }],
    };
    ServerSeen {
        name: format!("ns{n}.{POOL}"),
        address: SocketAddr::from(([192, 0, 2, n], 53)),
        has_route: true,
        udp: transport(),
        tcp: transport(),
        recursion: code(DnsCode::Refused),
    }
}

/// The diagnoses as lines: the level, the subject and the message.
pub(super) fn lines(diagnoses: &[Diagnosis]) -> Vec<String> {
    for diagnosis in diagnoses {
        daymark_decision::fixtures::assert_is_plain_message(&diagnosis.message);
        let says_what_to_do = diagnosis.message.contains(';');
        assert!(diagnosis.level == Level::Ok || says_what_to_do, "{}", diagnosis.message);
        assert_eq!(diagnosis.symptom.is_none(), diagnosis.level == Level::Ok, "{}", diagnosis.message);
    }
    let line = |of: &Diagnosis| format!("{} {}: {}", of.level, of.subject, of.message);
    diagnoses.iter().map(line).collect()
}
