//! The limit of the responses that one network gets by UDP.

use std::num::NonZeroU32;

use daymark_authoritative::{DnsTransport, RateLimitCounts, RateLimitMode, RateLimitSettings, ServerSettings};
use hickory_proto::op::{Message, ResponseCode};

use crate::support::{A, POOL, TestQuery, TestServer, decision, pool_zone, receive, settings};

const QUERIES: u16 = 2000;

/// A server that limits clients on loopback addresses too, to so few responses that the time of the test adds hardly any.
fn limited() -> TestServer {
    let rate_limit = RateLimitSettings {
        responses_per_second: NonZeroU32::new(10).unwrap(),
        exempt: Vec::new(),
        ..RateLimitSettings::default()
    };
    let server = TestServer::start(&ServerSettings { rate_limit, ..settings(vec![pool_zone()]) });
    server.publish_decision(&decision(7, &[(POOL, &["192.0.2.1", "192.0.2.2"])]));
    server
}

/// The number of queries that were handled by UDP, with or without a response.
fn handled(server: &TestServer) -> u64 {
    let counts = server.response_counts();
    counts.iter().filter(|count| count.transport == DnsTransport::Udp).map(|count| count.count).sum()
}

/// Sends many queries for a name. Returns the responses, which have the next numbers as their IDs.
async fn flood(server: &TestServer, name: &str) -> Vec<Message> {
    let client = server.client().await;
    let mut responses = Vec::new();
    let before = handled(server);
    for id in 0..QUERIES {
        client.send(&TestQuery::new(name, A).id(id).edns(1232).bytes()).await.unwrap();
        // The queues of both sockets are short.
        while before + u64::from(id) > handled(server) + 50 {
            tokio::task::yield_now().await;
        }
        let mut response = [0; 512];
        while let Ok(length) = client.try_recv(&mut response) {
            responses.push(Message::from_vec(&response[..length]).unwrap());
        }
    }
    // Errors are of another kind, so they still get responses. The first of them comes after all that were sent before.
    client.send(&TestQuery::new("example.net", A).id(QUERIES).bytes()).await.unwrap();
    loop {
        let response = Message::from_vec(&receive(&client).await).unwrap();
        if response.metadata.id == QUERIES {
            return responses;
        }
        responses.push(response);
    }
}

#[tokio::test]
async fn of_two_thousand_queries_of_one_client_few_are_answered_and_half_of_the_others_are_truncated() {
    let server = limited();
    let responses = flood(&server, POOL).await;
    let counts = server.rate_limit_counts();
    let truncated: Vec<&Message> = responses.iter().filter(|response| response.metadata.truncation).collect();
    let answered = responses.len() - truncated.len();
    assert!((10..1000).contains(&answered), "{answered} are answered");
    assert!(responses.iter().all(|response| response.metadata.truncation == response.answers.is_empty()));
    assert!(truncated.iter().all(|response| response.queries.len() == 1 && response.edns.is_some()));
    assert_eq!(counts.slipped, truncated.len() as u64);
    assert_eq!(counts.dropped - counts.slipped, (counts.dropped + counts.slipped) % 2, "each second one slips");
    assert_eq!(answered as u64 + counts.dropped + counts.slipped, u64::from(QUERIES));
}

#[tokio::test]
async fn a_client_that_gets_no_more_by_udp_gets_its_answer_by_tcp() {
    let server = limited();
    flood(&server, POOL).await;
    let mut connection = server.connect().await;
    for _ in 0..100 {
        assert_eq!(connection.query(&TestQuery::new(POOL, A)).await.answers.len(), 2);
    }
}

#[tokio::test]
async fn a_flood_for_names_that_do_not_exist_withholds_no_answer() {
    let server = limited();
    flood(&server, "www.lb.example.org").await;
    let response = server.query(POOL, A).await;
    assert_eq!((response.metadata.response_code, response.answers.len()), (ResponseCode::NoError, 2));
}

#[tokio::test]
async fn a_change_of_the_settings_applies_while_the_server_runs() {
    let server = limited();
    flood(&server, POOL).await;
    let before = server.rate_limit_counts();
    for mode in [RateLimitMode::Disabled, RateLimitMode::LogOnly] {
        server.limit_rate(RateLimitSettings {
            mode,
            responses_per_second: NonZeroU32::MIN,
            exempt: Vec::new(),
            ..RateLimitSettings::default()
        });
        assert!(flood(&server, POOL).await.iter().all(|response| response.answers.len() == 2));
    }
    let after = server.rate_limit_counts();
    assert_eq!(RateLimitCounts { log_only: 0, ..after }, before);
    assert!(after.log_only > 0);
}

#[tokio::test]
async fn a_client_on_a_loopback_address_is_exempt_by_default() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let responses = flood(&server, POOL).await;
    assert!(responses.iter().all(|response| response.answers.len() == 1));
    assert_eq!(server.rate_limit_counts(), RateLimitCounts::default());
}
