//! `daymark keygen`, and the files that it makes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{Finished, daymark, finish, output};

struct Scene {
    dir: TempDir,
    file: PathBuf,
}

impl Scene {
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

    /// That nothing lies beside the files of these names.
    fn holds_only(&self, names: &[&str]) {
        let mut found: Vec<_> =
            fs::read_dir(self.dir.path()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        assert_eq!(found, names);
    }
}

/// The key of a line, and its ID.
fn parts(line: &str) -> (&str, &str) {
    let (key, comment) = line.split_once(" # ").unwrap();
    let (id, made) = comment.split_once(", made 2").unwrap();
    assert_eq!((key.len(), id.len(), made.len()), (44, 8, "026-11-22".len()), "{line}");
    (key, id)
}

/// A refusal: nothing on standard output, and one sentence.
fn refused(done: &Finished) -> &str {
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""));
    done.stderr.trim_end()
}

#[test]
fn keygen_prints_another_key_each_time() {
    let (one, other) = (output(&["keygen"]), output(&["keygen"]));
    assert_eq!((one.lines().count(), other.lines().count()), (1, 1));
    let ((key, id), (other_key, other_id)) = (parts(one.trim_end()), parts(other.trim_end()));
    assert!(key != other_key && id != other_id);
}

#[test]
fn a_made_file_is_for_its_owner_alone_and_never_overwritten() {
    let scene = Scene::new();
    let done = scene.keygen(&[]);
    let text = scene.text();
    let (key, id) = parts(text.trim_end());
    let told = format!("{} is made, with the key {id}\n", scene.file.display());
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(0), told.as_str(), ""));
    assert!(!told.contains(key));
    assert_eq!(scene.mode(), 0o600);
    let wanted = format!("{} exists and stays as it is; --append adds a key to it", scene.file.display());
    assert_eq!(refused(&scene.keygen(&[])), wanted);
    assert_eq!(scene.text(), text);
    scene.holds_only(&["gossip.key"]);
}

#[test]
fn an_appended_key_is_the_last_and_the_mode_the_owner_and_a_link_stay() {
    let scene = Scene::new();
    scene.keygen(&[]);
    let first = scene.text();
    // As an editor may leave it, for a group, behind a link.
    let behind = scene.dir.path().join("behind");
    fs::rename(&scene.file, &behind).unwrap();
    fs::write(&behind, first.trim_end()).unwrap();
    fs::set_permissions(&behind, Permissions::from_mode(0o640)).unwrap();
    // Only root can give a file away.
    let _ = std::os::unix::fs::chown(&behind, Some(65_534), Some(65_534));
    symlink("behind", &scene.file).unwrap();
    let before = fs::metadata(&behind).unwrap();

    let done = scene.keygen(&["--append"]);
    let text = scene.text();
    let (_, id) = parts(text.strip_prefix(&first).unwrap().trim_end());
    let told = format!("{} has the key {id} as the last of 2\n", scene.file.display());
    assert_eq!((done.code, done.stdout, done.stderr.as_str()), (Some(0), told, ""));
    let after = fs::metadata(&behind).unwrap();
    assert_eq!((scene.mode(), after.uid(), after.gid()), (0o640, before.uid(), before.gid()));
    assert!(fs::symlink_metadata(&scene.file).unwrap().is_symlink());
    scene.holds_only(&["behind", "gossip.key"]);
}

#[test]
fn what_cannot_be_appended_to_stays_as_it_is() {
    let scene = Scene::new();
    let shown = scene.file.display();
    let refusal = |what: &str| {
        let done = scene.keygen(&["--append"]);
        let sentence = refused(&done);
        assert!(sentence.starts_with(&format!("the key file {shown} {what}")), "{sentence}");
    };
    refusal("cannot be read: No such file or directory");
    for _ in 0..8 {
        let more: &[&str] = if scene.file.exists() { &["--append"] } else { &[] };
        assert_eq!(scene.keygen(more).code, Some(0));
    }
    let text = scene.text();
    refusal("cannot be used: line 9 holds one key too many: 8 are allowed");
    fs::set_permissions(&scene.file, Permissions::from_mode(0o644)).unwrap();
    refusal(&format!("is open to every user of this host; `chmod o-rwx {shown}` mends it"));
    assert_eq!(scene.text(), text);
    fs::set_permissions(&scene.file, Permissions::from_mode(0o600)).unwrap();
    fs::write(&scene.file, "not a key\n").unwrap();
    refusal("cannot be used: line 1 begins with no key");
    assert_eq!(scene.text(), "not a key\n");
    scene.holds_only(&["gossip.key"]);
}

#[test]
fn a_place_that_takes_no_file_is_named() {
    let done = finish(&mut daymark(&["keygen", "--out", "/nonexistent/gossip.key"]));
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""));
    assert!(done.stderr.starts_with("/nonexistent/gossip.key cannot be written: No such file"), "{}", done.stderr);
    // A name without a directory is in the current one.
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(finish(daymark(&["keygen", "--out", "gossip.key"]).current_dir(dir.path())).code, Some(0));
    assert!(Path::exists(&dir.path().join("gossip.key")));
}

#[test]
fn append_needs_a_file_and_the_help_tells_how_a_key_is_replaced() {
    let done = finish(&mut daymark(&["keygen", "--append"]));
    assert!(refused(&done).contains("--out <FILE>"), "{}", done.stderr);
    let help = output(&["keygen", "--help"]);
    for step in ["1. Add the new key as the last line", "2. Move that line to the front", "3. Remove the old line"] {
        assert!(help.contains(step), "{help}");
    }
}
