use std::sync::Arc;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{
    AlertDescription, CertRevocationListError, ContentType, EncryptedClientHelloError, HandshakeType, InconsistentKeys,
    InvalidMessage, OtherError, PeerIncompatible, PeerMisbehaved,
};

use super::*;
use crate::error_chain;

/// An error whose text is its name, as those of webpki are.
#[derive(Debug)]
struct Webpki(&'static str);

impl std::fmt::Display for Webpki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Webpki {}

fn webpki(text: &'static str) -> OtherError {
    OtherError(Arc::new(Webpki(text)))
}

fn certificate_errors() -> Vec<CertificateError> {
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(9));
    vec![
        CertificateError::BadEncoding,
        CertificateError::Expired,
        CertificateError::ExpiredContext { time, not_after: time },
        CertificateError::NotValidYet,
        CertificateError::NotValidYetContext { time, not_before: time },
        CertificateError::Revoked,
        CertificateError::UnhandledCriticalExtension,
        CertificateError::UnknownIssuer,
        CertificateError::UnknownRevocationStatus,
        CertificateError::ExpiredRevocationList,
        CertificateError::ExpiredRevocationListContext { time, next_update: time },
        CertificateError::BadSignature,
        CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![6, 9],
            supported_algorithms: Vec::new(),
        },
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![6, 9],
            public_key_algorithm_id: vec![6, 9],
        },
        CertificateError::NotValidForName,
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("lb.example.org").unwrap(),
            presented: vec!["DnsName(\"x\")".to_owned()],
        },
        CertificateError::InvalidPurpose,
        CertificateError::InvalidPurposeContext {
            required: rustls::ExtendedKeyPurpose::ServerAuth,
            presented: Vec::new(),
        },
        CertificateError::InvalidOcspResponse,
        CertificateError::ApplicationVerificationFailure,
        CertificateError::Other(webpki("CaUsedAsEndEntity")),
        CertificateError::Other(webpki("Other(OtherError(CaUsedAsEndEntity))")),
        CertificateError::Other(webpki(
            "UnsupportedSignatureAlgorithmContext(UnsupportedSignatureAlgorithmContext { id: [6] })",
        )),
    ]
}

fn tls_errors() -> Vec<TlsError> {
    let content = vec![ContentType::Handshake];
    let mut errors = vec![
        TlsError::InappropriateMessage { expect_types: content, got_type: ContentType::Alert },
        TlsError::InappropriateHandshakeMessage { expect_types: Vec::new(), got_type: HandshakeType::Finished },
        TlsError::InvalidEncryptedClientHello(EncryptedClientHelloError::InvalidConfigList),
        TlsError::InvalidMessage(InvalidMessage::MissingData("ServerHello")),
        TlsError::InvalidMessage(InvalidMessage::DuplicateExtension(9)),
        TlsError::NoCertificatesPresented,
        TlsError::UnsupportedNameType,
        TlsError::DecryptError,
        TlsError::EncryptError,
        TlsError::PeerIncompatible(PeerIncompatible::ServerRejectedEncryptedClientHello(None)),
        TlsError::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
        TlsError::PeerMisbehaved(PeerMisbehaved::SelectedTls12UsingTls13VersionExtension),
        TlsError::InvalidCertRevocationList(CertRevocationListError::Other(webpki("ParseError"))),
        TlsError::General("a general fault".to_owned()),
        TlsError::FailedToGetCurrentTime,
        TlsError::FailedToGetRandomBytes,
        TlsError::HandshakeNotComplete,
        TlsError::PeerSentOversizedRecord,
        TlsError::NoApplicationProtocol,
        TlsError::BadMaxFragmentSize,
        TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch),
        TlsError::Other(webpki("CaUsedAsEndEntity")),
    ];
    errors.extend(certificate_errors().into_iter().map(TlsError::InvalidCertificate));
    errors.extend((0..=u8::MAX).map(|code| TlsError::AlertReceived(AlertDescription::from(code))));
    errors
}

fn pem_errors() -> Vec<pem::Error> {
    let line = || b"-----BEGIN CERTIFICATE".to_vec();
    vec![
        pem::Error::MissingSectionEnd { end_marker: line() },
        pem::Error::IllegalSectionStart { line: line() },
        pem::Error::Base64Decode("InvalidCharacter(9)".to_owned()),
        pem::Error::Io(io::Error::from_raw_os_error(5)),
        pem::Error::NoItemsFound,
        pem::Error::SectionTooLarge,
    ]
}

/// True if a text has the form of `Debug` in it: braces, lists, escapes, or names in camel case.
fn is_debug(text: &str) -> bool {
    let is_camel = |word: &str| {
        let plain = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        plain
            .chars()
            .zip(plain.chars().skip(1))
            .any(|(one, next)| one.is_ascii_lowercase() && next.is_ascii_uppercase())
    };
    text.contains(['{', '}', '[', ']', '\\', '"']) || text.split_whitespace().any(is_camel)
}

#[test]
fn every_error_of_tls_and_of_a_pem_file_is_a_sentence() {
    let tls = tls_errors().into_iter().map(|error| tls_message(&error));
    for message in tls.chain(pem_errors().iter().map(pem_message)) {
        assert!(!message.is_empty() && !is_debug(&message), "{message}");
    }
}

#[test]
fn the_name_of_a_variant_becomes_words() {
    let fault = TlsError::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13);
    assert_eq!(tls_message(&fault), "the server and Daymark do not fit: server does not support TLS 1.2 or 1.3");
    let alert = |code| tls_message(&TlsError::AlertReceived(AlertDescription::from(code)));
    assert_eq!(alert(48), "the server sent the TLS alert 48, unknown CA");
    assert_eq!(alert(200), "the server sent the TLS alert 200");
    assert_eq!(alert(70), "the server speaks only TLS older than 1.2");
    assert_eq!(alert(120), "the server does not speak HTTP/1.1");
    let refused = |text| tls_message(&TlsError::InvalidCertificate(CertificateError::Other(webpki(text))));
    let expected = "the certificate is refused: CA used as end entity";
    assert_eq!(refused("CaUsedAsEndEntity"), expected);
    assert_eq!(refused("Other(OtherError(CaUsedAsEndEntity))"), expected);
    assert_eq!(
        refused("the server does not have the key"),
        "the certificate is refused: the server does not have the key"
    );
}

#[test]
fn an_error_of_tls_inside_an_error_of_the_system_is_a_sentence_too() {
    let refused = TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
    let error = io::Error::other(refused);
    assert_eq!(error_chain(&error), "the certificate is not from a trusted CA");
}

#[test]
fn an_error_of_tls_inside_errors_of_the_system_is_a_sentence() {
    let tls = TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
    let nested = io::Error::other(io::Error::other(tls.clone()));
    assert_eq!(message(&nested), Some(tls_message(&tls)));
}
