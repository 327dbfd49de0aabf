//! EDNS, and responses that are too long for their client.

use hickory_proto::op::{Message, ResponseCode};

use crate::support::{A, AAAA, Ask, LB, Running, SOA, addresses, decision, own_zone, settings};

const DO: u16 = 0x8000;

#[tokio::test]
async fn a_query_with_edns_gets_a_response_with_edns_and_one_without_gets_none() {
    let server = Running::with(&["192.0.2.1"]).await;
    for rtype in [A, AAAA, SOA, 252] {
        let edns = server.send(&Ask::new(LB, rtype).edns(4096)).await.edns.expect("an OPT record");
        assert_eq!((edns.max_payload(), edns.version(), edns.flags().dnssec_ok), (1232, 0, false));
        assert!(server.ask(LB, rtype).await.edns.is_none());
    }
}

#[tokio::test]
async fn the_do_bit_comes_back_and_other_flags_do_not() {
    let server = Running::with(&["192.0.2.1"]).await;
    let response = server.udp(&Ask::new(LB, A).opt(1232, 0, 0xffff, &[]).bytes()).await;
    assert_eq!(response[response.len() - 11..], [0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    let edns = server.send(&Ask::new(LB, A).opt(1232, 0, DO, &[])).await.edns.unwrap();
    assert!(edns.flags().dnssec_ok);
}

#[tokio::test]
async fn a_version_that_is_not_known_is_said_with_the_one_that_is() {
    let server = Running::with(&["192.0.2.1"]).await;
    let response = server.send(&Ask::new(LB, A).opt(1232, 1, 0, &[])).await;
    // BADVERS, whose number TSIG has for BADSIG too.
    assert_eq!(u16::from(response.metadata.response_code), 16);
    assert!(response.answers.is_empty());
    assert_eq!(response.edns.unwrap().version(), 0);
}

#[tokio::test]
async fn options_that_are_not_known_are_ignored() {
    let server = Running::with(&["192.0.2.1"]).await;
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let subnet = [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];
    let unknown = [0xff, 0xfe, 0, 0];
    let response = server.send(&Ask::new(LB, A).opt(1232, 0, 0, &[&cookie[..], &subnet, &unknown].concat())).await;
    assert_eq!(response.answers.len(), 1);
    assert!(response.edns.unwrap().options().as_ref().is_empty());
}

#[tokio::test]
async fn malformed_edns_is_a_format_error() {
    let server = Running::with(&["192.0.2.1"]).await;
    let twice = Ask::new(LB, A).edns(1232).edns(1232).bytes();
    let cut_option = Ask::new(LB, A).opt(1232, 0, 0, &[0, 10, 0, 8, 1]).bytes();
    let not_at_the_root =
        [&Ask::new(LB, A).edns(1232).bytes()[..32], &[1, b'a', 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]].concat();
    for query in [twice, cut_option, not_at_the_root] {
        let response = Message::from_vec(&server.udp(&query).await).unwrap();
        assert_eq!(response.metadata.response_code, ResponseCode::FormErr);
    }
}

/// A server whose answer has as many IPv6 addresses: 28 bytes each, after a question of 20 and a header of 12.
async fn with_many(addresses: u16) -> Running {
    let server = Running::start(&settings(vec![own_zone()]));
    let many: Vec<String> = (1..=addresses).map(|n| format!("2001:db8::{n:x}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut decision = decision(1, &[(LB, &many)]);
    decision.answers[0].max_answers = addresses;
    server.show(&decision).await;
    server
}

#[tokio::test]
async fn a_response_fills_a_datagram_to_its_limit_and_not_beyond() {
    // 32 + 17 * 28 = 508, and 536 with one more; 32 + 11 + 42 * 28 = 1219, and 1247 with one more.
    for (fits, limited) in
        [(17, Ask::new(LB, AAAA)), (42, Ask::new(LB, AAAA).edns(4096)), (16, Ask::new(LB, AAAA).edns(0))]
    {
        let server = with_many(fits).await;
        let response = server.send(&limited).await;
        assert!(!response.metadata.truncation);
        assert_eq!(response.answers.len(), usize::from(fits));

        let server = with_many(fits + 1).await;
        let bytes = server.udp(&limited.bytes()).await;
        let response = Message::from_vec(&bytes).unwrap();
        assert!(response.metadata.truncation, "TC for {} addresses", fits + 1);
        assert!(response.answers.is_empty(), "a set is whole or not there");
        assert_eq!(response.edns.is_some(), fits != 17);
        assert_eq!(response.metadata.response_code, ResponseCode::NoError);

        let whole = server.connect().await.ask(&limited).await;
        assert!(!whole.metadata.truncation);
        assert_eq!(addresses(&whole).len(), usize::from(fits) + 1);
    }
}

#[tokio::test]
async fn a_client_gets_no_longer_a_datagram_than_it_asks_for() {
    let server = with_many(30).await;
    for payload in [512, 600, 875, 882, 883, 884, 1232, 65_535] {
        let response = server.udp(&Ask::new(LB, AAAA).edns(payload).bytes()).await;
        assert!(response.len() <= usize::from(payload), "{} bytes of {payload}", response.len());
        let truncated = Message::from_vec(&response).unwrap().metadata.truncation;
        // 12 + 20 + 30 * 28 + 11 bytes.
        assert_eq!(truncated, payload < 883, "{payload}");
    }
}
