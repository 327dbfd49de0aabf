//! What an answer says: the envelope `{success, errors, result, result_info}`, and what the HTTP status makes of it.

use daymark_files::Token;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ApiError, Call, CallError};
use crate::settings::TokenSource;

/// How much of a text of others is shown, in characters.
const SHOWN: usize = 200;

/// What a call gave.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) result: T,
    /// The same, as it came.
    pub(super) raw: Value,
    pub(super) info: ResultInfo,
}

/// Where in a list a page is. All of it is missing where Cloudflare has no pages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResultInfo {
    pub(super) page: Option<usize>,
    pub(super) per_page: Option<usize>,
    pub(super) total_count: Option<usize>,
    pub(super) total_pages: Option<usize>,
}

#[derive(Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    errors: Option<Vec<ApiError>>,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    result_info: Option<ResultInfo>,
}

/// Reads the answer to a call that was made with a token.
pub(super) fn read<T: DeserializeOwned>(
    call: Call,
    status: StatusCode,
    body: &[u8],
    token: &Token,
    source: &TokenSource,
) -> Result<Answer<T>, CallError> {
    let envelope = serde_json::from_slice::<Envelope>(body);
    let code = status.as_u16();
    if matches!(code, 408 | 409 | 425) || status.is_server_error() {
        let errors = envelope.ok().and_then(|envelope| envelope.errors).unwrap_or_default();
        return Err(CallError::Busy { call, status: code, errors: tidied(errors, token) });
    }
    let unreadable = |detail| CallError::Unreadable { call, status: code, detail };
    let envelope = envelope.map_err(|_| unreadable(beginning(body, token)))?;
    let errors = tidied(envelope.errors.unwrap_or_default(), token);
    if !envelope.success || !status.is_success() {
        return Err(CallError::Refused { call, status: code, errors, token: source.clone() });
    }
    if let Some(error) = errors.first()
        && envelope.result.is_null()
    {
        return Err(unreadable(format!("it says that it succeeded, without a result but with an error: {error}")));
    }
    let result = T::deserialize(&envelope.result)
        .map_err(|error| unreadable(tidy(&format!("its result is not what it should be: {error}"), token)))?;
    Ok(Answer { result, raw: envelope.result, info: envelope.result_info.unwrap_or_default() })
}

fn tidied(errors: Vec<ApiError>, token: &Token) -> Vec<ApiError> {
    let tidied = errors.into_iter().map(|error| ApiError {
        message: tidy(&error.message, token),
        error_chain: tidied(error.error_chain, token),
        ..error
    });
    tidied.collect()
}

/// A text of others, fit to be shown: without the token, in one line, and short.
fn tidy(text: &str, token: &Token) -> String {
    let line = token.redact(text).split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|char| !char.is_control()).take(SHOWN).collect()
}

fn beginning(body: &[u8], token: &Token) -> String {
    match tidy(&String::from_utf8_lossy(body), token) {
        text if text.is_empty() => "it is empty".to_owned(),
        text => format!("it is no envelope of the API, and begins with {text:?}"),
    }
}

#[cfg(test)]
mod tests;
