//! The role of a key: the records that it signs.

use std::fmt::{self, Display, Formatter};

/// The records that a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// Every record (combined signing key).
    Combined,
    /// The keys of the zone (key signing key).
    KeySigning,
    /// All records but the keys (zone signing key).
    ZoneSigning,
}

impl KeyRole {
    /// True if the key signs the keys of the zone. A DS record of the parent refers to such a key.
    pub fn signs_keys(self) -> bool {
        self != Self::ZoneSigning
    }

    /// True if the key signs the records that are not keys.
    pub fn signs_records(self) -> bool {
        self != Self::KeySigning
    }

    /// The flags of the DNSKEY record: zone key, and secure entry point (RFC 4034, section 2.1.1).
    pub(super) fn flags(self) -> u16 {
        if self.signs_keys() { 257 } else { 256 }
    }
}

impl Display for KeyRole {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Combined => "csk",
            Self::KeySigning => "ksk",
            Self::ZoneSigning => "zsk",
        })
    }
}
