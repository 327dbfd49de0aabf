//! Certificates and private keys in PEM files (RFC 7468). It does not know what they are used for.
//!
//! Each certificate is read by itself, so that a torn one takes no other with it.

use std::path::Path;

use data_encoding::BASE64;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{FileError, read};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const BEGIN_ANY: &str = "-----BEGIN ";
const END: &str = "-----END CERTIFICATE-----";
/// The marks of a key with a passphrase: RFC 5958, section 3, and RFC 1421, section 4.6.1.1.
const ENCRYPTED: [&str; 2] = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];

/// A certificate in PEM that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TornSection {
    /// A line of it is missing, or it is not Base64.
    Incomplete,
    /// Its first or its last line is indented. Go passes over it.
    Indented,
}

/// A certificate in PEM, in DER, or its fault.
pub type CertificateSection = Result<CertificateDer<'static>, TornSection>;

/// Reads the certificates of a file in their order. At least one is whole.
pub fn certificates(path: &Path) -> Result<Vec<CertificateSection>, FileError> {
    let text = read(path)?;
    let sections = certificate_sections(&text);
    if sections.iter().any(Result::is_ok) {
        return Ok(sections);
    }
    Err(match CertificateDer::from_pem_slice(&text) {
        Err(error) if !matches!(error, pem::Error::NoItemsFound) => FileError::Pem { path: path.to_owned(), error },
        _ => FileError::NoCertificate(path.to_owned()),
    })
}

/// The certificates of a PEM text, in their order.
pub fn certificate_sections(text: &[u8]) -> Vec<CertificateSection> {
    let text = String::from_utf8_lossy(text);
    let mut found = Vec::new();
    let mut body: Option<String> = None;
    for line in text.lines().map(str::trim_end) {
        let content = line.trim_start();
        let is_indented = content.len() < line.len();
        if content.starts_with(BEGIN_ANY) {
            if body.take().is_some() {
                found.push(Err(TornSection::Incomplete));
            }
            if content == BEGIN && is_indented {
                found.push(Err(TornSection::Indented));
            } else if content == BEGIN {
                body = Some(String::new());
            }
        } else if content == END {
            found.extend(body.take().map(|body| if is_indented { Err(TornSection::Indented) } else { decode(&body) }));
        } else if let Some(body) = &mut body {
            body.extend(line.split_whitespace());
        }
    }
    if body.is_some() {
        found.push(Err(TornSection::Incomplete));
    }
    found
}

fn decode(body: &str) -> CertificateSection {
    BASE64.decode(body.as_bytes()).map(CertificateDer::from).map_err(|_| TornSection::Incomplete)
}

/// Reads the private key of a file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let text = String::from_utf8_lossy(&text);
        if text.lines().any(|line| ENCRYPTED.contains(&line.trim())) {
            return FileError::EncryptedKey(path.to_owned());
        }
        match error {
            pem::Error::NoItemsFound => FileError::NoPrivateKey(path.to_owned()),
            error => FileError::Pem { path: path.to_owned(), error },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(text: &str) -> Vec<Result<Vec<u8>, TornSection>> {
        certificate_sections(text.as_bytes()).into_iter().map(|section| section.map(|der| der.to_vec())).collect()
    }

    #[test]
    fn a_torn_certificate_takes_no_other_with_it() {
        let good = format!("text\n{BEGIN}\nAAEC\nAw==\n{END}\r\n");
        let cut = format!("{BEGIN}\nAAEC\n");
        let odd = format!("{BEGIN}\nAAEC*\n{END}\n");
        let key = "-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n";
        let bytes = Ok(vec![0, 1, 2, 3]);
        let torn = Err(TornSection::Incomplete);
        assert_eq!(sections(&format!("{cut}{good}")), [torn.clone(), bytes.clone()]);
        assert_eq!(sections(&format!("{good}{odd}{key}{good}")), [bytes.clone(), torn.clone(), bytes.clone()]);
        assert_eq!(sections(&format!("{good}{cut}")), [bytes, torn]);
        assert_eq!(sections("no PEM"), []);
    }

    #[test]
    fn a_certificate_whose_first_or_last_line_is_indented_is_unusable_as_in_go() {
        let bytes = || Ok(vec![0, 1, 2, 3]);
        let indented = || Err(TornSection::Indented);
        assert_eq!(sections(&format!("{BEGIN} \n  AAEC\n\tAw==\n{END} \n")), [bytes()]);
        assert_eq!(sections(&format!("  {BEGIN}\n  AAECAw==\n  {END}\n")), [indented()]);
        let last = format!("{BEGIN}\nAAECAw==\n  {END}\n{BEGIN}\nAAECAw==\n{END}\n");
        assert_eq!(sections(&last), [indented(), bytes()]);
    }

    fn key_error(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, text).unwrap();
        private_key(&path).unwrap_err().to_string().replace(&format!("{}/", directory.path().display()), "")
    }

    #[test]
    fn a_key_that_cannot_be_used_says_why() {
        let section = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        let encrypted = "key is encrypted; one without a passphrase is needed";
        assert_eq!(key_error(&section("ENCRYPTED PRIVATE KEY", "AAEC")), encrypted);
        let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,B5420A77\n\nAAEC";
        assert_eq!(key_error(&section("RSA PRIVATE KEY", headers)), encrypted);
        assert_eq!(key_error(&section("CERTIFICATE", "AAEC")), "key holds no private key; one in PEM is needed");
        let torn = "key is not valid PEM: a section has no line that ends it (-----END …-----)";
        assert_eq!(key_error("-----BEGIN PRIVATE KEY-----\nAAEC\n"), torn);
    }
}
