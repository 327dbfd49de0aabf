//! Reads small files of bounded size, and has the errors of every kind of file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::bounded::{READ_TIMEOUT, bounded};
use crate::messages::pem_message;

/// The most bytes of a file. No bundle of certificates is larger.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// A file cannot be used. Every message names the file and what is needed in its place.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such file.
    #[error("{} does not exist; a file is needed", .0.display())]
    Missing(PathBuf),
    /// The system refuses to read it.
    #[error("{} cannot be read: {error}; a readable file is needed", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The refusal.
        error: io::Error,
    },
    /// It is a directory, a pipe or a device.
    #[error("{} is not a regular file; a regular file is needed", .0.display())]
    NotRegular(PathBuf),
    /// No file of its kind is as large.
    #[error("{} is larger than {} MiB; a smaller file is needed", .0.display(), MAX_FILE_BYTES >> 20)]
    TooLarge(PathBuf),
    /// A PEM section in it is broken.
    #[error("{} is not valid PEM: {}", path.display(), pem_message(error))]
    Pem {
        /// The file.
        path: PathBuf,
        /// The first broken section.
        error: rustls::pki_types::pem::Error,
    },
    /// It has no PEM section with a certificate.
    #[error("{} holds no certificate; at least one in PEM is needed", .0.display())]
    NoCertificate(PathBuf),
    /// It has no PEM section with a private key.
    #[error("{} holds no private key; one in PEM is needed", .0.display())]
    NoPrivateKey(PathBuf),
    /// Its private key needs a passphrase.
    #[error("{} is encrypted; one without a passphrase is needed", .0.display())]
    EncryptedKey(PathBuf),
    /// It has nothing but white space where a token is needed.
    #[error("{} is empty; a token is needed", .0.display())]
    EmptyToken(PathBuf),
    /// It has something else where a token is needed.
    #[error("{} is not a token; one word of visible ASCII characters is needed", .0.display())]
    NotAToken(PathBuf),
}

/// Reads a regular file of at most 4 MiB, within a second.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing(path.to_owned()),
        _ => FileError::Unreadable { path: path.to_owned(), error },
    };
    let bytes = bounded(path, READ_TIMEOUT, read_regular).map_err(refused)?;
    let bytes = bytes.ok_or_else(|| FileError::NotRegular(path.to_owned()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

/// The first bytes of a regular file, one more than are allowed; `None` for another kind of file.
fn read_regular(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // Opening a pipe would wait for its writer, and a device may have no end.
    if !path.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// True if there is no file at a path, so that one may appear. A path that cannot be looked at counts as a file.
pub fn is_missing(path: &Path) -> bool {
    matches!(path.try_exists(), Ok(false))
}
