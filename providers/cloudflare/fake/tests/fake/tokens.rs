//! Tokens and scopes.

use daymark_fake_cloudflare::{FakeTokenStatus, Scope};
use serde_json::{Value, json};

use crate::{Reply, Setup};

impl Setup {
    async fn as_token(&self, token: &str, method: &str, path: &str) -> Reply {
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
