//! The fake over its socket: what it stores, what it refuses, and the faults it injects.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod balancers;
mod faults;
mod journal;
mod pools;
mod rate_limit;
mod records;
mod schema;
mod tokens;
mod zones;

use daymark_fake_cloudflare::{Example, FakeCloudflare};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// The fake with its example data, and a client of it.
struct Setup {
    cloudflare: FakeCloudflare,
    ids: Example,
    http: Client,
}

/// One response, read to the end.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Setup {
    async fn new() -> Self {
        // reqwest is built for TLS and makes no client without this. Another test may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let cloudflare = FakeCloudflare::start().await;
        let ids = cloudflare.store().example();
        Self { cloudflare, ids, http: Client::new() }
    }

    /// Sends a request and returns the response. A null body means none.
    async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        self.send(method, path, body).await.unwrap()
    }

    async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, Value::Null).await
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> reqwest::Result<Reply> {
        let authorization = format!("Bearer {}", self.cloudflare.token());
        self.send_as(&authorization, method, path, body).await
    }

    async fn send_as(&self, authorization: &str, method: &str, path: &str, body: Value) -> reqwest::Result<Reply> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.cloudflare.api()));
        request = request.header("authorization", authorization);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Reply { status, headers, body })
    }

    fn pools(&self) -> String {
        format!("/accounts/{}/load_balancers/pools", self.ids.account)
    }

    fn pool(&self) -> String {
        format!("{}/{}", self.pools(), self.ids.pool)
    }

    fn balancers(&self) -> String {
        format!("/zones/{}/load_balancers", self.ids.zone)
    }

    fn records(&self) -> String {
        format!("/zones/{}/dns_records", self.ids.zone)
    }
}

impl Reply {
    /// The result of a success.
    fn result(&self) -> &Value {
        assert_eq!((self.status, &self.body["success"]), (200, &json!(true)), "{self:?}");
        &self.body["result"]
    }

    /// The status, and the code and text of the first error, of a failure.
    fn error(&self) -> (u16, u64, &str) {
        assert_eq!((&self.body["success"], &self.body["result"]), (&json!(false), &Value::Null), "{self:?}");
        let error = &self.body["errors"][0];
        (self.status, error["code"].as_u64().unwrap(), error["message"].as_str().unwrap())
    }

    /// The code of the error inside the first error.
    fn cause(&self) -> u64 {
        self.body["errors"][0]["error_chain"][0]["code"].as_u64().unwrap()
    }
}

/// Names in a list of results.
fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// Origins `a` and `b`, with different addresses.
fn origins(a: &str, b: &str) -> Value {
    json!([{"name": "a", "address": a}, {"name": "b", "address": b}])
}
