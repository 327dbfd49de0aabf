//! The memory that one run leaves to the next.

use daymark_cloudflare::{Cloudflare, Manage, PublishMode};
use daymark_decision::Decision;
use daymark_decision::fixtures::pool_name;
use daymark_fake_cloudflare::{Fault, RequestMatcher};
use daymark_provider::RemoteProvider;
use daymark_provider::contract::{self, node_in, node_out};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fixture::{Fixture, NAME, ONE, TWO, decision, message_of, publish};

/// The next run.
fn restarted(fixture: &Fixture, memory: Option<Value>) -> Cloudflare {
    fixture.provider_of(fixture.balancing("kube-cp", Manage::Origins), memory)
}

#[tokio::test]
async fn the_next_run_makes_no_call_while_cloudflare_refuses_all_and_says_until_when() {
    let fixture = Fixture::new().await;
    let first = fixture.pools();
    fixture.cloudflare.inject(Fault::TooMany { retry_after: Some(120) }, RequestMatcher::any());
    first.apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    let memory = first.memory().unwrap();
    let calls = fixture.cloudflare.calls().len();
    let until: Timestamp = memory["blocked_until"].as_str().unwrap().parse().unwrap();
    for generation in 2..5 {
        let next = restarted(&fixture, Some(memory.clone()));
        let message = message_of(&next.apply(&decision(generation, &[ONE])).await.outcome.unwrap_err());
        assert!(
            message.contains(&format!("refuses reading Load Balancing pools, like every call, until {until:.0}")),
            "{message}"
        );
        assert!(next.plan(&decision(generation, &[ONE])).await.outcome.is_err());
        assert!(next.check().await.is_incomplete);
    }
    assert_eq!(fixture.cloudflare.calls().len(), calls);
}

#[tokio::test]
async fn a_block_that_is_over_is_no_longer_in_the_memory() {
    let fixture = Fixture::new().await;
    let mut memory = fixture.pools().memory().unwrap();
    memory["blocked_until"] = json!("2026-01-01T00:00:00Z");
    let next = restarted(&fixture, Some(memory));
    publish(&next, 1, &[ONE]).await;
    assert_eq!(next.memory().unwrap().get("blocked_until"), None);
}

#[tokio::test]
async fn a_memory_from_before_blocks_were_remembered_is_still_read() {
    let fixture = Fixture::new().await;
    let entry = json!({"published": true, "repairs": 2, "matches": 0});
    let old = json!({"pools": {"lb.kube-cp.com": {"kube-cp-2 (192.0.2.2)": entry}}});
    fixture.edit_origin(&fixture.ids.pool, "kube-cp-2", "enabled", false);
    let message =
        message_of(&restarted(&fixture, Some(old)).apply(&decision(1, &[ONE, TWO])).await.outcome.unwrap_err());
    assert!(
        message.contains("someone else has disabled the origin kube-cp-2 (192.0.2.2) again and again"),
        "{message}"
    );
}

/// The number of entries that a memory has for the name.
fn size(memory: Option<&Value>) -> usize {
    memory.unwrap()["pools"][NAME].as_object().unwrap().len()
}

#[tokio::test]
async fn a_memory_does_not_grow_with_every_address_that_a_node_ever_had() {
    let fixture = Fixture::without_balancing().await;
    let whole = fixture.balancing("daymark-lb", Manage::Full { ttl: 30 });
    for mode in [whole, PublishMode::Records { zone: Some("kube-cp.com".to_owned()), ttl: None }] {
        let mut memory = None;
        let mut sizes = Vec::new();
        for n in 1..=60 {
            let provider = fixture.provider_of(mode.clone(), memory);
            let address = format!("198.51.100.{n}");
            let nodes = [node_in("a", &address), node_out("b", TWO)];
            let answer = contract::answer(&pool_name(NAME), 1, nodes);
            provider.apply(&Decision { answers: vec![answer], generation: 1 }).await.outcome.unwrap();
            memory = provider.memory();
            sizes.push(size(memory.as_ref()));
        }
        assert_eq!(sizes[30..], [sizes[30]; 30], "{sizes:?}");
    }
}

#[tokio::test]
async fn what_was_taken_out_of_an_answer_for_long_is_still_known() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    publish(&provider, 2, &[ONE]).await;
    for _ in 0..30 {
        publish(&provider, 2, &[ONE]).await;
    }
    let add = || {
        let record =
            json!({"type": "A", "name": NAME, "content": TWO, "ttl": 60, "comment": "managed by daymark: node-2"});
        fixture.cloudflare.store().add_record(&fixture.ids.zone, record);
    };
    for _ in 0..2 {
        add();
        publish(&provider, 2, &[ONE]).await;
    }
    add();
    let message = message_of(&provider.apply(&decision(2, &[ONE])).await.outcome.unwrap_err());
    assert!(
        message.contains("someone else has added the record lb.kube-cp.com A 192.0.2.2 again and again"),
        "{message}"
    );
}

#[tokio::test]
async fn a_conflict_is_remembered_through_many_passes() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE, TWO]).await;
    for _ in 0..40 {
        fixture.edit_origin(&fixture.ids.pool, "kube-cp-2", "enabled", false);
        // In the end it is left alone, which is an error.
        let _ = provider.apply(&decision(1, &[ONE, TWO])).await.outcome;
    }
    assert_eq!(fixture.writes().len(), 3);
}

#[tokio::test]
async fn nothing_is_kept_of_a_pool_that_is_served_no_longer() {
    let fixture = Fixture::new().await;
    let entry = json!({"published": true, "repairs": 0, "matches": 0});
    let old = json!({"pools": {"old.kube-cp.com": {"it": entry}, NAME: {"it": entry}}});
    let next = restarted(&fixture, Some(old));
    assert!(next.memory().unwrap()["pools"].get("old.kube-cp.com").is_none());
    assert_eq!(size(next.memory().as_ref()), 1, "what is of the name may matter for a while");
    for _ in 0..12 {
        publish(&next, 1, &[ONE]).await;
    }
    assert!(next.memory().unwrap()["pools"][NAME].get("it").is_none());
}
