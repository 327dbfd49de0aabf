//! Plain records.

use std::sync::Arc;
use std::time::Duration;

use daymark_cloudflare::Mode;
use daymark_decision::{Basis, Lack, PoolName, Reason};
use daymark_fake_cloudflare::{Fault, Matching, Plan, Scope, When};
use daymark_provider::{Provider, PublishError, contract};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::scene::{ByRecords, NAME, ONE, Scene, THREE, TWO, addresses, decision, publish, sentence};

fn of_name(scene: &Scene) -> Vec<Value> {
    let world = scene.cloudflare.world();
    world.zones[&scene.ids.zone].records.values().filter(|it| it["name"] == NAME).cloned().collect()
}

#[tokio::test]
async fn records_keep_the_contract() {
    let scene = Scene::without_balancing().await;
    contract::keeps(&scene.records(), &ByRecords(&scene), &PoolName::new(NAME)).await;
}

#[tokio::test]
async fn a_record_is_marked_unproxied_and_of_sixty_seconds() {
    let scene = Scene::without_balancing().await;
    publish(&scene.records(), 1, &[THREE]).await;
    let records = of_name(&scene);
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
    let scene = Scene::without_balancing().await;
    scene.cloudflare.world().zones.get_mut(&scene.ids.zone).unwrap().plan = Plan::Enterprise;
    publish(&scene.records(), 1, &[ONE]).await;
    assert_eq!(of_name(&scene)[0]["ttl"], 30);
}

#[tokio::test]
async fn a_ttl_that_the_zone_does_not_allow_becomes_the_least_one() {
    let scene = Scene::without_balancing().await;
    let provider = scene.provider(Mode::Records { zone: "kube-cp.com".to_owned(), ttl: Some(30) });
    publish(&provider, 1, &[ONE]).await;
    assert_eq!(of_name(&scene)[0]["ttl"], 60);
    assert_eq!(
        provider.check().await.unwrap(),
        ["the zone takes no TTL of 30s, only from 60s on, so the records have 60s"]
    );
}

#[tokio::test]
async fn every_add_comes_before_every_delete() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    let before = scene.writes().len();
    publish(&provider, 2, &[THREE]).await;
    let methods: Vec<String> =
        scene.writes()[before..].iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(methods, ["POST", "DELETE", "DELETE"]);
}

#[tokio::test]
async fn an_answer_that_a_newer_one_contradicts_is_given_up_between_two_writes() {
    let scene = Scene::without_balancing().await;
    let provider = Arc::new(scene.records());
    let told = Arc::clone(&provider);
    scene.cloudflare.edit(When::After, Matching::method("POST"), move |_| told.supersede(&decision(2, &[THREE])));
    let outcome = provider.publish(&decision(1, &[ONE, TWO])).await;
    assert!(matches!(outcome, Err(PublishError::Superseded)), "{outcome:?}");
    assert_eq!(scene.resolved(), addresses(&[ONE]), "only what was written before");
    publish(&provider, 2, &[THREE]).await;
    assert_eq!(scene.resolved(), addresses(&[THREE]));
}

#[tokio::test]
async fn a_host_that_may_not_write_any_more_ends_between_two_writes() {
    let scene = Scene::without_balancing().await;
    let provider = Arc::new(scene.records());
    let told = Arc::clone(&provider);
    provider.may_write(Instant::now() + Duration::from_hours(1));
    scene.cloudflare.edit(When::After, Matching::method("POST"), move |_| told.may_write(Instant::now()));
    let outcome = provider.publish(&decision(1, &[ONE, TWO])).await;
    assert!(matches!(outcome, Err(PublishError::Superseded)), "{outcome:?}");
    assert_eq!(scene.resolved(), addresses(&[ONE]), "only what was written before");
    provider.may_write(Instant::now() + Duration::from_hours(1));
    publish(&provider, 1, &[ONE, TWO]).await;
    assert_eq!(scene.resolved(), addresses(&[ONE, TWO]));
}

#[tokio::test]
async fn who_takes_over_looks_again_soon_for_what_the_one_before_still_wrote() {
    let scene = Scene::without_balancing().await;
    let (former, next) = (scene.records(), scene.records());
    publish(&former, 1, &[ONE]).await;
    next.take_over().await;
    publish(&next, 2, &[TWO]).await;
    assert_eq!(next.look_again(), Some(Duration::from_secs(30)));
    publish(&former, 1, &[ONE]).await;
    publish(&next, 2, &[TWO]).await;
    assert_eq!(scene.resolved(), addresses(&[TWO]));
    publish(&next, 2, &[TWO]).await;
    assert_eq!(next.look_again(), Some(Duration::from_mins(5)));
}

#[tokio::test]
async fn where_nothing_can_be_added_nothing_is_deleted_to_the_last() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE]).await;
    for _ in 0..3 {
        scene.cloudflare.play(Fault::ErrorAsSuccess, Matching::method("POST"));
        assert!(provider.publish(&decision(2, &[TWO])).await.is_err());
        assert_eq!(scene.resolved(), addresses(&[ONE]), "an old answer is more than none");
    }
    publish(&provider, 2, &[TWO]).await;
    assert_eq!(scene.resolved(), addresses(&[TWO]));
}

#[tokio::test]
async fn where_one_add_is_refused_a_dead_node_is_deleted_all_the_same() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    scene.cloudflare.play(Fault::ErrorAsSuccess, Matching::method("POST"));
    assert!(provider.publish(&decision(2, &[TWO, THREE])).await.is_err());
    assert_eq!(scene.resolved(), addresses(&[TWO]));
}

#[tokio::test]
async fn of_several_adds_that_are_refused_the_first_is_told() {
    let scene = Scene::without_balancing().await;
    scene.cloudflare.play(Fault::Status(403), Matching::method("POST"));
    scene.cloudflare.play(Fault::ErrorAsSuccess, Matching::method("POST"));
    let said = sentence(&scene.records().publish(&decision(1, &[ONE, TWO])).await.unwrap_err());
    assert_eq!(scene.writes().len(), 2);
    assert!(said.contains("lacks the permission"), "{said}");
}

#[tokio::test]
async fn an_answer_that_comes_back_after_another_was_half_shown_is_not_taken_for_standing() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE]).await;
    scene.cloudflare.play(Fault::CutAfter, Matching::method("POST"));
    provider.publish(&decision(2, &[ONE, TWO])).await.unwrap_err();
    assert_eq!(scene.resolved(), addresses(&[ONE, TWO]));
    publish(&provider, 3, &[ONE]).await;
    assert_eq!(scene.resolved(), addresses(&[ONE]));
}

#[tokio::test]
async fn a_foreign_record_is_refused_by_name_and_nothing_is_written() {
    for (kind, content) in [("A", "192.0.2.9"), ("AAAA", "2001:db8::9"), ("CNAME", "elsewhere.example.org")] {
        let scene = Scene::without_balancing().await;
        let record = json!({"type": kind, "name": NAME, "content": content, "ttl": 300, "comment": "by hand"});
        scene.cloudflare.world().add_record(&scene.ids.zone, record);
        let before = of_name(&scene);
        let (provider, it) = (scene.records(), decision(1, &[ONE]));
        for outcome in [provider.publish(&it).await, provider.plan(&it).await.outcome] {
            let error = outcome.unwrap_err();
            let said = sentence(&error);
            assert!(matches!(error, PublishError::Refused(_)), "{said}");
            assert!(said.contains(&format!("the record {NAME} {kind} {content} is ")), "{said}");
        }
        assert_eq!(of_name(&scene), before);
        assert_eq!(scene.writes(), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn a_foreign_record_beside_those_that_stand_is_not_told_as_if_nothing_stood() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE]).await;
    let record = json!({"type": "A", "name": NAME, "content": "192.0.2.9", "ttl": 300, "comment": "by hand"});
    scene.cloudflare.world().add_record(&scene.ids.zone, record);
    let said = sentence(&provider.publish(&decision(1, &[ONE])).await.unwrap_err());
    let told = format!(
        "not as it should be, and only the operator can mend it: {NAME}: the record {NAME} A 192.0.2.9 is not Daymark's"
    );
    assert!(said.starts_with(&told), "{said}");
}

#[tokio::test]
async fn records_of_other_names_and_types_stay_as_they_are() {
    let scene = Scene::without_balancing().await;
    let others = [
        json!({"type": "A", "name": "www.kube-cp.com", "content": ONE, "ttl": 300, "comment": "managed by daymark: not"}),
        json!({"type": "TXT", "name": NAME, "content": "\"hello\"", "ttl": 300}),
    ];
    let ids: Vec<String> =
        others.into_iter().map(|it| scene.cloudflare.world().add_record(&scene.ids.zone, it)).collect();
    let shown = || {
        let mut world = scene.cloudflare.world();
        ids.iter().map(|id| world.record(id).to_string()).collect::<Vec<_>>()
    };
    let before = shown();
    let provider = scene.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    publish(&provider, 2, &[TWO]).await;
    assert_eq!(shown(), before);
}

#[tokio::test]
async fn a_cut_after_the_record_was_added_adds_none_twice() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    scene.cloudflare.play(Fault::CutAfter, Matching::method("POST"));
    let error = provider.publish(&decision(1, &[ONE])).await.unwrap_err();
    assert!(matches!(error, PublishError::Unavailable { pause: None, .. }), "{}", sentence(&error));
    publish(&provider, 1, &[ONE]).await;
    assert_eq!((scene.writes().len(), of_name(&scene).len()), (1, 1));
}

#[tokio::test]
async fn what_someone_changes_by_hand_is_set_right_at_the_next_look() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE]).await;
    {
        let mut world = scene.cloudflare.world();
        let record = world.zones.get_mut(&scene.ids.zone).unwrap().records.values_mut().next().unwrap();
        (record["ttl"], record["proxied"]) = (json!(1), json!(true));
    }
    publish(&provider, 1, &[ONE]).await;
    assert_eq!((&of_name(&scene)[0]["ttl"], &of_name(&scene)[0]["proxied"]), (&json!(60), &json!(false)));
    assert_eq!(of_name(&scene)[0]["comment"], "managed by daymark: node-1", "the rest stays");
}

#[tokio::test]
async fn more_records_than_one_page_holds_are_all_seen() {
    let scene = Scene::without_balancing().await;
    for n in 0..120 {
        let record = json!({"type": "TXT", "name": NAME, "content": format!("\"{n}\""), "ttl": 300});
        scene.cloudflare.world().add_record(&scene.ids.zone, record);
    }
    let record = json!({"type": "A", "name": NAME, "content": "192.0.2.9", "ttl": 300});
    scene.cloudflare.world().add_record(&scene.ids.zone, record);
    assert!(
        scene.records().publish(&decision(1, &[ONE])).await.is_err(),
        "the foreign record on the second page is seen"
    );
}

#[tokio::test]
async fn a_guess_is_not_published() {
    let scene = Scene::without_balancing().await;
    let mut guess = decision(1, &[ONE, TWO, THREE]);
    guess.answers[0].basis = Basis::Bootstrap;
    for (_, reason) in &mut guess.answers[0].reasons {
        *reason = Reason::Bootstrap { lacks: Lack::Unjudged { seen: None } };
    }
    let provider = scene.records();
    for outcome in [provider.publish(&guess).await, provider.plan(&guess).await.outcome] {
        let said = sentence(&outcome.unwrap_err());
        assert!(said.contains("no node is judged yet"), "{said}");
    }
    assert_eq!(scene.cloudflare.calls().len(), 0);
}

/// Another account's zone of the same name, as the token sees it.
fn another_zone(scene: &Scene, status: &'static str) -> String {
    let mut world = scene.cloudflare.world();
    let account = world.add_account();
    let zone = world.add_zone(&account, "kube-cp.com", Plan::Free);
    world.zones.get_mut(&zone).unwrap().status = status;
    zone
}

#[tokio::test]
async fn of_two_zones_of_one_name_the_active_one_is_taken() {
    for is_first in [true, false] {
        let scene = Scene::without_balancing().await;
        let other = another_zone(&scene, if is_first { "pending" } else { "active" });
        if !is_first {
            scene.cloudflare.world().zones.get_mut(&scene.ids.zone).unwrap().status = "moved";
        }
        publish(&scene.records(), 1, &[ONE]).await;
        let active = if is_first { &scene.ids.zone } else { &other };
        let has_record = |zone: &str| !scene.cloudflare.world().zones[zone].records.is_empty();
        assert_eq!((has_record(active), has_record(&scene.ids.zone)), (true, is_first));
    }
}

#[tokio::test]
async fn two_active_zones_of_one_name_are_refused_by_their_ids_until_one_is_chosen() {
    let scene = Scene::without_balancing().await;
    let other = another_zone(&scene, "active");
    let error = scene.records().publish(&decision(1, &[ONE])).await.unwrap_err();
    let said = sentence(&error);
    assert!(matches!(error, PublishError::Refused(_)), "{said}");
    assert!(said.contains("give the ID of one as `zone`: "), "{said}");
    assert!(said.contains(&scene.ids.zone) && said.contains(&other), "{said}");
    assert_eq!(scene.writes(), [] as [&str; 0]);

    let by_id = scene.provider(Mode::Records { zone: other.clone(), ttl: None });
    by_id.publish(&decision(1, &[ONE])).await.unwrap();
    assert_eq!(scene.cloudflare.world().zones[&other].records.len(), 1);
    assert_eq!(scene.resolved(), addresses(&[]));
}

#[tokio::test]
async fn a_zone_that_is_given_by_its_id_need_not_be_readable() {
    let scene = Scene::without_balancing().await;
    let token = scene.cloudflare.world().add_token([Scope::DnsRead, Scope::DnsWrite]);
    scene.write_token(&token);
    publish(&scene.provider(Mode::Records { zone: scene.ids.zone.clone(), ttl: None }), 1, &[ONE]).await;
    assert_eq!(scene.resolved(), addresses(&[ONE]));
}

#[tokio::test]
async fn a_zone_that_was_made_anew_is_found_under_its_new_id() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE]).await;
    let anew = {
        let mut world = scene.cloudflare.world();
        let old = world.zones.remove(&scene.ids.zone).unwrap();
        world.add_zone(&old.account, &old.name, Plan::Free)
    };
    let error = provider.publish(&decision(2, &[TWO])).await.unwrap_err();
    assert!(sentence(&error).contains("is its ID or name right, and may the token see it?"), "{}", sentence(&error));
    publish(&provider, 2, &[TWO]).await;
    assert_eq!(scene.cloudflare.world().zones[&anew].records.len(), 1);
}

#[tokio::test]
async fn each_permission_that_records_need_is_named_where_it_is_missing() {
    for (scopes, permission) in [
        (&[Scope::DnsWrite][..], "zone, Zone: Read"),
        (&[Scope::ZoneRead], "zone, DNS: Read"),
        (&[Scope::ZoneRead, Scope::DnsRead], "zone, DNS: Edit"),
    ] {
        let scene = Scene::without_balancing().await;
        let token = scene.cloudflare.world().add_token(scopes.iter().copied());
        scene.write_token(&token);
        let provider = scene.records();
        let said = sentence(&provider.publish(&decision(1, &[ONE])).await.unwrap_err());
        assert!(said.contains(&format!("lacks the permission \"{permission}\"")), "{said}");
        let finds_it = provider.check().await.unwrap().iter().any(|it| said.contains(it.as_str()));
        assert_eq!(finds_it, permission == "zone, Zone: Read", "the check looks at the zone alone");
    }
}
