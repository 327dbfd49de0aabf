//! The parts that every client of an admin API needs: a client of plain HTTP, the address, and the answer of a host that is not to be
//! trusted. It knows no request.

use std::error::Error;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use daymark_files::client_tls;
use daymark_resolver::SystemResolver;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The client of HTTP cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// The configuration of TLS, which reqwest wants also for plain HTTP.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The client itself.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(String),
}

/// A client whose requests take at most this long.
pub fn http_client(timeout: Duration) -> Result<reqwest::Client, AdminClientError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(client_tls(rustls::RootCertStore::empty())?)
        .dns_resolver(Arc::new(SystemResolver::new()))
        .no_proxy()
        .timeout(timeout)
        .build()
        .map_err(|error| AdminClientError::Http(innermost(&error)))
}

/// True if a text is HOST:PORT.
pub fn is_host_and_port(text: &str) -> bool {
    let is_valid = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    is_valid && !text.contains('/')
}

/// Reads the body of an answer, with each text on one line: a host that is not to be trusted could forge lines of the output. Other
/// hidden characters are escaped when they are printed.
pub fn parsed<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let mut value: Value = serde_json::from_slice(body)?;
    put_on_one_line(&mut value);
    T::deserialize(value)
}

fn put_on_one_line(value: &mut Value) {
    match value {
        Value::String(text) => *text = on_one_line(text),
        Value::Array(values) => values.iter_mut().for_each(put_on_one_line),
        Value::Object(values) => values.values_mut().for_each(put_on_one_line),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text without ends of lines and tabs.
pub fn on_one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\t', "\\t")
}

/// The innermost error. Those around it repeat the address.
pub fn innermost(error: &reqwest::Error) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// An error and its sources, the innermost last.
pub fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(Some(error as &(dyn Error + 'static)), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_an_answer_makes_a_line_of_its_own() {
        let texts: Vec<String> = parsed(br#"["an alarm\n  ok    all: is well", "a\ttab"]"#).unwrap();
        assert_eq!(texts, ["an alarm\\n  ok    all: is well", "a\\ttab"]);
    }
}
