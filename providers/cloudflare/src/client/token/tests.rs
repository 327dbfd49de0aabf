use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::client::tests::Log;

/// A token file, and the token as it is read from it.
struct Fixture {
    directory: TempDir,
    token: ApiToken,
}

impl Fixture {
    fn new(content: &[u8]) -> Self {
        let directory = TempDir::new().unwrap();
        let token = ApiToken::new(TokenSource::File(directory.path().join("token"))).unwrap();
        let fixture = Self { directory, token };
        fixture.write(content);
        fixture
    }

    /// Replaces the file, as an editor and a secret of Kubernetes do.
    fn write(&self, content: &[u8]) {
        let new = self.directory.path().join("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path()).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    fn read(&self) -> Result<String, String> {
        self.token.current().map(|token| token.as_str().to_owned()).map_err(|error| error.to_string())
    }
}

#[test]
fn white_space_around_the_token_is_ignored() {
    let fixture = Fixture::new(b"\r\n  v1.0-abc_DEF \n\n");
    assert_eq!(fixture.read().as_deref(), Ok("v1.0-abc_DEF"));
    let token = fixture.token.current().unwrap();
    assert_eq!(token.header().to_str().unwrap(), "Bearer v1.0-abc_DEF");
    assert!(token.header().is_sensitive());
}

#[test]
fn anything_but_one_word_of_printable_ascii_is_no_token() {
    for content in [&b""[..], b" \n", b"two words", b"Bearer abc", b"a\nb", b"a\0b", b"t\xc3\xb6ken", b"\xff\xfe"] {
        let refusal = Fixture::new(content).read().unwrap_err();
        let empty = refusal.ends_with(" is empty; a token is needed");
        let other = refusal.ends_with(" is not a token; one word of visible ASCII characters is needed");
        assert!(if content.trim_ascii().is_empty() { empty } else { other }, "{content:?}: {refusal}");
    }
}

#[test]
fn a_missing_file_or_variable_is_reported_by_name() {
    let missing = ApiToken::new(TokenSource::File("/nowhere/token".into())).unwrap().current().err().unwrap();
    assert_eq!(missing.to_string(), "/nowhere/token does not exist; a file is needed");
    let unset = ApiToken::new(TokenSource::Environment("DAYMARK_NEVER_SET".into())).err().unwrap();
    assert_eq!(unset.to_string(), "the environment variable DAYMARK_NEVER_SET is not set; it must hold the API token");
}

#[test]
fn the_environment_may_hold_the_token() {
    // Cargo sets it wherever it runs a test.
    let token = ApiToken::new(TokenSource::Environment("CARGO_PKG_NAME".into())).unwrap();
    assert_eq!(token.current().ok().unwrap().as_str(), "daymark-cloudflare");
}

#[test]
fn a_changed_file_is_read_again_and_an_unchanged_one_is_not() {
    let fixture = Fixture::new(b"first");
    let first = fixture.token.current().unwrap();
    assert!(Arc::ptr_eq(&first, &fixture.token.current().unwrap()));
    fixture.write(b"other");
    assert_eq!(fixture.read().as_deref(), Ok("other"));
}

#[test]
fn the_last_good_token_stays_until_the_file_has_another() {
    let fixture = Fixture::new(b"good");
    assert_eq!(fixture.read().as_deref(), Ok("good"));
    fixture.write(b"not good");
    assert_eq!(fixture.read().as_deref(), Ok("good"));
    fs::remove_file(fixture.path()).unwrap();
    assert_eq!(fixture.read().as_deref(), Ok("good"));
    fixture.write(b"better");
    assert_eq!(fixture.read().as_deref(), Ok("better"));
}

#[test]
fn a_file_that_becomes_readable_is_read() {
    let fixture = Fixture::new(b"good");
    fs::set_permissions(fixture.path(), Permissions::from_mode(0o000)).unwrap();
    // Root may read it all the same.
    if let Err(refusal) = fixture.read() {
        assert!(refusal.contains("cannot be read"), "{refusal}");
    }
    fs::set_permissions(fixture.path(), Permissions::from_mode(0o400)).unwrap();
    assert_eq!(fixture.read().as_deref(), Ok("good"));
}

#[test]
fn a_file_that_cannot_be_used_is_reported_once_a_version_and_without_what_it_holds() {
    let (log, guard) = Log::capture();
    let fixture = Fixture::new(b"s3cret-good");
    fixture.read().unwrap();
    for content in [&b"s3cret-bad s3cret"[..], b"s3cret-bad s3cret worse"] {
        fixture.write(content);
        for _ in 0..3 {
            fixture.read().unwrap();
        }
    }
    drop(guard);
    let log = log.text();
    assert_eq!(log.matches("stays in use").count(), 2, "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}
