//! Credentials: given, read again, and never told.

use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};

use daymark::probe::Auth;
use daymark_decision::Kind;
use daymark_fake_apiserver::{Access, Authority, Behaviour};

use crate::scene::Scene;

const TOKEN: &str = "eyJ-very-secret";
const DENIED: Kind = Kind::CannotJudge { status: 401 };

fn with_token(contents: &str) -> Scene {
    let mut scene = Scene::new();
    scene.apiserver.require(Access::Token(TOKEN.to_owned()));
    scene.settings.auth = Some(Auth::TokenFile(scene.write("token", contents)));
    scene
}

fn with_certificate() -> Scene {
    let mut scene = Scene::new();
    scene.apiserver.require(Access::ClientCertificate);
    let identity = scene.authority.issue_client("daymark").unwrap();
    let certificate = scene.write("client.crt", identity.certificate_pem());
    let key = scene.write("client.key", &identity.key_pem());
    scene.settings.auth = Some(Auth::ClientCertificate { certificate, key });
    scene
}

#[tokio::test]
async fn without_credentials_a_server_that_wants_them_cannot_be_judged() {
    for access in [Access::Token(TOKEN.to_owned()), Access::ClientCertificate] {
        let scene = Scene::new();
        scene.apiserver.require(access);
        assert_eq!(scene.probe().await.kind, DENIED);
    }
}

#[tokio::test]
async fn a_token_is_sent_without_the_white_space_around_it() {
    assert_eq!(with_token(&format!("  {TOKEN}\n")).probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_changed_token_is_read_again() {
    let scene = with_token("old");
    let prober = scene.prober();
    assert_eq!(prober.probe_once(scene.address()).await.kind, DENIED);
    scene.write("token", TOKEN);
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_token_file_that_becomes_empty_leaves_the_last_token_in_use() {
    let scene = with_token(TOKEN);
    let prober = scene.prober();
    for contents in ["", "two words", "\u{7f}"] {
        assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready, "before {contents:?}");
        scene.write("token", contents);
        assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready, "after {contents:?}");
    }
    fs::remove_file(scene.file("token")).unwrap();
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_token_missing_at_the_start_is_a_fault_of_our_own_until_it_is_there() {
    let scene = with_token(TOKEN);
    fs::remove_file(scene.file("token")).unwrap();
    let prober = scene.prober();
    let kind = prober.probe_once(scene.address()).await.kind;
    let path = scene.file("token").display().to_string();
    assert!(matches!(&kind, Kind::OwnFault { detail } if detail.contains(&path)), "{kind}");
    assert_eq!(scene.apiserver.connections(), 0);
    scene.write("token", TOKEN);
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_token_file_without_a_token_is_told_without_its_contents() {
    let scene = with_token("secret words");
    let kind = scene.probe().await.kind;
    let Kind::OwnFault { detail } = kind else { panic!("{kind}") };
    assert!(detail.contains("holds no token") && !detail.contains("secret"), "{detail}");
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    assert_eq!(with_certificate().probe().await.kind, Kind::Ready);
}

#[tokio::test]
async fn a_client_certificate_is_read_again_and_waits_for_its_key() {
    let scene = with_certificate();
    let prober = scene.prober();
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);

    // Half of the pair: what was good stays.
    let identity = scene.authority.issue_client("daymark-2").unwrap();
    scene.write("client.crt", identity.certificate_pem());
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);
    scene.write("client.key", &identity.key_pem());
    assert_eq!(prober.probe_once(scene.address()).await.kind, Kind::Ready);

    // A pair of another CA is refused by the server: so it is the new pair that is in use.
    let other = Authority::new("kubernetes").unwrap().issue_client("daymark").unwrap();
    scene.write("client.crt", other.certificate_pem());
    scene.write("client.key", &other.key_pem());
    let kind = prober.probe_once(scene.address()).await.kind;
    // In TLS 1.3 the refusal comes after the handshake, and may be overtaken by the end of the connection.
    assert!(matches!(kind, Kind::TlsFailed { .. } | Kind::Reset | Kind::ClosedEarly), "{kind}");
}

#[tokio::test]
async fn a_client_certificate_with_the_key_of_another_is_a_fault_of_our_own() {
    let scene = with_certificate();
    scene.write("client.key", &scene.authority.issue_client("other").unwrap().key_pem());
    let kind = scene.probe().await.kind;
    assert!(matches!(&kind, Kind::OwnFault { detail } if detail.contains("cannot be used together")), "{kind}");
}

/// Where a subscriber writes for a test to read.
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

    let scene = with_token(TOKEN);
    let prober = scene.prober();
    let ready = prober.probe_once(scene.address()).await;
    assert_eq!(ready.kind, Kind::Ready);
    scene.write("token", &format!("{TOKEN} {TOKEN}"));
    let kept = prober.probe_once(scene.address()).await;
    scene.apiserver.set(Behaviour::Unauthorized).await.unwrap();
    let denied = prober.probe_once(scene.address()).await;
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("what it held before stays in use"), "{log}");
    let told = format!("{log} {prober:?} {ready:?} {kept:?} {denied:?} {}", denied.kind);
    assert!(!told.contains(TOKEN), "{told}");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_told_once_a_version() {
    let log = Log::default();
    let writer = log.clone();
    let guard =
        tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(move || writer.clone()).finish());
    let scene = with_token(TOKEN);
    let prober = scene.prober();
    prober.probe_once(scene.address()).await;
    for contents in ["not one", "not one word"] {
        scene.write("token", contents);
        for _ in 0..3 {
            prober.probe_once(scene.address()).await;
        }
    }
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("stays in use").count(), 2, "{log}");
}
