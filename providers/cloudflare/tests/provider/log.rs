//! What is in the log: who has changed what, what was overwritten, and what was left alone.

use std::fs::read_to_string;
use std::sync::Mutex;

use daymark_cloudflare_standin::{Fault, Matching};
use daymark_provider::Provider;
use serde_json::json;
use tempfile::NamedTempFile;
use tracing::subscriber::DefaultGuard;

use crate::scene::{ONE, Scene, TWO, addresses, decision, publish};

/// Everything that is logged on this thread, until the guard is dropped.
fn logged() -> (NamedTempFile, DefaultGuard) {
    let file = NamedTempFile::new().unwrap();
    let writer = Mutex::new(file.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
    (file, tracing::subscriber::set_default(subscriber))
}

/// Asserts that there is a line of this level with this in it.
fn has_line(log: &NamedTempFile, level: &str, part: &str) {
    let text = read_to_string(log.path()).unwrap();
    assert!(text.lines().any(|line| line.contains(level) && line.contains(part)), "{level} {part}: {text}");
}

#[tokio::test]
async fn what_someone_else_has_done_and_what_is_written_over_it_are_in_the_log() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    let (log, _guard) = logged();
    publish(&provider, 1, &[ONE, TWO]).await;
    has_line(&log, "INFO", "provider cloudflare: lb.kube-cp.com: disable the origin kube-cp-3 (2001:db8::3) (");
    scene.edit_origin(&scene.ids.pool, "kube-cp-1", "enabled", false);
    publish(&provider, 1, &[ONE, TWO]).await;
    let drift = "lb.kube-cp.com: someone else has disabled the origin kube-cp-1 (192.0.2.1); it is set right again";
    has_line(&log, "WARN", drift);
    has_line(&log, "INFO", "lb.kube-cp.com: enable the origin kube-cp-1 (192.0.2.1) (");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_in_the_log_once_it_is_seen() {
    let scene = Scene::new().await;
    let provider = scene.pools();
    let (log, _guard) = logged();
    scene.cloudflare.play(Fault::CutAfter, Matching::method("PATCH"));
    provider.publish(&decision(1, &[ONE, TWO])).await.unwrap_err();
    publish(&provider, 1, &[ONE, TWO]).await;
    assert_eq!(scene.enabled("kube-cp"), addresses(&[ONE, TWO]));
    has_line(&log, "INFO", "; Cloudflare's answer to it was lost");
}

#[tokio::test]
async fn an_origin_that_belongs_to_no_node_is_said_to_be_left_alone() {
    let scene = Scene::new().await;
    let by_hand = json!({"name": "by-hand", "address": "192.0.2.66", "enabled": true});
    scene.cloudflare.world().pool(&scene.ids.pool)["origins"].as_array_mut().unwrap().push(by_hand);
    let provider = scene.pools();
    publish(&provider, 1, &[ONE, TWO]).await;
    let (log, _guard) = logged();
    provider.check().await.unwrap();
    let left =
        "the origin by-hand (192.0.2.66) of the Cloudflare pool kube-cp belongs to no node, and is left as it is";
    has_line(&log, "INFO", left);
}
