//! The algorithms of keys and of signatures, with their names for people.

use std::fmt;

use x509_parser::der_parser::asn1_rs::{Any, FromDer, Oid, Tag};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// The bits of an RSA key that Daymark verifies with. Go has the same bounds in TLS.
const RSA_BITS: std::ops::RangeInclusive<usize> = 1024..=8192;
/// From this size on, ring verifies RSA.
pub(crate) const RSA_BITS_OF_RING: usize = 2048;

/// A hash that Go accepts in a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// A curve that Go accepts in a certificate and in TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// The algorithm of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyAlgorithm {
    /// RSA from 2048 bits on.
    Rsa,
    /// RSA below 2048 bits.
    ShortRsa,
    Ecdsa(Curve),
    Ed25519,
    /// No signature of such a key can be verified. It has its name.
    Unsupported(String),
}

/// The algorithm of a signature in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ecdsa(Hash),
    Ed25519,
    /// It cannot be verified. It has its name.
    Unsupported(String),
}

impl KeyAlgorithm {
    pub(crate) fn of(key: &SubjectPublicKeyInfo<'_>) -> Self {
        match Self::of_identifier(&key.algorithm) {
            Self::Rsa => of_rsa(key),
            algorithm => algorithm,
        }
    }

    /// The algorithm that an identifier names. It does not know the size of an RSA key.
    pub(crate) fn of_identifier(identifier: &AlgorithmIdentifier<'_>) -> Self {
        match identifier.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => Self::Rsa,
            "1.2.840.10045.2.1" => Self::of_curve(identifier.parameters.as_ref()),
            "1.3.101.112" => Self::Ed25519,
            "1.3.101.113" => Self::Unsupported("Ed448".to_owned()),
            "1.2.840.113549.1.1.10" => Self::Unsupported("RSA restricted to PSS".to_owned()),
            "1.2.840.10040.4.1" => Self::Unsupported("DSA".to_owned()),
            oid => Self::Unsupported(format!("the algorithm {oid}")),
        }
    }

    /// ECDSA with the curve of these parameters. RFC 5480, section 2.1.1, allows only its identifier.
    pub(crate) fn of_curve(parameters: Option<&Any<'_>>) -> Self {
        let named = parameters.filter(|parameters| parameters.tag() == Tag::Oid);
        let oid = named.and_then(|parameters| parameters.as_oid().ok());
        match oid.map(|oid| oid.to_id_string()).as_deref() {
            Some("1.2.840.10045.3.1.7") => Self::Ecdsa(Curve::P256),
            Some("1.3.132.0.34") => Self::Ecdsa(Curve::P384),
            Some("1.3.132.0.35") => Self::Ecdsa(Curve::P521),
            Some("1.3.132.0.33") => Self::Unsupported("ECDSA with the curve P-224".to_owned()),
            Some("1.3.132.0.10") => Self::Unsupported("ECDSA with the curve secp256k1".to_owned()),
            Some(oid) => Self::Unsupported(format!("ECDSA with the curve {oid}")),
            None => Self::Unsupported("ECDSA without a named curve".to_owned()),
        }
    }
}

fn of_rsa(key: &SubjectPublicKeyInfo<'_>) -> KeyAlgorithm {
    let Ok(PublicKey::RSA(rsa)) = key.parsed() else {
        return KeyAlgorithm::Unsupported("RSA with a malformed key".to_owned());
    };
    match modulus_bits(rsa.modulus) {
        bits if !RSA_BITS.contains(&bits) => KeyAlgorithm::Unsupported(format!("RSA with {bits} bits")),
        RSA_BITS_OF_RING.. => KeyAlgorithm::Rsa,
        _ => KeyAlgorithm::ShortRsa,
    }
}

/// The bits of a number, the most significant byte first.
pub(crate) fn modulus_bits(modulus: &[u8]) -> usize {
    let digits = modulus.iter().skip_while(|&&byte| byte == 0);
    match digits.clone().next() {
        Some(first) => digits.count() * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "RSA",
            Self::ShortRsa => "RSA with fewer than 2048 bits",
            Self::Ecdsa(Curve::P256) => "ECDSA with the curve P-256",
            Self::Ecdsa(Curve::P384) => "ECDSA with the curve P-384",
            Self::Ecdsa(Curve::P521) => "ECDSA with the curve P-521",
            Self::Ed25519 => "Ed25519",
            Self::Unsupported(name) => name,
        })
    }
}

impl SignatureAlgorithm {
    pub(crate) fn of(algorithm: &AlgorithmIdentifier<'_>) -> Self {
        let unsupported = |name: &str| Self::Unsupported(name.to_owned());
        match algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.11" => Self::RsaPkcs1(Hash::Sha256),
            "1.2.840.113549.1.1.12" => Self::RsaPkcs1(Hash::Sha384),
            "1.2.840.113549.1.1.13" => Self::RsaPkcs1(Hash::Sha512),
            "1.2.840.113549.1.1.10" => of_pss(algorithm.parameters.as_ref()),
            "1.2.840.10045.4.3.2" => Self::Ecdsa(Hash::Sha256),
            "1.2.840.10045.4.3.3" => Self::Ecdsa(Hash::Sha384),
            "1.2.840.10045.4.3.4" => Self::Ecdsa(Hash::Sha512),
            "1.3.101.112" => Self::Ed25519,
            "1.2.840.113549.1.1.4" => unsupported("RSA with MD5"),
            "1.2.840.113549.1.1.5" => unsupported("RSA with SHA-1"),
            "1.2.840.113549.1.1.14" => unsupported("RSA with SHA-224"),
            "1.2.840.10045.4.1" => unsupported("ECDSA with SHA-1"),
            "1.2.840.10045.4.3.1" => unsupported("ECDSA with SHA-224"),
            "1.3.101.113" => unsupported("Ed448"),
            oid => Self::Unsupported(format!("the algorithm {oid}")),
        }
    }
}

/// RFC 4055, section 3.1. As in Go, one hash is used throughout, and the salt is as long as it.
fn of_pss(parameters: Option<&Any<'_>>) -> SignatureAlgorithm {
    let of = |hash: Hash| {
        let (oid, salt): (&[u8], u8) = match hash {
            Hash::Sha256 => (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01], 32),
            Hash::Sha384 => (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02], 48),
            Hash::Sha512 => (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03], 64),
        };
        parameters.is_some_and(|parameters| is_pss_of(parameters, oid, salt))
    };
    let hash = [Hash::Sha256, Hash::Sha384, Hash::Sha512].into_iter().find(|&hash| of(hash));
    let name = || "RSA-PSS with other parameters than SHA-256, SHA-384 or SHA-512 throughout".to_owned();
    hash.map_or_else(|| SignatureAlgorithm::Unsupported(name()), SignatureAlgorithm::RsaPss)
}

fn is_pss_of(parameters: &Any<'_>, hash: &[u8], salt: u8) -> bool {
    /// The bytes of an element: a tag, a length and the content.
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        // None of these is longer than 127 bytes, so that one byte is the length.
        let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
        [&[tag, length], content].concat()
    }
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
    let with_null = element(SEQUENCE, &[element(OBJECT_IDENTIFIER, hash), vec![0x05, 0x00]].concat());
    let without_null = element(SEQUENCE, &element(OBJECT_IDENTIFIER, hash));
    [with_null, without_null].into_iter().any(|hash| {
        let mask = element(SEQUENCE, &[element(OBJECT_IDENTIFIER, MGF1), hash.clone()].concat());
        let expected = [element(0xa0, &hash), element(0xa1, &mask), element(0xa2, &[0x02, 0x01, salt])].concat();
        parameters.data == expected
    })
}

/// The object identifier that these bytes are, as text; for names of extensions.
pub(crate) fn oid_text(oid: &Oid<'_>) -> String {
    oid.to_id_string()
}

/// Parses exactly one value, with nothing behind it.
pub(crate) fn whole<'a, T, E>(der: &'a [u8]) -> Option<T>
where
    T: FromDer<'a, E>,
    E: fmt::Debug,
{
    match T::from_der(der) {
        Ok(([], value)) => Some(value),
        _ => None,
    }
}
