//! The keys that sign the zones.

use std::collections::BTreeMap;

use daymark_authoritative::{DenialOfExistence, KeyRole};

use super::{Checker, files};
use crate::findings::Location;
use crate::key::{Key, Located};
use crate::raw::{RawDnssec, RawDnssecKey};
use crate::values::Text;
use crate::{DnssecConfig, DnssecKeyConfig};

impl Checker<'_> {
    /// The keys of the zones; `None` if there are none, or one of them is faulty.
    pub(super) fn dnssec(&mut self, dnssec: Key<RawDnssec>) -> Option<DnssecConfig> {
        let Located { value: raw, location } = dnssec.present()?;
        let mut seen = BTreeMap::new();
        let mut keys = Vec::new();
        let given = self.list(raw.keys, "keys", location, "key");
        let count = given.len();
        for Located { value: raw, location } in given {
            let Some(key) = self.dnssec_key(raw, location) else { continue };
            self.once(&mut seen, key.file.display().to_string(), location, "key");
            keys.push(key);
        }
        if !keys.is_empty() && keys.len() == count {
            self.keys_cover_zone(&keys, location);
        }
        Some(DnssecConfig { keys, denial: raw.denial.or(Text(DenialOfExistence::Nsec)).0 })
    }

    fn dnssec_key(&mut self, raw: RawDnssecKey, location: Location) -> Option<DnssecKeyConfig> {
        if matches!(raw.file, Key::Absent) {
            self.findings.missing(
                location,
                "file",
                "the path of a file is needed; `daymark dnskey generate` makes one",
            );
        }
        Some(DnssecKeyConfig {
            file: self.secret_file(raw.file, files::dnssec_key)?,
            role: raw.role.or(Text(KeyRole::Combined)).0,
            publish_only: raw.publish_only.or(false),
        })
    }

    /// Reports records that no key signs.
    fn keys_cover_zone(&mut self, keys: &[DnssecKeyConfig], location: Location) {
        let is_signed = |signs: fn(KeyRole) -> bool| keys.iter().any(|key| !key.publish_only && signs(key.role));
        if !is_signed(KeyRole::signs_keys) {
            let message = "no key signs the keys of the zones; one of role csk or ksk without `publishOnly` is needed";
            self.findings.error(location, message.to_owned());
        }
        if !is_signed(KeyRole::signs_records) {
            let message =
                "no key signs the records of the zones; one of role csk or zsk without `publishOnly` is needed";
            self.findings.error(location, message.to_owned());
        }
    }
}
