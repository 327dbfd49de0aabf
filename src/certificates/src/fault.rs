//! The reasons to refuse a server's certificate, and the faults of a single certificate, as sentences.

use std::sync::Arc;

use daymark_files::TornSection;
use rustls::{CertificateError, OtherError};

/// The most signatures that one judgement verifies, as in Go.
pub(crate) const MAX_SIGNATURES: usize = 100;
/// The most comparisons of a name with a constraint that one judgement makes, as in Go.
pub(crate) const MAX_COMPARISONS: usize = 250_000;
/// The most certificates that a server may show.
pub(crate) const MAX_SHOWN: usize = 64;

/// The reason to refuse a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// It has ended.
    #[error("the certificate has expired")]
    Expired,
    /// It has not begun.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// It is not valid for the name.
    #[error("the certificate lacks the name")]
    WrongName,
    /// No trusted CA issued it.
    #[error("the certificate is not from a trusted CA")]
    UntrustedCa,
    /// A CA of its chain has ended.
    #[error("the CA that issued it has expired: {ca}")]
    CaExpired {
        /// The subject of the CA.
        ca: String,
        /// Its end, in seconds since the Unix epoch.
        not_after: i64,
    },
    /// Another rule is broken.
    #[error(transparent)]
    Broken(#[from] BrokenRule),
}

/// A rule that a chain breaks, and that has no kind of observation of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// A bound of this crate, against servers that show too much.
    #[error("the server presents more than {MAX_SHOWN} certificates")]
    TooManyShown,
    /// A certificate that the server shows cannot be used.
    #[error("a certificate of the server cannot be read: {0}")]
    Unreadable(CertificateFault),
    /// Its key is of an algorithm that is not accepted.
    #[error("its key is {algorithm}, which Daymark does not accept")]
    UnsupportedKey {
        /// The algorithm, by its name or its identifier.
        algorithm: String,
    },
    /// The signature of the handshake is by another key.
    #[error("the server does not have the key of its certificate")]
    WrongKey,
    /// RFC 5280, section 4.2.1.12.
    #[error("the certificate is not for servers (extended key usage)")]
    NotForServers,
    /// A signature of the chain is by an algorithm that is not accepted.
    #[error("a signature of its chain is by {algorithm}, which Daymark does not accept")]
    UnsupportedSignature {
        /// The algorithm, by its name or its identifier.
        algorithm: String,
    },
    /// RFC 5280, section 4.2, demands to refuse it.
    #[error("the critical extension {oid} is not understood: {certificate}")]
    UnknownCriticalExtension {
        /// The identifier of the extension.
        oid: String,
        /// The subject of the certificate that has it.
        certificate: String,
    },
    /// A CA of the chain breaks a rule.
    #[error("{rule}: {ca}")]
    Issuer {
        /// The rule.
        rule: IssuerRule,
        /// The subject of the CA.
        ca: String,
    },
    /// A bound of the search.
    #[error("no chain was found within {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A bound of the search.
    #[error("its name constraints need more than {MAX_COMPARISONS} comparisons")]
    TooManyComparisons,
}

/// A rule for the CAs of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerRule {
    /// RFC 5280, sections 4.2.1.3 and 4.2.1.9.
    #[error("the certificate that issued it is not that of a CA")]
    IsCa,
    /// It has not begun.
    #[error("the CA that issued it is not valid yet")]
    HasBegun,
    /// RFC 5280, section 4.2.1.9.
    #[error("its chain is longer than a CA allows")]
    PathLength,
    /// RFC 5280, section 4.2.1.10.
    #[error("a CA of the chain may not issue for its names")]
    Names,
    /// RFC 5280, section 4.2.1.12.
    #[error("a CA of the chain may not issue for servers (extended key usage)")]
    ForServers,
}

/// The fault of a single certificate, as a sentence about "it".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Its PEM section has no end, or is no base64.
    #[error("it is incomplete, because it has no whole PEM section")]
    Torn,
    /// Go passes over it.
    #[error("its line -----BEGIN or -----END is indented, so that Go passes over it")]
    Indented,
    /// Its DER is something else.
    #[error("it is not an X.509 certificate")]
    NotX509,
    /// It has extensions, which only version 3 has, or a version that does not exist.
    #[error("its version does not fit its extensions")]
    Version,
    /// RFC 5280, section 4.1.2.2, demands a positive one.
    #[error("its serial number is negative")]
    NegativeSerial,
    /// RFC 5280, section 4.1.1.2, demands the same one in both places.
    #[error("it names two different algorithms for its signature")]
    TwoAlgorithms,
    /// RFC 5280, section 4.2, forbids it.
    #[error("it has the same extension twice")]
    RepeatedExtension,
    /// A subject alternative name cannot be read.
    #[error("one of its names is malformed")]
    MalformedName,
    /// Its name constraints cannot be read.
    #[error("its name constraints are malformed")]
    MalformedConstraints,
    /// Another extension cannot be read.
    #[error("its extension {oid} is malformed")]
    MalformedExtension {
        /// The identifier of the extension.
        oid: String,
    },
    /// Its key is of an algorithm that is not accepted.
    #[error("its key is {algorithm}, which Daymark does not accept")]
    UnsupportedKey {
        /// The algorithm, by its name or its identifier.
        algorithm: String,
    },
    /// RFC 5280, section 4.2, demands to refuse it.
    #[error("its critical extension {oid} is not understood")]
    UnknownCriticalExtension {
        /// The identifier of the extension.
        oid: String,
    },
}

impl From<TornSection> for CertificateFault {
    fn from(section: TornSection) -> Self {
        match section {
            TornSection::Incomplete => Self::Torn,
            TornSection::Indented => Self::Indented,
        }
    }
}

impl ChainFault {
    /// The fault inside an error of rustls.
    pub fn of(error: &rustls::Error) -> Option<&Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(fault))) => fault.downcast_ref(),
            _ => None,
        }
    }
}

impl From<ChainFault> for rustls::Error {
    fn from(fault: ChainFault) -> Self {
        CertificateError::Other(OtherError(Arc::new(fault))).into()
    }
}

impl From<BrokenRule> for rustls::Error {
    fn from(rule: BrokenRule) -> Self {
        ChainFault::from(rule).into()
    }
}

#[cfg(test)]
mod tests {
    use std::iter::successors;

    use super::*;
    use crate::identity::ClientIdentityError;

    #[test]
    fn each_broken_rule_has_a_message() {
        let issuer = |rule| BrokenRule::Issuer { rule, ca: "CN=kubernetes".to_owned() };
        let text = str::to_owned;
        for (rule, message) in [
            (BrokenRule::TooManyShown, "the server presents more than 64 certificates"),
            (
                BrokenRule::Unreadable(CertificateFault::NotX509),
                "a certificate of the server cannot be read: it is not an X.509 certificate",
            ),
            (
                BrokenRule::UnsupportedKey { algorithm: text("Ed448") },
                "its key is Ed448, which Daymark does not accept",
            ),
            (BrokenRule::WrongKey, "the server does not have the key of its certificate"),
            (BrokenRule::NotForServers, "the certificate is not for servers (extended key usage)"),
            (
                BrokenRule::UnsupportedSignature { algorithm: text("Ed448") },
                "a signature of its chain is by Ed448, which Daymark does not accept",
            ),
            (
                BrokenRule::UnknownCriticalExtension { oid: text("1.2.3.4"), certificate: text("CN=kube-apiserver") },
                "the critical extension 1.2.3.4 is not understood: CN=kube-apiserver",
            ),
            (issuer(IssuerRule::IsCa), "the certificate that issued it is not that of a CA: CN=kubernetes"),
            (issuer(IssuerRule::HasBegun), "the CA that issued it is not valid yet: CN=kubernetes"),
            (issuer(IssuerRule::PathLength), "its chain is longer than a CA allows: CN=kubernetes"),
            (issuer(IssuerRule::Names), "a CA of the chain may not issue for its names: CN=kubernetes"),
            (
                issuer(IssuerRule::ForServers),
                "a CA of the chain may not issue for servers (extended key usage): CN=kubernetes",
            ),
            (BrokenRule::TooManySignatures, "no chain was found within 100 signatures"),
            (BrokenRule::TooManyComparisons, "its name constraints need more than 250000 comparisons"),
        ] {
            assert_eq!(ChainFault::from(rule).to_string(), message);
        }
    }

    fn text() -> String {
        "text".to_owned()
    }

    /// A sample of the variant after this one. A new variant does not compile until it has its place.
    fn next_chain_fault(fault: &ChainFault) -> Option<ChainFault> {
        Some(match fault {
            ChainFault::Expired => ChainFault::NotYetValid,
            ChainFault::NotYetValid => ChainFault::WrongName,
            ChainFault::WrongName => ChainFault::UntrustedCa,
            ChainFault::UntrustedCa => ChainFault::CaExpired { ca: text(), not_after: 0 },
            ChainFault::CaExpired { .. } => BrokenRule::TooManyShown.into(),
            ChainFault::Broken(rule) => next_broken_rule(rule)?.into(),
        })
    }

    fn next_broken_rule(rule: &BrokenRule) -> Option<BrokenRule> {
        let issuer = |rule| BrokenRule::Issuer { rule, ca: text() };
        Some(match rule {
            BrokenRule::TooManyShown => BrokenRule::Unreadable(CertificateFault::NotX509),
            BrokenRule::Unreadable(_) => BrokenRule::UnsupportedKey { algorithm: text() },
            BrokenRule::UnsupportedKey { .. } => BrokenRule::WrongKey,
            BrokenRule::WrongKey => BrokenRule::NotForServers,
            BrokenRule::NotForServers => BrokenRule::UnsupportedSignature { algorithm: text() },
            BrokenRule::UnsupportedSignature { .. } => {
                BrokenRule::UnknownCriticalExtension { oid: text(), certificate: text() }
            }
            BrokenRule::UnknownCriticalExtension { .. } => issuer(IssuerRule::IsCa),
            BrokenRule::Issuer { rule: IssuerRule::IsCa, .. } => issuer(IssuerRule::HasBegun),
            BrokenRule::Issuer { rule: IssuerRule::HasBegun, .. } => issuer(IssuerRule::PathLength),
            BrokenRule::Issuer { rule: IssuerRule::PathLength, .. } => issuer(IssuerRule::Names),
            BrokenRule::Issuer { rule: IssuerRule::Names, .. } => issuer(IssuerRule::ForServers),
            BrokenRule::Issuer { rule: IssuerRule::ForServers, .. } => BrokenRule::TooManySignatures,
            BrokenRule::TooManySignatures => BrokenRule::TooManyComparisons,
            BrokenRule::TooManyComparisons => return None,
        })
    }

    fn next_certificate_fault(fault: &CertificateFault) -> Option<CertificateFault> {
        Some(match fault {
            CertificateFault::Torn => CertificateFault::Indented,
            CertificateFault::Indented => CertificateFault::NotX509,
            CertificateFault::NotX509 => CertificateFault::Version,
            CertificateFault::Version => CertificateFault::NegativeSerial,
            CertificateFault::NegativeSerial => CertificateFault::TwoAlgorithms,
            CertificateFault::TwoAlgorithms => CertificateFault::RepeatedExtension,
            CertificateFault::RepeatedExtension => CertificateFault::MalformedName,
            CertificateFault::MalformedName => CertificateFault::MalformedConstraints,
            CertificateFault::MalformedConstraints => CertificateFault::MalformedExtension { oid: text() },
            CertificateFault::MalformedExtension { .. } => CertificateFault::UnsupportedKey { algorithm: text() },
            CertificateFault::UnsupportedKey { .. } => CertificateFault::UnknownCriticalExtension { oid: text() },
            CertificateFault::UnknownCriticalExtension { .. } => return None,
        })
    }

    fn next_identity_error(error: &ClientIdentityError) -> Option<ClientIdentityError> {
        Some(match error {
            ClientIdentityError::NoCertificate => ClientIdentityError::UnsupportedKey(text()),
            ClientIdentityError::UnsupportedKey(_) => ClientIdentityError::MalformedKey,
            ClientIdentityError::MalformedKey => ClientIdentityError::OtherKey,
            ClientIdentityError::OtherKey => return None,
        })
    }

    #[test]
    fn every_fault_is_a_sentence() {
        let mut messages: Vec<String> =
            successors(Some(ChainFault::Expired), next_chain_fault).map(|fault| fault.to_string()).collect();
        messages
            .extend(successors(Some(CertificateFault::Torn), next_certificate_fault).map(|fault| fault.to_string()));
        let errors = successors(Some(ClientIdentityError::NoCertificate), next_identity_error);
        messages.extend(errors.flat_map(|error| [error.to_string(), error.summary().to_owned()]));
        assert_eq!(messages.len(), 5 + 9 + 5 + 12 + 2 * 4);
        for message in messages {
            for sign in ["{", "::", "Some(", "\\\"", "\\'"] {
                assert!(!message.is_empty() && !message.contains(sign), "{sign} in {message}");
            }
        }
    }
}
