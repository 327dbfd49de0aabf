//! Signed zones: signatures, proofs of what does not exist, renewal, and the judgement of delv.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, SystemTime};

use daymark_authoritative::{
    DenialOfExistence, DnssecKey, KeyRole, PreparedZones, SigningSettings, ZoneKey, ZoneSettings,
};
use daymark_decision::Order;
use hickory_proto::dnssec::Verifier;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, RRSIG};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use crate::support::{
    A, AAAA, ANY, DS, NS, POOL, SOA, TXT, TestQuery, TestServer, addresses, answer, decision, lines, pool_zone,
    settings, zone,
};

pub(crate) const DO: u16 = 0x8000;
pub(crate) const DNSKEY_TYPE: u16 = 48;
const RRSIG_TYPE: u16 = 46;
pub(crate) const APEX: &str = "kube-cp.com";
const FILE: &str = r#"
$TTL 600
@         IN NS   ns1
          IN NS   ns.example.net.
          IN MX   20 b-mail
          IN MX   10 Mail
          IN CAA  0 issue "example.net"
ns1       IN A    192.0.2.53
mail      IN A    192.0.2.25
          IN AAAA 2001:db8::25
text      IN TXT  "one" "two; three"
          IN TXT  "another"
_s._tcp   IN SRV  1 2 6443 Mail
www       IN CNAME mail
api       IN CNAME a
gone      IN CNAME nowhere.deep.mail
to-wild   IN CNAME x.wild
out       IN CNAME www.example.org.
*.wild    IN TXT  "wild"
here.wild IN A    192.0.2.77
x.y.z     IN A    192.0.2.88
long      200000 IN A 192.0.2.99
sub       IN NS   ns2.sub
ns2.sub   IN A    192.0.2.54
safe      IN NS   ns.example.net.
safe      IN DS   258 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
"#;

pub(crate) fn new_key() -> DnssecKey {
    DnssecKey::from_pem(&DnssecKey::generate_pem().unwrap()).unwrap()
}

pub(crate) fn zone_key(key: &DnssecKey, role: KeyRole) -> ZoneKey {
    ZoneKey { key: key.clone(), role, is_active: true }
}

fn signing(keys: Vec<ZoneKey>, denial: DenialOfExistence) -> SigningSettings {
    SigningSettings { keys, denial }
}

/// The zone with static records, signed by one key.
pub(crate) fn signed_zone(key: &DnssecKey, denial: DenialOfExistence) -> ZoneSettings {
    let signing = signing(vec![zone_key(key, KeyRole::Combined)], denial);
    ZoneSettings { signing: Some(signing), ..zone(APEX, &["a.kube-cp.com", "b.kube-cp.com", "c.d.kube-cp.com"], FILE) }
}

/// A server of the signed zone. One pool has no answer yet.
pub(crate) fn signed_server(key: &DnssecKey, denial: DenialOfExistence) -> TestServer {
    let server = TestServer::start(&settings(vec![signed_zone(key, denial)]));
    let answers: [(&str, &[&str]); 2] =
        [("a.kube-cp.com", &["192.0.2.1", "192.0.2.3"]), ("b.kube-cp.com", &["192.0.2.2", "2001:db8::2"])];
    server.publish_decision(&decision(77, &answers));
    server
}

async fn signed_query(server: &TestServer, name: &str, rtype: u16) -> Message {
    let query = TestQuery::new(name, rtype).opt(1232, 0, DO, &[]);
    server.connect().await.query(&query).await
}

async fn dnskeys(server: &TestServer, apex: &str) -> Vec<DNSKEY> {
    let response = signed_query(server, apex, DNSKEY_TYPE).await;
    let keys = response.answers.into_iter().filter_map(|record| match record.data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key),
        _ => None,
    });
    keys.collect()
}

fn rrsig(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => Some(rrsig),
        _ => None,
    }
}

fn is_signature(record: &Record) -> bool {
    record.record_type() == RecordType::RRSIG
}

/// Asserts that each set of a section has a valid signature. Only the NS records of a zone cut have none.
fn assert_signed(section: &[Record], keys: &[DNSKEY]) {
    let sets: BTreeSet<_> = section
        .iter()
        .filter(|record| !is_signature(record))
        .map(|record| (&record.name, record.record_type()))
        .collect();
    for (name, rtype) in sets {
        let set: Vec<&Record> =
            section.iter().filter(|record| record.name == *name && record.record_type() == rtype).collect();
        let mut signatures = section.iter().filter(|record| record.name == *name);
        let is_valid = signatures.any(|record| {
            rrsig(record).is_some_and(|rrsig| {
                let now = unix_seconds(SystemTime::now());
                assert!(record.ttl == set[0].ttl || rrsig.input().type_covered != rtype, "{record} {set:?}");
                rrsig.input().type_covered == rtype
                    && rrsig.input().sig_expiration.get() > now + 86_400
                    && rrsig.input().sig_inception.get() + 3600 <= now
                    && keys.iter().any(|key| {
                        key.calculate_key_tag().unwrap() == rrsig.input().key_tag
                            && key.verify_rrsig(name, set[0].dns_class, rrsig, set.iter().copied()).is_ok()
                    })
            })
        });
        let is_delegation = rtype == RecordType::NS && name.to_string() != format!("{APEX}.");
        assert!(is_valid != is_delegation, "{name} {rtype}: {section:?}");
    }
}

fn unix_seconds(time: SystemTime) -> u32 {
    u32::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// The records of a section without signatures.
fn unsigned_lines(section: &[Record]) -> Vec<String> {
    let records: Vec<Record> = section.iter().filter(|record| !is_signature(record)).cloned().collect();
    lines(&records)
}

/// The names of the proofs of a response.
fn proofs(message: &Message) -> Vec<String> {
    let proofs = message.authorities.iter().filter(|record| record.record_type() == RecordType::NSEC);
    proofs.map(|record| record.name.to_string()).collect()
}

#[tokio::test]
async fn every_set_of_a_response_is_signed_if_the_client_wants_it() {
    for denial in [DenialOfExistence::Nsec, DenialOfExistence::Nsec3] {
        let server = signed_server(&new_key(), denial);
        let keys = dnskeys(&server, APEX).await;
        assert_eq!(keys.len(), 1);
        for name in [
            APEX,
            "a.kube-cp.com",
            "B.kube-cp.com",
            "c.d.kube-cp.com",
            "d.kube-cp.com",
            "mail.kube-cp.com",
            "text.kube-cp.com",
            "www.kube-cp.com",
            "api.kube-cp.com",
            "gone.kube-cp.com",
            "to-wild.kube-cp.com",
            "x.wild.kube-cp.com",
            "x.y.wild.kube-cp.com",
            "wild.kube-cp.com",
            "*.wild.kube-cp.com",
            "x.here.wild.kube-cp.com",
            "y.z.kube-cp.com",
            "no.such.name.kube-cp.com",
            "zz.kube-cp.com",
            "sub.kube-cp.com",
            "safe.kube-cp.com",
            "deep.safe.kube-cp.com",
            "deep.sub.kube-cp.com",
            "_s._tcp.kube-cp.com",
            "long.kube-cp.com",
            "ns2.sub.kube-cp.com",
        ] {
            for rtype in [A, AAAA, NS, SOA, TXT, DS, ANY, 15, 33, DNSKEY_TYPE, 59, 60, 47, 50, 51, 257, 65] {
                let response = signed_query(&server, name, rtype).await;
                assert_signed(&response.answers, &keys);
                assert_signed(&response.authorities, &keys);
                let plain = server.connect().await.query(&TestQuery::new(name, rtype)).await;
                let all = [&plain.answers[..], &plain.authorities, &plain.additionals].concat();
                assert!(!all.iter().any(is_signature), "{all:?}");
                let mut with = unsigned_lines(&response.answers);
                let mut without = lines(&plain.answers);
                with.sort();
                without.sort();
                assert_eq!((with, response.metadata.response_code), (without, plain.metadata.response_code));
            }
        }
    }
}

#[tokio::test]
async fn glue_is_not_signed_and_other_addresses_are() {
    let server = signed_server(&new_key(), DenialOfExistence::Nsec);
    let referral = signed_query(&server, "deep.sub.kube-cp.com", A).await;
    assert_eq!(lines(&referral.additionals), ["ns2.sub.kube-cp.com. 600 A 192.0.2.54"]);
    let nameservers = signed_query(&server, APEX, NS).await;
    assert_signed(&nameservers.additionals, &dnskeys(&server, APEX).await);
    assert_eq!(nameservers.additionals.len(), 2);
}

#[tokio::test]
async fn what_does_not_exist_is_proven_by_the_names_around_it() {
    let server = signed_server(&new_key(), DenialOfExistence::Nsec);
    for (name, rtype, expected) in [
        // NXDOMAIN: the name, and the wildcard at its closest encloser, which can be far above.
        ("no.such.name.kube-cp.com", A, &["mail.kube-cp.com.", "kube-cp.com."][..]),
        ("no.such.mail.kube-cp.com", A, &["mail.kube-cp.com."]),
        ("zz.kube-cp.com", A, &["x.y.z.kube-cp.com.", "kube-cp.com."]),
        // NODATA.
        ("mail.kube-cp.com", TXT, &["mail.kube-cp.com."]),
        ("b.kube-cp.com", TXT, &["b.kube-cp.com."]),
        ("a.kube-cp.com", AAAA, &["a.kube-cp.com."]),
        // An empty non-terminal.
        ("y.z.kube-cp.com", A, &["www.kube-cp.com."]),
        ("d.kube-cp.com", A, &["b.kube-cp.com."]),
        // A wildcard that answers, and one that has no such type.
        ("x.y.wild.kube-cp.com", TXT, &["here.wild.kube-cp.com."]),
        ("a.b.wild.kube-cp.com", TXT, &["*.wild.kube-cp.com."]),
        ("x.wild.kube-cp.com", A, &["here.wild.kube-cp.com.", "*.wild.kube-cp.com."]),
        // A referral without and with DS records, and the question for them.
        ("deep.sub.kube-cp.com", A, &["sub.kube-cp.com."]),
        ("sub.kube-cp.com", DS, &["sub.kube-cp.com."]),
        ("deep.safe.kube-cp.com", A, &[]),
        ("safe.kube-cp.com", DS, &[]),
        // An alias to nowhere, and one to a wildcard.
        ("gone.kube-cp.com", A, &["mail.kube-cp.com."]),
        ("to-wild.kube-cp.com", TXT, &["here.wild.kube-cp.com."]),
        ("www.kube-cp.com", A, &[]),
    ] {
        assert_eq!(proofs(&signed_query(&server, name, rtype).await), expected, "{name} {rtype}");
    }
}

#[tokio::test]
async fn a_pool_without_an_answer_denies_neither_family() {
    let server = signed_server(&new_key(), DenialOfExistence::Nsec);
    let denied = signed_query(&server, "e.d.kube-cp.com", A).await;
    assert_eq!(denied.metadata.response_code, ResponseCode::NXDomain);
    let link = unsigned_lines(&denied.authorities).into_iter().find(|line| line.starts_with("c.d.")).unwrap();
    assert!(link.ends_with("A AAAA RRSIG NSEC"), "{link}");
    assert_eq!(signed_query(&server, "c.d.kube-cp.com", A).await.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn the_keys_and_their_digests_are_published() {
    let key = new_key();
    let server = signed_server(&key, DenialOfExistence::Nsec);
    let dnskey = unsigned_lines(&signed_query(&server, APEX, DNSKEY_TYPE).await.answers);
    let line = |line: &str| line.replace(" IN ", " 3600 ");
    assert_eq!(dnskey, [line(&key.dnskey_line(APEX, KeyRole::Combined).unwrap())]);
    let cds = unsigned_lines(&signed_query(&server, APEX, 59).await.answers);
    let ds = line(&key.ds_line(APEX, KeyRole::Combined).unwrap()).replace(" DS ", " CDS ");
    assert_eq!(cds.iter().map(|line| line.to_lowercase()).collect::<Vec<_>>(), [ds.to_lowercase()]);
    assert_eq!(unsigned_lines(&signed_query(&server, APEX, 60).await.answers).len(), 1);
}

#[tokio::test]
async fn key_signing_keys_sign_the_keys_and_zone_signing_keys_the_rest() {
    let ksk = new_key();
    let zsk = new_key();
    let next = ZoneKey { is_active: false, ..zone_key(&new_key(), KeyRole::ZoneSigning) };
    let keys = vec![zone_key(&ksk, KeyRole::KeySigning), zone_key(&zsk, KeyRole::ZoneSigning), next];
    let zone = ZoneSettings { signing: Some(signing(keys, DenialOfExistence::Nsec)), ..pool_zone() };
    let server = TestServer::start(&settings(vec![zone]));
    server.publish_decision(&decision(7, &[(POOL, &["192.0.2.1"])]));
    assert_eq!(dnskeys(&server, POOL).await.len(), 3);
    for (rtype, expected) in [
        (DNSKEY_TYPE, ksk.tag(KeyRole::KeySigning)),
        (59, ksk.tag(KeyRole::KeySigning)),
        (A, zsk.tag(KeyRole::ZoneSigning)),
        (SOA, zsk.tag(KeyRole::ZoneSigning)),
    ] {
        let response = signed_query(&server, POOL, rtype).await;
        let tags: Vec<u16> = response.answers.iter().filter_map(rrsig).map(|rrsig| rrsig.input().key_tag).collect();
        assert_eq!(tags, [expected], "{rtype}");
    }
}

#[tokio::test]
async fn a_response_with_some_of_the_addresses_is_signed_whatever_the_order() {
    let all: Vec<String> = (1..=12).map(|last| format!("192.0.2.{last}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for (order, max_answers) in [(Order::Rotated, 12), (Order::Rotated, 5), (Order::Weighted, 12), (Order::Weighted, 5)]
    {
        let signing = signing(vec![zone_key(&new_key(), KeyRole::Combined)], DenialOfExistence::Nsec);
        let server = TestServer::start(&settings(vec![ZoneSettings { signing: Some(signing), ..pool_zone() }]));
        let mut decided = decision(7, &[(POOL, &all)]);
        decided.answers[0].order = order;
        decided.answers[0].max_answers = max_answers;
        server.publish_decision(&decided);
        let keys = dnskeys(&server, POOL).await;
        let mut firsts = BTreeSet::new();
        for _ in 0..200 {
            let response = signed_query(&server, POOL, A).await;
            assert_signed(&response.answers, &keys);
            assert_eq!(addresses(&response).len(), usize::from(max_answers));
            firsts.insert(addresses(&response)[0]);
        }
        assert!(firsts.len() > 6, "{firsts:?}");
    }
}

#[tokio::test]
async fn a_question_for_signatures_gets_those_of_one_set_with_and_without_the_do_flag() {
    for denial in [DenialOfExistence::Nsec, DenialOfExistence::Nsec3] {
        let server = signed_server(&new_key(), denial);
        for name in
            [APEX, "a.kube-cp.com", "b.kube-cp.com", "mail.kube-cp.com", "www.kube-cp.com", "x.wild.kube-cp.com"]
        {
            let plain = server.connect().await.query(&TestQuery::new(name, RRSIG_TYPE)).await;
            for response in [plain, signed_query(&server, name, RRSIG_TYPE).await] {
                assert_eq!(response.metadata.response_code, ResponseCode::NoError);
                let [record] = &response.answers[..] else { panic!("{denial:?} {name}: {response:?}") };
                let covered = rrsig(record).unwrap().input().type_covered;
                let whole = signed_query(&server, name, covered.into()).await;
                assert!(whole.answers.contains(record), "{denial:?} {name} {covered}: {whole:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_question_for_signatures_that_do_not_exist_is_denied_like_any_other() {
    let server = signed_server(&new_key(), DenialOfExistence::Nsec);
    let keys = dnskeys(&server, APEX).await;
    for (name, code, proven) in [
        ("nx.kube-cp.com", ResponseCode::NXDomain, &["ns1.kube-cp.com.", "kube-cp.com."][..]),
        ("y.z.kube-cp.com", ResponseCode::NoError, &["www.kube-cp.com."]),
        ("sub.kube-cp.com", ResponseCode::NoError, &["sub.kube-cp.com."]),
        ("c.d.kube-cp.com", ResponseCode::ServFail, &[]),
    ] {
        let response = signed_query(&server, name, RRSIG_TYPE).await;
        assert_eq!(
            (response.metadata.response_code, proofs(&response)),
            (code, proven.iter().map(ToString::to_string).collect()),
            "{name}"
        );
        assert_eq!(response.answers, [], "{name}");
        assert_signed(&response.authorities, &keys);
    }
    let unsigned = TestServer::start(&settings(vec![pool_zone()]));
    unsigned.publish_decision(&decision(7, &[(POOL, &["192.0.2.1"])]));
    let response = signed_query(&unsigned, POOL, RRSIG_TYPE).await;
    assert_eq!((response.metadata.response_code, response.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(response.authorities.iter().map(Record::record_type).collect::<Vec<_>>(), [RecordType::SOA]);
}

/// The signature of the answer to a question.
async fn signature(server: &TestServer, name: &str, rtype: u16) -> RRSIG {
    let response = signed_query(server, name, rtype).await;
    response.answers.iter().find_map(rrsig).expect("a signature").clone()
}

#[tokio::test]
async fn signatures_are_renewed_in_time_and_after_a_jump_of_the_clock() {
    let server = signed_server(&new_key(), DenialOfExistence::Nsec);
    let day = Duration::from_hours(24);
    let now = SystemTime::now();
    for (name, rtype) in [(APEX, NS), (APEX, DNSKEY_TYPE), (APEX, SOA), ("a.kube-cp.com", A), ("mail.kube-cp.com", 47)]
    {
        server.renew_signatures(now);
        let first = signature(&server, name, rtype).await;
        server.renew_signatures(now + 4 * day);
        assert_eq!(signature(&server, name, rtype).await, first, "{name} {rtype}: it has more than a third left");
        for days in [5, 8, 40, 5, 0] {
            server.renew_signatures(now + days * day);
            let renewed = signature(&server, name, rtype).await;
            let at = unix_seconds(now + days * day);
            assert!(renewed.input().sig_inception.get() < at, "{name} {rtype} {days}");
            assert!(renewed.input().sig_expiration.get() > at + 2 * 86_400, "{name} {rtype} {days}");
        }
    }
    let status = server.signatures();
    assert_eq!((status.len(), status[0].zone.as_str(), status[0].keys.len()), (1, APEX, 1));
    assert!(status[0].expires_at > now + 6 * day && status[0].expires_at <= now + 7 * day);
}

#[tokio::test]
async fn a_reload_leaves_the_signatures_if_the_keys_stay() {
    let key = new_key();
    let server = signed_server(&key, DenialOfExistence::Nsec);
    // The zones of a reload are served when each pool has an answer.
    let answers = ["a.kube-cp.com", "b.kube-cp.com", "c.d.kube-cp.com"].map(|pool| (pool, &["192.0.2.1"][..]));
    server.publish_decision(&decision(78, &answers));
    let all = async || {
        let mut signatures = Vec::new();
        for (name, rtype) in [(APEX, DNSKEY_TYPE), (APEX, NS), ("mail.kube-cp.com", A), ("a.kube-cp.com", A)] {
            signatures.push(signature(&server, name, rtype).await);
        }
        signatures
    };
    let former = all().await;
    server.configure(PreparedZones::build(&[signed_zone(&key, DenialOfExistence::Nsec)]).unwrap());
    assert_eq!(all().await, former);
    server.configure(PreparedZones::build(&[signed_zone(&key, DenialOfExistence::Nsec3)]).unwrap());
    assert_eq!(all().await, former);
    server.configure(PreparedZones::build(&[signed_zone(&new_key(), DenialOfExistence::Nsec)]).unwrap());
    assert!(all().await.iter().all(|signature| !former.contains(signature)));
}

#[tokio::test]
async fn a_change_of_the_answer_leaves_the_signatures_of_the_others() {
    let server = signed_server(&new_key(), DenialOfExistence::Nsec);
    let other = signature(&server, "mail.kube-cp.com", A).await;
    let changed = signature(&server, "a.kube-cp.com", A).await;
    server.publish_decision(&decision(78, &[("a.kube-cp.com", &["192.0.2.9"])]));
    assert_eq!(signature(&server, "mail.kube-cp.com", A).await, other);
    assert_ne!(signature(&server, "a.kube-cp.com", A).await, changed);
}

#[tokio::test]
async fn a_signed_zone_in_a_signed_zone_is_delegated_with_its_digest() {
    let key = new_key();
    let inner = format!("in.{POOL}");
    let keys = || Some(signing(vec![zone_key(&key, KeyRole::Combined)], DenialOfExistence::Nsec));
    let outer_zone = ZoneSettings { signing: keys(), ..pool_zone() };
    let inner_zone = ZoneSettings { signing: keys(), ..zone(&inner, &[&inner], "") };
    let server = TestServer::start(&settings(vec![outer_zone, inner_zone]));
    let mut decided = decision(7, &[(POOL, &["192.0.2.1"])]);
    decided.answers.push(answer(&inner, &["192.0.2.2"]));
    server.publish_decision(&decided);
    let response = signed_query(&server, &inner, DS).await;
    let ds = unsigned_lines(&response.answers);
    let expected = key.ds_line(&inner, KeyRole::Combined).unwrap().replace(" IN ", " 3600 ");
    assert_eq!(ds.join("\n").to_lowercase(), expected.to_lowercase());
    assert_signed(&response.answers, &dnskeys(&server, POOL).await);
}

/// The verdict of delv on the answer to a question.
fn delv(server: &TestServer, anchor: &std::path::Path, name: &str, rtype: &str) -> String {
    let mut command = Command::new("delv");
    let port = server.address.port().to_string();
    command.args(["@127.0.0.1", "-p", &port, "-a"]).arg(anchor).args([&format!("+root={APEX}"), name, rtype]);
    let output = command.output().expect("delv runs");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    text.concat().lines().filter(|line| line.starts_with(';')).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn delv_validates_every_kind_of_answer() {
    for denial in [DenialOfExistence::Nsec, DenialOfExistence::Nsec3] {
        let key = new_key();
        let server = signed_server(&key, denial);
        let dir = tempfile::tempdir().unwrap();
        let anchor = dir.path().join("anchor");
        let line = key.ds_line(APEX, KeyRole::Combined).unwrap();
        let ds: Vec<&str> = line.split_whitespace().skip(3).collect();
        let [tag, algorithm, kind, digest] = &ds[..] else { panic!("{line}") };
        let text = format!("trust-anchors {{ {APEX}. static-ds {tag} {algorithm} {kind} \"{digest}\"; }};\n");
        std::fs::write(&anchor, text).unwrap();
        for (name, rtype, is_positive) in [
            ("kube-cp.com", "SOA", true),
            ("kube-cp.com", "NS", true),
            ("kube-cp.com", "MX", true),
            ("kube-cp.com", "CAA", true),
            ("kube-cp.com", "DNSKEY", true),
            ("kube-cp.com", "CDS", true),
            ("_s._tcp.kube-cp.com", "SRV", true),
            ("text.kube-cp.com", "TXT", true),
            ("a.kube-cp.com", "A", true),
            ("B.kube-cp.com", "AAAA", true),
            ("a.kube-cp.com", "AAAA", false),
            ("mail.kube-cp.com", "TXT", false),
            ("no.such.name.kube-cp.com", "A", false),
            ("no.such.mail.kube-cp.com", "A", false),
            ("zz.kube-cp.com", "A", false),
            ("y.z.kube-cp.com", "A", false),
            ("d.kube-cp.com", "A", false),
            ("x.y.wild.kube-cp.com", "TXT", true),
            ("x.wild.kube-cp.com", "A", false),
            ("www.kube-cp.com", "A", true),
            ("api.kube-cp.com", "A", true),
            ("to-wild.kube-cp.com", "TXT", true),
            ("sub.kube-cp.com", "DS", false),
            ("safe.kube-cp.com", "DS", true),
        ] {
            let verdict = delv(&server, &anchor, name, rtype);
            let expected = if is_positive { "; fully validated" } else { "; negative response, fully validated" };
            assert!(verdict.lines().any(|line| line == expected), "{denial:?} {name} {rtype}: {verdict}");
            assert!(!verdict.contains("unsigned"), "{denial:?} {name} {rtype}: {verdict}");
        }
    }
}
