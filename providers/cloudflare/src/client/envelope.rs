//! Reads responses: the envelope `{success, errors, result, result_info}`, and the meaning of the HTTP status.

use daymark_files::Token;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ApiError, Call, CallError, ObjectOwner};
use crate::settings::TokenSource;

/// The code of "please wait and consider throttling your request speed", which comes with several statuses.
const THROTTLED: [u32; 1] = [971];
/// The characters of foreign text that are shown.
const MAX_SHOWN_CHARS: usize = 200;

/// The content of a successful response.
#[derive(Debug)]
pub(super) struct Reply<T> {
    pub(super) result: T,
    /// The result as JSON.
    pub(super) raw: Value,
    pub(super) info: ResultInfo,
}

/// The position of a page in its list. Every field may be missing.
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

/// Reads the response to a call that was made with this token.
pub(super) fn read<T: DeserializeOwned>(
    call: Call,
    path: &str,
    status: StatusCode,
    body: &[u8],
    token: &Token,
    source: &TokenSource,
) -> Result<Reply<T>, CallError> {
    let envelope = serde_json::from_slice::<Envelope>(body);
    let code = status.as_u16();
    let is_throttled = || {
        let errors = envelope.as_ref().ok().and_then(|envelope| envelope.errors.as_ref());
        errors.into_iter().flatten().any(|error| error.has_any(&THROTTLED))
    };
    if matches!(code, 408 | 409 | 425) || status.is_server_error() || is_throttled() {
        let errors = envelope.ok().and_then(|envelope| envelope.errors).unwrap_or_default();
        return Err(CallError::Busy { call, status: code, errors: tidied(errors, token) });
    }
    let unreadable = |detail| CallError::Unreadable { call, status: code, detail };
    let envelope = envelope.map_err(|_| unreadable(beginning(body, token)))?;
    let errors = tidied(envelope.errors.unwrap_or_default(), token);
    if !envelope.success || !status.is_success() {
        let owner = ObjectOwner::of(path);
        return Err(CallError::Refused { call, owner, status: code, errors, token: source.clone() });
    }
    if let Some(error) = errors.first()
        && envelope.result.is_null()
    {
        return Err(unreadable(format!("it reports success without a result but with an error: {error}")));
    }
    let result = T::deserialize(&envelope.result)
        .map_err(|error| unreadable(tidy(&format!("its result has another type: {error}"), token)))?;
    Ok(Reply { result, raw: envelope.result, info: envelope.result_info.unwrap_or_default() })
}

fn tidied(errors: Vec<ApiError>, token: &Token) -> Vec<ApiError> {
    let tidied = errors.into_iter().map(|error| ApiError {
        message: tidy(&error.message, token),
        error_chain: tidied(error.error_chain, token),
        ..error
    });
    tidied.collect()
}

/// Makes foreign text fit to be shown: without the token, in one line, and short.
fn tidy(text: &str, token: &Token) -> String {
    let line = token.redact(text).split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|char| !char.is_control()).take(MAX_SHOWN_CHARS).collect()
}

fn beginning(body: &[u8], token: &Token) -> String {
    match tidy(&String::from_utf8_lossy(body), token) {
        text if text.is_empty() => "it is empty".to_owned(),
        text => format!("it is not an envelope of the API; it begins with \"{text}\""),
    }
}

#[cfg(test)]
mod tests;
