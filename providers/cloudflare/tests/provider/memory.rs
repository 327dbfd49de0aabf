//! What one run leaves to the next.

use daymark_cloudflare::{Cloudflare, Manage};
use daymark_cloudflare_standin::{Fault, Matching};
use daymark_provider::Provider;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::scene::{ONE, Scene, TWO, decision, publish, sentence};

/// The next run.
fn restarted(scene: &Scene, memory: Option<Value>) -> Cloudflare {
    scene.provider_of(scene.balancing("kube-cp", Manage::Origins), memory)
}

#[tokio::test]
async fn the_next_run_makes_no_call_while_cloudflare_refuses_all_and_says_until_when() {
    let scene = Scene::new().await;
    let first = scene.pools();
    scene.cloudflare.play(Fault::TooMany { retry_after: Some(120) }, Matching::any());
    first.publish(&decision(1, &[ONE])).await.unwrap_err();
    let (memory, calls) = (first.memory().unwrap(), scene.cloudflare.calls().len());
    let until: Timestamp = memory["blocked_until"].as_str().unwrap().parse().unwrap();
    for generation in 2..5 {
        let next = restarted(&scene, Some(memory.clone()));
        let said = sentence(&next.publish(&decision(generation, &[ONE])).await.unwrap_err());
        assert!(
            said.contains(&format!("refuses reading Load Balancing pools like all calls until {until:.0}")),
            "{said}"
        );
        assert!(next.plan(&decision(generation, &[ONE])).await.outcome.is_err());
        assert_eq!(next.check().await, None);
    }
    assert_eq!(scene.cloudflare.calls().len(), calls);
}

#[tokio::test]
async fn a_block_that_is_over_is_no_longer_in_the_memory() {
    let scene = Scene::new().await;
    let mut memory = scene.pools().memory().unwrap();
    memory["blocked_until"] = json!("2026-01-01T00:00:00Z");
    let next = restarted(&scene, Some(memory));
    publish(&next, 1, &[ONE]).await;
    assert_eq!(next.memory().unwrap().get("blocked_until"), None);
}

#[tokio::test]
async fn a_memory_from_before_blocks_were_remembered_is_still_read() {
    let scene = Scene::new().await;
    let entry = json!({"shown": true, "repaired": 2, "agreed": 0});
    let old = json!({"pools": {"lb.kube-cp.com": {"kube-cp-2 (192.0.2.2)": entry}}});
    scene.edit_origin(&scene.ids.pool, "kube-cp-2", "enabled", false);
    let said = sentence(&restarted(&scene, Some(old)).publish(&decision(1, &[ONE, TWO])).await.unwrap_err());
    assert!(said.contains("someone else has disabled the origin kube-cp-2 (192.0.2.2) again and again"), "{said}");
}
