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
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        // The library takes a port that is none as no port.
        let has_bad_port = uri.port_u16().is_none()
            && uri.authority().is_some_and(|authority| {
                authority.as_str().trim_end_matches(|char: char| char.is_ascii_digit()).ends_with(':')
            });
        if !is_http || !has_host || has_user || has_bad_port || text.contains('#') {
            return Err(fault);
        }
        Ok(Self(text.to_owned()))
    }

    fn narrow(schema: &mut Schema) {
        pattern(schema, r"^https?://([^\s#@/?:\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?][^\s#]*)?$");
    }
}
