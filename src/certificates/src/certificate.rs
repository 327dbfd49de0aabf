//! One certificate, with all that a judgement of its chain needs.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::x509::X509Name;

use crate::algorithm::{KeyAlgorithm, SignatureAlgorithm, oid_text, whole};
use crate::constraints::NameConstraints;
use crate::fault::CertificateFault;
use crate::names::{AlternativeName, is_malformed};
use crate::signature::{PublicKey, SignatureFault};

/// RFC 5280, section 4.1.2.1: 0 is version 1.
const VERSION_3: u32 = 2;

/// A parsed certificate.
#[derive(Clone, Debug)]
pub(crate) struct ParsedCertificate {
    pub(crate) der: CertificateDer<'static>,
    /// The subject in DER.
    pub(crate) subject: Vec<u8>,
    /// The issuer in DER.
    pub(crate) issuer: Vec<u8>,
    /// The identifier of its key; empty if it has none.
    key_id: Vec<u8>,
    /// The identifier of its issuer's key; empty if it has none.
    issuer_key_id: Vec<u8>,
    /// The subject for people.
    pub(crate) name: String,
    /// Its start, in seconds since the Unix epoch.
    pub(crate) not_before: i64,
    /// Its end, in seconds since the Unix epoch.
    pub(crate) not_after: i64,
    pub(crate) key: PublicKey,
    pub(crate) names: Vec<AlternativeName>,
    pub(crate) constraints: Option<NameConstraints>,
    /// A critical extension that is not understood.
    pub(crate) unknown_critical: Option<String>,
    version: u32,
    basic_constraints: Option<BasicConstraints>,
    /// True if the key usage, if there is one, lets it sign certificates.
    may_sign_certificates: bool,
    /// True if the extended key usage, if there is one, lets it be a server or the CA of one.
    pub(crate) may_be_server: bool,
    signed: Signed,
}

#[derive(Clone, Copy, Debug)]
struct BasicConstraints {
    is_ca: bool,
    max_path_length: Option<u32>,
}

/// The likelihood that a certificate issued another, the likeliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum IssuerLikelihood {
    /// Both name the same key, or neither names one.
    SameKey,
    /// One of them names no key.
    Unknown,
    /// They name different keys. An identifier may be wrong, so it is tried last.
    OtherKey,
}

/// The signature of the issuer.
#[derive(Clone, Debug)]
struct Signed {
    content: Vec<u8>,
    algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
}

impl ParsedCertificate {
    /// Parses a certificate as strictly as Go does where it matters for trust.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, CertificateFault> {
        let parsed: X509Certificate<'_> = whole(der).ok_or(CertificateFault::NotX509)?;
        let version = parsed.version().0;
        if version > VERSION_3 || (version < VERSION_3 && !parsed.extensions().is_empty()) {
            return Err(CertificateFault::Version);
        }
        if parsed.raw_serial().first().is_none_or(|first| first & 0x80 != 0) {
            return Err(CertificateFault::NegativeSerial);
        }
        if parsed.signature_algorithm != parsed.tbs_certificate.signature {
            return Err(CertificateFault::TwoAlgorithms);
        }
        parsed.extensions_map().map_err(|_| CertificateFault::RepeatedExtension)?;
        let key = parsed.public_key();
        let mut certificate = Self {
            der: CertificateDer::from(der.to_vec()),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            key_id: Vec::new(),
            issuer_key_id: Vec::new(),
            name: name(parsed.subject()).unwrap_or_else(|| "a CA without a name".to_owned()),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            key: PublicKey { algorithm: KeyAlgorithm::of(key), bits: key.subject_public_key.data.to_vec() },
            names: Vec::new(),
            constraints: None,
            unknown_critical: None,
            version,
            basic_constraints: None,
            may_sign_certificates: true,
            may_be_server: true,
            signed: Signed {
                content: parsed.tbs_certificate.as_ref().to_vec(),
                algorithm: SignatureAlgorithm::of(&parsed.signature_algorithm),
                signature: parsed.signature_value.data.to_vec(),
            },
        };
        for extension in parsed.extensions() {
            certificate.read(extension)?;
        }
        Ok(certificate)
    }

    /// Reads one extension. One that is critical and not understood in full is remembered.
    fn read(&mut self, extension: &X509Extension<'_>) -> Result<(), CertificateFault> {
        let is_understood = match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                let max_path_length = constraints.path_len_constraint;
                self.basic_constraints = Some(BasicConstraints { is_ca: constraints.ca, max_path_length });
                true
            }
            ParsedExtension::KeyUsage(usage) => {
                // As in Go, a usage without any bit is none.
                self.may_sign_certificates = usage.flags == 0 || usage.key_cert_sign();
                true
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.may_be_server = usage.any || usage.server_auth;
                true
            }
            ParsedExtension::SubjectAlternativeName(names) => {
                if names.general_names.iter().any(is_malformed) {
                    return Err(CertificateFault::MalformedName);
                }
                self.names = names.general_names.iter().filter_map(AlternativeName::of).collect();
                !self.names.is_empty()
            }
            ParsedExtension::NameConstraints(constraints) => {
                let constraints = NameConstraints::of(constraints).ok_or(CertificateFault::MalformedConstraints)?;
                let is_complete = !constraints.is_incomplete;
                self.constraints = Some(constraints);
                is_complete
            }
            ParsedExtension::SubjectKeyIdentifier(id) => {
                self.key_id = id.0.to_vec();
                true
            }
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                self.issuer_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec()).unwrap_or_default();
                true
            }
            ParsedExtension::CertificatePolicies(_)
            | ParsedExtension::CRLDistributionPoints(_)
            | ParsedExtension::AuthorityInfoAccess(_) => true,
            ParsedExtension::ParseError { .. } => {
                return Err(CertificateFault::MalformedExtension { oid: oid_text(&extension.oid) });
            }
            _ => false,
        };
        if extension.critical && !is_understood {
            self.unknown_critical = Some(oid_text(&extension.oid));
        }
        Ok(())
    }

    /// True if it may issue certificates. RFC 5280, section 4.2.1.9, demands the extension of version 3 alone.
    pub(crate) fn may_issue(&self) -> bool {
        let is_ca = self.basic_constraints.map_or(self.version < VERSION_3, |constraints| constraints.is_ca);
        is_ca && self.may_sign_certificates
    }

    /// True if it says itself that it is a CA.
    pub(crate) fn is_marked_as_ca(&self) -> bool {
        self.basic_constraints.is_some_and(|constraints| constraints.is_ca)
    }

    /// The most CAs that may be between it and the end of a chain.
    pub(crate) fn max_path_length(&self) -> Option<usize> {
        let length = self.basic_constraints?.max_path_length?;
        usize::try_from(length).ok()
    }

    /// Verifies the signature of its issuer.
    pub(crate) fn verify_issued_by(&self, issuer: &Self) -> Result<(), SignatureFault> {
        issuer.key.verify(&self.signed.algorithm, &self.signed.content, &self.signed.signature)
    }

    /// The likelihood that a certificate with the right name issued it, by the identifiers of the keys.
    pub(crate) fn likelihood_of(&self, issuer: &Self) -> IssuerLikelihood {
        if issuer.key_id == self.issuer_key_id {
            IssuerLikelihood::SameKey
        } else if issuer.key_id.is_empty() || self.issuer_key_id.is_empty() {
            IssuerLikelihood::Unknown
        } else {
            IssuerLikelihood::OtherKey
        }
    }

    /// True if another certificate has the same subject and the same key.
    pub(crate) fn is_same_entity(&self, other: &Self) -> bool {
        self.subject == other.subject && self.key.bits == other.key.bits
    }
}

/// The name for people, on one line; `None` if it is empty. It may come from a target and goes to logs and terminals.
pub(crate) fn name(subject: &X509Name<'_>) -> Option<String> {
    const MAX_SHOWN_CHARS: usize = 200;
    let name = subject.to_string();
    let mut shown = String::new();
    for c in name.chars().take(MAX_SHOWN_CHARS) {
        if c.is_control() {
            shown.extend(c.escape_debug());
        } else {
            // Other hidden characters are escaped when they are logged or printed.
            shown.push(c);
        }
    }
    (!shown.is_empty()).then_some(shown)
}
