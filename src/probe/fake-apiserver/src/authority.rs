//! A certificate authority made on the spot. It knows nothing of sockets.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::CertificateDer;

use crate::server::Error;

/// A CA like that of kubeadm: one self-signed certificate and its key, in memory only.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate of an [`Authority`] and its key.
pub struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: KeyPair,
    pem: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Today, and for years.
    Current,
    /// It has ended.
    Past,
    /// It has not begun.
    Future,
}

impl Authority {
    /// Makes a new CA. kubeadm calls its own `kubernetes`.
    pub fn new(common_name: &str) -> Result<Self, Error> {
        let mut params = params(&[], common_name, Validity::Current)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let pem = certificate.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate: certificate.into(), pem })
    }

    /// The certificate of the CA, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A serving certificate for DNS names and IP addresses, both as text.
    pub fn issue(&self, names: &[&str], validity: Validity) -> Result<Identity, Error> {
        let mut params = params(names, "kube-apiserver", validity)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// A client certificate for the user `common_name`.
    pub fn issue_client(&self, common_name: &str) -> Result<Identity, Error> {
        let mut params = params(&[], common_name, Validity::Current)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Identity, Error> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let pem = certificate.pem();
        Ok(Identity { certificate: certificate.into(), key, pem })
    }
}

impl Identity {
    /// The certificate, as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The private key, as PEM.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

fn params(names: &[&str], common_name: &str, validity: Validity) -> Result<CertificateParams, Error> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    let (from, to) = match validity {
        Validity::Current => (2020, 2120),
        Validity::Past => (2020, 2021),
        Validity::Future => (2119, 2120),
    };
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    Ok(params)
}
