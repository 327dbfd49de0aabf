//! The admin token, which every request that changes something needs. It does not know the requests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daymark_config::ADMIN_TOKEN;
use daymark_files::{FileError, StagedFile, Token, WatchError, WatchedFiles, read};
use subtle::ConstantTimeEq;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::os::blocking::BlockingThread;

/// The pause after a failure to make a token.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// The file of the admin token, read again when it changes. Clones share it.
#[derive(Clone, Debug)]
pub struct AdminToken(Option<Arc<WatchedToken>>);

#[derive(Debug)]
struct WatchedToken {
    path: PathBuf,
    watched: WatchedFiles<Token, FileError>,
}

/// A request that may change nothing.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// There is no token.
    #[error(
        "writing is off, because this host has no admin token; set `admin.tokenFile`, or set `stateDir` and Daymark \
         makes a token there"
    )]
    Off,
    /// The file of the token cannot be used.
    #[error("{0}")]
    File(WatchError<FileError>),
    /// The request has no token, or another.
    #[error(
        "the admin token was refused; the token in {} of this host is needed, as `Authorization: Bearer TOKEN`",
        .0.display()
    )]
    Wrong(PathBuf),
}

impl AdminToken {
    /// No token, so that no request may change anything.
    pub fn off() -> Self {
        Self(None)
    }

    /// The token in this file, which is read at once: its last good version counts from now on.
    pub fn in_file(path: &Path) -> Self {
        let file = path.to_owned();
        let watched = WatchedFiles::new("admin token", vec![path.to_owned()], move || Token::read(&file));
        // A request says what is wrong with it.
        let _ = watched.current();
        Self(Some(Arc::new(WatchedToken { path: path.to_owned(), watched })))
    }

    /// The token in the file that [`make_in`] makes in this directory.
    pub fn in_dir(dir: &Path) -> Self {
        Self::in_file(&dir.join(ADMIN_TOKEN))
    }

    /// Admits a request with this `Authorization` header, or denies it.
    pub fn admit(&self, authorization: Option<&str>) -> Result<(), Denied> {
        let WatchedToken { path, watched } = self.0.as_deref().ok_or(Denied::Off)?;
        let token = watched.current().map_err(Denied::File)?;
        let given = authorization.and_then(bearer).unwrap_or_default();
        if bool::from(given.as_bytes().ct_eq(token.as_str().as_bytes())) {
            Ok(())
        } else {
            Err(Denied::Wrong(path.clone()))
        }
    }

    /// The watched file; `None` if there is no token.
    pub(super) fn file(&self) -> Option<&WatchedFiles<Token, FileError>> {
        self.0.as_ref().map(|file| &file.watched)
    }
}

/// Makes a token in a file of this directory, for its owner alone to read, unless there is one. Blocks.
pub fn make_in(dir: &Path) -> io::Result<()> {
    let path = dir.join(ADMIN_TOKEN);
    fs::create_dir_all(dir)?;
    let is_empty = read(&path).is_ok_and(|secret| secret.trim_ascii().is_empty());
    if is_empty || !path.exists() { make(&path, is_empty) } else { Ok(()) }
}

/// Tries again and again to make a token in a directory that could not be written. Ends with the shutdown.
pub async fn keep_making(dir: PathBuf, shutdown: CancellationToken) {
    let thread = BlockingThread::start("admin token");
    let making = async {
        loop {
            sleep(RETRY_PAUSE).await;
            let there = dir.clone();
            // A disk that hangs holds up this task alone.
            if let Ok(Ok(())) = thread.run(move || make_in(&there)).await {
                break info!("the admin token was created in {}", dir.display());
            }
        }
    };
    shutdown.run_until_cancelled(making).await;
    shutdown.cancelled().await;
}

/// The token of an `Authorization` header. The name of the scheme is in any case (RFC 9110, section 11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
}

/// Makes a token that is whole when it appears: a full disk must not leave an empty file.
fn make(path: &Path, is_empty: bool) -> io::Result<()> {
    let token = format!("{:032x}{:032x}\n", random()?, random()?);
    let file = StagedFile::private(path, token.as_bytes())?;
    if is_empty {
        return file.replace();
    }
    match file.create() {
        // Another host that starts in the same directory was first.
        Err(lost) if lost.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// A random number of the kernel, by way of the TLS library.
fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| io::Error::other("the kernel gives no random bytes"))?;
    Ok(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_right_token_is_admitted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, " secret\n").unwrap();
        let token = AdminToken::in_file(&path);
        assert!(token.admit(Some("Bearer secret")).is_ok());
        for wrong in [None, Some(""), Some("Bearer "), Some("secret"), Some("Bearer secre"), Some("Basic secret")] {
            assert!(matches!(token.admit(wrong), Err(Denied::Wrong(_))), "{wrong:?}");
        }
        fs::write(&path, "changed").unwrap();
        assert!(matches!(token.admit(Some("Bearer secret")), Err(Denied::Wrong(_))));
        assert!(token.admit(Some("Bearer changed")).is_ok());
    }

    #[test]
    fn the_scheme_is_taken_in_any_case() {
        // RFC 9110, section 11.1.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "secret").unwrap();
        for right in ["bearer secret", "BEARER secret", "Bearer  secret"] {
            assert!(AdminToken::in_file(&path).admit(Some(right)).is_ok(), "{right}");
        }
        for wrong in ["bearersecret", "bearer Secret", "Bearer secret secret", "bearer"] {
            assert!(matches!(AdminToken::in_file(&path).admit(Some(wrong)), Err(Denied::Wrong(_))), "{wrong}");
        }
    }

    #[test]
    fn an_empty_or_missing_token_file_admits_no_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let refusal = |token: AdminToken| token.admit(Some("Bearer ")).unwrap_err().to_string();
        assert!(refusal(AdminToken::in_file(&path)).ends_with("does not exist; a file is needed"));
        fs::write(&path, "\n").unwrap();
        assert!(refusal(AdminToken::in_file(&path)).ends_with("is empty; a token is needed"));
        assert!(matches!(AdminToken::off().admit(Some("Bearer ")), Err(Denied::Off)));
    }

    #[test]
    fn a_made_token_is_random_kept_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str| {
            make_in(&dir.path().join(name)).unwrap();
            let path = dir.path().join(name).join(ADMIN_TOKEN);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::read_to_string(path).unwrap()
        };
        let one = read("a");
        let again = read("a");
        let other = read("b");
        assert_eq!(one.trim().len(), 64);
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    #[test]
    fn a_token_file_that_was_left_empty_is_made_anew_and_another_is_let_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ADMIN_TOKEN);
        for left in ["", " \n"] {
            fs::write(&path, left).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            make_in(dir.path()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap().trim().len(), 64);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(&path, "chosen").unwrap();
        make_in(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "chosen");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left there");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_could_not_be_made_is_made_once_it_can_be() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("state");
        fs::write(&dir, "a file where the directory should be").unwrap();
        assert!(make_in(&dir).is_err());
        let token = AdminToken::in_dir(&dir);
        let shutdown = CancellationToken::new();
        let making = tokio::spawn(keep_making(dir.clone(), shutdown.clone()));
        sleep(RETRY_PAUSE * 3).await;
        assert!(matches!(token.admit(Some("Bearer x")), Err(Denied::File(WatchError::Unusable(_)))));
        fs::remove_file(&dir).unwrap();
        sleep(RETRY_PAUSE * 2).await;
        let secret = fs::read_to_string(dir.join(ADMIN_TOKEN)).unwrap();
        assert!(token.admit(Some(&format!("Bearer {secret}"))).is_ok());
        shutdown.cancel();
        making.await.unwrap();
    }

    #[test]
    fn hosts_that_start_at_once_in_one_directory_agree_on_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let make = || {
            make_in(dir.path()).unwrap();
            fs::read_to_string(dir.path().join(ADMIN_TOKEN)).unwrap()
        };
        let seen: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(seen.iter().all(|token| token.trim().len() == 64 && *token == seen[0]), "{seen:?}");
    }
}
