//! Encryption of one datagram between two hosts.
//!
//! It knows nothing of the plaintext, of time and of sockets. The caller has to notice datagrams that arrive twice or late.
//!
//! ```text
//! version (1) | key ID (4) | random (24) | ciphertext (as long as the plaintext) | tag (16)
//! ```
//!
//! **The cipher** is ChaCha20-Poly1305 (RFC 8439). It is fast enough on every processor for a few small datagrams. It runs in
//! constant time without the special instructions that AES needs for that.
//!
//! **Each datagram has its own key.** The random bytes are two halves. HKDF-Expand with SHA-256 (RFC 5869, section 2.3) derives
//! the key of the datagram from a key of the ring and the first half. The second half is the nonce. `XChaCha20` extends a nonce by
//! the same idea (draft-irtf-cfrg-xchacha-03). HKDF-Extract is left out, which RFC 5869, section 3.3, allows for a key that is
//! random already. Its salt would be the first half, and a forger would choose that, against section 3.4.
//!
//! The cipher fails if a key and a nonce repeat together. Here, that takes 192 equal random bits. A thousand datagrams a second
//! for a hundred years are fewer than 2^42. The chance that two of them are equal is below 2^(2 × 42 − 1 − 192) = 2^-109. With the
//! nonce of 96 bits alone it would be 2^-13. So no counter has to survive a restart, and no key grows too old.
//!
//! **The associated data** is authenticated and not sent: the name of the cluster, and the name of the addressee. Each stands
//! after its length, so that no letter can move from one to the other. A datagram that is replayed to another host, or sent
//! back, does not open. The receiver does not know the sender before it opens a datagram, so the caller puts the sender's name
//! into the plaintext.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk};

use crate::keyring::{GossipKey, KeyId, KeyRing};

/// The number of random bytes in a datagram.
pub const RANDOM_LENGTH: usize = DIVERSIFIER + NONCE_LEN;
/// The number of bytes by which a datagram is longer than its plaintext.
pub const OVERHEAD: usize = HEAD + RANDOM_LENGTH + MAX_TAG_LEN;

const VERSION: u8 = 1;
/// The number of bytes of the version and the key ID.
const HEAD: usize = 1 + KeyId::LENGTH;
/// The number of random bytes that go into the key of a datagram.
const DIVERSIFIER: usize = 12;
const KEY_LABEL: &[u8] = b"daymark gossip datagram 1";

/// The error of a datagram that does not open. The caller counts it, drops it, and does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is shorter than a datagram with an empty plaintext.
    #[error("the datagram has {0} bytes; a sealed one has {OVERHEAD} or more")]
    TooShort(usize),
    /// It is from a newer Daymark, or from another program.
    #[error("the datagram has version {0}, but this Daymark knows version {VERSION}")]
    UnknownVersion(u8),
    /// Its key is missing here: a rotation is not finished, or the datagram is from another cluster.
    #[error("the datagram is sealed with the key {0}, which is not in this host's key file")]
    UnknownKey(KeyId),
    /// Its tag does not match its content and the associated data.
    #[error("the datagram is forged or damaged, or meant for another cluster or another host")]
    Forged,
}

impl OpenError {
    /// A short name, as a label of a metric.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TooShort(_) => "tooShort",
            Self::UnknownVersion(_) => "unknownVersion",
            Self::UnknownKey(_) => "unknownKey",
            Self::Forged => "forged",
        }
    }
}

/// Seals `plaintext` for the host `to` with the first key of the ring.
///
/// `random` must be drawn anew for each datagram, from a source that is fit for keys.
#[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "256 GiB are too long (RFC 8439, section 2.8)")]
pub fn seal(ring: &KeyRing, cluster: &str, to: &str, plaintext: &[u8], random: [u8; RANDOM_LENGTH]) -> Vec<u8> {
    let key = ring.sealing();
    let DatagramCipher { cipher, nonce } = cipher(key, random);
    let mut datagram = Vec::with_capacity(OVERHEAD.saturating_add(plaintext.len()));
    datagram.push(VERSION);
    datagram.extend(key.id().bytes());
    let associated_data = associated_data(&datagram, cluster, to);
    datagram.extend(random);
    datagram.extend(plaintext);
    let text = &mut datagram[HEAD + RANDOM_LENGTH..];
    let tag = cipher.seal_in_place_separate_tag(nonce, associated_data, text).expect("the plaintext is short");
    datagram.extend(tag.as_ref());
    datagram
}

/// Opens a datagram that was sealed for the host `own` with any key of the ring. Returns the plaintext.
pub fn open(ring: &KeyRing, cluster: &str, own: &str, datagram: &[u8]) -> Result<Vec<u8>, OpenError> {
    // The version is checked first, since another version may have another form.
    if let Some(&version) = datagram.first()
        && version != VERSION
    {
        return Err(OpenError::UnknownVersion(version));
    }
    let (head, rest) = datagram.split_first_chunk::<HEAD>().ok_or(OpenError::TooShort(datagram.len()))?;
    let (random, sealed) = rest.split_first_chunk().ok_or(OpenError::TooShort(datagram.len()))?;
    let length = sealed.len().checked_sub(MAX_TAG_LEN).ok_or(OpenError::TooShort(datagram.len()))?;
    let [_, id @ ..] = *head;
    let id = KeyId::new(id);
    let DatagramCipher { cipher, nonce } = cipher(ring.find(id).ok_or(OpenError::UnknownKey(id))?, *random);
    let mut plaintext = sealed.to_vec();
    cipher.open_in_place(nonce, associated_data(head, cluster, own), &mut plaintext).map_err(|_| OpenError::Forged)?;
    plaintext.truncate(length);
    Ok(plaintext)
}

/// The cipher and the nonce of one datagram.
struct DatagramCipher {
    cipher: LessSafeKey,
    nonce: Nonce,
}

/// Derives the cipher and the nonce of one datagram from the random bytes in it.
#[expect(clippy::expect_used, reason = "HKDF makes up to 255 hashes (RFC 5869, section 2.3); all lengths are fixed")]
fn cipher(key: &GossipKey, random: [u8; RANDOM_LENGTH]) -> DatagramCipher {
    let (diversifier, nonce) = random.split_at(DIVERSIFIER);
    let secret = Prk::new_less_safe(HKDF_SHA256, key.secret());
    let info = [KEY_LABEL, diversifier];
    let secret = secret.expand(&info, &CHACHA20_POLY1305).expect("one hash is long enough");
    let nonce = Nonce::try_assume_unique_for_key(nonce).expect("the other half is a nonce");
    DatagramCipher { cipher: LessSafeKey::new(UnboundKey::from(secret)), nonce }
}

/// The data that is authenticated and not encrypted.
fn associated_data(head: &[u8], cluster: &str, to: &str) -> Aad<Vec<u8>> {
    let mut data = head.to_vec();
    for name in [cluster, to] {
        data.extend((name.len() as u64).to_be_bytes());
        data.extend(name.as_bytes());
    }
    Aad::from(data)
}

#[cfg(test)]
mod tests;
