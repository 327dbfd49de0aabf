//! Certificates and private keys in PEM files. It does not know what they are used for.

use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::{FileError, read};

/// Reads the CA certificates of a file, at least one.
pub fn ca_certificates(path: &Path) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(path)?.into_iter().enumerate() {
        let added = roots.add(certificate);
        added.map_err(|error| FileError::Certificate { path: path.to_owned(), number: index + 1, error })?;
    }
    Ok(roots)
}

/// Reads the certificates of a file, at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| FileError::Pem { path: path.to_owned(), error })?;
    if certificates.is_empty() {
        return Err(FileError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

/// Reads the private key of a file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| FileError::NoPrivateKey(path.to_owned()))
}

/// Checks that the key belongs to the first certificate of the chain. Both are paths of files.
pub fn check_key_fits(chain: &Path, key: &Path) -> Result<(), FileError> {
    let fits = CertifiedKey::from_der(certificates(chain)?, private_key(key)?, &default_provider());
    fits.map(|_| ()).map_err(|error| FileError::OtherKey { path: key.to_owned(), error })
}
