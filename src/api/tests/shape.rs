//! The rules for every JSON document of the admin API, on samples with each variant.

#![expect(clippy::unwrap_used, reason = "a panic in a helper of tests is a failing test")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use daymark_api::{
    DiscoveryEvent, DiscoveryStatus, Event, EventKind, ExpiryStatus, HostVote, HostsStatus, KnownAddress, Missing,
    MissingStatus, Observed, OverrideRequest, PeerMismatch, PeerMismatchStatus, PeerStatus, PeerTarget,
    PendingOverride, PoolStatus, Problem, ProviderStatus, ProviderTtl, Status, StayReason, TargetStatus,
};
use daymark_decision::fixtures::{host_name, kinds, node_name, pool_name};
use daymark_decision::{
    Basis, Certificate, Change, Family, Grade, Kind, Moment, NotReadyReason, Observation, Override, OverrideKind,
    QuorumState, Reason, RevertedDrain, Target, TargetReason, Timings,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const AT: Moment = Moment::from_millis(1_795_341_600_123);

/// The keys of numbers without a unit: counts, numbers in a sequence, priorities, and the status of HTTP.
const PLAIN_NUMBERS: [&str; 13] = [
    "answeredPriority",
    "desired",
    "generation",
    "left",
    "lists",
    "members",
    "number",
    "of",
    "ownPriority",
    "published",
    "remaining",
    "status",
    "targetCount",
];
const UNITS: [&str; 3] = ["Ms", "Seconds", "Bytes"];

fn active_override() -> Override {
    Override {
        kind: OverrideKind::Drain,
        reason: "disk change".to_owned(),
        author: "ada".to_owned(),
        since: AT,
        until: Some(Moment::MAX),
        host: Some(host_name("dns-1")),
    }
}

fn reasons() -> Vec<Reason> {
    let family = Some(Family::Ipv4);
    let causes = [
        NotReadyReason::NoVerdict { observed: None },
        NotReadyReason::Live { since: AT, observed: Some(Kind::Overloaded) },
        NotReadyReason::Down { since: AT, observed: Some(Kind::Refused) },
        NotReadyReason::Flapping { until: AT },
        NotReadyReason::Awaited { since: AT },
        NotReadyReason::Outvoted { since: AT },
    ];
    let cause = causes[2].clone();
    let mut reasons: Vec<Reason> = causes.into_iter().map(|cause| Reason::NotReady { cause }).collect();
    reasons.extend([
        Reason::Ready { since: AT },
        Reason::Agreed { cause: cause.clone() },
        Reason::Flapping { until: AT },
        Reason::Forced { by: active_override() },
        Reason::Live { family, cause: cause.clone() },
        Reason::Minority { cause: cause.clone() },
        Reason::LastKnownGood { family, cause: cause.clone() },
        Reason::Bootstrap { cause },
        Reason::NoUndrainedUsable { family, by: active_override() },
        Reason::Drained { by: active_override() },
        Reason::LowerPriority { own_priority: 1, answered_priority: 0 },
    ]);
    reasons
}

fn observed(kind: Kind) -> Observed {
    let connect = Some(Duration::from_millis(3));
    Observed {
        at: AT,
        message: kind.to_string(),
        observation: Observation {
            kind,
            timings: Timings { connect, tls: Some(Duration::from_secs(1)), http: None },
            certificate: Some(Certificate { names: vec!["kubernetes".to_owned()], not_after: Moment::MAX }),
        },
    }
}

fn target_status(reason: Reason, kind: Kind) -> TargetStatus {
    TargetStatus {
        node: node_name("cp-1"),
        address: ADDRESS,
        grade: Grade::Ready,
        since: Some(AT),
        answer_status: reason.answer_status(),
        message: reason.to_string(),
        reason,
        observed: Some(observed(kind)),
        active_override: Some(active_override()),
        votes: vec![HostVote {
            host: host_name("dns-1"),
            grade: Grade::Ready,
            shutting_down: false,
            restored: false,
            abstains: false,
        }],
        origin: None,
        reverted: Some("drained".to_owned()),
    }
}

fn discovery_status() -> DiscoveryStatus {
    let stays = [
        None,
        Some(StayReason::NextList),
        Some(StayReason::Pause { until: AT }),
        Some(StayReason::Majority { left: 1, of: 3 }),
        Some(StayReason::UsableMajority { left: 1, of: 3 }),
        Some(StayReason::LastUsable),
        Some(StayReason::Override),
    ];
    let known = stays.into_iter().map(|stays| KnownAddress {
        node: node_name("cp-1"),
        address: ADDRESS,
        since: AT,
        missing: Some(MissingStatus::new(Missing { since: AT, lists: 2, counted_ms: 1 }, stays)),
    });
    DiscoveryStatus {
        source: "the Nodes".to_owned(),
        apiserver: Some(ADDRESS),
        last_complete: Some(AT),
        seeds: [IpAddr::from([192, 0, 2, 9])].into(),
        failure: Some("no list".to_owned()),
        known: known.collect(),
    }
}

fn pool_status() -> PoolStatus {
    let expiry = ExpiryStatus { name: "CN=ca".to_owned(), not_after: AT, warning: Some("it expires".to_owned()) };
    let by_reason = reasons().into_iter().map(|reason| target_status(reason, Kind::Ready));
    let by_kind = kinds().into_iter().map(|kind| target_status(Reason::Ready { since: AT }, kind));
    let pool = PoolStatus {
        name: pool_name("lb.example.org"),
        addresses: vec![ADDRESS],
        basis: Basis::Ready,
        bases: [(Family::Ipv4, Basis::Ready)].into(),
        ttl_seconds: 5,
        generation: 7,
        targets: by_reason.chain(by_kind).collect(),
        pending_overrides: vec![PendingOverride { node: node_name("cp-9"), active_override: active_override() }],
        unsaved_overrides: Vec::new(),
        authorities: vec![expiry.clone()],
        credentials: Some(expiry),
        probe_file_error: Some("no such file".to_owned()),
        discovery: None,
    };
    pool.with_discovery(Some(discovery_status()))
}

fn mismatches() -> Vec<PeerMismatch> {
    vec![
        PeerMismatch::Key,
        PeerMismatch::Addressee,
        PeerMismatch::Version,
        PeerMismatch::Name { name: host_name("dns-3") },
        PeerMismatch::IdentityConflict,
        PeerMismatch::UnknownPeer,
        PeerMismatch::Members { missing: vec![host_name("dns-3")], extra: vec![host_name("dns-4")] },
        PeerMismatch::Configuration { pool: pool_name("lb.example.org") },
        PeerMismatch::Unresolved { error: "no such name".to_owned() },
    ]
}

fn hosts_status() -> HostsStatus {
    let host = host_name("dns-2");
    let mismatch =
        |mismatch: PeerMismatch| PeerMismatchStatus { message: mismatch.message(&host), host: host.clone(), mismatch };
    let peer = PeerStatus {
        host: host.clone(),
        reachable: true,
        last_contact: Some(Duration::from_millis(250)),
        last_direct_contact: Some(Duration::from_millis(250)),
        round_trip: Some(Duration::from_millis(12)),
        clock_ahead: Some(jiff::SignedDuration::from_millis(-1500)),
        abstains: false,
        reachable_hosts: vec![host.clone()],
        configuration: [(pool_name("lb.example.org"), "00ff".to_owned())].into(),
        differs: vec![pool_name("lb.example.org")],
        unsaved_overrides: Vec::new(),
        targets: vec![PeerTarget {
            pool: pool_name("lb.example.org"),
            node: node_name("cp-1"),
            address: ADDRESS,
            grade: Grade::Live,
            shutting_down: true,
            restored: false,
        }],
    };
    HostsStatus {
        own: host_name("dns-1"),
        members: 3,
        quorum_state: QuorumState::Quorum,
        isolated: false,
        writer: Some(host.clone()),
        can_write: true,
        holds_writer_lease: false,
        mismatches: mismatches().into_iter().map(mismatch).collect(),
        peers: vec![peer],
    }
}

fn status() -> Status {
    let provider = ProviderStatus {
        name: "cloudflare".to_owned(),
        desired: 7,
        published: Some(6),
        standby: false,
        error: Some("the token is refused".to_owned()),
        attempt_since: Some(AT),
        last_success: Some(AT),
        behind_since: Some(AT),
        ttls: vec![ProviderTtl { pool: pool_name("lb.kube-cp.com"), ttl_seconds: 60 }],
        findings: vec!["the pool is disabled".to_owned()],
        notes: vec!["the zone also has other records".to_owned()],
        remaining: Some(1_000),
    };
    Status {
        version: "1.0.0".to_owned(),
        started: Moment::default(),
        now: Moment::MAX,
        pools: vec![pool_status()],
        providers: vec![provider],
        hosts: Some(hosts_status()),
        alarms: vec!["no quorum".to_owned()],
    }
}

fn discovery_events() -> Vec<DiscoveryEvent> {
    let node = || node_name("cp-1");
    let addresses = || vec![ADDRESS];
    vec![
        DiscoveryEvent::Discovered { node: node(), addresses: addresses() },
        DiscoveryEvent::Missing { node: node(), addresses: addresses() },
        DiscoveryEvent::Back { node: node(), addresses: addresses() },
        DiscoveryEvent::Gone { node: node(), addresses: addresses(), since: AT },
        DiscoveryEvent::Renamed { node: node(), address: ADDRESS, to: node_name("cp-2") },
        DiscoveryEvent::TurnedOff { node: node(), addresses: addresses() },
        DiscoveryEvent::Failing { error: "no list".to_owned() },
        DiscoveryEvent::Recovered,
    ]
}

fn events() -> Vec<Event> {
    let pool = || pool_name("lb.example.org");
    let node = || node_name("cp-1");
    let host = || host_name("dns-2");
    let target = Target { pool: pool(), node: node(), address: ADDRESS };
    let changes = reasons().into_iter().map(|reason| TargetReason { target: target.clone(), reason });
    let bases = [(Family::Ipv4, Basis::Ready)];
    let answer = Change {
        pool: pool(),
        generation: 7,
        old: vec![ADDRESS],
        new: vec![ADDRESS],
        basis: Basis::Live,
        old_bases: bases.into(),
        new_bases: bases.into(),
        targets: changes.collect(),
    };
    let drain = active_override();
    let reverted = RevertedDrain { drain: drain.clone(), node: node_name("cp-2"), host: Some(host()) };
    let mut kinds = vec![
        EventKind::Answer(answer),
        EventKind::Grade { target, from: Grade::Down, to: Grade::Ready, observed: "ready".to_owned() },
        EventKind::Override { pool: pool(), node: node(), active_override: drain },
        EventKind::OverrideEnded { pool: pool(), node: node() },
        EventKind::OverrideReverted { pool: pool(), node: node(), reverted },
        EventKind::Peer { host: host(), reachable: true },
        EventKind::QuorumState { quorum_state: QuorumState::NoQuorum },
        EventKind::Isolation { isolated: true },
        EventKind::Writer { host: Some(host()) },
        EventKind::Reload { target_count: 3 },
    ];
    kinds.extend(mismatches().into_iter().map(|mismatch| EventKind::Mismatch { host: host(), mismatch, begins: true }));
    kinds.extend(discovery_events().into_iter().map(|change| EventKind::Discovery { pool: pool(), change }));
    let event = |(number, kind): (u64, EventKind)| Event { number, at: AT, message: kind.to_string(), kind };
    (0..).zip(kinds).map(event).collect()
}

/// The JSON of a value, which must be the same after reading it back.
fn json<T: Serialize + DeserializeOwned>(of: &T) -> Value {
    let json = serde_json::to_value(of).unwrap();
    let back: T = serde_json::from_str(&json.to_string()).unwrap();
    assert_eq!(serde_json::to_value(back).unwrap(), json);
    json
}

/// Every document of the API.
fn documents() -> Vec<Value> {
    let request = OverrideRequest {
        kind: OverrideKind::Drain,
        length: Some("10m".to_owned()),
        reason: "disk change".to_owned(),
        author: "ada".to_owned(),
        insist: true,
    };
    vec![json(&status()), json(&events()), json(&request), json(&Problem { error: "no such node".to_owned() })]
}

/// Calls `check` with every value that has a key. The values of a list have the key of the list.
fn visit(key: &str, value: &Value, check: &mut impl FnMut(&str, &Value)) {
    check(key, value);
    match value {
        Value::Array(values) => values.iter().for_each(|value| visit(key, value, check)),
        Value::Object(values) => values.iter().for_each(|(key, value)| visit(key, value, check)),
        _ => {}
    }
}

fn visit_all(mut check: impl FnMut(&str, &Value)) {
    for document in documents() {
        visit("", &document, &mut check);
    }
}

#[test]
fn no_duration_has_the_form_of_rust() {
    visit_all(|key, _| assert!(!["secs", "nanos"].contains(&key), "{key}"));
}

#[test]
fn no_key_holds_an_object_that_has_the_key_again() {
    visit_all(|key, value| assert!(value.get(key).is_none(), "{key}: {value}"));
}

#[test]
fn every_number_is_a_count_or_has_a_unit() {
    visit_all(|key, value| {
        let is_named = PLAIN_NUMBERS.contains(&key) || UNITS.iter().any(|unit| key.ends_with(unit));
        assert!(!value.is_number() || is_named, "{key}: {value}");
        assert!(!value.is_f64(), "{key}: {value} is no integer");
    });
}

#[test]
fn every_time_is_in_utc_with_milliseconds() {
    let mut times = 0;
    visit_all(|key, value| {
        let Some(text) = value.as_str().filter(|text| text.parse::<jiff::Timestamp>().is_ok()) else { return };
        let moment: Result<Moment, _> = serde_json::from_value(value.clone());
        assert!(moment.is_ok(), "{key}: {text}");
        times += 1;
    });
    assert!(times > 50, "{times}");
}
