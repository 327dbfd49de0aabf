//! The log: who has changed what, what Daymark has overwritten, and what it has left alone.

use std::fs::read_to_string;
use std::sync::Mutex;

use daymark_fake_cloudflare::{Fault, RequestMatcher};
use daymark_provider::RemoteProvider;
use serde_json::json;
use tempfile::NamedTempFile;
use tracing::subscriber::DefaultGuard;

use crate::fixture::{Fixture, ONE, TWO, addresses, decision, publish};

/// Captures the log of this thread until the guard is dropped.
fn logged() -> (NamedTempFile, DefaultGuard) {
    let file = NamedTempFile::new().unwrap();
    let writer = Mutex::new(file.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
    (file, tracing::subscriber::set_default(subscriber))
}

/// Asserts that the log has a line of this level that contains `part`.
fn has_line(log: &NamedTempFile, level: &str, part: &str) {
    let text = read_to_string(log.path()).unwrap();
    assert!(text.lines().any(|line| line.contains(level) && line.contains(part)), "{level} {part}: {text}");
}

#[tokio::test]
async fn what_someone_else_has_done_and_what_is_written_over_it_are_in_the_log() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    let (log, _guard) = logged();
    publish(&provider, 1, &[ONE, TWO]).await;
    has_line(&log, "INFO", "provider cloudflare: lb.kube-cp.com: disable the origin kube-cp-3 (2001:db8::3) (");
    fixture.edit_origin(&fixture.ids.pool, "kube-cp-1", "enabled", false);
    publish(&provider, 1, &[ONE, TWO]).await;
    let drift = "lb.kube-cp.com: someone else has disabled the origin kube-cp-1 (192.0.2.1); Daymark repairs it";
    has_line(&log, "WARN", drift);
    has_line(&log, "INFO", "lb.kube-cp.com: enable the origin kube-cp-1 (192.0.2.1) (");
}

#[tokio::test]
async fn disabling_a_pool_of_daymarks_own_is_reported() {
    let fixture = Fixture::without_balancing().await;
    let provider = fixture.whole();
    publish(&provider, 1, &[ONE]).await;
    let id = fixture.pool("daymark-lb")["id"].as_str().unwrap().to_owned();
    fixture.cloudflare.store().pool(&id)["enabled"] = false.into();
    let (log, _guard) = logged();
    publish(&provider, 1, &[ONE]).await;
    has_line(&log, "WARN", "someone else has disabled the Cloudflare pool daymark-lb; Daymark repairs it");
}

#[tokio::test]
async fn a_change_that_the_name_cannot_do_without_is_reported_each_time() {
    let fixture = Fixture::new().await;
    let pools = fixture.pools();
    let records = fixture.records();
    publish(&pools, 1, &[ONE]).await;
    publish(&records, 1, &[ONE]).await;
    for n in 0..5 {
        fixture.edit_origin(&fixture.ids.pool, "kube-cp-1", "enabled", false);
        fixture.cloudflare.store().zones.get_mut(&fixture.ids.zone).unwrap().records.clear();
        let (log, _guard) = logged();
        publish(&pools, 1, &[ONE]).await;
        publish(&records, 1, &[ONE]).await;
        for done in ["disabled the origin kube-cp-1 (192.0.2.1)", "deleted the record lb.kube-cp.com A 192.0.2.1"] {
            let expected = format!("someone else has {done}; Daymark repairs it");
            has_line(&log, "WARN", &expected);
        }
        assert_eq!(fixture.resolved(), addresses(&[ONE]), "{n}");
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_in_the_log_once_it_is_seen() {
    let fixture = Fixture::new().await;
    let provider = fixture.pools();
    let (log, _guard) = logged();
    fixture.cloudflare.inject(Fault::CutAfter, RequestMatcher::method("PATCH"));
    provider.apply(&decision(1, &[ONE, TWO])).await.outcome.unwrap_err();
    publish(&provider, 1, &[ONE, TWO]).await;
    assert_eq!(fixture.enabled("kube-cp"), addresses(&[ONE, TWO]));
    has_line(&log, "INFO", "; Cloudflare's response to it was lost");
}

#[tokio::test]
async fn an_origin_that_belongs_to_no_node_is_said_to_be_left_alone() {
    let fixture = Fixture::new().await;
    let by_hand = json!({"name": "by-hand", "address": "192.0.2.66", "enabled": true});
    fixture.cloudflare.store().pool(&fixture.ids.pool)["origins"].as_array_mut().unwrap().push(by_hand);
    let provider = fixture.pools();
    publish(&provider, 1, &[ONE, TWO]).await;
    let (log, _guard) = logged();
    provider.check().await;
    let left =
        "the origin by-hand (192.0.2.66) of the Cloudflare pool kube-cp belongs to no node; Daymark leaves it as it is";
    has_line(&log, "INFO", left);
}
