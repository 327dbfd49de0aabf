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
