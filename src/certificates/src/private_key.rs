//! The algorithm of a private key, for the message about one that cannot be used.

use rustls::pki_types::PrivateKeyDer;
use x509_parser::der_parser::asn1_rs::{Any, FromDer};
use x509_parser::x509::AlgorithmIdentifier;

use crate::algorithm::{Curve, KeyAlgorithm, RSA_BITS_OF_RING, modulus_bits};

/// The most bits of an RSA key that ring signs with.
const MAX_RSA_BITS: usize = 4096;

/// The algorithm of a key; `None` if its DER is malformed.
pub(crate) fn algorithm(key: &PrivateKeyDer<'_>) -> Option<KeyAlgorithm> {
    match key {
        PrivateKeyDer::Pkcs1(key) => of_pkcs1(key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => of_sec1(key.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(key) => of_pkcs8(key.secret_pkcs8_der()),
        _ => None,
    }
}

/// True if Daymark signs with such a key.
pub(crate) fn can_sign(algorithm: &KeyAlgorithm) -> bool {
    match algorithm {
        KeyAlgorithm::Rsa | KeyAlgorithm::Ecdsa(Curve::P256 | Curve::P384) | KeyAlgorithm::Ed25519 => true,
        KeyAlgorithm::ShortRsa | KeyAlgorithm::Ecdsa(Curve::P521) | KeyAlgorithm::Unsupported(_) => false,
    }
}

/// RFC 5958, section 2: the version, the algorithm and the key.
fn of_pkcs8(der: &[u8]) -> Option<KeyAlgorithm> {
    let version = element(content(der)?)?;
    let (rest, identifier) = AlgorithmIdentifier::from_der(version.rest).ok()?;
    let key = element(rest)?;
    match KeyAlgorithm::of_identifier(&identifier) {
        KeyAlgorithm::Rsa => of_pkcs1(key.value.data),
        algorithm => Some(algorithm),
    }
}

/// RFC 8017, appendix A.1.2: the version, the modulus and the rest.
fn of_pkcs1(der: &[u8]) -> Option<KeyAlgorithm> {
    let version = element(content(der)?)?;
    let modulus = element(version.rest)?;
    Some(match modulus_bits(modulus.value.data) {
        RSA_BITS_OF_RING..=MAX_RSA_BITS => KeyAlgorithm::Rsa,
        bits if bits > MAX_RSA_BITS => KeyAlgorithm::Unsupported(format!("RSA with {bits} bits")),
        _ => KeyAlgorithm::ShortRsa,
    })
}

/// RFC 5915, section 3: the version, the key and the curve.
fn of_sec1(der: &[u8]) -> Option<KeyAlgorithm> {
    let version = element(content(der)?)?;
    let key = element(version.rest)?;
    let parameters = element(key.rest)?;
    let curve = element(parameters.value.data)?;
    Some(KeyAlgorithm::of_curve(Some(&curve.value)))
}

/// The content of the one element.
fn content(der: &[u8]) -> Option<&[u8]> {
    Some(element(der)?.value.data)
}

/// The first element of an encoded sequence.
struct DerElement<'a> {
    value: Any<'a>,
    /// The elements after it.
    rest: &'a [u8],
}

fn element(der: &[u8]) -> Option<DerElement<'_>> {
    let (rest, value) = Any::from_der(der).ok()?;
    Some(DerElement { value, rest })
}
