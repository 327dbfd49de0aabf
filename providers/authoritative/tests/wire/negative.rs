//! What does not exist, and what is not answered.

use hickory_proto::op::ResponseCode;

use crate::support::{A, AAAA, ANY, Ask, DS, LB, Running, TXT, answer, assert_negative, own_zone, settings, zone};

#[tokio::test]
async fn a_family_without_an_address_is_no_data() {
    let server = Running::with(&["192.0.2.1"]).await;
    assert_negative(&server.ask(LB, AAAA).await, ResponseCode::NoError, LB, 1);
    let server = Running::with(&["2001:db8::1"]).await;
    assert_negative(&server.ask(LB, A).await, ResponseCode::NoError, LB, 1);
}

#[tokio::test]
async fn a_type_that_the_name_does_not_have_is_no_data() {
    let server = Running::with(&["192.0.2.1"]).await;
    // 65 is HTTPS, 62000 is nothing.
    for rtype in [TXT, DS, 65, 62_000] {
        assert_negative(&server.ask(LB, rtype).await, ResponseCode::NoError, LB, 1);
    }
}

#[tokio::test]
async fn a_name_that_is_not_in_the_zone_does_not_exist() {
    let server = Running::with(&["192.0.2.1"]).await;
    for rtype in [A, AAAA, ANY, TXT, DS] {
        assert_negative(&server.ask("www.lb.example.org", rtype).await, ResponseCode::NXDomain, LB, 1);
    }
    assert_negative(&server.ask("a.b.ns1.lb.example.org", A).await, ResponseCode::NXDomain, LB, 1);
}

#[tokio::test]
async fn a_name_with_names_below_it_exists() {
    let mut zone = own_zone();
    zone.nameservers[0].name = "a.b.lb.example.org".to_owned();
    let server = Running::start(&settings(vec![zone]));
    server.show(&crate::support::decision(1, &[(LB, &["192.0.2.1"])])).await;
    assert_negative(&server.ask("b.lb.example.org", A).await, ResponseCode::NoError, LB, 1);
    assert_negative(&server.ask("c.lb.example.org", A).await, ResponseCode::NXDomain, LB, 1);
}

#[tokio::test]
async fn the_negative_ttl_is_the_smallest_of_the_zone() {
    let server = Running::start(&settings(vec![zone("example.org", &["a.example.org", "b.example.org"], "")]));
    let (mut a, mut b) = (answer("a.example.org", &["192.0.2.1"]), answer("b.example.org", &["192.0.2.2"]));
    (a.negative_ttl, b.negative_ttl) = (9, 4);
    server.show(&daymark_decision::Decision { answers: vec![a, b], generation: 3 }).await;
    assert_negative(&server.ask("a.example.org", AAAA).await, ResponseCode::NoError, "example.org", 4);
    assert_negative(&server.ask("c.example.org", A).await, ResponseCode::NXDomain, "example.org", 4);
}

#[tokio::test]
async fn what_is_not_ours_is_refused_without_authority() {
    let server = Running::with(&["192.0.2.1"]).await;
    let (axfr, ixfr, chaos, hesiod, any_class, none) = (252, 251, 3, 4, 255, 254);
    let mut asked: Vec<Ask> =
        ["example.org", "org", "", "xlb.example.org", "lb.example.net"].map(|name| Ask::new(name, A)).to_vec();
    asked.extend([chaos, hesiod, any_class, none].map(|class| Ask::new(LB, A).class(class)));
    asked.extend([axfr, ixfr].map(|rtype| Ask::new(LB, rtype)));
    for ask in asked {
        for ask in [ask.clone(), ask.edns(1232)] {
            let response = server.send(&ask).await;
            assert_eq!(response.metadata.response_code, ResponseCode::Refused);
            assert!(!response.metadata.authoritative);
            assert_eq!(response.queries.len(), 1);
            assert!(response.answers.is_empty() && response.authorities.is_empty());
        }
    }
    let mut connection = server.connect().await;
    for rtype in [axfr, ixfr] {
        assert_eq!(connection.ask(&Ask::new(LB, rtype)).await.metadata.response_code, ResponseCode::Refused);
    }
}

#[tokio::test]
async fn types_that_no_question_has_are_errors() {
    let server = Running::with(&["192.0.2.1"]).await;
    let (opt, nxname, tkey, tsig) = (41, 128, 249, 250);
    for rtype in [opt, nxname, tkey, tsig] {
        assert_eq!(server.ask(LB, rtype).await.metadata.response_code, ResponseCode::FormErr, "type {rtype}");
    }
    let (mail_of_a_mailbox, mail_agent) = (253, 254);
    for rtype in [mail_of_a_mailbox, mail_agent] {
        assert_eq!(server.ask(LB, rtype).await.metadata.response_code, ResponseCode::NotImp, "type {rtype}");
    }
}
