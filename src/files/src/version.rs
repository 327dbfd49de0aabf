//! The version of a file, which changes when the file does. It knows nothing of the content.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// One version of a file. A missing file has a version too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersion(Option<FileIdentity>);

/// The metadata of a file that changes with its content or its permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
    /// `None` for a pipe: its times change while it is read, and it is empty after that.
    state: Option<FileState>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileState {
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
            state: (!file.file_type().is_fifo()).then(|| FileState {
                size: file.size(),
                modified_seconds: file.mtime(),
                modified_nanoseconds: file.mtime_nsec(),
                changed_seconds: file.ctime(),
                changed_nanoseconds: file.ctime_nsec(),
            }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{Read, Write};
    use std::process::Command;

    use super::*;

    #[test]
    fn reading_a_pipe_does_not_change_its_version_and_a_file_in_its_place_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let before = FileVersion::of(&path);
        let mut pipe = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        pipe.write_all(b"text").unwrap();
        pipe.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(FileVersion::of(&path), before);
        fs::write(dir.path().join("file"), "text").unwrap();
        fs::rename(dir.path().join("file"), &path).unwrap();
        assert_ne!(FileVersion::of(&path), before);
    }
}
