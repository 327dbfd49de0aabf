//! The files of CA certificates and of a client certificate.

use std::path::{Path, PathBuf};

use daymark_files::{FileError, certificates, private_key, read};

use crate::bundle::{CaBundle, UnusableCertificate};
use crate::identity::{ClientIdentity, ClientIdentityError};

/// A file of certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFileError {
    /// It cannot be read, or has nothing of its kind.
    #[error(transparent)]
    File(#[from] FileError),
    /// It has certificates, and none can be used.
    #[error("certificate {} of {} cannot be used: {}", first.number, path.display(), first.fault)]
    NoneUsable {
        /// The file.
        path: PathBuf,
        /// The first certificate.
        first: UnusableCertificate,
    },
    /// The private key and the certificate cannot be used together.
    #[error("{} {}: {source}", key.display(), source.summary())]
    ClientIdentity {
        /// The file of the key.
        key: PathBuf,
        /// The reason.
        source: ClientIdentityError,
    },
}

impl CaBundle {
    /// Reads the CA certificates of a PEM file, at least one that can be used.
    pub fn read(path: &Path) -> Result<Self, CertificateFileError> {
        let bundle = Self::parse(&read(path)?);
        if bundle.authorities.is_empty() {
            return Err(match bundle.unusable.into_iter().next() {
                Some(first) => CertificateFileError::NoneUsable { path: path.to_owned(), first },
                None => FileError::NoCertificate(path.to_owned()).into(),
            });
        }
        Ok(bundle)
    }
}

impl ClientIdentity {
    /// Reads a certificate chain, the client's own first, and its key. Both are paths of PEM files. As in Go, a torn certificate
    /// takes no other with it.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, CertificateFileError> {
        let mut whole = Vec::new();
        let mut unusable = Vec::new();
        for (index, section) in certificates(chain)?.into_iter().enumerate() {
            match section {
                Ok(certificate) => whole.push(certificate),
                Err(torn) => unusable.push(UnusableCertificate { number: index + 1, fault: torn.into() }),
            }
        }
        let mut identity = Self::new(whole, &private_key(key)?)
            .map_err(|source| CertificateFileError::ClientIdentity { key: key.to_owned(), source })?;
        identity.unusable = unusable;
        Ok(identity)
    }
}
