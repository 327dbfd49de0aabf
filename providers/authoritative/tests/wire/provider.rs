//! Publishing, reloading and counting while the server runs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use daymark_authoritative::{Authoritative, BindError, Given, SocketError, Transport};
use daymark_decision::PoolName;
use daymark_provider::Provider;
use daymark_provider::contract::{self, Observed};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;

use crate::support::{
    A, AAAA, Ask, LB, Running, SOA, addresses, decision, ips, lines, own_zone, receive, set, settings, zone,
};

impl Observed for Running {
    async fn addresses(&self, pool: &PoolName) -> BTreeSet<IpAddr> {
        let mut all = addresses(&self.ask(pool.as_str(), A).await);
        all.extend(addresses(&self.ask(pool.as_str(), AAAA).await));
        all.into_iter().collect()
    }
}

#[tokio::test]
async fn the_authoritative_server_keeps_the_contract_of_providers() {
    let server = Running::start(&settings(vec![own_zone()]));
    contract::keeps(&*server, &server, &PoolName::new(LB)).await;
    assert_eq!(server.name(), "authoritative");
}

#[tokio::test]
async fn the_contract_is_kept_in_a_parent_zone_too() {
    let server = Running::start(&settings(vec![zone("example.org", &[LB, "other.example.org"], "")]));
    contract::keeps(&*server, &server, &PoolName::new(LB)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_query_sees_a_part_of_a_decision() {
    let server = Arc::new(Running::start(&settings(vec![own_zone()])));
    server.show(&marked(0)).await;
    let done = Arc::new(AtomicBool::new(false));
    let (publishing, finished) = (Arc::clone(&server), Arc::clone(&done));
    let publisher = tokio::spawn(async move {
        for generation in 1..=1000 {
            publishing.show(&marked(generation)).await;
            tokio::task::yield_now().await;
        }
        finished.store(true, Ordering::SeqCst);
    });
    let client = server.client().await;
    let mut seen = 0;
    while !done.load(Ordering::SeqCst) || seen < 100 {
        client.send(&Ask::new(LB, A).bytes()).await.unwrap();
        let response = hickory_proto::op::Message::from_vec(&receive(&client).await).unwrap();
        let generation = response.answers[0].ttl;
        let [.., third, _] = marker(generation);
        assert!(response.answers.iter().all(|record| record.ttl == generation));
        let thirds: BTreeSet<u8> = addresses(&response).iter().map(third_byte).collect();
        assert_eq!((thirds, response.answers.len()), (BTreeSet::from([third]), 3), "generation {generation}");

        let response = server.ask(LB, AAAA).await;
        let RData::SOA(soa) = &response.authorities[0].data else { panic!("an SOA record") };
        assert_eq!((response.authorities[0].ttl, soa.minimum), (soa.serial, soa.serial));
        seen += 1;
    }
    publisher.await.unwrap();
}

/// A decision that shows its generation in every address, TTL and negative TTL.
fn marked(generation: u32) -> daymark_decision::Decision {
    let [a, b, c, _] = marker(generation);
    let all: Vec<String> = (1..=3).map(|n| format!("{a}.{b}.{c}.{n}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut decision = decision(generation.into(), &[(LB, &all)]);
    (decision.answers[0].ttl, decision.answers[0].negative_ttl) = (generation, generation);
    decision
}

fn marker(generation: u32) -> [u8; 4] {
    [10, u8::try_from(generation / 250).unwrap(), u8::try_from(generation % 250).unwrap(), 0]
}

fn third_byte(ip: &IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) => ip.octets()[2],
        IpAddr::V6(ip) => panic!("{ip} is not of the decision"),
    }
}

#[tokio::test]
async fn other_zones_are_served_with_the_answers_that_stand() {
    let server = Running::start(&settings(vec![own_zone()]));
    server.show(&decision(5, &[(LB, &["192.0.2.1"]), ("new.example.org", &["192.0.2.2"])])).await;
    assert_eq!(server.ask("new.example.org", A).await.metadata.response_code, ResponseCode::Refused);
    let mut connection = server.connect().await;

    server.configure(&[zone("example.org", &[LB, "new.example.org"], "$TTL 9\nwww A 192.0.2.80\n")]).unwrap();
    assert_eq!(addresses(&server.ask(LB, A).await), ips(&["192.0.2.1"]));
    assert_eq!(addresses(&server.ask("new.example.org", A).await), ips(&["192.0.2.2"]));
    assert_eq!(addresses(&connection.ask(&Ask::new("www.example.org", A)).await), ips(&["192.0.2.80"]));
    assert!(lines(&server.ask("example.org", SOA).await.answers)[0].contains(" 5 3600 "));
}

#[tokio::test]
async fn a_pool_that_a_reload_adds_is_unknown_until_the_next_decision() {
    let server = Running::with(&["192.0.2.1"]).await;
    server.configure(&[zone("example.org", &[LB, "new.example.org"], "")]).unwrap();
    assert_eq!(server.ask("new.example.org", A).await.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(addresses(&server.ask(LB, A).await), ips(&["192.0.2.1"]));
    let both: [(&str, &[&str]); 2] = [(LB, &["192.0.2.1"]), ("new.example.org", &["192.0.2.2"])];
    server.show(&decision(7, &both)).await;
    assert_eq!(server.ask("new.example.org", A).await.metadata.response_code, ResponseCode::ServFail, "generation 7");
    server.show(&decision(8, &both)).await;
    assert_eq!(addresses(&server.ask("new.example.org", A).await), ips(&["192.0.2.2"]));
}

#[tokio::test]
async fn a_zone_that_is_wrong_changes_nothing() {
    let server = Running::with(&["192.0.2.1"]).await;
    let wrong = [zone("other.example", &[], ""), zone("example.org", &["elsewhere.net"], "what is this\n")];
    let errors = server.configure(&wrong).unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");
    assert_eq!(addresses(&server.ask(LB, A).await), ips(&["192.0.2.1"]));
    assert_eq!(server.ask("other.example", SOA).await.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn responses_are_counted_by_transport_and_code() {
    let server = Running::with(&["192.0.2.1"]).await;
    for (name, rtype) in [(LB, A), (LB, AAAA), ("www.lb.example.org", A), ("example.net", A)] {
        server.ask(name, rtype).await;
    }
    server.send(&Ask::new(LB, A).opt(1232, 9, 0, &[])).await;
    server.ignores(&[&[0; 3]]).await;
    server.connect().await.ask(&Ask::new(LB, A).flags(0x0800)).await;
    let mut counted = server.query_counts();
    counted.retain(|(_, _, count)| *count > 0);
    let (udp, tcp) = (Transport::Udp, Transport::Tcp);
    let expected =
        [(udp, "NOERROR", 3), (udp, "NXDOMAIN", 1), (udp, "REFUSED", 1), (udp, "BADVERS", 1), (tcp, "NOTIMP", 1)];
    assert_eq!(counted, expected);
    assert_eq!(server.query_counts().len(), 14);
}

#[tokio::test]
async fn udp_and_tcp_share_a_port_and_both_families_share_one_too() {
    let first = Running::with(&["192.0.2.1"]).await;
    let mut settings = settings(vec![own_zone()]);
    settings.listen = vec!["0.0.0.0:0".parse().unwrap()];
    let wildcard = Authoritative::bind(&settings, Given::default()).unwrap();
    let port = wildcard.local_addrs()[0].port();
    settings.listen = vec![format!("[::]:{port}").parse().unwrap()];
    let beside = Authoritative::bind(&settings, Given::default()).expect("[::] sits beside 0.0.0.0");
    assert_eq!(beside.local_addrs(), settings.listen);
    assert_eq!(addresses(&first.connect().await.ask(&Ask::new(LB, A)).await), ips(&["192.0.2.1"]));
}

#[tokio::test]
async fn every_address_that_cannot_be_bound_is_said() {
    let running = Running::with(&["192.0.2.1"]).await;
    let mut settings = settings(vec![own_zone()]);
    // The second is reserved for documentation, so no host has it.
    settings.listen = vec![running.address, "192.0.2.200:5353".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    let Err(BindError::Sockets(errors)) = Authoritative::bind(&settings, Given::default()).map(|_| ()) else {
        panic!("it binds")
    };
    let [
        SocketError::InUse { transport: Transport::Udp, .. },
        SocketError::InUse { transport: Transport::Tcp, .. },
        SocketError::NotHere { .. },
        SocketError::NotHere { .. },
    ] = &errors[..]
    else {
        panic!("{errors:?}")
    };
    let said = BindError::Sockets(errors).to_string();
    assert!(said.contains(&format!("cannot listen on {} by udp: the address is in use; ", running.address)), "{said}");
}

#[tokio::test]
async fn zones_are_checked_before_any_socket_is_bound() {
    let running = Running::with(&["192.0.2.1"]).await;
    let mut settings = settings(vec![own_zone(), own_zone()]);
    settings.listen = vec![running.address];
    let Err(BindError::Zones(errors)) = Authoritative::bind(&settings, Given::default()).map(|_| ()) else {
        panic!("it is wrong")
    };
    assert_eq!(errors.to_string(), "the zone lb.example.org is given twice; the pool lb.example.org is given twice");
    assert_eq!(addresses(&running.ask(LB, A).await).into_iter().collect::<BTreeSet<_>>(), set(&["192.0.2.1"]));
}
