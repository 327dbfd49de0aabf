//! The reasons to refuse a server's certificate, as sentences.

use std::sync::Arc;

use rustls::{CertificateError, OtherError};

/// The reason to refuse a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// It has ended.
    #[error("the certificate has expired")]
    Expired,
    /// It has not begun.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// It is not valid for the name.
    #[error("the certificate lacks the name")]
    WrongName,
    /// No trusted CA issued it.
    #[error("the certificate is not from a trusted CA")]
    UntrustedCa,
    /// A CA of its chain has ended.
    #[error("the CA that issued it has expired: {ca}")]
    CaExpired {
        /// The subject of the CA.
        ca: String,
        /// Its end, in seconds since the Unix epoch.
        not_after: i64,
    },
    /// Another rule is broken. The sentence names it.
    #[error("{0}")]
    Other(String),
}

impl ChainFault {
    /// The fault inside an error of rustls.
    pub fn of(error: &rustls::Error) -> Option<&Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(fault))) => fault.downcast_ref(),
            _ => None,
        }
    }
}

impl From<ChainFault> for rustls::Error {
    fn from(fault: ChainFault) -> Self {
        CertificateError::Other(OtherError(Arc::new(fault))).into()
    }
}
