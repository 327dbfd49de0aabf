//! Restarts in the middle, and others who write the same at the same time.

use std::time::Duration;

use daymark_cloudflare::Manage;
use daymark_fake_cloudflare::{Fault, Matching, When};
use serde_json::json;

use crate::scene::{ONE, Scene, THREE, TWO, addresses, decision};
use crate::stage::{Stage, freeze};

#[tokio::test]
async fn a_restart_at_any_call_of_a_change_ends_in_the_desired_state() {
    let _frozen = freeze();
    for fault in [Fault::StallBefore, Fault::StallAfter] {
        for nth in 1..=5 {
            let scene = Scene::without_balancing().await;
            let first = Stage::begin(scene.records(), decision(1, &[ONE, TWO]));
            first.until(&scene.cloudflare, Duration::from_secs(10), || first.is_published()).await;
            scene.cloudflare.play(fault, Matching::any().nth(nth));
            first.decide(decision(2, &[TWO, THREE]));
            first.pass(&scene.cloudflare, Duration::from_secs(1)).await;
            first.kill();

            let second = Stage::begin(scene.records(), decision(2, &[TWO, THREE]));
            second.until(&scene.cloudflare, Duration::from_mins(1), || second.is_published()).await;
            second.end().await;
            assert_eq!(scene.resolved(), addresses(&[TWO, THREE]), "{fault:?} at call {nth}");
        }
    }
}

#[tokio::test]
async fn two_updaters_of_one_pool_come_to_rest_in_an_hour_of_looks_and_lose_no_origin() {
    let scene = Scene::new().await;
    let _frozen = freeze();
    let one = Stage::begin(scene.pools(), decision(1, &[ONE, TWO]));
    let two = Stage::begin(scene.pools(), decision(1, &[ONE, TWO, THREE]));
    for _ in 0..60 {
        one.pass(&scene.cloudflare, Duration::from_secs(30)).await;
        two.pass(&scene.cloudflare, Duration::from_secs(30)).await;
    }
    let writes = scene.writes().len();
    assert!(writes <= 6, "{writes} writes");
    for _ in 0..120 {
        one.pass(&scene.cloudflare, Duration::from_secs(30)).await;
        two.pass(&scene.cloudflare, Duration::from_secs(30)).await;
    }
    let alarmed = [&one, &two].into_iter().filter(|it| it.progress.status().fault.is_some()).count();
    assert_eq!(alarmed, 1, "the one that has given up says so");
    one.end().await;
    two.end().await;
    assert_eq!(scene.writes().len(), writes, "two hours later");
    assert_eq!(scene.pool("kube-cp")["origins"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_operator_who_edits_the_pool_while_nodes_come_and_go_loses_no_origin() {
    let scene = Scene::new().await;
    let _frozen = freeze();
    let stage = Stage::begin(scene.pools(), decision(1, &[ONE, TWO, THREE]));
    for n in 0..20_u64 {
        let pool = scene.ids.pool.clone();
        // After the write, before it is read back: the closest that an edit can come without falling into the gap.
        scene.cloudflare.edit(When::After, Matching::method("PATCH"), move |world| {
            let origins = world.pool(&pool)["origins"].as_array_mut().unwrap();
            origins.push(json!({"name": format!("by-hand-{n}"), "address": format!("198.51.100.{n}"), "weight": 0.5}));
        });
        let answer: &[&str] = if n % 2 == 0 { &[ONE] } else { &[TWO, THREE] };
        stage.decide(decision(n + 2, answer));
        stage.until(&scene.cloudflare, Duration::from_mins(1), || stage.is_published()).await;
    }
    stage.end().await;
    let pool = scene.pool("kube-cp");
    let by_hand: Vec<_> = pool["origins"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["weight"] == 0.5 && it.get("enabled").is_none_or(|it| it == true))
        .collect();
    assert_eq!(by_hand.len(), 20);
    assert!(scene.enabled("kube-cp").is_superset(&addresses(&[TWO, THREE])));
}

#[tokio::test]
async fn a_restart_keeps_what_it_knew_of_a_quarrel() {
    let scene = Scene::new().await;
    let _frozen = freeze();
    let mut memory = None;
    let mut writes = Vec::new();
    for _ in 0..5 {
        let provider = scene.provider_of(scene.balancing("kube-cp", Manage::Origins), memory);
        let stage = Stage::begin(provider, decision(1, &[ONE, TWO]));
        stage.pass(&scene.cloudflare, Duration::from_secs(1)).await;
        memory = stage.end().await;
        writes.push(scene.writes().len());
        scene.edit_origin(&scene.ids.pool, "kube-cp-3", "enabled", true);
    }
    assert_eq!(writes, [1, 2, 3, 3, 3]);
}
