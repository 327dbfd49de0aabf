//! The states of pools and balancers in which switching origins does not reach the clients.

use daymark_cloudflare::Cloudflare;
use daymark_decision::Decision;
use daymark_decision::fixtures::pool_name;
use daymark_fake_cloudflare::{Fault, RequestMatcher};
use daymark_provider::{RemoteProvider, contract};
use serde_json::{Value, json};

use crate::fixture::{Fixture, NAME, ONE, PUBLIC, TWO, decision, message_of, public};

const MONITOR_GROUP: &str = "6e3b0e6b1e5d4a29a4c8b1f2d3e4f5a6";

/// The finding of a provider that has published, and has no other.
async fn only_finding(provider: &Cloudflare) -> String {
    provider.apply(&public(1)).await.outcome.unwrap();
    let findings = provider.check().await.findings;
    assert_eq!(findings.len(), 1, "one finding: {findings:?}");
    findings.into_iter().next().unwrap()
}

/// The fixture with a setup of Daymark's own, and the IDs of its pool and its balancer.
async fn own_setup() -> (Fixture, String, String) {
    let fixture = Fixture::without_balancing().await;
    fixture.whole().apply(&public(1)).await.outcome.unwrap();
    let first = |objects: Vec<&String>| objects[0].clone();
    let (pool, balancer) = {
        let store = fixture.cloudflare.store();
        let pools = &store.accounts[&fixture.ids.account].pools;
        (first(pools.keys().collect()), first(store.zones[&fixture.ids.zone].balancers.keys().collect()))
    };
    (fixture, pool, balancer)
}

fn finding_of_pool(name: &str, field: &str) -> Option<(Value, String)> {
    let pool = format!("the Cloudflare pool {name}");
    Some(match field {
        "monitor_group" => (
            json!(MONITOR_GROUP),
            format!(
                "{pool} has a monitor group, which cannot verify a private CA and counts an origin of unknown health as down; \
                 detach the monitor group, because Daymark probes the nodes itself"
            ),
        ),
        "minimum_origins" => (
            json!(4),
            format!(
                "{pool} counts as unhealthy with fewer than 4 enabled origins, and has 3; set its `minimum_origins` to 1"
            ),
        ),
        "load_shedding" => (
            json!({"default_percent": 10, "default_policy": "random"}),
            format!(
                "{pool} sheds load, so a part of the clients gets other addresses than those of its enabled origins; set the \
                 percentages of `load_shedding` to 0"
            ),
        ),
        _ => return None,
    })
}

#[tokio::test]
async fn each_field_of_a_pool_that_makes_switches_useless_is_reported_in_both_kinds_of_management() {
    for field in ["monitor_group", "minimum_origins", "load_shedding"] {
        let fixture = Fixture::public().await;
        let (value, expected) = finding_of_pool("kube-cp", field).unwrap();
        fixture.cloudflare.store().pool(&fixture.ids.pool)[field] = value;
        assert_eq!(only_finding(&fixture.pools()).await, expected);

        let (fixture, pool, _) = own_setup().await;
        let (value, expected) = finding_of_pool("daymark-lb", field).unwrap();
        fixture.cloudflare.store().pool(&pool)[field] = value;
        assert_eq!(only_finding(&fixture.whole()).await, expected);
    }
}

#[tokio::test]
async fn no_load_is_shed_with_percentages_of_zero() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().pool(&fixture.ids.pool)["load_shedding"] =
        json!({"default_percent": 0, "session_percent": 0.0, "default_policy": "random", "session_policy": "hash"});
    let provider = fixture.pools();
    provider.apply(&public(1)).await.outcome.unwrap();
    assert_eq!(provider.check().await.findings, [] as [&str; 0]);
}

#[tokio::test]
async fn an_origin_of_weight_zero_is_reported() {
    let fixture = Fixture::public().await;
    fixture.edit_origin(&fixture.ids.pool, "kube-cp-2", "weight", 0.0);
    assert_eq!(
        only_finding(&fixture.pools()).await,
        "origins of the Cloudflare pool kube-cp have the weight 0, so Cloudflare never answers with them, enabled or not: \
         kube-cp-2 (203.0.112.2); give them a weight above 0"
    );
}

#[tokio::test]
async fn an_origin_of_weight_zero_does_not_answer_for_the_nodes_of_the_answer() {
    let fixture = Fixture::new().await;
    fixture.edit_origin(&fixture.ids.pool, "kube-cp-2", "weight", 0);
    let error = fixture.pools().apply(&decision(1, &[TWO])).await.outcome.unwrap_err();
    let message = message_of(&error);
    assert!(
        message.contains(
            "no origin of the Cloudflare pool kube-cp with a weight above 0 belongs to a node of the answer, so Daymark changes \
             nothing there; give the origins of the nodes weights (answer: node-2 192.0.2.2; "
        ),
        "{message}"
    );
    assert_eq!(fixture.writes(), [] as [&str; 0], "the only origins with a weight stay enabled");
}

#[tokio::test]
async fn a_setup_of_daymarks_own_keeps_its_answer_if_the_node_of_the_answer_has_the_weight_zero() {
    let (fixture, pool, _) = own_setup().await;
    fixture.edit_origin(&pool, "daymark-node-2-ipv4", "weight", 0);
    let writes = fixture.writes().len();
    let answer = contract::answer(
        &pool_name(NAME),
        2,
        [("node-1", PUBLIC[0], false), ("node-2", PUBLIC[1], true), ("node-3", PUBLIC[2], false)].map(
            |(node, address, is_in)| {
                if is_in { contract::node_in(node, address) } else { contract::node_out(node, address) }
            },
        ),
    );
    let decision = Decision { answers: vec![answer], generation: 2 };
    let error = fixture.whole().apply(&decision).await.outcome.unwrap_err();
    assert!(message_of(&error).contains("with a weight above 0 belongs to a node of the answer"), "{error:?}");
    assert_eq!(fixture.writes().len(), writes, "the only origins with a weight stay enabled");
}

#[tokio::test]
async fn a_pool_that_the_steering_never_chooses_is_reported() {
    let other = || json!({"name": "other", "origins": [{"name": "a", "address": "192.0.2.8"}]});
    for (field, value) in [
        ("default_pools", json!(["OTHER", "OURS"])),
        ("region_pools", json!({"WEU": ["OURS"]})),
        ("random_steering", json!({"default_weight": 1, "pool_weights": {"OURS": 0}})),
    ] {
        let fixture = Fixture::public().await;
        {
            let mut store = fixture.cloudflare.store();
            let other = store.add_pool(&fixture.ids.account, other());
            let text = value.to_string().replace("OTHER", &other).replace("OURS", &fixture.ids.pool);
            let balancer = store.balancer(&fixture.ids.balancer);
            if field != "random_steering" {
                balancer["default_pools"] = json!([other]);
            }
            balancer["steering_policy"] = if field == "random_steering" { "random" } else { "off" }.into();
            balancer[field] = serde_json::from_str(&text).unwrap();
        }
        let finding = only_finding(&fixture.pools()).await;
        assert!(
            finding.contains("answers with the Cloudflare pool kube-cp only if no other pool is healthy"),
            "{finding}"
        );
    }
}

#[tokio::test]
async fn rules_and_sets_of_pools_are_reported_in_both_kinds_of_management() {
    for (field, value) in [
        ("rules", json!([{"name": "r", "condition": "true", "overrides": {"default_pools": ["x"]}}])),
        ("pool_sets", json!([{"name": "s", "pools": ["x"]}])),
    ] {
        let expected = format!(
            "the load balancer {NAME} has `{field}`, which may choose other pools and origins than Daymark switches; remove them"
        );
        let fixture = Fixture::public().await;
        fixture.cloudflare.store().balancer(&fixture.ids.balancer)[field] = value.clone();
        assert_eq!(only_finding(&fixture.pools()).await, expected);

        let (fixture, _, balancer) = own_setup().await;
        fixture.cloudflare.store().balancer(&balancer)[field] = value;
        assert_eq!(only_finding(&fixture.whole()).await, expected);
    }
}

#[tokio::test]
async fn rules_that_are_disabled_do_not_matter() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().balancer(&fixture.ids.balancer)["rules"] = json!([{"name": "r", "disabled": true}]);
    let provider = fixture.pools();
    provider.apply(&public(1)).await.outcome.unwrap();
    assert_eq!(provider.check().await.findings, [] as [&str; 0]);
}

#[tokio::test]
async fn a_disabled_balancer_is_reported() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().balancer(&fixture.ids.balancer)["enabled"] = false.into();
    assert_eq!(
        only_finding(&fixture.pools()).await,
        format!(
            "the load balancer {NAME} is disabled, so Cloudflare answers with the records of the name or not at all; enable it"
        )
    );
}

#[tokio::test]
async fn a_pool_that_is_only_the_fallback_is_reported() {
    let fixture = Fixture::public().await;
    let other = json!({"name": "other", "origins": [{"name": "a", "address": "192.0.2.8"}]});
    {
        let mut store = fixture.cloudflare.store();
        let other = store.add_pool(&fixture.ids.account, other);
        store.balancer(&fixture.ids.balancer)["default_pools"] = json!([other]);
    }
    assert_eq!(
        only_finding(&fixture.pools()).await,
        format!(
            "the load balancer {NAME} answers with the Cloudflare pool kube-cp only if no other pool is healthy, so its switches have \
             no effect until then; make it the first of the default pools, with a weight above 0"
        )
    );
}

#[tokio::test]
async fn a_pool_that_another_balancer_uses_is_reported_in_both_kinds_of_management() {
    let share = |fixture: &Fixture, pool: &str| {
        let balancer = json!({"name": "other.kube-cp.com", "default_pools": [pool], "fallback_pool": pool});
        fixture.cloudflare.store().add_balancer(&fixture.ids.zone, balancer);
    };
    let expected = |pool: &str| {
        format!(
            "the Cloudflare pool {pool} is also used by other.kube-cp.com, where the switches of {NAME} take effect too; give \
             each name a pool of its own"
        )
    };
    let fixture = Fixture::public().await;
    share(&fixture, &fixture.ids.pool);
    assert_eq!(only_finding(&fixture.pools()).await, expected("kube-cp"));

    let (fixture, pool, _) = own_setup().await;
    share(&fixture, &pool);
    assert_eq!(only_finding(&fixture.whole()).await, expected("daymark-lb"));
}

#[tokio::test]
async fn records_beside_a_balancer_of_the_same_name_are_reported() {
    let fixture = Fixture::public().await;
    let record = json!({"type": "A", "name": NAME, "content": ONE, "ttl": 60, "proxied": false});
    fixture.cloudflare.store().add_record(&fixture.ids.zone, record);
    assert_eq!(
        only_finding(&fixture.pools()).await,
        format!(
            "the record {NAME} A {ONE} is hidden behind the load balancer, and answers if that is disabled; delete the record"
        )
    );
}

#[tokio::test]
async fn a_balancer_beside_the_records_of_its_name_is_reported() {
    let fixture = Fixture::new().await;
    assert_eq!(
        only_finding(&fixture.records()).await,
        format!(
            "the zone has a load balancer {NAME}, which answers instead of the records; delete or disable it, or set `mode: \
             loadBalancing`"
        )
    );
    fixture.cloudflare.store().balancer(&fixture.ids.balancer)["enabled"] = false.into();
    assert_eq!(fixture.records().check().await.findings, [] as [&str; 0], "then the records answer");
}

#[tokio::test]
async fn records_are_not_called_hidden_if_no_balancer_answers() {
    let fixture = Fixture::public().await;
    let record = json!({"type": "A", "name": NAME, "content": ONE, "ttl": 60, "proxied": false});
    fixture.cloudflare.store().add_record(&fixture.ids.zone, record);
    fixture.cloudflare.store().balancer(&fixture.ids.balancer)["enabled"] = false.into();
    assert!(only_finding(&fixture.pools()).await.contains("is disabled"));
    fixture.cloudflare.store().zone(&fixture.ids.zone).balancers.clear();
    assert!(only_finding(&fixture.pools()).await.starts_with("the zone has no load balancer"));
}

#[tokio::test]
async fn a_ttl_with_a_fraction_of_zero_is_a_ttl() {
    let fixture = Fixture::without_balancing().await;
    fixture.cloudflare.store().fractional_ttl = true;
    let provider = fixture.records();
    for generation in 1..=2 {
        provider.apply(&public(generation)).await.outcome.unwrap();
    }
    assert_eq!(fixture.writes().len(), 3, "each record is added, and none is corrected");
}

#[tokio::test]
async fn the_ttl_that_clients_get_is_read_for_the_status() {
    let records = Fixture::without_balancing().await;
    let provider = records.records();
    assert!(provider.readings().ttls.is_empty(), "nothing is known before the first pass");
    provider.apply(&public(1)).await.outcome.unwrap();
    assert_eq!(provider.readings().ttls.into_values().collect::<Vec<_>>(), [60]);

    let (own, _, _) = own_setup().await;
    let provider = own.whole();
    provider.apply(&public(1)).await.outcome.unwrap();
    assert_eq!(provider.readings().ttls.into_values().collect::<Vec<_>>(), [30]);

    let switched = Fixture::public().await;
    switched.cloudflare.store().balancer(&switched.ids.balancer)["ttl"] = json!(40.0);
    let provider = switched.pools();
    provider.apply(&public(1)).await.outcome.unwrap();
    provider.check().await;
    assert_eq!(provider.readings().ttls.into_values().collect::<Vec<_>>(), [40]);
}

#[tokio::test]
async fn a_plan_without_load_balancing_or_with_too_few_endpoints_is_reported_with_the_way_out() {
    for (fault, advice) in [
        (Fault::BALANCING_NOT_ENABLED, "order it, or set `mode: records`, which every plan has"),
        (Fault::ACCESS_FAILED, "order it, or set `mode: records`, which every plan has"),
        (Fault::TWO_ORIGINS, "order more of them, or take nodes out of the pool's `nodes`"),
    ] {
        let fixture = Fixture::without_balancing().await;
        fixture.cloudflare.inject(fault, RequestMatcher::method("POST"));
        let message = message_of(&fixture.whole().apply(&public(1)).await.outcome.unwrap_err());
        assert!(message.ends_with(advice), "{message}");
    }
}
