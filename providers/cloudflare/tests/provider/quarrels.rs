//! Others who write the same: an operator, and a second updater by mistake.

use daymark_cloudflare::Cloudflare;
use daymark_cloudflare_standin::{Matching, When};
use daymark_provider::{Provider, PublishError};

use crate::scene::{ONE, Scene, THREE, TWO, addresses, decision, publish, sentence};

#[tokio::test]
async fn what_an_operator_switches_by_hand_is_set_right_twice_and_then_left() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    publish(&provider, 1, &[ONE, TWO, THREE]).await;
    for _ in 0..2 {
        scene.edit_origin(&scene.ids.pool, "kube-cp-1", "enabled", false);
        publish(&provider, 1, &[ONE, TWO, THREE]).await;
        assert_eq!(scene.enabled("kube-cp"), addresses(&[ONE, TWO, THREE]));
    }
    let writes = scene.writes().len();
    scene.edit_origin(&scene.ids.pool, "kube-cp-1", "enabled", false);
    for _ in 0..5 {
        let error = provider.publish(&decision(1, &[ONE, TWO, THREE])).await.unwrap_err();
        assert!(matches!(error, PublishError::Refused(_)));
        let said = sentence(&error);
        assert!(said.contains("someone else has disabled the origin kube-cp-1 (192.0.2.1) again and again"), "{said}");
    }
    assert_eq!(scene.writes().len(), writes, "and nothing is written any more");

    publish(&provider, 2, &[TWO, THREE]).await;
    publish(&provider, 3, &[ONE, TWO, THREE]).await;
    assert_eq!(scene.enabled("kube-cp"), addresses(&[ONE, TWO, THREE]), "the next change of the answer counts again");
}

#[tokio::test]
async fn the_last_node_of_the_answer_is_switched_on_however_often_it_is_switched_off() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    publish(&provider, 1, &[ONE]).await;
    for _ in 0..6 {
        scene.edit_origin(&scene.ids.pool, "kube-cp-1", "enabled", false);
        publish(&provider, 1, &[ONE]).await;
        assert_eq!(scene.enabled("kube-cp"), addresses(&[ONE]));
    }
}

/// Lets two updaters look in turns, and gives how often they wrote.
async fn quarrel(scene: &Scene, (one, here): (&Cloudflare, &[&str]), (two, there): (&Cloudflare, &[&str])) -> usize {
    let before = scene.writes().len();
    for _ in 0..40 {
        // That it is refused to one is what is looked for.
        let _ = one.publish(&decision(1, here)).await;
        let _ = two.publish(&decision(1, there)).await;
    }
    scene.writes().len() - before
}

#[tokio::test]
async fn two_updaters_that_agree_write_once() {
    let scene = Scene::new().await;
    let writes = quarrel(&scene, (&scene.pools(), &[ONE, TWO]), (&scene.pools(), &[ONE, TWO])).await;
    assert_eq!(writes, 1);
}

#[tokio::test]
async fn two_updaters_of_one_pool_that_disagree_come_to_rest_and_no_origin_is_lost() {
    let scene = Scene::new().await;
    let writes = quarrel(&scene, (&scene.pools(), &[ONE, TWO]), (&scene.pools(), &[ONE, TWO, THREE])).await;
    assert!(writes <= 6, "{writes} writes");
    assert_eq!(scene.pool("kube-cp")["origins"].as_array().unwrap().len(), 3);
    assert!(scene.enabled("kube-cp").is_superset(&addresses(&[ONE, TWO])));
}

#[tokio::test]
async fn two_updaters_of_the_same_records_that_disagree_come_to_rest_with_a_record() {
    let scene = Scene::without_balancing().await;
    let writes = quarrel(&scene, (&scene.records(), &[ONE]), (&scene.records(), &[TWO])).await;
    assert!(writes <= 16, "{writes} writes");
    assert!(!scene.resolved().is_empty());
}

#[tokio::test]
async fn a_restart_does_not_begin_a_quarrel_anew() {
    let scene = Scene::new().await;
    let mut memory = None;
    let mut writes = Vec::new();
    for _ in 0..6 {
        let mode = scene.balancing("kube-cp", daymark_cloudflare::Manage::Origins);
        let provider = scene.provider_of(mode, memory);
        let _ = provider.publish(&decision(1, &[ONE, TWO])).await;
        memory = provider.memory();
        writes.push(scene.writes().len());
        scene.edit_origin(&scene.ids.pool, "kube-cp-3", "enabled", true);
    }
    assert_eq!(writes, [1, 2, 3, 3, 3, 3]);
}

#[tokio::test]
async fn a_switch_that_is_undone_before_it_is_read_back_is_not_taken_for_done() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    let pool = scene.ids.pool.clone();
    scene.cloudflare.edit(When::After, Matching::method("PATCH"), move |world| {
        for origin in world.pool(&pool)["origins"].as_array_mut().unwrap() {
            origin["enabled"] = true.into();
        }
    });
    let error = provider.publish(&decision(1, &[ONE])).await.unwrap_err();
    let said = sentence(&error);
    assert!(matches!(error, PublishError::Unavailable { .. }), "{said}");
    assert!(said.contains("what was written reads back otherwise"), "{said}");
    publish(&provider, 1, &[ONE]).await;
    assert_eq!(scene.enabled("kube-cp"), addresses(&[ONE]));
}
