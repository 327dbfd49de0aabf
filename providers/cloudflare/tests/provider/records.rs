//! Plain records.

use std::sync::Arc;
use std::time::Duration;

use daymark_cloudflare::PublishMode;
use daymark_decision::fixtures::pool_name;
use daymark_decision::{Basis, Decision, Family, NotReadyReason, Reason};
use daymark_fake_cloudflare::{FakeZonePlan, Fault, RequestMatcher, Scope, When};
use daymark_provider::{ApplyError, RemoteProvider, contract};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fixture::{ByRecords, Fixture, NAME, ONE, THREE, TWO, addresses, decision, message_of, publish};

fn of_name(fixture: &Fixture) -> Vec<Value> {
    let store = fixture.cloudflare.store();
    store.zones[&fixture.ids.zone].records.values().filter(|record| record["name"] == NAME).cloned().collect()
}

#[tokio::test]
async fn records_keep_the_contract() {
    let fixture = Fixture::without_balancing().await;
    contract::check_remote_provider(&fixture.records(), &ByRecords(&fixture), &pool_name(NAME)).await;
}

#[tokio::test]
async fn a_record_is_marked_unproxied_and_of_sixty_seconds() {
    let fixture = Fixture::without_balancing().await;
    publish(&fixture.records(), 1, &[THREE]).await;
    let records = of_name(&fixture);
    assert_eq!(records.len(), 1);
    for (field, value) in [
        ("type", json!("AAAA")),
        ("content", json!(THREE)),
        ("ttl", json!(60)),
        ("proxied", json!(false)),
        ("comment", json!("managed by daymark: node-3")),
    ] {
        assert_eq!(records[0][field], value, "{field}");
    }
}

#[tokio::test]
async fn an_enterprise_zone_gets_the_shorter_ttl_that_it_allows() {
    let fixture = Fixture::without_balancing().await;
    fixture.cloudflare.store().zones.get_mut(&fixture.ids.zone).unwrap().plan = FakeZonePlan::Enterprise;
    publish(&fixture.records(), 1, &[ONE]).await;
    assert_eq!(of_name(&fixture)[0]["ttl"], 30);
}

#[tokio::test]
async fn a_ttl_that_the_zone_does_not_allow_becomes_the_least_one() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.provider(PublishMode::Records { zone: Some("kube-cp.com".to_owned()), ttl: Some(30) });
    publish(&provider, 1, &[ONE]).await;
    assert_eq!(of_name(&fixture)[0]["ttl"], 60);
    assert_eq!(
        provider.check().await.findings,
        ["the records have a TTL of 60s, because the zone does not allow 30s; set `ttl` to 60s or more"]
    );
}

#[tokio::test]
async fn every_add_comes_before_every_delete() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    let before = fixture.writes().len();
    publish(&provider, 2, &[THREE]).await;
    let methods: Vec<String> =
        fixture.writes()[before..].iter().map(|write| write.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(methods, ["POST", "DELETE", "DELETE"]);
}

#[tokio::test]
async fn an_answer_that_a_newer_one_contradicts_is_given_up_between_two_writes() {
    let fixture = Fixture::without_balancing().await;
    let provider = Arc::new(fixture.records());
    let handle = Arc::clone(&provider);
    fixture
        .cloudflare
        .edit(When::After, RequestMatcher::method("POST"), move |_| handle.supersede(&decision(2, &[THREE])));
    let outcome = provider.apply(&decision(1, &[ONE, TWO])).await.outcome;
    assert!(matches!(outcome, Err(ApplyError::Superseded)), "{outcome:?}");
    assert_eq!(fixture.resolved(), addresses(&[ONE]), "only what was written before");
    publish(&provider, 2, &[THREE]).await;
    assert_eq!(fixture.resolved(), addresses(&[THREE]));
}

#[tokio::test]
async fn a_host_that_may_not_write_any_more_ends_between_two_writes() {
    let fixture = Fixture::without_balancing().await;
    let provider = Arc::new(fixture.records());
    let handle = Arc::clone(&provider);
    provider.set_lease(Instant::now() + Duration::from_hours(1));
    fixture.cloudflare.edit(When::After, RequestMatcher::method("POST"), move |_| handle.set_lease(Instant::now()));
    let outcome = provider.apply(&decision(1, &[ONE, TWO])).await.outcome;
    assert!(matches!(outcome, Err(ApplyError::Superseded)), "{outcome:?}");
    assert_eq!(fixture.resolved(), addresses(&[ONE]), "only what was written before");
    provider.set_lease(Instant::now() + Duration::from_hours(1));
    publish(&provider, 1, &[ONE, TWO]).await;
    assert_eq!(fixture.resolved(), addresses(&[ONE, TWO]));
}

#[tokio::test]
async fn a_new_writer_checks_again_soon_for_late_writes_of_the_former_one() {
    let fixture = Fixture::without_balancing().await;
    let former = fixture.records();
    let next = fixture.records();
    publish(&former, 1, &[ONE]).await;
    next.take_over().await;
    publish(&next, 2, &[TWO]).await;
    assert_eq!(next.drift_interval(), Duration::from_secs(30));
    publish(&former, 1, &[ONE]).await;
    publish(&next, 2, &[TWO]).await;
    assert_eq!(fixture.resolved(), addresses(&[TWO]));
    publish(&next, 2, &[TWO]).await;
    assert_eq!(next.drift_interval(), Duration::from_mins(5));
}

#[tokio::test]
async fn where_nothing_can_be_added_nothing_is_deleted_to_the_last() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE]).await;
    for _ in 0..3 {
        fixture.cloudflare.inject(Fault::ErrorAsSuccess, RequestMatcher::method("POST"));
        assert!(provider.apply(&decision(2, &[TWO])).await.outcome.is_err());
        assert_eq!(fixture.resolved(), addresses(&[ONE]), "an old answer is more than none");
    }
    publish(&provider, 2, &[TWO]).await;
    assert_eq!(fixture.resolved(), addresses(&[TWO]));
}

#[tokio::test]
async fn where_one_add_is_refused_a_dead_node_is_deleted_all_the_same() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    fixture.cloudflare.inject(Fault::ErrorAsSuccess, RequestMatcher::method("POST"));
    assert!(provider.apply(&decision(2, &[TWO, THREE])).await.outcome.is_err());
    assert_eq!(fixture.resolved(), addresses(&[TWO]));
}

#[tokio::test]
async fn of_several_adds_that_are_refused_the_first_is_reported() {
    let fixture = Fixture::without_balancing().await;
    fixture.cloudflare.inject(Fault::Status(403), RequestMatcher::method("POST"));
    fixture.cloudflare.inject(Fault::ErrorAsSuccess, RequestMatcher::method("POST"));
    let message = message_of(&fixture.records().apply(&decision(1, &[ONE, TWO])).await.outcome.unwrap_err());
    assert_eq!(fixture.writes().len(), 2);
    assert!(message.contains("lacks the permission"), "{message}");
}

#[tokio::test]
async fn an_answer_that_comes_back_after_another_was_half_shown_is_not_taken_for_standing() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE]).await;
    fixture.cloudflare.inject(Fault::CutAfter, RequestMatcher::method("POST"));
    provider.apply(&decision(2, &[ONE, TWO])).await.outcome.unwrap_err();
    assert_eq!(fixture.resolved(), addresses(&[ONE, TWO]));
    publish(&provider, 3, &[ONE]).await;
    assert_eq!(fixture.resolved(), addresses(&[ONE]));
}

#[tokio::test]
async fn a_foreign_record_is_refused_by_name_and_nothing_is_written() {
    for (kind, content) in [("A", "192.0.2.9"), ("AAAA", "2001:db8::9"), ("CNAME", "elsewhere.example.org")] {
        let fixture = Fixture::without_balancing().await;
        let record = json!({"type": kind, "name": NAME, "content": content, "ttl": 300, "comment": "by hand"});
        fixture.cloudflare.store().add_record(&fixture.ids.zone, record);
        let before = of_name(&fixture);
        let provider = fixture.records();
        let decision = decision(1, &[ONE]);
        for outcome in [provider.apply(&decision).await.outcome, provider.plan(&decision).await.outcome] {
            let error = outcome.unwrap_err();
            let message = message_of(&error);
            assert!(matches!(error, ApplyError::Refused(_)), "{message}");
            assert!(message.contains(&format!("the record {NAME} {kind} {content} is ")), "{message}");
        }
        assert_eq!(of_name(&fixture), before);
        assert_eq!(fixture.writes(), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn the_finding_of_a_foreign_record_does_not_say_that_nothing_is_published() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE]).await;
    let record = json!({"type": "A", "name": NAME, "content": "192.0.2.9", "ttl": 300, "comment": "by hand"});
    fixture.cloudflare.store().add_record(&fixture.ids.zone, record);
    let message = message_of(&provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err());
    let expected =
        format!("not published, an operator must act: {NAME}: the record {NAME} A 192.0.2.9 is not Daymark's");
    assert!(message.starts_with(&expected), "{message}");
}

#[tokio::test]
async fn records_of_other_names_and_types_stay_as_they_are() {
    let fixture = Fixture::without_balancing().await;
    let others = [
        json!({"type": "A", "name": "www.kube-cp.com", "content": ONE, "ttl": 300, "comment": "managed by daymark: not"}),
        json!({"type": "TXT", "name": NAME, "content": "\"hello\"", "ttl": 300}),
    ];
    let ids: Vec<String> =
        others.into_iter().map(|record| fixture.cloudflare.store().add_record(&fixture.ids.zone, record)).collect();
    let contents = || {
        let mut store = fixture.cloudflare.store();
        ids.iter().map(|id| store.record(id).to_string()).collect::<Vec<_>>()
    };
    let before = contents();
    let provider = fixture.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    publish(&provider, 2, &[TWO]).await;
    assert_eq!(contents(), before);
}

#[tokio::test]
async fn a_cut_after_the_record_was_added_adds_none_twice() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    fixture.cloudflare.inject(Fault::CutAfter, RequestMatcher::method("POST"));
    let error = provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    assert!(matches!(error, ApplyError::Unavailable { pause: None, .. }), "{}", message_of(&error));
    publish(&provider, 1, &[ONE]).await;
    assert_eq!((fixture.writes().len(), of_name(&fixture).len()), (1, 1));
}

#[tokio::test]
async fn a_change_by_hand_is_repaired_at_the_next_drift_check() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE]).await;
    {
        let mut store = fixture.cloudflare.store();
        let record = store.zones.get_mut(&fixture.ids.zone).unwrap().records.values_mut().next().unwrap();
        (record["ttl"], record["proxied"]) = (json!(1), json!(true));
    }
    publish(&provider, 1, &[ONE]).await;
    assert_eq!((&of_name(&fixture)[0]["ttl"], &of_name(&fixture)[0]["proxied"]), (&json!(60), &json!(false)));
    assert_eq!(of_name(&fixture)[0]["comment"], "managed by daymark: node-1", "the rest stays");
}

#[tokio::test]
async fn more_records_than_one_page_holds_are_all_seen() {
    let fixture = Fixture::without_balancing().await;
    for n in 0..120 {
        let record = json!({"type": "TXT", "name": NAME, "content": format!("\"{n}\""), "ttl": 300});
        fixture.cloudflare.store().add_record(&fixture.ids.zone, record);
    }
    let record = json!({"type": "A", "name": NAME, "content": "192.0.2.9", "ttl": 300});
    fixture.cloudflare.store().add_record(&fixture.ids.zone, record);
    assert!(
        fixture.records().apply(&decision(1, &[ONE])).await.outcome.is_err(),
        "the foreign record on the second page is seen"
    );
}

#[tokio::test]
async fn a_guess_is_not_published() {
    let fixture = Fixture::without_balancing().await;
    let mut guess = decision(1, &[ONE, TWO, THREE]);
    guess.answers[0].bases = [(Family::Ipv4, Basis::Bootstrap)].into();
    for known in &mut guess.answers[0].reasons {
        known.reason = Reason::Bootstrap { cause: NotReadyReason::NoVerdict { observed: None } };
    }
    let provider = fixture.records();
    for outcome in [provider.apply(&guess).await.outcome, provider.plan(&guess).await.outcome] {
        let message = message_of(&outcome.unwrap_err());
        assert!(message.contains("no node has a verdict yet"), "{message}");
    }
    assert_eq!(fixture.cloudflare.calls().len(), 0);
}

/// A guess with these addresses: every node was found down, and none was ever usable.
fn guess(generation: u64, members: &[&str]) -> Decision {
    let mut guess = decision(generation, members);
    guess.answers[0].bases = [(Family::Ipv4, Basis::Bootstrap)].into();
    guess
}

#[tokio::test]
async fn a_guess_is_published_until_a_node_is_usable_and_never_after() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    for (generation, address) in [(1, ONE), (2, TWO)] {
        provider.apply(&guess(generation, &[address])).await.outcome.unwrap();
        assert_eq!(fixture.resolved(), addresses(&[address]), "a guess replaces a guess");
    }
    publish(&provider, 3, &[TWO]).await;
    assert_eq!(of_name(&fixture)[0]["comment"], "managed by daymark: node-2");
    // The next run has lost its memory.
    let pass = fixture.records().apply(&guess(4, &[ONE])).await;
    let message = message_of(&pass.outcome.unwrap_err());
    assert!(message.contains("no IPv4 target has been usable yet"), "{message}");
    assert_eq!(fixture.resolved(), addresses(&[TWO]), "the last good answer");
}

/// Another account's zone of the same name, as the token sees it.
fn another_zone(fixture: &Fixture, status: &'static str) -> String {
    let mut store = fixture.cloudflare.store();
    let account = store.add_account();
    let zone = store.add_zone(&account, "kube-cp.com", FakeZonePlan::Free);
    store.zones.get_mut(&zone).unwrap().status = status;
    zone
}

#[tokio::test]
async fn of_two_zones_of_one_name_the_active_one_is_taken() {
    for is_first in [true, false] {
        let fixture = Fixture::without_balancing().await;
        let other = another_zone(&fixture, if is_first { "pending" } else { "active" });
        if !is_first {
            fixture.cloudflare.store().zones.get_mut(&fixture.ids.zone).unwrap().status = "moved";
        }
        publish(&fixture.records(), 1, &[ONE]).await;
        let active = if is_first { &fixture.ids.zone } else { &other };
        let has_record = |zone: &str| !fixture.cloudflare.store().zones[zone].records.is_empty();
        assert_eq!((has_record(active), has_record(&fixture.ids.zone)), (true, is_first));
    }
}

#[tokio::test]
async fn two_active_zones_of_one_name_are_refused_by_their_ids_until_one_is_chosen() {
    let fixture = Fixture::without_balancing().await;
    let other = another_zone(&fixture, "active");
    let error = fixture.records().apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    let message = message_of(&error);
    assert!(matches!(error, ApplyError::Refused(_)), "{message}");
    assert!(message.contains("set `zone` to the ID of the right one: "), "{message}");
    assert!(message.contains(&fixture.ids.zone) && message.contains(&other), "{message}");
    assert_eq!(fixture.writes(), [] as [&str; 0]);

    let by_id = fixture.provider(PublishMode::Records { zone: Some(other.clone()), ttl: None });
    by_id.apply(&decision(1, &[ONE])).await.outcome.unwrap();
    assert_eq!(fixture.cloudflare.store().zones[&other].records.len(), 1);
    assert_eq!(fixture.resolved(), addresses(&[]));
}

#[tokio::test]
async fn a_zone_that_is_given_by_its_id_must_be_readable_to_be_compared_with_the_name() {
    let fixture = Fixture::without_balancing().await;
    let token = fixture.cloudflare.store().add_token([Scope::DnsRead, Scope::DnsWrite]);
    fixture.write_token(&token);
    let by_id = fixture.provider(PublishMode::Records { zone: Some(fixture.ids.zone.clone()), ttl: None });
    let error = by_id.apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    let message = message_of(&error);
    let expected = format!("lacks the permission \"zone, Zone: Read\" for the zone {}", fixture.ids.zone);
    assert!(matches!(error, ApplyError::Refused(_)) && message.contains(&expected), "{message}");
    assert_eq!(fixture.writes(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_zone_that_was_made_anew_is_found_under_its_new_id() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    publish(&provider, 1, &[ONE]).await;
    let anew = {
        let mut store = fixture.cloudflare.store();
        let old = store.zones.remove(&fixture.ids.zone).unwrap();
        store.add_zone(&old.account, &old.name, FakeZonePlan::Free)
    };
    let error = provider.apply(&decision(2, &[TWO])).await.outcome.unwrap_err();
    assert!(
        message_of(&error).contains("or may not see this zone; correct the token, or `zone`"),
        "{}",
        message_of(&error)
    );
    publish(&provider, 2, &[TWO]).await;
    assert_eq!(fixture.cloudflare.store().zones[&anew].records.len(), 1);
}

#[tokio::test]
async fn each_permission_that_records_need_is_named_where_it_is_missing() {
    for (scopes, permission) in [
        (&[Scope::DnsWrite][..], "zone, Zone: Read"),
        (&[Scope::ZoneRead], "zone, DNS: Read"),
        (&[Scope::ZoneRead, Scope::DnsRead], "zone, DNS: Edit"),
    ] {
        let fixture = Fixture::without_balancing().await;
        let token = fixture.cloudflare.store().add_token(scopes.iter().copied());
        fixture.write_token(&token);
        let provider = fixture.records();
        let message = message_of(&provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err());
        assert!(message.contains(&format!("lacks the permission \"{permission}\"")), "{message}");
        let is_found = provider.check().await.findings.iter().any(|finding| message.contains(finding.as_str()));
        assert_eq!(is_found, permission == "zone, Zone: Read", "the check looks at the zone alone");
    }
}
