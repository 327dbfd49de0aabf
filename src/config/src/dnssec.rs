//! The keys that sign the zones, and the files that hold them.

use std::path::{Path, PathBuf};

use daymark_authoritative::{DenialOfExistence, DnssecKey, DnssecKeyError, KeyRole};
use daymark_files::FileError;

/// The way to sign every zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnssecConfig {
    /// The keys.
    pub keys: Vec<DnssecKeyConfig>,
    /// The proof that a name does not exist.
    pub denial: DenialOfExistence,
}

/// One key of the zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnssecKeyConfig {
    /// The file of the private key.
    pub file: PathBuf,
    /// The records that it signs.
    pub role: KeyRole,
    /// The key is published, but signs nothing.
    pub publish_only: bool,
}

/// A file that has no key which can sign zones.
#[derive(Debug, thiserror::Error)]
pub enum DnssecKeyFileError {
    /// It cannot be read, or is no PEM file with a private key.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its key is of another kind.
    #[error("{} {source}", path.display())]
    Kind {
        /// The path of the file.
        path: PathBuf,
        /// The fault of the key.
        source: DnssecKeyError,
    },
}

impl DnssecConfig {
    /// The files of the keys.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.keys.iter().map(|key| key.file.as_path())
    }
}

/// Reads the key of a file.
///
/// # Errors
///
/// Fails if the file cannot be read or has no private key of ECDSA P-256 in PKCS#8.
pub fn read_dnssec_key(path: &Path) -> Result<DnssecKey, DnssecKeyFileError> {
    let key = daymark_files::private_key(path)?;
    let kind = |source| DnssecKeyFileError::Kind { path: path.to_owned(), source };
    DnssecKey::from_pkcs8(key.secret_der()).map_err(kind)
}
