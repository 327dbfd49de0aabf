//! The secret that writing needs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;

/// The name of the file that [`Token::made_in`] makes.
pub const FILE: &str = "admin.token";

/// Where the secret is. The file is read at every use, so that it can be changed at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(Option<PathBuf>);

/// Why someone may not write.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// There is no secret, so no one may.
    #[error("writing is off: set admin.tokenFile, or stateDir so that Daymark makes a token there")]
    Off,
    /// The secret cannot be read.
    #[error("the token file {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has no secret in it.
    #[error("the token file {} is empty", .0.display())]
    Empty(PathBuf),
    /// The request has none, or another.
    #[error("this needs the admin token, as `Authorization: Bearer TOKEN`")]
    Wrong,
}

impl Token {
    /// No one may write.
    pub fn off() -> Self {
        Self(None)
    }

    /// The secret is in this file.
    pub fn in_file(path: &Path) -> Self {
        Self(Some(path.to_owned()))
    }

    /// The secret is in a file of this directory, which is made, readable by its owner alone, where there is none yet.
    pub fn made_in(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        fs::create_dir_all(dir)?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                writeln!(file, "{:032x}{:032x}", random()?, random()?)?;
                file.sync_all()?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(Self(Some(path)))
    }

    /// Whether a request with this `Authorization` header may write.
    pub fn admit(&self, authorization: Option<&str>) -> Result<(), Denied> {
        let path = self.0.as_ref().ok_or(Denied::Off)?;
        let secret = fs::read_to_string(path).map_err(|source| Denied::Unreadable { path: path.clone(), source })?;
        let secret = secret.trim();
        if secret.is_empty() {
            return Err(Denied::Empty(path.clone()));
        }
        let given = authorization.and_then(|it| it.strip_prefix("Bearer ")).unwrap_or_default().trim();
        if bool::from(given.as_bytes().ct_eq(secret.as_bytes())) { Ok(()) } else { Err(Denied::Wrong) }
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
        let token = Token::in_file(&path);
        assert!(token.admit(Some("Bearer secret")).is_ok());
        for wrong in [None, Some(""), Some("Bearer "), Some("secret"), Some("Bearer secre"), Some("Basic secret")] {
            assert!(matches!(token.admit(wrong), Err(Denied::Wrong)), "{wrong:?}");
        }
        fs::write(&path, "changed").unwrap();
        assert!(matches!(token.admit(Some("Bearer secret")), Err(Denied::Wrong)));
        assert!(token.admit(Some("Bearer changed")).is_ok());
    }

    #[test]
    fn an_empty_or_missing_token_file_admits_no_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(matches!(Token::in_file(&path).admit(Some("Bearer ")), Err(Denied::Unreadable { .. })));
        fs::write(&path, "\n").unwrap();
        assert!(matches!(Token::in_file(&path).admit(Some("Bearer ")), Err(Denied::Empty(_))));
        assert!(matches!(Token::off().admit(Some("Bearer ")), Err(Denied::Off)));
    }

    #[test]
    fn a_made_token_is_random_kept_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str| {
            Token::made_in(&dir.path().join(name)).unwrap();
            let path = dir.path().join(name).join(FILE);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::read_to_string(path).unwrap()
        };
        let (one, again, other) = (read("a"), read("a"), read("b"));
        assert_eq!(one.trim().len(), 64);
        assert_eq!(one, again);
        assert_ne!(one, other);
    }
}
