//! What one run leaves to the next.

use daymark_cloudflare::{Cloudflare, Manage, Mode};
use daymark_decision::{Decision, PoolName};
use daymark_fake_cloudflare::{Fault, Matching};
use daymark_provider::{Provider, contract};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::scene::{NAME, ONE, Scene, TWO, decision, publish, sentence};

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

/// How many entries of the name a memory has.
fn size(memory: Option<&Value>) -> usize {
    memory.unwrap()["pools"][NAME].as_object().unwrap().len()
}

#[tokio::test]
async fn a_memory_does_not_grow_with_every_address_that_a_node_ever_had() {
    let scene = Scene::without_balancing().await;
    let whole = scene.balancing("daymark-lb", Manage::Full { ttl: 30 });
    for mode in [whole, Mode::Records { zone: "kube-cp.com".to_owned(), ttl: None }] {
        let (mut memory, mut sizes) = (None, Vec::new());
        for n in 1..=60 {
            let provider = scene.provider_of(mode.clone(), memory);
            let address = format!("198.51.100.{n}");
            let nodes = [("a", address.as_str(), true), ("b", TWO, false)];
            let answer = contract::answer(&PoolName::new(NAME), 1, nodes);
            provider.publish(&Decision { answers: vec![answer], generation: 1 }).await.unwrap();
            memory = provider.memory();
            sizes.push(size(memory.as_ref()));
        }
        assert_eq!(sizes[30..], [sizes[30]; 30], "{sizes:?}");
    }
}

#[tokio::test]
async fn what_was_taken_out_of_an_answer_for_long_is_still_known() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    publish(&provider, 2, &[ONE]).await;
    for _ in 0..30 {
        publish(&provider, 2, &[ONE]).await;
    }
    let add = || {
        let record =
            json!({"type": "A", "name": NAME, "content": TWO, "ttl": 60, "comment": "managed by daymark: node-2"});
        scene.cloudflare.world().add_record(&scene.ids.zone, record);
    };
    for _ in 0..2 {
        add();
        publish(&provider, 2, &[ONE]).await;
    }
    add();
    let said = sentence(&provider.publish(&decision(2, &[ONE])).await.unwrap_err());
    assert!(said.contains("someone else has added the record lb.kube-cp.com A 192.0.2.2 again and again"), "{said}");
}

#[tokio::test]
async fn a_quarrel_is_known_however_long_it_rests() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    publish(&provider, 1, &[ONE, TWO]).await;
    for _ in 0..40 {
        scene.edit_origin(&scene.ids.pool, "kube-cp-2", "enabled", false);
        // It is left alone in the end, and that is told.
        let _ = provider.publish(&decision(1, &[ONE, TWO])).await;
    }
    assert_eq!(scene.writes().len(), 3);
}

#[tokio::test]
async fn nothing_is_kept_of_a_pool_that_is_served_no_longer() {
    let scene = Scene::new().await;
    let entry = json!({"shown": true, "repaired": 0, "agreed": 0});
    let old = json!({"pools": {"old.kube-cp.com": {"it": entry}, NAME: {"it": entry}}});
    let next = restarted(&scene, Some(old));
    assert!(next.memory().unwrap()["pools"].get("old.kube-cp.com").is_none());
    assert_eq!(size(next.memory().as_ref()), 1, "what is of the name may matter for a while");
    for _ in 0..12 {
        publish(&next, 1, &[ONE]).await;
    }
    assert!(next.memory().unwrap()["pools"][NAME].get("it").is_none());
}
