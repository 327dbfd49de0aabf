//! The files that a configuration names: are they there, and are they what they should be? Knows no key. Every error is a
//! sentence with the path.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::fault;
use crate::peers::keyfile::{self, KeyFileError};

/// More than any bundle of certificates has.
const MAX_BYTES: u64 = 4 << 20;

/// A PEM file with at least one CA certificate.
pub(super) fn ca(path: &Path) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(path)?.into_iter().enumerate() {
        let added = roots.add(certificate);
        added.map_err(|error| format!("certificate {} of {} cannot be used: {error}", index + 1, path.display()))?;
    }
    Ok(())
}

/// A PEM file with a chain of certificates.
pub(super) fn chain(path: &Path) -> Result<(), String> {
    certificates(path).map(|_| ())
}

/// A PEM file with a private key.
pub(super) fn key(path: &Path) -> Result<(), String> {
    private_key(path).map(|_| ())
}

/// Does the key belong to the first certificate of the chain? Only where both are good by themselves.
pub(super) fn belong_together(chain: &Path, key: &Path) -> Result<(), String> {
    let (Ok(chain), Ok(private)) = (certificates(chain), private_key(key)) else { return Ok(()) };
    CertifiedKey::from_der(chain, private, &default_provider())
        .map(|_| ())
        .map_err(|error| format!("{} does not fit the certificate: {error}", key.display()))
}

/// A file with a token.
pub(super) fn token(path: &Path) -> Result<(), String> {
    let text =
        String::from_utf8(read(path)?).map_err(|_| format!("{} is no text; a token is needed", path.display()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("{} is empty; a token is needed", path.display()));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{} is no token; one word of visible ASCII characters is needed", path.display()));
    }
    Ok(())
}

/// A file with the keys that hosts share.
pub(super) fn gossip_keys(path: &Path) -> Result<(), String> {
    let keys = keyfile::read(path).and_then(|(text, _)| keyfile::parse(path, &text));
    keys.map(|_| ()).map_err(|error| match error {
        KeyFileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            format!("{} does not exist; `daymark keygen` makes a key", path.display())
        }
        error => fault::chain(&error),
    })
}

/// A file that can be read.
pub(super) fn readable(path: &Path) -> Result<(), String> {
    read(path).map(|_| ())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| format!("{} is no valid PEM: {error}", path.display()))?;
    if certificates.is_empty() {
        return Err(format!("{} holds no certificate; at least one in PEM is needed", path.display()));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|_| format!("{} holds no private key; one in PEM is needed", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => format!("{} does not exist; a file is needed", path.display()),
        _ => format!("{} cannot be read: {error}; a readable file is needed", path.display()),
    };
    // A pipe would be waited for, and a device may have no end.
    if !path.metadata().map_err(wrong)?.is_file() {
        return Err(format!("{} is no regular file; one is needed", path.display()));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(wrong)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("{} is larger than {} MiB; that is not the right file", path.display(), MAX_BYTES >> 20));
    }
    Ok(bytes)
}
