//! Load balancers.

use serde_json::{Value, json};

use crate::Setup;

#[tokio::test]
async fn a_new_balancer_has_what_it_lacks_filled_in() {
    let setup = Setup::new().await;
    let sent = json!({"name": "two.kube-cp.com", "default_pools": [setup.ids.pool], "fallback_pool": setup.ids.pool});
    let made = setup.call("POST", &setup.balancers(), sent).await;
    let result = made.result();
    assert_eq!((&result["proxied"], &result["ttl"], &result["enabled"]), (&json!(false), &json!(30), &json!(true)));
    assert_eq!((&result["steering_policy"], &result["zone_name"]), (&json!("off"), &json!("kube-cp.com")));
    let path = format!("{}/{}", setup.balancers(), result["id"].as_str().unwrap());
    assert_eq!(setup.get(&path).await.result(), result);
    assert_eq!(setup.get(&setup.balancers()).await.result().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_patch_keeps_and_a_put_resets_what_is_not_named() {
    let setup = Setup::new().await;
    let path = format!("{}/{}", setup.balancers(), setup.ids.balancer);
    let patched = setup.call("PATCH", &path, json!({"description": "mine", "ttl": 60})).await;
    assert_eq!((&patched.result()["name"], &patched.result()["ttl"]), (&json!("lb.kube-cp.com"), &json!(60)));
    let sent = json!({"name": "lb.kube-cp.com", "default_pools": [setup.ids.pool], "fallback_pool": setup.ids.pool});
    let put = setup.call("PUT", &path, sent).await;
    assert_eq!((&put.result()["description"], &put.result()["ttl"]), (&json!(""), &json!(30)));
    assert_eq!(put.result()["created_on"], patched.result()["created_on"]);
}

#[tokio::test]
async fn a_proxied_balancer_has_no_ttl() {
    let setup = Setup::new().await;
    let path = format!("{}/{}", setup.balancers(), setup.ids.balancer);
    let refused = setup.call("PATCH", &path, json!({"proxied": true, "ttl": 30})).await;
    assert_eq!(refused.error(), (400, 1002, "ttl must not be set on a proxied load balancer: validation failed"));
    assert_eq!(setup.call("PATCH", &path, json!({"proxied": true})).await.result().get("ttl"), None);
    assert_eq!(setup.call("PATCH", &path, json!({"proxied": false})).await.result()["ttl"], 30);
}

#[tokio::test]
async fn impossible_balancers_are_refused() {
    let setup = Setup::new().await;
    let pool = &setup.ids.pool;
    let unknown = "0".repeat(32);
    let cases = [
        (json!({"name": "lb.kube-cp.com", "default_pools": [pool], "fallback_pool": pool}), 1002),
        (json!({"name": "lb.example.com", "default_pools": [pool], "fallback_pool": pool}), 1002),
        (json!({"name": "a.kube-cp.com", "default_pools": [], "fallback_pool": pool}), 1002),
        (json!({"name": "a.kube-cp.com", "default_pools": [pool]}), 1002),
        (json!({"name": "a.kube-cp.com", "default_pools": [unknown], "fallback_pool": pool}), 1003),
        (json!({"name": "a.kube-cp.com", "default_pools": [pool], "fallback_pool": unknown}), 1003),
        (json!({"name": "a.kube-cp.com", "default_pools": [pool], "fallback_pool": pool, "zone_name": "x"}), 1002),
        (
            json!({"name": "a.kube-cp.com", "default_pools": [pool], "fallback_pool": pool, "steering_policy": "x"}),
            1002,
        ),
    ];
    for (sent, code) in cases {
        let refused = setup.call("POST", &setup.balancers(), sent.clone()).await;
        assert_eq!((refused.error().0, refused.error().1), (400, code), "{sent}");
    }
    // The schema knows the policies and what is required.
    setup.cloudflare.violations();
    assert_eq!(setup.get(&setup.balancers()).await.result().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn there_are_at_most_twenty_balancers() {
    let setup = Setup::new().await;
    for n in 2..=21 {
        let name = format!("lb-{n}.kube-cp.com");
        let sent = json!({"name": name, "default_pools": [setup.ids.pool], "fallback_pool": setup.ids.pool});
        let answer = setup.call("POST", &setup.balancers(), sent).await;
        assert_eq!(answer.status, if n <= 20 { 200 } else { 400 }, "{answer:?}");
    }
}

#[tokio::test]
async fn an_unknown_balancer_is_not_found() {
    let setup = Setup::new().await;
    let unknown = "0".repeat(32);
    assert_eq!(setup.get(&format!("{}/{unknown}", setup.balancers())).await.error().1, 1001);
}

/// Every field that the example does not have, with pools by place, pool sets and rules.
fn more_fields(pool: &str) -> Value {
    json!({
        "enabled": false,
        "rules": [{"name": "maintenance", "condition": "", "fixed_response": {"status_code": 503}}],
        "pool_sets": [{"name": "all", "overrides": {"pools": [pool]}}],
        "region_pools": {"WEU": [pool]}, "country_pools": {"DE": [pool]}, "pop_pools": {"AMS": [pool]},
        "adaptive_routing": {"failover_across_pools": true},
        "location_strategy": {"mode": "resolver_ip", "prefer_ecs": "always"},
        "random_steering": {"default_weight": 0.5, "pool_weights": {pool: 0.2}},
        "session_affinity": "cookie", "session_affinity_ttl": 1800,
        "session_affinity_attributes": {"drain_duration": 60},
        "steering_policy": "geo",
        "networks": ["cloudflare"],
    })
}

#[tokio::test]
async fn every_field_outlives_a_patch_and_not_a_put() {
    let setup = Setup::new().await;
    let pool = &setup.ids.pool;
    let path = format!("{}/{}", setup.balancers(), setup.ids.balancer);
    setup.call("PATCH", &path, more_fields(pool)).await.result();
    let patched = setup.call("PATCH", &path, json!({"description": "new"})).await;
    for (field, value) in more_fields(pool).as_object().unwrap() {
        assert_eq!(&patched.result()[field], value, "{field}");
    }
    let sent = json!({"name": "lb.kube-cp.com", "default_pools": [pool], "fallback_pool": pool});
    let put = setup.call("PUT", &path, sent).await;
    let defaults = json!({"enabled": true, "session_affinity": "none", "steering_policy": "off"});
    for field in more_fields(pool).as_object().unwrap().keys() {
        assert_eq!(put.result()[field], defaults[field], "{field}");
    }
}

#[tokio::test]
async fn a_patch_replaces_a_property_as_a_whole_and_an_empty_one_clears_it() {
    let setup = Setup::new().await;
    let pool = &setup.ids.pool;
    let path = format!("{}/{}", setup.balancers(), setup.ids.balancer);
    setup.call("PATCH", &path, more_fields(pool)).await.result();
    let sent = json!({"pool_sets": [], "region_pools": {"ENAM": [pool]}, "country_pools": {}});
    let patched = setup.call("PATCH", &path, sent.clone()).await;
    for (field, value) in sent.as_object().unwrap() {
        assert_eq!(&patched.result()[field], value, "{field}");
    }
    assert_eq!(patched.result()["pop_pools"], json!({"AMS": [pool]}));
}

#[tokio::test]
async fn a_pool_that_any_field_names_must_exist() {
    let setup = Setup::new().await;
    let path = format!("{}/{}", setup.balancers(), setup.ids.balancer);
    let unknown = "0".repeat(32);
    for sent in [
        json!({"region_pools": {"WEU": [unknown]}}),
        json!({"pool_sets": [{"overrides": {"pools": [unknown]}}]}),
        json!({"rules": [{"overrides": {"fallback_pool": unknown}}]}),
    ] {
        let refused = setup.call("PATCH", &path, sent.clone()).await;
        assert_eq!((refused.error().0, refused.error().1), (400, 1003), "{sent}");
    }
}

#[tokio::test]
async fn values_that_the_sdk_does_not_know_are_refused() {
    let setup = Setup::new().await;
    let path = format!("{}/{}", setup.balancers(), setup.ids.balancer);
    for sent in [
        json!({"enabled": "yes"}),
        json!({"session_affinity": "address"}),
        json!({"session_affinity": "cookie", "session_affinity_ttl": 60}),
        json!({"location_strategy": {"mode": "nearest"}}),
        json!({"location_strategy": {"prefer_ecs": "sometimes"}}),
        json!({"rules": {}}),
        json!({"pool_sets": {}}),
    ] {
        let refused = setup.call("PATCH", &path, sent.clone()).await;
        assert_eq!((refused.error().0, refused.error().1), (400, 1002), "{sent}");
    }
    // The schema knows some of these.
    setup.cloudflare.violations();
}

#[tokio::test]
async fn a_zone_without_load_balancing_refuses_balancers() {
    let setup = Setup::new().await;
    setup.cloudflare.store().zone(&setup.ids.zone).has_load_balancing = false;
    let sent = json!({"name": "two.kube-cp.com", "default_pools": [setup.ids.pool], "fallback_pool": setup.ids.pool});
    let refused = setup.call("POST", &setup.balancers(), sent).await;
    assert_eq!(refused.error(), (400, 1002, "load balancing not enabled for zone: validation failed"));
}

#[tokio::test]
async fn a_ttl_can_be_shown_with_a_fraction() {
    let setup = Setup::new().await;
    setup.cloudflare.store().fractional_ttl = true;
    assert_eq!(setup.get(&setup.balancers()).await.result()[0]["ttl"].to_string(), "30.0");
}
