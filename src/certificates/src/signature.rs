//! Verifies signatures: by ring, and by the crates of `RustCrypto` for the algorithms that ring lacks.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::signature as of_ring;
use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, PublicKey as RsaPublicKey};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::public_key::RSAPublicKey;

use crate::algorithm::{Curve, Hash, KeyAlgorithm, SignatureAlgorithm, whole};

/// The bytes of an element of the field of P-521.
const P521_BYTES: usize = 66;

/// A public key.
#[derive(Clone, Debug)]
pub(crate) struct PublicKey {
    pub(crate) algorithm: KeyAlgorithm,
    /// The bits of the key, without its algorithm.
    pub(crate) bits: Vec<u8>,
}

/// A signature that does not prove anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignatureFault {
    /// It is not the signature of this key.
    Wrong,
    /// The algorithm is not supported. It has its name.
    Unsupported(String),
}

impl PublicKey {
    /// Verifies a signature over a message.
    pub(crate) fn verify(
        &self,
        algorithm: &SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureFault> {
        if let SignatureAlgorithm::Unsupported(name) = algorithm {
            return Err(SignatureFault::Unsupported(name.clone()));
        }
        let by_ring = |by: &'static dyn VerificationAlgorithm| {
            UnparsedPublicKey::new(by, &self.bits).verify(message, signature).is_ok()
        };
        let is_good = match (&self.algorithm, algorithm) {
            (KeyAlgorithm::Unsupported(name), _) => return Err(SignatureFault::Unsupported(name.clone())),
            (KeyAlgorithm::Rsa, SignatureAlgorithm::RsaPkcs1(hash)) => by_ring(rsa_pkcs1(*hash)),
            (KeyAlgorithm::Rsa, SignatureAlgorithm::RsaPss(hash)) => by_ring(rsa_pss(*hash)),
            (KeyAlgorithm::ShortRsa, SignatureAlgorithm::RsaPkcs1(hash)) => {
                self.short_rsa(*hash, false, message, signature)
            }
            (KeyAlgorithm::ShortRsa, SignatureAlgorithm::RsaPss(hash)) => {
                self.short_rsa(*hash, true, message, signature)
            }
            (KeyAlgorithm::Ecdsa(curve), SignatureAlgorithm::Ecdsa(hash)) => match ecdsa(*curve, *hash) {
                Some(by) => by_ring(by),
                None => self.other_ecdsa(*curve, *hash, message, signature),
            },
            (KeyAlgorithm::Ed25519, SignatureAlgorithm::Ed25519) => by_ring(&of_ring::ED25519),
            _ => false,
        };
        if is_good { Ok(()) } else { Err(SignatureFault::Wrong) }
    }

    fn short_rsa(&self, hash: Hash, is_pss: bool, message: &[u8], signature: &[u8]) -> bool {
        let Some(key) = whole::<RSAPublicKey<'_>, _>(&self.bits) else { return false };
        let number = BoxedUint::from_be_slice_vartime;
        let Ok(key) = RsaPublicKey::new(number(key.modulus), number(key.exponent)) else { return false };
        let hashed = digest(hash, message);
        let verified = match (hash, is_pss) {
            (Hash::Sha256, false) => key.verify(Pkcs1v15Sign::new::<Sha256>(), &hashed, signature),
            (Hash::Sha384, false) => key.verify(Pkcs1v15Sign::new::<Sha384>(), &hashed, signature),
            (Hash::Sha512, false) => key.verify(Pkcs1v15Sign::new::<Sha512>(), &hashed, signature),
            (Hash::Sha256, true) => key.verify(Pss::<Sha256>::new(), &hashed, signature),
            (Hash::Sha384, true) => key.verify(Pss::<Sha384>::new(), &hashed, signature),
            (Hash::Sha512, true) => key.verify(Pss::<Sha512>::new(), &hashed, signature),
        };
        verified.is_ok()
    }

    /// ECDSA with a curve or a hash that ring lacks. FIPS 186-5, section 6.4.2, cuts a hash that is longer than the curve's order.
    fn other_ecdsa(&self, curve: Curve, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        let hashed = digest(hash, message);
        match curve {
            Curve::P256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&self.bits);
                let signature = p256::ecdsa::Signature::from_der(signature);
                key.and_then(|key| key.verify_prehash(&hashed, &signature?)).is_ok()
            }
            Curve::P384 => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&self.bits);
                let signature = p384::ecdsa::Signature::from_der(signature);
                key.and_then(|key| key.verify_prehash(&hashed, &signature?)).is_ok()
            }
            Curve::P521 => {
                // The crate wants a hash of at least half the field. A shorter one is the same number with zeros before it.
                let padded = [vec![0; P521_BYTES - hashed.len()], hashed].concat();
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&self.bits);
                let signature = p521::ecdsa::Signature::from_der(signature);
                key.and_then(|key| key.verify_prehash(&padded, &signature?)).is_ok()
            }
        }
    }
}

fn digest(hash: Hash, message: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => Sha256::digest(message).to_vec(),
        Hash::Sha384 => Sha384::digest(message).to_vec(),
        Hash::Sha512 => Sha512::digest(message).to_vec(),
    }
}

fn rsa_pkcs1(hash: Hash) -> &'static dyn VerificationAlgorithm {
    match hash {
        Hash::Sha256 => &of_ring::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &of_ring::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &of_ring::RSA_PKCS1_2048_8192_SHA512,
    }
}

fn rsa_pss(hash: Hash) -> &'static dyn VerificationAlgorithm {
    match hash {
        Hash::Sha256 => &of_ring::RSA_PSS_2048_8192_SHA256,
        Hash::Sha384 => &of_ring::RSA_PSS_2048_8192_SHA384,
        Hash::Sha512 => &of_ring::RSA_PSS_2048_8192_SHA512,
    }
}

/// The implementation of ring, if it has one.
fn ecdsa(curve: Curve, hash: Hash) -> Option<&'static dyn VerificationAlgorithm> {
    match (curve, hash) {
        (Curve::P256, Hash::Sha256) => Some(&of_ring::ECDSA_P256_SHA256_ASN1),
        (Curve::P256, Hash::Sha384) => Some(&of_ring::ECDSA_P256_SHA384_ASN1),
        (Curve::P384, Hash::Sha256) => Some(&of_ring::ECDSA_P384_SHA256_ASN1),
        (Curve::P384, Hash::Sha384) => Some(&of_ring::ECDSA_P384_SHA384_ASN1),
        (Curve::P256 | Curve::P384, Hash::Sha512) | (Curve::P521, _) => None,
    }
}
