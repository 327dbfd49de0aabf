//! Posts the outcome of a pass to a URL, for services that raise an alarm when a ping reports a failure or does not come.

use std::sync::Arc;
use std::time::Duration;

use daymark_files::{NoSystemRoots, client_tls, system_roots};
use daymark_resolver::SystemResolver;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use rustls::RootCertStore;
use tokio::time::sleep;

/// The time that one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The number of attempts.
const ATTEMPTS: u32 = 3;
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest body in bytes. Services keep the beginning of a longer one.
const MAX_BODY_BYTES: usize = 10_000;

/// A ping was not taken. No message shows the URL, because its path is often a secret.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// The system has no usable CA certificates.
    #[error("the service cannot be verified")]
    NoSystemRoots(#[from] NoSystemRoots),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// There was no answer.
    #[error("no answer")]
    Failed(#[source] reqwest::Error),
    /// The service refused it.
    #[error("HTTP {0}")]
    Refused(StatusCode),
}

/// Posts the body, its beginning if it is long, to the URL. Tries again twice after a failure.
pub async fn ping(url: &str, body: &str) -> Result<(), PingError> {
    let client = client(url)?;
    let end = body.floor_char_boundary(MAX_BODY_BYTES);
    let mut attempt = 1;
    loop {
        let outcome = attempt_once(&client, url, &body[..end]).await;
        if outcome.is_ok() || attempt == ATTEMPTS {
            return outcome;
        }
        attempt += 1;
        sleep(PAUSE).await;
    }
}

fn client(url: &str) -> Result<reqwest::Client, PingError> {
    // Without TLS nothing is verified, so a machine without CA certificates is good enough.
    let is_plain = url.starts_with("http://");
    let roots = if is_plain { Arc::new(RootCertStore::empty()) } else { system_roots()? };
    reqwest::Client::builder()
        .tls_backend_preconfigured(client_tls(roots)?)
        .user_agent(concat!("daymark/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(SystemResolver::new()))
        .timeout(TIMEOUT)
        // A redirect would lose the body, and send the secret URL on.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(failed)
}

async fn attempt_once(client: &reqwest::Client, url: &str, body: &str) -> Result<(), PingError> {
    let request = client.post(url).header(CONTENT_TYPE, "text/plain; charset=utf-8").body(body.to_owned());
    let status = request.send().await.map_err(failed)?.status();
    if status.is_success() { Ok(()) } else { Err(PingError::Refused(status)) }
}

fn failed(error: reqwest::Error) -> PingError {
    PingError::Failed(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_a_ping_is_a_message_without_the_url() {
        let errors =
            [PingError::Refused(StatusCode::FOUND), PingError::Tls(rustls::Error::General("no cipher".to_owned()))];
        let messages = errors.map(|error| daymark_files::error_chain(&error));
        assert_eq!(messages, ["HTTP 302 Found", "TLS cannot be set up: no cipher"]);
    }
}
