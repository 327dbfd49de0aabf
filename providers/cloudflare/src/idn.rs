//! The comparable form of a name. Cloudflare lists an internationalised name in Unicode.

/// A name in lower case and in Punycode (RFC 5891). A name that has no such form is only put in lower case.
pub(crate) fn to_ascii(name: &str) -> String {
    idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_ascii_lowercase())
}
