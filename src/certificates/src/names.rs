//! The alternative names of a certificate.

use x509_parser::extensions::GeneralName;

/// One alternative name, of a type that Go compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AlternativeName {
    Dns(String),
    /// The bytes as the certificate has them.
    Ip(Vec<u8>),
    Email,
    Uri,
}

/// True for a name for which Go refuses the whole certificate: text that is not ASCII (RFC 5280, section 4.2.1.6, asks for an
/// `IA5String`), and an address that is neither of 4 nor of 16 bytes.
pub(crate) fn is_malformed(name: &GeneralName<'_>) -> bool {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => !text.is_ascii(),
        GeneralName::IPAddress(bytes) => !matches!(bytes.len(), 4 | 16),
        // Mail, DNS, URI and IP; Go does not read the others.
        GeneralName::Invalid(tag, _) => matches!(tag.0, 1 | 2 | 6 | 7),
        _ => false,
    }
}

impl AlternativeName {
    /// `None` for a name of another type, and for one whose text is malformed.
    pub(crate) fn of(name: &GeneralName<'_>) -> Option<Self> {
        match name {
            GeneralName::DNSName(name) => Some(Self::Dns((*name).to_owned())),
            GeneralName::IPAddress(bytes) => Some(Self::Ip(bytes.to_vec())),
            GeneralName::RFC822Name(_) => Some(Self::Email),
            GeneralName::URI(_) => Some(Self::Uri),
            _ => None,
        }
    }
}
