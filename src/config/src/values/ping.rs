//! The URL of a service that takes the outcome of each pass.

use http::Uri;
use schemars::Schema;

use super::{TextFault, TextForm, pattern};

/// A URL to ping. Its path is often a secret, so no message shows it.
#[derive(Debug)]
pub(crate) struct PingUrl(pub(crate) String);

impl TextForm for PingUrl {
    fn allowed() -> String {
        "an http or https URL with a host and without a user".to_owned()
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let fault = TextFault::HiddenText { form: "a URL to ping" };
        let Ok(uri) = text.parse::<Uri>() else { return Err(fault) };
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        if !is_http || !has_host || text.contains(['@', '#']) {
            return Err(fault);
        }
        Ok(Self(text.to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, r"^https?://[^\s#@/?:]+(:[0-9]+)?([/?][^\s#@]*)?$");
    }
}
