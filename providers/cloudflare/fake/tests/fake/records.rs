//! DNS records.

use daymark_fake_cloudflare::{DuplicateError, FakeZonePlan, FakeZoneType};
use serde_json::{Value, json};

use crate::{Reply, Setup};

fn a(content: &str) -> Value {
    json!({"type": "A", "name": "lb.kube-cp.com", "content": content, "ttl": 60, "comment": "daymark lb"})
}

impl Setup {
    async fn add(&self, record: Value) -> Reply {
        self.call("POST", &self.records(), record).await
    }

    async fn contents(&self, query: &str) -> Vec<String> {
        let list = self.get(&format!("{}?{query}", self.records())).await;
        let list = list.result().as_array().unwrap().iter();
        let mut contents: Vec<_> = list.map(|record| record["content"].as_str().unwrap().to_owned()).collect();
        contents.sort();
        contents
    }
}

#[tokio::test]
async fn a_new_record_has_its_full_name_its_short_address_and_the_defaults() {
    let setup = Setup::new().await;
    let made = setup.add(json!({"type": "AAAA", "name": "LB", "content": "2001:0db8::0:1"})).await;
    let result = made.result();
    assert_eq!((&result["name"], &result["content"]), (&json!("lb.kube-cp.com"), &json!("2001:db8::1")));
    assert_eq!((&result["ttl"], &result["proxied"], &result["comment"]), (&json!(1), &json!(false), &Value::Null));
    let path = format!("{}/{}", setup.records(), result["id"].as_str().unwrap());
    assert_eq!(setup.get(&path).await.result(), result);
    assert_eq!(
        setup.add(json!({"type": "A", "name": "@", "content": "192.0.2.1"})).await.result()["name"],
        "kube-cp.com"
    );
}

#[tokio::test]
async fn a_list_is_filtered_and_paged() {
    let setup = Setup::new().await;
    for n in 1..=3 {
        setup.add(a(&format!("192.0.2.{n}"))).await.result();
    }
    setup.add(json!({"type": "TXT", "name": "lb.kube-cp.com", "content": "text", "comment": "by hand"})).await.result();
    setup.add(json!({"type": "A", "name": "other.kube-cp.com", "content": "192.0.2.9"})).await.result();
    assert_eq!(setup.contents("").await.len(), 5);
    assert_eq!(setup.contents("name=LB.kube-cp.com&type=A").await, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(setup.contents("comment.startswith=daymark%20").await.len(), 3);
    assert_eq!(setup.contents("comment.exact=by+hand").await, ["text"]);
    assert_eq!(setup.contents("comment.exact=by").await.len(), 0);
    assert_eq!(setup.contents("content=192.0.2.9").await, ["192.0.2.9"]);
    let last = setup.get(&format!("{}?page=3&per_page=2", setup.records())).await;
    let info = json!({"page": 3, "per_page": 2, "count": 1, "total_count": 5, "total_pages": 3});
    assert_eq!((last.result().as_array().unwrap().len(), &last.body["result_info"]), (1, &info));
    assert_eq!(setup.get(&setup.records()).await.body["result_info"]["per_page"], 100);
}

#[tokio::test]
async fn unknown_filters_are_refused_instead_of_passed_over() {
    let setup = Setup::new().await;
    let refused = setup.get(&format!("{}?nmae=lb.kube-cp.com", setup.records())).await;
    assert_eq!(refused.error().0, 400);
    assert_eq!(setup.get(&format!("{}?page=0", setup.records())).await.error().0, 400);
    // The schema refuses both.
    setup.cloudflare.violations();
}

#[tokio::test]
async fn a_record_is_changed_and_deleted() {
    let setup = Setup::new().await;
    let id = setup.add(a("192.0.2.1")).await.result()["id"].as_str().unwrap().to_owned();
    let path = format!("{}/{id}", setup.records());
    let mut sent = json!({"type": "A", "name": "lb.kube-cp.com", "content": "192.0.2.2"});
    let patched = setup.call("PATCH", &path, sent.clone()).await;
    assert_eq!((&patched.result()["content"], &patched.result()["ttl"]), (&json!("192.0.2.2"), &json!(60)));
    sent["id"] = json!(id);
    let put = setup.call("PUT", &path, sent).await;
    assert_eq!((&put.result()["ttl"], &put.result()["comment"]), (&json!(1), &Value::Null));
    assert_eq!(put.result()["created_on"], patched.result()["created_on"]);
    assert_eq!(setup.call("DELETE", &path, Value::Null).await.result(), &json!({"id": id}));
    for method in ["GET", "DELETE"] {
        assert_eq!(setup.call(method, &path, Value::Null).await.error(), (404, 81_044, "Record does not exist."));
    }
}

#[tokio::test]
async fn the_same_record_twice_is_refused_even_with_another_ttl_or_comment() {
    let setup = Setup::new().await;
    setup.add(a("192.0.2.1")).await.result();
    let mut other = a("192.0.2.1");
    other["ttl"] = json!(120);
    other["comment"] = json!("other");
    assert_eq!(setup.add(other).await.error().1, 81_058);
    let id = setup.add(a("192.0.2.2")).await.result()["id"].as_str().unwrap().to_owned();
    let refused = setup.call("PATCH", &format!("{}/{id}", setup.records()), a("192.0.2.1")).await;
    assert_eq!(refused.error().1, 81_058);
    setup.call("PATCH", &format!("{}/{id}", setup.records()), a("192.0.2.2")).await.result();
}

#[tokio::test]
async fn an_address_and_an_alias_cannot_share_a_name() {
    let setup = Setup::new().await;
    let alias = |name: &str| json!({"type": "CNAME", "name": name, "content": "elsewhere.example"});
    setup.add(a("192.0.2.1")).await.result();
    assert_eq!(setup.add(alias("lb")).await.error().1, 81_053);
    setup.add(alias("alias")).await.result();
    let refused = setup.add(json!({"type": "AAAA", "name": "alias", "content": "2001:db8::1"})).await;
    assert_eq!(refused.error().1, 81_054);
    setup.add(json!({"type": "TXT", "name": "alias", "content": "text"})).await.result();
}

#[tokio::test]
async fn the_plan_decides_on_ttl_comment_and_tags() {
    let setup = Setup::new().await;
    let cases = [
        ("ttl", json!(1), true, true),
        ("ttl", json!(2), false, false),
        ("ttl", json!(29), false, false),
        ("ttl", json!(30), false, true),
        ("ttl", json!(86_401), false, false),
        ("comment", json!("x".repeat(100)), true, true),
        ("comment", json!("x".repeat(101)), false, true),
        ("comment", json!("x".repeat(501)), false, false),
        ("comment", json!("two\nlines"), false, false),
        ("tags", json!(["a:b"]), false, true),
    ];
    for (n, (field, value, free, enterprise)) in cases.into_iter().enumerate() {
        for (net, plan, is_allowed) in
            [("192.0.2", FakeZonePlan::Free, free), ("198.51.100", FakeZonePlan::Enterprise, enterprise)]
        {
            setup.cloudflare.store().zones.get_mut(&setup.ids.zone).unwrap().plan = plan;
            let mut record = a(&format!("{net}.{n}"));
            record[field] = value.clone();
            let answer = setup.add(record).await;
            if is_allowed {
                answer.result();
            } else if value.as_str().is_some_and(|comment| comment.len() > 100) {
                let max = if plan == FakeZonePlan::Free { 100 } else { 500 };
                let message = format!("DNS record comment exceeds the maximum length of {max} characters.");
                assert_eq!(answer.error(), (400, 9_313, message.as_str()));
            } else {
                let cause = if field == "ttl" { 9_021 } else { 9_300 };
                assert_eq!((answer.error().1, answer.cause()), (1_004, cause), "{field} {value} {plan:?}");
            }
        }
    }
    // The schema refuses a TTL out of range as well.
    setup.cloudflare.violations();
}

#[tokio::test]
async fn contents_that_do_not_fit_the_type_are_refused() {
    let setup = Setup::new().await;
    for (kind, content) in [("A", "2001:db8::1"), ("AAAA", "192.0.2.1"), ("A", "lb.kube-cp.com")] {
        let refused = setup.add(json!({"type": kind, "name": "lb", "content": content})).await;
        assert_eq!((refused.status, refused.error().1), (400, 1_004), "{kind} {content}");
    }
    let refused = setup.add(json!({"type": "TXT", "name": "lb", "content": "text", "proxied": true})).await;
    assert_eq!(refused.cause(), 9_004);
    let refused = setup.add(json!({"type": "A", "name": "lb", "content": "192.0.2.1", "proxiable": true})).await;
    assert_eq!(refused.cause(), 9_000);
    setup.cloudflare.violations();
    let proxied =
        setup.add(json!({"type": "A", "name": "lb", "content": "192.0.2.1", "proxied": true, "ttl": 60})).await;
    assert_eq!(proxied.result()["ttl"], 1);
}

#[tokio::test]
async fn a_paid_plan_has_longer_comments_but_no_shorter_ttl() {
    let setup = Setup::new().await;
    setup.cloudflare.store().zone(&setup.ids.zone).plan = FakeZonePlan::Pro;
    let mut record = a("192.0.2.1");
    record["comment"] = json!("x".repeat(500));
    setup.add(record.clone()).await.result();
    record["content"] = json!("192.0.2.2");
    record["comment"] = json!("x".repeat(501));
    assert_eq!(setup.add(record.clone()).await.error().1, 9_313);
    record["comment"] = Value::Null;
    record["ttl"] = json!(59);
    let refused = setup.add(record).await;
    assert_eq!((refused.error().1, refused.cause()), (1_004, 9_021));
    let cause = &refused.body["errors"][0]["error_chain"][0]["message"];
    assert_eq!(cause, "TTL must be between 60 and 86400 seconds, or 1 for Automatic.");
    // The schema refuses a TTL out of range and a longer comment as well.
    setup.cloudflare.violations();
}

#[tokio::test]
async fn a_secondary_zone_refuses_comments() {
    let setup = Setup::new().await;
    setup.cloudflare.store().zone(&setup.ids.zone).zone_type = FakeZoneType::Secondary;
    let mut record = a("192.0.2.1");
    assert_eq!(setup.add(record.clone()).await.error().0, 400);
    record["comment"] = json!("");
    setup.add(record).await.result();
}

#[tokio::test]
async fn a_name_outside_the_zone_is_relative_to_it() {
    let setup = Setup::new().await;
    let mut record = a("192.0.2.1");
    record["name"] = json!("lb.other.org");
    assert_eq!(setup.add(record.clone()).await.result()["name"], "lb.other.org.kube-cp.com");
    record["name"] = json!("lb.xkube-cp.com");
    assert_eq!(setup.add(record).await.result()["name"], "lb.xkube-cp.com.kube-cp.com");
}

#[tokio::test]
async fn names_are_stored_in_punycode_and_found_only_so() {
    let setup = Setup::new().await;
    setup.cloudflare.store().zone(&setup.ids.zone).name = "k\u{fc}be.example".to_owned();
    for (sent, content) in
        [("lb", "192.0.2.1"), ("lb.k\u{fc}be.example", "192.0.2.2"), ("LB.xn--kbe-hoa.example", "192.0.2.3")]
    {
        let mut record = a(content);
        record["name"] = json!(sent);
        assert_eq!(setup.add(record).await.result()["name"], "lb.xn--kbe-hoa.example");
    }
    assert_eq!(setup.contents("name=lb.xn--kbe-hoa.example").await.len(), 3);
    assert_eq!(setup.contents("name=lb.k%C3%BCbe.example").await.len(), 0);
}

#[tokio::test]
async fn a_ttl_is_a_number_with_or_without_a_fraction() {
    let setup = Setup::new().await;
    let mut record = a("192.0.2.1");
    record["ttl"] = json!(60.0);
    let made = setup.add(record.clone()).await;
    assert_eq!(made.result()["ttl"].to_string(), "60");
    setup.cloudflare.store().fractional_ttl = true;
    let path = format!("{}/{}", setup.records(), made.result()["id"].as_str().unwrap());
    assert_eq!(setup.get(&path).await.result()["ttl"].to_string(), "60.0");
    assert_eq!(setup.get(&setup.records()).await.result()[0]["ttl"].to_string(), "60.0");
    let patched = setup.call("PATCH", &path, json!({"ttl": 120})).await;
    assert_eq!(patched.result()["ttl"].to_string(), "120.0");
    record["content"] = json!("192.0.2.2");
    record["ttl"] = json!(60.5);
    assert_eq!(setup.add(record).await.cause(), 9_021);
    setup.cloudflare.violations();
}

#[tokio::test]
async fn name_servers_at_the_apex_are_listed_and_exclude_nothing() {
    let setup = Setup::new().await;
    let at_apex = |kind: &str, content: &str| json!({"type": kind, "name": "@", "content": content});
    setup.add(at_apex("A", "192.0.2.1")).await.result();
    setup.add(at_apex("NS", "ns1.example.net")).await.result();
    setup.add(at_apex("A", "192.0.2.2")).await.result();
    assert_eq!(setup.contents("name=kube-cp.com&type=NS").await, ["ns1.example.net"]);
}

#[tokio::test]
async fn a_delegation_below_the_apex_excludes_other_records_of_its_name() {
    let setup = Setup::new().await;
    let record = |kind: &str, name: &str, content: &str| json!({"type": kind, "name": name, "content": content});
    setup.add(record("A", "lb", "192.0.2.1")).await.result();
    let refused = setup.add(record("NS", "lb", "ns1.example.net")).await;
    assert_eq!(refused.error(), (400, 81_055, "non-NS records already exists with that host."));
    setup.add(record("NS", "sub", "ns1.example.net")).await.result();
    setup.add(record("NS", "sub", "ns2.example.net")).await.result();
    let refused = setup.add(record("A", "sub", "192.0.2.1")).await;
    assert_eq!(refused.error(), (400, 81_056, "NS records with that host already exist."));
    setup.add(record("A", "lb.sub", "192.0.2.1")).await.result();
}

#[tokio::test]
async fn the_delegations_that_shadow_a_name_are_found() {
    let setup = Setup::new().await;
    for (name, content) in [("@", "apex.test"), ("sub", "sub.test"), ("lb.sub", "lb.test"), ("other", "other.test")] {
        setup.add(json!({"type": "NS", "name": name, "content": content})).await.result();
    }
    setup.add(json!({"type": "A", "name": "a.lb.sub", "content": "192.0.2.1"})).await.result();
    assert_eq!(setup.contents("shadowing_name=a.lb.sub.kube-cp.com").await, ["lb.test", "sub.test"]);
    assert_eq!(setup.contents("shadowing_name=sub.kube-cp.com").await, ["sub.test"]);
    assert_eq!(setup.contents("shadowing_name=xsub.kube-cp.com").await.len(), 0);
    for name in ["kube-cp.com", "lb.other.org"] {
        let refused = setup.get(&format!("{}?shadowing_name={name}", setup.records())).await;
        assert_eq!(refused.error().0, 400, "{name}");
    }
}

#[tokio::test]
async fn a_record_and_a_balancer_can_share_a_name() {
    let setup = Setup::new().await;
    setup.add(a("192.0.2.1")).await.result();
    let mut two = a("192.0.2.2");
    two["name"] = json!("two.kube-cp.com");
    setup.add(two).await.result();
    let pool = &setup.ids.pool;
    let sent = json!({"name": "two.kube-cp.com", "default_pools": [pool], "fallback_pool": pool});
    setup.call("POST", &setup.balancers(), sent).await.result();
}

#[tokio::test]
async fn a_duplicate_has_one_of_two_codes() {
    let setup = Setup::new().await;
    setup.add(a("192.0.2.1")).await.result();
    let refused = setup.add(a("192.0.2.1")).await;
    assert_eq!(refused.error(), (400, 81_058, "An identical record already exists."));
    setup.cloudflare.store().duplicate_record = DuplicateError::Exists;
    assert_eq!(setup.add(a("192.0.2.1")).await.error(), (400, 81_057, "The record already exists."));
}
