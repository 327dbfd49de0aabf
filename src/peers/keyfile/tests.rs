use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use daymark_files::error_chain;
use tempfile::TempDir;

use super::*;

/// The most bytes of a key file.
const MAX_BYTES: usize = 64 * 1024;

/// The line of a key file for one of several keys, each known by its number.
fn line(number: u8) -> String {
    let secret: [u8; 32] = std::array::from_fn(|place| number.wrapping_add(7 * u8::try_from(place).unwrap()));
    BASE64.encode(&secret)
}

fn ids(text: &str) -> Vec<String> {
    KeyRing::parse(text).unwrap().ids().map(|id| id.to_string()).collect()
}

struct Fixture {
    dir: TempDir,
    path: PathBuf,
    file: KeyFile,
}

impl Fixture {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gossip.key");
        let file = watch(&path);
        let fixture = Self { dir, path, file };
        fixture.write(text.as_bytes());
        fixture
    }

    /// Replaces the file: written in place, two versions of one length within one tick of the disk's clock look the same.
    fn write(&self, text: &[u8]) {
        let new = self.dir.path().join("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.path()).unwrap();
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn chmod(&self, mode: u32) {
        fs::set_permissions(self.path(), Permissions::from_mode(mode)).unwrap();
    }

    fn read(&self) -> Vec<String> {
        self.file.current().unwrap().ids().map(|id| id.to_string()).collect()
    }

    /// The refusal, with PATH for the path.
    fn refusal(&self) -> String {
        error_chain(&self.file.current().unwrap_err()).replace(&self.path().display().to_string(), "PATH")
    }
}

#[test]
fn the_keys_are_read_again_only_when_the_file_changes() {
    let fixture = Fixture::new(&line(1));
    let first = fixture.file.current().unwrap();
    let again = fixture.file.current().unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    let both = format!("{}\n{}\n", line(2), line(1));
    fixture.write(both.as_bytes());
    assert_eq!(fixture.read(), ids(&both));
}

#[test]
fn a_file_that_others_may_use_in_any_way_is_refused_with_what_mends_it() {
    let fixture = Fixture::new(&line(1));
    for mode in [0o604, 0o602, 0o601, 0o644, 0o666, 0o777] {
        fixture.chmod(mode);
        let wanted = "the key file PATH is open to every user of this host; run `chmod o-rwx PATH`";
        assert_eq!(fixture.refusal(), wanted, "{mode:o}");
    }
    for mode in [0o400, 0o440, 0o600, 0o660] {
        fixture.chmod(mode);
        assert_eq!(fixture.file.current().unwrap().ids().count(), 1, "{mode:o}");
    }
}

#[test]
fn what_is_no_key_file_is_refused_with_the_reason() {
    let fixture = Fixture::new("# none\n");
    assert_eq!(
        fixture.refusal(),
        "the key file PATH cannot be used: there is no key in it; `daymark keygen` makes one"
    );
    fixture.write(b"secret word");
    let refusal = fixture.refusal();
    assert!(refusal.starts_with("the key file PATH cannot be used: line 1 does not begin with a key; "), "{refusal}");
    fixture.write(b"\xff");
    assert_eq!(fixture.refusal(), "the key file PATH cannot be read: stream did not contain valid UTF-8");
    let longest = format!("{}{}", line(1), " ".repeat(MAX_BYTES - line(1).len()));
    fixture.write(format!("{longest} ").as_bytes());
    assert_eq!(fixture.refusal(), "the key file PATH is longer than 65536 bytes; a shorter file is needed");
    fixture.write(longest.as_bytes());
    assert_eq!(fixture.read(), ids(&line(1)));
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let fixture = Fixture::new("");
    fs::remove_file(fixture.path()).unwrap();
    assert_eq!(fixture.refusal(), "the key file PATH cannot be read: No such file or directory (os error 2)");
    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(fixture.path()).status().unwrap();
    assert!(made.success());
    assert_eq!(fixture.refusal(), "the key file PATH is not a regular file");
    fs::remove_file(fixture.path()).unwrap();
    fs::create_dir(fixture.path()).unwrap();
    assert_eq!(fixture.refusal(), "the key file PATH is not a regular file");
}

#[test]
fn the_last_good_keys_stay_until_the_file_has_others() {
    let fixture = Fixture::new(&line(1));
    assert_eq!(fixture.read(), ids(&line(1)));
    fixture.write(b"not a key");
    assert_eq!(fixture.read(), ids(&line(1)));
    fs::remove_file(fixture.path()).unwrap();
    assert_eq!(fixture.read(), ids(&line(1)));
    fixture.write(line(2).as_bytes());
    assert_eq!(fixture.read(), ids(&line(2)));
    fixture.chmod(0o644);
    assert_eq!(fixture.read(), ids(&line(2)));
}

#[test]
fn each_version_is_logged_once_and_without_its_keys() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = Mutex::new(File::options().append(true).open(log.path()).unwrap());
    let guard = tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(writer).finish());
    let fixture = Fixture::new(&line(1));
    for text in [line(1), format!("{}!", line(1)), format!("{}\n{}", line(1), &line(2)[..40])] {
        fixture.write(text.as_bytes());
        for _ in 0..3 {
            fixture.read();
        }
    }
    drop(guard);
    let log = fs::read_to_string(log.path()).unwrap();
    let seals = format!("seals with the first of its keys: {}\n", ids(&line(1))[0]);
    assert_eq!(log.matches(&seals).count(), 1, "{log}");
    assert_eq!(log.matches("gossip keys: the last good version stays in use: the key file ").count(), 2, "{log}");
    assert!([line(1), line(2)].iter().all(|line| !log.contains(&line[..8])), "{log}");
}
