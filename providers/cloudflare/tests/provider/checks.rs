//! What the checks of the start say.

use daymark_cloudflare::{Manage, Mode};
use daymark_fake_cloudflare::{Fault, Matching, Scope, Status};
use daymark_provider::Provider;
use serde_json::json;

use crate::scene::{NAME, ONE, Scene, public, publish};

async fn finding(scene: &Scene) -> String {
    let provider = scene.pools();
    // What publishing says is not asked here.
    let _ = provider.publish(&public(1)).await;
    let findings = provider.check().await.unwrap();
    assert_eq!(findings.len(), 1, "one finding: {findings:?}");
    findings.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_good_setup_has_no_findings() {
    for scene in [Scene::public().await, Scene::without_balancing().await] {
        let is_whole =
            scene.writes().is_empty() && scene.cloudflare.world().zones[&scene.ids.zone].balancers.is_empty();
        let provider = if is_whole { scene.whole() } else { scene.pools() };
        provider.publish(&public(1)).await.unwrap();
        assert_eq!(provider.check().await.unwrap(), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn an_inactive_token_is_told_by_its_status() {
    for (status, word) in [(Status::Disabled, "disabled"), (Status::Expired, "expired")] {
        let scene = Scene::public().await;
        let token = scene.cloudflare.token();
        scene.cloudflare.world().tokens.get_mut(&token).unwrap().status = status;
        let provider = scene.pools();
        assert!(provider.publish(&public(1)).await.is_err());
        let findings = provider.check().await.unwrap().join("\n");
        assert!(findings.contains(&format!("is {word}; make a new one, or activate it again")), "{findings}");
    }
}

#[tokio::test]
async fn an_unknown_token_is_told_so() {
    let scene = Scene::public().await;
    scene.write_token("0123456789012345678901234567890123456789");
    let provider = scene.pools();
    assert!(provider.publish(&public(1)).await.is_err());
    let findings = provider.check().await.unwrap().join("\n");
    assert!(findings.contains("is not accepted"), "{findings}");
}

#[tokio::test]
async fn a_token_that_cannot_be_verified_is_good_enough_once_it_has_published() {
    let scene = Scene::new().await;
    let provider = scene.records();
    for found in [1, 0] {
        scene.cloudflare.play(Fault::Status(401), Matching::any().path("/user/tokens/verify"));
        assert_eq!(provider.check().await.unwrap().len(), found);
        publish(&provider, 1, &[ONE]).await;
    }
}

#[tokio::test]
async fn each_missing_permission_is_named() {
    let all = [Scope::PoolsWrite, Scope::BalancersWrite, Scope::DnsWrite, Scope::ZoneRead];
    for (lacking, permission) in [
        (Scope::PoolsWrite, "account, Load Balancing: Monitors And Pools: Read"),
        (Scope::BalancersWrite, "zone, Load Balancers: Read"),
    ] {
        let scene = Scene::public().await;
        let token = scene.cloudflare.world().add_token(all.into_iter().filter(|it| *it != lacking));
        scene.write_token(&token);
        let said = finding(&scene).await;
        assert!(said.contains(&format!("lacks the permission \"{permission}\"")), "{said}");
    }
}

#[tokio::test]
async fn a_zone_that_the_token_does_not_see_is_named() {
    let scene = Scene::public().await;
    scene.cloudflare.world().zones.get_mut(&scene.ids.zone).unwrap().name = "other.example.org".to_owned();
    let said = finding(&scene).await;
    assert!(said.starts_with("the token sees no zone kube-cp.com"), "{said}");
}

#[tokio::test]
async fn a_zone_of_the_same_name_in_another_account_is_not_taken() {
    let scene = Scene::public().await;
    {
        let mut world = scene.cloudflare.world();
        let other = world.add_account();
        world.zones.get_mut(&scene.ids.zone).unwrap().account = other;
    }
    let said = finding(&scene).await;
    assert!(said.starts_with("the token sees no zone kube-cp.com"), "{said}");
}

#[tokio::test]
async fn a_proxied_balancer_whose_port_cannot_pass_is_told() {
    let scene = Scene::public().await;
    scene.cloudflare.world().balancer(&scene.ids.balancer)["proxied"] = true.into();
    let said = finding(&scene).await;
    assert!(said.contains(&format!("the load balancer {NAME} is proxied")) && said.contains("port 6443"), "{said}");
}

#[tokio::test]
async fn a_disabled_fallback_pool_is_told() {
    let scene = Scene::public().await;
    let disabled = json!({"name": "fallback", "enabled": false, "origins": [{"name": "a", "address": "192.0.2.8"}]});
    {
        let mut world = scene.cloudflare.world();
        let pool = world.add_pool(&scene.ids.account, disabled);
        world.balancer(&scene.ids.balancer)["fallback_pool"] = pool.into();
    }
    let said = finding(&scene).await;
    assert!(said.starts_with(&format!("the fallback pool fallback of the load balancer {NAME} is disabled")), "{said}");
}

#[tokio::test]
async fn an_attached_monitor_is_told() {
    let scene = Scene::public().await;
    scene.cloudflare.world().pool(&scene.ids.pool)["monitor"] = "f1aba936b94213e5b8dca0c0dbf1f9cc".into();
    let said = finding(&scene).await;
    assert!(said.starts_with("the Cloudflare pool kube-cp has a monitor"), "{said}");
}

#[tokio::test]
async fn a_disabled_pool_is_told() {
    let scene = Scene::public().await;
    let other = json!({"name": "other", "origins": [{"name": "a", "address": "192.0.2.8"}]});
    {
        let mut world = scene.cloudflare.world();
        let other = world.add_pool(&scene.ids.account, other);
        world.balancer(&scene.ids.balancer)["fallback_pool"] = other.into();
        world.pool(&scene.ids.pool)["enabled"] = false.into();
    }
    let said = finding(&scene).await;
    assert!(said.starts_with("the Cloudflare pool kube-cp is disabled"), "{said}");
}

#[tokio::test]
async fn a_node_with_two_origins_or_none_is_told() {
    let scene = Scene::public().await;
    scene.edit_origin(&scene.ids.pool, "kube-cp-2", "name", "node-1");
    let provider = scene.pools();
    let _ = provider.publish(&public(1)).await;
    assert_eq!(
        provider.check().await.unwrap(),
        [
            "several origins of the Cloudflare pool kube-cp belong to the node node-1 203.0.112.1: kube-cp-1 (203.0.112.1), \
             node-1 (203.0.112.2); leave one",
            "no origin of the Cloudflare pool kube-cp belongs to the node node-2 203.0.112.2; add one",
        ]
    );
}

#[tokio::test]
async fn an_address_that_is_not_public_is_told_unless_it_is_reached_by_a_tunnel() {
    let scene = Scene::public().await;
    {
        let mut world = scene.cloudflare.world();
        let origins = &mut world.pool(&scene.ids.pool)["origins"];
        (origins[0]["name"], origins[0]["address"]) = (json!("node-1"), json!("10.0.0.1"));
        (origins[2]["name"], origins[2]["address"]) = (json!("node-3"), json!("fd00::3"));
        (origins[1]["name"], origins[1]["address"]) = (json!("node-2"), json!("10.0.0.2"));
        origins[1]["virtual_network_id"] = json!("a5624d4e-044a-4ff0-b3e1-e2465353d4b4");
    }
    let said = finding(&scene).await;
    assert!(
        said.starts_with(
            "the Cloudflare pool kube-cp has origins whose address is not public: node-1 (10.0.0.1), node-3 (fd00::3); \
             Cloudflare refuses such an address"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn a_ttl_past_the_time_after_which_clients_notice_is_told() {
    let scene = Scene::public().await;
    scene.cloudflare.world().balancer(&scene.ids.balancer)["ttl"] = 41.into();
    let said = finding(&scene).await;
    assert!(said.starts_with(&format!("the load balancer {NAME} has a TTL of 41s")), "{said}");

    scene.cloudflare.world().balancer(&scene.ids.balancer)["ttl"] = 40.into();
    let provider = scene.pools();
    provider.publish(&public(1)).await.unwrap();
    assert_eq!(provider.check().await.unwrap(), [] as [&str; 0], "5 s and 40 s are within 45 s");
}

#[tokio::test]
async fn a_missing_balancer_or_one_without_the_pool_is_told() {
    let scene = Scene::public().await;
    scene.cloudflare.world().zones.get_mut(&scene.ids.zone).unwrap().balancers.clear();
    assert!(finding(&scene).await.starts_with(&format!("the zone has no load balancer {NAME}")));

    let scene = Scene::public().await;
    let other = json!({"name": "other", "origins": [{"name": "a", "address": "192.0.2.8"}]});
    {
        let mut world = scene.cloudflare.world();
        let other = world.add_pool(&scene.ids.account, other);
        let balancer = world.balancer(&scene.ids.balancer);
        (balancer["default_pools"], balancer["fallback_pool"]) = (json!([other]), json!(other));
    }
    let said = finding(&scene).await;
    assert!(said.starts_with(&format!("the load balancer {NAME} does not use the Cloudflare pool kube-cp")), "{said}");
    assert!(!format!("{:?}", scene.balancing("kube-cp", Manage::Origins)).contains(&scene.cloudflare.token()));
}

#[tokio::test]
async fn a_balancing_provider_without_a_zone_needs_none() {
    let scene = Scene::public().await;
    let Mode::LoadBalancing { account, cloudflare_pools, manage, .. } = scene.balancing("kube-cp", Manage::Origins)
    else {
        unreachable!("it is one")
    };
    let provider = scene.provider(Mode::LoadBalancing { account, zone: None, cloudflare_pools, manage });
    provider.publish(&public(1)).await.unwrap();
    assert_eq!(provider.check().await.unwrap(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_zone_that_is_not_active_is_told_with_its_state() {
    let scene = Scene::public().await;
    scene.cloudflare.world().zones.get_mut(&scene.ids.zone).unwrap().status = "pending";
    let told = "the zone kube-cp.com is pending: nobody asks Cloudflare for its names";
    assert!(finding(&scene).await.starts_with(told));

    let records = scene.records();
    let findings = records.check().await.unwrap();
    assert!(findings.len() == 1 && findings[0].starts_with(told), "{findings:?}");
    scene.cloudflare.world().zones.get_mut(&scene.ids.zone).unwrap().status = "active";
    assert_eq!(records.check().await.unwrap(), [""; 0], "and that it is now");
}
