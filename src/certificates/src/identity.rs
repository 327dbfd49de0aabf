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
    /// Its validity and that of the CAs in its file that lead from it to a root, its own first.
    pub chain: Vec<CertificateValidity>,
    /// The certificates of its file that cannot be used.
    pub unusable: Vec<UnusableCertificate>,
}

/// The time in which one certificate of a chain is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateValidity {
    /// Its subject.
    pub name: String,
    /// Its start, in seconds since the Unix epoch.
    pub not_before: i64,
    /// Its end, in seconds since the Unix epoch.
    pub not_after: i64,
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
        let validity = chain_of(&parsed, &chain[1..]);
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
        Ok(Self { resolver, chain: validity, unusable: Vec::new() })
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

/// The validity of a certificate and of its issuers among others. A renewed CA has the name of the former one, so the later end
/// counts. A server has the root itself, so that one does not count.
fn chain_of(own: &X509Certificate<'_>, others: &[CertificateDer<'_>]) -> Vec<CertificateValidity> {
    let mut others: Vec<X509Certificate<'_>> = others.iter().filter_map(|der| whole(der)).collect();
    others.retain(|other| other.subject() != other.issuer());
    let mut chain = vec![validity_of(own)];
    let mut issuer = own.issuer().as_raw().to_vec();
    loop {
        let found = others.iter().filter(|other| other.subject().as_raw() == issuer);
        let Some(next) = found.max_by_key(|other| other.validity().not_after.timestamp()) else { return chain };
        chain.push(validity_of(next));
        let subject = std::mem::replace(&mut issuer, next.issuer().as_raw().to_vec());
        others.retain(|other| other.subject().as_raw() != subject);
    }
}

fn validity_of(certificate: &X509Certificate<'_>) -> CertificateValidity {
    CertificateValidity {
        name: name(certificate.subject()).unwrap_or_else(|| "without a name".to_owned()),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
    }
}
