//! What changes when a file does, so that it is read again only then. It knows nothing of what is in the file.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One version of a file, which may also be that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(u64, u64, u64, [i64; 4])>);

impl Stamp {
    /// Looks at a file.
    pub(crate) fn of(path: &Path) -> Self {
        // The change time is for a file made readable.
        let times = |file: &Metadata| [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
        let file = fs::metadata(path).ok();
        Self(file.map(|file| (file.dev(), file.ino(), file.size(), times(&file))))
    }
}
