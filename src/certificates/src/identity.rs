//! A client certificate with its private key.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::algorithm::whole;
use crate::bundle::UnusableCertificate;
use crate::certificate::name;
use crate::private_key;

/// A client certificate with its private key. Has no `Debug`: it holds a secret.
pub struct ClientIdentity {
    resolver: Arc<SingleCertAndKey>,
    /// The subject of the certificate.
    pub name: String,
    /// The end of the certificate, in seconds since the Unix epoch.
    pub not_after: i64,
    /// The certificates of its file that cannot be used.
    pub unusable: Vec<UnusableCertificate>,
}

/// A client certificate that cannot be used. The sentences are about the key or "it", the certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdentityError {
    /// The certificate is none.
    #[error("the first certificate is not an X.509 certificate")]
    NoCertificate,
    /// Daymark cannot sign with such a key.
    #[error(
        "the key is {0}, but Daymark signs only with RSA of 2048 to 4096 bits, ECDSA with P-256 or P-384, and Ed25519"
    )]
    UnsupportedKey(String),
    /// The DER of the key is no key of its algorithm.
    #[error("the key is malformed")]
    MalformedKey,
    /// The key is that of another certificate.
    #[error("the key is not that of the certificate")]
    OtherKey,
}

impl ClientIdentityError {
    /// The refusal of the key, in short.
    pub(crate) fn summary(&self) -> &'static str {
        match self {
            Self::UnsupportedKey(_) | Self::MalformedKey => "cannot be used",
            Self::NoCertificate | Self::OtherKey => "does not fit the certificate",
        }
    }
}

impl ClientIdentity {
    /// Takes the certificates, the client's own first, and its key. A certificate may be of version 1: the server judges it.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'_>) -> Result<Self, ClientIdentityError> {
        let own = chain.first().ok_or(ClientIdentityError::NoCertificate)?;
        let parsed: X509Certificate<'_> = whole(own).ok_or(ClientIdentityError::NoCertificate)?;
        let name = name(parsed.subject()).unwrap_or_else(|| "without a name".to_owned());
        let not_after = parsed.validity().not_after.timestamp();
        let of_certificate = parsed.public_key();
        let key = any_supported_type(key).map_err(|_| refusal_of(key))?;
        // The encodings of an algorithm may differ, so the bits of the keys are compared.
        let fits = key.public_key().is_none_or(|own| {
            let own: Option<SubjectPublicKeyInfo<'_>> = whole(&own);
            own.is_some_and(|own| {
                own.subject_public_key.data == of_certificate.subject_public_key.data
                    && own.algorithm.algorithm == of_certificate.algorithm.algorithm
            })
        });
        if !fits {
            return Err(ClientIdentityError::OtherKey);
        }
        let resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
        Ok(Self { resolver, name, not_after, unusable: Vec::new() })
    }

    /// Shows the certificate to a server that asks for one.
    pub fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::<SingleCertAndKey>::clone(&self.resolver)
    }
}

/// The reason why ring refuses a key.
fn refusal_of(key: &PrivateKeyDer<'_>) -> ClientIdentityError {
    match private_key::algorithm(key) {
        Some(algorithm) if !private_key::can_sign(&algorithm) => {
            ClientIdentityError::UnsupportedKey(algorithm.to_string())
        }
        Some(_) | None => ClientIdentityError::MalformedKey,
    }
}
