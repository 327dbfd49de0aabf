//! How the targets of one pool are probed.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daymark_decision::Thresholds;

/// How the targets of one pool are probed, as the configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The TCP port of every target.
    pub port: u16,
    /// The path and query of the request, such as `/readyz`.
    pub path: String,
    /// What SNI and Host say and the certificate must be valid for: the pool's name unless configured otherwise.
    pub server_name: String,
    /// From the start of one probe of a settled target to the start of the next.
    pub interval: Duration,
    /// How long TCP may take.
    pub connect_timeout: Duration,
    /// How long a whole probe may take.
    pub timeout: Duration,
    /// The pace after a first failure, and how much longer than the last answer a probe may take before the next is
    /// started beside it.
    pub confirm_interval: Duration,
    /// One probe in so many uses a fresh connection.
    pub fresh_every: NonZeroU32,
    /// How many observations in a row make the verdict clear.
    pub thresholds: Thresholds,
    /// What the certificate of a target is verified against.
    pub trust: Trust,
    /// How the probe proves who it is.
    pub auth: Option<Auth>,
}

impl Settings {
    /// Every file that a probe reads.
    pub fn files(&self) -> Vec<&Path> {
        files(&self.trust, self.auth.as_ref())
    }
}

/// Every file that these name.
pub(super) fn files<'a>(trust: &'a Trust, auth: Option<&'a Auth>) -> Vec<&'a Path> {
    let trust = match trust {
        Trust::File(path) => Some(path),
        Trust::System | Trust::Nothing => None,
    };
    let auth = match auth {
        Some(Auth::ClientCertificate { certificate, key }) => vec![certificate, key],
        Some(Auth::TokenFile(path)) => vec![path],
        None => Vec::new(),
    };
    trust.into_iter().chain(auth).map(PathBuf::as_path).collect()
}

/// What the certificate of a target is verified against. Files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The CA certificates of a PEM file.
    File(PathBuf),
    /// The CA certificates of the system.
    System,
    /// Nothing: every certificate will do (`insecure`).
    Nothing,
}

/// How the probe proves who it is. Files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A client certificate with its key, both PEM.
    ClientCertificate {
        /// The chain, the end certificate first.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// A bearer token, white space around it ignored.
    TokenFile(PathBuf),
}
