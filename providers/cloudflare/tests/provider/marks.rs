//! The mark with an owner, by which Daymarks of several clusters share a zone.

use daymark_cloudflare::{Cloudflare, PublishMode};
use daymark_provider::{ApplyError, RemoteProvider};
use serde_json::json;

use crate::fixture::{Fixture, NAME, ONE, TWO, addresses, decision, message_of, public, publish};

fn owned(fixture: &Fixture, mode: PublishMode, owner: Option<&str>) -> Cloudflare {
    let mut settings = fixture.settings(mode);
    settings.owner = owner.map(str::to_owned);
    Cloudflare::new(settings, None).unwrap()
}

fn records_of(fixture: &Fixture, owner: Option<&str>) -> Cloudflare {
    owned(fixture, PublishMode::Records { zone: None, ttl: None }, owner)
}

async fn refused(provider: &Cloudflare, address: &str) -> String {
    let error = provider.apply(&decision(1, &[address])).await.outcome.unwrap_err();
    assert!(matches!(error, ApplyError::Refused(_)), "{error:?}");
    message_of(&error)
}

#[tokio::test]
async fn no_daymark_touches_the_records_of_another() {
    for (first, second, other) in [
        (Some("prod-1"), Some("prod-2"), "the Daymark of prod-1"),
        (None, Some("prod-2"), "a Daymark without an `owner`"),
        (Some("prod-1"), None, "the Daymark of prod-1"),
    ] {
        let fixture = Fixture::without_balancing().await;
        publish(&records_of(&fixture, first), 1, &[ONE]).await;
        let writes = fixture.writes().len();
        let message = refused(&records_of(&fixture, second), TWO).await;
        let expected = format!(
            "the record {NAME} A {ONE} belongs to {other}, not to that of this configuration; give each cluster a name of its own"
        );
        assert!(message.contains(&expected), "{message}");
        assert_eq!(fixture.writes().len(), writes, "{second:?} writes nothing");
        publish(&records_of(&fixture, first), 1, &[TWO]).await;
        assert_eq!(fixture.resolved(), addresses(&[TWO]), "{first:?} still publishes");
    }
}

#[tokio::test]
async fn a_record_is_handed_over_by_its_comment() {
    let fixture = Fixture::without_balancing().await;
    let record = json!({
        "type": "A", "name": NAME, "content": ONE, "ttl": 60, "proxied": false, "comment": "managed by daymark of prod-1: by hand",
    });
    fixture.cloudflare.store().add_record(&fixture.ids.zone, record);
    publish(&records_of(&fixture, Some("prod-1")), 1, &[TWO]).await;
    assert_eq!(fixture.resolved(), addresses(&[TWO]));
}

#[tokio::test]
async fn no_daymark_touches_the_pool_or_the_balancer_of_another() {
    let fixture = Fixture::without_balancing().await;
    let whole = || fixture.balancing("daymark-lb", daymark_cloudflare::Manage::Full { ttl: 30 });
    owned(&fixture, whole(), Some("prod-1")).apply(&public(1)).await.outcome.unwrap();
    assert_eq!(fixture.pool("daymark-lb")["description"], format!("managed by daymark of prod-1 for {NAME}"));
    let writes = fixture.writes().len();
    let message = refused(&owned(&fixture, whole(), Some("prod-2")), ONE).await;
    let expected = format!(
        "the Cloudflare pool daymark-lb exists and belongs to the Daymark of prod-1; set its description to \"managed by daymark \
         of prod-2 for {NAME}\" to hand it over, choose another name, or set `manage: origins`"
    );
    assert!(message.contains(&expected), "{message}");
    fixture.cloudflare.store().account(&fixture.ids.account).pools.clear();
    let message = refused(&owned(&fixture, whole(), None), ONE).await;
    let expected = format!("the zone has a load balancer {NAME} that belongs to the Daymark of prod-1; ");
    assert!(message.contains(&expected), "{message}");
    assert_eq!(fixture.writes().len(), writes);
}

#[tokio::test]
async fn the_records_of_other_daymarks_in_the_zone_are_noted() {
    let fixture = Fixture::without_balancing().await;
    for (name, comment) in [
        ("lb2.kube-cp.com", "managed by daymark of prod-2: kube-cp-1"),
        ("old.kube-cp.com", "managed by daymark of prod-1, a guess: kube-cp-1"),
        ("mine.kube-cp.com", "by hand"),
    ] {
        let record =
            json!({"type": "A", "name": name, "content": ONE, "ttl": 60, "proxied": false, "comment": comment});
        fixture.cloudflare.store().add_record(&fixture.ids.zone, record);
    }
    let provider = records_of(&fixture, Some("prod-1"));
    publish(&provider, 1, &[ONE]).await;
    let report = provider.check().await;
    assert_eq!(report.findings, [] as [&str; 0], "they are no reason for an alarm");
    let expected = "the zone kube-cp.com also has records of Daymark for other names, which stay: lb2.kube-cp.com \
                    (the Daymark of prod-2), old.kube-cp.com (the Daymark of prod-1)";
    assert_eq!(report.notes, [expected]);
    assert_eq!(fixture.cloudflare.store().zones[&fixture.ids.zone].records.len(), 4);
}
