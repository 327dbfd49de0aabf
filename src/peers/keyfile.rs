//! The file that holds the keys of the hosts, read again when it changes. It knows nothing of what the keys seal.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use daymark_gossip::{KeyRing, KeyRingError};
use parking_lot::Mutex;
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::fault::chain;
use crate::stamp::Stamp;

/// In bytes, and far more than eight keys with comments need.
const LONGEST: usize = 64 * 1024;
/// The permissions of those who are neither the owner nor of the group.
const OTHERS: u32 = 0o007;

/// The keys as the file has them.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    loaded: Option<(Stamp, Arc<KeyRing>)>,
    /// The file that could not be used, so that it is said once.
    refused: Option<Stamp>,
}

/// Why there are no keys. Always for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It is not there, or may not be read, or is not UTF-8.
    #[error("the key file {} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a pipe or a device.
    #[error("the key file {} is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// Every user of this host may use it.
    #[error("the key file {path} is open to every user of this host; `chmod o-rwx {path}` mends it", path = .0.display())]
    Open(PathBuf),
    /// It is something else, by mistake.
    #[error("the key file {} is longer than {LONGEST} bytes, so it is something else", .0.display())]
    TooLong(PathBuf),
    /// What it holds are no keys.
    #[error("the key file {} cannot be used", .path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyRingError,
    },
}

impl KeyFile {
    /// The keys are in this file. It is read with the first call of [`KeyFile::current`].
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), state: Mutex::default() }
    }

    /// The keys of this moment: the same `Arc` as before unless the file has changed. Where the file cannot be used any
    /// more, the last good keys stay.
    ///
    /// This blocks for a few calls on a small local file, which costs less than a thread for them would.
    pub fn current(&self) -> Result<Arc<KeyRing>, KeyFileError> {
        let mut state = self.state.lock();
        // Looked at before reading: a file that changes in between is then read again by the next call.
        let stamp = Stamp::of(&self.path);
        if let Some((loaded, ring)) = &state.loaded
            && *loaded == stamp
        {
            return Ok(Arc::clone(ring));
        }
        match read(&self.path).and_then(|(text, _)| parse(&self.path, &text)) {
            Ok(ring) => {
                let ids: Vec<String> = ring.ids().map(|id| id.to_string()).collect();
                info!("the key file {} seals with the first of its keys: {}", self.path.display(), ids.join(", "));
                let ring = Arc::new(ring);
                *state = State { loaded: Some((stamp, Arc::clone(&ring))), refused: None };
                Ok(ring)
            }
            Err(error) => state.last_good(stamp, error),
        }
    }
}

impl State {
    fn last_good(&mut self, stamp: Stamp, error: KeyFileError) -> Result<Arc<KeyRing>, KeyFileError> {
        let Some((_, ring)) = &self.loaded else { return Err(error) };
        if self.refused.as_ref() != Some(&stamp) {
            warn!("the keys that were read before stay in use: {}", chain(&error));
            self.refused = Some(stamp);
        }
        Ok(Arc::clone(ring))
    }
}

/// The text of a key file that only those see who should.
pub(crate) fn read(path: &Path) -> Result<(Zeroizing<String>, Metadata), KeyFileError> {
    let unreadable = |source| KeyFileError::Read { path: path.to_owned(), source };
    // To open a pipe must not wait for who writes into it.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile(path.to_owned()));
    }
    if metadata.permissions().mode() & OTHERS != 0 {
        return Err(KeyFileError::Open(path.to_owned()));
    }
    if metadata.len() > LONGEST as u64 {
        return Err(KeyFileError::TooLong(path.to_owned()));
    }
    // As large as it will ever be, for what a string leaves behind as it grows is not wiped.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST));
    file.take(LONGEST as u64).read_to_string(&mut text).map_err(unreadable)?;
    Ok((text, metadata))
}

/// The keys in the text of the key file at `path`.
pub(crate) fn parse(path: &Path, text: &str) -> Result<KeyRing, KeyFileError> {
    KeyRing::parse(text).map_err(|source| KeyFileError::Keys { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
