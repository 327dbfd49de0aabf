//! What it costs when nothing happens.

use std::time::Duration;

use daymark_cloudflare::Cloudflare;

use crate::scene::{Scene, public};
use crate::stage::{Stage, freeze};

/// Publishes, and counts the calls of the hour after: those that read, and those that write.
async fn an_hour(scene: &Scene, provider: Cloudflare) -> (usize, usize) {
    let _frozen = freeze();
    let stage = Stage::begin(provider, public(1));
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
    let scene = Scene::public().await;
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

#[tokio::test]
async fn while_something_is_found_an_hour_has_a_check_with_each_look_and_no_write() {
    let scene = Scene::public().await;
    scene.cloudflare.world().pool(&scene.ids.pool)["monitor"] = "f1aba936b94213e5b8dca0c0dbf1f9cc".into();
    // A look is one call; a check asks for the token, the pools, the zone and the balancers.
    assert_eq!(an_hour(&scene, scene.pools()).await, (12 * (1 + 4), 0));
}
