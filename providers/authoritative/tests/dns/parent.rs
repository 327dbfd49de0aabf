//! A parent zone: several pools beside static records.

use std::collections::BTreeMap;
use std::path::PathBuf;

use daymark_authoritative::{MasterFile, ZoneSettings};
use daymark_decision::fixtures::pool_name;
use hickory_proto::op::ResponseCode;

use crate::support::{
    A, AAAA, ANY, CNAME, DS, NS, SOA, TXT, TestQuery, TestServer, addresses, assert_negative, decision, ips, lines,
    nameserver, settings, zone,
};

const FILE: &str = r#"
$TTL 600
@         IN SOA  ns1 admin.example.net. 2020010101 7200 900 1209600 300
          IN NS   ns1
          IN NS   ns2.sub
          IN MX   10 mail
ns1       IN A    192.0.2.53
mail      60 IN A 192.0.2.25
          60 IN AAAA 2001:db8::25
text      IN TXT  "one" "two; three"
www       IN CNAME mail
api       IN CNAME a
deep      IN CNAME gone.nowhere
unknown   IN CNAME c.d
out       IN CNAME www.example.net.
ring      IN CNAME gnir
gnir      IN CNAME ring
*.wild    IN TXT  "wild"
*.alias   IN CNAME mail
here.wild IN A    192.0.2.77
x.y       IN A    192.0.2.88
sub       IN NS   ns2.sub
          IN NS   ns.example.net.
ns2.sub   IN A    192.0.2.54
          IN AAAA 2001:db8::54
to-sub    IN CNAME www.sub
"#;

fn server() -> TestServer {
    let mut parent = zone("kube-cp.com", &["a.kube-cp.com", "b.kube-cp.com", "c.d.kube-cp.com"], FILE);
    parent.nameservers.clear();
    let server = TestServer::start(&settings(vec![parent]));
    let answers: [(&str, &[&str]); 2] =
        [("a.kube-cp.com", &["192.0.2.1"]), ("b.kube-cp.com", &["192.0.2.2", "2001:db8::2"])];
    server.publish_decision(&decision(77, &answers));
    server
}

#[tokio::test]
async fn every_pool_of_a_parent_zone_is_answered() {
    let server = server();
    assert_eq!(addresses(&server.query("a.kube-cp.com", A).await), ips(&["192.0.2.1"]));
    assert_eq!(addresses(&server.query("b.kube-cp.com", A).await), ips(&["192.0.2.2"]));
    assert_eq!(addresses(&server.query("B.kube-cp.com", AAAA).await), ips(&["2001:db8::2"]));
    assert_negative(&server.query("a.kube-cp.com", AAAA).await, ResponseCode::NoError, "kube-cp.com", 1);
    assert_eq!(
        server.query("c.d.kube-cp.com", A).await.metadata.response_code,
        ResponseCode::ServFail,
        "no answer yet"
    );
    assert_negative(&server.query("d.kube-cp.com", A).await, ResponseCode::NoError, "kube-cp.com", 1);
}

#[tokio::test]
async fn the_soa_of_the_file_is_served_with_its_serial_plus_the_generation() {
    let response = server().query("kube-cp.com", SOA).await;
    let expected = "kube-cp.com. 1 SOA ns1.kube-cp.com. admin.example.net. 2020010178 7200 900 1209600 1";
    assert_eq!(lines(&response.answers), [expected]);
    assert!(response.metadata.authoritative);
}

#[tokio::test]
async fn the_negative_ttl_is_that_of_the_file_once_every_pool_has_an_answer() {
    let server = server();
    let all: [(&str, &[&str]); 3] =
        [("a.kube-cp.com", &["192.0.2.1"]), ("b.kube-cp.com", &["192.0.2.2"]), ("c.d.kube-cp.com", &["192.0.2.3"])];
    server.publish_decision(&decision(78, &all));
    let expected = "kube-cp.com. 300 SOA ns1.kube-cp.com. admin.example.net. 2020010179 7200 900 1209600 300";
    assert_eq!(lines(&server.query("kube-cp.com", SOA).await.answers), [expected]);
    assert_negative(&server.query("a.kube-cp.com", AAAA).await, ResponseCode::NoError, "kube-cp.com", 300);
    assert_negative(&server.query("nowhere.kube-cp.com", A).await, ResponseCode::NXDomain, "kube-cp.com", 300);
}

#[tokio::test]
async fn the_ttl_of_the_soa_record_of_the_file_bounds_the_negative_ttl() {
    let text = "@ 20 SOA ns.example.net. admin 1 7200 900 1209600 300\n";
    let server = TestServer::start(&settings(vec![zone("example.org", &["a.example.org"], text)]));
    server.publish_decision(&decision(4, &[("a.example.org", &["192.0.2.1"])]));
    assert_negative(&server.query("b.example.org", A).await, ResponseCode::NXDomain, "example.org", 20);
}

#[tokio::test]
async fn the_nameservers_of_the_file_are_served_with_addresses_also_from_below_a_zone_cut() {
    let response = server().query("kube-cp.com", NS).await;
    assert_eq!(
        lines(&response.answers),
        ["kube-cp.com. 600 NS ns1.kube-cp.com.", "kube-cp.com. 600 NS ns2.sub.kube-cp.com."]
    );
    let glue = [
        "ns1.kube-cp.com. 600 A 192.0.2.53",
        "ns2.sub.kube-cp.com. 600 A 192.0.2.54",
        "ns2.sub.kube-cp.com. 600 AAAA 2001:db8::54",
    ];
    assert_eq!(lines(&response.additionals), glue);
}

#[tokio::test]
async fn static_records_are_served_with_their_own_ttl() {
    let server = server();
    assert_eq!(lines(&server.query("Mail.kube-cp.com", A).await.answers), ["Mail.kube-cp.com. 60 A 192.0.2.25"]);
    assert_eq!(server.query("text.kube-cp.com", TXT).await.answers[0].ttl, 600);
    assert_negative(&server.query("text.kube-cp.com", A).await, ResponseCode::NoError, "kube-cp.com", 1);
    let any = server.query("kube-cp.com", ANY).await.answers;
    assert!(!any.is_empty() && any.iter().all(|record| record.record_type() == any[0].record_type()), "one set");
    assert_negative(&server.query("kube-cp.com", DS).await, ResponseCode::NoError, "kube-cp.com", 1);
    assert_negative(&server.query("nowhere.kube-cp.com", A).await, ResponseCode::NXDomain, "kube-cp.com", 1);
    assert_negative(&server.query("y.kube-cp.com", A).await, ResponseCode::NoError, "kube-cp.com", 1);
}

#[tokio::test]
async fn an_alias_is_followed_in_the_zone() {
    let server = server();
    let response = server.query("www.kube-cp.com", A).await;
    let expected = ["www.kube-cp.com. 600 CNAME mail.kube-cp.com.", "mail.kube-cp.com. 60 A 192.0.2.25"];
    assert_eq!(lines(&response.answers), expected);
    assert!(response.metadata.authoritative);

    let response = server.query("api.kube-cp.com", A).await;
    assert_eq!(lines(&response.answers), ["api.kube-cp.com. 600 CNAME a.kube-cp.com.", "a.kube-cp.com. 5 A 192.0.2.1"]);

    assert_eq!(lines(&server.query("www.kube-cp.com", CNAME).await.answers), expected[..1]);
    assert_eq!(lines(&server.query("www.kube-cp.com", ANY).await.answers), expected[..1]);
}

#[tokio::test]
async fn the_types_that_may_be_beside_an_alias_are_asked_of_it_and_not_of_its_target() {
    for rtype in [46, 47] {
        let response = server().query("www.kube-cp.com", rtype).await;
        assert_negative(&response, ResponseCode::NoError, "kube-cp.com", 1);
    }
}

#[tokio::test]
async fn the_code_of_an_alias_is_that_of_its_last_name() {
    let server = server();
    let response = server.query("www.kube-cp.com", TXT).await;
    assert_eq!((response.metadata.response_code, response.answers.len()), (ResponseCode::NoError, 1));
    assert_eq!(response.authorities.len(), 1, "the SOA record of no data");

    let response = server.query("deep.kube-cp.com", A).await;
    assert_eq!((response.metadata.response_code, response.answers.len()), (ResponseCode::NXDomain, 1));
    assert_eq!(response.authorities[0].name.to_string(), "kube-cp.com.");

    let response = server.query("out.kube-cp.com", A).await;
    assert_eq!(lines(&response.answers), ["out.kube-cp.com. 600 CNAME www.example.net."]);
    assert_eq!(response.metadata.response_code, ResponseCode::NoError);
    assert!(response.authorities.is_empty());
}

#[tokio::test]
async fn an_alias_of_a_pool_without_an_answer_gets_servfail_too() {
    let response = server().query("unknown.kube-cp.com", A).await;
    assert_eq!(response.metadata.response_code, ResponseCode::ServFail);
    assert!(response.answers.is_empty() && !response.metadata.authoritative);
}

#[tokio::test]
async fn an_alias_is_followed_into_another_served_zone() {
    let pool = ZoneSettings::for_pool(&pool_name("lb.kube-cp.com"), &[nameserver("ns.example.net", &[])]);
    let parent = zone("kube-cp.com", &[], "$TTL 60\nwww CNAME lb\ngone CNAME no.lb\n");
    let server = TestServer::start(&settings(vec![parent, pool]));
    server.publish_decision(&decision(1, &[("lb.kube-cp.com", &["192.0.2.1"])]));
    let response = server.query("www.kube-cp.com", A).await;
    assert_eq!(
        lines(&response.answers),
        ["www.kube-cp.com. 60 CNAME lb.kube-cp.com.", "lb.kube-cp.com. 5 A 192.0.2.1"]
    );
    let response = server.query("gone.kube-cp.com", A).await;
    assert_eq!((response.metadata.response_code, response.answers.len()), (ResponseCode::NXDomain, 1));
    assert_eq!(response.authorities[0].name.to_string(), "lb.kube-cp.com.");
}

#[tokio::test]
async fn a_pool_may_have_static_records_other_than_addresses() {
    let server =
        TestServer::start(&settings(vec![zone("kube-cp.com", &["kube-cp.com"], "$TTL 60\n@ TXT note\n@ MX 10 lb\n")]));
    server.publish_decision(&decision(1, &[("kube-cp.com", &["192.0.2.1"])]));
    assert_eq!(addresses(&server.query("kube-cp.com", A).await), ips(&["192.0.2.1"]));
    assert_eq!(lines(&server.query("kube-cp.com", TXT).await.answers), ["kube-cp.com. 60 TXT note"]);
    assert_negative(&server.query("kube-cp.com", AAAA).await, ResponseCode::NoError, "kube-cp.com", 1);
}

#[tokio::test]
async fn a_loop_of_aliases_ends() {
    let response = server().query("ring.kube-cp.com", A).await;
    assert_eq!(response.metadata.response_code, ResponseCode::NoError);
    let ring = ["ring.kube-cp.com. 600 CNAME gnir.kube-cp.com.", "gnir.kube-cp.com. 600 CNAME ring.kube-cp.com."];
    assert_eq!(lines(&response.answers), ring, "each record once");
}

#[tokio::test]
async fn a_wildcard_matches_names_that_do_not_exist() {
    let server = server();
    for name in ["q.wild.kube-cp.com", "p.q.wild.kube-cp.com", "*.wild.kube-cp.com"] {
        let response = server.query(name, TXT).await;
        assert_eq!(response.answers[0].name.to_string(), format!("{name}."), "the owner is the name of the question");
        assert!(response.metadata.authoritative);
        assert_negative(&server.query(name, A).await, ResponseCode::NoError, "kube-cp.com", 1);
    }
    // A wildcard matches neither a name that exists nor a name below one (RFC 4592, section 2.2.1).
    assert_negative(&server.query("here.wild.kube-cp.com", TXT).await, ResponseCode::NoError, "kube-cp.com", 1);
    assert_negative(&server.query("q.here.wild.kube-cp.com", TXT).await, ResponseCode::NXDomain, "kube-cp.com", 1);
    assert_negative(&server.query("wild.kube-cp.com", TXT).await, ResponseCode::NoError, "kube-cp.com", 1);

    let response = server.query("any.alias.kube-cp.com", A).await;
    let expected = ["any.alias.kube-cp.com. 600 CNAME mail.kube-cp.com.", "mail.kube-cp.com. 60 A 192.0.2.25"];
    assert_eq!(lines(&response.answers), expected);
}

#[tokio::test]
async fn a_name_of_many_labels_gets_the_response_of_its_end() {
    let server = server();
    let long = |end: &str| format!("{}{end}.kube-cp.com", "a.".repeat(110));
    let response = server.query(&long("alias"), A).await;
    let expected =
        [format!("{}. 600 CNAME mail.kube-cp.com.", long("alias")), "mail.kube-cp.com. 60 A 192.0.2.25".to_owned()];
    assert_eq!(lines(&response.answers), expected);
    assert_eq!(response.queries[0].name().to_string(), format!("{}.", long("alias")));
    let response = server.query(&long("alias"), TXT).await;
    assert_eq!((lines(&response.answers), response.authorities.len()), (expected[..1].to_vec(), 1));
    assert_negative(&server.query(&long("here.wild"), TXT).await, ResponseCode::NXDomain, "kube-cp.com", 1);
    let response = server.query(&long("sub"), A).await;
    assert_eq!((response.answers.len(), response.authorities.len(), response.additionals.len()), (0, 2, 2));
    assert!(!response.metadata.authoritative);
}

#[tokio::test]
async fn a_delegation_is_a_referral_with_glue_and_without_authority() {
    let server = server();
    for (name, rtype) in [("sub", A), ("sub", NS), ("sub", SOA), ("www.sub", A), ("www.sub", DS), ("ns2.sub", A)] {
        let response = server.query(&format!("{name}.kube-cp.com"), rtype).await;
        assert_eq!(response.metadata.response_code, ResponseCode::NoError);
        assert!(!response.metadata.authoritative, "AA is clear");
        assert!(response.answers.is_empty());
        let servers = ["sub.kube-cp.com. 600 NS ns2.sub.kube-cp.com.", "sub.kube-cp.com. 600 NS ns.example.net."];
        assert_eq!(lines(&response.authorities), servers);
        let glue = ["ns2.sub.kube-cp.com. 600 A 192.0.2.54", "ns2.sub.kube-cp.com. 600 AAAA 2001:db8::54"];
        assert_eq!(lines(&response.additionals), glue);
    }
    assert_negative(&server.query("sub.kube-cp.com", DS).await, ResponseCode::NoError, "kube-cp.com", 1);

    let response = server.query("to-sub.kube-cp.com", A).await;
    assert!(response.metadata.authoritative, "AA is set for the alias");
    assert_eq!((response.answers.len(), response.authorities.len()), (1, 2));
}

#[tokio::test]
async fn a_referral_that_cannot_hold_its_glue_is_truncated() {
    let mut lines = vec!["$TTL 60".to_owned(), "sub NS ns.sub".to_owned()];
    for n in 1..=20 {
        lines.push(format!("ns.sub A 192.0.2.{n}"));
        lines.push(format!("ns.sub AAAA 2001:db8::{n}"));
    }
    let file = lines.join("\n");
    let server = TestServer::start(&settings(vec![zone("kube-cp.com", &[], &file)]));
    let asked = TestQuery::new("www.sub.kube-cp.com", A);
    assert!(server.send(&asked).await.metadata.truncation);
    let whole = server.connect().await.query(&asked).await;
    assert_eq!((whole.metadata.truncation, whole.additionals.len()), (false, 40));
}

#[tokio::test]
async fn additional_records_that_do_not_fit_are_left_out_without_truncation() {
    let servers: Vec<_> =
        (1..=20).map(|n| nameserver(&format!("ns{n}.kube-cp.com"), &["192.0.2.53", "2001:db8::53"])).collect();
    let parent = ZoneSettings {
        apex: "kube-cp.com".to_owned(),
        pools: Vec::new(),
        nameservers: servers,
        master_file: None,
        signing: None,
    };
    let server = TestServer::start(&settings(vec![parent]));
    let response = server.query("kube-cp.com", NS).await;
    assert!(!response.metadata.truncation);
    assert_eq!(response.answers.len(), 20);
    assert!(response.additionals.len() < 40);
}

#[tokio::test]
async fn a_zone_within_a_zone_answers_for_its_names() {
    let file = |ip| format!("$TTL 60\nwww A {ip}\n");
    let zones = vec![zone("kube-cp.com", &[], &file("192.0.2.1")), zone("in.kube-cp.com", &[], &file("192.0.2.2"))];
    let server = TestServer::start(&settings(zones));
    assert_eq!(addresses(&server.query("www.kube-cp.com", A).await), ips(&["192.0.2.1"]));
    assert_eq!(addresses(&server.query("www.in.kube-cp.com", A).await), ips(&["192.0.2.2"]));
    assert_negative(&server.query("no.in.kube-cp.com", A).await, ResponseCode::NXDomain, "in.kube-cp.com", 1);
}

#[tokio::test]
async fn the_outer_zone_answers_for_the_ds_records_of_an_inner_one() {
    let pool = ZoneSettings::for_pool(&pool_name("lb.kube-cp.com"), &[nameserver("ns.example.net", &[])]);
    for file in ["$TTL 60\n@ TXT outer\n", "$TTL 60\nlb NS ns.example.net.\n"] {
        let outer = zone("kube-cp.com", &[], file);
        let server = TestServer::start(&settings(vec![pool.clone(), outer]));
        server.publish_decision(&decision(1, &[("lb.kube-cp.com", &["192.0.2.1"])]));
        assert_negative(&server.query("lb.kube-cp.com", DS).await, ResponseCode::NoError, "kube-cp.com", 1);
        assert_negative(&server.query("x.lb.kube-cp.com", DS).await, ResponseCode::NXDomain, "lb.kube-cp.com", 1);
        assert_negative(&server.query("lb.kube-cp.com", TXT).await, ResponseCode::NoError, "lb.kube-cp.com", 1);
    }
    let server = TestServer::start(&settings(vec![pool]));
    server.publish_decision(&decision(1, &[("lb.kube-cp.com", &["192.0.2.1"])]));
    assert_negative(&server.query("lb.kube-cp.com", DS).await, ResponseCode::NoError, "lb.kube-cp.com", 1);
}

#[tokio::test]
async fn a_record_without_data_is_served() {
    let server =
        TestServer::start(&settings(vec![zone("kube-cp.com", &[], "$TTL 60\na TYPE65300 \\# 0\na NULL \\# 0\n")]));
    for rtype in [65_300, 10] {
        let query = TestQuery::new("a.kube-cp.com", rtype).bytes();
        let response = server.udp(&query).await;
        assert_eq!((response[3] & 15, response[7]), (0, 1), "one record of type {rtype}");
        assert_eq!(response[query.len() + 10..], [0, 0], "without data");
    }
}

#[tokio::test]
async fn names_in_rdata_are_compressed_only_in_types_that_allow_it() {
    let text = "$TTL 60\n_x._tcp SRV 1 2 6443 mail\n@ MX 10 mail\nmail A 192.0.2.1\n";
    let mut parent = zone("kube-cp.com", &[], "");
    parent.master_file =
        Some(MasterFile { path: PathBuf::from("zone.db"), text: text.to_owned(), included: BTreeMap::new() });
    let server = TestServer::start(&settings(vec![parent]));
    let srv = TestQuery::new("_x._tcp.kube-cp.com", 33);
    let mx = TestQuery::new("kube-cp.com", 15);
    // Pointer, type, class, TTL and length take 12 bytes, an uncompressed target 18, and a compressed one 7.
    assert_eq!(server.udp(&srv.bytes()).await.len() - srv.bytes().len(), 12 + 6 + 18);
    assert_eq!(server.udp(&mx.bytes()).await.len() - mx.bytes().len(), 12 + 2 + 7);
}
