//! Negative answers, and queries that are refused.

use hickory_proto::op::ResponseCode;

use crate::support::{
    A, AAAA, ANY, DS, POOL, TXT, TestQuery, TestServer, answer, assert_negative, pool_zone, settings, zone,
};

#[tokio::test]
async fn a_family_without_an_address_is_no_data() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    assert_negative(&server.query(POOL, AAAA).await, ResponseCode::NoError, POOL, 1);
    let server = TestServer::with_addresses(&["2001:db8::1"]);
    assert_negative(&server.query(POOL, A).await, ResponseCode::NoError, POOL, 1);
}

#[tokio::test]
async fn a_type_that_the_name_does_not_have_is_no_data() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    // 65 is HTTPS, 62000 is unassigned.
    for rtype in [TXT, DS, 65, 62_000] {
        assert_negative(&server.query(POOL, rtype).await, ResponseCode::NoError, POOL, 1);
    }
}

#[tokio::test]
async fn a_name_without_a_node_does_not_exist() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    for rtype in [A, AAAA, ANY, TXT, DS] {
        assert_negative(&server.query("www.lb.example.org", rtype).await, ResponseCode::NXDomain, POOL, 1);
    }
    assert_negative(&server.query("a.b.ns1.lb.example.org", A).await, ResponseCode::NXDomain, POOL, 1);
}

#[tokio::test]
async fn a_name_with_names_below_it_exists() {
    let mut zone = pool_zone();
    zone.nameservers[0].name = "a.b.lb.example.org".to_owned();
    let server = TestServer::start(&settings(vec![zone]));
    server.publish_decision(&crate::support::decision(1, &[(POOL, &["192.0.2.1"])]));
    assert_negative(&server.query("b.lb.example.org", A).await, ResponseCode::NoError, POOL, 1);
    assert_negative(&server.query("c.lb.example.org", A).await, ResponseCode::NXDomain, POOL, 1);
}

#[tokio::test]
async fn the_negative_ttl_is_the_smallest_of_the_zone() {
    let server = TestServer::start(&settings(vec![zone("example.org", &["a.example.org", "b.example.org"], "")]));
    let mut a = answer("a.example.org", &["192.0.2.1"]);
    a.negative_ttl = 9;
    let mut b = answer("b.example.org", &["192.0.2.2"]);
    b.negative_ttl = 4;
    server.publish_decision(&daymark_decision::Decision { answers: vec![a, b], generation: 3 });
    assert_negative(&server.query("a.example.org", AAAA).await, ResponseCode::NoError, "example.org", 4);
    assert_negative(&server.query("c.example.org", A).await, ResponseCode::NXDomain, "example.org", 4);
}

#[tokio::test]
async fn names_and_classes_that_are_not_served_are_refused_without_authority() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let axfr = 252;
    let ixfr = 251;
    let chaos = 3;
    let hesiod = 4;
    let any_class = 255;
    let none = 254;
    let mut queries: Vec<TestQuery> =
        ["example.org", "org", "", "xlb.example.org", "lb.example.net"].map(|name| TestQuery::new(name, A)).to_vec();
    queries.extend([chaos, hesiod, any_class, none].map(|class| TestQuery::new(POOL, A).class(class)));
    queries.extend([axfr, ixfr].map(|rtype| TestQuery::new(POOL, rtype)));
    for query in queries {
        for query in [query.clone(), query.edns(1232)] {
            let response = server.send(&query).await;
            assert_eq!(response.metadata.response_code, ResponseCode::Refused);
            assert!(!response.metadata.authoritative);
            assert_eq!(response.queries.len(), 1);
            assert!(response.answers.is_empty() && response.authorities.is_empty());
        }
    }
    let mut connection = server.connect().await;
    for rtype in [axfr, ixfr] {
        assert_eq!(connection.query(&TestQuery::new(POOL, rtype)).await.metadata.response_code, ResponseCode::Refused);
    }
}

#[tokio::test]
async fn types_that_must_not_be_in_a_question_are_errors() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    // OPT, NXNAME, TKEY and TSIG.
    for rtype in [41, 128, 249, 250] {
        assert_eq!(server.query(POOL, rtype).await.metadata.response_code, ResponseCode::FormErr, "type {rtype}");
    }
    // MAILB and MAILA.
    for rtype in [253, 254] {
        assert_eq!(server.query(POOL, rtype).await.metadata.response_code, ResponseCode::NotImp, "type {rtype}");
    }
}
