//! The answers at the name of a pool.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::Order;
use hickory_proto::op::ResponseCode;

use crate::support::{
    A, AAAA, ANY, NS, POOL, SOA, TXT, TestQuery, TestServer, address_set, addresses, answer, decision, ips, lines,
    pool_zone, settings,
};

#[tokio::test]
async fn the_name_of_a_pool_is_answered_with_authority_and_without_recursion() {
    let server = TestServer::with_addresses(&["192.0.2.1", "2001:db8::1"]);
    for recursion_desired in [false, true] {
        // Stub resolvers may set RD, AD and CD.
        let asked = TestQuery::new(POOL, A).flags(if recursion_desired { 0x0130 } else { 0x0030 });
        let response = server.send(&asked).await;
        assert_eq!(response.metadata.response_code, ResponseCode::NoError);
        assert!(response.metadata.authoritative);
        assert!(!response.metadata.recursion_available);
        assert_eq!(response.metadata.recursion_desired, recursion_desired, "RD is copied");
        assert!(!response.metadata.authentic_data && !response.metadata.checking_disabled);
        assert_eq!(lines(&response.answers), ["lb.example.org. 5 A 192.0.2.1"]);
        assert!(response.authorities.is_empty() && response.additionals.is_empty() && response.edns.is_none());
    }
    assert_eq!(lines(&server.query(POOL, AAAA).await.answers), ["lb.example.org. 5 AAAA 2001:db8::1"]);
}

#[tokio::test]
async fn a_response_repeats_the_question_in_its_letter_case_and_points_to_it() {
    let server = TestServer::with_addresses(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let query = TestQuery::new("lB.eXaMpLe.OrG", A).bytes();
    let response = server.udp(&query).await;
    assert_eq!(response[12..query.len()], query[12..], "the question, byte by byte");
    assert_eq!(response.len(), query.len() + 3 * 16, "each record points to the name of the question");
    assert!(response[query.len()..].chunks(16).all(|record| record[..2] == [0xc0, 12]));
}

#[tokio::test]
async fn every_address_is_answered_once_and_comes_first_equally_often() {
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let server = TestServer::with_addresses(&all);
    let mut firsts = BTreeMap::new();
    for _ in 0..1800 {
        let mut now = addresses(&server.query(POOL, A).await);
        *firsts.entry(now[0]).or_insert(0) += 1;
        let start = now.iter().position(|ip| *ip == ips(&all)[0]).unwrap();
        now.rotate_left(start);
        assert_eq!(now, ips(&all), "a rotation of the operator's order");
    }
    for ip in ips(&all) {
        // More than six standard deviations.
        assert!((firsts[&ip] - 600_i32).abs() < 125, "{ip} came first {} times of 1800", firsts[&ip]);
    }
}

#[tokio::test]
async fn a_client_in_step_with_others_gets_every_address_first() {
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let server = TestServer::with_addresses(&all);
    let mut firsts = BTreeSet::new();
    for count in 0..300 {
        let now = addresses(&server.query(POOL, A).await);
        // Three clients ask one after another, and this one gets each third response.
        if count % 3 == 0 {
            firsts.insert(now[0]);
        }
    }
    assert_eq!(firsts, address_set(&all));
}

#[tokio::test]
async fn a_client_that_asks_for_both_families_gets_every_rotation_of_each() {
    let server = TestServer::with_addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]);
    let mut firsts = BTreeSet::new();
    for _ in 0..100 {
        firsts.insert(addresses(&server.query(POOL, A).await)[0]);
        firsts.insert(addresses(&server.query(POOL, AAAA).await)[0]);
    }
    assert_eq!(firsts.len(), 4);
}

#[tokio::test]
async fn a_new_decision_does_not_restart_the_rotation() {
    let all = ["192.0.2.1", "192.0.2.2"];
    let server = TestServer::with_addresses(&all);
    let mut firsts = BTreeSet::new();
    for generation in 8..108 {
        server.publish_decision(&decision(generation, &[(POOL, &all)]));
        firsts.insert(addresses(&server.query(POOL, A).await)[0]);
    }
    assert_eq!(firsts, address_set(&all));
}

#[tokio::test]
async fn the_answer_is_cut_after_the_rotation_so_that_every_address_gets_its_share() {
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1", "2001:db8::2", "2001:db8::3"];
    for order in [Order::Rotated, Order::Weighted] {
        let server = TestServer::start(&settings(vec![pool_zone()]));
        let mut decision = decision(1, &[(POOL, &all)]);
        decision.answers[0].max_answers = 2;
        decision.answers[0].order = order;
        server.publish_decision(&decision);
        let mut seen = BTreeSet::new();
        for _ in 0..100 {
            for rtype in [A, AAAA] {
                let now = addresses(&server.query(POOL, rtype).await);
                assert_eq!(
                    now.iter().collect::<BTreeSet<_>>().len(),
                    2,
                    "two different addresses of a family: {now:?}"
                );
                seen.extend(now);
            }
        }
        assert_eq!(seen, address_set(&all));
    }
}

#[tokio::test]
async fn a_weighted_answer_comes_first_as_often_as_its_weight_says() {
    let server = TestServer::start(&settings(vec![pool_zone()]));
    let mut decision = decision(1, &[(POOL, &["192.0.2.1", "192.0.2.2", "192.0.2.3"])]);
    decision.answers[0].order = Order::Weighted;
    for (member, weight) in decision.answers[0].members.iter_mut().zip([6, 3, 1]) {
        member.weight = weight;
    }
    server.publish_decision(&decision);
    let mut firsts = BTreeMap::new();
    for _ in 0..2000 {
        let now = addresses(&server.query(POOL, A).await);
        assert_eq!(now.iter().collect::<BTreeSet<_>>().len(), 3, "every address once: {now:?}");
        *firsts.entry(now[0]).or_insert(0) += 1;
    }
    for (ip, expected) in ips(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]).into_iter().zip([1200, 600, 200_i32]) {
        // More than five standard deviations.
        assert!((firsts[&ip] - expected).abs() < 120, "{ip} came first {} times of 2000", firsts[&ip]);
    }
}

#[tokio::test]
async fn the_ttl_and_the_serial_are_those_of_the_decision() {
    let server = TestServer::start(&settings(vec![pool_zone()]));
    let mut answer = answer(POOL, &["192.0.2.1"]);
    answer.ttl = 30;
    answer.negative_ttl = 3;
    for (generation, serial) in [(41, 41), (42, 42), ((1 << 32) + 9, 9)] {
        server.publish_decision(&daymark_decision::Decision { answers: vec![answer.clone()], generation });
        assert_eq!(server.query(POOL, A).await.answers[0].ttl, 30);
        assert_eq!(
            lines(&server.query(POOL, SOA).await.answers),
            [format!(
                "lb.example.org. 3 SOA ns1.lb.example.org. hostmaster.lb.example.org. {serial} 3600 600 604800 3"
            )]
        );
    }
}

#[tokio::test]
async fn the_nameservers_are_answered_with_the_addresses_of_those_in_the_zone() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let response = server.query(POOL, NS).await;
    assert!(response.metadata.authoritative);
    let expected = ["lb.example.org. 3600 NS ns1.lb.example.org.", "lb.example.org. 3600 NS ns2.example.net."];
    assert_eq!(lines(&response.answers), expected);
    let glue = ["ns1.lb.example.org. 3600 A 192.0.2.53", "ns1.lb.example.org. 3600 AAAA 2001:db8::53"];
    assert_eq!(lines(&response.additionals), glue);
    assert_eq!(lines(&server.query("ns1.lb.example.org", A).await.answers), glue[..1]);
    assert_eq!(lines(&server.query("ns1.lb.example.org", AAAA).await.answers), glue[1..]);
}

#[tokio::test]
async fn any_gets_the_addresses_of_one_family() {
    let server = TestServer::with_addresses(&["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    assert_eq!(
        addresses(&server.query(POOL, ANY).await).iter().copied().collect::<BTreeSet<_>>(),
        address_set(&["192.0.2.1", "192.0.2.2"])
    );
    let server = TestServer::with_addresses(&["2001:db8::1"]);
    assert_eq!(addresses(&server.query(POOL, ANY).await), ips(&["2001:db8::1"]));
    assert_eq!(lines(&server.query("ns1.lb.example.org", ANY).await.answers).len(), 1);
}

#[tokio::test]
async fn before_its_first_answer_a_pool_gets_servfail_and_never_nxdomain() {
    let server = TestServer::start(&settings(vec![pool_zone()]));
    for rtype in [A, AAAA, ANY, TXT, SOA, NS] {
        let response = server.query(POOL, rtype).await;
        assert_eq!(response.metadata.response_code, ResponseCode::ServFail, "type {rtype}");
        assert!(response.answers.is_empty() && response.authorities.is_empty());
    }
    // Static records are served.
    assert_eq!(server.query("ns1.lb.example.org", A).await.answers.len(), 1);
    // An answer for another pool changes nothing.
    server.publish_decision(&decision(1, &[("other.example.org", &["192.0.2.9"])]));
    assert_eq!(server.query(POOL, A).await.metadata.response_code, ResponseCode::ServFail);
    server.publish_decision(&decision(2, &[(POOL, &["192.0.2.1"])]));
    assert_eq!(addresses(&server.query(POOL, A).await), ips(&["192.0.2.1"]));
}

#[tokio::test]
async fn ipv6_clients_are_answered_too() {
    let mut settings = settings(vec![pool_zone()]);
    settings.listen = vec!["[::1]:0".parse().unwrap()];
    let server = TestServer::start(&settings);
    server.publish_decision(&decision(1, &[(POOL, &["192.0.2.1"])]));
    assert_eq!(addresses(&server.query(POOL, A).await), ips(&["192.0.2.1"]));
    assert_eq!(addresses(&server.connect().await.query(&TestQuery::new(POOL, A)).await), ips(&["192.0.2.1"]));
}
