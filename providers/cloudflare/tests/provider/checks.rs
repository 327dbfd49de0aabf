//! The findings of the checks.

use daymark_cloudflare::{Manage, PublishMode};
use daymark_fake_cloudflare::{FakeTokenStatus, Fault, RequestMatcher, Scope};
use daymark_provider::RemoteProvider;
use serde_json::json;

use crate::fixture::{Fixture, NAME, public};

async fn finding(fixture: &Fixture) -> String {
    let provider = fixture.pools();
    // Other tests look at the outcome.
    let _ = provider.apply(&public(1)).await.outcome;
    let findings = provider.check().await.findings;
    assert_eq!(findings.len(), 1, "one finding: {findings:?}");
    findings.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_good_setup_has_no_findings() {
    for fixture in [Fixture::public().await, Fixture::without_balancing().await] {
        let is_whole =
            fixture.writes().is_empty() && fixture.cloudflare.store().zones[&fixture.ids.zone].balancers.is_empty();
        let provider = if is_whole { fixture.whole() } else { fixture.pools() };
        provider.apply(&public(1)).await.outcome.unwrap();
        assert_eq!(provider.check().await.findings, [] as [&str; 0]);
    }
}

#[tokio::test]
async fn an_inactive_token_is_reported_with_its_status() {
    for (status, word) in [(FakeTokenStatus::Disabled, "disabled"), (FakeTokenStatus::Expired, "expired")] {
        let fixture = Fixture::public().await;
        let token = fixture.cloudflare.token();
        fixture.cloudflare.store().tokens.get_mut(&token).unwrap().status = status;
        let provider = fixture.pools();
        assert!(provider.apply(&public(1)).await.outcome.is_err());
        let findings = provider.check().await.findings.join("\n");
        assert!(findings.contains(&format!("is {word}; create a new token, or activate this one")), "{findings}");
    }
}

#[tokio::test]
async fn an_unknown_token_is_reported() {
    let fixture = Fixture::public().await;
    fixture.write_token("0123456789012345678901234567890123456789");
    let provider = fixture.pools();
    assert!(provider.apply(&public(1)).await.outcome.is_err());
    let findings = provider.check().await.findings.join("\n");
    assert!(findings.contains("is not accepted"), "{findings}");
}

#[tokio::test]
async fn a_token_that_cannot_be_verified_is_good_enough_if_other_calls_work() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.records();
    fixture.cloudflare.inject(Fault::Status(401), RequestMatcher::any().path("/user/tokens/verify"));
    assert_eq!(provider.check().await.findings, [] as [&str; 0]);
}

#[tokio::test]
async fn each_missing_permission_is_named() {
    let all = [Scope::PoolsWrite, Scope::BalancersWrite, Scope::DnsWrite, Scope::ZoneRead];
    for (lacking, permission) in [
        (Scope::PoolsWrite, "account, Load Balancing: Monitors And Pools: Read"),
        (Scope::BalancersWrite, "zone, Load Balancers: Read"),
    ] {
        let fixture = Fixture::public().await;
        let token = fixture.cloudflare.store().add_token(all.into_iter().filter(|scope| *scope != lacking));
        fixture.write_token(&token);
        let message = finding(&fixture).await;
        assert!(message.contains(&format!("lacks the permission \"{permission}\"")), "{message}");
    }
}

#[tokio::test]
async fn a_zone_that_the_token_does_not_see_is_named() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().zones.get_mut(&fixture.ids.zone).unwrap().name = "other.example.org".to_owned();
    let message = finding(&fixture).await;
    assert!(message.starts_with("the token sees no zone kube-cp.com"), "{message}");
}

#[tokio::test]
async fn a_zone_of_the_same_name_in_another_account_is_not_taken() {
    let fixture = Fixture::public().await;
    {
        let mut store = fixture.cloudflare.store();
        let other = store.add_account();
        store.zones.get_mut(&fixture.ids.zone).unwrap().account = other;
    }
    let message = finding(&fixture).await;
    assert!(message.starts_with("the token sees no zone kube-cp.com"), "{message}");
}

#[tokio::test]
async fn a_proxied_balancer_whose_port_cannot_pass_is_reported() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().balancer(&fixture.ids.balancer)["proxied"] = true.into();
    let message = finding(&fixture).await;
    assert!(
        message.contains(&format!("the load balancer {NAME} is proxied")) && message.contains("port 6443"),
        "{message}"
    );
}

#[tokio::test]
async fn a_disabled_fallback_pool_is_reported() {
    let fixture = Fixture::public().await;
    let disabled = json!({"name": "fallback", "enabled": false, "origins": [{"name": "a", "address": "192.0.2.8"}]});
    {
        let mut store = fixture.cloudflare.store();
        let pool = store.add_pool(&fixture.ids.account, disabled);
        store.balancer(&fixture.ids.balancer)["fallback_pool"] = pool.into();
    }
    let message = finding(&fixture).await;
    assert!(
        message.starts_with(&format!("the fallback pool fallback of the load balancer {NAME} is disabled")),
        "{message}"
    );
}

#[tokio::test]
async fn an_attached_monitor_is_reported() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().pool(&fixture.ids.pool)["monitor"] = "f1aba936b94213e5b8dca0c0dbf1f9cc".into();
    let message = finding(&fixture).await;
    assert!(message.starts_with("the Cloudflare pool kube-cp has a monitor"), "{message}");
}

#[tokio::test]
async fn a_disabled_pool_is_reported() {
    let fixture = Fixture::public().await;
    let other = json!({"name": "other", "origins": [{"name": "a", "address": "192.0.2.8"}]});
    {
        let mut store = fixture.cloudflare.store();
        let other = store.add_pool(&fixture.ids.account, other);
        store.balancer(&fixture.ids.balancer)["fallback_pool"] = other.into();
        store.pool(&fixture.ids.pool)["enabled"] = false.into();
    }
    let message = finding(&fixture).await;
    assert!(message.starts_with("the Cloudflare pool kube-cp is disabled"), "{message}");
}

#[tokio::test]
async fn a_node_with_two_origins_or_none_is_reported() {
    let fixture = Fixture::public().await;
    fixture.edit_origin(&fixture.ids.pool, "kube-cp-2", "name", "node-1");
    let provider = fixture.pools();
    let _ = provider.apply(&public(1)).await.outcome;
    assert_eq!(
        provider.check().await.findings,
        [
            "several origins of the Cloudflare pool kube-cp belong to the node node-1 203.0.112.1: kube-cp-1 (203.0.112.1), \
             node-1 (203.0.112.2); keep one of them",
            "no origin of the Cloudflare pool kube-cp belongs to the node node-2 203.0.112.2; add one",
        ]
    );
}

#[tokio::test]
async fn an_address_that_is_not_public_is_reported_unless_it_is_reached_by_a_tunnel() {
    let fixture = Fixture::public().await;
    {
        let mut store = fixture.cloudflare.store();
        let origins = &mut store.pool(&fixture.ids.pool)["origins"];
        (origins[0]["name"], origins[0]["address"]) = (json!("node-1"), json!("10.0.0.1"));
        (origins[2]["name"], origins[2]["address"]) = (json!("node-3"), json!("fd00::3"));
        (origins[1]["name"], origins[1]["address"]) = (json!("node-2"), json!("10.0.0.2"));
        origins[1]["virtual_network_id"] = json!("a5624d4e-044a-4ff0-b3e1-e2465353d4b4");
    }
    let message = finding(&fixture).await;
    assert!(
        message.starts_with(
            "the Cloudflare pool kube-cp has origins whose address is not public: node-1 (10.0.0.1), node-3 (fd00::3); \
             no client on the Internet"
        ),
        "{message}"
    );
}

#[tokio::test]
async fn a_ttl_past_the_time_after_which_clients_notice_is_reported() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().balancer(&fixture.ids.balancer)["ttl"] = 41.into();
    let message = finding(&fixture).await;
    assert!(message.starts_with(&format!("the load balancer {NAME} has a TTL of 41s")), "{message}");

    fixture.cloudflare.store().balancer(&fixture.ids.balancer)["ttl"] = 40.into();
    let provider = fixture.pools();
    provider.apply(&public(1)).await.outcome.unwrap();
    assert_eq!(provider.check().await.findings, [] as [&str; 0], "5 s and 40 s are within 45 s");
}

#[tokio::test]
async fn a_missing_balancer_or_one_without_the_pool_is_reported() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().zones.get_mut(&fixture.ids.zone).unwrap().balancers.clear();
    assert!(finding(&fixture).await.starts_with(&format!("the zone has no load balancer {NAME}")));

    let fixture = Fixture::public().await;
    let other = json!({"name": "other", "origins": [{"name": "a", "address": "192.0.2.8"}]});
    {
        let mut store = fixture.cloudflare.store();
        let other = store.add_pool(&fixture.ids.account, other);
        let balancer = store.balancer(&fixture.ids.balancer);
        (balancer["default_pools"], balancer["fallback_pool"]) = (json!([other]), json!(other));
    }
    let message = finding(&fixture).await;
    assert!(
        message.starts_with(&format!("the load balancer {NAME} does not use the Cloudflare pool kube-cp")),
        "{message}"
    );
    assert!(!format!("{:?}", fixture.balancing("kube-cp", Manage::Origins)).contains(&fixture.cloudflare.token()));
}

#[tokio::test]
async fn a_balancing_provider_without_a_zone_needs_none() {
    let fixture = Fixture::public().await;
    let PublishMode::LoadBalancing { account, cloudflare_pools, manage, .. } =
        fixture.balancing("kube-cp", Manage::Origins)
    else {
        unreachable!("it is one")
    };
    let provider = fixture.provider(PublishMode::LoadBalancing { account, zone: None, cloudflare_pools, manage });
    provider.apply(&public(1)).await.outcome.unwrap();
    assert_eq!(provider.check().await.findings, [] as [&str; 0]);
}

#[tokio::test]
async fn a_zone_that_is_not_active_is_reported_with_its_state() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().zones.get_mut(&fixture.ids.zone).unwrap().status = "pending";
    let expected = "the zone kube-cp.com is pending, so no resolver asks Cloudflare for its names";
    assert!(finding(&fixture).await.starts_with(expected));

    let fixture = Fixture::without_balancing().await;
    fixture.cloudflare.store().zones.get_mut(&fixture.ids.zone).unwrap().status = "pending";
    let records = fixture.records();
    let findings = records.check().await.findings;
    assert!(findings.len() == 1 && findings[0].starts_with(expected), "{findings:?}");
    fixture.cloudflare.store().zones.get_mut(&fixture.ids.zone).unwrap().status = "active";
    assert_eq!(records.check().await.findings, [""; 0], "and that it is now");
}
