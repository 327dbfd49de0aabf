use std::path::PathBuf;

use daymark_decision::PoolName;
use daymark_decision::fixtures::pool_name;

use super::*;
use crate::settings::{MasterFile, Nameserver};

fn settings(pools: &[&str], text: &str) -> ZoneSettings {
    ZoneSettings {
        apex: "kube-cp.com".to_owned(),
        pools: pools.iter().map(|name| pool_name(name)).collect(),
        nameservers: vec![Nameserver { name: "ns.example.net".to_owned(), addresses: Vec::new() }],
        master_file: Some(MasterFile { path: PathBuf::from("/etc/kube-cp.db"), text: format!("$TTL 60\n{text}") }),
    }
}

/// The messages of every error of a zone.
fn errors_of(settings: &ZoneSettings) -> Vec<String> {
    let errors = Zone::build(settings).expect_err("the zone has errors");
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_zone_is_built_from_its_settings() {
    let zone = Zone::build(&settings(&["lb.kube-cp.com"], "www A 192.0.2.1\n")).unwrap();
    assert_eq!(zone.apex().to_string(), "kube-cp.com.");
    assert_eq!(zone.pools().len(), 1);
}

#[test]
fn a_static_record_at_the_name_of_a_pool_is_an_error() {
    let text = "lb A 192.0.2.1\nlb AAAA 2001:db8::1\nlb TXT fine\nx CNAME lb\n";
    let expected = ["A", "AAAA"].map(|rtype| {
        format!(
            "the zone kube-cp.com has a static {rtype} record at lb.kube-cp.com, which is a pool; remove the record or the pool"
        )
    });
    assert_eq!(errors_of(&settings(&["lb.kube-cp.com"], text)), expected);
    assert!(errors_of(&settings(&["lb.kube-cp.com"], "lb CNAME x\n"))[0].contains("static CNAME record"));
}

#[test]
fn a_pool_at_or_below_a_delegation_is_an_error() {
    for pool in ["sub.kube-cp.com", "a.b.sub.kube-cp.com"] {
        let expected = format!(
            "the zone kube-cp.com delegates sub.kube-cp.com to other nameservers, so the pool {pool} cannot be served; \
                 remove one of them"
        );
        assert_eq!(errors_of(&settings(&[pool], "sub NS ns.example.net.\n")), [expected]);
    }
}

#[test]
fn a_pool_outside_the_zone_or_listed_twice_is_an_error() {
    let expected = [
        "the pool lb.example.org is not in the zone kube-cp.com; its name must be kube-cp.com or end in .kube-cp.com",
        "the pool lb.kube-cp.com is listed twice; once is allowed",
    ];
    assert_eq!(errors_of(&settings(&["lb.example.org", "lb.kube-cp.com", "LB.kube-cp.com"], "")), expected);
    let one = settings(&["lb.kube-cp.com"], "");
    let mut two = one.clone();
    two.apex = "lb.kube-cp.com".to_owned();
    let errors = Zone::build_all(&[one, two]).unwrap_err();
    assert_eq!(errors.to_string(), "the pool lb.kube-cp.com is listed twice; once is allowed");
}

#[test]
fn invalid_names_are_errors() {
    let long_label = "a".repeat(64);
    let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join(".");
    for name in ["", ".", "a..b", "*.kube-cp.com", "lb kube", "lö.kube-cp.com", &long_label, &long] {
        let zone = ZoneSettings { apex: name.to_owned(), ..settings(&[], "") };
        assert_eq!(errors_of(&zone).len(), 1, "{name:?}");
        assert!(PoolName::new(name).is_err(), "{name:?}");
    }
}

#[test]
fn a_zone_needs_a_nameserver_with_an_address() {
    let mut zone = settings(&["lb.kube-cp.com"], "");
    zone.nameservers.clear();
    assert_eq!(errors_of(&zone), ["the zone kube-cp.com has no nameserver; at least one is needed"]);
    zone.nameservers = vec![Nameserver { name: "ns1.kube-cp.com".to_owned(), addresses: Vec::new() }];
    assert_eq!(
        errors_of(&zone),
        ["the nameserver ns1.kube-cp.com has no address; one is needed because its name is in the zone kube-cp.com"]
    );
    zone.nameservers = vec![zone.nameservers[0].clone(); 2];
    assert!(errors_of(&zone).contains(&"the nameserver ns1.kube-cp.com is listed twice; once is allowed".to_owned()));
    zone.nameservers.truncate(1);
    zone.nameservers[0].name = "lb.kube-cp.com".to_owned();
    zone.nameservers[0].addresses = vec!["192.0.2.1".parse().unwrap()];
    assert_eq!(
        errors_of(&zone),
        ["the nameserver lb.kube-cp.com of the zone kube-cp.com has the name of a pool; it needs a name of its own"]
    );
    let pool_zone = ZoneSettings::for_pool(&pool_name("lb.kube-cp.com"), &zone.nameservers);
    assert_eq!(
        errors_of(&pool_zone),
        ["the nameserver lb.kube-cp.com of the zone lb.kube-cp.com has the name of a pool; it needs a name of its own"]
    );
}

#[test]
fn the_nameservers_of_the_file_take_precedence_and_may_have_configured_addresses() {
    let mut zone = settings(&[], "@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\n");
    assert_eq!(
        errors_of(&zone),
        ["the nameserver ns2.kube-cp.com has no address; one is needed because its name is in the zone kube-cp.com"]
    );
    let addresses = vec!["192.0.2.2".parse().unwrap()];
    zone.nameservers = vec![Nameserver { name: "ns2.kube-cp.com".to_owned(), addresses }];
    let zone = Zone::build(&zone).unwrap();
    assert_eq!(zone.soa().mname.to_string(), "ns1.kube-cp.com.");
    let apex = zone.node(zone.key()).unwrap();
    assert_eq!((apex.set(RecordType::NS).unwrap().data.len(), apex.nameservers().len()), (2, 2));
}

#[test]
fn an_origin_without_its_final_dot_is_absolute() {
    let text = "$ORIGIN kube-cp.com\n@ NS ns1\n@ NS kube-cp.com.\nns1 A 192.0.2.1\n@ A 192.0.2.2\n";
    let zone = Zone::build(&settings(&[], text)).unwrap();
    assert_eq!(zone.node(zone.key()).unwrap().nameservers().len(), 2);
}

#[test]
fn an_error_of_the_master_file_names_its_line() {
    for (text, line) in [
        ("www A 192.0.2.1\nbad A 192.0.2\nmore A x\n", 3),
        ("www A 192.0.2.1\n\nx SOA ( a b\n 1 2 3 4 ; five\n )\nwww A 192.0.2.2\n", 6),
        ("www WHAT x", 2),
        ("a TXT ( one\n two )\nb A 1.1.1.1\nc A\n", 5),
        ("www A 192.0.2.1 )\n", 2),
    ] {
        let reported = errors_of(&settings(&[], text));
        assert_eq!(reported.len(), 1);
        assert!(reported[0].starts_with(&format!("/etc/kube-cp.db:{line}: ")), "{text:?}: {reported:?}");
    }
}

#[test]
fn records_that_cannot_be_served_are_errors_and_all_of_them_are_reported() {
    let text = "www.example.org. A 192.0.2.1\nsub SOA a b 1 2 3 4 5\n*.x NS ns.example.net.\n\
                both CNAME www\nboth A 192.0.2.1\nch CH TXT x\n";
    let mut reported = errors_of(&settings(&[], text));
    reported.sort();
    let message = |rest: &str| format!("/etc/kube-cp.db: the {rest}");
    let mut expected = [
        message("A record of www.example.org is not in the zone kube-cp.com"),
        message("SOA record of sub.kube-cp.com cannot be served: only the zone's own name has an SOA record"),
        message(
            "NS record of *.x.kube-cp.com cannot be served: a wildcard cannot be delegated (RFC 4592, section 4.2)",
        ),
        message(
            "CNAME record of both.kube-cp.com cannot be served: a name with a CNAME record has no other records (RFC 1034, section 3.6.2)",
        ),
        message("TXT record of ch.kube-cp.com cannot be served: its class must be IN"),
    ];
    expected.sort();
    assert_eq!(reported, expected);
}

#[test]
fn the_text_of_a_master_file_never_panics_the_builder() {
    let text =
        "$ORIGIN kube-cp.com.\n@ SOA ns admin ( 1 2 3 4\n 5 )\n@ NS ns\nns A 192.0.2.1\nt TXT \"a;b\" c\n*.w CNAME t\n";
    let mut built_ends = Vec::new();
    for end in 0..=text.len() {
        match Zone::build(&settings(&["lb.kube-cp.com"], &text[..end])) {
            Ok(_) => built_ends.push(end),
            Err(errors) => assert!(!errors.0.is_empty(), "{end}"),
        }
        for fragment in ["(", ")", "\"", "$", "$INCLUDE ", "\\", "\n", "\u{0}", "ö"] {
            let torn = Zone::build(&settings(&[], &format!("{}{fragment}{}", &text[..end], &text[end..])));
            assert!(torn.err().is_none_or(|errors| !errors.0.is_empty()), "{end} {fragment}");
        }
    }
    assert_eq!(built_ends.last(), Some(&text.len()), "the whole text is a zone");
    let open = text.find('(').unwrap();
    let close = text.find(')').unwrap();
    assert!(
        built_ends.iter().all(|end| !(open + 1..=close).contains(end)),
        "a list without its end is refused: {built_ends:?}"
    );
}
