//! What a pool's name resolves to.

use std::collections::{BTreeMap, BTreeSet};

use daymark_decision::Order;
use hickory_proto::op::ResponseCode;

use crate::support::{
    A, AAAA, ANY, Ask, LB, NS, Running, SOA, TXT, addresses, answer, decision, ips, lines, own_zone, set, settings,
};

#[tokio::test]
async fn the_name_of_a_pool_is_answered_with_authority_and_without_recursion() {
    let server = Running::with(&["192.0.2.1", "2001:db8::1"]).await;
    for recursion_desired in [false, true] {
        // RD, AD and CD as a stub resolver may send them.
        let asked = Ask::new(LB, A).flags(if recursion_desired { 0x0130 } else { 0x0030 });
        let response = server.send(&asked).await;
        assert_eq!(response.metadata.response_code, ResponseCode::NoError);
        assert!(response.metadata.authoritative);
        assert!(!response.metadata.recursion_available);
        assert_eq!(response.metadata.recursion_desired, recursion_desired, "RD is copied");
        assert!(!response.metadata.authentic_data && !response.metadata.checking_disabled);
        assert_eq!(lines(&response.answers), ["lb.example.org. 5 A 192.0.2.1"]);
        assert!(response.authorities.is_empty() && response.additionals.is_empty() && response.edns.is_none());
    }
    assert_eq!(lines(&server.ask(LB, AAAA).await.answers), ["lb.example.org. 5 AAAA 2001:db8::1"]);
}

#[tokio::test]
async fn a_response_repeats_the_question_in_its_letter_case_and_points_to_it() {
    let server = Running::with(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]).await;
    let query = Ask::new("lB.eXaMpLe.OrG", A).bytes();
    let response = server.udp(&query).await;
    assert_eq!(response[12..query.len()], query[12..], "the question, byte by byte");
    assert_eq!(response.len(), query.len() + 3 * 16, "each record has the name by a pointer");
    assert!(response[query.len()..].chunks(16).all(|record| record[..2] == [0xc0, 12]));
}

#[tokio::test]
async fn every_address_is_answered_once_and_the_order_rotates() {
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let server = Running::with(&all).await;
    let mut firsts = BTreeSet::new();
    let mut before = addresses(&server.ask(LB, A).await);
    for _ in 0..6 {
        let now = addresses(&server.ask(LB, A).await);
        assert_eq!(now.iter().copied().collect::<BTreeSet<_>>(), set(&all));
        before.rotate_left(1);
        assert_eq!(now, before, "one member later than the response before");
        firsts.insert(now[0]);
    }
    assert_eq!(firsts, set(&all));
}

#[tokio::test]
async fn a_client_that_asks_for_both_families_gets_every_turn_of_each() {
    let server = Running::with(&["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]).await;
    let mut firsts = BTreeSet::new();
    for _ in 0..2 {
        firsts.insert(addresses(&server.ask(LB, A).await)[0]);
        firsts.insert(addresses(&server.ask(LB, AAAA).await)[0]);
    }
    assert_eq!(firsts.len(), 4);
}

#[tokio::test]
async fn a_new_decision_does_not_begin_the_rotation_anew() {
    let server = Running::with(&["192.0.2.1", "192.0.2.2"]).await;
    let first = addresses(&server.ask(LB, A).await);
    server.show(&decision(8, &[(LB, &["192.0.2.1", "192.0.2.2"])])).await;
    assert_ne!(addresses(&server.ask(LB, A).await), first);
}

#[tokio::test]
async fn the_cut_comes_after_the_rotation_so_that_every_address_gets_its_share() {
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1", "2001:db8::2", "2001:db8::3"];
    for order in [Order::Rotated, Order::Weighted] {
        let server = Running::start(&settings(vec![own_zone()]));
        let mut decision = decision(1, &[(LB, &all)]);
        (decision.answers[0].max_answers, decision.answers[0].order) = (2, order);
        server.show(&decision).await;
        let mut seen = BTreeSet::new();
        for _ in 0..100 {
            for rtype in [A, AAAA] {
                let now = addresses(&server.ask(LB, rtype).await);
                assert_eq!(now.iter().collect::<BTreeSet<_>>().len(), 2, "two of a family, and not one twice: {now:?}");
                seen.extend(now);
            }
        }
        assert_eq!(seen, set(&all));
    }
}

#[tokio::test]
async fn a_weighted_answer_comes_first_as_often_as_its_weight_says() {
    let server = Running::start(&settings(vec![own_zone()]));
    let mut decision = decision(1, &[(LB, &["192.0.2.1", "192.0.2.2", "192.0.2.3"])]);
    decision.answers[0].order = Order::Weighted;
    for (member, weight) in decision.answers[0].members.iter_mut().zip([6, 3, 1]) {
        member.weight = weight;
    }
    server.show(&decision).await;
    let mut firsts = BTreeMap::new();
    for _ in 0..2000 {
        let now = addresses(&server.ask(LB, A).await);
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
    let server = Running::start(&settings(vec![own_zone()]));
    let mut of = answer(LB, &["192.0.2.1"]);
    (of.ttl, of.negative_ttl) = (30, 3);
    for (generation, serial) in [(41, 41), (42, 42), ((1 << 32) + 9, 9)] {
        server.show(&daymark_decision::Decision { answers: vec![of.clone()], generation }).await;
        assert_eq!(server.ask(LB, A).await.answers[0].ttl, 30);
        assert_eq!(
            lines(&server.ask(LB, SOA).await.answers),
            [format!(
                "lb.example.org. 3 SOA ns1.lb.example.org. hostmaster.lb.example.org. {serial} 3600 600 604800 3"
            )]
        );
    }
}

#[tokio::test]
async fn the_nameservers_are_answered_with_the_addresses_of_those_in_the_zone() {
    let server = Running::with(&["192.0.2.1"]).await;
    let response = server.ask(LB, NS).await;
    assert!(response.metadata.authoritative);
    let expected = ["lb.example.org. 3600 NS ns1.lb.example.org.", "lb.example.org. 3600 NS ns2.example.net."];
    assert_eq!(lines(&response.answers), expected);
    let glue = ["ns1.lb.example.org. 3600 A 192.0.2.53", "ns1.lb.example.org. 3600 AAAA 2001:db8::53"];
    assert_eq!(lines(&response.additionals), glue);
    assert_eq!(lines(&server.ask("ns1.lb.example.org", A).await.answers), glue[..1]);
    assert_eq!(lines(&server.ask("ns1.lb.example.org", AAAA).await.answers), glue[1..]);
}

#[tokio::test]
async fn any_gets_the_addresses_of_one_family() {
    let server = Running::with(&["2001:db8::1", "192.0.2.1", "192.0.2.2"]).await;
    assert_eq!(
        addresses(&server.ask(LB, ANY).await).iter().copied().collect::<BTreeSet<_>>(),
        set(&["192.0.2.1", "192.0.2.2"])
    );
    let server = Running::with(&["2001:db8::1"]).await;
    assert_eq!(addresses(&server.ask(LB, ANY).await), ips(&["2001:db8::1"]));
    assert_eq!(lines(&server.ask("ns1.lb.example.org", ANY).await.answers).len(), 1);
}

#[tokio::test]
async fn before_its_first_answer_a_pool_is_unknown_and_never_absent() {
    let server = Running::start(&settings(vec![own_zone()]));
    for rtype in [A, AAAA, ANY, TXT, SOA, NS] {
        let response = server.ask(LB, rtype).await;
        assert_eq!(response.metadata.response_code, ResponseCode::ServFail, "type {rtype}");
        assert!(response.answers.is_empty() && response.authorities.is_empty());
    }
    // What is known is answered.
    assert_eq!(server.ask("ns1.lb.example.org", A).await.answers.len(), 1);
    // An answer for another pool changes nothing.
    server.show(&decision(1, &[("other.example.org", &["192.0.2.9"])])).await;
    assert_eq!(server.ask(LB, A).await.metadata.response_code, ResponseCode::ServFail);
    server.show(&decision(2, &[(LB, &["192.0.2.1"])])).await;
    assert_eq!(addresses(&server.ask(LB, A).await), ips(&["192.0.2.1"]));
}

#[tokio::test]
async fn ipv6_clients_are_answered_too() {
    let mut settings = settings(vec![own_zone()]);
    settings.listen = vec!["[::1]:0".parse().unwrap()];
    let server = Running::start(&settings);
    server.show(&decision(1, &[(LB, &["192.0.2.1"])])).await;
    assert_eq!(addresses(&server.ask(LB, A).await), ips(&["192.0.2.1"]));
    assert_eq!(addresses(&server.connect().await.ask(&Ask::new(LB, A)).await), ips(&["192.0.2.1"]));
}
