//! Other writers of the same objects: an operator, and a second updater by mistake.

use daymark_cloudflare::{Cloudflare, Manage};
use daymark_decision::Decision;
use daymark_decision::fixtures::pool_name;
use daymark_fake_cloudflare::{RequestMatcher, When};
use daymark_provider::contract::{self, AnswerNode, node_in, node_out};
use daymark_provider::{ApplyError, RemoteProvider};
use serde_json::json;

use crate::fixture::{Fixture, NAME, ONE, THREE, TWO, addresses, decision, message_of, publish};

#[tokio::test]
async fn what_an_operator_switches_by_hand_is_set_right_twice_and_then_left() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE, TWO, THREE]).await;
    for _ in 0..2 {
        fixture.edit_origin(&fixture.ids.pool, "kube-cp-1", "enabled", false);
        publish(&provider, 1, &[ONE, TWO, THREE]).await;
        assert_eq!(fixture.enabled("kube-cp"), addresses(&[ONE, TWO, THREE]));
    }
    let writes = fixture.writes().len();
    fixture.edit_origin(&fixture.ids.pool, "kube-cp-1", "enabled", false);
    for _ in 0..5 {
        let error = provider.apply(&decision(1, &[ONE, TWO, THREE])).await.outcome.unwrap_err();
        assert!(matches!(error, ApplyError::Refused(_)));
        let message = message_of(&error);
        assert!(
            message.contains("someone else has disabled the origin kube-cp-1 (192.0.2.1) again and again"),
            "{message}"
        );
    }
    assert_eq!(fixture.writes().len(), writes, "and nothing is written any more");

    publish(&provider, 2, &[TWO, THREE]).await;
    publish(&provider, 3, &[ONE, TWO, THREE]).await;
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[ONE, TWO, THREE]), "the next change of the answer counts again");
}

#[tokio::test]
async fn a_drift_check_that_repairs_something_counts_once_for_all_else() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    let all = [ONE, TWO, THREE];
    publish(&provider, 1, &all).await;
    for origin in ["kube-cp-1", "kube-cp-2", "kube-cp-3"].into_iter().flat_map(|origin| [origin; 2]) {
        fixture.edit_origin(&fixture.ids.pool, origin, "enabled", false);
        publish(&provider, 1, &all).await;
    }
    for _ in 0..5 {
        publish(&provider, 1, &all).await;
    }
    // Nine looks have found it right since, and twelve would have it forgotten.
    fixture.edit_origin(&fixture.ids.pool, "kube-cp-1", "enabled", false);
    let message = message_of(&provider.apply(&decision(1, &all)).await.outcome.unwrap_err());
    assert!(message.contains("again and again"), "{message}");
}

#[tokio::test]
async fn the_last_node_of_the_answer_is_switched_on_however_often_it_is_switched_off() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE]).await;
    for _ in 0..6 {
        fixture.edit_origin(&fixture.ids.pool, "kube-cp-1", "enabled", false);
        publish(&provider, 1, &[ONE]).await;
        assert_eq!(fixture.enabled("kube-cp"), addresses(&[ONE]));
    }
}

/// One of two updaters of the same name, and the addresses that it publishes.
struct Updater<'a> {
    provider: &'a Cloudflare,
    addresses: &'a [&'a str],
}

/// Lets two updaters publish in turns. Returns the number of their writes.
async fn alternate(fixture: &Fixture, one: Updater<'_>, two: Updater<'_>) -> usize {
    let before = fixture.writes().len();
    for _ in 0..40 {
        for updater in [&one, &two] {
            // A refusal is expected here.
            let _ = updater.provider.apply(&decision(1, updater.addresses)).await.outcome;
        }
    }
    fixture.writes().len() - before
}

#[tokio::test]
async fn two_updaters_that_agree_write_once() {
    let fixture = Fixture::new().await;
    let writes = alternate(
        &fixture,
        Updater { provider: &fixture.pools(), addresses: &[ONE, TWO] },
        Updater { provider: &fixture.pools(), addresses: &[ONE, TWO] },
    )
    .await;
    assert_eq!(writes, 1);
}

#[tokio::test]
async fn two_updaters_of_one_pool_that_disagree_come_to_rest_and_no_origin_is_lost() {
    let fixture = Fixture::new().await;
    let writes = alternate(
        &fixture,
        Updater { provider: &fixture.pools(), addresses: &[ONE, TWO] },
        Updater { provider: &fixture.pools(), addresses: &[ONE, TWO, THREE] },
    )
    .await;
    assert!(writes <= 6, "{writes} writes");
    assert_eq!(fixture.pool("kube-cp")["origins"].as_array().unwrap().len(), 3);
    assert!(fixture.enabled("kube-cp").is_superset(&addresses(&[ONE, TWO])));
}

#[tokio::test]
async fn two_updaters_of_the_same_records_that_disagree_come_to_rest_with_a_record() {
    let fixture = Fixture::without_balancing().await;
    let writes = alternate(
        &fixture,
        Updater { provider: &fixture.records(), addresses: &[ONE] },
        Updater { provider: &fixture.records(), addresses: &[TWO] },
    )
    .await;
    assert!(writes <= 16, "{writes} writes");
    assert!(!fixture.resolved().is_empty());
}

/// A decision with an answer over these nodes.
fn decision_over(nodes: &[AnswerNode]) -> Decision {
    let answer = contract::answer(&pool_name(NAME), 1, nodes.iter().cloned());
    Decision { answers: vec![answer], generation: 1 }
}

/// Lets two updaters publish in turns, and checks the name after each. Returns the last message of each.
///
/// The name always has an address. In the end neither writes any more, and each says what it leaves alone.
async fn settle(fixture: &Fixture, pool: &'static str, updaters: [(&Cloudflare, Decision); 2]) -> [String; 2] {
    let mut messages = [String::new(), String::new()];
    let mut writes = Vec::new();
    for _ in 0..30 {
        for ((updater, decision), message) in updaters.iter().zip(&mut messages) {
            *message = updater.apply(decision).await.outcome.err().map(|error| message_of(&error)).unwrap_or_default();
            assert!(!fixture.enabled(pool).is_empty(), "the name has an address");
        }
        writes.push(fixture.writes().len());
    }
    assert!(writes[9] == writes[29] && writes[29] < 24, "{writes:?} {messages:#?}");
    messages
}

#[tokio::test]
async fn two_updaters_of_one_setup_that_have_one_node_at_two_addresses_come_to_rest_with_both() {
    let kept = [ONE, TWO];
    for (others, kept) in [
        (&[][..], &kept[..]),
        (&[node_out("other", "192.0.2.9")], &kept),
        // This origin answers for both, so an end of the writes matters more.
        (&[node_in("other", "192.0.2.9")], &["192.0.2.9"]),
    ] {
        let fixture = Fixture::without_balancing().await;
        let one = fixture.whole();
        let two = fixture.whole();
        let at = |address| decision_over(&[&[node_in("node", address)], others].concat());
        let messages = settle(&fixture, "daymark-lb", [(&one, at(ONE)), (&two, at(TWO))]).await;
        assert!(fixture.enabled("daymark-lb").is_superset(&addresses(kept)), "{others:?}: {messages:#?}");
        assert!(
            messages.iter().any(|message| message.contains("again and again, so Daymark does not repair it")),
            "{messages:#?}"
        );
        assert!(
            messages.iter().any(|message| message.contains(ONE) || message.contains(TWO)),
            "by what: {messages:#?}"
        );
    }
}

#[tokio::test]
async fn two_updaters_of_one_setup_with_different_nodes_come_to_rest_with_both() {
    let fixture = Fixture::without_balancing().await;
    let one = fixture.whole();
    let two = fixture.whole();
    let sides = [(&one, decision_over(&[node_in("one", ONE)])), (&two, decision_over(&[node_in("two", TWO)]))];
    let messages = settle(&fixture, "daymark-lb", sides).await;
    assert_eq!(fixture.enabled("daymark-lb"), addresses(&[ONE, TWO]), "{messages:#?}");
    for (message, other) in messages.iter().zip(["daymark-two-ipv4 (192.0.2.2)", "daymark-one-ipv4 (192.0.2.1)"]) {
        let added = format!("someone else has added the origin {other} again and again");
        let removed = "someone else has removed";
        assert!(message.contains(&added) || message.contains(removed), "{message}");
    }
}

#[tokio::test]
async fn two_updaters_of_one_balancer_with_a_pool_each_come_to_rest() {
    let fixture = Fixture::without_balancing().await;
    let other = fixture.provider(fixture.balancing("other", Manage::Full { ttl: 60 }));
    let sides = [(&fixture.whole(), decision(1, &[ONE])), (&other, decision(1, &[TWO]))];
    let messages = settle(&fixture, "daymark-lb", sides).await;
    for field in ["default_pools", "fallback_pool", "ttl"] {
        let expected = format!("someone else has set `{field}` of the load balancer {NAME} to ");
        assert!(messages.iter().any(|message| message.contains(&expected)), "{messages:#?}");
    }
}

#[tokio::test]
async fn two_updaters_of_one_pool_each_for_another_node_come_to_rest_with_both() {
    let fixture = Fixture::new().await;
    let one = fixture.pools();
    let two = fixture.pools();
    let messages = settle(&fixture, "kube-cp", [(&one, decision(1, &[ONE])), (&two, decision(1, &[TWO]))]).await;
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[ONE, TWO]));
    for (message, other) in messages.iter().zip(["kube-cp-2 (192.0.2.2)", "kube-cp-1 (192.0.2.1)"]) {
        assert!(message.contains(&format!("someone else has enabled the origin {other} again and again")), "{message}");
    }
}

#[tokio::test]
async fn an_address_that_someone_else_gives_the_only_origin_again_and_again_is_answered_beside_ours() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    publish(&provider, 1, &[ONE]).await;
    let id = fixture.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
    let mut writes = Vec::new();
    for _ in 0..10 {
        {
            let mut store = fixture.cloudflare.store();
            let origins = store.pool(&id)["origins"].as_array_mut().unwrap();
            origins.retain(|origin| origin["name"] != "daymark-node-1-ipv4");
            origins.push(json!({"name": "daymark-node-1-ipv4", "address": "198.51.100.66", "enabled": true}));
        }
        // Other tests look at the message.
        let _ = provider.apply(&decision(1, &[ONE])).await.outcome;
        assert!(fixture.enabled("daymark-lb").is_superset(&addresses(&[ONE])));
        writes.push(fixture.writes().len());
    }
    assert_eq!(fixture.enabled("daymark-lb"), addresses(&[ONE, "198.51.100.66"]));
    assert_eq!(writes[5..], [writes[4]; 5], "{writes:?}");
}

#[tokio::test]
async fn a_conflict_is_remembered_across_restarts() {
    let fixture = Fixture::new().await;
    let mut memory = None;
    let mut writes = Vec::new();
    for _ in 0..6 {
        let mode = fixture.balancing("kube-cp", Manage::Origins);
        let provider = fixture.provider_of(mode, memory);
        let _ = provider.apply(&decision(1, &[ONE, TWO])).await.outcome;
        memory = provider.memory();
        writes.push(fixture.writes().len());
        fixture.edit_origin(&fixture.ids.pool, "kube-cp-3", "enabled", true);
    }
    assert_eq!(writes, [1, 2, 3, 3, 3, 3]);
}

#[tokio::test]
async fn a_switch_that_is_reverted_before_it_is_read_back_is_not_confirmed() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    let pool = fixture.ids.pool.clone();
    fixture.cloudflare.edit(When::After, RequestMatcher::method("PATCH"), move |store| {
        for origin in store.pool(&pool)["origins"].as_array_mut().unwrap() {
            origin["enabled"] = true.into();
        }
    });
    let error = provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    let message = message_of(&error);
    assert!(matches!(error, ApplyError::Unavailable { .. }), "{message}");
    assert!(message.contains("Cloudflare does not confirm the write"), "{message}");
    publish(&provider, 1, &[ONE]).await;
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[ONE]));
}
