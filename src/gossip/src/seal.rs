//! One datagram between two hosts, sealed and opened. It knows nothing of what is inside, of time and of sockets; that a
//! datagram comes twice or late is for the caller to see.
//!
//! ```text
//! version (1) | key ID (4) | random (24) | ciphertext (as long as the plaintext) | tag (16)
//! ```
//!
//! **The cipher** is ChaCha20-Poly1305 (RFC 8439): as quick as these few small datagrams need on every processor, and in
//! constant time without the instructions that AES needs for it.
//!
//! **A key for each datagram.** The random bytes are two halves. From the first half and the key of the ring, HKDF-Expand
//! with SHA-256 makes the key of this datagram alone; the second half is the nonce. This is the idea of the extended nonce
//! (draft-irtf-cfrg-xchacha-03). HKDF-Extract is left out, as RFC 5869 (section 3.3) allows where a key is random already:
//! the half would be its salt, and a receiver that opens a forgery would let the forger choose that, against section 3.4.
//!
//! A cipher fails where key and nonce repeat together, and here that takes 192 equal random bits. A thousand datagrams a
//! second for a hundred years are fewer than 2^42, and two of them are equal with a probability of less than
//! 2^(2 × 42 − 1 − 192) = 2^-109; with the nonce of 96 bits alone it would be 2^-13. So no counter has to survive a
//! restart, and no key grows too old.
//!
//! **What is bound in** without being sent: the name of the cluster and the host that it is for, each after its length, so
//! that nothing can be shifted from one to the other. A datagram that is replayed to another host, or sent back, is forged.
//! The receiver cannot know the sender before it opens; so the caller puts the sender's name into the plaintext.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk};

use crate::keyring::{Key, KeyId, KeyRing};

/// The random bytes of a datagram.
pub const RANDOM_LENGTH: usize = DIVERSIFIER + NONCE_LEN;
/// How much longer a datagram is than what it seals.
pub const OVERHEAD: usize = HEAD + RANDOM_LENGTH + MAX_TAG_LEN;

const VERSION: u8 = 1;
/// The version and the key ID.
const HEAD: usize = 1 + KeyId::LENGTH;
/// The random bytes that make the key of a datagram.
const DIVERSIFIER: usize = 12;
const KEY_LABEL: &[u8] = b"daymark gossip datagram 1";

/// Why a datagram was not opened. The caller counts it, drops it, and answers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// It has not even the bytes that all datagrams have.
    #[error("the datagram is {0} bytes long, and a sealed one is {OVERHEAD} at least")]
    TooShort(usize),
    /// It comes from a newer Daymark, or from something else.
    #[error("the datagram has version {0}, and this Daymark knows version {VERSION}")]
    UnknownVersion(u8),
    /// A rotation was cut short, or it comes from another cluster.
    #[error("the datagram is sealed with the key {0}, which is not in the key file here")]
    UnknownKey(KeyId),
    /// The tag is wrong.
    #[error("the datagram is forged or damaged, or meant for another cluster or another host")]
    Forged,
}

impl Unsealed {
    /// A short name for it, such as a metric needs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TooShort(_) => "too-short",
            Self::UnknownVersion(_) => "unknown-version",
            Self::UnknownKey(_) => "unknown-key",
            Self::Forged => "forged",
        }
    }
}

/// Seals `plaintext` for the host `to` with the first key. `random` must be drawn anew for each datagram, from a source
/// fit for keys.
#[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "256 GiB are too long (RFC 8439, section 2.8)")]
pub fn seal(ring: &KeyRing, cluster: &str, to: &str, plaintext: &[u8], random: [u8; RANDOM_LENGTH]) -> Vec<u8> {
    let key = ring.sealing();
    let (cipher, nonce) = cipher(key, random);
    let mut datagram = Vec::with_capacity(OVERHEAD + plaintext.len());
    datagram.push(VERSION);
    datagram.extend(key.id().bytes());
    let bound = bound(&datagram, cluster, to);
    datagram.extend(random);
    datagram.extend(plaintext);
    let text = &mut datagram[HEAD + RANDOM_LENGTH..];
    let tag = cipher.seal_in_place_separate_tag(nonce, bound, text).expect("the plaintext is short");
    datagram.extend(tag.as_ref());
    datagram
}

/// Opens a datagram that was sealed for the host `own` with any key of the ring, and gives the plaintext.
pub fn open(ring: &KeyRing, cluster: &str, own: &str, datagram: &[u8]) -> Result<Vec<u8>, Unsealed> {
    // The version comes first, for another one may have another form.
    if let Some(&version) = datagram.first()
        && version != VERSION
    {
        return Err(Unsealed::UnknownVersion(version));
    }
    let (head, rest) = datagram.split_first_chunk::<HEAD>().ok_or(Unsealed::TooShort(datagram.len()))?;
    let (random, sealed) = rest.split_first_chunk().ok_or(Unsealed::TooShort(datagram.len()))?;
    if sealed.len() < MAX_TAG_LEN {
        return Err(Unsealed::TooShort(datagram.len()));
    }
    let [_, id @ ..] = *head;
    let id = KeyId::new(id);
    let (cipher, nonce) = cipher(ring.find(id).ok_or(Unsealed::UnknownKey(id))?, *random);
    let mut plaintext = sealed.to_vec();
    cipher.open_in_place(nonce, bound(head, cluster, own), &mut plaintext).map_err(|_| Unsealed::Forged)?;
    plaintext.truncate(sealed.len() - MAX_TAG_LEN);
    Ok(plaintext)
}

/// The cipher of one datagram, with the key that is its own.
#[expect(clippy::expect_used, reason = "HKDF makes up to 255 hashes (RFC 5869, section 2.3); all lengths are fixed")]
fn cipher(key: &Key, random: [u8; RANDOM_LENGTH]) -> (LessSafeKey, Nonce) {
    let (diversifier, nonce) = random.split_at(DIVERSIFIER);
    let secret = Prk::new_less_safe(HKDF_SHA256, key.secret());
    let info = [KEY_LABEL, diversifier];
    let secret = secret.expand(&info, &CHACHA20_POLY1305).expect("one hash is long enough");
    let nonce = Nonce::try_assume_unique_for_key(nonce).expect("the other half is a nonce");
    (LessSafeKey::new(UnboundKey::from(secret)), nonce)
}

/// What is authenticated without being encrypted.
fn bound(head: &[u8], cluster: &str, to: &str) -> Aad<Vec<u8>> {
    let mut bound = head.to_vec();
    for name in [cluster, to] {
        bound.extend((name.len() as u64).to_be_bytes());
        bound.extend(name.as_bytes());
    }
    Aad::from(bound)
}

#[cfg(test)]
mod tests;
