//! `daymark keygen`, and the files that it makes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{Finished, daymark, finish, output};

struct KeygenFixture {
    dir: TempDir,
    file: PathBuf,
}

impl KeygenFixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gossip.key");
        Self { dir, file }
    }

    fn keygen(&self, more: &[&str]) -> Finished {
        finish(daymark(&["keygen", "--out"]).arg(&self.file).args(more))
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    fn mode(&self) -> u32 {
        fs::metadata(&self.file).unwrap().permissions().mode() & 0o777
    }

    /// Asserts that the directory holds only files of these names.
    fn holds_only(&self, names: &[&str]) {
        let mut found: Vec<_> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, names);
    }
}

/// The key of a line and its ID.
fn parts(line: &str) -> (&str, &str) {
    let (key, comment) = line.split_once(" # ").unwrap();
    let (id, made) = comment.split_once(", made 2").unwrap();
    assert_eq!((key.len(), id.len(), made.len()), (44, 8, "026-11-22".len()), "{line}");
    (key, id)
}

/// Runs a command that must be refused with one line and no output.
fn refused(done: &Finished) -> &str {
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""));
    done.stderr.trim_end()
}

#[test]
fn keygen_prints_a_new_key_each_time() {
    let one = output(&["keygen"]);
    let other = output(&["keygen"]);
    assert_eq!((one.lines().count(), other.lines().count()), (1, 1));
    let ((key, id), (other_key, other_id)) = (parts(one.trim_end()), parts(other.trim_end()));
    assert!(key != other_key && id != other_id);
}

#[test]
fn a_new_key_file_is_private_and_never_overwritten() {
    let fixture = KeygenFixture::new();
    let done = fixture.keygen(&[]);
    let text = fixture.text();
    let (key, id) = parts(text.trim_end());
    let message = format!("{} was created with the key {id}\n", fixture.file.display());
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(0), message.as_str(), ""));
    assert!(!message.contains(key));
    assert_eq!(fixture.mode(), 0o600);
    let wanted = format!("{} exists and stays as it is; --append adds a key to it", fixture.file.display());
    assert_eq!(refused(&fixture.keygen(&[])), wanted);
    assert_eq!(fixture.text(), text);
    fixture.holds_only(&["gossip.key"]);
}

#[test]
fn append_adds_the_last_key_and_keeps_mode_owner_and_link() {
    let fixture = KeygenFixture::new();
    fixture.keygen(&[]);
    let first = fixture.text();
    // A file behind a link that a group may read, as an editor may leave it.
    let behind = fixture.dir.path().join("behind");
    fs::rename(&fixture.file, &behind).unwrap();
    fs::write(&behind, first.trim_end()).unwrap();
    fs::set_permissions(&behind, Permissions::from_mode(0o640)).unwrap();
    // Only root can change the owner of a file.
    let _ = std::os::unix::fs::chown(&behind, Some(65_534), Some(65_534));
    symlink("behind", &fixture.file).unwrap();
    let before = fs::metadata(&behind).unwrap();

    let done = fixture.keygen(&["--append"]);
    let text = fixture.text();
    let (_, id) = parts(text.strip_prefix(&first).unwrap().trim_end());
    let message = format!("{} has the key {id} as the last of 2\n", fixture.file.display());
    assert_eq!((done.code, done.stdout, done.stderr.as_str()), (Some(0), message, ""));
    let after = fs::metadata(&behind).unwrap();
    assert_eq!((fixture.mode(), after.uid(), after.gid()), (0o640, before.uid(), before.gid()));
    assert!(fs::symlink_metadata(&fixture.file).unwrap().is_symlink());
    fixture.holds_only(&["behind", "gossip.key"]);
}

#[test]
fn a_failed_append_leaves_the_file_unchanged() {
    let fixture = KeygenFixture::new();
    let shown = fixture.file.display();
    let refusal = |what: &str| {
        let done = fixture.keygen(&["--append"]);
        let message = refused(&done);
        assert!(message.starts_with(&format!("the key file {shown} {what}")), "{message}");
    };
    refusal("cannot be read: No such file or directory");
    for _ in 0..8 {
        let more: &[&str] = if fixture.file.exists() { &["--append"] } else { &[] };
        assert_eq!(fixture.keygen(more).code, Some(0));
    }
    let text = fixture.text();
    refusal("cannot be used: line 9 has one key too many; 8 are allowed");
    fs::set_permissions(&fixture.file, Permissions::from_mode(0o644)).unwrap();
    refusal(&format!("is open to every user of this host; run `chmod o-rwx {shown}`"));
    assert_eq!(fixture.text(), text);
    fs::set_permissions(&fixture.file, Permissions::from_mode(0o600)).unwrap();
    fs::write(&fixture.file, "not a key\n").unwrap();
    refusal("cannot be used: line 1 does not begin with a key");
    assert_eq!(fixture.text(), "not a key\n");
    fixture.holds_only(&["gossip.key"]);
}

#[test]
fn an_unwritable_path_is_named() {
    let done = finish(&mut daymark(&["keygen", "--out", "/nonexistent/gossip.key"]));
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""));
    assert!(done.stderr.starts_with("/nonexistent/gossip.key cannot be written: No such file"), "{}", done.stderr);
    // A name without a directory is a file in the current directory.
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(finish(daymark(&["keygen", "--out", "gossip.key"]).current_dir(dir.path())).code, Some(0));
    assert!(Path::exists(&dir.path().join("gossip.key")));
}

#[test]
fn append_needs_a_file_and_the_help_explains_the_rotation_of_a_key() {
    let done = finish(&mut daymark(&["keygen", "--append"]));
    assert!(refused(&done).contains("--out <FILE>"), "{}", done.stderr);
    let help = output(&["keygen", "--help"]);
    for step in ["1. Add the new key as the last line", "2. Move that line to the front", "3. Remove the old line"] {
        assert!(help.contains(step), "{help}");
    }
}
