//! The API token, from a file or from the environment. A file is read again when it changes.

use std::sync::Arc;

use daymark_files::{FileError, Token, TokenError, WatchError, WatchedFiles};

use crate::settings::TokenSource;

/// The API token, and its source.
pub(super) struct ApiToken {
    source: TokenSource,
    reader: TokenReader,
}

/// The two ways to the token.
enum TokenReader {
    /// The environment, which does not change while the process runs.
    Environment(Arc<Token>),
    /// A file.
    File(WatchedFiles<Token, FileError>),
}

/// There is no token. An operator must act.
#[derive(Debug, thiserror::Error)]
pub enum NoToken {
    /// The file of the token cannot be used.
    #[error(transparent)]
    File(#[from] WatchError<FileError>),
    /// The environment variable of the token is not set.
    #[error("the environment variable {0} is not set; it must hold the API token")]
    Unset(String),
    /// The environment variable holds no token.
    #[error("the environment variable {name} {error}")]
    Variable {
        /// The variable.
        name: String,
        /// The error of its value.
        error: TokenError,
    },
}

impl ApiToken {
    /// Takes the token from the environment, if it is there. A file is read by the first call of [`ApiToken::current`].
    pub(super) fn new(source: TokenSource) -> Result<Self, NoToken> {
        let reader = match &source {
            TokenSource::File(path) => {
                let file = path.clone();
                let watched = WatchedFiles::new("Cloudflare token", vec![path.clone()], move || Token::read(&file));
                TokenReader::File(watched)
            }
            TokenSource::Environment(name) => {
                let value = std::env::var_os(name).ok_or_else(|| NoToken::Unset(name.clone()))?;
                let token = Token::parse(value.as_encoded_bytes());
                let token = token.map_err(|error| NoToken::Variable { name: name.clone(), error })?;
                TokenReader::Environment(Arc::new(token))
            }
        };
        Ok(Self { source, reader })
    }

    /// The source of the token.
    pub(super) fn source(&self) -> &TokenSource {
        &self.source
    }

    /// The present token.
    pub(super) fn current(&self) -> Result<Arc<Token>, NoToken> {
        match &self.reader {
            TokenReader::Environment(token) => Ok(Arc::clone(token)),
            TokenReader::File(watched) => Ok(watched.current()?),
        }
    }
}

#[cfg(test)]
mod tests;
