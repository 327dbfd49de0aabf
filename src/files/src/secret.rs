//! Files with keys that not every user of the host may read. It knows nothing of what the keys are for.

use std::error::Error;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::bounded::{READ_TIMEOUT, bounded};

/// The most bytes of a secret: far more than eight keys with comments need.
const MAX_SECRET_BYTES: usize = 64 * 1024;
/// The permissions of every user who is neither the owner nor in the group.
const OTHERS: u32 = 0o007;

/// The text of a file that not every user of the host may read. It is wiped from memory on drop. Has no `Debug`.
pub struct SecretFile {
    path: PathBuf,
    text: Zeroizing<String>,
    metadata: Metadata,
}

/// A file with keys cannot be used; `E` is the error of its content. The operator has to mend it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError<E: Error + 'static> {
    /// It does not exist, is not readable, or is not UTF-8.
    #[error("the key file {} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The refusal of the system.
        source: io::Error,
    },
    /// It is a directory, a pipe or a device.
    #[error("the key file {} is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// Every user of this host may use it.
    #[error("the key file {path} is open to every user of this host; run `chmod o-rwx {path}`", path = .0.display())]
    Open(PathBuf),
    /// No key file is as long.
    #[error("the key file {} is longer than {MAX_SECRET_BYTES} bytes; a shorter file is needed", .0.display())]
    TooLong(PathBuf),
    /// Its content holds no keys.
    #[error("the key file {} cannot be used", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The error of the content.
        source: E,
    },
}

/// True if every user of the host may use a file.
pub fn is_open_to_all(path: &Path) -> bool {
    let metadata = bounded(path, READ_TIMEOUT, Path::metadata);
    metadata.is_ok_and(|metadata| metadata.permissions().mode() & OTHERS != 0)
}

impl SecretFile {
    /// Reads a file that only its owner and its group may use.
    pub fn read<E: Error>(path: &Path) -> Result<Self, SecretFileError<E>> {
        let unreadable = |source| SecretFileError::Read { path: path.to_owned(), source };
        let ReadSecret { metadata, text } = bounded(path, READ_TIMEOUT, read).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(SecretFileError::NotRegular(path.to_owned()));
        }
        if metadata.permissions().mode() & OTHERS != 0 {
            return Err(SecretFileError::Open(path.to_owned()));
        }
        if metadata.len() > MAX_SECRET_BYTES as u64 {
            return Err(SecretFileError::TooLong(path.to_owned()));
        }
        let text = text.map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), text, metadata })
    }

    /// The text of the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The metadata of the file as it was read.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Parses the text of the file.
    pub fn parse<T, E: Error>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, SecretFileError<E>> {
        parse(&self.text).map_err(|source| SecretFileError::Content { path: self.path.clone(), source })
    }
}

/// A file, and its text.
struct ReadSecret {
    metadata: Metadata,
    /// An error of its own: if the file is none with secrets, that is the better message.
    text: io::Result<Zeroizing<String>>,
}

fn read(path: &Path) -> io::Result<ReadSecret> {
    // Opening a pipe must not wait for its writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    // As large as it will ever be: a string that grows leaves copies behind that are not wiped.
    let mut text = Zeroizing::new(String::with_capacity(MAX_SECRET_BYTES));
    let is_read = file.take(MAX_SECRET_BYTES as u64).read_to_string(&mut text);
    Ok(ReadSecret { metadata, text: is_read.map(|_| text) })
}
