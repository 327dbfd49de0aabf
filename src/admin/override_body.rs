//! Reads the body of a request for an override. Each error names the key, what is wrong with it, and what is allowed.

use daymark_api::OverrideRequest;
use daymark_decision::{OverrideKind, shortened};
use serde::Deserialize;
use serde_json::Value;

/// The error of a body that is no request for an override.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// It is no JSON, or another value than an object.
    #[error(
        "the body is not an override: it is no JSON object; one with `kind`, such as {{\"kind\": \"drain\"}}, is needed"
    )]
    NoObject,
    /// A key does not exist.
    #[error("{key}: is not a known key; kind, for, reason, author and insist are allowed")]
    UnknownKey { key: String },
    /// A key is needed.
    #[error("kind: is missing; drain or force is needed")]
    NoKind,
    /// A value is not of the form that its key needs.
    #[error("{key}: {value} is not valid; {allowed} is allowed")]
    Value { key: &'static str, value: String, allowed: &'static str },
    /// A key occurs twice.
    #[error("the body has a key twice; each key is allowed once")]
    RepeatedKey,
}

/// The request in a body.
pub(super) fn parsed(body: &[u8]) -> Result<OverrideRequest, BodyError> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return Err(BodyError::NoObject) };
    for (key, value) in &object {
        check(key, value)?;
    }
    if !object.contains_key("kind") {
        return Err(BodyError::NoKind);
    }
    // Every key and value is good by now, so only a repetition can be wrong.
    serde_json::from_slice(body).map_err(|_| BodyError::RepeatedKey)
}

fn check(key: &str, value: &Value) -> Result<(), BodyError> {
    let fault = |key, allowed| BodyError::Value { key, value: shortened(&value.to_string()), allowed };
    match key {
        "kind" if !value.is_string() || OverrideKind::deserialize(value).is_err() => {
            Err(fault("kind", "drain or force"))
        }
        "for" if !value.is_string() && !value.is_null() => Err(fault("for", "a duration, such as \"10m\",")),
        "reason" if !value.is_string() => Err(fault("reason", "a text")),
        "author" if !value.is_string() => Err(fault("author", "a text")),
        "insist" if !value.is_boolean() => Err(fault("insist", "true or false")),
        "kind" | "for" | "reason" | "author" | "insist" => Ok(()),
        unknown => Err(BodyError::UnknownKey { key: shortened(unknown) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        parsed(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn every_refused_body_says_what_is_wrong_and_what_is_allowed() {
        let no_object = "the body is not an override: it is no JSON object; one with `kind`, such as {\"kind\": \"drain\"}, is needed";
        for (body, message) in [
            ("drain", no_object),
            ("[]", no_object),
            ("", no_object),
            ("{}", "kind: is missing; drain or force is needed"),
            (r#"{"kind": "drane"}"#, "kind: \"drane\" is not valid; drain or force is allowed"),
            (r#"{"kind": {"drain": null}}"#, "kind: {\"drain\":null} is not valid; drain or force is allowed"),
            (r#"{"kind": "drain", "for": 5}"#, "for: 5 is not valid; a duration, such as \"10m\", is allowed"),
            (r#"{"kind": "drain", "reason": 5}"#, "reason: 5 is not valid; a text is allowed"),
            (r#"{"kind": "drain", "author": null}"#, "author: null is not valid; a text is allowed"),
            (r#"{"kind": "drain", "insist": "yes"}"#, "insist: \"yes\" is not valid; true or false is allowed"),
            (
                r#"{"kind": "drain", "until": "10m"}"#,
                "until: is not a known key; kind, for, reason, author and insist are allowed",
            ),
            (r#"{"kind": "drain", "kind": "force"}"#, "the body has a key twice; each key is allowed once"),
        ] {
            assert_eq!(refusal(body), message, "{body}");
        }
    }

    #[test]
    fn a_whole_request_and_the_shortest_one_are_read() {
        let whole = r#"{"kind": "force", "for": "10m", "reason": "disk", "author": "ada", "insist": true}"#;
        let length = Some("10m".to_owned());
        let expected = OverrideRequest {
            kind: OverrideKind::Force,
            length,
            reason: "disk".into(),
            author: "ada".into(),
            insist: true,
        };
        assert_eq!(parsed(whole.as_bytes()), Ok(expected));
        assert_eq!(parsed(br#"{"kind": "drain", "for": null}"#).unwrap().length, None);
    }
}
