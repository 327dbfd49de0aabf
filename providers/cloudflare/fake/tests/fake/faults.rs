//! Faults injected into chosen calls.

use std::time::Duration;

use daymark_fake_cloudflare::{Fault, RequestMatcher, When};
use serde_json::{Value, json};
use tokio::time;

use crate::{Reply, Setup};

impl Setup {
    async fn describe(&self, text: &str) -> reqwest::Result<Reply> {
        self.send("PATCH", &self.pool(), json!({"description": text})).await
    }

    fn described(&self) -> Value {
        self.cloudflare.store().pool(&self.ids.pool)["description"].clone()
    }

    async fn inject(&self, fault: Fault) -> (reqwest::Result<Reply>, bool) {
        self.cloudflare.inject(fault, RequestMatcher::method("PATCH"));
        let answer = self.describe("new").await;
        (answer, self.described() == "new")
    }
}

/// Waits until this number of requests is in progress.
async fn busy(setup: &Setup, count: usize) {
    let wait = async {
        while setup.cloudflare.busy() != count {
            tokio::task::yield_now().await;
        }
    };
    time::timeout(Duration::from_secs(30), wait).await.expect("requests come and go in half a minute");
}

#[tokio::test]
async fn a_cut_connection_gives_no_answer_whether_it_was_applied_or_not() {
    for (fault, is_applied) in [(Fault::CutBefore, false), (Fault::CutAfter, true)] {
        let setup = Setup::new().await;
        let (answer, applied) = setup.inject(fault).await;
        assert!(answer.is_err(), "{answer:?}");
        assert_eq!(applied, is_applied, "{fault:?}");
        let call = setup.cloudflare.calls().pop().unwrap();
        assert_eq!((call.status, call.fault), (None, Some(fault)));
        setup.describe("newer").await.unwrap().result();
    }
}

#[tokio::test]
async fn a_stalled_request_is_answered_once_released() {
    for (fault, is_applied) in [(Fault::StallBefore, false), (Fault::StallAfter, true)] {
        let setup = Setup::new().await;
        setup.cloudflare.inject(fault, RequestMatcher::any());
        let (answer, ()) = tokio::join!(setup.describe("new"), async {
            busy(&setup, 1).await;
            // Others are answered meanwhile.
            setup.get("/zones").await.result();
            assert_eq!(setup.described() == "new", is_applied, "{fault:?}");
            setup.cloudflare.release();
        });
        assert_eq!(answer.unwrap().result()["description"], "new");
        busy(&setup, 0).await;
    }
}

#[tokio::test]
async fn a_stalled_request_ends_with_its_client() {
    let setup = Setup::new().await;
    setup.cloudflare.inject(Fault::StallBefore, RequestMatcher::any());
    tokio::select! {
        answer = setup.describe("new") => panic!("{answer:?}"),
        () = busy(&setup, 1) => {}
    }
    busy(&setup, 0).await;
    setup.cloudflare.release();
    setup.get("/zones").await.result();
    assert_eq!(setup.described(), "");
}

#[tokio::test]
async fn a_slow_request_takes_its_time() {
    let setup = Setup::new().await;
    setup.cloudflare.inject(Fault::Slow(Duration::from_secs(90)), RequestMatcher::any());
    time::pause();
    let before = time::Instant::now();
    setup.describe("new").await.unwrap().result();
    assert!(before.elapsed() >= Duration::from_secs(90));
}

#[tokio::test]
async fn refusals_are_in_the_envelope_and_change_nothing() {
    for status in [408, 409, 500, 502, 503] {
        let setup = Setup::new().await;
        let (answer, applied) = setup.inject(Fault::Status(status)).await;
        assert_eq!((answer.unwrap().error().0, applied), (status, false));
    }
    for retry_after in [None, Some(7)] {
        let setup = Setup::new().await;
        let (answer, applied) = setup.inject(Fault::TooMany { retry_after }).await;
        let answer = answer.unwrap();
        let retry_after_seconds =
            answer.headers.get("retry-after").map(|value| value.to_str().unwrap().parse::<u64>().unwrap());
        assert_eq!((answer.status, retry_after_seconds, applied), (429, retry_after, false));
    }
}

#[tokio::test]
async fn answers_can_be_spoiled() {
    type Fits = fn(&Reply) -> bool;
    let is_page: Fits = |reply| reply.body.as_str().is_some_and(|text| text.starts_with("<!DOCTYPE html>"));
    let is_torn: Fits = |reply| reply.body.as_str().is_some_and(|text| text.starts_with('{'));
    let is_empty: Fits = |reply| reply.body == "";
    let is_failure: Fits = |reply| reply.body["success"] == false;
    let is_success: Fits = |reply| reply.body["success"] == true;
    let cases = [
        (Fault::Html(200), 200, false, is_page),
        (Fault::Html(502), 502, false, is_page),
        (Fault::Empty, 200, true, is_empty),
        (Fault::TornJson, 200, true, is_torn),
        (Fault::ErrorAsSuccess, 200, false, is_failure),
        (Fault::SuccessOfError, 200, false, is_success),
    ];
    for (fault, status, is_applied, fits) in cases {
        let setup = Setup::new().await;
        let (answer, applied) = setup.inject(fault).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, applied), (status, is_applied), "{fault:?}");
        assert!(fits(&answer), "{fault:?}: {answer:?}");
        let has_errors = answer.body["errors"][0].is_object() && answer.body["result"].is_null();
        assert_eq!(has_errors, [Fault::ErrorAsSuccess, Fault::SuccessOfError].contains(&fault), "{fault:?}");
    }
}

#[tokio::test]
async fn a_fault_meets_the_request_it_is_for_and_only_that() {
    let setup = Setup::new().await;
    setup.cloudflare.inject(Fault::Status(503), RequestMatcher::method("PATCH").path("/pools/").nth(2));
    setup.cloudflare.inject(Fault::Status(500), RequestMatcher::method("PATCH"));
    setup.get(&setup.pool()).await.result();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(setup.describe("new").await.unwrap().status);
    }
    // The first counts for the one and meets the other.
    assert_eq!(seen, [500, 503, 200]);
}

#[tokio::test]
async fn an_operator_edits_between_two_calls() {
    let setup = Setup::new().await;
    let pool = setup.ids.pool.clone();
    setup.cloudflare.edit(When::After, RequestMatcher::method("GET").path("/pools/"), {
        let pool = pool.clone();
        move |store| store.pool(&pool)["description"] = json!("by hand")
    });
    assert_eq!(setup.get(&setup.pool()).await.result()["description"], "");
    assert_eq!(setup.get(&setup.pool()).await.result()["description"], "by hand");
    setup
        .cloudflare
        .edit(When::Before, RequestMatcher::any(), move |store| store.pool(&pool)["enabled"] = json!(false));
    let patched = setup.describe("new").await.unwrap();
    assert_eq!((&patched.result()["enabled"], &patched.result()["description"]), (&json!(false), &json!("new")));
}

#[tokio::test]
async fn every_call_is_written_down() {
    let setup = Setup::new().await;
    setup.get("/zones?name=a%20b").await.result();
    setup.describe("new").await.unwrap().result();
    let calls = setup.cloudflare.calls();
    let recorded: Vec<_> = calls.iter().map(|call| (call.method.as_str(), call.path.as_str(), call.status)).collect();
    assert_eq!(recorded, [("GET", "/zones?name=a b", Some(200)), ("PATCH", setup.pool().as_str(), Some(200))]);
    assert_eq!((&calls[0].body, &calls[1].body), (&Value::Null, &json!({"description": "new"})));
    assert!(calls[0].at <= calls[1].at);
}

#[tokio::test]
async fn a_refusal_has_the_code_and_the_text_that_the_test_chose() {
    let chosen = Fault::Refusal { status: 409, code: 1_234, message: "as the test says" };
    for (fault, expected) in [
        (Fault::BALANCING_NOT_ENABLED, (400, 1002, "load balancing not enabled for zone: validation failed")),
        (Fault::ACCESS_FAILED, (400, 1002, "Access Failed: validation failed")),
        (Fault::TWO_ORIGINS, (400, 1002, "the origin list length must be in range [1, 2]: validation failed")),
        (chosen, (409, 1_234, "as the test says")),
    ] {
        let setup = Setup::new().await;
        let (answer, applied) = setup.inject(fault).await;
        assert_eq!(answer.unwrap().error(), expected);
        assert!(!applied, "{fault:?}");
    }
}
