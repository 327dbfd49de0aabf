//! Publication, reload and counters of a running server.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use daymark_authoritative::{
    Authoritative, BindError, DnsTransport, InheritedSockets, PreparedZones, ResponseCount, SocketError, ZoneSettings,
};
use daymark_decision::PoolName;
use daymark_decision::fixtures::pool_name;
use daymark_provider::Provider;
use daymark_provider::contract::{self, PublishedReader};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;

use crate::support::{
    A, AAAA, POOL, SOA, TestQuery, TestServer, address_set, addresses, decision, ips, lines, nameserver, pool_zone,
    receive, settings, zone,
};

impl PublishedReader for TestServer {
    async fn addresses(&self, pool: &PoolName) -> BTreeSet<IpAddr> {
        let mut all = addresses(&self.query(pool.as_str(), A).await);
        all.extend(addresses(&self.query(pool.as_str(), AAAA).await));
        all.into_iter().collect()
    }
}

#[tokio::test]
async fn the_authoritative_server_keeps_the_contract_of_providers() {
    let server = TestServer::start(&settings(vec![pool_zone()]));
    contract::check_provider(&*server, &server, &pool_name(POOL)).await;
    assert_eq!(server.name(), "authoritative");
}

#[tokio::test]
async fn the_contract_is_kept_in_a_parent_zone_too() {
    let server = TestServer::start(&settings(vec![zone("example.org", &[POOL, "other.example.org"], "")]));
    contract::check_provider(&*server, &server, &pool_name(POOL)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_query_sees_a_part_of_a_decision() {
    let server = Arc::new(TestServer::start(&settings(vec![pool_zone()])));
    server.publish_decision(&marked(0));
    let done = Arc::new(AtomicBool::new(false));
    let publishing = Arc::clone(&server);
    let finished = Arc::clone(&done);
    let publisher = tokio::spawn(async move {
        for generation in 1..=1000 {
            publishing.publish_decision(&marked(generation));
            tokio::task::yield_now().await;
        }
        finished.store(true, Ordering::SeqCst);
    });
    let client = server.client().await;
    let mut seen = 0;
    while !done.load(Ordering::SeqCst) || seen < 100 {
        client.send(&TestQuery::new(POOL, A).bytes()).await.unwrap();
        let response = hickory_proto::op::Message::from_vec(&receive(&client).await).unwrap();
        let generation = response.answers[0].ttl;
        let [.., third, _] = marker(generation);
        assert!(response.answers.iter().all(|record| record.ttl == generation));
        let thirds: BTreeSet<u8> = addresses(&response).iter().map(third_byte).collect();
        assert_eq!((thirds, response.answers.len()), (BTreeSet::from([third]), 3), "generation {generation}");

        let response = server.query(POOL, AAAA).await;
        let RData::SOA(soa) = &response.authorities[0].data else { panic!("an SOA record") };
        assert_eq!((response.authorities[0].ttl, soa.minimum), (soa.serial, soa.serial));
        seen += 1;
    }
    publisher.await.unwrap();
}

/// A decision whose addresses, TTL and negative TTL encode its generation.
fn marked(generation: u32) -> daymark_decision::Decision {
    let [a, b, c, _] = marker(generation);
    let all: Vec<String> = (1..=3).map(|n| format!("{a}.{b}.{c}.{n}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut decision = decision(generation.into(), &[(POOL, &all)]);
    decision.answers[0].ttl = generation;
    decision.answers[0].negative_ttl = generation;
    decision
}

fn marker(generation: u32) -> [u8; 4] {
    [10, u8::try_from(generation / 250).unwrap(), u8::try_from(generation % 250).unwrap(), 0]
}

fn third_byte(ip: &IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) => ip.octets()[2],
        IpAddr::V6(ip) => panic!("{ip} is not in the decision"),
    }
}

#[tokio::test]
async fn new_zones_are_served_with_the_current_answers() {
    let server = TestServer::start(&settings(vec![pool_zone()]));
    server.publish_decision(&decision(5, &[(POOL, &["192.0.2.1"]), ("new.example.org", &["192.0.2.2"])]));
    assert_eq!(server.query("new.example.org", A).await.metadata.response_code, ResponseCode::Refused);
    let mut connection = server.connect().await;

    server.configure(
        PreparedZones::build(&[zone("example.org", &[POOL, "new.example.org"], "$TTL 9\nwww A 192.0.2.80\n")]).unwrap(),
    );
    assert_eq!(addresses(&server.query(POOL, A).await), ips(&["192.0.2.1"]));
    assert_eq!(addresses(&server.query("new.example.org", A).await), ips(&["192.0.2.2"]));
    assert_eq!(addresses(&connection.query(&TestQuery::new("www.example.org", A)).await), ips(&["192.0.2.80"]));
    assert!(lines(&server.query("example.org", SOA).await.answers)[0].contains(" 5 3600 "));
}

#[tokio::test]
async fn a_pool_that_a_reload_adds_is_served_from_its_first_answer_on() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    server.configure(PreparedZones::build(&[zone("example.org", &[POOL, "new.example.org"], "")]).unwrap());
    assert_eq!(server.query("new.example.org", A).await.metadata.response_code, ResponseCode::Refused);
    assert_eq!(addresses(&server.query(POOL, A).await), ips(&["192.0.2.1"]));
    let both: [(&str, &[&str]); 2] = [(POOL, &["192.0.2.1"]), ("new.example.org", &["192.0.2.2"])];
    server.publish_decision(&decision(7, &both));
    assert_eq!(server.query("new.example.org", A).await.metadata.response_code, ResponseCode::Refused, "generation 7");
    server.publish_decision(&decision(8, &both));
    assert_eq!(addresses(&server.query("new.example.org", A).await), ips(&["192.0.2.2"]));
}

#[tokio::test]
async fn a_zone_with_an_error_changes_nothing() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let invalid = [zone("other.example", &[], ""), zone("example.org", &["elsewhere.net"], "what is this\n")];
    let errors = PreparedZones::build(&invalid).unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");
    assert_eq!(addresses(&server.query(POOL, A).await), ips(&["192.0.2.1"]));
    assert_eq!(server.query("other.example", SOA).await.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn responses_are_counted_by_transport_and_code() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    for (name, rtype) in [(POOL, A), (POOL, AAAA), ("www.lb.example.org", A), ("example.net", A)] {
        server.query(name, rtype).await;
    }
    server.send(&TestQuery::new(POOL, A).opt(1232, 9, 0, &[])).await;
    server.assert_ignores(&[&[0; 3]]).await;
    server.connect().await.query(&TestQuery::new(POOL, A).flags(0x0800)).await;
    let mut counted = server.response_counts();
    counted.retain(|response| response.count > 0);
    let expected = [
        ResponseCount { transport: DnsTransport::Udp, code: "NOERROR", count: 3 },
        ResponseCount { transport: DnsTransport::Udp, code: "NXDOMAIN", count: 1 },
        ResponseCount { transport: DnsTransport::Udp, code: "REFUSED", count: 1 },
        ResponseCount { transport: DnsTransport::Udp, code: "BADVERS", count: 1 },
        ResponseCount { transport: DnsTransport::Tcp, code: "NOTIMP", count: 1 },
    ];
    assert_eq!(counted, expected);
    assert_eq!(server.response_counts().len(), 16);
    assert_eq!(server.copied_responses(), 3, "all of NOERROR");
}

#[tokio::test]
async fn udp_and_tcp_share_a_port_and_both_families_share_one_too() {
    let first = TestServer::with_addresses(&["192.0.2.1"]);
    let mut settings = settings(vec![pool_zone()]);
    settings.listen = vec!["0.0.0.0:0".parse().unwrap()];
    let wildcard = Authoritative::bind(&settings, &mut InheritedSockets::default()).unwrap();
    let port = wildcard.local_addrs()[0].port();
    settings.listen = vec![format!("[::]:{port}").parse().unwrap()];
    let beside = Authoritative::bind(&settings, &mut InheritedSockets::default()).expect("[::] sits beside 0.0.0.0");
    assert_eq!(beside.local_addrs(), settings.listen);
    assert_eq!(addresses(&first.connect().await.query(&TestQuery::new(POOL, A)).await), ips(&["192.0.2.1"]));
}

#[tokio::test]
async fn every_address_that_cannot_be_bound_is_reported() {
    let running = TestServer::with_addresses(&["192.0.2.1"]);
    let mut settings = settings(vec![pool_zone()]);
    // The second is reserved for documentation, so no host has it.
    settings.listen = vec![running.address, "192.0.2.200:5353".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    let Err(BindError::Sockets(errors)) = Authoritative::bind(&settings, &mut InheritedSockets::default()).map(|_| ())
    else {
        panic!("the server binds")
    };
    let [
        SocketError::AddressInUse { transport: DnsTransport::Udp, .. },
        SocketError::AddressInUse { transport: DnsTransport::Tcp, .. },
        SocketError::AddressNotAvailable { .. },
        SocketError::AddressNotAvailable { .. },
    ] = &errors[..]
    else {
        panic!("{errors:?}")
    };
    let message = BindError::Sockets(errors).to_string();
    assert!(
        message.contains(&format!("cannot listen on {} by udp: the address is in use; ", running.address)),
        "{message}"
    );
}

#[tokio::test]
async fn an_address_that_the_host_does_not_have_yet_is_bound_by_freebind_alone() {
    let mut settings = settings(vec![pool_zone()]);
    // Both are reserved for documentation, so no host has them.
    settings.listen = vec!["192.0.2.200:5353".parse().unwrap(), "[2001:db8::200]:5353".parse().unwrap()];
    let error = Authoritative::bind(&settings, &mut InheritedSockets::default()).map(|_| ()).unwrap_err();
    let mend = "this host does not have the address; one of its own is needed, or `freebind: true` beside `listen`, which \
                listens before the host has it";
    for listen in ["192.0.2.200:5353 by udp", "192.0.2.200:5353 by tcp", "[2001:db8::200]:5353 by udp"] {
        let message = format!("cannot listen on {listen}: {mend}");
        assert!(error.to_string().contains(&message), "{message} is not in {error}");
    }
    settings.freebind = true;
    let server = Authoritative::bind(&settings, &mut InheritedSockets::default()).unwrap();
    assert_eq!(server.local_addrs(), settings.listen);
}

#[tokio::test]
async fn zones_are_checked_before_any_socket_is_bound() {
    let running = TestServer::with_addresses(&["192.0.2.1"]);
    let mut settings = settings(vec![pool_zone(), pool_zone()]);
    settings.listen = vec![running.address];
    let Err(BindError::Zones(errors)) = Authoritative::bind(&settings, &mut InheritedSockets::default()).map(|_| ())
    else {
        panic!("the zones are valid")
    };
    assert_eq!(
        errors.to_string(),
        "the zone lb.example.org is listed twice; once is allowed; the pool lb.example.org is listed twice; once is allowed"
    );
    assert_eq!(
        addresses(&running.query(POOL, A).await).into_iter().collect::<BTreeSet<_>>(),
        address_set(&["192.0.2.1"])
    );
}

#[tokio::test]
async fn a_decision_about_hundreds_of_zones_is_published_while_one_waits() {
    let names: Vec<String> = (0..200).map(|index| format!("lb{index}.example.org")).collect();
    let nameservers = [nameserver("ns.example.net", &[])];
    let zones = names.iter().map(|name| ZoneSettings::for_pool(&pool_name(name), &nameservers));
    let server = TestServer::start(&settings(zones.collect()));
    let answers: Vec<(&str, &[&str])> =
        names.iter().map(|name| (name.as_str(), &["192.0.2.1", "192.0.2.2"][..])).collect();
    // With a time that grew with the square of the zones, each would take a minute.
    for generation in 1..=3 {
        server.publish_decision(&decision(generation, &answers));
    }
    assert_eq!(server.query("lb199.example.org", A).await.answers.len(), 2);
}
