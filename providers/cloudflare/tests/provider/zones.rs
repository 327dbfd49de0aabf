//! The zone of a pool: compared with the pool's name, found by it, and its kind.

use daymark_cloudflare::{Cloudflare, Manage, PublishMode, Served};
use daymark_decision::Decision;
use daymark_decision::fixtures::pool_name;
use daymark_fake_cloudflare::{FakeZonePlan, FakeZoneType};
use daymark_provider::{ApplyError, RemoteProvider, contract};
use serde_json::{Value, json};

use crate::fixture::{Fixture, NAME, ONE, TWO, addresses, decision, message_of, public, publish};

const IN_ZONE: &str = "kube-cp.com";

/// The message of a pass that an operator must look at.
async fn refused(provider: &Cloudflare, decision: &Decision) -> String {
    let error = provider.apply(decision).await.outcome.unwrap_err();
    assert!(matches!(error, ApplyError::Refused(_)), "{error:?}");
    message_of(&error)
}

fn records_in(fixture: &Fixture, zone: Option<&str>) -> Cloudflare {
    fixture.provider(PublishMode::Records { zone: zone.map(str::to_owned), ttl: None })
}

fn add_record(fixture: &Fixture, zone: &str, name: &str, kind: &str, content: &str) {
    let mut store = fixture.cloudflare.store();
    let record = json!({"type": kind, "name": name, "content": content, "ttl": 60, "proxied": false});
    store.add_record(zone, record);
}

#[tokio::test]
async fn nothing_is_written_to_a_zone_in_which_the_name_does_not_lie() {
    let fixture = Fixture::without_balancing().await;
    let other = {
        let mut store = fixture.cloudflare.store();
        let account = fixture.ids.account.clone();
        store.add_zone(&account, "kube-cp.org", FakeZonePlan::Free)
    };
    let whole = PublishMode::LoadBalancing {
        account: fixture.ids.account.clone(),
        zone: Some(other.clone()),
        cloudflare_pools: vec!["daymark-lb".to_owned()],
        manage: Manage::Full { ttl: 30 },
    };
    for mode in [PublishMode::Records { zone: Some(other.clone()), ttl: None }, whole] {
        let provider = fixture.provider(mode);
        for attempt in 1..=3 {
            let message = refused(&provider, &decision(attempt, &[ONE])).await;
            let expected = format!(
                "the name {NAME} does not lie in the zone kube-cp.org ({other}), where Cloudflare would take it for \
                 {NAME}.kube-cp.org; set `zone` to the zone of {NAME}, or leave it out"
            );
            assert!(message.contains(&expected), "{message}");
        }
    }
    assert_eq!(fixture.writes(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_name_that_only_ends_like_the_zone_does_not_lie_in_it() {
    let fixture = Fixture::without_balancing().await;
    let other = {
        let mut store = fixture.cloudflare.store();
        let account = fixture.ids.account.clone();
        store.add_zone(&account, "e-cp.com", FakeZonePlan::Free)
    };
    let message = refused(&records_in(&fixture, Some(&other)), &decision(1, &[ONE])).await;
    assert!(message.contains("does not lie in the zone e-cp.com"), "{message}");
}

#[tokio::test]
async fn without_a_zone_each_pool_is_published_in_the_zone_of_the_longest_name() {
    let fixture = Fixture::without_balancing().await;
    let (org, child) = {
        let mut store = fixture.cloudflare.store();
        let account = fixture.ids.account.clone();
        let org = store.add_zone(&account, "kube-cp.org", FakeZonePlan::Free);
        (org, store.add_zone(&account, "eu.kube-cp.com", FakeZonePlan::Free))
    };
    let names = [NAME, "api.kube-cp.org", "lb.eu.kube-cp.com"];
    let mut settings = fixture.settings(PublishMode::Records { zone: None, ttl: None });
    let served = settings.pools[0].clone();
    settings.pools = names.iter().map(|name| Served { pool: pool_name(name), ..served.clone() }).collect();
    let provider = Cloudflare::new(settings, None).unwrap();
    let answers = names.map(|name| contract::decision(&pool_name(name), 1, &[ONE]).answers).concat();
    provider.apply(&Decision { answers, generation: 1 }).await.outcome.unwrap();
    let store = fixture.cloudflare.store();
    for (zone, name) in [(&fixture.ids.zone, names[0]), (&org, names[1]), (&child, names[2])] {
        let records: Vec<&Value> = store.zones[zone].records.values().collect();
        assert!(records.len() == 1 && records[0]["name"] == *name, "{records:?}");
    }
}

#[tokio::test]
async fn a_name_without_any_zone_is_reported_with_what_the_token_needs() {
    let fixture = Fixture::without_balancing().await;
    fixture.cloudflare.store().zone(&fixture.ids.zone).name = "kube-cp.net".to_owned();
    let message = refused(&records_in(&fixture, None), &decision(1, &[ONE])).await;
    let expected = format!(
        "the token sees no zone in which the name {NAME} lies; check the name, and check that the token has the permission zone, \
         Zone: Read for this zone (an internal zone has to be given by its ID)"
    );
    assert!(message.contains(&expected), "{message}");
}

#[tokio::test]
async fn an_active_child_zone_is_named_as_the_one_to_use() {
    let fixture = Fixture::without_balancing().await;
    let provider = records_in(&fixture, Some(IN_ZONE));
    publish(&provider, 1, &[ONE]).await;
    {
        let mut store = fixture.cloudflare.store();
        let account = fixture.ids.account.clone();
        store.add_zone(&account, NAME, FakeZonePlan::Free);
    }
    let provider = records_in(&fixture, Some(IN_ZONE));
    let expected =
        format!("the zone {NAME} answers for {NAME}, because it is nearer than the zone {IN_ZONE}; set `zone` to it");
    let message = refused(&provider, &decision(2, &[TWO])).await;
    assert!(message.contains(&expected), "{message}");
    assert_eq!(fixture.resolved(), addresses(&[TWO]), "the records that are there still follow the answer");

    let balancing = Fixture::public().await;
    {
        let mut store = balancing.cloudflare.store();
        let account = balancing.ids.account.clone();
        store.add_zone(&account, NAME, FakeZonePlan::Free);
    }
    let findings = balancing.pools().check().await.findings;
    assert_eq!(findings, [] as [&str; 0], "no decision yet, so no pool is looked at");
    let pools = balancing.pools();
    pools.apply(&public(1)).await.outcome.unwrap();
    assert!(pools.check().await.findings.contains(&expected));
    assert!(refused(&balancing.whole(), &decision(1, &[ONE])).await.contains("is not Daymark's"));
    balancing.cloudflare.store().zone(&balancing.ids.zone).balancers.clear();
    assert!(refused(&balancing.whole(), &decision(1, &[ONE])).await.contains(&expected));
    assert_eq!(balancing.writes(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_child_zone_that_is_not_active_does_not_matter() {
    let fixture = Fixture::without_balancing().await;
    {
        let mut store = fixture.cloudflare.store();
        let account = fixture.ids.account.clone();
        let child = store.add_zone(&account, NAME, FakeZonePlan::Free);
        store.zone(&child).status = "pending";
    }
    for zone in [None, Some(IN_ZONE)] {
        publish(&records_in(&fixture, zone), 1, &[ONE]).await;
        assert_eq!(fixture.resolved(), addresses(&[ONE]));
    }
}

#[tokio::test]
async fn name_servers_of_the_zone_itself_are_no_obstacle() {
    let fixture = Fixture::without_balancing().await;
    fixture.cloudflare.store().zone(&fixture.ids.zone).name = NAME.to_owned();
    add_record(&fixture, &fixture.ids.zone, NAME, "NS", "ns1.other.example");
    publish(&records_in(&fixture, None), 1, &[ONE]).await;
    assert_eq!(fixture.resolved(), addresses(&[ONE]));
}

#[tokio::test]
async fn a_delegation_above_the_name_is_named_and_nothing_is_written() {
    let fixture = Fixture::without_balancing().await;
    fixture.cloudflare.store().zone(&fixture.ids.zone).name = "com.example".to_owned();
    let name = "lb.eu.prod.com.example";
    add_record(&fixture, &fixture.ids.zone, "prod.com.example", "NS", "ns1.other.example");
    add_record(&fixture, &fixture.ids.zone, "od.com.example", "NS", "ns1.other.example");
    let mut settings = fixture.settings(PublishMode::Records { zone: None, ttl: None });
    settings.pools[0].pool = pool_name(name);
    let provider = Cloudflare::new(settings, None).unwrap();
    let message = refused(&provider, &contract::decision(&pool_name(name), 1, &[ONE])).await;
    let expected = format!(
        "the record prod.com.example NS ns1.other.example delegates prod.com.example, so Cloudflare does not answer for {name}; \
         delete the record, or publish where it leads to"
    );
    assert!(message.ends_with(&format!("{name}: {expected}")), "{message}");
    assert_eq!(fixture.writes(), [] as [&str; 0]);
}

#[tokio::test]
async fn an_internationalised_zone_is_found_by_its_name_in_punycode() {
    let fixture = Fixture::without_balancing().await;
    fixture.cloudflare.store().zone(&fixture.ids.zone).name = "k\u{fc}be.example".to_owned();
    let name = "lb.xn--kbe-hoa.example";
    for zone in [None, Some("xn--kbe-hoa.example")] {
        let mut settings = fixture.settings(PublishMode::Records { zone: zone.map(str::to_owned), ttl: None });
        settings.pools[0].pool = pool_name(name);
        let provider = Cloudflare::new(settings, None).unwrap();
        provider.apply(&contract::decision(&pool_name(name), 1, &[ONE])).await.outcome.unwrap();
        let store = fixture.cloudflare.store();
        let records: Vec<&Value> = store.zones[&fixture.ids.zone].records.values().collect();
        assert!(records.len() == 1 && records[0]["name"] == name, "{records:?}");
    }
}

#[tokio::test]
async fn each_kind_of_zone_whose_records_clients_do_not_see_is_reported() {
    for (kind, status, expected) in [
        (
            FakeZoneType::Partial,
            "active",
            "the zone kube-cp.com is a partial (CNAME) zone, so the name answers only if its DNS provider has the record \
             lb.kube-cp.com CNAME lb.kube-cp.com.cdn.cloudflare.net; add it there, or make the zone a full one",
        ),
        (
            FakeZoneType::Internal,
            "active",
            "the zone kube-cp.com is an internal zone, so only clients of Cloudflare Gateway resolve its names; use a zone of the \
             Internet",
        ),
        (
            FakeZoneType::Full,
            "pending",
            "the zone kube-cp.com is pending, so no resolver asks Cloudflare for its names; delegate it to Cloudflare's name \
             servers at its registrar",
        ),
    ] {
        let fixture = Fixture::without_balancing().await;
        {
            let mut store = fixture.cloudflare.store();
            let zone = store.zone(&fixture.ids.zone);
            (zone.zone_type, zone.status) = (kind, status);
        }
        let provider = records_in(&fixture, Some(&fixture.ids.zone));
        publish(&provider, 1, &[ONE]).await;
        assert_eq!(provider.check().await.findings, [expected]);
    }
}

#[tokio::test]
async fn a_secondary_zone_cannot_hold_records_of_daymark() {
    let fixture = Fixture::without_balancing().await;
    fixture.cloudflare.store().zone(&fixture.ids.zone).zone_type = FakeZoneType::Secondary;
    let message = refused(&fixture.records(), &decision(1, &[ONE])).await;
    let expected = "the zone kube-cp.com is a secondary zone, whose records Cloudflare copies from another primary, so Daymark cannot \
                    write them; use another zone, or `mode: loadBalancing`";
    assert!(message.contains(expected), "{message}");
    assert_eq!(fixture.writes(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_foreign_zone_or_account_is_suspected_beside_the_permission() {
    let fixture = Fixture::new().await;
    let unknown = "0".repeat(32);
    let message = refused(&records_in(&fixture, Some(&unknown)), &decision(1, &[ONE])).await;
    assert!(
        message.contains("for the zone 0000")
            && message.ends_with("or may not see this zone; correct the token, or `zone`"),
        "{message}"
    );
    let foreign = PublishMode::LoadBalancing {
        account: unknown,
        zone: None,
        cloudflare_pools: vec!["kube-cp".to_owned()],
        manage: Manage::Origins,
    };
    let message = refused(&fixture.provider(foreign), &decision(1, &[ONE])).await;
    assert!(message.ends_with("or may not see this account; correct the token, or `account`"), "{message}");
}

#[tokio::test]
async fn a_child_zone_that_cloudflare_does_not_answer_for_does_not_matter() {
    for kind in [FakeZoneType::Partial, FakeZoneType::Internal] {
        let fixture = Fixture::without_balancing().await;
        add_child(&fixture, kind, "active");
        for zone in [None, Some(IN_ZONE)] {
            publish(&records_in(&fixture, zone), 1, &[ONE]).await;
            assert_eq!(fixture.resolved(), addresses(&[ONE]));
        }
    }
    let fixture = Fixture::without_balancing().await;
    add_child(&fixture, FakeZoneType::Full, "moved");
    add_child(&fixture, FakeZoneType::Full, "moved");
    for zone in [None, Some(IN_ZONE)] {
        publish(&records_in(&fixture, zone), 1, &[ONE]).await;
    }
}

fn add_child(fixture: &Fixture, kind: FakeZoneType, status: &'static str) {
    let mut store = fixture.cloudflare.store();
    let account = fixture.ids.account.clone();
    let child = store.add_zone(&account, NAME, FakeZonePlan::Free);
    let zone = store.zone(&child);
    (zone.zone_type, zone.status) = (kind, status);
}

#[tokio::test]
async fn a_zone_of_many_pools_is_looked_up_once() {
    let fixture = Fixture::without_balancing().await;
    let mut settings = fixture.settings(PublishMode::Records { zone: Some(IN_ZONE.to_owned()), ttl: None });
    let served = settings.pools[0].clone();
    let names: Vec<String> = (1..=5).map(|n| format!("lb{n}.kube-cp.com")).collect();
    settings.pools = names.iter().map(|name| Served { pool: pool_name(name), ..served.clone() }).collect();
    let provider = Cloudflare::new(settings, None).unwrap();
    let answers = names.iter().flat_map(|name| contract::decision(&pool_name(name), 1, &[ONE]).answers).collect();
    provider.apply(&Decision { answers, generation: 1 }).await.outcome.unwrap();
    let calls = fixture.cloudflare.calls();
    let of_zones = calls.iter().filter(|call| call.path.contains("/zones?")).count();
    assert_eq!(of_zones, 1 + names.len(), "the zone once, and each name once");
    provider.check().await;
    let calls = fixture.cloudflare.calls();
    let of_balancers = calls.iter().filter(|call| call.path.contains("/load_balancers")).count();
    assert_eq!(of_balancers, 1, "a check reads the balancers of the zone once");
}

#[tokio::test]
async fn a_zone_that_fails_does_not_keep_the_pools_of_another_from_being_published() {
    let fixture = Fixture::without_balancing().await;
    let names = [NAME, "api.kube-cp.org"];
    let mut settings = fixture.settings(PublishMode::Records { zone: None, ttl: None });
    let served = settings.pools[0].clone();
    settings.pools = names.iter().map(|name| Served { pool: pool_name(name), ..served.clone() }).collect();
    let provider = Cloudflare::new(settings, None).unwrap();
    let answers = || names.iter().flat_map(|name| contract::decision(&pool_name(name), 1, &[ONE]).answers).collect();
    let message = refused(&provider, &Decision { answers: answers(), generation: 1 }).await;
    assert!(
        message.contains("api.kube-cp.org: the token sees no zone in which the name api.kube-cp.org lies"),
        "{message}"
    );
    assert_eq!(fixture.resolved(), addresses(&[ONE]), "the other pool is published");
    let findings = provider.check().await.findings;
    assert!(findings.len() == 1 && findings[0].contains("the name api.kube-cp.org lies"), "{findings:?}");
}
