//! The CA certificates of the system, and TLS for the clients that use them.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// The system has no usable CA certificate.
#[derive(Debug, thiserror::Error)]
#[error("the system has no CA certificates: {0}; install the package ca-certificates, or set `SSL_CERT_FILE`")]
pub struct NoSystemRoots(String);

/// The CA certificates of the system for rustls, made once in the life of the process.
pub fn system_roots() -> Result<Arc<RootCertStore>, NoSystemRoots> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let mut roots = RootCertStore::empty();
    // Old systems keep certificates that no library accepts any more.
    let (usable, _) = roots.add_parsable_certificates(system_certificates()?.iter().cloned());
    if usable == 0 {
        return Err(NoSystemRoots("none is usable".to_owned()));
    }
    Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
}

/// TLS for an HTTP client that trusts these CA certificates and has no certificate of its own.
pub fn client_tls(roots: impl Into<Arc<RootCertStore>>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The CA certificates of the system, read once in the life of the process; at least one.
pub fn system_certificates() -> Result<&'static [CertificateDer<'static>], NoSystemRoots> {
    static CERTIFICATES: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    if let Some(certificates) = CERTIFICATES.get() {
        return Ok(certificates);
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let detail = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(NoSystemRoots(detail));
    }
    Ok(CERTIFICATES.get_or_init(|| found.certs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_ca_certificates_is_an_error_with_their_source() {
        assert_eq!(
            NoSystemRoots("none found".to_owned()).to_string(),
            "the system has no CA certificates: none found; install the package ca-certificates, or set `SSL_CERT_FILE`"
        );
    }
}
