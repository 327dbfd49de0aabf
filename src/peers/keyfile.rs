//! The gossip keys in their file, read again when it changes. It does not know what the keys seal.

use std::path::Path;

use daymark_files::{SecretFile, SecretFileError, WatchedFiles};
use daymark_gossip::{KeyRing, KeyRingError};
use tracing::info;

/// The gossip keys as their file has them.
pub type KeyFile = WatchedFiles<KeyRing, KeyFileError>;

/// There are no gossip keys. The operator has to mend it.
pub type KeyFileError = SecretFileError<KeyRingError>;

/// Watches the key file at `path`.
pub(crate) fn watch(path: &Path) -> KeyFile {
    let file = path.to_owned();
    WatchedFiles::new("gossip keys", vec![path.to_owned()], move || {
        let keys = SecretFile::read(&file)?.parse(KeyRing::parse)?;
        let ids: Vec<String> = keys.ids().map(|id| id.to_string()).collect();
        info!("the key file {} seals with the first of its keys: {}", file.display(), ids.join(", "));
        Ok(keys)
    })
}

#[cfg(test)]
mod tests;
