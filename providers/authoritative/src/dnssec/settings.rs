//! The settings of a signed zone.

use super::key::DnssecKey;
use super::role::KeyRole;

/// The way to sign a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningSettings {
    /// The keys of the zone. Those that sign must cover both the keys and the other records.
    pub keys: Vec<ZoneKey>,
    /// The proof that a name or a type does not exist.
    pub denial: DenialOfExistence,
}

/// One key of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneKey {
    /// The key.
    pub key: DnssecKey,
    /// The records that the key signs.
    pub role: KeyRole,
    /// The key signs. Otherwise it is only published, so that resolvers know it before it signs or after it has signed (RFC 6781,
    /// section 4.1.1.1).
    pub is_active: bool,
}

/// The kind of proof that a name or a type does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DenialOfExistence {
    /// NSEC records (RFC 4034, section 4), which show the names of the zone.
    #[default]
    Nsec,
    /// NSEC3 records (RFC 5155), which show hashes of the names. Without iterations and salt (RFC 9276, section 3.1).
    Nsec3,
}

impl SigningSettings {
    /// True if active keys sign both the keys of the zone and its other records.
    pub fn covers_zone(&self) -> bool {
        let mut active = self.keys.iter().filter(|key| key.is_active).map(|key| key.role);
        let signs_keys = active.clone().any(KeyRole::signs_keys);
        signs_keys && active.any(KeyRole::signs_records)
    }
}
