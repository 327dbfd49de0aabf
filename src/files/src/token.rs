//! Bearer tokens: one word of visible ASCII characters, white space around it ignored (RFC 6750, section 2.1).

use std::path::Path;

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::lifetime::malformed_claim;
use crate::{FileError, Lifetime, read};

/// A bearer token. Has no `Debug`: it is a secret.
pub struct Token {
    text: Zeroizing<String>,
    header: HeaderValue,
}

/// A text is no token. The message leaves the text out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is nothing but white space.
    #[error("is empty; a token is needed")]
    Empty,
    /// There are other characters, or white space within.
    #[error("is not a token; one word of visible ASCII characters is needed")]
    NotAWord,
}

impl Token {
    /// Reads the token in a file.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let content = Zeroizing::new(read(path)?);
        Self::parse(&content).map_err(|error| match error {
            TokenError::Empty => FileError::EmptyToken(path.to_owned()),
            TokenError::NotAWord => FileError::NotAToken(path.to_owned()),
        })
    }

    /// Takes the token out of a text.
    pub fn parse(text: &[u8]) -> Result<Self, TokenError> {
        let word = text.trim_ascii();
        if word.is_empty() {
            return Err(TokenError::Empty);
        }
        if !word.iter().all(u8::is_ascii_graphic) {
            return Err(TokenError::NotAWord);
        }
        let text = Zeroizing::new(String::from_utf8_lossy(word).into_owned());
        let header = Zeroizing::new(format!("Bearer {}", text.as_str()));
        let mut header = HeaderValue::from_str(&header).map_err(|_| TokenError::NotAWord)?;
        header.set_sensitive(true);
        Ok(Self { text, header })
    }

    /// The token itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The lifetime that the token states; `None` for one that is no JSON Web Token, or that never expires.
    pub fn lifetime(&self) -> Option<Lifetime> {
        Lifetime::of(&self.text)
    }

    /// The claim of a time in it that is no number, such as `exp`. Servers refuse such a token.
    pub fn malformed_claim(&self) -> Option<&'static str> {
        malformed_claim(&self.text)
    }

    /// A copy of `text` without the token, which a server may have echoed.
    pub fn redact(&self, text: &str) -> String {
        text.replace(self.text.as_str(), "[token]")
    }

    /// The value of the header `Authorization`, marked as sensitive.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_a_token_is_ignored() {
        let token = Token::parse(b"\r\n  v1.0-abc_DEF \n\n").ok().unwrap();
        assert_eq!(token.as_str(), "v1.0-abc_DEF");
        assert_eq!(token.header().to_str().unwrap(), "Bearer v1.0-abc_DEF");
        assert!(token.header().is_sensitive());
    }

    #[test]
    fn a_token_is_one_word_of_visible_ascii() {
        for empty in [&b""[..], b" \n"] {
            assert_eq!(Token::parse(empty).err(), Some(TokenError::Empty), "{empty:?}");
        }
        for other in [&b"two words"[..], b"Bearer abc", b"a\nb", b"a\0b", b"t\xc3\xb6ken", b"\xff\xfe", b"\x7f"] {
            assert_eq!(Token::parse(other).err(), Some(TokenError::NotAWord), "{other:?}");
        }
    }
}
