//! EDNS, and responses that exceed the size limit of their client.

use daymark_decision::{Basis, Family};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::rdata::opt::EdnsOption;

use crate::support::{A, AAAA, POOL, SOA, TXT, TestQuery, TestServer, addresses, decision, pool_zone, settings};

const DO: u16 = 0x8000;

#[tokio::test]
async fn a_query_with_edns_gets_a_response_with_edns_and_one_without_gets_none() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    for rtype in [A, AAAA, SOA, 252] {
        let edns = server.send(&TestQuery::new(POOL, rtype).edns(4096)).await.edns.expect("an OPT record");
        assert_eq!((edns.max_payload(), edns.version(), edns.flags().dnssec_ok), (1232, 0, false));
        assert!(server.query(POOL, rtype).await.edns.is_none());
    }
}

#[tokio::test]
async fn the_response_repeats_the_do_flag_and_no_other_flag() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let response = server.udp(&TestQuery::new(POOL, A).opt(1232, 0, 0xffff, &[]).bytes()).await;
    assert_eq!(response[response.len() - 11..], [0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    let edns = server.send(&TestQuery::new(POOL, A).opt(1232, 0, DO, &[])).await.edns.unwrap();
    assert!(edns.flags().dnssec_ok);
}

#[tokio::test]
async fn an_unknown_edns_version_gets_badvers_with_the_supported_version() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let response = server.send(&TestQuery::new(POOL, A).opt(1232, 1, 0, &[])).await;
    // 16 is BADVERS here. TSIG uses the same number for BADSIG.
    assert_eq!(u16::from(response.metadata.response_code), 16);
    assert!(response.answers.is_empty());
    assert_eq!(response.edns.unwrap().version(), 0);
}

#[tokio::test]
async fn unknown_options_are_ignored() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let subnet = [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];
    let unknown = [0xff, 0xfe, 0, 0];
    let response =
        server.send(&TestQuery::new(POOL, A).opt(1232, 0, 0, &[&cookie[..], &subnet, &unknown].concat())).await;
    assert_eq!(response.answers.len(), 1);
    assert!(response.edns.unwrap().options().as_ref().is_empty());
}

#[tokio::test]
async fn malformed_edns_is_a_format_error() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let twice = TestQuery::new(POOL, A).edns(1232).edns(1232).bytes();
    let cut_option = TestQuery::new(POOL, A).opt(1232, 0, 0, &[0, 10, 0, 8, 1]).bytes();
    let not_at_the_root =
        [&TestQuery::new(POOL, A).edns(1232).bytes()[..32], &[1, b'a', 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]].concat();
    for query in [twice, cut_option, not_at_the_root] {
        let response = Message::from_vec(&server.udp(&query).await).unwrap();
        assert_eq!(response.metadata.response_code, ResponseCode::FormErr);
    }
}

/// A server whose answer has `addresses` IPv6 addresses. Each takes 28 bytes, after a header of 12 and a question of 20 bytes.
fn server_with_ipv6_addresses(addresses: u16) -> TestServer {
    let server = TestServer::start(&settings(vec![pool_zone()]));
    let many: Vec<String> = (1..=addresses).map(|n| format!("2001:db8::{n:x}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut decision = decision(1, &[(POOL, &many)]);
    decision.answers[0].max_answers = addresses;
    server.publish_decision(&decision);
    server
}

#[tokio::test]
async fn a_response_fills_a_datagram_to_its_limit_and_not_beyond() {
    // 32 + 17 * 28 = 508, and 536 with one more; 32 + 11 + 42 * 28 = 1219, and 1247 with one more.
    for (fits, limited) in [
        (17, TestQuery::new(POOL, AAAA)),
        (42, TestQuery::new(POOL, AAAA).edns(4096)),
        (16, TestQuery::new(POOL, AAAA).edns(0)),
    ] {
        let server = server_with_ipv6_addresses(fits);
        let response = server.send(&limited).await;
        assert!(!response.metadata.truncation);
        assert_eq!(response.answers.len(), usize::from(fits));

        let server = server_with_ipv6_addresses(fits + 1);
        let bytes = server.udp(&limited.bytes()).await;
        let response = Message::from_vec(&bytes).unwrap();
        assert!(response.metadata.truncation, "TC for {} addresses", fits + 1);
        assert!(response.answers.is_empty(), "an RRset is whole or absent");
        assert_eq!(response.edns.is_some(), fits != 17);
        assert_eq!(response.metadata.response_code, ResponseCode::NoError);

        let whole = server.connect().await.query(&limited).await;
        assert!(!whole.metadata.truncation);
        assert_eq!(addresses(&whole).len(), usize::from(fits) + 1);
    }
}

#[tokio::test]
async fn a_datagram_is_not_longer_than_the_payload_size_of_the_client() {
    let server = server_with_ipv6_addresses(30);
    for payload in [512, 600, 875, 882, 883, 884, 1232, 65_535] {
        let response = server.udp(&TestQuery::new(POOL, AAAA).edns(payload).bytes()).await;
        assert!(response.len() <= usize::from(payload), "{} bytes of {payload}", response.len());
        let truncated = Message::from_vec(&response).unwrap().metadata.truncation;
        // 12 + 20 + 30 * 28 + 11 bytes.
        assert_eq!(truncated, payload < 883, "{payload}");
    }
}

/// The options of a response, as code and data.
fn options(response: &Message) -> Vec<(u16, Vec<u8>)> {
    let options = &response.edns.as_ref().expect("an OPT record").options().options;
    let bytes = |option: &EdnsOption| Vec::<u8>::try_from(option).expect("the option is encoded");
    options.iter().map(|(code, option)| (u16::from(*code), bytes(option))).collect()
}

#[tokio::test]
async fn the_server_tells_its_name_to_those_who_ask_for_it() {
    let nsid = [0, 3, 0, 0];
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    for name in [POOL, "www.lb.example.org", "example.net"] {
        let response = server.send(&TestQuery::new(name, A).opt(1232, 0, 0, &nsid)).await;
        assert!(options(&response).contains(&(3, b"dns-1".to_vec())), "{name}");
    }
    let mut settings = settings(vec![pool_zone()]);
    settings.identity.nsid = false;
    let server = TestServer::start(&settings);
    server.publish_decision(&decision(1, &[(POOL, &["192.0.2.1"])]));
    assert!(options(&server.send(&TestQuery::new(POOL, A).opt(1232, 0, 0, &nsid)).await).is_empty());
}

#[tokio::test]
async fn the_names_of_class_chaos_are_answered_only_if_that_is_switched_on() {
    let mut settings = settings(vec![pool_zone()]);
    for is_on in [false, true] {
        settings.identity.chaos = is_on;
        let server = TestServer::start(&settings);
        for (name, text) in [
            ("id.server", "dns-1"),
            ("Hostname.Bind", "dns-1"),
            ("version.bind", "daymark test"),
            ("version.server", "daymark test"),
        ] {
            let response = server.send(&TestQuery::new(name, TXT).class(3)).await;
            if is_on {
                assert_eq!(response.answers[0].data.to_string(), text);
                assert_eq!((response.answers[0].dns_class, response.answers[0].ttl), (DNSClass::CH, 0));
            } else {
                assert_eq!(response.metadata.response_code, ResponseCode::Refused);
            }
        }
        for other in [TestQuery::new("authors.bind", TXT), TestQuery::new("id.server", A), TestQuery::new(POOL, A)] {
            let response = server.send(&other.class(3)).await;
            assert_eq!(response.metadata.response_code, ResponseCode::Refused);
        }
        assert_eq!(server.query("id.server", TXT).await.metadata.response_code, ResponseCode::Refused, "of class IN");
    }
}

#[tokio::test]
async fn an_error_and_a_stale_answer_say_why() {
    let server = TestServer::start(&settings(vec![pool_zone()]));
    let extended = |code: u16| vec![(15, code.to_be_bytes().to_vec())];
    let ask = |name, rtype| TestQuery::new(name, rtype).edns(1232);
    assert_eq!(options(&server.send(&ask(POOL, A)).await), extended(14), "Not Ready");
    assert_eq!(options(&server.send(&ask("example.net", A)).await), extended(20), "Not Authoritative");
    assert_eq!(options(&server.send(&ask(POOL, 252)).await), extended(21), "Not Supported");
    for class in [3, 4, 255] {
        assert_eq!(options(&server.send(&ask(POOL, A).class(class)).await), extended(21), "class {class}");
    }
    let mut stale = decision(1, &[(POOL, &["192.0.2.1"])]);
    stale.answers[0].bases = [(Family::Ipv4, Basis::LastKnownGood)].into_iter().collect();
    server.publish_decision(&stale);
    assert_eq!(options(&server.send(&ask(POOL, A)).await), extended(3), "Stale Answer");
    assert!(options(&server.send(&ask(POOL, AAAA)).await).is_empty());
    let whole = server.connect().await.query(&ask(POOL, A)).await;
    assert_eq!(options(&whole), extended(3));
    assert!(server.query(POOL, A).await.edns.is_none());
}

#[tokio::test]
async fn a_client_that_asks_learns_how_long_an_idle_connection_stays_open() {
    let server = TestServer::with_addresses(&["192.0.2.1"]);
    let query = TestQuery::new(POOL, A).opt(1232, 0, 0, &[0, 11, 0, 0]);
    // 600 units of 100 ms (RFC 7828, section 3.1).
    let mut connection = server.connect().await;
    assert_eq!(options(&connection.query(&query).await), [(11, 600_u16.to_be_bytes().to_vec())]);
    assert!(options(&connection.query(&TestQuery::new(POOL, A).edns(1232)).await).is_empty(), "only if it asks");
    assert!(options(&server.send(&query).await).is_empty(), "never by UDP (RFC 7828, section 3.2.1)");
}
