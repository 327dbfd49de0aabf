//! The Cloudflare provider as it is written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::key::Key;
use crate::values::{
    ApiBase, BoundedDuration, CloudflareManage, CloudflareMode, DnsName, FilePath, HexId, OwnerText, PoolText,
    ProviderName, Text, Variable, Whole, ZoneText, duration_text,
};

pub(crate) const DRIFT_INTERVAL: Duration = Duration::from_mins(5);
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const CALL_SHARE: u8 = 25;

/// A day in milliseconds.
const DAY: u64 = 86_400_000;

pub(crate) type CloudflareTtl = BoundedDuration<5_000, DAY>;

/// Writing to Cloudflare, with exactly one of `tokenFile` and `tokenVariable`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Cloudflare")]
pub(crate) struct RawCloudflare {
    /// `records`: one DNS record a healthy address; `loadBalancing`: the switches of the origins of a Load Balancing pool.
    pub(crate) mode: Key<Text<CloudflareMode>>,
    /// Its name in logs, metrics and `daymark status`; by default `cloudflare`, then `cloudflare-2` and so on.
    #[serde(default)]
    pub(crate) name: Key<Text<ProviderName>>,
    /// A file with the API token, white space around it ignored; read again when it changes.
    #[serde(default)]
    pub(crate) token_file: Key<Text<FilePath>>,
    /// The environment variable that holds the API token.
    #[serde(default)]
    pub(crate) token_variable: Key<Text<Variable>>,
    /// The zone of the names; by default, for each name the zone with the longest name that it lies in.
    #[serde(default)]
    pub(crate) zone: Key<Text<ZoneText>>,
    /// The ID of the account that has the Cloudflare pools; needed with `loadBalancing`, and only then.
    #[serde(default)]
    pub(crate) account: Key<Text<HexId>>,
    /// The owner in the mark of what Daymark creates there; needed if Daymarks of several clusters write to one zone.
    #[serde(default)]
    pub(crate) owner: Key<Text<OwnerText>>,
    /// With `loadBalancing`, `origins` switches origins of pools that are there; `full` also makes the pools and balancers.
    #[serde(default)]
    #[schemars(extend("default" = "origins"))]
    pub(crate) manage: Key<Text<CloudflareManage>>,
    /// The pools that are published, by default all; needed with `manage: origins`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) pools: Key<Vec<Key<RawServed>>>,
    /// The TTL of records, by default the least that the zone allows, or of a balancer that Daymark makes, by default 30s.
    #[serde(default)]
    pub(crate) ttl: Key<Text<CloudflareTtl>>,
    /// The time from one check of the published state to the next.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(DRIFT_INTERVAL)))]
    pub(crate) drift_interval: Key<Text<BoundedDuration<10_000, DAY>>>,
    /// The longest time that one call may take.
    #[serde(default)]
    #[schemars(extend("default" = duration_text(CALL_TIMEOUT)))]
    pub(crate) timeout: Key<Text<BoundedDuration<1_000, 60_000>>>,
    /// The percentage of Cloudflare's 1,200 calls per five minutes that may be used.
    #[serde(default)]
    #[schemars(extend("default" = CALL_SHARE))]
    pub(crate) call_share: Key<Whole<u8, 1, 100>>,
    /// The base address of the API.
    #[serde(default)]
    #[schemars(extend("default" = daymark_cloudflare::API))]
    pub(crate) api: Key<Text<ApiBase>>,
}

/// One pool that is published to Cloudflare.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Served")]
pub(crate) struct RawServed {
    /// The name of a pool of this file.
    pub(crate) name: Key<Text<DnsName>>,
    /// The name or the ID of the Cloudflare pool behind it, with `loadBalancing`.
    #[serde(default)]
    pub(crate) cloudflare_pool: Key<Text<PoolText>>,
}
