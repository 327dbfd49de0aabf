//! The section of the rate limit of the DNS server. Its defaults are those of the server.

use daymark_authoritative::{RateLimitMode, RateLimitSettings};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::key::Key;
use crate::values::{NetworkText, Text, Whole};

/// The limit of the responses of each kind that one network gets by UDP.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "RateLimit")]
pub(crate) struct RawRateLimit {
    /// The effect: responses above the limit are withheld, only counted and logged, or not looked at.
    #[serde(default)]
    #[schemars(extend("default" = "enforce"))]
    pub(crate) mode: Key<Text<RateLimitMode>>,
    /// The responses of one kind in a second, and the most at once.
    #[serde(default)]
    #[schemars(extend("default" = RateLimitSettings::default().responses_per_second))]
    pub(crate) responses_per_second: Key<Whole<u32, 1, 1_000_000>>,
    /// 2: each second withheld response is sent truncated, so that its client asks again by TCP. 0: none is.
    #[serde(default)]
    #[schemars(extend("default" = RateLimitSettings::default().slip))]
    pub(crate) slip: Key<Whole<u8, 0, 10>>,
    /// The networks without a limit. Loopback addresses have none in any case.
    #[serde(default)]
    pub(crate) exempt: Key<Vec<Key<Text<NetworkText>>>>,
    /// The bits of an IPv4 address that make its network.
    #[serde(default)]
    #[schemars(extend("default" = RateLimitSettings::default().ipv4_prefix_length))]
    pub(crate) ipv4_prefix_length: Key<Whole<u8, 8, 32>>,
    /// The bits of an IPv6 address that make its network.
    #[serde(default)]
    #[schemars(extend("default" = RateLimitSettings::default().ipv6_prefix_length))]
    pub(crate) ipv6_prefix_length: Key<Whole<u8, 16, 128>>,
}
