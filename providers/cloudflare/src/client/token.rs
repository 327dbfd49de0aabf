//! The token: where it is, read again when it changes, and never shown.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::HeaderValue;
use parking_lot::Mutex;
use tracing::warn;

use crate::settings::TokenSource;

/// The token of this moment.
pub(super) struct Token {
    source: TokenSource,
    /// Where the source is the environment, which does not change while the process runs.
    fixed: Option<Arc<Secret>>,
    state: Mutex<State>,
}

/// What proves who calls. Has no `Debug`: it must never be shown.
pub(super) struct Secret {
    text: String,
    header: HeaderValue,
}

#[derive(Default)]
struct State {
    loaded: Option<(Stamp, Arc<Secret>)>,
    /// The file that could not be used, so that it is said once.
    refused: Option<Stamp>,
}

/// What changes when the file does; `None` where it is not there. The change time is for a file made readable.
type Stamp = Option<(u64, u64, u64, [i64; 4])>;

/// Why there is no token. Always for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file of the token cannot be read.
    #[error("the token file {path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The environment variable of the token is not set.
    #[error("the environment variable {0}, which should hold the token, is not set")]
    Unset(String),
    /// What is there is no token.
    #[error("{0} holds no token: a token is one word of printable ASCII")]
    NotAWord(TokenSource),
}

impl Token {
    /// Reads the environment, where the token is to be there; a file is read with the first call.
    pub(super) fn new(source: TokenSource) -> Result<Self, TokenError> {
        let fixed = match &source {
            TokenSource::File(_) => None,
            TokenSource::Environment(name) => {
                let value = std::env::var_os(name).ok_or_else(|| TokenError::Unset(name.clone()))?;
                Some(Arc::new(parse(value.as_encoded_bytes(), &source)?))
            }
        };
        Ok(Self { source, fixed, state: Mutex::default() })
    }

    pub(super) fn source(&self) -> &TokenSource {
        &self.source
    }

    /// The token as its file has it. Where the file cannot be used any more, the last good token stays.
    ///
    /// This blocks for a few calls on a small local file, which costs less than a thread for them would.
    pub(super) fn current(&self) -> Result<Arc<Secret>, TokenError> {
        match (&self.fixed, &self.source) {
            (Some(secret), _) => Ok(Arc::clone(secret)),
            (None, TokenSource::File(path)) => self.of_file(path),
            (None, TokenSource::Environment(name)) => Err(TokenError::Unset(name.clone())),
        }
    }

    fn of_file(&self, path: &Path) -> Result<Arc<Secret>, TokenError> {
        let mut state = self.state.lock();
        // Looked at before reading: a file that changes in between is then read again by the next call.
        let stamp = look(path);
        if let Some((loaded, secret)) = &state.loaded
            && *loaded == stamp
        {
            return Ok(Arc::clone(secret));
        }
        let content = fs::read(path).map_err(|source| TokenError::Read { path: path.to_owned(), source });
        match content.and_then(|content| parse(&content, &self.source)) {
            Ok(secret) => {
                let secret = Arc::new(secret);
                *state = State { loaded: Some((stamp, Arc::clone(&secret))), refused: None };
                Ok(secret)
            }
            Err(error) => state.last_good(stamp, error),
        }
    }
}

/// RFC 6750, section 2.1.
fn parse(content: &[u8], source: &TokenSource) -> Result<Secret, TokenError> {
    let not_a_word = || TokenError::NotAWord(source.clone());
    let text = str::from_utf8(content.trim_ascii()).map_err(|_| not_a_word())?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(not_a_word());
    }
    let mut header = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| not_a_word())?;
    header.set_sensitive(true);
    Ok(Secret { text: text.to_owned(), header })
}

impl State {
    fn last_good(&mut self, stamp: Stamp, error: TokenError) -> Result<Arc<Secret>, TokenError> {
        let Some((_, secret)) = &self.loaded else { return Err(error) };
        if self.refused.as_ref() != Some(&stamp) {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            warn!("the Cloudflare token that was read before stays in use: {error}{cause}");
            self.refused = Some(stamp);
        }
        Ok(Arc::clone(secret))
    }
}

impl Secret {
    /// The value of the header `Authorization`, marked as sensitive.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The text without the token, for Cloudflare or something in between may echo it.
    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(&self.text, "[token]")
    }
}

fn look(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
    Some((file.dev(), file.ino(), file.size(), times))
}

#[cfg(test)]
mod tests;
