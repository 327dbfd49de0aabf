//! The credentials of a probe and the CAs that it trusts, and their files. It knows nothing of targets.

use std::path::Path;
use std::sync::Arc;

use daymark_certificates::{AcceptAny, Authorities, CaBundle, CertificateFileError, ClientIdentity, ServerVerifier};
use daymark_files::{FileError, NoSystemRoots, Token, WatchedFiles, system_certificates};
use http::HeaderValue;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;

use crate::certificate::Recorder;
use crate::expiry::{Expiries, Expiry};
use crate::settings::{Auth, ProbeSettings, Trust};

/// The CAs that a probe trusts and the credentials that it shows. Has no `Debug`: it holds secrets.
pub(super) struct Credentials {
    tls: ClientConfig,
    verifier: Arc<dyn ServerCertVerifier>,
    authorization: Option<HeaderValue>,
    expiries: Expiries,
}

/// A kind of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialKind {
    None,
    Token,
    ClientCertificate,
}

/// The credentials as the files have them, read again when one changes.
pub(super) type CredentialFiles = WatchedFiles<Credentials, CredentialsError>;

/// There are no credentials. It is a local error of this host; the caller tries again with the next probe.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialsError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("CA file: {0}")]
    Authorities(CertificateFileError),
    #[error("client certificate: {0}")]
    ClientCertificate(CertificateFileError),
    #[error(transparent)]
    NoSystemRoots(#[from] NoSystemRoots),
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// The TLS configuration of one handshake.
pub(super) struct Handshake {
    pub(super) config: Arc<ClientConfig>,
    /// Remembers the certificate of the target.
    pub(super) recorder: Arc<Recorder>,
}

impl Credentials {
    /// The TLS configuration of one handshake, with the recorder of its certificate. Everything large in it is shared.
    pub(super) fn handshake(&self) -> Handshake {
        let recorder = Arc::new(Recorder::new(Arc::clone(&self.verifier)));
        let mut config = self.tls.clone();
        config.dangerous().set_certificate_verifier(Arc::<Recorder>::clone(&recorder));
        Handshake { config: Arc::new(config), recorder }
    }

    /// The kind of credentials that the probe shows.
    pub(super) fn shown(&self) -> CredentialKind {
        if self.tls.client_auth_cert_resolver.has_certs() {
            CredentialKind::ClientCertificate
        } else if self.authorization.is_some() {
            CredentialKind::Token
        } else {
            CredentialKind::None
        }
    }

    /// The value of the header `Authorization`, marked as sensitive.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// The ends of the CAs of the file and of the credentials.
    pub(super) fn expiries(&self) -> &Expiries {
        &self.expiries
    }

    fn load(trust: &Trust, auth: Option<&Auth>) -> Result<Self, CredentialsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut expiries = Expiries::default();
        let verifier = verifier(trust, &mut expiries)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier));
        let mut tls = match auth {
            Some(Auth::ClientCertificate { certificate, key }) => {
                let identity = ClientIdentity::read(certificate, key).map_err(CredentialsError::ClientCertificate)?;
                expiries.credentials = Expiry::of_client_certificate(&identity);
                builder.with_client_cert_resolver(identity.resolver())
            }
            _ => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A fresh connection is there to verify the certificate anew.
        tls.resumption = Resumption::disabled();
        let authorization = match auth {
            Some(Auth::TokenFile(path)) => {
                let token = Token::read(path)?;
                expiries.credentials = Expiry::of_token(&token, path);
                Some(token.header().clone())
            }
            _ => None,
        };
        Ok(Self { tls, verifier, authorization, expiries })
    }
}

/// Watches the files of the CAs and the credentials of a pool.
pub(super) fn watch(settings: &ProbeSettings) -> CredentialFiles {
    let paths = settings.files().into_iter().map(Path::to_owned).collect();
    let trust = settings.trust.clone();
    let auth = settings.auth.clone();
    WatchedFiles::new(format!("{}: files of `probe`", settings.pool), paths, move || {
        Credentials::load(&trust, auth.as_ref())
    })
}

/// The verifier of a trust, whose CAs of a file are noted in `expiries`.
fn verifier(trust: &Trust, expiries: &mut Expiries) -> Result<Arc<dyn ServerCertVerifier>, CredentialsError> {
    let authorities = match trust {
        Trust::File(path) => {
            let authorities = CaBundle::read(path).map_err(CredentialsError::Authorities)?.authorities;
            expiries.authorities = Expiry::of_authorities(&authorities);
            authorities
        }
        Trust::System => Authorities::from_der(system_certificates()?.iter().map(AsRef::as_ref)),
        Trust::Nothing => return Ok(Arc::new(AcceptAny)),
    };
    Ok(Arc::new(ServerVerifier::new(authorities)))
}
