//! The validation of requests. It needs Cloudflare's document. Without one it is skipped, and says so.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use crate::{Setup, origins};

fn is_there() -> bool {
    let there = std::env::var_os("CLOUDFLARE_OPENAPI").is_some();
    if !there {
        #[expect(clippy::print_stderr, reason = "what is skipped must be seen")]
        {
            eprintln!("skipped: CLOUDFLARE_OPENAPI is not set");
        }
    }
    there
}

#[tokio::test]
async fn wrong_requests_are_violations() {
    if !is_there() {
        return;
    }
    let setup = Setup::new().await;
    let origin = |field: &str, value: Value| json!({"origins": [{"name": "a", "address": "192.0.2.1", field: value}]});
    let unknown = "0".repeat(32);
    let record = |field: &str, value: Value| {
        let mut record = json!({"type": "A", "name": "lb.kube-cp.com", "content": "192.0.2.1"});
        record[field] = value;
        record
    };
    let cases = [
        ("PATCH", setup.pool(), origin("weight", json!(2)), "/body/origins/0/weight"),
        ("PATCH", setup.pool(), origin("enabled", json!("true")), "/body/origins/0/enabled"),
        ("PATCH", setup.pool(), origin("disabled_at", json!("2026-01-01T00:00:00Z")), "/body/origins/0/disabled_at"),
        ("PUT", setup.pool(), json!({"name": "kube-cp"}), "origins"),
        ("POST", setup.pools(), json!([]), "/body"),
        ("POST", setup.pools(), Value::Null, "body"),
        ("POST", setup.balancers(), json!({"name": "a.kube-cp.com", "default_pools": []}), "fallback_pool"),
        ("POST", setup.records(), record("ttl", json!(5)), "/body"),
        ("POST", setup.records(), record("content", json!("2001:db8::1")), "/body"),
        ("POST", setup.records(), record("created_on", json!("2026-01-01T00:00:00Z")), "/body"),
        ("GET", format!("{}?page=0", setup.records()), Value::Null, "/query/page"),
        ("GET", format!("{}?page=x", setup.records()), Value::Null, "/query/page"),
        ("GET", format!("{}?type=a", setup.records()), Value::Null, "/query/type"),
        ("GET", format!("{}?nmae=x", setup.records()), Value::Null, "nmae"),
        ("GET", format!("/zones/{unknown}0/dns_records"), Value::Null, "/path/zone_id"),
        ("PUT", setup.pools(), json!({}), "no such method"),
    ];
    for (method, path, body, said) in cases {
        setup.call(method, &path, body).await;
        let violations = setup.cloudflare.violations();
        assert!(violations.len() == 1 && violations[0].contains(said), "{method} {path}: {violations:?}");
    }
}

#[tokio::test]
async fn right_requests_are_none_even_where_the_document_is_wrong() {
    if !is_there() {
        return;
    }
    let setup = Setup::new().await;
    let balancer = format!("{}/{}", setup.balancers(), setup.ids.balancer);
    let record = json!({"type": "A", "name": "lb.kube-cp.com", "content": "192.0.2.1", "ttl": 60, "comment": "c"});
    let filter = json!({"origin": null, "pool": {"disable": true, "healthy": null}});
    let pool = json!({"name": "a", "origins": origins("192.0.2.1", "192.0.2.2"), "notification_filter": filter});
    let calls = [
        ("GET", "/zones".to_owned(), Value::Null),
        ("POST", setup.pools(), pool),
        (
            "PATCH",
            setup.pool(),
            json!({"check_regions": null, "monitor_group": "x", "origins": origins("a.test", "b.test")}),
        ),
        ("GET", format!("{}?page=1&per_page=100&name=7", setup.records()), Value::Null),
        ("POST", setup.records(), record),
        ("PATCH", balancer.clone(), json!({"steering_policy": ""})),
        ("DELETE", balancer, Value::Null),
    ];
    for (method, path, body) in calls {
        assert_eq!(setup.call(method, &path, body).await.status, 200, "{method} {path}");
        assert_eq!(setup.cloudflare.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn violations_that_nobody_asks_about_end_the_test() {
    if !is_there() {
        return;
    }
    let setup = Setup::new().await;
    setup.call("PATCH", &setup.pool(), json!({"enabled": 1})).await;
    let panic = catch_unwind(AssertUnwindSafe(|| drop(setup))).unwrap_err();
    assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("/body/enabled")));
}
