//! A certificate authority for tests.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::CertificateDer;

use crate::error::FakeApiserverError;

/// A CA like that of kubeadm: a self-signed certificate and its key. Both are kept in memory only.
#[derive(Debug)]
pub struct FakeAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate that an [`FakeAuthority`] issued, with its private key.
pub struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: KeyPair,
    pem: String,
}

/// The validity period of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It includes today and the next years.
    Current,
    /// It is over.
    Past,
    /// It has not started.
    Future,
}

impl FakeAuthority {
    /// Generates a new CA. The common name of kubeadm's CA is `kubernetes`.
    pub fn new(common_name: &str) -> Result<Self, FakeApiserverError> {
        Self::with_validity(common_name, Validity::Current)
    }

    /// Generates a new CA with a validity period. It issues certificates with validity periods of their own.
    pub fn with_validity(common_name: &str, validity: Validity) -> Result<Self, FakeApiserverError> {
        let mut params = params(&[], common_name, validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let pem = certificate.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate: certificate.into(), pem })
    }

    /// The CA certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Issues a serving certificate. `names` are DNS names and IP addresses.
    pub fn issue(&self, names: &[&str], validity: Validity) -> Result<Identity, FakeApiserverError> {
        let mut params = params(names, "kube-apiserver", validity)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// Issues a client certificate for the user `common_name`.
    pub fn issue_client(&self, common_name: &str) -> Result<Identity, FakeApiserverError> {
        let mut params = params(&[], common_name, Validity::Current)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Identity, FakeApiserverError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let pem = certificate.pem();
        Ok(Identity { certificate: certificate.into(), key, pem })
    }
}

impl Identity {
    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The private key in PEM.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

fn params(names: &[&str], common_name: &str, validity: Validity) -> Result<CertificateParams, FakeApiserverError> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    let [first_year, last_year] = match validity {
        Validity::Current => [2020, 2120],
        Validity::Past => [2020, 2021],
        Validity::Future => [2119, 2120],
    };
    params.not_before = date_time_ymd(first_year, 1, 1);
    params.not_after = date_time_ymd(last_year, 1, 1);
    Ok(params)
}
