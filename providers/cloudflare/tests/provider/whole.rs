//! A pool and a balancer of Daymark's own.

use daymark_decision::Decision;
use daymark_decision::fixtures::pool_name;
use daymark_fake_cloudflare::{Fault, RequestMatcher};
use daymark_provider::contract::{self, AnswerNode, node_in, node_out};
use daymark_provider::{ApplyError, Pass, RemoteProvider};
use serde_json::{Value, json};

use crate::fixture::{ByPool, Fixture, NAME, ONE, THREE, TWO, addresses, decision, message_of, public, publish};

fn balancer(fixture: &Fixture) -> Value {
    let store = fixture.cloudflare.store();
    let balancers: Vec<&Value> = store.zones[&fixture.ids.zone].balancers.values().collect();
    assert_eq!(balancers.len(), 1, "there is one balancer");
    balancers[0].clone()
}

fn pools(fixture: &Fixture) -> usize {
    fixture.cloudflare.store().accounts[&fixture.ids.account].pools.len()
}

#[tokio::test]
async fn a_setup_is_made_from_nothing_and_marked() {
    let fixture = Fixture::without_balancing().await;
    publish(&fixture.whole(), 1, &[ONE, THREE]).await;
    let pool = fixture.pool("daymark-lb");
    let balancer = balancer(&fixture);
    assert_eq!(fixture.enabled("daymark-lb"), addresses(&[ONE, THREE]));
    assert_eq!(pool["description"], format!("managed by daymark for {NAME}"));
    for (field, value) in [
        ("name", json!(NAME)),
        ("description", json!(format!("managed by daymark for {NAME}"))),
        ("default_pools", json!([pool["id"]])),
        ("fallback_pool", pool["id"].clone()),
        ("proxied", json!(false)),
        ("ttl", json!(30)),
        ("steering_policy", json!("off")),
    ] {
        assert_eq!(balancer[field], value, "{field}");
    }
}

#[tokio::test]
async fn a_setup_of_daymarks_own_keeps_the_contract() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    publish(&provider, 1, &[ONE]).await;
    contract::check_remote_provider(&provider, &ByPool(&fixture, "daymark-lb"), &pool_name(NAME)).await;
}

#[tokio::test]
async fn a_cut_after_either_was_made_makes_none_twice() {
    for path in ["/pools", "/zones/"] {
        let fixture = Fixture::without_balancing().await;
        let provider = fixture.whole();
        fixture.cloudflare.inject(Fault::CutAfter, RequestMatcher::method("POST").path(path));
        assert!(provider.apply(&decision(1, &[ONE])).await.outcome.is_err());
        publish(&provider, 1, &[ONE]).await;
        assert_eq!((fixture.writes().len(), pools(&fixture)), (2, 1), "{path}");
        assert_eq!(balancer(&fixture)["fallback_pool"], fixture.pool("daymark-lb")["id"]);
    }
}

#[tokio::test]
async fn what_bears_no_mark_is_refused_and_stays_as_it_is() {
    let fixture = Fixture::new().await;
    let provider = fixture.provider(fixture.balancing("kube-cp", daymark_cloudflare::Manage::Full { ttl: 30 }));
    let before = fixture.pool("kube-cp");
    let error = provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    assert!(matches!(error, ApplyError::Refused(_)));
    assert!(message_of(&error).contains("the Cloudflare pool kube-cp exists and is not Daymark's"));
    assert_eq!((fixture.pool("kube-cp"), fixture.writes()), (before, Vec::new()));
}

#[tokio::test]
async fn a_foreign_balancer_of_the_name_is_refused_and_stays_as_it_is() {
    let fixture = Fixture::new().await;
    let before = balancer(&fixture);
    let error = fixture.whole().apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    assert!(message_of(&error).contains(&format!("the zone has a load balancer {NAME} that is not Daymark's")));
    assert_eq!(balancer(&fixture), before);
}

#[tokio::test]
async fn what_someone_changes_in_it_is_set_right_and_what_is_not_daymarks_stays() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    publish(&provider, 1, &[ONE, TWO, THREE]).await;
    let pool = fixture.pool("daymark-lb");
    let balancer_id = balancer(&fixture)["id"].clone();
    {
        let mut store = fixture.cloudflare.store();
        let pool_id = pool["id"].clone();
        let pool = store.pool(pool_id.as_str().unwrap());
        (pool["enabled"], pool["minimum_origins"]) = (json!(false), json!(2));
        let origins = pool["origins"].as_array_mut().unwrap();
        origins.retain(|origin| origin["name"] != "daymark-node-2-ipv4");
        origins.push(json!({"name": "by-hand", "address": "192.0.2.66", "enabled": true}));
        let balancer = store.balancer(balancer_id.as_str().unwrap());
        (balancer["ttl"], balancer["session_affinity"]) = (json!(600), json!("none"));
        (balancer["steering_policy"], balancer["region_pools"]) = (json!("geo"), json!({"WEU": [pool_id]}));
    }
    publish(&provider, 1, &[ONE, TWO, THREE]).await;
    assert_eq!(fixture.enabled("daymark-lb"), addresses(&[ONE, TWO, THREE, "192.0.2.66"]));
    let pool = fixture.pool("daymark-lb");
    assert_eq!((&pool["enabled"], &pool["minimum_origins"]), (&json!(true), &json!(2)));
    let balancer = balancer(&fixture);
    assert_eq!((&balancer["ttl"], &balancer["session_affinity"]), (&json!(30), &json!("none")));
    assert_eq!(
        (&balancer["steering_policy"], &balancer["region_pools"]),
        (&json!("off"), &json!({"WEU": [pool["id"]]}))
    );
}

/// Deletes the balancer and its pool, if they exist.
fn delete(fixture: &Fixture) {
    let mut store = fixture.cloudflare.store();
    store.zones.get_mut(&fixture.ids.zone).unwrap().balancers.clear();
    store.accounts.get_mut(&fixture.ids.account).unwrap().pools.clear();
}

#[tokio::test]
async fn a_setup_that_is_deleted_again_and_again_is_made_anew_after_longer_and_longer_pauses() {
    let fixture = Fixture::without_balancing().await;
    let mut memory = None;
    let mut pauses = vec![0];
    for _ in 0..40 {
        // As from a timer: only the memory knows of the earlier deletions.
        let mode = fixture.balancing("daymark-lb", daymark_cloudflare::Manage::Full { ttl: 30 });
        let provider = fixture.provider_of(mode, memory);
        match provider.apply(&decision(1, &[ONE])).await.outcome {
            Ok(()) => {
                assert_eq!((balancer(&fixture)["name"].as_str(), pools(&fixture)), (Some(NAME), 1));
                delete(&fixture);
                pauses.push(0);
            }
            Err(error) => {
                let message = message_of(&error);
                assert!(matches!(error, ApplyError::Refused(_)), "{message}");
                let expected = format!(
                    "someone else has deleted the Cloudflare pool daymark-lb and the load balancer {NAME} again and again, and \
                     without it the name has no address"
                );
                assert!(message.contains(&expected), "{message}");
                *pauses.last_mut().unwrap() += 1;
            }
        }
        memory = provider.memory();
    }
    assert_eq!(pauses[..9], [0, 0, 0, 1, 2, 4, 8, 8, 8]);
}

#[tokio::test]
async fn a_balancer_that_is_left_deleted_for_a_while_keeps_no_dead_node_in_its_pool() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    for _ in 0..3 {
        publish(&provider, 1, &[ONE, TWO]).await;
        fixture.cloudflare.store().zones.get_mut(&fixture.ids.zone).unwrap().balancers.clear();
    }
    let error = provider.apply(&decision(2, &[TWO])).await.outcome.unwrap_err();
    assert!(message_of(&error).contains("someone else has deleted the load balancer"), "{}", message_of(&error));
    assert_eq!(fixture.enabled("daymark-lb"), addresses(&[TWO]));
    publish(&provider, 2, &[TWO]).await;
    assert_eq!(balancer(&fixture)["fallback_pool"], fixture.pool("daymark-lb")["id"]);
}

#[tokio::test]
async fn a_dry_run_prints_each_change_once_as_the_pass_does() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    let decision_over = |generation, nodes: &[AnswerNode]| {
        let answer = contract::answer(&pool_name(NAME), generation, nodes.iter().cloned());
        Decision { answers: vec![answer], generation }
    };
    provider.apply(&decision_over(1, &[node_in("one", ONE), node_in("two", TWO)])).await.outcome.unwrap();
    let changed = decision_over(2, &[node_out("one", ONE), node_in("two", TWO), node_in("three", THREE)]);
    let sentences = |pass: Pass| pass.edits.into_iter().flat_map(|edit| edit.changes).collect::<Vec<_>>();
    let would = sentences(provider.plan(&changed).await);
    let did = sentences(provider.apply(&changed).await);
    assert_eq!((would.len(), &would), (2, &did));
}

#[tokio::test]
async fn what_a_dry_run_would_set_right_is_not_asked_of_the_operator() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    provider.apply(&public(1)).await.outcome.unwrap();
    let pool = fixture.pool("daymark-lb")["id"].clone();
    let without_origin_and_balancer = || {
        let mut store = fixture.cloudflare.store();
        let pool = store.pool(pool.as_str().unwrap());
        pool["origins"].as_array_mut().unwrap().pop();
        pool["enabled"] = json!(false);
        store.zones.get_mut(&fixture.ids.zone).unwrap().balancers.clear();
    };
    let proxied_with_another_pool = || {
        let other = json!({"name": "other", "origins": [{"name": "a", "address": "192.0.2.8"}]});
        let id = balancer(&fixture)["id"].clone();
        let mut store = fixture.cloudflare.store();
        let other = store.add_pool(&fixture.ids.account, other);
        let balancer = store.balancer(id.as_str().unwrap());
        (balancer["proxied"], balancer["default_pools"], balancer["fallback_pool"]) =
            (json!(true), json!([other]), json!(other));
    };
    for harm in [&without_origin_and_balancer as &dyn Fn(), &proxied_with_another_pool] {
        harm();
        assert!(!provider.plan(&public(1)).await.edits.is_empty());
        assert_eq!(provider.check().await.findings, [""; 0]);
        provider.apply(&public(1)).await.outcome.unwrap();
    }
}
