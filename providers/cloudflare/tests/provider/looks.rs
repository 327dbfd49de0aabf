//! When it looks again whether what was published still stands.

use std::time::Duration;

use daymark_fake_cloudflare::{Fault, Matching, When};
use daymark_provider::{Provider, PublishError};

use crate::scene::{ONE, Scene, TWO, addresses, decision, publish, sentence};

const USUALLY: Option<Duration> = Some(Duration::from_mins(5));
const SOON: Option<Duration> = Some(Duration::from_secs(30));

/// The time after which a look is due, and in which Cloudflare counts calls.
async fn a_window_passes() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(5)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_look_that_is_left_out_for_want_of_calls_is_no_success_and_is_told_as_what_it_is() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    scene.cloudflare.world().rate.spend(1_150);
    publish(&provider, 1, &[ONE]).await;
    let calls = scene.cloudflare.calls().len();
    let error = provider.publish(&decision(1, &[ONE])).await.unwrap_err();
    let said = sentence(&error);
    assert!(matches!(error, PublishError::Unlooked { pause, .. } if pause == SOON), "{said}");
    assert!(said.starts_with("published, but not looked at again: lb.kube-cp.com: few calls are left"), "{said}");
    assert_eq!(scene.cloudflare.calls().len(), calls);
}

#[tokio::test]
async fn a_look_while_every_call_is_refused_says_until_when() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    publish(&provider, 1, &[ONE]).await;
    scene.cloudflare.play(Fault::TooMany { retry_after: Some(60) }, Matching::any());
    assert_eq!(provider.check().await, None);
    for _ in 0..2 {
        let said = sentence(&provider.publish(&decision(1, &[ONE])).await.unwrap_err());
        assert!(said.contains("refuses reading Load Balancing pools like all calls until"), "{said}");
    }
}

#[tokio::test]
async fn a_new_decision_is_published_though_the_look_that_was_due_is_left_out_and_that_follows_soon() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    publish(&provider, 1, &[ONE]).await;
    assert_eq!(provider.look_again(), USUALLY);
    a_window_passes().await;
    scene.cloudflare.world().rate.spend(1_150);
    provider.check().await.unwrap();
    scene.edit_origin(&scene.ids.pool, "kube-cp-2", "enabled", true);
    let calls = scene.cloudflare.calls().len();
    publish(&provider, 2, &[ONE]).await;
    assert_eq!((scene.cloudflare.calls().len(), provider.look_again()), (calls, SOON), "it shows the same");

    a_window_passes().await;
    publish(&provider, 2, &[ONE]).await;
    assert_eq!((scene.enabled("kube-cp"), provider.look_again()), (addresses(&[ONE]), USUALLY));
}

#[tokio::test]
async fn after_a_write_whose_fate_is_unclear_the_next_two_looks_come_soon() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    publish(&provider, 1, &[ONE]).await;
    for fault in [Fault::CutBefore, Fault::CutAfter] {
        scene.cloudflare.play(fault, Matching::method("PATCH"));
        provider.publish(&decision(2, &[ONE, TWO])).await.unwrap_err();
        assert_eq!(provider.look_again(), SOON, "{fault:?}");
        publish(&provider, 2, &[ONE, TWO]).await;
        assert_eq!(provider.look_again(), SOON, "{fault:?}");
        publish(&provider, 2, &[ONE, TWO]).await;
        assert_eq!(provider.look_again(), USUALLY, "{fault:?}");
        scene.edit_origin(&scene.ids.pool, "kube-cp-2", "enabled", false);
    }
}

#[tokio::test]
async fn what_reads_back_otherwise_than_written_is_looked_at_again_soon() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    let pool = scene.ids.pool.clone();
    scene.cloudflare.edit(When::After, Matching::method("PATCH"), move |world| {
        for origin in world.pool(&pool)["origins"].as_array_mut().unwrap() {
            origin["enabled"] = true.into();
        }
    });
    provider.publish(&decision(1, &[ONE])).await.unwrap_err();
    publish(&provider, 1, &[ONE]).await;
    assert_eq!(provider.look_again(), SOON);
}
