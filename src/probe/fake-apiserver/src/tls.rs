//! The TLS configurations of a fake, one for each certificate.

use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::authority::{FakeAuthority, Identity, Validity};
use crate::behaviour::Behaviour;
use crate::error::FakeApiserverError;

pub(crate) struct TlsConfigs {
    current: Arc<ServerConfig>,
    other_ca: Arc<ServerConfig>,
    wrong_names: Arc<ServerConfig>,
    expired: Arc<ServerConfig>,
    not_yet_valid: Arc<ServerConfig>,
}

impl TlsConfigs {
    pub(crate) fn new(authority: &FakeAuthority, names: &[&str]) -> Result<Self, FakeApiserverError> {
        // All CAs of kubeadm have the same name, so the other CA differs only by its key.
        let other = FakeAuthority::new("kubernetes")?;
        let config = |identity: Result<Identity, FakeApiserverError>| server_config(authority, &identity?);
        Ok(Self {
            current: config(authority.issue(names, Validity::Current))?,
            other_ca: config(other.issue(names, Validity::Current))?,
            wrong_names: config(authority.issue(&["kubernetes.default.svc", "192.0.2.1"], Validity::Current))?,
            expired: config(authority.issue(names, Validity::Past))?,
            not_yet_valid: config(authority.issue(names, Validity::Future))?,
        })
    }

    /// The configuration for a behaviour.
    pub(crate) fn for_behaviour(&self, behaviour: &Behaviour) -> Arc<ServerConfig> {
        Arc::clone(match behaviour {
            Behaviour::OtherCa => &self.other_ca,
            Behaviour::WrongNames => &self.wrong_names,
            Behaviour::Expired => &self.expired,
            Behaviour::NotYetValid => &self.not_yet_valid,
            _ => &self.current,
        })
    }
}

fn server_config(clients: &FakeAuthority, identity: &Identity) -> Result<Arc<ServerConfig>, FakeApiserverError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.certificate().clone())?;
    // kube-apiserver requests a certificate from every client. Authentication decides later if one is required.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate.clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
