//! Zones.

use daymark_fake_cloudflare::{FakeZonePlan, FakeZoneType, Scope, UnauthorizedError};
use serde_json::{Value, json};

use crate::{Setup, names};

#[tokio::test]
async fn a_zone_is_found_by_name_and_account() {
    let setup = Setup::new().await;
    {
        let mut store = setup.cloudflare.store();
        let account = store.add_account();
        store.add_zone(&account, "example.com", FakeZonePlan::Enterprise);
    }
    let found = setup.get("/zones?name=kube-cp.com&per_page=50&page=1").await;
    assert_eq!(found.result()[0]["id"], setup.ids.zone);
    assert_eq!(
        (found.body["result_info"]["total_count"].as_u64(), &found.result()[0]["plan"]["legacy_id"]),
        (Some(1), &json!("free"))
    );
    assert_eq!(setup.get("/zones").await.result().as_array().unwrap().len(), 2);
    assert_eq!(
        setup.get(&format!("/zones?account.id={}", setup.ids.account)).await.result().as_array().unwrap().len(),
        1
    );
    assert_eq!(setup.get("/zones?name=unknown.example").await.result(), &json!([]));
    assert_eq!(setup.get(&format!("/zones/{}", setup.ids.zone)).await.result(), &found.result()[0]);
}

#[tokio::test]
async fn a_zone_shows_its_type_its_status_and_its_account() {
    let setup = Setup::new().await;
    for (zone_type, shown) in [
        (FakeZoneType::Full, "full"),
        (FakeZoneType::Partial, "partial"),
        (FakeZoneType::Secondary, "secondary"),
        (FakeZoneType::Internal, "internal"),
    ] {
        setup.cloudflare.store().zone(&setup.ids.zone).zone_type = zone_type;
        assert_eq!(setup.get(&format!("/zones/{}", setup.ids.zone)).await.result()["type"], shown);
    }
    {
        let mut store = setup.cloudflare.store();
        let zone = store.zone(&setup.ids.zone);
        zone.status = "moved";
        zone.paused = true;
        store.account(&setup.ids.account).name = "Ours".to_owned();
    }
    let zone = setup.get(&format!("/zones/{}", setup.ids.zone)).await;
    assert_eq!((&zone.result()["status"], &zone.result()["paused"]), (&json!("moved"), &json!(true)));
    assert_eq!(zone.result()["account"], json!({"id": setup.ids.account, "name": "Ours"}));
}

#[tokio::test]
async fn an_internal_zone_is_only_listed_if_its_type_is_asked_for() {
    let setup = Setup::new().await;
    setup.cloudflare.store().zone(&setup.ids.zone).zone_type = FakeZoneType::Internal;
    assert_eq!(setup.get("/zones?name=kube-cp.com").await.result(), &json!([]));
    assert_eq!(setup.get("/zones?type=full,partial").await.result(), &json!([]));
    assert_eq!(names(setup.get("/zones?type=full,internal").await.result()), ["kube-cp.com"]);
}

#[tokio::test]
async fn a_zone_is_shown_in_unicode_and_found_by_both_forms() {
    let setup = Setup::new().await;
    for stored in ["k\u{fc}be.example", "xn--kbe-hoa.example"] {
        setup.cloudflare.store().zone(&setup.ids.zone).name = stored.to_owned();
        for asked in ["k%C3%BCbe.example", "xn--kbe-hoa.example", "XN--KBE-HOA.example"] {
            let found = setup.get(&format!("/zones?name={asked}")).await;
            assert_eq!(names(found.result()), ["k\u{fc}be.example"], "{stored} {asked}");
        }
        assert_eq!(setup.get(&format!("/zones/{}", setup.ids.zone)).await.result()["name"], "k\u{fc}be.example");
    }
}

#[tokio::test]
async fn a_child_zone_is_one_of_its_own() {
    let setup = Setup::new().await;
    let child = setup.cloudflare.store().add_zone(&setup.ids.account, "lb.kube-cp.com", FakeZonePlan::Free);
    assert_eq!(names(setup.get("/zones?name=kube-cp.com").await.result()), ["kube-cp.com"]);
    assert_eq!(setup.get("/zones?name=lb.kube-cp.com").await.result()[0]["id"], child);
}

#[tokio::test]
async fn zones_are_filtered_by_status_and_by_the_name_of_the_account() {
    let setup = Setup::new().await;
    setup.cloudflare.store().zone(&setup.ids.zone).status = "pending";
    assert_eq!(setup.get("/zones?status=active").await.result(), &json!([]));
    assert_eq!(names(setup.get("/zones?status=pending").await.result()), ["kube-cp.com"]);
    assert_eq!(names(setup.get("/zones?account.name=Daymark").await.result()), ["kube-cp.com"]);
    assert_eq!(setup.get("/zones?account.name=Other").await.result(), &json!([]));
}

#[tokio::test]
async fn zones_come_in_pages() {
    let setup = Setup::new().await;
    for n in 1..=50 {
        setup.cloudflare.store().add_zone(&setup.ids.account, &format!("zone-{n}.example"), FakeZonePlan::Free);
    }
    let first = setup.get("/zones?per_page=50").await;
    assert_eq!(first.result().as_array().unwrap().len(), 50);
    assert_eq!(first.body["result_info"]["total_pages"], 2);
    assert_eq!(setup.get("/zones?per_page=50&page=2").await.result().as_array().unwrap().len(), 1);
    assert_eq!(setup.get("/zones").await.result().as_array().unwrap().len(), 20);
    assert_eq!(setup.get("/zones?per_page=51").await.error().0, 400);
}

#[tokio::test]
async fn a_foreign_account_or_zone_looks_like_a_missing_permission() {
    let setup = Setup::new().await;
    let (foreign_zone, foreign_account) = {
        let mut store = setup.cloudflare.store();
        let other = store.add_account();
        (store.add_zone(&other, "other.example", FakeZonePlan::Free), other)
    };
    let token = setup.cloudflare.store().add_account_token(&setup.ids.account, Scope::ALL);
    let unknown = "0".repeat(32);
    for (zone, account) in [(&foreign_zone, &foreign_account), (&unknown, &unknown)] {
        for path in [
            format!("/zones/{zone}"),
            format!("/zones/{zone}/dns_records"),
            format!("/zones/{zone}/dns_records/{unknown}"),
            format!("/zones/{zone}/load_balancers"),
            format!("/zones/{zone}/load_balancers/{unknown}"),
            format!("/accounts/{account}/load_balancers/pools"),
            format!("/accounts/{account}/load_balancers/pools/{unknown}"),
            format!("/accounts/{account}/load_balancers/pools/{unknown}/health"),
        ] {
            let refused = setup.as_token(&token, "GET", &path).await;
            assert_eq!(refused.error(), (403, 10_000, "Authentication error"), "{path}");
        }
    }
    setup.cloudflare.store().unauthorized = UnauthorizedError::Resource;
    let refused = setup.as_token(&token, "GET", &format!("/zones/{foreign_zone}")).await;
    assert_eq!(refused.error(), (403, 9_109, "Unauthorized to access requested resource"));
    // A name in the place of an ID has not the form of one.
    assert_eq!(setup.get("/zones/kube-cp.com/dns_records").await.error().1, 7_003);
    assert_eq!(setup.call("GET", "/accounts/kube-cp/load_balancers/pools", Value::Null).await.error().1, 7_003);
    setup.cloudflare.violations();
}
