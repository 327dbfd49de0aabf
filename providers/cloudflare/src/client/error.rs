//! How a call can fail, whose fault that is, and when it may be made again.

use std::time::Duration;

use serde::Deserialize;

use super::Call;

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The system has no usable CA certificates.
    #[error("the system has no CA certificates, and without them Cloudflare cannot be verified: {0}")]
    NoSystemRoots(String),
    /// The HTTP library refuses its settings.
    #[error("the HTTP client cannot be set up")]
    Http(#[from] reqwest::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// When a call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After the usual back-off: the world's fault, and likely to pass. Where it was a write, it may have been applied.
    BackOff,
    /// Not before so long.
    After(Duration),
    /// Only after the operator has mended something.
    Operator,
}

/// One error of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ApiError {
    /// Cloudflare's number of it.
    #[serde(default)]
    pub code: u32,
    /// Cloudflare's sentence.
    #[serde(default)]
    pub message: String,
    /// What lies beneath it.
    #[serde(default)]
    pub error_chain: Vec<ApiError>,
}

/// A call failed. No error shows the token.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    // To be written with the client.
    /// Placeholder.
    #[error("{} failed", .0.as_str())]
    Failed(Call),
}

impl CallError {
    /// When the call may be made again.
    pub fn retry(&self) -> Retry {
        Retry::BackOff
    }

    /// Whether Cloudflare says that what was asked for is not there (HTTP 404).
    pub fn is_not_found(&self) -> bool {
        false
    }
}
