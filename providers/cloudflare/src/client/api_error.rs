//! The errors in an answer of Cloudflare, as Cloudflare says them.

use std::fmt;

use serde::Deserialize;

/// One error of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ApiError {
    /// Cloudflare's code.
    #[serde(default)]
    pub code: u32,
    /// Cloudflare's sentence.
    #[serde(default)]
    pub message: String,
    /// The errors inside it.
    #[serde(default)]
    pub error_chain: Vec<ApiError>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)?;
        self.error_chain.iter().try_for_each(|error| write!(f, ", from: {error}"))
    }
}

/// Cloudflare's errors behind a colon, or nothing if there are none.
pub(super) struct Listed<'a>(pub(super) &'a [ApiError]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mark = ": ";
        for error in self.0 {
            write!(f, "{mark}{error}")?;
            mark = "; ";
        }
        Ok(())
    }
}
