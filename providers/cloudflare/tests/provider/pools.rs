//! The switches of an existing pool.

use daymark_cloudflare::Manage;
use daymark_decision::fixtures::pool_name;
use daymark_fake_cloudflare::{Fault, RequestMatcher, Scope, When};
use daymark_provider::{ApplyError, DecisionError, RemoteProvider, contract};
use serde_json::json;

use crate::fixture::{ByPool, Fixture, NAME, ONE, THREE, TWO, addresses, decision, message_of, publish};

#[tokio::test]
async fn load_balancing_keeps_the_contract() {
    let fixture = Fixture::new().await;
    contract::check_remote_provider(&fixture.pools(), &ByPool(&fixture, "kube-cp"), &pool_name(NAME)).await;
}

#[tokio::test]
async fn a_change_is_one_patch_between_two_reads() {
    let fixture = Fixture::new().await;
    publish(&fixture.pools(), 1, &[ONE, TWO]).await;
    let methods: Vec<String> = fixture.cloudflare.calls().iter().map(|call| call.method.clone()).collect();
    assert_eq!(methods, ["GET", "PATCH", "GET"]);
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[ONE, TWO]));
}

#[tokio::test]
async fn a_pool_may_be_named_by_its_id() {
    let fixture = Fixture::new().await;
    let by_id = fixture.provider(fixture.balancing(&fixture.ids.pool, Manage::Origins));
    publish(&by_id, 1, &[TWO]).await;
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[TWO]));
}

#[tokio::test]
async fn what_is_not_managed_stays_as_it_was_to_the_byte() {
    let fixture = Fixture::new().await;
    {
        let mut store = fixture.cloudflare.store();
        let pool = store.pool(&fixture.ids.pool);
        pool["of_next_year"] = json!({"a": [1.50, "x"]});
        let origins = pool["origins"].as_array_mut().unwrap();
        origins[0]["weight"] = json!(0.1);
        origins[0]["header"] = json!({"Host": ["a.example.org"]});
        origins[0]["of_next_year"] = json!({"b": null});
        origins.push(json!({"name": "by-hand", "address": "192.0.2.77", "enabled": true, "weight": 0.3}));
    }
    let mut before = fixture.pool("kube-cp");
    publish(&fixture.pools(), 1, &[TWO, THREE]).await;
    let mut after = fixture.pool("kube-cp");
    for pool in [&mut before, &mut after] {
        pool["modified_on"].take();
        let origins = pool["origins"].as_array_mut().unwrap();
        origins.sort_by_key(|origin| origin["name"].to_string());
        for origin in origins.iter_mut().filter(|origin| origin["name"] == "kube-cp-1") {
            assert!(origin["enabled"].is_boolean() || origin.get("enabled").is_none());
            origin.as_object_mut().unwrap().remove("enabled");
            origin.as_object_mut().unwrap().remove("disabled_at");
        }
    }
    assert_eq!(after.to_string(), before.to_string());
}

#[tokio::test]
async fn an_answer_that_shows_the_same_makes_no_call() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE, TWO]).await;
    let calls = fixture.cloudflare.calls().len();
    publish(&provider, 2, &[ONE, TWO]).await;
    assert_eq!(fixture.cloudflare.calls().len(), calls, "the generation alone is no change");
}

#[tokio::test]
async fn a_drift_check_needs_one_read() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE, TWO]).await;
    let calls = fixture.cloudflare.calls().len();
    publish(&provider, 1, &[ONE, TWO]).await;
    assert_eq!(fixture.cloudflare.calls().len(), calls + 1);
}

#[tokio::test]
async fn a_restart_writes_nothing_where_the_answer_stands() {
    let fixture = Fixture::new().await;
    publish(&fixture.pools(), 5, &[ONE]).await;
    let writes = fixture.writes();
    publish(&fixture.pools(), 6, &[ONE]).await;
    assert_eq!(fixture.writes(), writes);
}

#[tokio::test]
async fn an_older_generation_makes_no_call_at_all() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 7, &[ONE]).await;
    let calls = fixture.cloudflare.calls().len();
    let stale = provider.apply(&decision(6, &[TWO])).await.outcome;
    assert!(
        matches!(stale, Err(ApplyError::Decision(DecisionError::Stale { generation: 6, published: 7 }))),
        "{stale:?}"
    );
    assert_eq!(fixture.cloudflare.calls().len(), calls);
}

#[tokio::test]
async fn an_older_generation_is_not_written_over_a_newer_one_that_failed_half_way() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 7, &[ONE]).await;
    fixture.cloudflare.inject(Fault::CutAfter, RequestMatcher::method("PATCH"));
    assert!(provider.apply(&decision(9, &[TWO])).await.outcome.is_err());
    let stale = provider.apply(&decision(8, &[THREE])).await.outcome;
    assert!(
        matches!(stale, Err(ApplyError::Decision(DecisionError::Stale { generation: 8, published: 9 }))),
        "{stale:?}"
    );
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[TWO]));
}

#[tokio::test]
async fn a_pool_that_is_not_there_is_named_with_those_that_are() {
    let fixture = Fixture::new().await;
    let provider = fixture.provider(fixture.balancing("kube-pc", Manage::Origins));
    let error = provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    assert!(matches!(error, ApplyError::Refused(_)));
    let message = message_of(&error);
    assert!(message.contains("the account has no Cloudflare pool kube-pc; it has kube-cp"), "{message}");
}

#[tokio::test]
async fn the_error_of_a_token_that_may_only_read_names_the_missing_permission() {
    let fixture = Fixture::new().await;
    let token = fixture.cloudflare.store().add_token([Scope::PoolsRead]);
    fixture.write_token(&token);
    let provider = fixture.pools();
    let error = provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    let message = message_of(&error);
    assert!(matches!(error, ApplyError::Refused(_)), "{message}");
    assert!(message.contains("Load Balancing: Monitors And Pools: Edit"), "{message}");
    assert!(!message.contains(&token), "no token in {message}");

    fixture.write_token(&fixture.cloudflare.token());
    publish(&provider, 1, &[ONE]).await;
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[ONE]), "a mended token file is read again");
}

#[tokio::test]
async fn an_operator_who_edits_between_two_calls_loses_nothing_but_in_the_gap_of_one_write() {
    let add = |name: &'static str, address: &'static str, pool: String| {
        move |store: &mut daymark_fake_cloudflare::Store| {
            let origins = store.pool(&pool)["origins"].as_array_mut().unwrap();
            origins.push(json!({"name": name, "address": address, "enabled": true}));
        }
    };
    let fixture = Fixture::new().await;
    let pool = || fixture.ids.pool.clone();
    fixture.cloudflare.edit(When::Before, RequestMatcher::method("GET"), add("before-the-read", "192.0.2.91", pool()));
    fixture.cloudflare.edit(When::After, RequestMatcher::method("PATCH"), add("after-the-write", "192.0.2.92", pool()));
    publish(&fixture.pools(), 1, &[ONE]).await;
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[ONE, "192.0.2.91", "192.0.2.92"]));
}
