//! The keys that sign the zones, as a configuration writes them.

use daymark_authoritative::{DenialOfExistence, KeyRole};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::key::Key;
use crate::values::{FilePath, Text};

/// Signing the zones (DNSSEC).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Dnssec")]
pub(crate) struct RawDnssec {
    /// The keys of the zones, the same on every host.
    #[schemars(length(min = 1))]
    pub(crate) keys: Key<Vec<Key<RawDnssecKey>>>,
    /// The records that prove that a name does not exist; `nsec3` hides the names of the zone.
    #[serde(default)]
    #[schemars(extend("default" = "nsec"))]
    pub(crate) denial: Key<Text<DenialOfExistence>>,
}

/// One key of the zones.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "DnssecKey")]
pub(crate) struct RawDnssecKey {
    /// The file of the private key, as `daymark dnskey generate` makes it; read again when it changes.
    pub(crate) file: Key<Text<FilePath>>,
    /// The records that it signs: `ksk` the keys, `zsk` the rest, `csk` both.
    #[serde(default)]
    #[schemars(extend("default" = "csk"))]
    pub(crate) role: Key<Text<KeyRole>>,
    /// Publish the key, but sign nothing with it.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(crate) publish_only: Key<bool>,
}
