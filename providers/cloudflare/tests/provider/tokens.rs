//! The verification of tokens, and findings beside each other.

use daymark_cloudflare::{Manage, PublishMode};
use daymark_fake_cloudflare::{FakeTokenStatus, Fault, RequestMatcher, Scope, TokenLocation};
use daymark_provider::RemoteProvider;

use crate::fixture::{Fixture, ONE, decision, message_of, public, publish};

/// Makes the provider use a token of the account, with these scopes.
fn use_account_token(fixture: &Fixture, scopes: impl IntoIterator<Item = Scope>) -> String {
    let token = fixture.cloudflare.store().add_account_token(&fixture.ids.account, scopes);
    fixture.write_token(&token);
    token
}

#[tokio::test]
async fn a_token_of_an_account_is_verified_at_the_account_of_the_configuration_or_of_the_zone() {
    let records = Fixture::without_balancing().await;
    use_account_token(&records, Scope::ALL);
    let provider = records.records();
    publish(&provider, 1, &[ONE]).await;
    assert_eq!(provider.check().await.findings, [] as [&str; 0]);
    let verified = format!("/accounts/{}/tokens/verify", records.ids.account);
    assert!(records.cloudflare.calls().iter().any(|call| call.path.ends_with(&verified)));

    let balancing = Fixture::public().await;
    use_account_token(&balancing, Scope::ALL);
    let provider = balancing.pools();
    provider.apply(&public(1)).await.outcome.unwrap();
    assert_eq!(provider.check().await.findings, [] as [&str; 0]);
}

#[tokio::test]
async fn an_inactive_token_of_an_account_is_reported_with_its_status() {
    let fixture = Fixture::public().await;
    let token = use_account_token(&fixture, Scope::ALL);
    fixture.cloudflare.store().token(&token).status = FakeTokenStatus::Expired;
    let findings = fixture.pools().check().await.findings.join("\n");
    assert!(findings.contains("is expired; create a new token, or activate this one"), "{findings}");
}

#[tokio::test]
async fn no_finding_hides_another() {
    let fixture = Fixture::public().await;
    let token = use_account_token(&fixture, Scope::ALL);
    {
        let mut store = fixture.cloudflare.store();
        store.pool(&fixture.ids.pool)["monitor"] = "f1aba936b94213e5b8dca0c0dbf1f9cc".into();
        store.balancer(&fixture.ids.balancer)["proxied"] = true.into();
        store.zone(&fixture.ids.zone).status = "pending";
    }
    let provider = fixture.pools();
    provider.apply(&public(1)).await.outcome.unwrap();
    let findings = provider.check().await.findings;
    assert_eq!(findings.len(), 3, "{findings:?}");
    for part in ["is pending", "has a monitor", "is proxied"] {
        assert!(findings.iter().any(|finding| finding.contains(part)), "{part}: {findings:?}");
    }
    // A zone that cannot be read leaves the findings of the pool.
    fixture.cloudflare.store().token(&token).scopes.remove(&Scope::ZoneRead);
    let findings = provider.check().await.findings;
    let parts = ["lacks the permission \"zone, Zone: Read\"", "has a monitor"];
    assert!(parts.iter().all(|part| findings.iter().any(|finding| finding.contains(part))), "{findings:?}");
}

#[tokio::test]
async fn a_token_without_any_permission_for_the_zone_is_not_called_revoked_if_another_call_works() {
    let fixture = Fixture::public().await;
    use_account_token(&fixture, [Scope::PoolsRead]);
    let provider = fixture.pools();
    provider.apply(&public(1)).await.outcome.unwrap();
    let findings = provider.check().await.findings.join("\n");
    assert!(findings.contains("lacks the permission \"zone, Zone: Read\""), "{findings}");
    assert!(!findings.contains("not accepted"), "{findings}");
}

#[tokio::test]
async fn a_token_of_an_account_is_not_called_revoked_if_its_zone_is_not_the_right_one() {
    let elsewhere = Fixture::without_balancing().await;
    elsewhere.cloudflare.store().zone(&elsewhere.ids.zone).name = "kube-cp.org".to_owned();
    let by_id = PublishMode::Records { zone: Some(elsewhere.ids.zone.clone()), ttl: None };
    let unseen = Fixture::without_balancing().await;
    unseen.cloudflare.store().zone(&unseen.ids.zone).name = "kube-cp.org".to_owned();
    for (fixture, mode, expected) in [
        (&elsewhere, by_id, "does not lie in the zone kube-cp.org"),
        (&unseen, PublishMode::Records { zone: None, ttl: None }, "the token sees no zone"),
    ] {
        use_account_token(fixture, Scope::ALL);
        let findings = fixture.provider(mode).check().await.findings;
        assert!(findings.len() == 1 && findings[0].contains(expected), "{findings:?}");
    }
}

#[tokio::test]
async fn a_fault_that_may_pass_leaves_the_findings_of_the_rest() {
    let fixture = Fixture::public().await;
    fixture.cloudflare.store().pool(&fixture.ids.pool)["monitor"] = "f1aba936b94213e5b8dca0c0dbf1f9cc".into();
    let provider = fixture.pools();
    provider.apply(&public(1)).await.outcome.unwrap();
    fixture.cloudflare.inject(Fault::Status(500), RequestMatcher::any().path("/user/tokens/verify"));
    let report = provider.check().await;
    assert!(report.is_incomplete);
    assert!(report.findings.len() == 1 && report.findings[0].contains("has a monitor"), "{:?}", report.findings);
}

#[tokio::test]
async fn a_token_that_is_restricted_to_other_addresses_says_so() {
    let fixture = Fixture::without_balancing().await;
    let token = fixture.cloudflare.token();
    fixture.cloudflare.store().token(&token).location = TokenLocation::Refused("203.0.113.7".parse().unwrap());
    let provider = fixture.records();
    let message = message_of(&provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err());
    let advice = "is restricted to addresses that this host does not have; add the host's address to the token's client IP address \
                  filtering";
    assert!(message.ends_with(advice), "{message}");
    let findings = provider.check().await.findings;
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding.ends_with(advice)), "{findings:?}");
}

#[tokio::test]
async fn a_balancing_provider_whose_token_sees_no_zone_only_switches_origins() {
    let fixture = Fixture::public().await;
    let token = fixture.cloudflare.store().add_token([Scope::PoolsWrite]);
    fixture.write_token(&token);
    let PublishMode::LoadBalancing { account, cloudflare_pools, manage, .. } =
        fixture.balancing("kube-cp", Manage::Origins)
    else {
        unreachable!("it is one")
    };
    let provider = fixture.provider(PublishMode::LoadBalancing { account, zone: None, cloudflare_pools, manage });
    provider.apply(&public(1)).await.outcome.unwrap();
    assert_eq!(provider.check().await.findings, [] as [&str; 0]);
}
