//! The settings of the probes of one pool.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daymark_decision::Thresholds;

/// The settings of the probes of one pool, as the configuration gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// The name of the pool, for the log.
    pub pool: String,
    /// The TCP port of every target.
    pub port: u16,
    /// The path and query of the request, such as `/readyz`.
    pub path: String,
    /// The name in SNI and `Host`, for which the certificate must be valid. It is the name of the pool by default.
    pub server_name: String,
    /// The time from the start of one probe of a settled target to the start of the next.
    pub interval: Duration,
    /// The longest time that TCP may take.
    pub connect_timeout: Duration,
    /// The longest time that a TLS handshake may take.
    pub tls_timeout: Duration,
    /// The longest time that a whole probe may take.
    pub timeout: Duration,
    /// The interval after a first failure. A probe that takes so much longer than the last answer gets another one beside it.
    pub confirm_interval: Duration,
    /// An answer that takes so much longer than the last one is late. Until `tls_timeout` after that, the handshake of a
    /// confirmation may last.
    pub late_after: Duration,
    /// One probe of this many uses a fresh connection.
    pub fresh_every: NonZeroU32,
    /// The numbers of observations in a row that change the verdict.
    pub thresholds: Thresholds,
    /// The CAs that verify the certificate of a target.
    pub trust: Trust,
    /// The credentials that the probe shows.
    pub auth: Option<Auth>,
}

impl ProbeSettings {
    /// The files that a probe reads.
    pub fn files(&self) -> Vec<&Path> {
        files(&self.trust, self.auth.as_ref())
    }
}

impl Trust {
    /// The file of the CAs, if they come from one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::System | Self::Nothing => None,
        }
    }
}

/// The files that these name.
pub(super) fn files<'a>(trust: &'a Trust, auth: Option<&'a Auth>) -> Vec<&'a Path> {
    let auth = match auth {
        Some(Auth::ClientCertificate { certificate, key }) => vec![certificate, key],
        Some(Auth::TokenFile(path)) => vec![path],
        None => Vec::new(),
    };
    trust.file().into_iter().chain(auth.into_iter().map(PathBuf::as_path)).collect()
}

/// The CAs that verify the certificate of a target. Files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The CA certificates of a PEM file.
    File(PathBuf),
    /// The CA certificates of the system.
    System,
    /// None: every certificate is accepted (`insecure`).
    Nothing,
}

/// The credentials that a probe shows. Files are read again when they change.
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
