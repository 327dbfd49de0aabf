//! Atomic writes: a file appears under its name only when its whole content is on the disk.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

/// The permissions of a private file.
const PRIVATE_MODE: u32 = 0o600;
/// The permissions of a shared file.
const SHARED_MODE: u32 = 0o640;

/// A file that is whole on the disk under another name.
#[derive(Debug)]
pub struct StagedFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl StagedFile {
    /// Stages a file that only its owner may read and write (mode 0600). It is removed unless it gets its name.
    pub fn private(path: &Path, content: &[u8]) -> io::Result<Self> {
        let mut prefix = path.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        // The errors of `make_in` are those of `open` alone, and do not name the staged file.
        let create =
            |name: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE_MODE).open(name);
        let file = tempfile::Builder::new().prefix(&prefix).make_in(directory(path), create)?;
        Self::write(file, path, content)
    }

    /// Stages a file that its owner may write, and its group may read (mode 0640).
    ///
    /// The name while it is staged is fixed, with `.new` at its end: a crash leaves one such file at most, and the next call
    /// overwrites it. So only one process may write the file at a time.
    pub fn shared(path: &Path, content: &[u8]) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(SHARED_MODE).open(&name)?;
        // One that a crash left has the permissions of then.
        file.set_permissions(Permissions::from_mode(SHARED_MODE))?;
        let mut file = NamedTempFile::from_parts(file, TempPath::try_from_path(PathBuf::from(name))?);
        file.disable_cleanup(true);
        Self::write(file, path, content)
    }

    fn write(mut file: NamedTempFile, path: &Path, content: &[u8]) -> io::Result<Self> {
        // `NamedTempFile` itself would put its own name into an error.
        file.as_file_mut().write_all(content)?;
        file.as_file().sync_all()?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Takes over the owner, the group and the permissions of another file.
    pub fn own_like(&self, other: &Metadata) -> io::Result<()> {
        fchown(&self.file, Some(other.uid()), Some(other.gid()))?;
        self.file.as_file().set_permissions(other.permissions())
    }

    /// Gives the file its name, in place of a file that has it.
    pub fn replace(self) -> io::Result<()> {
        self.file.persist(&self.path)?;
        sync_directory(&self.path)
    }

    /// Gives the file its name. Fails with [`io::ErrorKind::AlreadyExists`] if a file has it.
    pub fn create(self) -> io::Result<()> {
        self.file.persist_noclobber(&self.path)?;
        sync_directory(&self.path)
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new name is on the disk only when the directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_private_file_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        StagedFile::private(&path, b"s").unwrap().create().unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read(&path).unwrap(), b"s");
    }

    #[test]
    fn a_shared_file_is_for_its_owner_and_its_group() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let left = dir.path().join("state.new");
        fs::write(&left, "left by a crash").unwrap();
        fs::set_permissions(&left, Permissions::from_mode(0o666)).unwrap();
        StagedFile::shared(&path, b"s").unwrap().replace().unwrap();
        assert_eq!(mode(&path), 0o640);
    }

    #[test]
    fn a_file_is_replaced_or_created_but_never_both() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "old").unwrap();
        let refusal = StagedFile::private(&path, b"new").unwrap().create().unwrap_err();
        assert_eq!(refusal.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        StagedFile::shared(&path, b"new").unwrap().replace().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no staged file is left");
    }

    #[test]
    fn an_error_does_not_name_the_staged_file() {
        let dir = tempfile::tempdir().unwrap();
        for staged in [StagedFile::private, StagedFile::shared] {
            let error = staged(&dir.path().join("absent/file"), b"s").unwrap_err();
            assert_eq!(error.to_string(), "No such file or directory (os error 2)");
        }
    }

    #[test]
    fn a_private_file_that_gets_no_name_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        drop(StagedFile::private(&dir.path().join("b"), b"b").unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_owner_and_the_permissions_of_another_file_are_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let staged = StagedFile::private(&path, b"new").unwrap();
        staged.own_like(&fs::metadata(&path).unwrap()).unwrap();
        staged.replace().unwrap();
        assert_eq!(mode(&path), 0o640);
    }
}
