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

fn label() -> RecordLabel {
    let record = json!({"id": "1", "type": "A", "name": "lb.kube-cp.com", "content": "192.0.2.9", "ttl": 60});
    RecordLabel::from(&serde_json::from_value::<Record>(record).unwrap())
}

#[rustfmt::skip]
fn every_finding() -> Vec<Finding> {
    vec![
        Finding::TokenInactive { token: TokenSource::Environment("CF_TOKEN".to_owned()), status: "pending".to_owned() },
        Finding::ZoneUnseen { zone: "kube-cp.com".to_owned() },
        Finding::ZoneAmbiguous { name: "kube-cp".to_owned(), ids: vec!["daa6".to_owned(), "bb77".to_owned()] },
        Finding::ZoneElsewhere { pool: pool(), zone: "kube-cp.com".to_owned(), id: "daa6".to_owned() },
        Finding::ZoneNearer { pool: pool(), zone: "kube-cp.com".to_owned(), nearer: "eu.kube-cp.com".to_owned() },
        Finding::ZoneSecondary { zone: "kube-cp.com".to_owned() },
        Finding::ZonePartial { zone: "kube-cp.com".to_owned(), pool: pool() },
        Finding::ZoneInternal { zone: "kube-cp.com".to_owned() },
        Finding::ZoneInactive { zone: "kube-cp.com".to_owned(), status: "pending".to_owned() },
        Finding::TtlRaised { ttl: 60, configured: 30 },
        Finding::RecordForeign { record: label(), mark: "managed by daymark".to_owned() },
        Finding::RecordOfOther { record: label(), owner: "the Daymark of prod-2".to_owned(), mark: "managed by daymark".to_owned() },
        Finding::RecordAlias { record: label() },
        Finding::RecordDelegates { record: label(), pool: pool() },
        Finding::RecordHidden { record: label() },
        Finding::RecordsBehindBalancer { pool: pool() },
        Finding::PoolMissing { name: "kube-cp".to_owned(), known: vec!["kube-cp".to_owned()] },
        Finding::PoolForeign { name: "kube-cp".to_owned(), belonging: "belongs to the Daymark of prod-2".to_owned(), mark: "managed by daymark".to_owned() },
        Finding::PoolDisabled { name: "kube-cp".to_owned() },
        Finding::PoolMonitored { name: "kube-cp".to_owned(), monitor: "monitor group" },
        Finding::PoolShedsLoad { name: "kube-cp".to_owned() },
        Finding::PoolBelowMinimum { name: "kube-cp".to_owned(), minimum: 2, count: 1 },
        Finding::PoolShared { name: "kube-cp".to_owned(), pool: pool(), others: vec!["other.kube-cp.com".to_owned()] },
        Finding::OriginMissing { pool: "kube-cp".to_owned(), target: target() },
        Finding::OriginTwice { pool: "kube-cp".to_owned(), target: target(), origins: vec!["kube-cp-1 (192.0.2.1)".to_owned()] },
        Finding::OriginWeightless { pool: "kube-cp".to_owned(), origins: vec!["kube-cp-1 (192.0.2.1)".to_owned()] },
        Finding::OriginPrivate { pool: "kube-cp".to_owned(), origins: vec!["kube-cp-1 (192.0.2.1)".to_owned()] },
        Finding::OriginsElsewhere { pool: "kube-cp".to_owned(), answer: "kube-cp-1 192.0.2.1".to_owned(), origins: "kube-cp-1 (192.0.2.9)".to_owned() },
        Finding::OriginsWithoutWeight { pool: "kube-cp".to_owned(), answer: "kube-cp-1 192.0.2.1".to_owned(), origins: "kube-cp-1 (192.0.2.9)".to_owned() },
        Finding::BalancerMissing { name: pool(), pool: "kube-cp".to_owned() },
        Finding::BalancerForeign { name: pool(), belonging: "belongs to the Daymark of prod-2".to_owned(), mark: "managed by daymark".to_owned() },
        Finding::BalancerDisabled { name: pool() },
        Finding::BalancerUnused { name: pool(), pool: "kube-cp".to_owned() },
        Finding::BalancerFallsBack { name: pool(), pool: "kube-cp".to_owned() },
        Finding::BalancerOverridden { name: pool(), field: "rules" },
        Finding::BalancerProxied { name: pool(), port: 6443 },
        Finding::FallbackDisabled { name: pool(), pool: "kube-cp".to_owned() },
        Finding::BalancerTtl { name: pool(), ttl: Duration::from_mins(1), detection: Duration::from_millis(6300) },
        Finding::Contested { drift: "someone else has deleted the record".to_owned() },
        Finding::DeletedAgain { drift: "someone else has deleted the record".to_owned() },
        Finding::EarlierAnswer { family: Family::Ipv4, addresses: vec!["192.0.2.1".parse().unwrap()] },
    ]
}

/// The number of a variant. A new one does not compile until it has a number, and then needs a sample above.
#[rustfmt::skip]
fn number(finding: &Finding) -> usize {
    match finding {
        Finding::TokenInactive { .. } => 0,
        Finding::ZoneUnseen { .. } => 1,
        Finding::ZoneAmbiguous { .. } => 2,
        Finding::ZoneElsewhere { .. } => 3,
        Finding::ZoneNearer { .. } => 4,
        Finding::ZoneSecondary { .. } => 5,
        Finding::ZonePartial { .. } => 6,
        Finding::ZoneInternal { .. } => 7,
        Finding::ZoneInactive { .. } => 8,
        Finding::TtlRaised { .. } => 9,
        Finding::RecordForeign { .. } => 10,
        Finding::RecordOfOther { .. } => 11,
        Finding::RecordAlias { .. } => 12,
        Finding::RecordDelegates { .. } => 13,
        Finding::RecordHidden { .. } => 14,
        Finding::RecordsBehindBalancer { .. } => 15,
        Finding::PoolMissing { .. } => 16,
        Finding::PoolForeign { .. } => 17,
        Finding::PoolDisabled { .. } => 18,
        Finding::PoolMonitored { .. } => 19,
        Finding::PoolShedsLoad { .. } => 20,
        Finding::PoolBelowMinimum { .. } => 21,
        Finding::PoolShared { .. } => 22,
        Finding::OriginMissing { .. } => 23,
        Finding::OriginTwice { .. } => 24,
        Finding::OriginWeightless { .. } => 25,
        Finding::OriginPrivate { .. } => 26,
        Finding::OriginsElsewhere { .. } => 27,
        Finding::OriginsWithoutWeight { .. } => 28,
        Finding::BalancerMissing { .. } => 29,
        Finding::BalancerForeign { .. } => 30,
        Finding::BalancerDisabled { .. } => 31,
        Finding::BalancerUnused { .. } => 32,
        Finding::BalancerFallsBack { .. } => 33,
        Finding::BalancerOverridden { .. } => 34,
        Finding::BalancerProxied { .. } => 35,
        Finding::FallbackDisabled { .. } => 36,
        Finding::BalancerTtl { .. } => 37,
        Finding::Contested { .. } => 38,
        Finding::DeletedAgain { .. } => 39,
        Finding::EarlierAnswer { .. } => 40,
    }
}

/// The verbs with which the last part of a message asks for an action.
const ACTIONS: [&str; 17] = [
    "create", "check", "set", "use", "add", "delegate", "delete", "give", "make", "enable", "detach", "keep", "remove",
    "undo", "find out", "shorten", "correct",
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
