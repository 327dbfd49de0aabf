//! A hostile environment: nodes that trade addresses, other writers, lagging reads, and foreign objects that look like ours.

use daymark_cloudflare::{Manage, PublishMode};
use daymark_decision::Decision;
use daymark_decision::fixtures::pool_name;
use daymark_fake_cloudflare::{Fault, RequestMatcher, When};
use daymark_provider::contract::{self, AnswerNode, node_in, node_out};
use daymark_provider::{ApplyError, RemoteProvider};
use serde_json::json;

use crate::fixture::{Fixture, NAME, ONE, THREE, TWO, addresses, decision, message_of, publish};

fn decision_over(generation: u64, nodes: &[AnswerNode]) -> Decision {
    let answer = contract::answer(&pool_name(NAME), generation, nodes.iter().cloned());
    Decision { answers: vec![answer], generation }
}

fn outcome_text(outcome: Result<(), ApplyError>) -> String {
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!(
            "{} :: {}",
            if matches!(error, ApplyError::Refused(_)) { "REFUSED" } else { "UNAVAILABLE" },
            message_of(&error)
        ),
    }
}

#[tokio::test]
async fn a_node_that_takes_the_address_of_a_removed_one() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    outcome_text(
        provider
            .apply(&decision_over(
                1,
                &[node_in("a", "192.0.2.1"), node_in("b", "192.0.2.2"), node_in("c", "192.0.2.3")],
            ))
            .await
            .outcome,
    );
    let mut messages = Vec::new();
    for n in 2..5 {
        // c dead, b has the address of a, a is gone
        messages.push(outcome_text(
            provider.apply(&decision_over(n, &[node_in("b", "192.0.2.1"), node_out("c", "192.0.2.3")])).await.outcome,
        ));
    }
    assert_eq!(
        fixture.enabled("daymark-lb"),
        addresses(&["192.0.2.1"]),
        "{messages:#?} {:#}",
        fixture.pool("daymark-lb")["origins"]
    );
}

#[tokio::test]
async fn a_node_whose_address_changes_three_times() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    let mut messages = Vec::new();
    for n in 1..6_u8 {
        let address = format!("192.0.2.{}", 10 + n);
        messages.push(outcome_text(
            provider
                .apply(&decision_over(n.into(), &[node_in("a", &address), node_in("b", "192.0.2.2")]))
                .await
                .outcome,
        ));
        assert!(fixture.enabled("daymark-lb").contains(&address.parse().unwrap()), "change {n}: {messages:#?}");
    }
}

#[tokio::test]
async fn a_ttl_that_is_configured_anew_comes_over_restarts() {
    let fixture = Fixture::without_balancing().await;
    let mut memory = None;
    let mut messages = Vec::new();
    for ttl in [60, 120, 300, 60, 120] {
        let provider =
            fixture.provider_of(PublishMode::Records { zone: Some("kube-cp.com".into()), ttl: Some(ttl) }, memory);
        messages.push(outcome_text(provider.apply(&decision(1, &[ONE])).await.outcome));
        memory = provider.memory();
        let store = fixture.cloudflare.store();
        let ttl_now =
            store.zones[&fixture.ids.zone].records.values().find(|record| record["name"] == NAME).unwrap()["ttl"]
                .clone();
        assert_eq!(ttl_now, json!(ttl), "{messages:#?}");
    }
}

#[tokio::test]
async fn a_pool_of_its_own_is_enabled_however_often() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    publish(&provider, 1, &[ONE]).await;
    for n in 0..5 {
        let id = fixture.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
        fixture.cloudflare.store().pool(&id)["enabled"] = false.into();
        let message = outcome_text(provider.apply(&decision(1, &[ONE])).await.outcome);
        assert_eq!(fixture.pool("daymark-lb")["enabled"], true, "{n}: {message}");
    }
}

#[tokio::test]
async fn a_balancer_of_its_own_is_enabled_and_unproxied_however_often() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    publish(&provider, 1, &[ONE]).await;
    for (field, right) in [("enabled", true), ("proxied", false)] {
        let seen = |set: Option<bool>| {
            let mut store = fixture.cloudflare.store();
            let balancer = store.zones.get_mut(&fixture.ids.zone).unwrap().balancers.values_mut().next().unwrap();
            if let Some(set) = set {
                balancer[field] = set.into();
            }
            balancer[field].clone()
        };
        for n in 0..5 {
            seen(Some(!right));
            let message = outcome_text(provider.apply(&decision(1, &[ONE])).await.outcome);
            assert_eq!(seen(None), right, "{field} {n}: {message}");
        }
    }
}

#[tokio::test]
async fn a_record_that_another_has_deleted_meanwhile_is_no_fault() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    let zone = fixture.ids.zone.clone();
    fixture.cloudflare.edit(When::Before, RequestMatcher::method("DELETE"), move |store| {
        store.zones.get_mut(&zone).unwrap().records.retain(|_, record| record["content"] != TWO);
    });
    let message = outcome_text(provider.apply(&decision(2, &[ONE])).await.outcome);
    assert_eq!(fixture.resolved(), addresses(&[ONE]));
    assert_eq!(message, "ok");
}

#[tokio::test]
async fn a_record_that_another_has_added_meanwhile_is_no_fault() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE]).await;
    let zone = fixture.ids.zone.clone();
    fixture.cloudflare.edit(When::Before, RequestMatcher::method("POST"), move |store| {
        store.add_record(&zone, json!({"type": "A", "name": NAME, "content": TWO, "ttl": 60, "proxied": false, "comment": "managed by daymark: node-2"}));
    });
    let message = outcome_text(provider.apply(&decision(2, &[ONE, TWO])).await.outcome);
    assert_eq!(fixture.resolved(), addresses(&[ONE, TWO]));
    assert_eq!(message, "ok");
}

#[tokio::test]
async fn a_drift_check_that_failed_is_not_a_success_when_few_calls_are_left() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE]).await;
    fixture.edit_origin(&fixture.ids.pool, "kube-cp-2", "enabled", true);
    fixture.cloudflare.inject(Fault::Status(500), RequestMatcher::method("PATCH"));
    let first = outcome_text(provider.apply(&decision(1, &[ONE])).await.outcome);
    fixture.cloudflare.store().rate_limit.spend(1_150);
    fixture.cloudflare.inject(Fault::Status(500), RequestMatcher::method("GET"));
    let second = outcome_text(provider.apply(&decision(1, &[ONE])).await.outcome);
    let third = outcome_text(provider.apply(&decision(1, &[ONE])).await.outcome);
    assert!(third != "ok" || fixture.enabled("kube-cp") == addresses(&[ONE]), "{first} / {second} / {third}");
}

#[tokio::test]
async fn reads_that_lag_are_nobodys_edits() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    let mut messages = Vec::new();
    for _ in 0..3 {
        let pool = fixture.ids.pool.clone();
        fixture.cloudflare.edit(When::After, RequestMatcher::method("PATCH"), move |store| {
            for origin in store.pool(&pool)["origins"].as_array_mut().unwrap() {
                origin["enabled"] = true.into();
            }
        });
    }
    for _ in 0..5 {
        messages.push(outcome_text(provider.apply(&decision(1, &[ONE])).await.outcome));
    }
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[ONE]), "{messages:#?}");
}

#[tokio::test]
async fn a_pool_that_another_name_has_made_is_not_taken() {
    let fixture = Fixture::new().await;
    {
        let mut store = fixture.cloudflare.store();
        store.zones.get_mut(&fixture.ids.zone).unwrap().balancers.clear();
        let pool = store.pool(&fixture.ids.pool);
        pool["description"] = json!("managed by daymark for lb.other-cluster.com");
        for (n, o) in pool["origins"].as_array_mut().unwrap().iter_mut().enumerate() {
            o["name"] = json!(format!("daymark-other-{n}-ipv4"));
            o["address"] = json!(format!("198.51.100.{n}"));
        }
    }
    let provider = fixture.provider(fixture.balancing("kube-cp", Manage::Full { ttl: 30 }));
    let message = outcome_text(provider.apply(&decision(1, &[ONE, TWO])).await.outcome);
    assert!(
        fixture.pool("kube-cp").to_string().contains("daymark-other"),
        "{message} {:#}",
        fixture.pool("kube-cp")["origins"]
    );
}

#[tokio::test]
async fn a_whole_setup_may_be_named_by_the_id_of_its_pool() {
    let fixture = Fixture::new().await;
    {
        let mut store = fixture.cloudflare.store();
        store.zones.get_mut(&fixture.ids.zone).unwrap().balancers.clear();
        store.pool(&fixture.ids.pool)["description"] = json!("managed by daymark");
    }
    let provider = fixture.provider(fixture.balancing(&fixture.ids.pool, Manage::Full { ttl: 30 }));
    let message = outcome_text(provider.apply(&decision(1, &[ONE, TWO])).await.outcome);
    assert_eq!(
        fixture.cloudflare.store().accounts[&fixture.ids.account].pools.len(),
        1,
        "{message} {:?}",
        fixture.writes()
    );
}

#[tokio::test]
async fn an_origin_that_another_tool_takes_out_at_every_run_of_it() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    publish(&provider, 1, &[ONE, TWO]).await;
    let before = fixture.writes().len();
    let mut messages = Vec::new();
    for _ in 0..20 {
        let id = fixture.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
        fixture.cloudflare.store().pool(&id)["origins"]
            .as_array_mut()
            .unwrap()
            .retain(|origin| origin["name"] != "daymark-node-2-ipv4");
        messages.push(outcome_text(provider.apply(&decision(1, &[ONE, TWO])).await.outcome));
    }
    assert!(fixture.writes().len() - before <= 2, "{} writes, {messages:?}", fixture.writes().len() - before);
}

#[tokio::test]
async fn a_conflict_is_remembered_while_another_node_flaps() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE, TWO, THREE]).await;
    let mut n = 1;
    let mut repaired = 0;
    for _ in 0..10 {
        // node 3 flaps
        for _ in 0..6 {
            n += 1;
            let _ =
                provider.apply(&decision(n, if n % 2 == 0 { &[ONE, TWO] } else { &[ONE, TWO, THREE] })).await.outcome;
        }
        fixture.edit_origin(&fixture.ids.pool, "kube-cp-1", "enabled", false);
        let _ = provider.apply(&decision(n, &[ONE, TWO, THREE])).await.outcome;
        repaired += usize::from(fixture.enabled("kube-cp").contains(&ONE.parse().unwrap()));
        if !fixture.enabled("kube-cp").contains(&ONE.parse().unwrap()) {
            break;
        }
    }
    assert!(repaired <= 2, "{repaired} repairs");
}

#[tokio::test]
async fn an_address_spelled_otherwise() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    publish(&provider, 1, &[ONE, THREE]).await;
    let id = fixture.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
    fixture.edit_origin(&id, "daymark-node-3-ipv6", "address", "2001:DB8:0::3");
    let before = fixture.writes().len();
    publish(&provider, 1, &[ONE, THREE]).await;
    assert_eq!(fixture.writes().len(), before);
}

#[tokio::test]
async fn a_comment_that_only_begins_like_the_mark_is_foreign() {
    let fixture = Fixture::without_balancing().await;
    fixture.cloudflare.store().add_record(
        &fixture.ids.zone,
        json!({"type": "A", "name": NAME, "content": "192.0.2.50", "ttl": 300, "comment": "managed by daymarketing"}),
    );
    let provider = fixture.records();
    let message = outcome_text(provider.apply(&decision(1, &[ONE])).await.outcome);
    assert!(fixture.resolved().contains(&"192.0.2.50".parse().unwrap()), "{message}");
}

#[tokio::test]
async fn a_pool_that_is_handed_over_is_kept_with_its_origins() {
    let fixture = Fixture::new().await;
    publish(&fixture.pools(), 1, &[ONE, TWO]).await;
    {
        let mut store = fixture.cloudflare.store();
        store.pool(&fixture.ids.pool)["description"] = json!("managed by daymark");
        store.balancer(&fixture.ids.balancer)["description"] = json!("managed by daymark");
    }
    let provider = fixture.provider(fixture.balancing("kube-cp", Manage::Full { ttl: 30 }));
    let message = outcome_text(provider.apply(&decision(1, &[TWO, THREE])).await.outcome);
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[TWO, THREE]), "{message}");
    assert_eq!(fixture.pool("kube-cp")["origins"].as_array().unwrap().len(), 3, "{:#}", fixture.pool("kube-cp"));
}

#[tokio::test]
async fn nodes_that_swap_their_names() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    outcome_text(
        provider.apply(&decision_over(1, &[node_in("a", "192.0.2.1"), node_in("b", "192.0.2.2")])).await.outcome,
    );
    let message = outcome_text(
        provider.apply(&decision_over(2, &[node_in("b", "192.0.2.1"), node_out("a", "192.0.2.2")])).await.outcome,
    );
    assert_eq!(
        fixture.enabled("daymark-lb"),
        addresses(&["192.0.2.1"]),
        "{message:#?} {:#}",
        fixture.pool("daymark-lb")["origins"]
    );
}

#[tokio::test]
async fn a_foreign_record_with_an_address_of_the_answer_lets_the_dead_ones_go() {
    // the operator takes the mark from the only record
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    {
        let mut store = fixture.cloudflare.store();
        for record in store.zones.get_mut(&fixture.ids.zone).unwrap().records.values_mut() {
            if record["content"] == ONE {
                record["comment"] = json!("mine");
            }
        }
    }
    let mut messages = vec![outcome_text(provider.apply(&decision(2, &[ONE])).await.outcome)];
    messages.push(outcome_text(provider.apply(&decision(2, &[ONE])).await.outcome));
    // TWO is dead; a foreign ONE is there, and ours cannot be added: is the dead one gone?
    assert_eq!(fixture.resolved(), addresses(&[ONE]), "{messages:#?}");
}

#[tokio::test]
async fn an_origin_of_someone_else_at_the_address_of_a_node_serves_it() {
    // an operator's duplicate of the address in the own pool
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    publish(&provider, 1, &[ONE, TWO]).await;
    let id = fixture.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
    fixture.cloudflare.store().pool(&id)["origins"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "by-hand", "address": "192.0.2.9", "enabled": true}));
    let mut messages = Vec::new();
    for n in 2..4 {
        messages.push(outcome_text(
            provider
                .apply(&decision_over(
                    n,
                    &[node_in("node-1", "192.0.2.9"), node_out("node-2", TWO), node_out("node-3", THREE)],
                ))
                .await
                .outcome,
        ));
    }
    assert!(!fixture.enabled("daymark-lb").contains(&TWO.parse().unwrap()), "{messages:#?}");
}

#[tokio::test]
async fn the_only_record_is_unproxied_however_often() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE]).await;
    for n in 0..4 {
        {
            let mut store = fixture.cloudflare.store();
            let record = store
                .zones
                .get_mut(&fixture.ids.zone)
                .unwrap()
                .records
                .values_mut()
                .find(|record| record["name"] == NAME)
                .unwrap();
            (record["ttl"], record["proxied"]) = (json!(1), json!(true));
        }
        let message = outcome_text(provider.apply(&decision(1, &[ONE])).await.outcome);
        let store = fixture.cloudflare.store();
        assert_eq!(
            store.zones[&fixture.ids.zone].records.values().find(|record| record["name"] == NAME).unwrap()["proxied"],
            false,
            "{n} {message}"
        );
    }
}

#[tokio::test]
async fn the_pool_is_deleted_or_replaced_behind() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    publish(&provider, 1, &[ONE]).await;
    {
        let mut store = fixture.cloudflare.store();
        store
            .zones
            .get_mut(&fixture.ids.zone)
            .unwrap()
            .balancers
            .values_mut()
            .for_each(|balancer| balancer["default_pools"] = json!(["f1aba936b94213e5b8dca0c0dbf1f9cc"]));
        store.accounts.get_mut(&fixture.ids.account).unwrap().pools.clear();
    }
    let message = outcome_text(provider.apply(&decision(1, &[ONE])).await.outcome);
    assert_eq!(message, "ok");
    assert_eq!(fixture.enabled("daymark-lb"), addresses(&[ONE]), "{message}");
}

#[tokio::test]
async fn two_updaters_of_one_setup_that_disagree_come_to_rest() {
    let fixture = Fixture::without_balancing().await;
    let one = fixture.whole();
    let two = fixture.whole();
    let mut writes = Vec::new();
    let mut messages = Vec::new();
    for _ in 0..60 {
        let a = outcome_text(one.apply(&decision_over(1, &[node_in("a", ONE), node_in("b", TWO)])).await.outcome);
        let b = outcome_text(two.apply(&decision_over(1, &[node_in("a", ONE)])).await.outcome);
        messages = vec![a, b];
        writes.push(fixture.writes().len());
    }
    assert!(*writes.last().unwrap() <= 8, "{writes:?} {messages:#?}");
}

#[tokio::test]
async fn a_node_beyond_max_answers_is_not_called_ready() {
    let fixture = Fixture::new().await;
    let mut decision = decision(1, &[ONE, TWO]);
    decision.answers[0].max_answers = 1;
    let edits = fixture.pools().plan(&decision).await.edits;
    let text = edits.iter().map(|edit| edit.changes.join("; ")).collect::<Vec<_>>().join("\n");
    assert!(!text.contains("kube-cp-2 (192.0.2.2): ready"), "{text}");
}
