//! Certificates and private keys in PEM files. It does not know what they are used for.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{FileError, read};

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
