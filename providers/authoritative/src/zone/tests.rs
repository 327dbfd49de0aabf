use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use daymark_decision::PoolName;
use daymark_decision::fixtures::pool_name;

use super::*;
use crate::records::exists;
use crate::settings::{MasterFile, Nameserver};

fn settings(pools: &[&str], text: &str) -> ZoneSettings {
    ZoneSettings {
        apex: "kube-cp.com".to_owned(),
        pools: pools.iter().map(|name| pool_name(name)).collect(),
        nameservers: vec![Nameserver { name: "ns.example.net".to_owned(), addresses: Vec::new() }],
        master_file: Some(MasterFile {
            path: PathBuf::from("/etc/kube-cp.db"),
            text: format!("$TTL 60\n{text}"),
            included: BTreeMap::new(),
        }),
        signing: None,
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
    let addresses: Vec<usize> = zone.nameservers().iter().map(|nameserver| nameserver.addresses.len()).collect();
    assert_eq!(addresses, [1, 1]);
}

#[test]
fn an_origin_without_its_final_dot_is_relative() {
    let text = "$ORIGIN kube-cp.com\n@ NS ns1\n@ A 192.0.2.2\n";
    let zone = Zone::build(&settings(&[], text)).unwrap();
    assert_eq!(data_of(&zone, "kube-cp.com.kube-cp.com", RecordType::A), [address(2)]);
    assert_eq!(data_of(&zone, "kube-cp.com.kube-cp.com", RecordType::NS).len(), 1);
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
    let message = |line: usize, rest: &str| format!("/etc/kube-cp.db:{line}: the {rest}");
    let mut expected = [
        message(2, "A record of www.example.org is not in the zone kube-cp.com"),
        message(3, "SOA record of sub.kube-cp.com cannot be served: only the zone's own name has an SOA record"),
        message(
            4,
            "NS record of *.x.kube-cp.com cannot be served: a wildcard cannot be delegated (RFC 4592, section 4.2)",
        ),
        message(
            6,
            "CNAME record of both.kube-cp.com cannot be served: a name with a CNAME record has no other records (RFC 1034, section 3.6.2)",
        ),
        message(7, "TXT record of ch.kube-cp.com cannot be served: its class must be IN"),
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

fn address(last: u8) -> RData {
    RData::from(IpAddr::from([192, 0, 2, last]))
}

/// The data of an `RRset` of a zone.
fn data_of(zone: &Zone, name: &str, rtype: RecordType) -> Vec<RData> {
    let name = LowerName::new(&Name::from_ascii(format!("{name}.")).unwrap());
    let set = set(zone.records(), &name, rtype).unwrap();
    set.records_without_rrsigs().map(|record| record.data.clone()).collect()
}

#[test]
fn a_file_is_served_as_bind_reads_it() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/zonefiles/whole");
    let text = std::fs::read_to_string(directory.join("kube-cp.com.zone")).unwrap();
    let sub = std::fs::read_to_string(directory.join("sub.inc")).unwrap();
    let zone = Zone::build(&with_files(&text, &[("sub.inc", &sub)])).unwrap();
    let texts = |name| match &data_of(&zone, name, RecordType::TXT)[..] {
        [RData::TXT(texts)] => texts.txt_data.iter().map(|text| text.to_vec()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(texts("mail._domainkey.kube-cp.com"), [&b"v=DKIM1; h=sha256; k=rsa; "[..], b"p=MIIBIjANBgkq"]);
    assert_eq!(texts("semi.kube-cp.com"), [&b"v=DKIM1;"[..], b"k=rsa;", b"p=abc"]);
    assert_eq!(texts("ddd.kube-cp.com"), [b"caf\xc3\xa9 A"]);
    let service = &data_of(&zone, "w.kube-cp.com", RecordType::HTTPS)[0];
    assert_eq!(service.to_string(), "1 ns1.kube-cp.com. alpn=h2,");
    assert_eq!(data_of(&zone, "in.sub.kube-cp.com", RecordType::A), [address(3)]);
    assert_eq!(data_of(&zone, "after.kube-cp.com", RecordType::A), [address(2)]);
}

#[test]
fn a_delegation_to_a_nameserver_of_the_zone_without_an_address_is_reported() {
    let missing = |text: &str| {
        let zone = Zone::build(&settings(&["lb.kube-cp.com"], text)).unwrap();
        zone.missing_glue().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let message = |cut: &str, nameserver: &str| {
        format!(
            "{cut}.kube-cp.com is delegated to {nameserver}.kube-cp.com, which has no address in the zone kube-cp.com, so resolvers \
             may not reach it; add an A or AAAA record of {nameserver}.kube-cp.com"
        )
    };
    // Each as `named-checkzone` warns.
    assert_eq!(missing("sub NS ns.sub\n"), [message("sub", "ns.sub")]);
    assert_eq!(missing("sub NS SUB\n"), [message("sub", "SUB")]);
    assert_eq!(missing("sub NS ns.other\nother NS x.example.\n"), [message("sub", "ns.other")]);
    assert_eq!(missing("sub NS none\n"), [message("sub", "none")]);
    assert_eq!(missing("sub NS ns.sub\nns.sub CNAME www\n"), [message("sub", "ns.sub")]);
    assert_eq!(missing("sub NS ns.sub\n*.sub A 192.0.2.1\n"), [message("sub", "ns.sub")]);
    assert_eq!(missing("sub NS ns.sub\nsub NS two.sub\nns.sub A 192.0.2.1\n"), [message("sub", "two.sub")]);
    for fine in [
        "sub NS ns.sub\nns.sub AAAA 2001:db8::1\n",
        "sub NS ns.example.net.\nmail.sub MX 10 x\n",
        "sub NS ns.other\n*.other A 192.0.2.1\n",
        "sub NS lb\n",
        "sub NS ns.example.net.\nbelow.sub NS none.below.sub\n",
    ] {
        assert_eq!(missing(fine), [""; 0], "{fine}");
    }
}

/// The settings with more files in the directory of the master file.
fn with_files(text: &str, files: &[(&str, &str)]) -> ZoneSettings {
    let mut settings = settings(&[], text);
    let file = settings.master_file.as_mut().unwrap();
    file.included = files.iter().map(|(name, text)| (Path::new("/etc").join(name), (*text).to_owned())).collect();
    settings
}

#[test]
fn included_files_are_put_in_their_places() {
    let text = "a TXT \"\\\n$INCLUDE no.db\\\n\" ( $INCLUDE no.db\n$INCLUDE no.db ) ; $INCLUDE no.db\n\
                $INCLUDE \"sub/one.db\" ; the first\n$INCLUDE /etc/two.db\nd A 192.0.2.4\n$INCLUDED A 192.0.2.9";
    let files = [("sub/one.db", "b A 192.0.2.2\n$INCLUDE three.db"), ("two.db", "c A 192.0.2.3"), ("sub/three.db", "")];
    let included = included_files(Path::new("/etc/kube-cp.db"), text);
    assert_eq!(included, [Path::new("/etc/sub/one.db"), Path::new("/etc/two.db")]);
    let reported = errors_of(&with_files(text, &files));
    assert_eq!(
        reported,
        ["/etc/kube-cp.db:9: \"$INCLUDED\" is not a directive; $INCLUDE, $ORIGIN, $TTL and $GENERATE are allowed"],
        "all lines before it are right"
    );
    let zone = Zone::build(&with_files(text.rsplit_once('\n').unwrap().0, &files)).unwrap();
    for name in ["a", "b", "c", "d"] {
        let name = Name::from_ascii(format!("{name}.kube-cp.com.")).unwrap();
        assert!(exists(zone.records(), &LowerName::new(&name)), "{name}");
    }
}

#[test]
fn an_error_of_an_included_file_names_its_own_line() {
    let reported = errors_of(&with_files("$INCLUDE one.db\nb A x\n", &[("one.db", "a A 192.0.2.1\n\nc A 192.0.2\n")]));
    assert_eq!(reported.len(), 1);
    assert!(reported[0].starts_with("/etc/one.db:3: "), "{reported:?}");
    let reported = errors_of(&with_files("$INCLUDE one.db\nb A x\n", &[("one.db", "a A 192.0.2.1")]));
    assert!(reported[0].starts_with("/etc/kube-cp.db:3: "), "{reported:?}");
}

#[test]
fn an_include_that_cannot_be_used_is_refused_by_its_line() {
    let big = "; a comment\n".repeat(MAX_ZONE_BYTES / 12 / 2 + 1);
    let files: Vec<(&str, &str)> = vec![
        ("big.db", &big),
        ("self.db", "\n$INCLUDE self.db\n"),
        ("twice.db", "$INCLUDE half.db\n$INCLUDE half.db\n"),
        ("half.db", "$INCLUDE end.db\n$INCLUDE end.db\n"),
        ("end.db", ""),
        ("open.db", "a TXT \"one\n"),
        ("list.db", "a TXT ( one\n"),
    ];
    let malformed = "$INCLUDE needs the name of one file, and an origin if wanted, and no more";
    for (text, expected) in [
        ("$INCLUDE\n", format!("kube-cp.db:2: {malformed}")),
        ("$INCLUDE one.db example.org. more\n", format!("kube-cp.db:2: {malformed}")),
        (
            "$TTL 60 $INCLUDE /etc/end.db\n",
            "kube-cp.db:2: \"$INCLUDE\" is one word too many; the line must end before it".to_owned(),
        ),
        ("$INCLUDE end.db . $INCLUDE end.db\n", format!("kube-cp.db:2: {malformed}")),
        ("\n$INCLUDE none.db\n", "kube-cp.db:3: the included file \"/etc/none.db\" has not been read".to_owned()),
        (
            "$INCLUDE self.db\n",
            "self.db:2: \"/etc/self.db\" includes itself; each file may be included by other files only".to_owned(),
        ),
        (
            "$INCLUDE big.db\n$INCLUDE big.db\n",
            "kube-cp.db:3: makes the zone larger than 4 MiB; at most that is allowed".to_owned(),
        ),
        (
            "$INCLUDE open.db\n$INCLUDE end.db\n",
            "open.db:1: a quoted text begins here and does not end on its line; close it on this line, or write \\\" for a \
             quotation mark in it"
                .to_owned(),
        ),
        (
            "$INCLUDE list.db\n",
            "list.db:1: a parenthesis opens here, and the file ends within it; close it in this file".to_owned(),
        ),
    ] {
        assert_eq!(errors_of(&with_files(text, &files)), [format!("/etc/{expected}")], "{text:?}");
    }
    let many = "$INCLUDE twice.db\n".repeat(40);
    let reported = errors_of(&with_files(&many, &files));
    assert_eq!(reported.len(), 1);
    assert!(reported[0].ends_with("is more than 256 $INCLUDE lines; at most that many are allowed"), "{reported:?}");
}
