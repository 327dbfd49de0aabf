//! What it costs when nothing happens.

use std::time::Duration;

use daymark_cloudflare::Cloudflare;

use crate::scene::{ONE, Scene, TWO, decision};
use crate::stage::{Stage, freeze};

/// Publishes, and counts the calls of the hour after: those that read, and those that write.
async fn an_hour(scene: &Scene, provider: Cloudflare) -> (usize, usize) {
    let _frozen = freeze();
    let stage = Stage::begin(provider, decision(1, &[ONE, TWO]));
    stage.until(&scene.cloudflare, Duration::from_secs(10), || stage.is_published()).await;
    // The checks of the start come after it.
    stage.pass(&scene.cloudflare, Duration::from_secs(5)).await;
    let (before, writes) = (scene.cloudflare.calls().len(), scene.writes().len());
    // And a little: each look is late by a part of the step in which time is moved.
    stage.pass(&scene.cloudflare, Duration::from_secs(3_630)).await;
    stage.end().await;
    let written = scene.writes().len() - writes;
    (scene.cloudflare.calls().len() - before - written, written)
}

#[tokio::test]
async fn an_hour_of_steady_state_is_twelve_reads_of_the_pool_and_no_write() {
    let scene = Scene::new().await;
    assert_eq!(an_hour(&scene, scene.pools()).await, (12, 0));
}

#[tokio::test]
async fn an_hour_of_steady_state_is_twelve_reads_of_the_records_and_no_write() {
    let scene = Scene::without_balancing().await;
    assert_eq!(an_hour(&scene, scene.records()).await, (12, 0));
}

#[tokio::test]
async fn an_hour_of_steady_state_is_twelve_reads_of_pool_and_balancer_and_no_write() {
    let scene = Scene::without_balancing().await;
    assert_eq!(an_hour(&scene, scene.whole()).await, (24, 0));
}
