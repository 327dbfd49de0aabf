use std::collections::BTreeMap;

use daymark_decision::{Basis, HostName, Lack, Moment, NodeName, PoolName, Reason, Standing};

use super::*;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_795_341_600 + secs).unwrap()
}

#[test]
fn a_provider_that_keeps_up_is_one_short_line() {
    let status = ProviderStatus {
        name: "authoritative".to_owned(),
        desired: 7,
        published: Some(7),
        last_success: Some(at(0)),
        ..ProviderStatus::default()
    };
    let expected = "provider authoritative: generation 7, last success 2026-11-22T10:00:00Z\n";
    assert_eq!(provider(&status, at(60)), expected);
}

#[test]
fn a_provider_that_lags_says_for_how_long_and_why() {
    let status = ProviderStatus {
        name: "cloudflare".to_owned(),
        desired: 7,
        published: Some(5),
        last_success: Some(at(0)),
        behind_since: Some(at(18)),
        fault: Some("the token is not accepted".to_owned()),
        findings: vec!["the fallback pool is disabled".to_owned()],
        ..ProviderStatus::default()
    };
    assert_eq!(
        provider(&status, at(60)),
        "provider cloudflare: generation 5 of 7, behind for 42 s, last success 2026-11-22T10:00:00Z: the token is not \
         accepted\n  found: the fallback pool is disabled\n"
    );
}

#[test]
fn a_provider_that_hangs_says_since_when() {
    let status = ProviderStatus {
        name: "cloudflare".to_owned(),
        desired: 7,
        behind_since: Some(at(0)),
        attempt_since: Some(at(1)),
        ..ProviderStatus::default()
    };
    assert_eq!(
        provider(&status, at(9)),
        "provider cloudflare: nothing of 7, behind for 9 s: an attempt is under way since 2026-11-22T10:00:01Z\n"
    );
    let in_time = ProviderStatus { behind_since: None, published: Some(7), ..status };
    assert_eq!(provider(&in_time, at(9)), "provider cloudflare: generation 7\n", "it only looks");
}

pub(crate) fn peer_status(host: &str, heard: bool, grade: Grade) -> PeerStatus {
    PeerStatus {
        host: HostName::new(host),
        heard,
        age: Some(if heard { 0.24 } else { 42.0 }),
        direct_age: None,
        round_trip: Some(0.0124),
        clock_ahead: Some(0.2),
        abstains: false,
        hears: Vec::new(),
        configuration: BTreeMap::new(),
        differs: Vec::new(),
        targets: vec![PeerTarget {
            pool: PoolName::new("lb.example.org"),
            node: NodeName::new("cp-1"),
            address: [192, 0, 2, 1].into(),
            grade,
            shutting_down: false,
        }],
    }
}

pub(in crate::cli) fn pool_status() -> PoolStatus {
    let why = Reason::Unfit { lacks: Lack::Unjudged { seen: None } };
    let target = TargetStatus {
        origin: None,
        node: NodeName::new("cp-1"),
        address: [192, 0, 2, 1].into(),
        grade: Grade::Ready,
        since: Some(Moment::default()),
        place: why.place(),
        why: why.to_string(),
        reason: why,
        observed: None,
        order: None,
        votes: Vec::new(),
        undone: Some("drained by ada, and undone".to_owned()),
    };
    let other = TargetStatus { address: [192, 0, 2, 2].into(), ..target.clone() };
    PoolStatus {
        waiting: Vec::new(),
        discovery: None,
        name: PoolName::new("lb.example.org"),
        addresses: Vec::new(),
        basis: Basis::Ready,
        ttl: 5,
        generation: 1,
        targets: vec![target, other],
    }
}

/// A host that hears dns-2 and not dns-3.
pub(in crate::cli) fn hosts_status() -> HostsStatus {
    HostsStatus {
        own: HostName::new("dns-1"),
        members: 3,
        standing: Standing::Quorum,
        blind: false,
        writer: Some(HostName::new("dns-1")),
        is_writing: false,
        may_write: false,
        complaints: Vec::new(),
        peers: vec![peer_status("dns-2", true, Grade::Down), peer_status("dns-3", false, Grade::Live)],
    }
}

#[test]
fn hosts_are_shown_as_they_are_and_a_silent_one_as_it_was() {
    let mut status = hosts_status();
    let expected = "\
host dns-1: quorum, hears 2 of 3
HOST   HEARD           DIRECT  ROUND TRIP  CLOCK     TARGETS       CONFIGURATION
dns-2  0.2 s ago       never   12 ms       the same  1 down        -
dns-3  no, 42.0 s ago  never   12 ms       the same  then: 1 live  -
  dns-2 finds cp-1 192.0.2.1 of lb.example.org down, here it is ready

";
    assert_eq!(hosts(&status, &[pool_status()]), expected);
    status.is_writing = true;
    assert!(hosts(&status, &[]).starts_with("host dns-1: quorum, hears 2 of 3; dns-1 writes\n"));
}

#[test]
fn a_drain_that_was_undone_is_shown_once_with_its_reason() {
    let shown = pool(&pool_status());
    assert_eq!(shown.matches("  cp-1 was drained by ada, and undone\n").count(), 1, "{shown}");
}
