//! What a probe trusts and proves itself with, and the files it comes from. It knows nothing of targets.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::HeaderValue;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

use super::certificate::{AcceptAny, Recorder};
use super::settings::{Auth, Trust, files};
use crate::fault::chain;
use crate::stamp::Stamp;

/// What a probe trusts and proves itself with. Has no `Debug`: it holds secrets.
pub(super) struct Material {
    tls: ClientConfig,
    verifier: Arc<dyn ServerCertVerifier>,
    authorization: Option<HeaderValue>,
}

/// The material as the files have it, read again when one changes.
pub(super) struct Source {
    trust: Trust,
    auth: Option<Auth>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: Option<(Vec<Stamp>, Arc<Material>)>,
    /// The files that could not be used, so that it is said once.
    refused: Option<Vec<Stamp>>,
}

/// Why there is no material. Always this host's fault; the caller tries again with the next probe.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is no PEM")]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{path} holds no certificate")]
    NoCertificate { path: PathBuf },
    #[error("{path} holds a certificate that cannot be used")]
    Certificate { path: PathBuf, source: rustls::Error },
    #[error("{certificate} and {key} cannot be used together")]
    ClientCertificate { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("{path} holds no token: a token is one word of printable ASCII")]
    Token { path: PathBuf },
    #[error("the system has no CA certificates: {detail}")]
    NoSystemRoots { detail: String },
    #[error("cannot set up verification")]
    Verifier(#[from] VerifierBuilderError),
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

impl Material {
    /// The TLS configuration for one handshake, and what records its certificate. Everything large in it is shared.
    pub(super) fn handshake(&self) -> (Arc<ClientConfig>, Arc<Recorder>) {
        let recorder = Arc::new(Recorder::new(Arc::clone(&self.verifier)));
        let mut config = self.tls.clone();
        config.dangerous().set_certificate_verifier(Arc::<Recorder>::clone(&recorder));
        (Arc::new(config), recorder)
    }

    /// The value of the header `Authorization`, marked as sensitive.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    fn load(trust: &Trust, auth: Option<&Auth>) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = verifier(trust, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier));
        let mut tls = match auth {
            Some(Auth::ClientCertificate { certificate, key }) => {
                builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?).map_err(|source| {
                    Error::ClientCertificate { certificate: certificate.clone(), key: key.clone(), source }
                })?
            }
            _ => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A fresh connection is there to verify the certificate anew.
        tls.resumption = Resumption::disabled();
        let authorization = match auth {
            Some(Auth::TokenFile(path)) => Some(bearer(path)?),
            _ => None,
        };
        Ok(Self { tls, verifier, authorization })
    }
}

impl Source {
    pub(super) fn new(trust: Trust, auth: Option<Auth>) -> Self {
        Self { trust, auth, state: Mutex::default() }
    }

    /// The material of this moment: the same `Arc` as before unless a file has changed. Where a file cannot be used any
    /// more, the last good material stays.
    ///
    /// This blocks for a few calls on small local files, which costs less than a thread for them would.
    pub(super) fn current(&self) -> Result<Arc<Material>, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at before reading: a file that changes in between is then read again by the next probe.
        let stamps = self.paths().into_iter().map(Stamp::of).collect::<Vec<_>>();
        if let Some((loaded, material)) = &state.loaded
            && *loaded == stamps
        {
            return Ok(Arc::clone(material));
        }
        match Material::load(&self.trust, self.auth.as_ref()) {
            Ok(material) => {
                let material = Arc::new(material);
                *state = State { loaded: Some((stamps, Arc::clone(&material))), refused: None };
                Ok(material)
            }
            Err(error) => state.last_good(stamps, error),
        }
    }

    fn paths(&self) -> Vec<&Path> {
        files(&self.trust, self.auth.as_ref())
    }
}

impl State {
    fn last_good(&mut self, stamps: Vec<Stamp>, error: Error) -> Result<Arc<Material>, Error> {
        let Some((_, material)) = &self.loaded else { return Err(error) };
        if self.refused.as_ref() != Some(&stamps) {
            warn!("a file of the probe cannot be used, and what it held before stays in use: {}", chain(&error));
            self.refused = Some(stamps);
        }
        Ok(Arc::clone(material))
    }
}

fn verifier(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let roots = match trust {
        Trust::File(path) => Arc::new(roots(path)?),
        Trust::System => system_roots()?,
        Trust::Nothing => return Ok(Arc::new(AcceptAny(Arc::clone(provider)))),
    };
    Ok(WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build()?)
}

fn roots(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| Error::Certificate { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

/// The CA certificates of the system, read once in the life of the process.
fn system_roots() -> Result<Arc<RootCertStore>, Error> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Stores of systems hold certificates from long ago that no library takes any more.
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let detail = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(Error::NoSystemRoots { detail });
    }
    Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| Error::Pem { path: path.to_owned(), source })?;
    if certificates.is_empty() {
        return Err(Error::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|source| Error::Pem { path: path.to_owned(), source })
}

/// RFC 6750, section 2.1.
fn bearer(path: &Path) -> Result<HeaderValue, Error> {
    let no_token = || Error::Token { path: path.to_owned() };
    let text = read(path)?;
    let token = text.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(no_token());
    }
    let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat()).map_err(|_| no_token())?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
