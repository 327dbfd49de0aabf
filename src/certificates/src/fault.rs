//! The reasons to refuse a server's certificate, and the faults of a single certificate, as sentences.

use std::sync::Arc;

use daymark_files::TornSection;
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

/// The fault of a single certificate, as a sentence about "it".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Its PEM section has no end, or is no base64.
    #[error("it is incomplete, because it has no whole PEM section")]
    Torn,
    /// Go passes over it.
    #[error("its line -----BEGIN or -----END is indented, so that Go passes over it")]
    Indented,
    /// Its DER is something else.
    #[error("it is not an X.509 certificate")]
    NotX509,
    /// It has extensions, which only version 3 has, or a version that does not exist.
    #[error("its version does not fit its extensions")]
    Version,
    /// RFC 5280, section 4.1.2.2, demands a positive one.
    #[error("its serial number is negative")]
    NegativeSerial,
    /// RFC 5280, section 4.1.1.2, demands the same one in both places.
    #[error("it names two different algorithms for its signature")]
    TwoAlgorithms,
    /// RFC 5280, section 4.2, forbids it.
    #[error("it has the same extension twice")]
    RepeatedExtension,
    /// A subject alternative name cannot be read.
    #[error("one of its names is malformed")]
    MalformedName,
    /// Its name constraints cannot be read.
    #[error("its name constraints are malformed")]
    MalformedConstraints,
    /// Another extension cannot be read.
    #[error("its extension {oid} is malformed")]
    MalformedExtension {
        /// The identifier of the extension.
        oid: String,
    },
    /// Its key is of an algorithm that is not accepted.
    #[error("its key is {algorithm}, which Daymark does not accept")]
    UnsupportedKey {
        /// The algorithm, by its name or its identifier.
        algorithm: String,
    },
    /// RFC 5280, section 4.2, demands to refuse it.
    #[error("its critical extension {oid} is not understood")]
    UnknownCriticalExtension {
        /// The identifier of the extension.
        oid: String,
    },
}

impl From<TornSection> for CertificateFault {
    fn from(section: TornSection) -> Self {
        match section {
            TornSection::Incomplete => Self::Torn,
            TornSection::Indented => Self::Indented,
        }
    }
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
