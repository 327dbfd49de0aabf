//! The CA certificates that a probe trusts, and those of a file that cannot be used.

use std::collections::HashSet;
use std::fmt;

use daymark_files::certificate_sections;

use crate::algorithm::KeyAlgorithm;
use crate::certificate::ParsedCertificate;
use crate::fault::CertificateFault;

/// The certificates of a PEM file. Those that cannot be used take no other with them.
#[derive(Clone, Debug)]
pub struct CaBundle {
    /// The usable ones.
    pub authorities: Authorities,
    /// The ones that cannot be used, in the order of the file.
    pub unusable: Vec<UnusableCertificate>,
}

/// Trusted certificates.
#[derive(Clone, Debug, Default)]
pub struct Authorities(pub(crate) Vec<ParsedCertificate>);

/// One trusted certificate, for people and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its subject.
    pub name: String,
    /// Its start, in seconds since the Unix epoch.
    pub not_before: i64,
    /// Its end, in seconds since the Unix epoch.
    pub not_after: i64,
}

/// A certificate that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableCertificate {
    /// Its place in the file, from 1.
    pub number: usize,
    /// The fault.
    pub fault: CertificateFault,
}

impl fmt::Display for UnusableCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {} cannot be used: {}", self.number, self.fault)
    }
}

impl CaBundle {
    /// Reads the certificates of a PEM text. A repeated one counts once.
    pub fn parse(pem: &[u8]) -> Self {
        let mut bundle = Self { authorities: Authorities::default(), unusable: Vec::new() };
        let mut seen = HashSet::new();
        for (index, der) in certificate_sections(pem).into_iter().enumerate() {
            match der.map_err(CertificateFault::from).and_then(|der| usable(&der)) {
                Ok(certificate) if !seen.insert(certificate.der.clone()) => {}
                Ok(certificate) => bundle.authorities.0.push(certificate),
                Err(fault) => bundle.unusable.push(UnusableCertificate { number: index + 1, fault }),
            }
        }
        bundle
    }
}

impl Authorities {
    /// Takes those of these certificates that can be used. Old systems keep some that no library accepts any more.
    pub fn from_der<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(certificates.into_iter().filter_map(|der| usable(der).ok()).collect())
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each certificate, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = Authority> {
        self.0.iter().map(|certificate| Authority {
            name: certificate.name.clone(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
        })
    }
}

/// The certificate, if it could prove a server in any chain.
fn usable(der: &[u8]) -> Result<ParsedCertificate, CertificateFault> {
    let certificate = ParsedCertificate::parse(der)?;
    if let KeyAlgorithm::Unsupported(name) = &certificate.key.algorithm {
        return Err(CertificateFault::UnsupportedKey { algorithm: name.clone() });
    }
    match &certificate.unknown_critical {
        Some(oid) => Err(CertificateFault::UnknownCriticalExtension { oid: oid.clone() }),
        None => Ok(certificate),
    }
}
