//! Probes over kept connections, against a fake apiserver.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use daymark_decision::Thresholds;
use daymark_fake_apiserver::{Behaviour, FakeApiserver, FakeAuthority};

use super::*;
use crate::settings::Trust;

const NAME: &str = "lb.kube-cp.com";

/// A prober that has asked a fake once, and the connection that it kept.
async fn kept(timeout: Duration) -> (FakeApiserver, Prober, ProbeConnection) {
    let authority = FakeAuthority::new("kubernetes").unwrap();
    let apiserver = FakeApiserver::start(SocketAddr::from(([127, 0, 0, 1], 0)), &authority, &[NAME]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.crt");
    fs::write(&ca, authority.pem()).unwrap();
    let prober = Prober::new(ProbeSettings {
        pool: NAME.to_owned(),
        port: apiserver.address().port(),
        path: "/readyz".to_owned(),
        server_name: NAME.to_owned(),
        interval: timeout,
        connect_timeout: timeout,
        tls_timeout: timeout,
        timeout,
        confirm_interval: timeout,
        late_after: timeout,
        fresh_every: NonZeroU32::MAX,
        thresholds: Thresholds { rise: NonZeroU32::MIN, fall: NonZeroU32::MIN },
        trust: Trust::File(ca),
        auth: None,
    });
    let found = prober.probe(apiserver.address().ip(), None, None).await;
    assert_eq!(found.observation.kind, Kind::Ready);
    // The directory goes here: a CA file that goes leaves the last one in use.
    drop(directory);
    (apiserver, prober, found.kept.expect("the connection can be kept"))
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_kept_connection_found_closed_is_replaced_within_the_probe() {
    let (apiserver, prober, kept) = kept(LONG).await;
    apiserver.close_connections().await.unwrap();
    let found = prober.probe(apiserver.address().ip(), Some(kept), None).await;
    assert_eq!(found.observation.kind, Kind::Ready);
    assert!(found.observation.timings.connect.is_some());
    assert_eq!(apiserver.connections(), 2);
}

#[tokio::test]
async fn a_kept_connection_closed_by_the_request_is_replaced_and_the_fresh_one_decides() {
    for (behaviour, kind) in [(Behaviour::ClosedEarly, Kind::ClosedEarly), (Behaviour::Reset, Kind::Reset)] {
        let (apiserver, prober, kept) = kept(LONG).await;
        apiserver.set(behaviour).await.unwrap();
        let found = prober.probe(apiserver.address().ip(), Some(kept), None).await;
        assert_eq!(found.observation.kind, kind);
        assert_eq!(apiserver.connections(), 2, "{kind}");
        assert!(found.kept.is_none());
    }
}

#[tokio::test]
async fn a_kept_connection_of_a_dead_target_is_refused_on_the_fresh_one() {
    let (apiserver, prober, kept) = kept(LONG).await;
    apiserver.set(Behaviour::Dead).await.unwrap();
    let found = prober.probe(apiserver.address().ip(), Some(kept), None).await;
    assert_eq!(found.observation.kind, Kind::Refused);
}

#[tokio::test]
async fn a_kept_connection_without_an_answer_times_out_and_is_given_up() {
    let (apiserver, prober, kept) = kept(Duration::from_secs(2)).await;
    apiserver.set(Behaviour::NoAnswer).await.unwrap();
    let found = prober.probe(apiserver.address().ip(), Some(kept), None).await;
    assert_eq!(found.observation.kind, Kind::AnswerTimeout);
    assert!(found.observation.timings.connect.is_none());
    assert_eq!(apiserver.connections(), 1);
    assert!(found.kept.is_none());
}

#[test]
fn a_handshake_has_its_own_limit_or_the_later_one_of_a_confirmation_within_the_probe() {
    let begun = Instant::now();
    let after = |seconds| begun + Duration::from_secs(seconds);
    let limit = |handshake_until| ProbeDeadlines { whole: after(5), handshake_until }.of_handshake(after(1));
    assert_eq!(limit(None), after(1));
    assert_eq!(limit(Some(after(2))), after(2));
    assert_eq!(limit(Some(begun)), after(1));
    assert_eq!(limit(Some(after(6))), after(5));
}

#[tokio::test]
async fn a_connection_is_kept_over_answers_that_are_not_ready() {
    let (apiserver, prober, mut kept) = kept(LONG).await;
    for behaviour in [Behaviour::ShuttingDown, Behaviour::Overloaded, Behaviour::Unauthorized, Behaviour::Status(404)] {
        apiserver.set(behaviour).await.unwrap();
        kept = prober.probe(apiserver.address().ip(), Some(kept), None).await.kept.expect("the connection can be kept");
    }
    assert_eq!(apiserver.connections(), 1);
}

#[tokio::test]
async fn a_connection_with_a_body_left_unread_is_not_kept() {
    let (apiserver, prober, kept) = kept(LONG).await;
    apiserver.set(Behaviour::TooLarge).await.unwrap();
    assert!(prober.probe(apiserver.address().ip(), Some(kept), None).await.kept.is_none());
}

#[test]
fn the_host_is_what_a_client_says() {
    assert_eq!(host("lb.kube-cp.com", 6443), "lb.kube-cp.com:6443");
    assert_eq!(host("lb.kube-cp.com", 443), "lb.kube-cp.com");
    assert_eq!(host("2001:db8::1", 6443), "[2001:db8::1]:6443");
    assert_eq!(host("2001:db8::1", 443), "[2001:db8::1]");
}
