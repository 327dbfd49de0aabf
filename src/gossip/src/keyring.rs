//! The keys that all hosts share: their text form, their IDs, and the choice of the key that seals.
//!
//! It knows nothing of files, and nothing of the datagrams that are sealed.
//!
//! The first key seals and every key opens. So a key is replaced without a gap in three steps. Each step is done on every host
//! before the next one begins:
//!
//! 1. The new key is added as the last line.
//! 2. It is moved to the front.
//! 3. The old key is removed.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// The most keys in a ring. A rotation needs two.
pub const MAX_KEYS: usize = 8;
/// The number of bytes of a key.
pub const SECRET_LENGTH: usize = 32;
const ID_LABEL: &[u8] = b"daymark gossip key id";

/// The keys of a key file, at least one. `Debug` shows their IDs.
#[derive(Debug)]
pub struct KeyRing {
    first: GossipKey,
    others: Vec<GossipKey>,
}

/// A secret key. Its bytes are wiped when it is dropped. Copies that the crypto library makes for a call are not wiped.
pub struct GossipKey {
    id: KeyId,
    secret: Zeroizing<[u8; SECRET_LENGTH]>,
}

/// The public name of a key: the first bytes of a SHA-256 over a label and the key. Shown in hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; Self::LENGTH]);

/// The error in the text of a key ring. The operator has to mend it. No message shows a part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// Every line is blank or a comment.
    #[error("there is no key in it; `daymark keygen` makes one")]
    Empty,
    /// A line does not begin with 32 bytes in base64.
    #[error(
        "line {line} does not begin with a key; a key (32 bytes in base64, as `daymark keygen` prints it), a blank \
         line or a comment after # is allowed"
    )]
    NotAKey {
        /// Counted from 1.
        line: usize,
    },
    /// A key is one byte over and over, or text that someone chose.
    #[error("the key in line {line} is not random, so it can be guessed; `daymark keygen` makes a random one")]
    NotRandom {
        /// Counted from 1.
        line: usize,
    },
    /// A key is there twice. Two different keys with one ID count as the same, since datagrams could not tell them apart. The
    /// chance of that is below one in a hundred million.
    #[error("the key in line {line} has the ID {id}, like an earlier one; each key is allowed once")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// The ID of both.
        id: KeyId,
    },
    /// There are more keys than a rotation can need.
    #[error("line {line} has one key too many; {MAX_KEYS} are allowed, and a rotation needs two")]
    TooMany {
        /// Counted from 1.
        line: usize,
    },
}

impl KeyRing {
    /// Reads the text of a key file: one key a line, in base64 (RFC 4648, section 4). Text after a key on its line is a comment.
    /// A line may also be blank, or a comment after `#`.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<GossipKey> = Vec::new();
        for (line, content) in (1..).zip(text.lines()) {
            let Some(word) = content.split_whitespace().next().filter(|word| !word.starts_with('#')) else { continue };
            let key = GossipKey::decode(word, line)?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(KeyRingError::Twice { line, id: key.id });
            }
            if keys.len() == MAX_KEYS {
                return Err(KeyRingError::TooMany { line });
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(KeyRingError::Empty)?;
        Ok(Self { first, others: keys.collect() })
    }

    /// The IDs of all keys; the first is that of the key that seals.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys().map(GossipKey::id)
    }

    /// The key that seals.
    pub(crate) fn sealing(&self) -> &GossipKey {
        &self.first
    }

    /// The key of this ID.
    pub(crate) fn find(&self, id: KeyId) -> Option<&GossipKey> {
        self.keys().find(|key| key.id == id)
    }

    fn keys(&self) -> impl Iterator<Item = &GossipKey> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl GossipKey {
    /// Makes a key of bytes that the caller has drawn at random.
    pub fn new(secret: Zeroizing<[u8; SECRET_LENGTH]>) -> Self {
        let hash = digest(&SHA256, &Zeroizing::new([ID_LABEL, secret.as_slice()].concat()));
        let mut id = [0; KeyId::LENGTH];
        id.copy_from_slice(&hash.as_ref()[..KeyId::LENGTH]);
        Self { id: KeyId(id), secret }
    }

    /// The public name of the key.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key in base64, as in a key file.
    pub fn encoded(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.secret()))
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.as_slice()
    }

    fn decode(word: &str, line: usize) -> Result<Self, KeyRingError> {
        let not_a_key = || KeyRingError::NotAKey { line };
        let max_length = BASE64.decode_len(word.len()).map_err(|_| not_a_key())?;
        let mut bytes = Zeroizing::new(vec![0; max_length]);
        let length = BASE64.decode_mut(word.as_bytes(), &mut bytes).map_err(|_| not_a_key())?;
        let secret = <[u8; SECRET_LENGTH]>::try_from(&bytes[..length]).map(Zeroizing::new).map_err(|_| not_a_key())?;
        // The chance that a random key is of one byte or of printable characters alone is below one in a million million.
        let repeats_one_byte = secret.iter().all(|&byte| byte == secret[0]);
        if repeats_one_byte || secret.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(KeyRingError::NotRandom { line });
        }
        Ok(Self::new(secret))
    }
}

impl fmt::Debug for GossipKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GossipKey({})", self.id)
    }
}

impl KeyId {
    pub(crate) const LENGTH: usize = 4;

    pub(crate) fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(self) -> [u8; Self::LENGTH] {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
