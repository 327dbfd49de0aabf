//! What a hostile world may do: nodes that trade addresses, quarrels, lagging reads, foreign things that look like ours.

use daymark_cloudflare::{Manage, Mode};
use daymark_decision::{Decision, PoolName};
use daymark_fake_cloudflare::{Fault, Matching, When};
use daymark_provider::{Provider, PublishError, contract};
use serde_json::json;

use crate::scene::{NAME, ONE, Scene, THREE, TWO, addresses, decision, publish, sentence};

fn custom(generation: u64, nodes: &[(&str, &str, bool)]) -> Decision {
    let answer = contract::answer(&PoolName::new(NAME), generation, nodes.iter().copied());
    Decision { answers: vec![answer], generation }
}

fn shown(outcome: Result<(), PublishError>) -> String {
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!(
            "{} :: {}",
            if matches!(error, PublishError::Refused(_)) { "REFUSED" } else { "UNAVAILABLE" },
            sentence(&error)
        ),
    }
}

#[tokio::test]
async fn a_node_that_takes_the_address_of_a_removed_one() {
    let scene = Scene::without_balancing().await;
    let provider = scene.whole();
    shown(
        provider
            .publish(&custom(1, &[("a", "192.0.2.1", true), ("b", "192.0.2.2", true), ("c", "192.0.2.3", true)]))
            .await,
    );
    let mut said = Vec::new();
    for n in 2..5 {
        // c dead, b has the address of a, a is gone
        said.push(shown(provider.publish(&custom(n, &[("b", "192.0.2.1", true), ("c", "192.0.2.3", false)])).await));
    }
    assert_eq!(
        scene.enabled("daymark-lb"),
        addresses(&["192.0.2.1"]),
        "{said:#?} {:#}",
        scene.pool("daymark-lb")["origins"]
    );
}

#[tokio::test]
async fn a_node_whose_address_changes_three_times() {
    let scene = Scene::without_balancing().await;
    let provider = scene.whole();
    let mut said = Vec::new();
    for n in 1..6_u8 {
        let address = format!("192.0.2.{}", 10 + n);
        said.push(shown(provider.publish(&custom(n.into(), &[("a", &address, true), ("b", "192.0.2.2", true)])).await));
        assert!(scene.enabled("daymark-lb").contains(&address.parse().unwrap()), "change {n}: {said:#?}");
    }
}

#[tokio::test]
async fn a_ttl_that_is_configured_anew_comes_over_restarts() {
    let scene = Scene::without_balancing().await;
    let mut memory = None;
    let mut said = Vec::new();
    for ttl in [60, 120, 300, 60, 120] {
        let provider = scene.provider_of(Mode::Records { zone: "kube-cp.com".into(), ttl: Some(ttl) }, memory);
        said.push(shown(provider.publish(&decision(1, &[ONE])).await));
        memory = provider.memory();
        let world = scene.cloudflare.world();
        let is = world.zones[&scene.ids.zone].records.values().find(|it| it["name"] == NAME).unwrap()["ttl"].clone();
        assert_eq!(is, json!(ttl), "{said:#?}");
    }
}

#[tokio::test]
async fn a_pool_of_its_own_is_enabled_however_often() {
    let scene = Scene::without_balancing().await;
    let provider = scene.whole();
    publish(&provider, 1, &[ONE]).await;
    for n in 0..5 {
        let id = scene.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
        scene.cloudflare.world().pool(&id)["enabled"] = false.into();
        let said = shown(provider.publish(&decision(1, &[ONE])).await);
        assert_eq!(scene.pool("daymark-lb")["enabled"], true, "{n}: {said}");
    }
}

#[tokio::test]
async fn a_balancer_of_its_own_is_enabled_and_unproxied_however_often() {
    let scene = Scene::without_balancing().await;
    let provider = scene.whole();
    publish(&provider, 1, &[ONE]).await;
    for (field, right) in [("enabled", true), ("proxied", false)] {
        let seen = |set: Option<bool>| {
            let mut world = scene.cloudflare.world();
            let balancer = world.zones.get_mut(&scene.ids.zone).unwrap().balancers.values_mut().next().unwrap();
            if let Some(set) = set {
                balancer[field] = set.into();
            }
            balancer[field].clone()
        };
        for n in 0..5 {
            seen(Some(!right));
            let said = shown(provider.publish(&decision(1, &[ONE])).await);
            assert_eq!(seen(None), right, "{field} {n}: {said}");
        }
    }
}

#[tokio::test]
async fn a_record_that_another_has_deleted_meanwhile_is_no_fault() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    let zone = scene.ids.zone.clone();
    scene.cloudflare.edit(When::Before, Matching::method("DELETE"), move |world| {
        world.zones.get_mut(&zone).unwrap().records.retain(|_, it| it["content"] != TWO);
    });
    let said = shown(provider.publish(&decision(2, &[ONE])).await);
    assert_eq!(scene.resolved(), addresses(&[ONE]));
    assert_eq!(said, "ok");
}

#[tokio::test]
async fn a_record_that_another_has_added_meanwhile_is_no_fault() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE]).await;
    let zone = scene.ids.zone.clone();
    scene.cloudflare.edit(When::Before, Matching::method("POST"), move |world| {
        world.add_record(&zone, json!({"type": "A", "name": NAME, "content": TWO, "ttl": 60, "proxied": false, "comment": "managed by daymark: node-2"}));
    });
    let said = shown(provider.publish(&decision(2, &[ONE, TWO])).await);
    assert_eq!(scene.resolved(), addresses(&[ONE, TWO]));
    assert_eq!(said, "ok");
}

#[tokio::test]
async fn a_look_that_failed_is_not_a_success_when_few_calls_are_left() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    publish(&provider, 1, &[ONE]).await;
    scene.edit_origin(&scene.ids.pool, "kube-cp-2", "enabled", true);
    scene.cloudflare.play(Fault::Status(500), Matching::method("PATCH"));
    let first = shown(provider.publish(&decision(1, &[ONE])).await);
    scene.cloudflare.world().rate.spend(1_150);
    scene.cloudflare.play(Fault::Status(500), Matching::method("GET"));
    let second = shown(provider.publish(&decision(1, &[ONE])).await);
    let third = shown(provider.publish(&decision(1, &[ONE])).await);
    assert!(third != "ok" || scene.enabled("kube-cp") == addresses(&[ONE]), "{first} / {second} / {third}");
}

#[tokio::test]
async fn reads_that_lag_are_nobodys_edits() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    let mut said = Vec::new();
    for _ in 0..3 {
        let pool = scene.ids.pool.clone();
        scene.cloudflare.edit(When::After, Matching::method("PATCH"), move |world| {
            for origin in world.pool(&pool)["origins"].as_array_mut().unwrap() {
                origin["enabled"] = true.into();
            }
        });
    }
    for _ in 0..5 {
        said.push(shown(provider.publish(&decision(1, &[ONE])).await));
    }
    assert_eq!(scene.enabled("kube-cp"), addresses(&[ONE]), "{said:#?}");
}

#[tokio::test]
async fn a_pool_that_another_name_has_made_is_not_taken() {
    let scene = Scene::new().await;
    {
        let mut world = scene.cloudflare.world();
        world.zones.get_mut(&scene.ids.zone).unwrap().balancers.clear();
        let pool = world.pool(&scene.ids.pool);
        pool["description"] = json!("managed by daymark for lb.other-cluster.com");
        for (n, o) in pool["origins"].as_array_mut().unwrap().iter_mut().enumerate() {
            o["name"] = json!(format!("daymark-other-{n}-ipv4"));
            o["address"] = json!(format!("198.51.100.{n}"));
        }
    }
    let provider = scene.provider(scene.balancing("kube-cp", Manage::Full { ttl: 30 }));
    let said = shown(provider.publish(&decision(1, &[ONE, TWO])).await);
    assert!(
        scene.pool("kube-cp").to_string().contains("daymark-other"),
        "{said} {:#}",
        scene.pool("kube-cp")["origins"]
    );
}

#[tokio::test]
async fn a_whole_setup_may_be_named_by_the_id_of_its_pool() {
    let scene = Scene::new().await;
    {
        let mut world = scene.cloudflare.world();
        world.zones.get_mut(&scene.ids.zone).unwrap().balancers.clear();
        world.pool(&scene.ids.pool)["description"] = json!("managed by daymark");
    }
    let provider = scene.provider(scene.balancing(&scene.ids.pool, Manage::Full { ttl: 30 }));
    let said = shown(provider.publish(&decision(1, &[ONE, TWO])).await);
    assert_eq!(scene.cloudflare.world().accounts[&scene.ids.account].pools.len(), 1, "{said} {:?}", scene.writes());
}

#[tokio::test]
async fn an_origin_that_another_tool_takes_out_at_every_run_of_it() {
    let scene = Scene::without_balancing().await;
    let provider = scene.whole();
    publish(&provider, 1, &[ONE, TWO]).await;
    let before = scene.writes().len();
    let mut said = Vec::new();
    for _ in 0..20 {
        let id = scene.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
        scene.cloudflare.world().pool(&id)["origins"]
            .as_array_mut()
            .unwrap()
            .retain(|it| it["name"] != "daymark-node-2-ipv4");
        said.push(shown(provider.publish(&decision(1, &[ONE, TWO])).await));
    }
    assert!(scene.writes().len() - before <= 2, "{} writes, {said:?}", scene.writes().len() - before);
}

#[tokio::test]
async fn a_quarrel_is_not_forgotten_while_another_node_flaps() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    publish(&provider, 1, &[ONE, TWO, THREE]).await;
    let mut n = 1;
    let mut repaired = 0;
    for _ in 0..10 {
        // node 3 flaps
        for _ in 0..6 {
            n += 1;
            let _ = provider.publish(&decision(n, if n % 2 == 0 { &[ONE, TWO] } else { &[ONE, TWO, THREE] })).await;
        }
        scene.edit_origin(&scene.ids.pool, "kube-cp-1", "enabled", false);
        let _ = provider.publish(&decision(n, &[ONE, TWO, THREE])).await;
        repaired += usize::from(scene.enabled("kube-cp").contains(&ONE.parse().unwrap()));
        if !scene.enabled("kube-cp").contains(&ONE.parse().unwrap()) {
            break;
        }
    }
    assert!(repaired <= 2, "{repaired} repairs");
}

#[tokio::test]
async fn an_address_spelled_otherwise() {
    let scene = Scene::without_balancing().await;
    let provider = scene.whole();
    publish(&provider, 1, &[ONE, THREE]).await;
    let id = scene.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
    scene.edit_origin(&id, "daymark-node-3-ipv6", "address", "2001:DB8:0::3");
    let before = scene.writes().len();
    publish(&provider, 1, &[ONE, THREE]).await;
    assert_eq!(scene.writes().len(), before);
}

#[tokio::test]
async fn a_comment_that_only_begins_like_the_mark_is_foreign() {
    let scene = Scene::without_balancing().await;
    scene.cloudflare.world().add_record(
        &scene.ids.zone,
        json!({"type": "A", "name": NAME, "content": "192.0.2.50", "ttl": 300, "comment": "managed by daymarketing"}),
    );
    let provider = scene.records();
    let said = shown(provider.publish(&decision(1, &[ONE])).await);
    assert!(scene.resolved().contains(&"192.0.2.50".parse().unwrap()), "{said}");
}

#[tokio::test]
async fn a_pool_that_is_handed_over_is_kept_with_its_origins() {
    let scene = Scene::new().await;
    publish(&scene.pools(), 1, &[ONE, TWO]).await;
    {
        let mut world = scene.cloudflare.world();
        world.pool(&scene.ids.pool)["description"] = json!("managed by daymark");
        world.balancer(&scene.ids.balancer)["description"] = json!("managed by daymark");
    }
    let provider = scene.provider(scene.balancing("kube-cp", Manage::Full { ttl: 30 }));
    let said = shown(provider.publish(&decision(1, &[TWO, THREE])).await);
    assert_eq!(scene.enabled("kube-cp"), addresses(&[TWO, THREE]), "{said}");
    assert_eq!(scene.pool("kube-cp")["origins"].as_array().unwrap().len(), 3, "{:#}", scene.pool("kube-cp"));
}

#[tokio::test]
async fn nodes_that_swap_their_names() {
    let scene = Scene::without_balancing().await;
    let provider = scene.whole();
    shown(provider.publish(&custom(1, &[("a", "192.0.2.1", true), ("b", "192.0.2.2", true)])).await);
    let said = shown(provider.publish(&custom(2, &[("b", "192.0.2.1", true), ("a", "192.0.2.2", false)])).await);
    assert_eq!(
        scene.enabled("daymark-lb"),
        addresses(&["192.0.2.1"]),
        "{said:#?} {:#}",
        scene.pool("daymark-lb")["origins"]
    );
}

#[tokio::test]
async fn a_foreign_record_with_an_address_of_the_answer_lets_the_dead_ones_go() {
    // the operator takes the mark from the only record
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE, TWO]).await;
    {
        let mut world = scene.cloudflare.world();
        for it in world.zones.get_mut(&scene.ids.zone).unwrap().records.values_mut() {
            if it["content"] == ONE {
                it["comment"] = json!("mine");
            }
        }
    }
    let mut said = vec![shown(provider.publish(&decision(2, &[ONE])).await)];
    said.push(shown(provider.publish(&decision(2, &[ONE])).await));
    // TWO is dead; a foreign ONE is there, and ours cannot be added: is the dead one gone?
    assert_eq!(scene.resolved(), addresses(&[ONE]), "{said:#?}");
}

#[tokio::test]
async fn an_origin_of_someone_else_at_the_address_of_a_node_serves_it() {
    // an operator's duplicate of the address in the own pool
    let scene = Scene::without_balancing().await;
    let provider = scene.whole();
    publish(&provider, 1, &[ONE, TWO]).await;
    let id = scene.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
    scene.cloudflare.world().pool(&id)["origins"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "by-hand", "address": "192.0.2.9", "enabled": true}));
    let mut said = Vec::new();
    for n in 2..4 {
        said.push(shown(
            provider
                .publish(&custom(n, &[("node-1", "192.0.2.9", true), ("node-2", TWO, false), ("node-3", THREE, false)]))
                .await,
        ));
    }
    assert!(!scene.enabled("daymark-lb").contains(&TWO.parse().unwrap()), "{said:#?}");
}

#[tokio::test]
async fn the_only_record_is_unproxied_however_often() {
    let scene = Scene::without_balancing().await;
    let provider = scene.records();
    publish(&provider, 1, &[ONE]).await;
    for n in 0..4 {
        {
            let mut world = scene.cloudflare.world();
            let record = world
                .zones
                .get_mut(&scene.ids.zone)
                .unwrap()
                .records
                .values_mut()
                .find(|it| it["name"] == NAME)
                .unwrap();
            (record["ttl"], record["proxied"]) = (json!(1), json!(true));
        }
        let said = shown(provider.publish(&decision(1, &[ONE])).await);
        let world = scene.cloudflare.world();
        assert_eq!(
            world.zones[&scene.ids.zone].records.values().find(|it| it["name"] == NAME).unwrap()["proxied"],
            false,
            "{n} {said}"
        );
    }
}

#[tokio::test]
async fn the_pool_is_deleted_or_replaced_behind() {
    let scene = Scene::without_balancing().await;
    let provider = scene.whole();
    publish(&provider, 1, &[ONE]).await;
    {
        let mut world = scene.cloudflare.world();
        world
            .zones
            .get_mut(&scene.ids.zone)
            .unwrap()
            .balancers
            .values_mut()
            .for_each(|it| it["default_pools"] = json!(["f1aba936b94213e5b8dca0c0dbf1f9cc"]));
        world.accounts.get_mut(&scene.ids.account).unwrap().pools.clear();
    }
    let said = shown(provider.publish(&decision(1, &[ONE])).await);
    assert_eq!(said, "ok");
    assert_eq!(scene.enabled("daymark-lb"), addresses(&[ONE]), "{said}");
}

#[tokio::test]
async fn two_updaters_of_one_setup_that_disagree_come_to_rest() {
    let scene = Scene::without_balancing().await;
    let (one, two) = (scene.whole(), scene.whole());
    let mut writes = Vec::new();
    let mut said = Vec::new();
    for _ in 0..60 {
        let a = shown(one.publish(&custom(1, &[("a", ONE, true), ("b", TWO, true)])).await);
        let b = shown(two.publish(&custom(1, &[("a", ONE, true)])).await);
        said = vec![a, b];
        writes.push(scene.writes().len());
    }
    assert!(*writes.last().unwrap() <= 8, "{writes:?} {said:#?}");
}

#[tokio::test]
async fn what_is_beyond_max_answers_is_told_so() {
    let scene = Scene::new().await;
    let mut it = decision(1, &[ONE, TWO]);
    it.answers[0].max_answers = 1;
    let edits = scene.pools().plan(&it).await.edits;
    let text = edits.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(!text.contains("kube-cp-2 (192.0.2.2): ready"), "{text}");
}
