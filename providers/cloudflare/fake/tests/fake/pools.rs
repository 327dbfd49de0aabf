//! Pools.

use daymark_fake_cloudflare::PoolInUseError;
use serde_json::{Value, json};

use crate::{Setup, names, origins};

#[tokio::test]
async fn origins_come_back_sorted_with_what_they_lack_filled_in() {
    let setup = Setup::new().await;
    let origins = json!([
        {"name": "b", "address": "192.0.2.12", "port": 6443, "unheard-of": {"of": 1}},
        {"name": "a", "address": "192.0.2.11", "weight": 0.25},
    ]);
    let made = setup.call("POST", &setup.pools(), json!({"name": "other", "origins": origins, "new": [1]})).await;
    let expected = json!([
        {"name": "a", "address": "192.0.2.11", "weight": 0.25, "enabled": true},
        {"name": "b", "address": "192.0.2.12", "weight": 1, "enabled": true, "port": 6443, "unheard-of": {"of": 1}},
    ]);
    assert_eq!(made.result()["origins"], expected);
    let id = made.result()["id"].as_str().unwrap();
    assert!(id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    let read = setup.get(&format!("{}/{id}", setup.pools())).await;
    assert_eq!(read.result(), made.result());
    assert_eq!((&read.result()["new"], &read.result()["enabled"]), (&json!([1]), &json!(true)));
}

#[tokio::test]
async fn a_patch_keeps_what_it_does_not_name_but_replaces_all_origins() {
    let setup = Setup::new().await;
    setup.cloudflare.store().pool(&setup.ids.pool)["description"] = json!("by hand");
    let sent = json!({"origins": [{"name": "kube-cp-1", "address": "192.0.2.1", "enabled": false}]});
    let patched = setup.call("PATCH", &setup.pool(), sent).await;
    assert_eq!(patched.result()["description"], "by hand");
    assert_eq!(names(&patched.result()["origins"]), ["kube-cp-1"]);
    assert!(patched.result()["origins"][0]["disabled_at"].is_string());
    assert_ne!(patched.result()["modified_on"], patched.result()["created_on"]);
}

#[tokio::test]
async fn a_put_sets_what_it_does_not_name_to_the_default() {
    let setup = Setup::new().await;
    let created = setup.get(&setup.pool()).await.result()["created_on"].clone();
    setup.cloudflare.store().pool(&setup.ids.pool)["description"] = json!("by hand");
    let sent = json!({"name": "kube-cp", "origins": origins("192.0.2.1", "192.0.2.2")});
    let put = setup.call("PUT", &setup.pool(), sent).await;
    assert_eq!(put.result()["description"], "");
    assert_eq!((&put.result()["created_on"], &put.result()["id"]), (&created, &json!(setup.ids.pool)));
}

#[tokio::test]
async fn an_origin_has_the_time_of_its_disabling_as_long_as_it_lasts() {
    let setup = Setup::new().await;
    let set = async |enabled: bool| {
        let origins = json!([{"name": "a", "address": "192.0.2.1", "enabled": enabled}]);
        let patched = setup.call("PATCH", &setup.pool(), json!({"origins": origins})).await;
        patched.result()["origins"][0].get("disabled_at").cloned()
    };
    let first = set(false).await;
    assert!(first.is_some());
    assert_eq!(set(false).await, first);
    assert_eq!(set(true).await, None);
    assert_ne!(set(false).await, first);
}

#[tokio::test]
async fn impossible_origins_are_refused_and_change_nothing() {
    let setup = Setup::new().await;
    let before = setup.get(&setup.pool()).await.body;
    for (origins, said) in [
        (json!([]), "the origin list length must be in range [1, 20]: validation failed"),
        (origins("192.0.2.1", "192.0.2.1"), "origin addresses must be unique: validation failed"),
        (json!([{"address": "192.0.2.1"}]), "origin name is required: validation failed"),
        (json!([{"name": "a"}]), "origin address is required: validation failed"),
    ] {
        let refused = setup.call("PATCH", &setup.pool(), json!({"origins": origins})).await;
        assert_eq!(refused.error(), (400, 1002, said));
    }
    assert_eq!(setup.get(&setup.pool()).await.body, before);
}

#[tokio::test]
async fn read_only_fields_of_a_client_are_refused() {
    let setup = Setup::new().await;
    for field in ["created_on", "modified_on", "disabled_at", "healthy", "networks", "id"] {
        let refused = setup.call("PATCH", &setup.pool(), json!({field: "2026-01-01T00:00:00Z"})).await;
        assert_eq!(refused.error(), (400, 1002, format!("{field} is read-only: validation failed").as_str()));
    }
    for field in ["disabled_at", "healthy", "failure_reason"] {
        let origins = json!([{"name": "a", "address": "192.0.2.1", field: "2026-01-01T00:00:00Z"}]);
        let refused = setup.call("PATCH", &setup.pool(), json!({"origins": origins})).await;
        assert_eq!(refused.error(), (400, 1002, format!("{field} is read-only: validation failed").as_str()));
    }
    // The schema says so as well.
    setup.cloudflare.violations();
    setup.call("PATCH", &setup.pool(), json!({"id": setup.ids.pool, "enabled": true})).await.result();
}

#[tokio::test]
async fn only_monitored_pools_refuse_private_addresses_and_not_in_a_network_of_ones_own() {
    let setup = Setup::new().await;
    let monitor = "f1aba936b94213e5b8dca0c0dbf1f9cc";
    let refused = setup.call("PATCH", &setup.pool(), json!({"monitor": monitor})).await;
    assert_eq!(refused.error(), (400, 1002, "address 192.0.2.1 is private or reserved: validation failed"));
    for (address, is_public) in [
        ("10.10.1.1", false),
        ("100.64.0.1", false),
        ("fd00::1", false),
        ("2001:db8::1", false),
        ("100.128.0.1", true),
        ("2a01:4f8::1", true),
        ("node.kube-cp.com", true),
    ] {
        let mut sent = json!({"monitor": monitor, "origins": [{"name": "a", "address": address}]});
        let answer = setup.call("PATCH", &setup.pool(), sent.clone()).await;
        assert_eq!(answer.status == 200, is_public, "{address}");
        sent["origins"][0]["virtual_network_id"] = json!("a5624d4e-044a-4ff0-b3e1-e2465353d4b4");
        setup.call("PATCH", &setup.pool(), sent).await.result();
    }
    let sent = json!({"monitor": "", "origins": [{"name": "a", "address": "10.10.1.1"}]});
    setup.call("PATCH", &setup.pool(), sent).await.result();
}

#[tokio::test]
async fn a_name_must_be_of_allowed_letters_and_free() {
    let setup = Setup::new().await;
    let origins = origins("192.0.2.1", "192.0.2.2");
    for name in ["kube cp", "lb.kube-cp.com", "", "kube-cp"] {
        let refused = setup.call("POST", &setup.pools(), json!({"name": name, "origins": origins})).await;
        assert_eq!((refused.error().0, refused.error().1), (400, 1002), "{name}");
    }
    setup.call("PATCH", &setup.pool(), json!({"name": "kube-cp"})).await.result();
}

#[tokio::test]
async fn there_are_at_most_twenty_pools() {
    let setup = Setup::new().await;
    let post = async |n: usize| {
        let sent = json!({"name": format!("pool-{n}"), "origins": origins("192.0.2.1", "192.0.2.2")});
        setup.call("POST", &setup.pools(), sent).await
    };
    for n in 2..=20 {
        post(n).await.result();
    }
    assert_eq!(post(21).await.error(), (400, 1002, "the limit of 20 pools is reached: validation failed"));
    assert_eq!(setup.get(&setup.pools()).await.body["result_info"]["total_count"], 20);
}

#[tokio::test]
async fn a_pool_in_use_cannot_be_deleted() {
    let setup = Setup::new().await;
    let refused = setup.call("DELETE", &setup.pool(), Value::Null).await;
    let said = "This object is referenced by other objects, delete them first.";
    assert_eq!(refused.error(), (412, 1005, said));
    setup.cloudflare.store().pool_in_use = PoolInUseError::ValidationFailed;
    let refused = setup.call("DELETE", &setup.pool(), Value::Null).await;
    assert_eq!(refused.error(), (400, 1002, "the pool is still referenced: validation failed"));
    setup.call("DELETE", &format!("{}/{}", setup.balancers(), setup.ids.balancer), Value::Null).await.result();
    setup.call("DELETE", &setup.pool(), Value::Null).await.result();
    assert_eq!(setup.get(&setup.pool()).await.error().1, 1001);
}

#[tokio::test]
async fn the_references_of_a_pool_are_its_users_by_any_field_and_its_monitor() {
    let setup = Setup::new().await;
    let path = format!("{}/references", setup.pool());
    let user = |id: &str| {
        json!({
            "reference_type": "referrer", "resource_type": "load_balancer",
            "resource_id": id, "resource_name": "lb.kube-cp.com",
        })
    };
    assert_eq!(setup.get(&path).await.result(), &json!([user(&setup.ids.balancer)]));
    let other = {
        let mut store = setup.cloudflare.store();
        let other = store.add_pool(&setup.ids.account, json!({"name": "other", "origins": []}));
        store.balancer(&setup.ids.balancer)["default_pools"] = json!([other]);
        store.balancer(&setup.ids.balancer)["fallback_pool"] = json!(other);
        store.balancer(&setup.ids.balancer)["random_steering"] = json!({"pool_weights": {&setup.ids.pool: 0.5}});
        other
    };
    assert_eq!(setup.get(&path).await.result(), &json!([]));
    let pool = &setup.ids.pool;
    for (field, value) in [
        ("region_pools", json!({"WEU": [other, pool]})),
        ("country_pools", json!({"DE": [pool]})),
        ("pop_pools", json!({"AMS": [pool]})),
        ("rules", json!([{"overrides": {"default_pools": [pool]}}])),
        ("rules", json!([{"overrides": {"region_pools": {"WEU": [pool]}}}])),
        ("pool_sets", json!([{"overrides": {"fallback_pool": pool}}])),
        ("pool_sets", json!([{"overrides": {"pools": [pool]}}])),
    ] {
        setup.cloudflare.store().balancer(&setup.ids.balancer)[field] = value.clone();
        assert_eq!(setup.get(&path).await.result(), &json!([user(&setup.ids.balancer)]), "{field} {value}");
        setup.cloudflare.store().balancer(&setup.ids.balancer)[field] = Value::Null;
    }
    setup.cloudflare.store().pool(pool)["monitor"] = json!("f1aba936b94213e5b8dca0c0dbf1f9cc");
    let references = setup.get(&path).await;
    let monitor = &references.result()[0];
    assert_eq!((&monitor["reference_type"], &monitor["resource_type"]), (&json!("referral"), &json!("monitor")));
    let unknown = format!("{}/{}/references", setup.pools(), "0".repeat(32));
    assert_eq!(setup.get(&unknown).await.error().1, 1001);
}

/// Every field of today's pools that the example does not have.
fn newer_fields() -> Value {
    json!({
        "monitor_group": "f1aba936b94213e5b8dca0c0dbf1f9cc",
        "load_shedding": {"default_percent": 10, "default_policy": "random", "session_percent": 0},
        "origin_steering": {"policy": "hash"},
        "notification_filter": {"pool": {"disable": true, "healthy": null}},
        "check_regions": ["WEU"],
        "minimum_origins": 2,
        "health_sources": ["regional"],
        "latitude": 52.4, "longitude": 4.9,
    })
}

#[tokio::test]
async fn newer_fields_outlive_a_patch_and_not_a_put() {
    let setup = Setup::new().await;
    let origins = origins("8.8.8.8", "8.8.4.4");
    setup.call("PATCH", &setup.pool(), json!({"origins": origins})).await.result();
    setup.cloudflare.store().pool(&setup.ids.pool)["networks"] = json!(["cloudflare"]);
    setup.call("PATCH", &setup.pool(), newer_fields()).await.result();
    let patched = setup.call("PATCH", &setup.pool(), json!({"description": "new"})).await;
    for (field, value) in newer_fields().as_object().unwrap() {
        assert_eq!(&patched.result()[field], value, "{field}");
    }
    let patched = setup.call("PATCH", &setup.pool(), json!({"load_shedding": {"default_percent": 0}})).await;
    assert_eq!(patched.result()["load_shedding"], json!({"default_percent": 0}), "a property is replaced as a whole");
    let put = setup.call("PUT", &setup.pool(), json!({"name": "kube-cp", "origins": origins})).await;
    let defaults = json!({"check_regions": null, "minimum_origins": 1});
    for field in newer_fields().as_object().unwrap().keys() {
        assert_eq!(put.result()[field], defaults[field], "{field}");
    }
    assert_eq!(put.result()["networks"], json!(["cloudflare"]), "a client cannot send it");
}

#[tokio::test]
async fn values_that_the_sdk_does_not_know_are_refused() {
    let setup = Setup::new().await;
    for sent in [
        json!({"minimum_origins": -1}),
        json!({"load_shedding": {"default_percent": 101}}),
        json!({"load_shedding": {"session_policy": "random"}}),
        json!({"origin_steering": {"policy": "off"}}),
        json!({"health_sources": ["remote"]}),
        json!({"notification_filter": "none"}),
        json!({"latitude": 52.4}),
    ] {
        let refused = setup.call("PATCH", &setup.pool(), sent.clone()).await;
        assert_eq!((refused.error().0, refused.error().1), (400, 1002), "{sent}");
    }
    // The schema knows some of these.
    setup.cloudflare.violations();
}

#[tokio::test]
async fn a_weight_is_between_none_and_one() {
    let setup = Setup::new().await;
    for (weight, is_allowed) in [(json!(0), true), (json!(0.01), true), (json!(1), true), (json!(1.01), false)] {
        let origins = json!([{"name": "a", "address": "192.0.2.1", "weight": weight}]);
        let answer = setup.call("PATCH", &setup.pool(), json!({"origins": origins})).await;
        assert_eq!(answer.status == 200, is_allowed, "{weight}");
    }
    setup.cloudflare.violations();
}

#[tokio::test]
async fn one_address_can_serve_several_ports() {
    let setup = Setup::new().await;
    let mut origins = origins("192.0.2.1", "192.0.2.1");
    origins[1]["port"] = json!(6443);
    setup.call("PATCH", &setup.pool(), json!({"origins": origins})).await.result();
}

#[tokio::test]
async fn an_account_without_a_subscription_or_quota_cannot_write_pools() {
    let setup = Setup::new().await;
    let origins = json!([1, 2, 3].map(|n| json!({"name": format!("{n}"), "address": format!("192.0.2.{n}")})));
    setup.cloudflare.store().account(&setup.ids.account).max_origins = 2;
    let refused = setup.call("PATCH", &setup.pool(), json!({"origins": origins})).await;
    let said = "the origin list length must be in range [1, 2]: validation failed";
    assert_eq!(refused.error(), (400, 1002, said));
    setup.cloudflare.store().account(&setup.ids.account).has_load_balancing = false;
    let refused = setup.call("PATCH", &setup.pool(), json!({"enabled": false})).await;
    assert_eq!(refused.error(), (400, 1002, "Access Failed: validation failed"));
    setup.get(&setup.pool()).await.result();
}

#[tokio::test]
async fn pools_are_filtered_by_their_monitor() {
    let setup = Setup::new().await;
    let monitor = "f1aba936b94213e5b8dca0c0dbf1f9cc";
    let path = format!("{}?monitor={monitor}", setup.pools());
    assert_eq!(setup.get(&path).await.result(), &json!([]));
    setup.cloudflare.store().pool(&setup.ids.pool)["monitor"] = json!(monitor);
    assert_eq!(names(setup.get(&path).await.result()), ["kube-cp"]);
}

#[tokio::test]
async fn only_the_list_contains_the_health_and_the_health_call_is_a_map() {
    let setup = Setup::new().await;
    let list = setup.get(&setup.pools()).await;
    assert_eq!(list.result()[0]["healthy"], true);
    assert_eq!(list.result()[0]["origins"][0]["failure_reason"], "No failures");
    assert_eq!(setup.get(&setup.pool()).await.result().get("healthy"), None);
    let health = json!({"Amsterdam, NL": {"healthy": false, "origins": []}});
    setup.cloudflare.store().accounts.get_mut(&setup.ids.account).unwrap().health =
        [(setup.ids.pool.clone(), health.clone())].into();
    let reported = setup.get(&format!("{}/health", setup.pool())).await;
    assert_eq!(reported.result(), &json!({"pool_id": setup.ids.pool, "pop_health": health}));
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let setup = Setup::new().await;
    let unknown = "0".repeat(32);
    assert_eq!(setup.get(&format!("{}/{unknown}", setup.pools())).await.error().0, 404);
    assert_eq!(setup.get("/accounts").await.error().1, 7003);
    assert_eq!(setup.call("DELETE", &setup.pools(), Value::Null).await.error().1, 7003);
    // There is no such method in the schema either.
    setup.cloudflare.violations();
}
