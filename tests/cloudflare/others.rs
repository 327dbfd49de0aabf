//! Restarts in the middle of a change, and other writers at the same time.

use std::time::Duration;

use daymark_cloudflare::Manage;
use daymark_fake_cloudflare::{Fault, RequestMatcher, When};
use serde_json::json;

use crate::fixture::{Fixture, ONE, THREE, TWO, addresses, decision};
use crate::publisher::{PublisherFixture, freeze};

#[tokio::test]
async fn a_restart_at_any_call_of_a_change_ends_in_the_desired_state() {
    let _frozen = freeze();
    for fault in [Fault::StallBefore, Fault::StallAfter] {
        for nth in 1..=5 {
            let fixture = Fixture::without_balancing().await;
            let first = PublisherFixture::begin(fixture.records(), decision(1, &[ONE, TWO]));
            first.until(&fixture.cloudflare, Duration::from_secs(10), || first.is_published()).await;
            fixture.cloudflare.inject(fault, RequestMatcher::any().nth(nth));
            first.decide(decision(2, &[TWO, THREE]));
            first.pass(&fixture.cloudflare, Duration::from_secs(1)).await;
            first.kill();

            let second = PublisherFixture::begin(fixture.records(), decision(2, &[TWO, THREE]));
            second.until(&fixture.cloudflare, Duration::from_mins(1), || second.is_published()).await;
            second.end().await;
            assert_eq!(fixture.resolved(), addresses(&[TWO, THREE]), "{fault:?} at call {nth}");
        }
    }
}

#[tokio::test]
async fn two_updaters_of_one_pool_settle_within_an_hour_of_drift_checks_and_lose_no_origin() {
    let fixture = Fixture::new().await;
    let _frozen = freeze();
    let one = PublisherFixture::begin(fixture.pools(), decision(1, &[ONE, TWO]));
    let two = PublisherFixture::begin(fixture.pools(), decision(1, &[ONE, TWO, THREE]));
    for _ in 0..60 {
        one.pass(&fixture.cloudflare, Duration::from_secs(30)).await;
        two.pass(&fixture.cloudflare, Duration::from_secs(30)).await;
    }
    let writes = fixture.writes().len();
    assert!(writes <= 6, "{writes} writes");
    for _ in 0..120 {
        one.pass(&fixture.cloudflare, Duration::from_secs(30)).await;
        two.pass(&fixture.cloudflare, Duration::from_secs(30)).await;
    }
    let alarmed = [&one, &two].into_iter().filter(|publisher| publisher.progress.status().error.is_some()).count();
    assert_eq!(alarmed, 1, "the one that has given up says so");
    one.end().await;
    two.end().await;
    assert_eq!(fixture.writes().len(), writes, "two hours later");
    assert_eq!(fixture.pool("kube-cp")["origins"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_operator_who_edits_the_pool_while_nodes_come_and_go_loses_no_origin() {
    let fixture = Fixture::new().await;
    // More than an account has without an Enterprise plan.
    fixture.cloudflare.store().account(&fixture.ids.account).max_origins = 100;
    let _frozen = freeze();
    let publisher = PublisherFixture::begin(fixture.pools(), decision(1, &[ONE, TWO, THREE]));
    for n in 0..20_u64 {
        let pool = fixture.ids.pool.clone();
        // After the write, before it is read back: the closest that an edit can come without falling into the gap.
        fixture.cloudflare.edit(When::After, RequestMatcher::method("PATCH"), move |store| {
            let origins = store.pool(&pool)["origins"].as_array_mut().unwrap();
            origins.push(json!({"name": format!("by-hand-{n}"), "address": format!("198.51.100.{n}"), "weight": 0.5}));
        });
        let answer: &[&str] = if n % 2 == 0 { &[ONE] } else { &[TWO, THREE] };
        publisher.decide(decision(n + 2, answer));
        publisher.until(&fixture.cloudflare, Duration::from_mins(1), || publisher.is_published()).await;
    }
    publisher.end().await;
    let pool = fixture.pool("kube-cp");
    let by_hand: Vec<_> = pool["origins"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|origin| origin["weight"] == 0.5 && origin.get("enabled").is_none_or(|enabled| enabled == true))
        .collect();
    assert_eq!(by_hand.len(), 20);
    assert!(fixture.enabled("kube-cp").is_superset(&addresses(&[TWO, THREE])));
}

#[tokio::test]
async fn a_restart_keeps_the_memory_of_a_conflict() {
    let fixture = Fixture::new().await;
    let _frozen = freeze();
    let mut memory = None;
    let mut writes = Vec::new();
    for _ in 0..5 {
        let provider = fixture.provider_of(fixture.balancing("kube-cp", Manage::Origins), memory);
        let publisher = PublisherFixture::begin(provider, decision(1, &[ONE, TWO]));
        publisher.pass(&fixture.cloudflare, Duration::from_secs(1)).await;
        memory = publisher.end().await;
        writes.push(fixture.writes().len());
        fixture.edit_origin(&fixture.ids.pool, "kube-cp-3", "enabled", true);
    }
    assert_eq!(writes, [1, 2, 3, 3, 3]);
}
