//! Sentences for the errors of libraries whose own texts are for programmers. It knows no file.

use std::error::Error;
use std::io;

use rustls::pki_types::pem;
use rustls::{AlertDescription, CertificateError, Error as TlsError};

/// The sentence of one error of a chain; `None` for a link that says nothing.
pub(crate) fn message(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(tls) = as_tls(error) {
        return Some(tls_message(tls));
    }
    if let Some(pem) = error.downcast_ref::<pem::Error>() {
        return Some(pem_message(pem));
    }
    let text = error.to_string();
    // Links of reqwest and hyper-util that name a step; the errors behind them say more.
    let is_step =
        ["client error (", "error sending request", "tcp connect error"].iter().any(|step| text.starts_with(step));
    match text.as_str() {
        _ if is_step && error.source().is_some() => None,
        "tunnel error: failed to create underlying connection" => Some("no connection to the proxy".to_owned()),
        "tunnel error: unsuccessful" => Some("the proxy refuses the connection".to_owned()),
        text => Some(plain(text)),
    }
}

/// The error of TLS, also inside errors of the system that wrap each other.
fn as_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let inner = || as_tls(error.downcast_ref::<io::Error>()?.get_ref()?);
    error.downcast_ref().or_else(inner)
}

/// The sentence of an error of TLS, about the server at the other end.
pub fn tls_message(error: &TlsError) -> String {
    match error {
        TlsError::InappropriateMessage { .. } | TlsError::InappropriateHandshakeMessage { .. } => {
            "the server sent a message out of order".to_owned()
        }
        TlsError::InvalidMessage(fault) => format!("a message of the server is malformed: {}", of_variant(fault)),
        TlsError::PeerIncompatible(fault) => format!("the server and Daymark do not fit: {}", of_variant(fault)),
        TlsError::PeerMisbehaved(fault) => format!("the server breaks the rules of TLS: {}", of_variant(fault)),
        TlsError::AlertReceived(alert) => alert_message(*alert),
        TlsError::InvalidCertificate(fault) => certificate_message(fault),
        TlsError::InvalidCertRevocationList(fault) => {
            format!("a list of revoked certificates cannot be used: {}", of_variant(fault))
        }
        TlsError::InvalidEncryptedClientHello(fault) => {
            format!("the encrypted client hello failed: {}", of_variant(fault))
        }
        TlsError::NoCertificatesPresented => "the server sent no certificate".to_owned(),
        TlsError::UnsupportedNameType => "the kind of the server's name is not supported".to_owned(),
        TlsError::DecryptError => "a message of the server cannot be decrypted".to_owned(),
        TlsError::EncryptError => "a message to the server cannot be encrypted".to_owned(),
        TlsError::HandshakeNotComplete => "the TLS handshake is not complete".to_owned(),
        TlsError::PeerSentOversizedRecord => "the server sent a record that is too large".to_owned(),
        TlsError::NoApplicationProtocol => "the server knows none of the protocols, such as HTTP/1.1".to_owned(),
        TlsError::BadMaxFragmentSize => "the size of TLS fragments is out of range".to_owned(),
        TlsError::FailedToGetCurrentTime => "the clock of this host cannot be read".to_owned(),
        TlsError::FailedToGetRandomBytes => "the kernel gives no random bytes".to_owned(),
        TlsError::InconsistentKeys(_) => "the private key does not fit the certificate".to_owned(),
        TlsError::General(text) => plain(text),
        TlsError::Other(fault) => plain(&fault.0.to_string()),
        // The enumeration is open.
        other => plain(&other.to_string()),
    }
}

fn alert_message(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::HandshakeFailure => {
            "the server shares no cipher suite, key exchange or kind of key with Daymark; CBC ciphers, key exchange with P-521 \
             alone, and a P-521 key over TLS 1.2 are not supported"
                .to_owned()
        }
        AlertDescription::ProtocolVersion => "the server speaks only TLS older than 1.2".to_owned(),
        AlertDescription::UnrecognisedName => "the server knows no certificate for the name".to_owned(),
        AlertDescription::NoApplicationProtocol => "the server does not speak HTTP/1.1".to_owned(),
        alert => {
            let name = of_variant(&alert);
            // An alert without a name has that of its type.
            let name = if name == "alert description" { String::new() } else { format!(", {name}") };
            format!("the server sent the TLS alert {}{name}", u8::from(alert))
        }
    }
}

fn certificate_message(fault: &CertificateError) -> String {
    let message = match fault {
        CertificateError::BadEncoding => "cannot be read",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::Revoked => "is revoked",
        CertificateError::UnhandledCriticalExtension => "has a critical extension that is not understood",
        CertificateError::UnknownIssuer => "is not from a trusted CA",
        CertificateError::UnknownRevocationStatus => "may be revoked: its state is not known",
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            "may be revoked: the list of revoked certificates has expired"
        }
        CertificateError::BadSignature => "has a signature that is not right",
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "has a signature by an algorithm that Daymark does not accept"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is not valid for the name of the server"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for servers (extended key usage)"
        }
        CertificateError::InvalidOcspResponse => "came with an OCSP response that is not valid",
        CertificateError::ApplicationVerificationFailure => "is refused",
        CertificateError::Other(fault) => {
            return format!("the certificate is refused: {}", plain(&fault.0.to_string()));
        }
        // The enumeration is open.
        other => return format!("the certificate is refused: {}", of_variant(other)),
    };
    format!("the certificate {message}")
}

/// The sentence of an error in a PEM file.
pub fn pem_message(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no line that ends it (-----END …-----)".to_owned(),
        pem::Error::IllegalSectionStart { .. } => {
            "a line that should begin a section is malformed (-----BEGIN …-----)".to_owned()
        }
        pem::Error::Base64Decode(_) => "the content of a section is not Base64".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is no section of the right kind".to_owned(),
        pem::Error::SectionTooLarge => "a section is too large".to_owned(),
        // The enumeration is open.
        other => plain(&other.to_string()),
    }
}

/// The words of the name of a variant: `CaUsedAsEndEntity` is `CA used as end entity`.
fn of_variant(variant: &impl std::fmt::Debug) -> String {
    words(&format!("{variant:?}"))
}

/// A text as it is, or the words of the name of a variant if it is the output of `Debug`.
fn plain(text: &str) -> String {
    let name = &text[..text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len())];
    let rest = text[name.len()..].trim_start();
    let is_debug = name.starts_with(|c: char| c.is_ascii_uppercase())
        && (rest.is_empty() && name[1..].contains(|c: char| c.is_ascii_uppercase())
            || text[name.len()..].starts_with('(')
            || rest.starts_with('{'));
    if is_debug { words(text) } else { text.to_owned() }
}

/// The words of a name in camel case, with the abbreviations of TLS in capitals.
fn words(debug: &str) -> String {
    // Wrappers say nothing.
    let name = ["Other(", "OtherError("].iter().fold(debug, |text, wrapper| text.strip_prefix(wrapper).unwrap_or(text));
    let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len())];
    let name = name.strip_suffix("Context").unwrap_or(name);
    let characters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (index, character) in characters.iter().enumerate() {
        let follows_upper = index > 0 && characters[index - 1].is_ascii_uppercase();
        let precedes_lower = characters.get(index + 1).is_some_and(char::is_ascii_lowercase);
        let begins = character.is_ascii_uppercase() && (!follows_upper || precedes_lower);
        match words.last_mut() {
            Some(word) if !begins => word.push(*character),
            _ => words.push(character.to_string()),
        }
    }
    words.iter().map(|word| abbreviation(word)).collect::<Vec<_>>().join(" ")
}

fn abbreviation(word: &str) -> String {
    match word {
        "Tls" => "TLS".to_owned(),
        "Tls12" => "TLS 1.2".to_owned(),
        "Or13" => "or 1.3".to_owned(),
        "Tls13" => "TLS 1.3".to_owned(),
        "Ca" | "Ec" | "Psk" | "Ech" | "Crl" | "Ocsp" | "Dh" | "Ems" | "Sct" | "Quic" => word.to_ascii_uppercase(),
        "Kx" => "key exchange".to_owned(),
        "Cert" => "certificate".to_owned(),
        _ if word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()) => word.to_owned(),
        _ => word.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests;
