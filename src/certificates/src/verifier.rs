//! The verifiers of servers for rustls: one that judges the chain, and one that accepts every certificate.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};

use crate::algorithm::{Curve, Hash, KeyAlgorithm, SignatureAlgorithm};
use crate::bundle::Authorities;
use crate::certificate::ParsedCertificate;
use crate::chain::{self, Candidates};
use crate::fault::{BrokenRule, ChainFault};
use crate::signature::SignatureFault;

/// The signatures that a server may give in a handshake, the best first.
const SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// The further signatures of a server whose certificate is not judged at all.
const OTHER_SCHEMES: &[SignatureScheme] =
    &[SignatureScheme::ED448, SignatureScheme::ECDSA_SHA1_Legacy, SignatureScheme::RSA_PKCS1_SHA1];

/// Judges the whole chain of a server, the trusted certificate included.
#[derive(Debug)]
pub struct ServerVerifier(Authorities);

/// Accepts every certificate.
///
/// It does not verify the signature of the handshake either. That signature proves only that the server has the key of the
/// certificate, and an impostor has the key of a certificate of its own.
#[derive(Debug)]
pub struct AcceptAny;

impl ServerVerifier {
    /// A verifier that trusts these certificates.
    pub fn new(authorities: Authorities) -> Self {
        Self(authorities)
    }

    /// Judges the certificates that a server shows, its own first. `now` is in seconds since the Unix epoch.
    pub fn judge(&self, shown: &[&[u8]], server: &ServerName<'_>, now: i64) -> Result<(), ChainFault> {
        let parsed: Result<Vec<ParsedCertificate>, _> = shown.iter().map(|der| ParsedCertificate::parse(der)).collect();
        let parsed = parsed.map_err(BrokenRule::Unreadable)?;
        let Some((end, intermediates)) = parsed.split_first() else { return Err(ChainFault::UntrustedCa) };
        if let KeyAlgorithm::Unsupported(algorithm) = &end.key.algorithm {
            return Err(BrokenRule::UnsupportedKey { algorithm: algorithm.clone() }.into());
        }
        chain::verify(end, server, Candidates { trusted: &self.0.0, intermediates, now })
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown: Vec<&[u8]> = std::iter::once(end_entity).chain(intermediates).map(AsRef::as_ref).collect();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.judge(&shown, server_name, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RFC 8422, section 5.1.1: in TLS 1.2 a scheme with ECDSA names the hash alone, and the curve may be any.
        verify_handshake(message, certificate, signed, |_, _| true)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_handshake(message, certificate, signed, is_allowed_in_tls13)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

/// RFC 8446, section 4.2.3: a scheme has one curve, and PKCS #1 signs certificates alone.
fn is_allowed_in_tls13(key: &KeyAlgorithm, algorithm: &SignatureAlgorithm) -> bool {
    match (key, algorithm) {
        (KeyAlgorithm::Ecdsa(curve), SignatureAlgorithm::Ecdsa(hash)) => matches!(
            (curve, hash),
            (Curve::P256, Hash::Sha256) | (Curve::P384, Hash::Sha384) | (Curve::P521, Hash::Sha512)
        ),
        (_, SignatureAlgorithm::RsaPkcs1(_)) => false,
        _ => true,
    }
}

fn verify_handshake(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    is_allowed: fn(&KeyAlgorithm, &SignatureAlgorithm) -> bool,
) -> Result<HandshakeSignatureValid, Error> {
    let certificate = ParsedCertificate::parse(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let algorithm = of_scheme(signed.scheme).ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    if !is_allowed(&certificate.key.algorithm, &algorithm) {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    match certificate.key.verify(&algorithm, message, signed.signature()) {
        Ok(()) => Ok(HandshakeSignatureValid::assertion()),
        Err(SignatureFault::Wrong) => Err(BrokenRule::WrongKey.into()),
        Err(SignatureFault::Unsupported(algorithm)) => Err(BrokenRule::UnsupportedKey { algorithm }.into()),
    }
}

fn of_scheme(scheme: SignatureScheme) -> Option<SignatureAlgorithm> {
    Some(match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => SignatureAlgorithm::Ecdsa(Hash::Sha256),
        SignatureScheme::ECDSA_NISTP384_SHA384 => SignatureAlgorithm::Ecdsa(Hash::Sha384),
        SignatureScheme::ECDSA_NISTP521_SHA512 => SignatureAlgorithm::Ecdsa(Hash::Sha512),
        SignatureScheme::ED25519 => SignatureAlgorithm::Ed25519,
        SignatureScheme::RSA_PSS_SHA256 => SignatureAlgorithm::RsaPss(Hash::Sha256),
        SignatureScheme::RSA_PSS_SHA384 => SignatureAlgorithm::RsaPss(Hash::Sha384),
        SignatureScheme::RSA_PSS_SHA512 => SignatureAlgorithm::RsaPss(Hash::Sha512),
        SignatureScheme::RSA_PKCS1_SHA256 => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
        SignatureScheme::RSA_PKCS1_SHA384 => SignatureAlgorithm::RsaPkcs1(Hash::Sha384),
        SignatureScheme::RSA_PKCS1_SHA512 => SignatureAlgorithm::RsaPkcs1(Hash::Sha512),
        _ => return None,
    })
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        [SCHEMES, OTHER_SCHEMES].concat()
    }
}
