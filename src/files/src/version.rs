//! The version of a file, which changes when the file does. It knows nothing of the content.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One version of a file. A missing file has a version too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersion(Option<FileIdentity>);

/// The metadata of a file that changes with its content or its permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
    size: u64,
    modified_seconds: i64,
    modified_nanoseconds: i64,
    /// The change time tells of a file that was made readable.
    changed_seconds: i64,
    changed_nanoseconds: i64,
}

impl FileVersion {
    /// The present version of the file at `path`.
    pub fn of(path: &Path) -> Self {
        let file = fs::metadata(path).ok();
        Self(file.map(|file| FileIdentity {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified_seconds: file.mtime(),
            modified_nanoseconds: file.mtime_nsec(),
            changed_seconds: file.ctime(),
            changed_nanoseconds: file.ctime_nsec(),
        }))
    }
}
