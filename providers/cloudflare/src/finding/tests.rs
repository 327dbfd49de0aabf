use std::collections::BTreeSet;

use daymark_decision::fixtures::{node_name, pool_name};
use serde_json::json;

use super::*;

fn pool() -> PoolName {
    pool_name("lb.kube-cp.com")
}

fn target() -> Target {
    Target { pool: pool(), node: node_name("kube-cp-1"), address: "192.0.2.1".parse().unwrap() }
}

fn label(kind: &str) -> RecordLabel {
    let record = json!({"id": "1", "type": kind, "name": "lb.kube-cp.com", "content": "192.0.2.9", "ttl": 60});
    RecordLabel::from(&serde_json::from_value::<Record>(record).unwrap())
}

#[rustfmt::skip]
fn every_finding() -> Vec<CloudflareFinding> {
    vec![
        CloudflareFinding::TokenInactive { token: TokenSource::Environment("CF_TOKEN".to_owned()), status: "pending".to_owned() },
        CloudflareFinding::ZoneUnseen { zone: "kube-cp.com".to_owned(), account: Some("a1".to_owned()) },
        CloudflareFinding::ZoneAmbiguous { name: "kube-cp".to_owned(), ids: vec!["daa6".to_owned(), "bb77".to_owned()] },
        CloudflareFinding::ZoneElsewhere { pool: pool(), zone: "kube-cp.com".to_owned(), id: "daa6".to_owned() },
        CloudflareFinding::ZoneNearer { pool: pool(), zone: "kube-cp.com".to_owned(), nearer: "eu.kube-cp.com".to_owned() },
        CloudflareFinding::ZoneSecondary { zone: "kube-cp.com".to_owned() },
        CloudflareFinding::ZonePartial { zone: "kube-cp.com".to_owned(), pool: pool() },
        CloudflareFinding::ZoneInternal { zone: "kube-cp.com".to_owned() },
        CloudflareFinding::ZoneInactive { zone: "kube-cp.com".to_owned(), status: "pending".to_owned() },
        CloudflareFinding::TtlRaised { ttl: 60, configured: 30 },
        CloudflareFinding::RecordForeign { record: label("A"), mark: "managed by daymark".to_owned() },
        CloudflareFinding::RecordOfOther { record: label("A"), owner: "the Daymark of prod-2".to_owned(), mark: "managed by daymark".to_owned() },
        CloudflareFinding::RecordAlias { record: label("CNAME") },
        CloudflareFinding::RecordDelegates { record: label("NS"), pool: pool() },
        CloudflareFinding::RecordHidden { record: label("A") },
        CloudflareFinding::RecordsBehindBalancer { pool: pool() },
        CloudflareFinding::PoolMissing { name: "kube-cp".to_owned(), known: vec!["kube-cp".to_owned()] },
        CloudflareFinding::PoolForeign { name: "kube-cp".to_owned(), belonging: "belongs to the Daymark of prod-2".to_owned(), mark: "managed by daymark".to_owned() },
        CloudflareFinding::PoolDisabled { name: "kube-cp".to_owned() },
        CloudflareFinding::PoolMonitored { name: "kube-cp".to_owned(), monitor: "monitor group" },
        CloudflareFinding::PoolShedsLoad { name: "kube-cp".to_owned() },
        CloudflareFinding::PoolBelowMinimum { name: "kube-cp".to_owned(), minimum: 2, count: 1 },
        CloudflareFinding::PoolShared { name: "kube-cp".to_owned(), pool: pool(), others: vec!["other.kube-cp.com".to_owned()] },
        CloudflareFinding::OriginMissing { pool: "kube-cp".to_owned(), target: target() },
        CloudflareFinding::OriginTwice { pool: "kube-cp".to_owned(), target: target(), origins: vec!["kube-cp-1 (192.0.2.1)".to_owned()] },
        CloudflareFinding::OriginWeightless { pool: "kube-cp".to_owned(), origins: vec!["kube-cp-1 (192.0.2.1)".to_owned()] },
        CloudflareFinding::OriginPrivate { pool: "kube-cp".to_owned(), origins: vec!["kube-cp-1 (192.0.2.1)".to_owned()] },
        CloudflareFinding::OriginsElsewhere { pool: "kube-cp".to_owned(), answer: "kube-cp-1 192.0.2.1".to_owned(), origins: "kube-cp-1 (192.0.2.9)".to_owned() },
        CloudflareFinding::OriginsWithoutWeight { pool: "kube-cp".to_owned(), answer: "kube-cp-1 192.0.2.1".to_owned(), origins: "kube-cp-1 (192.0.2.9)".to_owned() },
        CloudflareFinding::BalancerMissing { name: pool(), pool: "kube-cp".to_owned() },
        CloudflareFinding::BalancerForeign { name: pool(), belonging: "belongs to the Daymark of prod-2".to_owned(), mark: "managed by daymark".to_owned() },
        CloudflareFinding::BalancerDisabled { name: pool() },
        CloudflareFinding::BalancerUnused { name: pool(), pool: "kube-cp".to_owned() },
        CloudflareFinding::BalancerFallsBack { name: pool(), pool: "kube-cp".to_owned() },
        CloudflareFinding::BalancerOverridden { name: pool(), field: "rules" },
        CloudflareFinding::BalancerProxied { name: pool(), port: 6443 },
        CloudflareFinding::FallbackDisabled { name: pool(), pool: "kube-cp".to_owned() },
        CloudflareFinding::BalancerTtl { name: pool(), ttl: Duration::from_mins(1), detection: Duration::from_millis(6300) },
        CloudflareFinding::Contested { drift: "someone else has deleted the record".to_owned() },
        CloudflareFinding::DeletedAgain { drift: "someone else has deleted the record".to_owned() },
        CloudflareFinding::EarlierAnswer { family: Family::Ipv4, addresses: vec!["192.0.2.1".parse().unwrap()] },
    ]
}

/// The number of a variant. A new one does not compile until it has a number, and then needs a sample above.
#[rustfmt::skip]
fn number(finding: &CloudflareFinding) -> usize {
    match finding {
        CloudflareFinding::TokenInactive { .. } => 0,
        CloudflareFinding::ZoneUnseen { .. } => 1,
        CloudflareFinding::ZoneAmbiguous { .. } => 2,
        CloudflareFinding::ZoneElsewhere { .. } => 3,
        CloudflareFinding::ZoneNearer { .. } => 4,
        CloudflareFinding::ZoneSecondary { .. } => 5,
        CloudflareFinding::ZonePartial { .. } => 6,
        CloudflareFinding::ZoneInternal { .. } => 7,
        CloudflareFinding::ZoneInactive { .. } => 8,
        CloudflareFinding::TtlRaised { .. } => 9,
        CloudflareFinding::RecordForeign { .. } => 10,
        CloudflareFinding::RecordOfOther { .. } => 11,
        CloudflareFinding::RecordAlias { .. } => 12,
        CloudflareFinding::RecordDelegates { .. } => 13,
        CloudflareFinding::RecordHidden { .. } => 14,
        CloudflareFinding::RecordsBehindBalancer { .. } => 15,
        CloudflareFinding::PoolMissing { .. } => 16,
        CloudflareFinding::PoolForeign { .. } => 17,
        CloudflareFinding::PoolDisabled { .. } => 18,
        CloudflareFinding::PoolMonitored { .. } => 19,
        CloudflareFinding::PoolShedsLoad { .. } => 20,
        CloudflareFinding::PoolBelowMinimum { .. } => 21,
        CloudflareFinding::PoolShared { .. } => 22,
        CloudflareFinding::OriginMissing { .. } => 23,
        CloudflareFinding::OriginTwice { .. } => 24,
        CloudflareFinding::OriginWeightless { .. } => 25,
        CloudflareFinding::OriginPrivate { .. } => 26,
        CloudflareFinding::OriginsElsewhere { .. } => 27,
        CloudflareFinding::OriginsWithoutWeight { .. } => 28,
        CloudflareFinding::BalancerMissing { .. } => 29,
        CloudflareFinding::BalancerForeign { .. } => 30,
        CloudflareFinding::BalancerDisabled { .. } => 31,
        CloudflareFinding::BalancerUnused { .. } => 32,
        CloudflareFinding::BalancerFallsBack { .. } => 33,
        CloudflareFinding::BalancerOverridden { .. } => 34,
        CloudflareFinding::BalancerProxied { .. } => 35,
        CloudflareFinding::FallbackDisabled { .. } => 36,
        CloudflareFinding::BalancerTtl { .. } => 37,
        CloudflareFinding::Contested { .. } => 38,
        CloudflareFinding::DeletedAgain { .. } => 39,
        CloudflareFinding::EarlierAnswer { .. } => 40,
    }
}

/// The verbs with which the last part of a message asks for an action.
const ACTIONS: [&str; 18] = [
    "create",
    "check",
    "set",
    "use",
    "add",
    "delegate",
    "delete",
    "give",
    "make",
    "enable",
    "detach",
    "keep",
    "remove",
    "undo",
    "find out",
    "shorten",
    "correct",
    "an internal zone has",
];

#[test]
fn every_finding_has_a_sample() {
    let numbers: BTreeSet<usize> = every_finding().iter().map(number).collect();
    assert_eq!(numbers, (0..41).collect());
}

#[test]
fn every_finding_ends_with_what_to_do() {
    for finding in every_finding() {
        let message = finding.to_string();
        let without_details = message.split(" (answer: ").next().unwrap();
        let (_, action) = without_details.rsplit_once("; ").unwrap_or_else(|| panic!("no action: {message}"));
        assert!(ACTIONS.iter().any(|verb| action.starts_with(&format!("{verb} "))), "{message}");
    }
}

#[test]
fn the_messages_of_the_findings_are_these() {
    let messages: Vec<String> = every_finding().iter().map(|finding| format!("{finding}\n")).collect();
    assert_eq!(messages.concat(), include_str!("messages.txt"));
}
