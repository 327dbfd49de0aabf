//! A key that signs zones: ECDSA with the curve P-256 and SHA-256 (RFC 6605).

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use data_encoding::BASE64;
use hickory_proto::ProtoError;
use hickory_proto::dnssec::rdata::{DNSKEY, DS};
use hickory_proto::dnssec::{Algorithm, DigestType, PublicKeyBuf};
use hickory_proto::rr::Name;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use zeroize::Zeroizing;

use super::role::KeyRole;

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// A key that signs zones. Its private part is never shown.
#[derive(Clone)]
pub struct DnssecKey {
    pair: Arc<EcdsaKeyPair>,
    public: PublicKeyBuf,
}

/// A key that cannot be made or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnssecKeyError {
    /// The kernel gives no random bytes.
    #[error("the kernel gives no random bytes")]
    Random,
    /// The bytes are no key of this kind.
    #[error("is no private key of ECDSA P-256 in PKCS#8, which is needed; `daymark dnskey generate` makes one")]
    Unsupported,
    /// The name of the zone is invalid.
    #[error("the name of the zone is no DNS name")]
    ZoneName,
}

impl DnssecKey {
    /// Generates a key. Returns its private part as PKCS#8 in PEM.
    pub fn generate_pem() -> Result<Zeroizing<String>, DnssecKeyError> {
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let der = pair.map_err(|_| DnssecKeyError::Random)?;
        let body = Zeroizing::new(BASE64.encode(der.as_ref()));
        let mut pem = Zeroizing::new(format!("{PEM_BEGIN}\n"));
        for line in body.as_bytes().chunks(64) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem.push_str(PEM_END);
        pem.push('\n');
        Ok(pem)
    }

    /// Reads a key that [`generate_pem`](Self::generate_pem) has made.
    pub fn from_pem(pem: &str) -> Result<Self, DnssecKeyError> {
        let body = pem.lines().filter(|line| *line != PEM_BEGIN && *line != PEM_END).collect::<String>();
        let der = BASE64.decode(Zeroizing::new(body).as_bytes()).map_err(|_| DnssecKeyError::Unsupported)?;
        Self::from_pkcs8(&Zeroizing::new(der))
    }

    /// Reads a key from PKCS#8 in DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, DnssecKeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new());
        let pair = pair.map_err(|_| DnssecKeyError::Unsupported)?;
        // DNS leaves out the first byte, which says that the point is uncompressed (RFC 6605, section 4).
        let point = pair.public_key().as_ref().get(1..).unwrap_or_default().to_vec();
        let public = PublicKeyBuf::new(point, Algorithm::ECDSAP256SHA256);
        Ok(Self { pair: Arc::new(pair), public })
    }

    /// The DNSKEY record of the key in a zone, as a line of a master file.
    pub fn dnskey_line(&self, zone: &str, role: KeyRole) -> Result<String, DnssecKeyError> {
        let zone = zone_name(zone)?;
        Ok(format!("{zone} IN DNSKEY {}", self.dnskey(role)))
    }

    /// The DS record of the key for the parent of a zone, as a line of a master file.
    pub fn ds_line(&self, zone: &str, role: KeyRole) -> Result<String, DnssecKeyError> {
        let zone = zone_name(zone)?;
        let ds = self.ds(&zone, role).map_err(|_| DnssecKeyError::ZoneName)?;
        Ok(format!("{zone} IN DS {ds}"))
    }

    /// The tag by which signatures refer to the key.
    pub fn tag(&self, role: KeyRole) -> u16 {
        self.dnskey(role).calculate_key_tag().unwrap_or_default()
    }

    pub(crate) fn dnskey(&self, role: KeyRole) -> DNSKEY {
        DNSKEY::with_flags(role.flags(), self.public.clone())
    }

    pub(crate) fn ds(&self, zone: &Name, role: KeyRole) -> Result<DS, ProtoError> {
        let dnskey = self.dnskey(role);
        let digest = dnskey.to_digest(zone, DigestType::SHA256)?.as_ref().to_vec();
        Ok(DS::new(dnskey.calculate_key_tag()?, Algorithm::ECDSAP256SHA256, DigestType::SHA256, digest))
    }

    /// The public key, as the DNSKEY record has it.
    pub(super) fn public(&self) -> &PublicKeyBuf {
        &self.public
    }

    pub(super) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, ProtoError> {
        let signature = self.pair.sign(&SystemRandom::new(), data);
        Ok(signature.map_err(|_| ProtoError::from("the kernel gives no random bytes"))?.as_ref().to_vec())
    }
}

/// Reads the name of a zone.
fn zone_name(text: &str) -> Result<Name, DnssecKeyError> {
    let mut name = Name::from_ascii(text).map_err(|_| DnssecKeyError::ZoneName)?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

impl PartialEq for DnssecKey {
    fn eq(&self, other: &Self) -> bool {
        self.pair.public_key().as_ref() == other.pair.public_key().as_ref()
    }
}

impl Eq for DnssecKey {}

impl Debug for DnssecKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DnssecKey({})", self.tag(KeyRole::Combined))
    }
}
