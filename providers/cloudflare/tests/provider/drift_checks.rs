//! The times of drift checks, and what postpones them.

use std::time::Duration;

use daymark_fake_cloudflare::{Fault, RequestMatcher, When};
use daymark_provider::{ApplyError, RemoteProvider};

use crate::fixture::{Fixture, ONE, TWO, addresses, decision, message_of, publish};

const USUALLY: Duration = Duration::from_mins(5);
const SOON: Duration = Duration::from_secs(30);

/// Lets the drift interval pass, which is also the window in which Cloudflare counts calls.
async fn a_window_passes() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(5)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_drift_check_that_is_skipped_to_save_calls_is_no_success_and_is_reported_as_skipped() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    fixture.cloudflare.store().rate_limit.spend(1_150);
    publish(&provider, 1, &[ONE]).await;
    let calls = fixture.cloudflare.calls().len();
    let error = provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    let message = message_of(&error);
    assert!(matches!(error, ApplyError::DriftUnchecked { pause, .. } if pause == Some(SOON)), "{message}");
    assert!(
        message.starts_with("published, but not checked for drift: lb.kube-cp.com: few calls are left"),
        "{message}"
    );
    assert_eq!(fixture.cloudflare.calls().len(), calls);
}

#[tokio::test]
async fn a_drift_check_while_every_call_is_refused_reports_the_end_of_the_refusal() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE]).await;
    fixture.cloudflare.inject(Fault::TooMany { retry_after: Some(60) }, RequestMatcher::any());
    assert!(provider.check().await.is_incomplete);
    for _ in 0..2 {
        let message = message_of(&provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err());
        assert!(message.contains("refuses reading Load Balancing pools, like every call, until"), "{message}");
    }
}

#[tokio::test]
async fn a_new_decision_is_published_though_the_drift_check_that_was_due_is_skipped_and_that_follows_soon() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE]).await;
    assert_eq!(provider.drift_interval(), USUALLY);
    a_window_passes().await;
    fixture.cloudflare.store().rate_limit.spend(1_150);
    provider.check().await;
    fixture.edit_origin(&fixture.ids.pool, "kube-cp-2", "enabled", true);
    let calls = fixture.cloudflare.calls().len();
    publish(&provider, 2, &[ONE]).await;
    assert_eq!((fixture.cloudflare.calls().len(), provider.drift_interval()), (calls, SOON), "it shows the same");

    a_window_passes().await;
    publish(&provider, 2, &[ONE]).await;
    assert_eq!((fixture.enabled("kube-cp"), provider.drift_interval()), (addresses(&[ONE]), USUALLY));
}

#[tokio::test]
async fn after_a_write_with_an_unknown_outcome_the_next_two_drift_checks_come_soon() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE]).await;
    for fault in [Fault::CutBefore, Fault::CutAfter] {
        fixture.cloudflare.inject(fault, RequestMatcher::method("PATCH"));
        provider.apply(&decision(2, &[ONE, TWO])).await.outcome.unwrap_err();
        assert_eq!(provider.drift_interval(), SOON, "{fault:?}");
        publish(&provider, 2, &[ONE, TWO]).await;
        assert_eq!(provider.drift_interval(), SOON, "{fault:?}");
        publish(&provider, 2, &[ONE, TWO]).await;
        assert_eq!(provider.drift_interval(), USUALLY, "{fault:?}");
        fixture.edit_origin(&fixture.ids.pool, "kube-cp-2", "enabled", false);
    }
}

#[tokio::test]
async fn a_write_that_reads_back_differently_is_checked_again_soon() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    let pool = fixture.ids.pool.clone();
    fixture.cloudflare.edit(When::After, RequestMatcher::method("PATCH"), move |store| {
        for origin in store.pool(&pool)["origins"].as_array_mut().unwrap() {
            origin["enabled"] = true.into();
        }
    });
    provider.apply(&decision(1, &[ONE])).await.outcome.unwrap_err();
    publish(&provider, 1, &[ONE]).await;
    assert_eq!(provider.drift_interval(), SOON);
}
