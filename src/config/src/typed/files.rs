//! Checks of the files that a configuration names: they exist, and hold what their key says. It knows no key.

use std::io;
use std::path::{Path, PathBuf};

use daymark_certificates::{CaBundle, CertificateFileError};
use daymark_files::{FileError, SecretFile, SecretFileError, Token};
use daymark_gossip::{KeyRing, KeyRingError};

use crate::dnssec::{DnssecKeyFileError, read_dnssec_key};

/// A file that cannot be used for its key.
#[derive(Debug, thiserror::Error)]
pub(super) enum WrongFile {
    /// It cannot be read, or holds something else.
    #[error(transparent)]
    File(#[from] FileError),
    /// It has no usable certificate.
    #[error(transparent)]
    Certificates(#[from] CertificateFileError),
    /// It has no key that signs zones.
    #[error(transparent)]
    DnssecKey(#[from] DnssecKeyFileError),
    /// There is no key file.
    #[error("{} does not exist; `daymark keygen` makes a key", .0.display())]
    NoKeyFile(PathBuf),
    /// The key file cannot be used.
    #[error(transparent)]
    KeyFile(SecretFileError<KeyRingError>),
}

/// A check of the file at a path.
pub(super) type Check = fn(&Path) -> Result<(), WrongFile>;

/// A PEM file with at least one CA certificate, or none yet: `kubeadm init` makes the CA, and needs the name of the pool before.
pub(super) fn ca(path: &Path) -> Result<(), WrongFile> {
    if daymark_files::is_missing(path) { Ok(()) } else { Ok(CaBundle::read(path).map(|_| ())?) }
}

/// A PEM file with a chain of certificates.
pub(super) fn chain(path: &Path) -> Result<(), WrongFile> {
    Ok(daymark_files::certificates(path).map(|_| ())?)
}

/// A PEM file with a private key.
pub(super) fn key(path: &Path) -> Result<(), WrongFile> {
    Ok(daymark_files::private_key(path).map(|_| ())?)
}

/// A file with a token.
pub(super) fn token(path: &Path) -> Result<(), WrongFile> {
    Ok(Token::read(path).map(|_| ())?)
}

/// A file with the keys that hosts share.
pub(super) fn gossip_keys(path: &Path) -> Result<(), WrongFile> {
    let keys = SecretFile::read(path).and_then(|file| file.parse(KeyRing::parse));
    keys.map(|_| ()).map_err(|error| match error {
        SecretFileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            WrongFile::NoKeyFile(path.to_owned())
        }
        error => WrongFile::KeyFile(error),
    })
}

/// A file with a key that signs zones.
pub(super) fn dnssec_key(path: &Path) -> Result<(), WrongFile> {
    Ok(read_dnssec_key(path).map(|_| ())?)
}

/// A file that can be read.
pub(super) fn readable(path: &Path) -> Result<(), WrongFile> {
    Ok(daymark_files::read(path).map(|_| ())?)
}
