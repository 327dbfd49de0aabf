//! One test for each outcome. `Kind::Unreachable` needs a router, and is tested with the classification of errors.

use std::time::Duration;

use daymark_decision::{Kind, Observation};
use daymark_fake_apiserver::Behaviour;
use daymark_probe::Trust;

use crate::fixture::{Fixture, NAME};

async fn observe(behaviour: Behaviour) -> Observation {
    Fixture::with(behaviour).await.probe().await
}

#[tokio::test]
async fn a_200_is_ready_with_every_time_and_the_certificate() {
    let observation = observe(Behaviour::Ready).await;
    assert_eq!(observation.kind, Kind::Ready);
    let timings = observation.timings;
    assert!(timings.connect.is_some() && timings.tls.is_some() && timings.http.is_some(), "{timings:?}");
    let certificate = observation.certificate.unwrap();
    assert_eq!(certificate.names, [NAME, "kubernetes", "10.96.0.1", "fd00::1"]);
    // 2120-01-01T00:00:00Z
    assert_eq!(certificate.not_after.as_secs(), 4_733_510_400);
}

#[tokio::test]
async fn a_verbose_200_is_ready() {
    let mut fixture = Fixture::new();
    fixture.settings.path = "/readyz?verbose".to_owned();
    assert_eq!(fixture.probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_500_is_not_ready_and_names_the_failing_checks() {
    let failing = vec!["etcd".to_owned(), "poststarthook/rbac/bootstrap-roles".to_owned()];
    let kind = observe(Behaviour::NotReady { failing: failing.clone() }).await.kind;
    assert_eq!(kind, Kind::NotReady { failing });
}

#[tokio::test]
async fn the_failing_check_shutdown_is_shutting_down() {
    assert_eq!(observe(Behaviour::ShuttingDown).await.kind, Kind::ShuttingDown);
}

#[tokio::test]
async fn the_failing_check_shutdown_among_others_is_shutting_down() {
    let failing = vec!["etcd".to_owned(), "shutdown".to_owned()];
    assert_eq!(observe(Behaviour::NotReady { failing }).await.kind, Kind::ShuttingDown);
}

#[tokio::test]
async fn a_slow_500_is_not_ready_and_no_time_out() {
    let failing = vec!["etcd".to_owned(), "etcd-readiness".to_owned()];
    let kind = observe(Behaviour::Slow { after: Duration::from_millis(300) }).await.kind;
    assert_eq!(kind, Kind::NotReady { failing });
}

#[tokio::test]
async fn a_401_cannot_judge() {
    assert_eq!(observe(Behaviour::Unauthorized).await.kind, Kind::Unauthorized { status: 401, credentials: false });
}

#[tokio::test]
async fn a_403_cannot_judge() {
    assert_eq!(observe(Behaviour::Forbidden).await.kind, Kind::Unauthorized { status: 403, credentials: false });
}

#[tokio::test]
async fn a_path_that_may_not_be_read_cannot_judge() {
    let mut fixture = Fixture::new();
    fixture.settings.path = "/readyz/etcd".to_owned();
    assert_eq!(fixture.probe().await.kind, Kind::Unauthorized { status: 403, credentials: false });
}

#[tokio::test]
async fn a_429_is_overloaded() {
    assert_eq!(observe(Behaviour::Overloaded).await.kind, Kind::Overloaded);
}

#[tokio::test]
async fn a_503_is_starting() {
    assert_eq!(observe(Behaviour::Starting).await.kind, Kind::Starting);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let fixture = Fixture::new();
    // The redirect leads back to the fake, so following it would be one more request.
    let location = format!("https://{}/livez", fixture.apiserver.address());
    fixture.apiserver.set(Behaviour::Redirect { location: location.clone() }).await.unwrap();
    assert_eq!(fixture.probe().await.kind, Kind::Redirect { status: 302, location: Some(location) });
    assert_eq!(fixture.apiserver.requests(), 1);
}

#[tokio::test]
async fn any_other_status_is_reported() {
    assert_eq!(observe(Behaviour::Status(418)).await.kind, Kind::OtherStatus { status: 418 });
}

#[tokio::test]
async fn a_port_without_listener_is_refused() {
    let observation = observe(Behaviour::Dead).await;
    assert_eq!(observation.kind, Kind::Refused);
    assert!(observation.timings.connect.is_some() && observation.timings.tls.is_none(), "{observation:?}");
    assert_eq!(observation.certificate, None);
}

#[tokio::test]
async fn a_reset_is_reported() {
    assert_eq!(observe(Behaviour::Reset).await.kind, Kind::Reset);
}

#[tokio::test]
async fn silence_is_a_connect_time_out() {
    let mut fixture = Fixture::with(Behaviour::Silent).await;
    fixture.settings.connect_timeout = Duration::from_millis(200);
    assert_eq!(fixture.probe().await.kind, Kind::ConnectTimeout);
}

#[tokio::test]
async fn silence_is_a_connect_time_out_even_if_the_whole_probe_has_less_time() {
    let mut fixture = Fixture::with(Behaviour::Silent).await;
    fixture.settings.timeout = Duration::from_millis(200);
    assert_eq!(fixture.probe().await.kind, Kind::ConnectTimeout);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_a_tls_stall_long_before_the_whole_probe_is() {
    let mut fixture = Fixture::with(Behaviour::TlsStall).await;
    fixture.settings.tls_timeout = Duration::from_millis(200);
    assert_eq!(fixture.probe().await.kind, Kind::TlsStall);
}

#[tokio::test]
async fn a_connection_without_a_handshake_is_a_tls_stall() {
    let mut fixture = Fixture::with(Behaviour::TlsStall).await;
    fixture.settings.timeout = Duration::from_millis(500);
    let observation = fixture.probe().await;
    assert_eq!(observation.kind, Kind::TlsStall);
    assert!(observation.timings.tls.is_some() && observation.timings.http.is_none(), "{observation:?}");
}

#[tokio::test]
async fn plain_http_is_not_tls() {
    assert_eq!(observe(Behaviour::NotTls).await.kind, Kind::NotTls);
}

#[tokio::test]
async fn an_alert_is_a_failed_handshake() {
    let kind = observe(Behaviour::TlsRefused).await.kind;
    let Kind::TlsFailed { detail } = kind else { panic!("{kind}") };
    let expected = "the server shares no cipher suite, key exchange or kind of key with Daymark; ";
    assert!(detail.starts_with(expected), "{detail}");
}

#[tokio::test]
async fn a_certificate_of_another_ca_with_the_same_name_is_untrusted_and_still_reported() {
    let observation = observe(Behaviour::OtherCa).await;
    assert_eq!(observation.kind, Kind::UntrustedCa);
    assert!(observation.certificate.unwrap().names.contains(&NAME.to_owned()));
}

#[tokio::test]
async fn a_certificate_that_no_ca_of_the_system_has_signed_is_untrusted() {
    let mut fixture = Fixture::new();
    fixture.settings.trust = Trust::System;
    let kind = fixture.probe().await.kind;
    // A machine without any CA certificate cannot judge.
    let without =
        matches!(&kind, Kind::LocalError { detail } if detail.starts_with("the system has no CA certificates"));
    assert!(kind == Kind::UntrustedCa || without, "{kind}");
}

#[tokio::test]
async fn a_certificate_without_the_name_is_reported_with_its_names() {
    let observation = observe(Behaviour::WrongNames).await;
    let names = vec!["kubernetes.default.svc".to_owned(), "192.0.2.1".to_owned()];
    assert_eq!(observation.kind, Kind::WrongName { expected: NAME.to_owned(), names });
}

#[tokio::test]
async fn an_expired_certificate_is_reported_with_its_end() {
    let observation = observe(Behaviour::Expired).await;
    assert_eq!(observation.kind, Kind::Expired);
    // 2021-01-01T00:00:00Z
    assert_eq!(observation.certificate.unwrap().not_after.as_secs(), 1_609_459_200);
}

#[tokio::test]
async fn a_certificate_that_has_not_begun_is_not_yet_valid() {
    assert_eq!(observe(Behaviour::NotYetValid).await.kind, Kind::NotYetValid);
}

#[tokio::test]
async fn a_request_without_an_answer_times_out() {
    let mut fixture = Fixture::with(Behaviour::NoAnswer).await;
    fixture.settings.timeout = Duration::from_secs(1);
    assert_eq!(fixture.probe().await.kind, Kind::AnswerTimeout);
}

#[tokio::test]
async fn an_end_before_the_answer_is_closed_early() {
    assert_eq!(observe(Behaviour::ClosedEarly).await.kind, Kind::ClosedEarly);
}

#[tokio::test]
async fn another_protocol_over_tls_is_not_http() {
    assert_eq!(observe(Behaviour::NotHttp).await.kind, Kind::NotHttp);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read() {
    assert_eq!(observe(Behaviour::TooLarge).await.kind, Kind::TooLarge { limit: 64 * 1024 });
}

#[tokio::test]
async fn an_invalid_path_is_a_local_error() {
    let mut fixture = Fixture::new();
    fixture.settings.path = "no path".to_owned();
    assert!(matches!(fixture.probe().await.kind, Kind::LocalError { .. }));
}

#[tokio::test]
async fn an_invalid_server_name_is_a_local_error() {
    let mut fixture = Fixture::new();
    fixture.settings.server_name = "no name".to_owned();
    let kind = fixture.probe().await.kind;
    assert!(matches!(&kind, Kind::LocalError { detail } if detail.contains("no name")), "{kind}");
}
