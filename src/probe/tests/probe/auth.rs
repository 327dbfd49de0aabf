//! Credentials are presented, read again when they change, and never logged.

use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};

use daymark_decision::{Grade, Kind};
use daymark_fake_apiserver::{Access, Behaviour, FakeAuthority};
use daymark_probe::Auth;

use crate::fixture::Fixture;

const TOKEN: &str = "eyJ-very-secret";
const REFUSED: Kind = Kind::Unauthorized { status: 401, credentials: true };

fn with_token(contents: &str) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.apiserver.require(Access::Token(TOKEN.to_owned()));
    fixture.settings.auth = Some(Auth::TokenFile(fixture.write("token", contents)));
    fixture
}

fn with_certificate() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.apiserver.require(Access::ClientCertificate);
    let identity = fixture.authority.issue_client("daymark").unwrap();
    let certificate = fixture.write("client.crt", identity.certificate_pem());
    let key = fixture.write("client.key", &identity.key_pem());
    fixture.settings.auth = Some(Auth::ClientCertificate { certificate, key });
    fixture
}

#[tokio::test]
async fn without_credentials_a_server_that_wants_them_cannot_be_judged() {
    for access in [Access::Token(TOKEN.to_owned()), Access::ClientCertificate] {
        let fixture = Fixture::new();
        fixture.apiserver.require(access);
        assert_eq!(fixture.probe().await.kind, Kind::Unauthorized { status: 401, credentials: false });
    }
}

#[tokio::test]
async fn a_token_is_sent_without_the_white_space_around_it() {
    assert_eq!(with_token(&format!("  {TOKEN}\n")).probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_changed_token_is_read_again() {
    let fixture = with_token("old");
    let prober = fixture.prober();
    assert_eq!(prober.probe_once(fixture.address()).await.kind, REFUSED);
    fixture.write("token", TOKEN);
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_token_file_that_becomes_empty_leaves_the_last_token_in_use() {
    let fixture = with_token(TOKEN);
    let prober = fixture.prober();
    for contents in ["", "two words", "\u{7f}"] {
        assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready, "before {contents:?}");
        fixture.write("token", contents);
        assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready, "after {contents:?}");
    }
    fs::remove_file(fixture.file("token")).unwrap();
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_token_missing_at_the_start_is_a_local_error_until_it_is_there() {
    let fixture = with_token(TOKEN);
    fs::remove_file(fixture.file("token")).unwrap();
    let prober = fixture.prober();
    let kind = prober.probe_once(fixture.address()).await.kind;
    let path = fixture.file("token").display().to_string();
    assert!(matches!(&kind, Kind::LocalError { detail } if detail.contains(&path)), "{kind}");
    assert_eq!(fixture.apiserver.connections(), 0);
    fixture.write("token", TOKEN);
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_token_file_without_a_token_is_reported_without_its_contents() {
    let fixture = with_token("secret words");
    let kind = fixture.probe().await.kind;
    let Kind::LocalError { detail } = kind else { panic!("{kind}") };
    assert!(detail.contains("is not a token") && !detail.contains("secret"), "{detail}");
}

#[tokio::test]
async fn a_client_certificate_is_presented() {
    assert_eq!(with_certificate().probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_client_certificate_is_read_again_and_waits_for_its_key() {
    let fixture = with_certificate();
    let prober = fixture.prober();
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);

    // Half of a new pair: the old pair stays in use.
    let identity = fixture.authority.issue_client("daymark-2").unwrap();
    fixture.write("client.crt", identity.certificate_pem());
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);
    fixture.write("client.key", &identity.key_pem());
    assert_eq!(prober.probe_once(fixture.address()).await.kind, Kind::Ready);

    // The server refuses a pair of another CA, which shows that the new pair is in use.
    let other = FakeAuthority::new("kubernetes").unwrap().issue_client("daymark").unwrap();
    fixture.write("client.crt", other.certificate_pem());
    fixture.write("client.key", &other.key_pem());
    let kind = prober.probe_once(fixture.address()).await.kind;
    assert!(matches!(kind, Kind::ClientCertificateRefused { .. }), "{kind}");
    assert_eq!(kind.grade(), Some(Grade::Down));
}

#[tokio::test]
async fn a_client_certificate_with_the_key_of_another_is_a_local_error() {
    let fixture = with_certificate();
    fixture.write("client.key", &fixture.authority.issue_client("other").unwrap().key_pem());
    let kind = fixture.probe().await.kind;
    assert!(
        matches!(&kind, Kind::LocalError { detail } if detail.contains("client.key does not fit the certificate: the key is not that of the certificate")),
        "{kind}"
    );
}

/// A log in memory, written by a subscriber and read by a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_token_is_in_no_log_and_in_no_debug_output() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let fixture = with_token(TOKEN);
    let prober = fixture.prober();
    let ready = prober.probe_once(fixture.address()).await;
    assert_eq!(ready.kind, Kind::Ready);
    fixture.write("token", &format!("{TOKEN} {TOKEN}"));
    let after_change = prober.probe_once(fixture.address()).await;
    fixture.apiserver.set(Behaviour::Unauthorized).await.unwrap();
    let denied = prober.probe_once(fixture.address()).await;
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the last good version stays in use"), "{log}");
    let output = format!("{log} {prober:?} {ready:?} {after_change:?} {denied:?} {}", denied.kind);
    assert!(!output.contains(TOKEN), "{output}");
}

#[tokio::test]
async fn an_unusable_file_is_reported_once_a_version() {
    let log = Log::default();
    let writer = log.clone();
    let guard =
        tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(move || writer.clone()).finish());
    let fixture = with_token(TOKEN);
    let prober = fixture.prober();
    prober.probe_once(fixture.address()).await;
    for contents in ["not one", "not one word"] {
        fixture.write("token", contents);
        for _ in 0..3 {
            prober.probe_once(fixture.address()).await;
        }
    }
    fixture.write("token", TOKEN);
    fixture.write("ca.crt", "-----BEGIN CERTIFICATE-----");
    prober.probe_once(fixture.address()).await;
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("stays in use").count(), 3, "{log}");
    let expected = "lb.kube-cp.com: files of `probe`: the last good version stays in use: CA file: certificate 1 of ";
    assert!(log.contains(expected), "{log}");
}
