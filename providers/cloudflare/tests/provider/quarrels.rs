//! Others who write the same: an operator, and a second updater by mistake.

use daymark_cloudflare::{Cloudflare, Manage};
use daymark_decision::{Decision, PoolName};
use daymark_fake_cloudflare::{Matching, When};
use daymark_provider::{Provider, PublishError, contract};
use serde_json::json;

use crate::scene::{NAME, ONE, Scene, THREE, TWO, addresses, decision, publish, sentence};

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
async fn a_look_that_repairs_something_counts_once_for_all_else() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    let all = [ONE, TWO, THREE];
    publish(&provider, 1, &all).await;
    for origin in ["kube-cp-1", "kube-cp-2", "kube-cp-3"].into_iter().flat_map(|origin| [origin; 2]) {
        scene.edit_origin(&scene.ids.pool, origin, "enabled", false);
        publish(&provider, 1, &all).await;
    }
    for _ in 0..5 {
        publish(&provider, 1, &all).await;
    }
    // Nine looks have found it right since, and twelve would have it forgotten.
    scene.edit_origin(&scene.ids.pool, "kube-cp-1", "enabled", false);
    let said = sentence(&provider.publish(&decision(1, &all)).await.unwrap_err());
    assert!(said.contains("again and again"), "{said}");
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

/// An answer of one pool over these nodes.
fn over(nodes: &[(&str, &str, bool)]) -> Decision {
    let answer = contract::answer(&PoolName::new(NAME), 1, nodes.iter().copied());
    Decision { answers: vec![answer], generation: 1 }
}

/// Two updaters look in turns, and each time their name is looked at. Whatever they do, it has an address, and in the end
/// nobody writes any more and each says what it leaves alone.
async fn come_to_rest(scene: &Scene, pool: &'static str, sides: [(&Cloudflare, Decision); 2]) -> [String; 2] {
    let (mut said, mut writes) = (Default::default(), Vec::new());
    for _ in 0..30 {
        for (n, (updater, decision)) in sides.iter().enumerate() {
            let said: &mut [String; 2] = &mut said;
            said[n] = updater.publish(decision).await.err().map(|error| sentence(&error)).unwrap_or_default();
            assert!(!scene.enabled(pool).is_empty(), "the name has an address");
        }
        writes.push(scene.writes().len());
    }
    assert!(writes[9] == writes[29] && writes[29] < 24, "{writes:?} {said:#?}");
    said
}

#[tokio::test]
async fn two_updaters_of_one_setup_that_have_one_node_at_two_addresses_come_to_rest_with_both() {
    let kept = [ONE, TWO];
    for (others, kept) in [
        (&[][..], &kept[..]),
        (&[("other", "192.0.2.9", false)], &kept),
        // This one answers for both, so peace is worth more.
        (&[("other", "192.0.2.9", true)], &["192.0.2.9"]),
    ] {
        let scene = Scene::without_balancing().await;
        let (one, two) = (scene.whole(), scene.whole());
        let at = |address| over(&[&[("node", address, true)], others].concat());
        let said = come_to_rest(&scene, "daymark-lb", [(&one, at(ONE)), (&two, at(TWO))]).await;
        assert!(scene.enabled("daymark-lb").is_superset(&addresses(kept)), "{others:?}: {said:#?}");
        assert!(said.iter().any(|it| it.contains("again and again, and it is left so")), "{said:#?}");
        assert!(said.iter().any(|it| it.contains(ONE) || it.contains(TWO)), "by what: {said:#?}");
    }
}

#[tokio::test]
async fn two_updaters_of_one_setup_with_different_nodes_come_to_rest_with_both() {
    let scene = Scene::without_balancing().await;
    let (one, two) = (scene.whole(), scene.whole());
    let sides = [(&one, over(&[("one", ONE, true)])), (&two, over(&[("two", TWO, true)]))];
    let said = come_to_rest(&scene, "daymark-lb", sides).await;
    assert_eq!(scene.enabled("daymark-lb"), addresses(&[ONE, TWO]), "{said:#?}");
    for (said, other) in said.iter().zip(["daymark-two-ipv4 (192.0.2.2)", "daymark-one-ipv4 (192.0.2.1)"]) {
        let added = format!("someone else has added the origin {other} again and again");
        let removed = "someone else has removed";
        assert!(said.contains(&added) || said.contains(removed), "{said}");
    }
}

#[tokio::test]
async fn two_updaters_of_one_balancer_with_a_pool_each_come_to_rest() {
    let scene = Scene::without_balancing().await;
    let other = scene.provider(scene.balancing("other", Manage::Full { ttl: 60 }));
    let sides = [(&scene.whole(), decision(1, &[ONE])), (&other, decision(1, &[TWO]))];
    let said = come_to_rest(&scene, "daymark-lb", sides).await;
    for field in ["default_pools", "fallback_pool", "ttl"] {
        let told = format!("someone else has set `{field}` of the load balancer {NAME} to ");
        assert!(said.iter().any(|it| it.contains(&told)), "{said:#?}");
    }
}

#[tokio::test]
async fn two_updaters_of_one_pool_each_for_another_node_come_to_rest_with_both() {
    let scene = Scene::new().await;
    let (one, two) = (scene.pools(), scene.pools());
    let said = come_to_rest(&scene, "kube-cp", [(&one, decision(1, &[ONE])), (&two, decision(1, &[TWO]))]).await;
    assert_eq!(scene.enabled("kube-cp"), addresses(&[ONE, TWO]));
    for (said, other) in said.iter().zip(["kube-cp-2 (192.0.2.2)", "kube-cp-1 (192.0.2.1)"]) {
        assert!(said.contains(&format!("someone else has enabled the origin {other} again and again")), "{said}");
    }
}

#[tokio::test]
async fn an_address_that_someone_else_gives_the_only_origin_again_and_again_is_answered_beside_ours() {
    let scene = Scene::without_balancing().await;
    let provider = scene.whole();
    publish(&provider, 1, &[ONE]).await;
    let id = scene.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
    let mut writes = Vec::new();
    for _ in 0..10 {
        {
            let mut world = scene.cloudflare.world();
            let origins = world.pool(&id)["origins"].as_array_mut().unwrap();
            origins.retain(|it| it["name"] != "daymark-node-1-ipv4");
            origins.push(json!({"name": "daymark-node-1-ipv4", "address": "198.51.100.66", "enabled": true}));
        }
        // That it is told is looked for elsewhere.
        let _ = provider.publish(&decision(1, &[ONE])).await;
        assert!(scene.enabled("daymark-lb").is_superset(&addresses(&[ONE])));
        writes.push(scene.writes().len());
    }
    assert_eq!(scene.enabled("daymark-lb"), addresses(&[ONE, "198.51.100.66"]));
    assert_eq!(writes[5..], [writes[4]; 5], "{writes:?}");
}

#[tokio::test]
async fn a_restart_does_not_begin_a_quarrel_anew() {
    let scene = Scene::new().await;
    let mut memory = None;
    let mut writes = Vec::new();
    for _ in 0..6 {
        let mode = scene.balancing("kube-cp", Manage::Origins);
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
