//! Tokens and scopes.

use daymark_fake_cloudflare::{FakeTokenStatus, FakeZonePlan, Scope, TokenLocation};
use serde_json::{Value, json};

use crate::{Reply, Setup, names};

impl Setup {
    pub(crate) async fn as_token(&self, token: &str, method: &str, path: &str) -> Reply {
        self.send_as(&format!("Bearer {token}"), method, path, Value::Null).await.unwrap()
    }
}

#[tokio::test]
async fn a_malformed_header_and_an_unknown_token_have_different_errors() {
    let setup = Setup::new().await;
    let token = setup.cloudflare.token();
    for (header, cause) in [
        (format!("Bearer \"{token}\""), 6_111),
        (token, 6_111),
        ("Bearer ".into(), 6_111),
        (format!("Bearer {}", "1234567890abcdef".repeat(3).split_at(37).0), 6_103),
    ] {
        let refused = setup.send_as(&header, "GET", "/zones", Value::Null).await.unwrap();
        assert_eq!((refused.error(), refused.cause()), ((400, 6_003, "Invalid request headers"), cause), "{header}");
    }
    let refused = setup.as_token(&"x".repeat(40), "GET", "/zones").await;
    assert_eq!(refused.error(), (403, 10_000, "Authentication error"));
}

#[tokio::test]
async fn verifying_returns_the_status_and_only_an_active_token_may_do_anything() {
    let setup = Setup::new().await;
    let token = setup.cloudflare.token();
    for (status, reported, allowed) in [
        (FakeTokenStatus::Active, "active", 200),
        (FakeTokenStatus::Disabled, "disabled", 403),
        (FakeTokenStatus::Expired, "expired", 403),
    ] {
        setup.cloudflare.store().tokens.get_mut(&token).unwrap().status = status;
        let verified = setup.as_token(&token, "GET", "/user/tokens/verify").await;
        assert_eq!(verified.result()["status"], reported);
        assert_eq!(setup.as_token(&token, "GET", "/zones").await.status, allowed, "{reported}");
    }
    assert_eq!(setup.as_token("unknown", "GET", "/user/tokens/verify").await.error().1, 1_000);
}

#[tokio::test]
async fn each_endpoint_needs_its_scope_and_writing_holds_reading() {
    let setup = Setup::new().await;
    let unknown = "0".repeat(32);
    let cases = [
        (Scope::PoolsRead, Scope::PoolsWrite, setup.pools()),
        (Scope::BalancersRead, Scope::BalancersWrite, setup.balancers()),
        (Scope::DnsRead, Scope::DnsWrite, setup.records()),
    ];
    for (read, write, path) in cases {
        let item = format!("{path}/{unknown}");
        let others = Scope::ALL.into_iter().filter(|scope| ![read, write].contains(scope));
        let (none, reader, writer) = {
            let mut store = setup.cloudflare.store();
            (store.add_token(others), store.add_token([read]), store.add_token([write]))
        };
        assert_eq!(setup.as_token(&none, "GET", &path).await.error(), (403, 10_000, "Authentication error"));
        assert_eq!(setup.as_token(&reader, "GET", &path).await.status, 200);
        assert_eq!(setup.as_token(&reader, "DELETE", &item).await.status, 403);
        assert_eq!(setup.as_token(&writer, "GET", &path).await.status, 200);
        assert_eq!(setup.as_token(&writer, "DELETE", &item).await.status, 404);
    }
    let dns_only = setup.cloudflare.store().add_token([Scope::DnsWrite]);
    assert_eq!(setup.as_token(&dns_only, "GET", "/zones").await.status, 403);
}

#[tokio::test]
async fn the_token_accepted_now_is_an_active_one() {
    let setup = Setup::new().await;
    let old = setup.cloudflare.token();
    let new = setup.cloudflare.store().add_token(Scope::ALL);
    setup.cloudflare.store().tokens.remove(&old);
    assert_eq!(setup.cloudflare.token(), new);
    assert_eq!(setup.get("/zones").await.result()[0]["name"], json!("kube-cp.com"));
}

#[tokio::test]
async fn the_token_of_an_account_is_verified_at_the_account() {
    let setup = Setup::new().await;
    let user = setup.cloudflare.token();
    let other = setup.cloudflare.store().add_account();
    let token = setup.cloudflare.store().add_account_token(&setup.ids.account, Scope::ALL);
    let refused = setup.as_token(&token, "GET", "/user/tokens/verify").await;
    assert_eq!(refused.error(), (401, 1_000, "Invalid API Token"));
    let path = format!("/accounts/{}/tokens/verify", setup.ids.account);
    for (status, reported) in [
        (FakeTokenStatus::Active, "active"),
        (FakeTokenStatus::Disabled, "disabled"),
        (FakeTokenStatus::Expired, "expired"),
    ] {
        setup.cloudflare.store().token(&token).status = status;
        assert_eq!(setup.as_token(&token, "GET", &path).await.result()["status"], reported);
    }
    let foreign = setup.as_token(&token, "GET", &format!("/accounts/{other}/tokens/verify")).await;
    assert_eq!(foreign.error(), (401, 1_000, "Invalid API Token"));
    // The token of a user, and one that does not exist.
    for token in [user.as_str(), "unknown"] {
        assert_eq!(setup.as_token(token, "GET", &path).await.error(), (401, 1_000, "Invalid API Token"));
    }
}

#[tokio::test]
async fn the_token_of_an_account_reaches_only_what_the_account_has() {
    let setup = Setup::new().await;
    let user = setup.cloudflare.token();
    let token = {
        let mut store = setup.cloudflare.store();
        let other = store.add_account();
        store.add_zone(&other, "other.example", FakeZonePlan::Free);
        store.add_account_token(&setup.ids.account, Scope::ALL)
    };
    assert_eq!(names(setup.as_token(&token, "GET", "/zones").await.result()), ["kube-cp.com"]);
    setup.as_token(&token, "GET", &setup.pools()).await.result();
    setup.as_token(&token, "GET", &setup.records()).await.result();
    assert_eq!(setup.as_token(&user, "GET", "/zones").await.result().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_token_restricted_to_addresses_says_from_where_it_came() {
    let setup = Setup::new().await;
    let token = setup.cloudflare.token();
    let address = "203.0.113.9".parse().unwrap();
    let message = "Cannot use the access token from location: 203.0.113.9";
    let paths = ["/zones".to_owned(), setup.pools(), setup.records(), "/user/tokens/verify".to_owned()];
    setup.cloudflare.store().token(&token).location = TokenLocation::Refused(address);
    for path in &paths {
        assert_eq!(setup.as_token(&token, "GET", path).await.error(), (403, 9_109, message), "{path}");
    }
    setup.cloudflare.store().token(&token).location = TokenLocation::RefusedButVerified(address);
    assert_eq!(setup.as_token(&token, "GET", "/zones").await.error(), (403, 9_109, message));
    assert_eq!(setup.as_token(&token, "GET", "/user/tokens/verify").await.result()["status"], "active");
}
